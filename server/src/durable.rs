//! Files that are whole or absent, whatever fails while they are written.
//!
//! A file is written beside its place under a temporary name, synchronised,
//! renamed, and its directory synchronised.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

#[cfg(test)]
pub(crate) mod faults;
#[cfg(test)]
use faults::step;

/// One step of the operating system's; tests have it fail.
#[cfg(not(test))]
fn step<T>(run: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    run()
}

/// Owner may read and write, nobody else anything.
pub const PRIVATE: u32 = 0o600;

/// Owner may read and write, others read.
pub const PUBLIC: u32 = 0o644;

/// What could not be done with which file, why, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {path}: {source}{advice}", path = .path.display(), advice = advice(.source))]
pub struct FileError {
    /// A verb: read, write, create.
    pub action: &'static str,
    /// The file.
    pub path: PathBuf,
    /// What the operating system said.
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

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; nothing was changed: free some space and run it again"
        }
        io::ErrorKind::PermissionDenied => {
            "; run as the directory's owner or correct its permissions"
        }
        io::ErrorKind::ReadOnlyFilesystem => "; the file system is mounted read-only",
        _ => "",
    }
}

/// Writes a file, replacing one that is there.
///
/// # Errors
/// [`FileError`]; the old file, if any, is then as it was.
pub fn replace(path: &Path, mode: u32, content: &[u8]) -> Result<(), FileError> {
    let mut file = Pending::create(path, mode)?;
    file.write_all(content)
        .map_err(FileError::new("write", path))?;
    file.replace()
}

/// Writes a file that must not be there yet.
///
/// # Errors
/// [`FileError`], of kind `AlreadyExists` if it is.
pub fn create(path: &Path, mode: u32, content: &[u8]) -> Result<(), FileError> {
    let mut file = Pending::create(path, mode)?;
    file.write_all(content)
        .map_err(FileError::new("write", path))?;
    file.create_new()
}

/// Moves a file to a place in the same file system that must be free.
///
/// # Errors
/// [`FileError`].
pub fn relocate(from: &Path, to: &Path) -> Result<(), FileError> {
    step(|| fs::hard_link(from, to)).map_err(FileError::new("create", to))?;
    synchronise_directory(to)?;
    remove(from)
}

/// Moves a file to a place in the same directory, replacing one that is there.
///
/// # Errors
/// [`FileError`].
pub fn supersede(from: &Path, to: &Path) -> Result<(), FileError> {
    step(|| fs::rename(from, to)).map_err(FileError::new("rename", to))?;
    synchronise_directory(to)
}

/// Removes a file, if it is there. What it held may stay on the disk until it is
/// overwritten.
///
/// # Errors
/// [`FileError`].
pub fn remove(path: &Path) -> Result<(), FileError> {
    match step(|| fs::remove_file(path)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => {
            removed.map_err(FileError::new("remove", path))?;
            synchronise_directory(path)
        }
    }
}

/// A file that is not in its place yet; dropped, it was never there.
#[derive(Debug)]
pub struct Pending {
    file: Option<BufWriter<File>>,
    temporary: PathBuf,
    path: PathBuf,
}

impl Pending {
    /// Opens a temporary file beside `path`, with these permissions.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn create(path: &Path, mode: u32) -> Result<Self, FileError> {
        let mut name = std::ffi::OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(format!(
            ".{}.{:016x}.tmp",
            std::process::id(),
            rand::random::<u64>()
        ));
        let temporary = path.with_file_name(name);
        let mut options = OpenOptions::new();
        let file = step(|| {
            options
                .write(true)
                .create_new(true)
                .mode(mode)
                .open(&temporary)
        })
        .map_err(FileError::new("create", path))?;
        let file = Some(BufWriter::with_capacity(1 << 20, file));
        Ok(Self {
            file,
            temporary,
            path: path.to_owned(),
        })
    }

    /// Puts the file in its place, replacing one that is there.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn replace(mut self) -> Result<(), FileError> {
        self.synchronise()?;
        step(|| fs::rename(&self.temporary, &self.path))
            .map_err(FileError::new("rename", &self.path))?;
        synchronise_directory(&self.path)
    }

    /// Puts the file in its place, which must be free.
    ///
    /// # Errors
    /// [`FileError`], of kind `AlreadyExists` if it isn't.
    pub fn create_new(mut self) -> Result<(), FileError> {
        self.synchronise()?;
        step(|| fs::hard_link(&self.temporary, &self.path))
            .map_err(FileError::new("create", &self.path))?;
        synchronise_directory(&self.path)
    }

    fn synchronise(&mut self) -> Result<(), FileError> {
        if let Some(buffer) = self.file.take() {
            step(|| buffer.into_inner().map_err(io::IntoInnerError::into_error))
                .and_then(|file| step(|| file.sync_all()))
                .map_err(FileError::new("write", &self.path))?;
        }
        Ok(())
    }
}

impl Write for Pending {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.file {
            Some(file) => step(|| file.write(bytes)),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        // Gone already if it was renamed.
        let _ = fs::remove_file(&self.temporary);
    }
}

/// Removes what processes that were killed left in a directory under temporary
/// names. Nothing else may be writing there.
///
/// # Errors
/// [`FileError`].
pub fn remove_pending(directory: &Path) -> Result<(), FileError> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(FileError::new("read", directory))?,
    };
    for entry in entries {
        let path = entry.map_err(FileError::new("read", directory))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') && name.ends_with(".tmp") {
            remove(&path)?;
        }
    }
    Ok(())
}

fn synchronise_directory(path: &Path) -> Result<(), FileError> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    step(|| File::open(directory)?.sync_all()).map_err(FileError::new("synchronise", directory))
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_what_was_left_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        for name in [".store.key.12.00ab.tmp", "store.key", ".hidden", "a.tmp"] {
            fs::write(path(name), "a key").unwrap();
        }
        remove_pending(directory.path()).unwrap();
        remove_pending(&path("none")).unwrap();
        assert!(!path(".store.key.12.00ab.tmp").exists());
        assert!(
            ["store.key", ".hidden", "a.tmp"]
                .iter()
                .all(|name| path(name).exists())
        );
    }

    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn replaces_and_leaves_nothing_beside() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        replace(&path, PUBLIC, b"one").unwrap();
        replace(&path, PRIVATE, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            PRIVATE
        );
        assert_eq!(names(directory.path()), ["file"]);
    }

    #[test]
    fn never_overwrites_when_asked_to_create() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        create(&path, PRIVATE, b"one").unwrap();
        let error = create(&path, PRIVATE, b"two").unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert_eq!(names(directory.path()), ["key"]);
    }

    #[test]
    fn files_are_moved_to_free_places_and_removed_once() {
        let directory = tempfile::tempdir().unwrap();
        let [from, to] = ["from", "to"].map(|name| directory.path().join(name));
        create(&from, PRIVATE, b"one").unwrap();
        create(&to, PRIVATE, b"two").unwrap();
        let error = relocate(&from, &to).unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::AlreadyExists);
        remove(&to).unwrap();
        relocate(&from, &to).unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"one");
        assert_eq!(names(directory.path()), ["to"]);
        remove(&to).unwrap();
        remove(&to).unwrap();
        assert!(names(directory.path()).is_empty());
    }

    #[test]
    fn what_is_not_finished_was_never_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        replace(&path, PUBLIC, b"old").unwrap();
        let mut pending = Pending::create(&path, PUBLIC).unwrap();
        pending.write_all(b"new").unwrap();
        drop(pending);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(directory.path()), ["file"]);
    }

    #[test]
    fn a_full_disk_is_named() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let text = FileError::new("write", Path::new("/data/store"))(full).to_string();
        assert!(
            text.contains("/data/store") && text.contains("free some space"),
            "{text}"
        );
    }
}
