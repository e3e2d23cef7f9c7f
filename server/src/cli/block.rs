//! `sotto-server block`.

use std::io::Read as _;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use protocol::audit::Action;
use protocol::csi::Csi;
use protocol::time::UnixTime;

use super::Outcome;
use crate::accept::Journal;
use crate::data_dir::DataDir;
use crate::store::{Block, Store as _};

/// Withholding is never silent: the signed manifest states how many records are
/// withheld, the published block list says to whoever looks one of them up that
/// it is, and the audit log has an entry for each change.
#[derive(Debug, Subcommand)]
pub(super) enum BlockCommand {
    /// Withhold the records of identifiers from the next snapshot on.
    Add(Identifiers),
    /// Publish them again from the next snapshot on.
    Remove(Identifiers),
    /// Show the identifiers whose records are withheld.
    List,
}

#[derive(Debug, Args)]
pub(super) struct Identifiers {
    /// A file with phone numbers and e-mail addresses, one a line; - is standard
    /// input. On the command line other users of this machine would see them.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(super) fn run(data: &DataDir, command: &BlockCommand) -> anyhow::Result<Outcome> {
    let _lock = data.lock()?;
    let store = data.store()?;
    let (identifiers, block, action) = match command {
        BlockCommand::Add(identifiers) => (identifiers, Block::Set, Action::Block),
        BlockCommand::Remove(identifiers) => (identifiers, Block::Lift, Action::Unblock),
        BlockCommand::List => {
            for csi in store.view()?.blocked()? {
                println!("{}", csi.canonical());
            }
            return Ok(Outcome::Done);
        }
    };
    let (csis, now) = (identifiers.read()?, UnixTime::now());
    let mut changed = 0;
    store.update(&mut |update| {
        changed = 0;
        let mut journal = Journal::open(update)?;
        for csi in &csis {
            if update.block(csi, block)? {
                changed += 1;
                journal.note_unsigned(now, action);
            }
        }
        journal.close(update).map(drop)
    })?;
    println!("{changed} changed; it takes effect with the next snapshot");
    Ok(Outcome::Done)
}

impl Identifiers {
    fn read(&self) -> anyhow::Result<Vec<Csi>> {
        let text = if self.file.as_os_str() == "-" {
            let mut text = String::new();
            std::io::stdin()
                .read_to_string(&mut text)
                .context("cannot read standard input")?;
            text
        } else {
            std::fs::read_to_string(&self.file)
                .with_context(|| format!("cannot read {}", self.file.display()))?
        };
        let lines = text.lines().map(str::trim).enumerate();
        let csis = lines
            .filter(|(_, line)| !line.is_empty())
            .map(|(at, line)| Csi::parse(line).with_context(|| format!("line {}", at + 1)));
        let csis = csis.collect::<anyhow::Result<Vec<_>>>()?;
        if csis.is_empty() {
            bail!("{} names no identifier", self.file.display());
        }
        Ok(csis)
    }
}
