//! `sotto-server init`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;

use super::Outcome;
use crate::data_dir::{DataDir, InitOptions};
use crate::durable::FileError;
use crate::keys::PassphraseSource;

#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// The trust list to start with: CSIPs and what each may speak for.
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    /// Where to listen.
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
}

pub(super) fn run(
    root: &Path,
    args: &InitArgs,
    passphrases: PassphraseSource,
) -> anyhow::Result<Outcome> {
    let read = |path: &PathBuf| std::fs::read_to_string(path).map_err(FileError::new("read", path));
    let trust = args.trust.as_ref().map(read).transpose()?;
    let options = InitOptions {
        trust,
        listen: args.listen,
    };
    let data = DataDir::init_under(root, &options, passphrases)?;
    let (trust, root) = (data.trust()?, root.display());
    println!("made {root}:");
    println!(
        "  config.toml      configuration; listens on {}",
        data.config()?.listen
    );
    println!("  keys/            secret keys: back them up, show them to nobody");
    println!(
        "  dp.pub           what clients pin: {}",
        data.provider_public_key()?.to_text()
    );
    println!(
        "  tls/             self-signed certificate for localhost; clients trust tls/cert.pem"
    );
    println!("  trust.toml       CSIPs: {} keys", trust.csips().len());
    println!("  senders.toml     who may look up: nobody yet");
    println!();
    if trust.is_empty() {
        println!("Next: list the CSIPs whose credentials you accept in {root}/trust.toml, then");
    } else {
        println!("Next:");
    }
    println!("  sotto-server --data {root} sender add NAME");
    println!("  sotto-server --data {root} import FILE");
    println!("  sotto-server --data {root} snapshot build");
    println!("  sotto-server --data {root} serve");
    Ok(Outcome::Done)
}
