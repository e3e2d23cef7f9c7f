//! Witnesses of the log: who they are, what they are asked, what they answered
//! (<https://c2sp.org/tlog-witness>).
//!
//! A witness is sent each published checkpoint with a proof that the log goes on
//! from what it has seen; it answers with a cosignature, which is verified and
//! then stands in the checkpoint that is given out. Publishing and serving never
//! wait for it.

mod ask;
mod file;
mod published;
mod push;

pub use ask::AskError;
pub use file::Witness;
pub use published::{Added, Published, refresh};
pub use push::{Failed, Pusher, keep_cosigned};

use std::path::PathBuf;

use protocol::log::{LogError, ProofError};

use crate::data_dir::DataDirError;
use crate::durable::FileError;
use crate::log::LogStorageError;
use crate::snapshot::SnapshotError;
use crate::storage::StorageError;

/// Why a checkpoint isn't cosigned. What is published stays as it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WitnessError {
    /// A line of the file is not a witness.
    #[error(
        "{path}, line {line}: expected a witness's key, name+id+base64, and perhaps the https URL that /add-checkpoint is below",
        path = .path.display()
    )]
    Line {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
    },
    /// What is here is not what the storage names: a witness must see nothing
    /// that another publisher may publish something else for.
    #[error("the snapshot here is not the one that is published in the storage")]
    Unpublished,
    /// Not a line of a note.
    #[error("not a cosignature")]
    Malformed(#[source] LogError),
    /// It is in the name of a known key, and not by it or of something else.
    #[error(
        "the cosignature is not of the published checkpoint: was another snapshot published since?"
    )]
    Signature(#[source] LogError),
    /// It states a time before the publication, or one to come.
    #[error("the cosignature of {witness} is of another time: is its clock right, and this one?")]
    Time {
        /// Whose it is.
        witness: String,
    },
    /// No proof can be made.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The published checkpoint.
    #[error("the published checkpoint: {0}")]
    Checkpoint(#[from] LogError),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The data directory.
    #[error(transparent)]
    DataDir(#[from] Box<DataDirError>),
    /// The published snapshot.
    #[error(transparent)]
    Snapshot(#[from] Box<SnapshotError>),
    /// The log.
    #[error(transparent)]
    Log(#[from] LogStorageError),
    /// The storage.
    #[error(transparent)]
    Storage(#[from] Box<StorageError>),
    /// No client for HTTP.
    #[error("cannot start the client that asks witnesses: {0}")]
    Client(#[source] reqwest::Error),
    /// A thread.
    #[error("asking witnesses panicked")]
    Panicked,
}

#[cfg(test)]
mod tests;
