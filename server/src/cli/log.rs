//! `sotto-server log`.

use std::io::Read as _;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Subcommand;
use protocol::log::{NoteKey, NoteSignature, SignatureKind, SignedCheckpoint};
use protocol::log::{log_key, prove_consistency};

use super::Outcome;
use crate::data_dir::DataDir;
use crate::log::{Directory, Objects, PublishedLog, checkpoint_name};
use crate::snapshot::build;

/// Most bytes of cosignature lines.
const LINES_MAX: u64 = 16 * 1024;

/// Clients check that every manifest is in the log. Witnesses check that the log
/// only ever grows, and sign where it ends; clients may require some of them. To
/// have a checkpoint witnessed: add `log key` to the witness, post what `log
/// request` prints to its add-checkpoint address, and give its answer to `log
/// cosign`.
#[derive(Debug, Subcommand)]
pub(super) enum LogCommand {
    /// Show where the log ends: the checkpoint, and who has cosigned it.
    Show,
    /// Show the key of the log, as witnesses and monitors take it.
    Key,
    /// Print a request for a witness that has seen the log up to some manifest.
    ///
    /// In the form of https://c2sp.org/tlog-witness:
    /// `sotto-server log request --seen 41 | curl --data-binary @-
    /// https://witness.example/add-checkpoint`.
    Request {
        /// Entries that the witness has seen; it says how many if that is wrong.
        #[arg(long, value_name = "N", default_value_t = 0)]
        seen: u64,
    },
    /// Add cosignatures to the published checkpoint.
    ///
    /// Takes lines as witnesses answer them, from standard input. Only witnesses
    /// whose keys (name+id+key, one a line) are in the file `witnesses` of the data
    /// directory count; lines of others are ignored.
    Cosign,
}

pub(super) fn run(data: &DataDir, command: &LogCommand) -> anyhow::Result<Outcome> {
    match command {
        LogCommand::Show => show(data)?,
        LogCommand::Key => println!("{}", log_key(&data.provider_public_key()?)?),
        LogCommand::Request { seen } => request(data, *seen)?,
        LogCommand::Cosign => return cosign(data),
    }
    Ok(Outcome::Done)
}

/// The published log, its checkpoint, and the checkpoint's name.
struct Published {
    objects: Arc<dyn Objects>,
    log: PublishedLog,
    checkpoint: SignedCheckpoint,
    name: String,
}

impl Published {
    fn open(data: &DataDir) -> anyhow::Result<Self> {
        let (directory, key) = (data.snapshots(), data.provider_public_key()?);
        let manifest = build::published_manifest(&directory, &key)?
            .context("nothing is published yet: run `sotto-server snapshot build`")?;
        let objects: Arc<dyn Objects> = Arc::new(Directory::new(&directory));
        let log = PublishedLog::open(Arc::clone(&objects), &manifest)?;
        let checkpoint = SignedCheckpoint::open(&log.checkpoint()?, &key)?;
        Ok(Self {
            objects,
            log,
            checkpoint,
            name: checkpoint_name(&manifest.digest()),
        })
    }
}

fn show(data: &DataDir) -> anyhow::Result<()> {
    let published = Published::open(data)?;
    print!(
        "{}",
        String::from_utf8_lossy(&published.checkpoint.encode())
    );
    let witnesses = witnesses(data)?;
    if !witnesses.is_empty() {
        let signed = published.checkpoint.witnessed_by(&witnesses)?;
        eprintln!("cosigned by {signed} of {} witnesses", witnesses.len());
    }
    Ok(())
}

fn request(data: &DataDir, seen: u64) -> anyhow::Result<()> {
    let published = Published::open(data)?;
    let head = published.checkpoint.head();
    if seen > head.size {
        bail!("the log has {} entries", head.size);
    }
    println!("old {seen}");
    for hash in prove_consistency(seen, head.size, published.log.tree())? {
        println!("{}", STANDARD.encode(hash.as_bytes()));
    }
    print!(
        "\n{}",
        String::from_utf8_lossy(&published.checkpoint.encode())
    );
    Ok(())
}

fn cosign(data: &DataDir) -> anyhow::Result<Outcome> {
    let witnesses = witnesses(data)?;
    if witnesses.is_empty() {
        bail!(
            "no witnesses are known: write their keys, one a line, into {}",
            data.root().join(WITNESSES).display()
        );
    }
    let mut lines = String::new();
    std::io::stdin()
        .take(LINES_MAX)
        .read_to_string(&mut lines)
        .context("standard input")?;
    let _lock = data.lock()?;
    let mut published = Published::open(data)?;
    let (mut added, mut ignored) = (0, 0);
    for line in lines.lines().filter(|line| !line.trim().is_empty()) {
        let cosignature: NoteSignature = line.parse().context("not a cosignature")?;
        match published.checkpoint.attach(cosignature, &witnesses) {
            Ok(()) => added += 1,
            Err(protocol::log::LogError::Key) => ignored += 1,
            Err(error) => {
                return Err(error).context(
                    "the cosignature is not of the published checkpoint: was another snapshot published since?",
                );
            }
        }
    }
    if added > 0 {
        let bytes = published.checkpoint.encode();
        published.objects.put(&published.name, &bytes)?;
    }
    println!("{added} added, {ignored} ignored");
    Ok(if ignored == 0 {
        Outcome::Done
    } else {
        Outcome::Partly
    })
}

/// The file with the keys of witnesses.
const WITNESSES: &str = "witnesses";

/// The witnesses whose cosignatures are taken; none if there is no file.
fn witnesses(data: &DataDir) -> anyhow::Result<Vec<NoteKey>> {
    let path = data.root().join(WITNESSES);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    let lines = text.lines().map(str::trim);
    let keys = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    keys.map(|line| {
        let key: NoteKey = line.parse().with_context(|| path.display().to_string())?;
        if key.kind() != SignatureKind::Cosignature {
            bail!("{}: {} is not a witness's key", path.display(), key.name());
        }
        Ok(key)
    })
    .collect()
}
