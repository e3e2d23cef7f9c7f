//! `sotto-server log`.

use std::io::Read as _;

use anyhow::{Context as _, bail};
use clap::Subcommand;
use protocol::log::{NoteKey, log_key};
use protocol::time::UnixTime;

use super::Outcome;
use crate::data_dir::DataDir;
use crate::witness::{Added, Published, Witness};

/// Most bytes of cosignature lines.
const LINES_MAX: u64 = 16 * 1024;

/// Clients check that every manifest is in the log. Witnesses check that the log
/// only ever grows, and sign where it ends; clients may require some of them. To
/// have checkpoints witnessed: give what `log key` prints to the witness, and write
/// its key and URL, one witness a line, into the file `witnesses` of the data
/// directory: `serve`, `build` and `snapshot build` then ask it whenever they have
/// published. Of a witness whose line has no URL it is done by hand: post what `log
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
    /// whose keys (name+id+key) are in the file `witnesses` of the data directory
    /// count; lines of others are ignored.
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

fn published(data: &DataDir) -> anyhow::Result<Published> {
    let storage = data.storage(&data.config()?)?;
    Published::open(data, storage)?
        .context("nothing is published yet: run `sotto-server snapshot build`")
}

fn show(data: &DataDir) -> anyhow::Result<()> {
    let checkpoint = published(data)?.checkpoint()?;
    print!("{}", String::from_utf8_lossy(&checkpoint.encode()));
    let witnesses = witnesses(data)?;
    if !witnesses.is_empty() {
        let signed = checkpoint.witnessed_by(&witnesses)?;
        eprintln!("cosigned by {signed} of {} witnesses", witnesses.len());
    }
    Ok(())
}

fn request(data: &DataDir, seen: u64) -> anyhow::Result<()> {
    let published = published(data)?;
    if seen > published.size() {
        bail!("the log has {} entries", published.size());
    }
    print!("{}", published.request(&published.checkpoint()?, seen)?);
    Ok(())
}

fn cosign(data: &DataDir) -> anyhow::Result<Outcome> {
    let witnesses = witnesses(data)?;
    if witnesses.is_empty() {
        bail!(
            "no witnesses are known: write their keys, one a line, into {}",
            data.root().join("witnesses").display()
        );
    }
    let mut lines = String::new();
    std::io::stdin()
        .take(LINES_MAX)
        .read_to_string(&mut lines)
        .context("standard input")?;
    let Added { added, ignored } = published(data)?.add(&lines, &witnesses, UnixTime::now())?;
    println!("{added} added, {ignored} ignored");
    Ok(if ignored == 0 {
        Outcome::Done
    } else {
        Outcome::Partly
    })
}

/// The keys of the witnesses whose cosignatures are taken.
fn witnesses(data: &DataDir) -> anyhow::Result<Vec<NoteKey>> {
    let witnesses = Witness::read_all(data.root())?;
    Ok(witnesses.into_iter().map(|witness| witness.key).collect())
}
