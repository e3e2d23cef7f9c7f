//! Backups of a store, and what keeps a restore from bringing back what was
//! removed.
//!
//! A backup is one state of a store: the audit log, the rows and the block list
//! sealed as they are, and the audience records. It can be restored into either
//! kind of store, under the same `keys/store.key`.

mod file;
mod replay;
mod restore;

use std::path::{Path, PathBuf};

use protocol::time::UnixTime;

pub use restore::{Content, RestoreOptions, Restored, restore};

use crate::durable::FileError;
use crate::progress::Progress;
use crate::store::{JournalError, Store, StoreError, StoreKeys};
use file::{Item, Summary, Writer};

/// Rows that are read or written together.
const BATCH: usize = 4096;

/// Why a backup was not made, or not restored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// A file can't be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The removal journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Not a backup at all.
    #[error("{path} is not a backup", path = .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Of another version.
    #[error("{path} is a backup of version {found}, this program reads {expected}", path = .path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version that this program knows.
        expected: u32,
        /// The version of the file.
        found: u32,
    },
    /// Altered or cut.
    #[error("{path} is damaged or cut short: take another copy; nothing was restored", path = .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// Under another key.
    #[error("{path} does not belong to keys/store.key: restore that from its own backup first", path = .path.display())]
    ForeignKey {
        /// The file.
        path: PathBuf,
    },
    /// The store has another history.
    #[error(
        "the audit logs of the store and of {path} part before entry {before}: they are of two histories, and neither can be restored into the other; nothing was restored",
        path = .path.display()
    )]
    Diverged {
        /// The file.
        path: PathBuf,
        /// Entries of the shorter log.
        before: u64,
    },
    /// What was removed since the backup isn't known.
    #[error(
        "the removal journal does not say what was removed from entry {ends} of the audit log on{}: restoring could publish again what its owner has removed. Find the journal (store.journal, --journal; one for each server), or restore with --withhold; nothing was restored",
        .needed.map(|needed| format!(", and the log had {needed}")).unwrap_or_default()
    )]
    Unknown {
        /// Entries up to which it is known.
        ends: u64,
        /// Entries that there were at least; `None` if the journal doesn't know
        /// the backup's position at all.
        needed: Option<u64>,
    },
}

/// What a backup holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Rows, those without content included.
    pub rows: u64,
    /// Audience records.
    pub audience: u64,
    /// Entries of the audit log.
    pub entries: u64,
}

/// Writes a backup of what the store holds now; the file is whole or absent.
///
/// # Errors
/// [`BackupError::Store`], [`BackupError::File`].
pub fn backup(
    store: &dyn Store,
    keys: &StoreKeys,
    path: &Path,
    now: UnixTime,
    progress: Progress,
) -> Result<Counts, BackupError> {
    let view = store.view()?;
    let head = view.audit_head()?;
    let (ids, handles) = (view.row_ids()?, view.audience_handles()?);
    let counts = Counts {
        rows: ids.len() as u64,
        audience: handles.len() as u64,
        entries: head.entries,
    };
    let mut writer = Writer::create(path)?;
    writer.write(&Item::Summary(Summary::new(keys, now, head)))?;
    let stage = progress.stage("backup", counts.entries + counts.rows + counts.audience);
    let mut from = 0;
    while from < head.entries {
        let entries = view.audit(from, BATCH)?;
        if entries.is_empty() {
            return Err(StoreError::Corrupt.into());
        }
        from += entries.len() as u64;
        stage.advance(entries.len() as u64);
        for entry in entries {
            writer.write(&Item::Entry(entry))?;
        }
    }
    for ids in ids.chunks(BATCH) {
        for (id, sealed) in ids.iter().zip(view.sealed_rows(ids)?) {
            writer.write(&Item::Row(*id, sealed))?;
        }
        stage.advance(ids.len() as u64);
    }
    for (id, sealed) in view.sealed_blocked()? {
        writer.write(&Item::Blocked(id, sealed))?;
    }
    for handles in handles.chunks(BATCH) {
        for (handle, row) in handles.iter().zip(view.audience_rows(handles)?) {
            writer.write(&Item::Audience(*handle, row))?;
        }
        stage.advance(handles.len() as u64);
    }
    writer.finish()?;
    stage.finish(&path.display().to_string());
    Ok(counts)
}

#[cfg(test)]
mod tests;
