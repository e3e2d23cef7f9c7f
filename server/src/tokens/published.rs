//! Directories as they were published: `tokens/<digest>.json`.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use protocol::merkle::Hash;
use protocol::token::IssuerDirectory;

use super::TokensError;
use crate::durable::{self, FileError, PUBLIC};

/// Writes a directory, unless it is there, and gives its digest.
pub(super) fn write(folder: &Path, json: &[u8]) -> Result<Hash, TokensError> {
    let digest = IssuerDirectory::digest(json);
    let path = file(folder, &digest);
    if path.exists() {
        return Ok(digest);
    }
    if !folder.exists() {
        DirBuilder::new()
            .mode(0o700)
            .create(folder)
            .map_err(FileError::new("create", folder))?;
    }
    durable::replace(&path, PUBLIC, json)?;
    Ok(digest)
}

/// The directory with that digest; `None` if it isn't there, or is another.
pub(super) fn read(folder: &Path, digest: &Hash) -> Result<Option<Vec<u8>>, TokensError> {
    let path = file(folder, digest);
    match fs::read(&path) {
        Ok(json) if IssuerDirectory::digest(&json) == *digest => Ok(Some(json)),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileError::new("read", &path)(error).into()),
    }
}

/// Removes all but one.
pub(super) fn remove_others(folder: &Path, digest: &Hash) -> Result<(), TokensError> {
    let keep = file(folder, digest);
    let entries = fs::read_dir(folder).map_err(FileError::new("read", folder))?;
    for entry in entries {
        let path = entry.map_err(FileError::new("read", folder))?.path();
        if path != keep {
            fs::remove_file(&path).map_err(FileError::new("remove", &path))?;
        }
    }
    Ok(())
}

fn file(folder: &Path, digest: &Hash) -> PathBuf {
    folder.join(format!("{digest}.json"))
}
