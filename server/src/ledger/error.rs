//! Why a ledger failed.

use std::path::PathBuf;

use crate::durable::FileError;
use crate::store::PostgresError;

/// Why the ledger failed. Shows nothing of who spent what.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The file can't be made.
    #[error(transparent)]
    File(#[from] FileError),
    /// Another process has the ledger open.
    #[error("{path} is in use by another process: a server that runs keeps it open", path = .path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The ledger is not of this version.
    #[error("{path} is a ledger of version {found}, this program knows {expected}", path = .path.display())]
    Version {
        /// The file, or server and database.
        path: PathBuf,
        /// What this program writes.
        expected: u64,
        /// What the ledger says.
        found: u64,
    },
    /// The ledger was written under another key.
    #[error("{path} does not belong to keys/store.key: servers that share a ledger need the same key; if the key was replaced on purpose, move the ledger away, and every quota is full again", path = .path.display())]
    ForeignKey {
        /// The file, or server and database.
        path: PathBuf,
    },
    /// What it holds isn't of the accepted form.
    #[error(
        "the ledger is corrupt: move it away, and every quota is full again; revoke the token keys in use, since tokens could be spent twice"
    )]
    Corrupt,
    /// The embedded engine failed.
    #[error("ledger: {0}; nothing was spent: check the disk's space and health")]
    Embedded(#[source] Box<redb::Error>),
    /// PostgreSQL failed before anything was committed.
    #[error("ledger: {0}; nothing was spent")]
    Postgres(#[from] PostgresError),
    /// The connection broke while spending was being committed.
    #[error("ledger: {0}; whether it was spent is unknown, so it counts as spent")]
    Unknown(#[source] PostgresError),
}
