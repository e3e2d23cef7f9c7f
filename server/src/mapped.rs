//! Files mapped into memory, read-only.

use std::fs::File;
use std::path::{Path, PathBuf};

use memmap2::{Advice, Mmap};

use crate::durable::FileError;

/// A file's bytes, without a copy of them.
#[derive(Debug)]
pub struct MappedFile {
    map: Mmap,
    path: PathBuf,
}

impl MappedFile {
    /// Maps a file that nobody changes any more: snapshots are put in their
    /// place whole and removed, never written to.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let file = File::open(path).map_err(FileError::new("open", path))?;
        #[expect(
            unsafe_code,
            reason = "mapping a file is the one thing that needs it here"
        )]
        // SAFETY: the file was renamed into place after it was complete, and this
        // program only ever unlinks such files; its owner alone may write to it.
        let map = unsafe { Mmap::map(&file) }.map_err(FileError::new("map", path))?;
        // Only a hint; ordinary pages serve as well.
        let _ = map.advise(Advice::WillNeed);
        Ok(Self {
            map,
            path: path.to_owned(),
        })
    }

    /// The content.
    pub fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// Which file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}
