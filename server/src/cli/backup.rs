//! `sotto-server backup` and `sotto-server restore`.

use std::path::{Path, PathBuf};

use clap::Args;
use protocol::time::UnixTime;

use super::Outcome;
use crate::backup::{self, Content, RestoreOptions};
use crate::data_dir::DataDir;
use crate::memory::Memory;
use crate::progress::Progress;
use crate::snapshot::{Snapshot, current};

#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    /// The file to write; one that is there is replaced once this is whole.
    file: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    /// The backup.
    file: PathBuf,
    /// The removal journal, where the configuration doesn't name it; again for
    /// each other server that wrote to the store.
    #[arg(long, value_name = "FILE")]
    journal: Vec<PathBuf>,
    /// Entries that the audit log had at least, by whoever watched it: refuse
    /// journals that end before.
    #[arg(long, value_name = "N", default_value_t = 0)]
    entries: u64,
    /// Publish nothing of the backup: keep only what is needed so that nothing
    /// old can come back. For when a journal is lost.
    #[arg(long)]
    withhold: bool,
}

pub(super) fn backup(data: &DataDir, args: &BackupArgs) -> anyhow::Result<Outcome> {
    let _lock = data.lock()?;
    let store = data.store()?;
    // The journal must reach from here on, whatever comes next.
    store.note_position()?;
    let counts = backup::backup(
        &store,
        &data.store_keys()?,
        &args.file,
        UnixTime::now(),
        Progress::detect(),
    )?;
    println!(
        "{} rows, {} audience records, {} entries of the audit log",
        counts.rows, counts.audience, counts.entries
    );
    Ok(Outcome::Done)
}

pub(super) fn restore(data: &DataDir, args: &RestoreArgs) -> anyhow::Result<Outcome> {
    let _lock = data.lock()?;
    let own = data.journal_path(&data.config()?);
    let mut journals: Vec<&Path> = args.journal.iter().map(PathBuf::as_path).collect();
    if own.exists() {
        journals.push(&own);
    }
    let content = if args.withhold {
        Content::Withheld
    } else {
        Content::Restored
    };
    let restored = backup::restore(
        &*data.unjournalled_store()?,
        &args.file,
        &RestoreOptions {
            keys: &data.store_keys()?,
            journals: &journals,
            content,
            known_entries: args.entries.max(published_entries(data)?),
            now: UnixTime::now(),
            progress: Progress::detect(),
        },
    )?;
    println!(
        "{} rows, of which something was removed since or withheld in {}; {} audience records; the audit log has {} entries",
        restored.rows, restored.withdrawn, restored.audience, restored.entries
    );
    Ok(Outcome::Done)
}

/// Entries of the audit log when the published snapshot was built, if there is
/// one.
fn published_entries(data: &DataDir) -> anyhow::Result<u64> {
    let Ok(id) = current::read(&data.snapshots()) else {
        return Ok(0);
    };
    let snapshot = Snapshot::load(
        &data.snapshots(),
        id,
        &data.provider_public_key()?,
        Memory::OfSystem,
        Progress::detect(),
    )?;
    Ok(snapshot.manifest().audit.entries)
}
