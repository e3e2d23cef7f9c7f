//! Why the log can't be read or written.

use protocol::log::LogError;
use protocol::manifest::ManifestError;

use crate::durable::FileError;

/// Why the log can't be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogStorageError {
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// Another storage.
    #[error("the log's storage: {0}")]
    Storage(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// An object is not there.
    #[error(
        "{name} is missing: the log of manifests is not complete; restore it from a backup of the snapshots' directory"
    )]
    Missing {
        /// Its name.
        name: String,
    },
    /// An object is not what its name says.
    #[error("{name} is damaged: restore it from a backup of the snapshots' directory")]
    Damaged {
        /// Its name.
        name: String,
    },
    /// What was published before there was a log can't be entered any more.
    #[error(
        "manifest {sequence} was published without a log, and those before it are gone: to begin a new chain, move the snapshots' directory away and build again; clients that remember the old chain refuse the new one until they forget it"
    )]
    Unlogged {
        /// Sequence of the published manifest.
        sequence: u64,
    },
    /// A form.
    #[error(transparent)]
    Form(#[from] LogError),
    /// A manifest in it.
    #[error("a manifest in the log: {0}")]
    Manifest(#[from] ManifestError),
}
