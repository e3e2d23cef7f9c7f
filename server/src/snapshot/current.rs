//! Which snapshot is published.
//!
//! `snapshots/<id>.sotto` are the files, `snapshots/current` holds the name of
//! the published one and is replaced in one step.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use protocol::manifest::SnapshotId;

use super::SnapshotError;
use crate::durable::{self, FileError, PUBLIC};

const POINTER: &str = "current";
const EXTENSION: &str = "sotto";
const ROW_MASKS_EXTENSION: &str = "rowmasks";

/// The file of a snapshot.
pub fn snapshot_path(directory: &Path, id: SnapshotId) -> PathBuf {
    directory.join(format!("{id}.{EXTENSION}"))
}

/// The file of the builder's row masks of a snapshot.
pub fn row_masks_path(directory: &Path, id: SnapshotId) -> PathBuf {
    directory.join(format!("{id}.{ROW_MASKS_EXTENSION}"))
}

/// The published snapshot.
///
/// # Errors
/// [`SnapshotError::None`], [`SnapshotError::Pointer`], [`SnapshotError::File`].
pub fn read(directory: &Path) -> Result<SnapshotId, SnapshotError> {
    let path = directory.join(POINTER);
    match std::fs::read_to_string(&path) {
        Ok(text) => text
            .trim_end()
            .parse()
            .map_err(|_| SnapshotError::Pointer { path }),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(SnapshotError::None {
            path: directory.to_owned(),
        }),
        Err(error) => Err(FileError::new("read", &path)(error).into()),
    }
}

/// Publishes a snapshot whose file is in its place.
///
/// # Errors
/// [`FileError`].
pub fn replace(directory: &Path, id: SnapshotId) -> Result<(), FileError> {
    durable::replace(
        &directory.join(POINTER),
        PUBLIC,
        format!("{id}\n").as_bytes(),
    )
}

/// Removes the files of all snapshots but these, of which the first is the
/// newest, and all row masks but its. A server that has a file open keeps it.
///
/// # Errors
/// [`FileError`].
pub fn remove_others(directory: &Path, keep: &[SnapshotId]) -> Result<(), FileError> {
    let failed = || FileError::new("read", directory);
    for entry in std::fs::read_dir(directory).map_err(failed())? {
        let path = entry.map_err(failed())?.path();
        let part =
            |part: Option<&std::ffi::OsStr>| part.and_then(|p| p.to_str()).map(str::to_owned);
        let id = part(path.file_stem()).and_then(|stem| stem.parse::<SnapshotId>().ok());
        let Some(id) = id else { continue };
        let kept = match part(path.extension()).as_deref() {
            Some(EXTENSION) => keep,
            Some(ROW_MASKS_EXTENSION) => &keep[..keep.len().min(1)],
            _ => continue,
        };
        if !kept.contains(&id) {
            durable::remove(&path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pointer_names_a_snapshot_or_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        assert!(matches!(read(path), Err(SnapshotError::None { .. })));
        let (one, two) = (
            SnapshotId::from_bytes([1; 32]),
            SnapshotId::from_bytes([2; 32]),
        );
        replace(path, one).unwrap();
        assert_eq!(read(path).unwrap(), one);
        replace(path, two).unwrap();
        assert_eq!(read(path).unwrap(), two);
        std::fs::write(path.join(POINTER), "../../etc/passwd").unwrap();
        assert!(matches!(read(path), Err(SnapshotError::Pointer { .. })));
    }

    #[test]
    fn only_other_snapshots_are_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let ids = [1, 2, 3].map(|n| SnapshotId::from_bytes([n; 32]));
        ids.iter()
            .for_each(|id| std::fs::write(snapshot_path(path, *id), b"").unwrap());
        ids.iter()
            .for_each(|id| std::fs::write(row_masks_path(path, *id), b"").unwrap());
        std::fs::write(path.join("notes.sotto"), b"").unwrap();
        remove_others(path, &ids[1..]).unwrap();
        let left = ids.map(|id| snapshot_path(path, id).exists());
        assert_eq!(left, [false, true, true]);
        let left = ids.map(|id| row_masks_path(path, id).exists());
        assert_eq!(left, [false, true, false]);
        assert!(path.join("notes.sotto").exists());
    }
}
