//! What this server knows the storage to publish: `snapshots/stored` has the digest
//! of the manifest that the pointer there named last.
//!
//! A publisher has its build on its own disk before it moves the pointer. If it ends
//! in between, another publisher may have been faster by the time it starts again:
//! what is served after a start is therefore this one, or nothing until the storage
//! was asked.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use protocol::merkle::Hash;

use crate::durable::{self, FileError, PUBLIC};

const NAME: &str = "stored";

/// Notes that the pointer names this manifest.
///
/// # Errors
/// [`FileError`].
pub(crate) fn note(directory: &Path, manifest: &Hash) -> Result<(), FileError> {
    if is_noted(directory, manifest)? {
        return Ok(());
    }
    let line = format!("{manifest}\n");
    durable::replace(&directory.join(NAME), PUBLIC, line.as_bytes())
}

/// Whether the pointer named this manifest when it was last seen.
///
/// # Errors
/// [`FileError`].
pub(crate) fn is_noted(directory: &Path, manifest: &Hash) -> Result<bool, FileError> {
    let path = directory.join(NAME);
    match fs::read_to_string(&path) {
        Ok(line) => Ok(line.trim_end() == manifest.to_string()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(FileError::new("read", &path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_noted_last_is_known() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let [one, two] = [1, 2].map(|byte| Hash::from_bytes([byte; 32]));
        assert!(!is_noted(path, &one).unwrap());
        note(path, &one).unwrap();
        note(path, &one).unwrap();
        assert!(is_noted(path, &one).unwrap());
        note(path, &two).unwrap();
        assert!(!is_noted(path, &one).unwrap());
        assert!(is_noted(path, &two).unwrap());
        fs::write(path.join(NAME), "what is this").unwrap();
        assert!(!is_noted(path, &two).unwrap());
    }
}
