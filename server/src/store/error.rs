//! Why a store failed.

use std::path::PathBuf;

use super::{JournalError, PostgresError};

/// Why the store failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process has the store open.
    #[error("{path} is in use by another process: wait for it to end; a server that runs builds a snapshot by itself, and at once on SIGHUP", path = .path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The store is not of this version.
    #[error("{path} is a store of version {found}, this program knows {expected}", path = .path.display())]
    Version {
        /// The file, or server and database.
        path: PathBuf,
        /// What this program writes.
        expected: u64,
        /// What the file says.
        found: u64,
    },
    /// The store was written under another key.
    #[error("{path} does not belong to keys/store.key: restore both from one backup", path = .path.display())]
    ForeignKey {
        /// The file, or server and database.
        path: PathBuf,
    },
    /// A row doesn't open or isn't of the accepted form.
    #[error("the store holds a corrupt row: restore it from a backup")]
    Corrupt,
    /// A row that was named is not there.
    #[error("the store lacks a row that it named")]
    Missing,
    /// The embedded engine failed.
    #[error("store: {0}; nothing of this batch was changed: check the disk's space and health")]
    Embedded(#[source] Box<redb::Error>),
    /// The removal journal can't be written.
    #[error("store: {0}; nothing of this batch was changed")]
    Journal(#[from] JournalError),
    /// PostgreSQL failed before anything was committed.
    #[error("store: {0}; nothing of this batch was changed, and what is published is served on")]
    Postgres(#[from] PostgresError),
    /// The connection broke while a batch was being committed.
    #[error(
        "store: {0}; this batch was being committed, and whether it was is unknown: submit it again, which changes nothing if it was"
    )]
    Unknown(#[source] PostgresError),
}
