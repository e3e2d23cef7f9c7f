//! Files that are whole or absent, whatever fails while they are written.
//!
//! A file is written beside its place under a temporary name, synchronised,
//! put in its place, and its directory synchronised.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// Owner may read and write, nobody else anything.
pub const PRIVATE: u32 = 0o600;

/// Owner may read and write, others read.
pub const PUBLIC: u32 = 0o644;

/// What could not be done with which file, and why.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {path}", path = .path.display())]
pub struct FileError {
    /// A verb: read, write, create.
    pub action: &'static str,
    /// The file.
    pub path: PathBuf,
    /// What the operating system said.
    #[source]
    pub source: io::Error,
}

impl FileError {
    /// For `map_err`.
    pub fn new(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self {
            action,
            path,
            source,
        }
    }
}

/// Writes a file that must not be there yet, with these permissions.
///
/// # Errors
/// [`FileError`], of kind `AlreadyExists` if it is.
pub fn create(path: &Path, mode: u32, content: &[u8]) -> Result<(), FileError> {
    let file = written(path, mode, content)?;
    file.persist_noclobber(path)
        .map_err(|error| FileError::new("create", path)(error.error))?;
    synchronise_directory(path)
}

/// Writes a file, replacing one that is there.
///
/// # Errors
/// [`FileError`]; the old file, if any, is then as it was.
pub fn replace(path: &Path, mode: u32, content: &[u8]) -> Result<(), FileError> {
    let file = written(path, mode, content)?;
    file.persist(path)
        .map_err(|error| FileError::new("write", path)(error.error))?;
    synchronise_directory(path)
}

/// The permissions of a file, if others than its owner may do anything with it.
///
/// # Errors
/// [`FileError`].
pub fn exposure(path: &Path) -> Result<Option<u32>, FileError> {
    let metadata = fs::metadata(path).map_err(FileError::new("read", path))?;
    let mode = metadata.permissions().mode() & 0o777;
    Ok((mode & 0o077 != 0).then_some(mode))
}

/// A temporary file with the content, which vanishes unless it is persisted.
fn written(path: &Path, mode: u32, content: &[u8]) -> Result<NamedTempFile, FileError> {
    let mut file = tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(PRIVATE))
        .tempfile_in(directory(path))
        .map_err(FileError::new("create", path))?;
    file.write_all(content)
        .and_then(|()| {
            // Exactly these, whatever the umask.
            file.as_file()
                .set_permissions(fs::Permissions::from_mode(mode))
        })
        .and_then(|()| file.as_file().sync_all())
        .map_err(FileError::new("write", path))?;
    Ok(file)
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn synchronise_directory(path: &Path) -> Result<(), FileError> {
    let directory = directory(path);
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(FileError::new("synchronise", directory))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_created_once_replaced_whole_and_nothing_is_left_beside() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        create(&path, PRIVATE, b"one").unwrap();
        assert_eq!(exposure(&path).unwrap(), None);
        let error = create(&path, PRIVATE, b"two").unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"one");
        replace(&path, PUBLIC, b"three").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"three");
        assert_eq!(exposure(&path).unwrap(), Some(PUBLIC));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_file_is_named_when_it_cannot_be_written() {
        let error = create(Path::new("/nonexistent/file"), PUBLIC, b"").unwrap_err();
        assert_eq!(error.to_string(), "cannot create /nonexistent/file");
        assert!(exposure(Path::new("/nonexistent/file")).is_err());
    }
}
