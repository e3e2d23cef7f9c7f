//! Where the log's objects are.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::LogStorageError;
use crate::durable::{self, FileError, PUBLIC};

/// Named objects, each whole or absent.
pub trait Objects: Send + Sync {
    /// An object; `None` if there is none of that name.
    ///
    /// # Errors
    /// [`LogStorageError`], whatever the storage says.
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, LogStorageError>;

    /// Writes an object, durably, in the place of one of that name.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), LogStorageError>;

    /// Gives back the space of an object that nobody names any more. A storage
    /// need not do anything.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    fn forget(&self, name: &str) -> Result<(), LogStorageError> {
        let _ = name;
        Ok(())
    }
}

/// Objects as files below a local directory.
#[derive(Clone, Debug)]
pub struct Directory {
    root: PathBuf,
}

impl Directory {
    /// Below `root`, that of the snapshots.
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }
}

impl Objects for Directory {
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, LogStorageError> {
        let path = self.root.join(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(FileError::new("read", &path)(error).into()),
        }
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), LogStorageError> {
        let path = self.root.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(FileError::new("create", parent))?;
        }
        Ok(durable::replace(&path, PUBLIC, bytes)?)
    }

    fn forget(&self, name: &str) -> Result<(), LogStorageError> {
        Ok(durable::remove(&self.root.join(name))?)
    }
}
