//! Why a cache can't be used.

use std::path::PathBuf;

use redb::WriteTransaction;

use crate::durable::FileError;

/// Why a cache can't be used. Holds nothing of what is in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// A file can't be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Others than the owner may read a file.
    #[error("{path} may be read by others (mode {mode:o}): run `chmod 600 {path}`", path = .path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// There is no key to a cache that is there, or it is no key.
    #[error("{path} is missing or does not hold a cache's key: remove the cache, which then starts anew", path = .path.display())]
    Key {
        /// The file of the key.
        path: PathBuf,
    },
    /// Another process had the file open for too long.
    #[error("the cache is in use by another process: try again")]
    InUse,
    /// Made by another version.
    #[error("the cache was made by another version of this program: remove it")]
    Version,
    /// Made under another key.
    #[error("the cache was made under another key than the one beside it: remove both")]
    OtherKey,
    /// Of another provider.
    #[error("the cache is another provider's: use a file for each")]
    OtherProvider,
    /// A row can't be read.
    #[error("the cache is damaged: remove it")]
    Corrupt,
    /// The engine failed.
    #[error("cache: {0}")]
    Engine(#[source] Box<redb::Error>),
}

pub(super) fn engine(error: impl Into<redb::Error>) -> CacheError {
    CacheError::Engine(Box::new(error.into()))
}

pub(super) fn commit(transaction: WriteTransaction) -> Result<(), CacheError> {
    transaction.commit().map_err(engine)
}
