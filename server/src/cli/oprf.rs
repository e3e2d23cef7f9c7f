//! `sotto-server oprf`.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Subcommand;
use protocol::manifest::SignedManifest;
use protocol::time::UnixTime;

use super::Outcome;
use crate::data_dir::DataDir;
use crate::durable::FileError;
use crate::keys::Protection;
use crate::oprf_keys::Form;
use crate::snapshot::build;

/// Identifiers are evaluated under the newest key from the next snapshot on. The
/// one before it goes on evaluating for clients that have a manifest of its time,
/// until the last of those has expired: no lookup fails at a rotation.
#[derive(Debug, Subcommand)]
pub(super) enum OprfCommand {
    /// Show the keys' epochs and public halves.
    Show,
    /// Make the key of the next epoch.
    ///
    /// The next snapshot is built under it: send a running server SIGHUP, wait for
    /// its next build, or run `snapshot build`.
    Rotate {
        /// End a former key that still evaluates. Clients that have a manifest of
        /// its time fetch the newest one and ask again.
        #[arg(long)]
        retire: bool,
    },
    /// Split the keys in two, both halves of which are needed to serve and build.
    ///
    /// A former whole key file may be recovered from the disk, and from backups:
    /// for keys that none of these ever held, rotate afterwards.
    Split {
        /// The directory for the second shares, on another device or host; else the
        /// one that oprf.second_shares in config.toml names.
        #[arg(long, value_name = "DIR")]
        second: Option<PathBuf>,
    },
}

pub(super) fn run(data: &DataDir, command: &OprfCommand) -> anyhow::Result<Outcome> {
    match command {
        OprfCommand::Show => show(data)?,
        OprfCommand::Rotate { retire } => rotate(data, *retire)?,
        OprfCommand::Split { second } => split(data, second.clone())?,
    }
    Ok(Outcome::Done)
}

fn show(data: &DataDir) -> anyhow::Result<()> {
    let published = published(data)?;
    let published = published
        .as_ref()
        .map(|signed| signed.unverified().oprf_epoch);
    let status = data.oprf_key_dir(&data.config()?)?.status()?;
    let newest = status.last().map(|status| status.epoch);
    println!(
        "{:>5}  {:<64}  {:<18}  {:<20}  use",
        "epoch", "public key", "kept", "made"
    );
    for key in status {
        let (form, protection) = match key.form {
            Form::Whole(protection) => ("whole", protection),
            Form::Split(protection) => ("split", protection),
        };
        let protection = match protection {
            Protection::Plain => "plain",
            Protection::Encrypted => "encrypted",
        };
        let mut uses = Vec::new();
        if newest == Some(key.epoch) {
            uses.push("builds".to_owned());
        }
        if published == Some(key.epoch) {
            uses.push("published".to_owned());
        }
        if let Some(retires) = key.retires {
            uses.push(format!("evaluates until {retires}"));
        }
        println!(
            "{:>5}  {:<64}  {:<18}  {:<20}  {}",
            key.epoch,
            key.public.map_or("(can't be read)".to_owned(), |public| {
                hex::encode(public.as_bytes())
            }),
            format!("{form}, {protection}"),
            key.made.map_or("-".to_owned(), |made| made.to_string()),
            uses.join(", "),
        );
    }
    Ok(())
}

fn rotate(data: &DataDir, retire: bool) -> anyhow::Result<()> {
    let _lock = data.lock()?;
    let published = published(data)?;
    let epoch = data.oprf_key_dir(&data.config()?)?.rotate(
        published.as_ref().map(SignedManifest::unverified),
        UnixTime::now(),
        retire,
    )?;
    println!("made the key of epoch {epoch}: the next snapshot is built under it");
    Ok(())
}

fn split(data: &DataDir, second: Option<PathBuf>) -> anyhow::Result<()> {
    let _lock = data.lock()?;
    let configured = data.config()?.oprf.second_shares(data.root());
    let second = second.or_else(|| configured.clone()).context(
        "where to? name a directory by --second, or by oprf.second_shares in config.toml",
    )?;
    for epoch in data.oprf_key_dir(&data.config()?)?.split(&second)? {
        println!("split the key of epoch {epoch}");
    }
    let canonical = std::fs::canonicalize(&second).map_err(FileError::new("read", &second))?;
    if configured.and_then(|path| std::fs::canonicalize(path).ok()) != Some(canonical.clone()) {
        println!("add to [oprf] in config.toml:");
        println!("second_shares = {:?}", canonical.display().to_string());
    }
    Ok(())
}

/// The manifest of what is published, if anything is.
fn published(data: &DataDir) -> anyhow::Result<Option<SignedManifest>> {
    let provider = data.provider_public_key()?;
    Ok(build::published_manifest(&data.snapshots(), &provider)?)
}
