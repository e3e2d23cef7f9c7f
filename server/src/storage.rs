//! Published snapshots in S3-compatible storage, for servers that follow.
//!
//! ```text
//! <prefix>/snapshots/<sequence>-<digest of the manifest>.sotto
//! <prefix>/log/…               the log of manifests, as in crate::log
//! <prefix>/current.json        which of them is published
//! ```
//!
//! A snapshot is written first and never changed. Then the pointer is put on the
//! condition that it is still the one that the build went out from: of two
//! publishers one wins, and the other takes over what it published. The local
//! directory stays what a server works with: a publisher uploads from it, a
//! follower downloads into it.

mod download;
pub(crate) mod known;
mod log;
mod pointer;
mod publish;
mod s3;
mod upload;

use std::path::PathBuf;

use protocol::manifest::ManifestError;

pub use download::Download;
pub use pointer::Pointer;
pub use publish::{PublishError, publish};
pub use s3::{Credentials, Current, S3Options, Storage};

use crate::durable::FileError;
use crate::log::LogStorageError;
use crate::snapshot::SnapshotError;

/// Why the storage doesn't serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The service refused something or can't be reached.
    #[error("cannot {action} in the storage: {source}")]
    Service {
        /// A verb and what it was about.
        action: &'static str,
        /// What it said.
        source: Box<object_store::Error>,
    },
    /// No thread or runtime for it.
    #[error("cannot start the storage's client: {0}")]
    Start(#[source] std::io::Error),
    /// The pointer is not one.
    #[error("{name} in the storage does not name a snapshot: put the right one back")]
    Pointer {
        /// Its name there.
        name: String,
    },
    /// Another publisher was faster.
    #[error(
        "another publisher has published in between: its snapshot is taken over, and the next build goes on from there"
    )]
    Raced,
    /// What is there isn't what the pointer says.
    #[error("the snapshot in the storage is not the one that is named there: {0}")]
    Manifest(#[from] ManifestError),
    /// The same, by digest or length.
    #[error("the snapshot {sequence} in the storage is not the one that is named there")]
    Other {
        /// Its place in the chain.
        sequence: u64,
    },
    /// What was downloaded isn't whole.
    #[error(
        "the snapshot {sequence} of the storage was refused and removed again, and what was published here still is: {source}"
    )]
    Refused {
        /// Its place in the chain.
        sequence: u64,
        /// What is wrong with it.
        source: Box<SnapshotError>,
    },
    /// The same object as was refused a while ago.
    #[error(
        "the snapshot {sequence} of the storage is the one that was refused: it is downloaded again when it has changed, or after {} minutes", .after.as_secs() / 60
    )]
    StillRefused {
        /// Its place in the chain.
        sequence: u64,
        /// Time from the refusal.
        after: std::time::Duration,
    },
    /// The storage has gone back.
    #[error(
        "the storage has the manifest {found}, and {known} was published from here: somebody put an older pointer back"
    )]
    Older {
        /// What is published here.
        known: u64,
        /// What is there.
        found: u64,
    },
    /// The log of manifests.
    #[error(transparent)]
    Log(#[from] LogStorageError),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// A snapshot.
    #[error(transparent)]
    Snapshot(#[from] Box<SnapshotError>),
    /// A snapshot's file can't be read while it is uploaded.
    #[error("cannot read {path}: {source}", path = .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
}
