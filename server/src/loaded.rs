//! Files read into memory, for those that every query reads from end to end.
//!
//! Anonymous memory can have huge pages, which a file's mapping has not, and
//! what is in it can't change with the file.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use memmap2::{Mmap, MmapMut};
use rayon::prelude::*;

use crate::durable::FileError;
use crate::memory::{Memory, MemoryError, Purpose};
use crate::progress::Progress;

/// Bytes that a thread reads at a time: a few huge pages.
const CHUNK_BYTES: usize = 8 << 20;

/// A file's bytes as they were when it was read.
#[derive(Debug)]
pub struct LoadedFile {
    bytes: Mmap,
    path: PathBuf,
}

/// Why a file can't be read into memory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// It can't be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is too large.
    #[error("{path}: {source}", path = .path.display())]
    Memory {
        /// The file.
        path: PathBuf,
        /// How much there is and how much it takes.
        source: MemoryError,
    },
    /// Another program writes to it.
    #[error("{path} had {expected} bytes and has {found} after it was read: something writes to it", path = .path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// Bytes it had.
        expected: u64,
        /// Bytes it has.
        found: u64,
    },
}

impl LoadedFile {
    /// Reads a file on all threads, if there is memory for it.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn read(path: &Path, memory: Memory, progress: Progress) -> Result<Self, LoadError> {
        let file = File::open(path).map_err(FileError::new("open", path))?;
        let length = length(&file, path)?;
        Self::of_length(&file, length, path, memory, progress)
    }

    /// Reads a file that had this length when it was opened.
    fn of_length(
        file: &File,
        length: u64,
        path: &Path,
        memory: Memory,
        progress: Progress,
    ) -> Result<Self, LoadError> {
        let too_large = |source| LoadError::Memory {
            path: path.to_owned(),
            source,
        };
        memory.require(Purpose::Load, length).map_err(too_large)?;
        let refused = || too_large(memory.refused(Purpose::Load, length));
        let bytes = usize::try_from(length).map_err(|_| refused())?;
        let mut bytes = MmapMut::map_anon(bytes).map_err(|_| refused())?;
        // Only a hint: small pages serve as well, if more slowly.
        #[cfg(target_os = "linux")]
        let _ = bytes.advise(memmap2::Advice::HugePage);

        let stage = progress.stage("load", length);
        let chunks = bytes.par_chunks_mut(CHUNK_BYTES).enumerate();
        let read = chunks.try_for_each(|(at, chunk)| {
            file.read_exact_at(chunk, (at * CHUNK_BYTES) as u64)?;
            stage.advance(chunk.len() as u64);
            Ok::<_, std::io::Error>(())
        });
        // What became shorter ends too early: say that rather.
        let found = self::length(file, path)?;
        if found != length {
            return Err(LoadError::Changed {
                path: path.to_owned(),
                expected: length,
                found,
            });
        }
        read.map_err(FileError::new("read", path))?;
        let bytes = bytes
            .make_read_only()
            .map_err(FileError::new("protect the memory of", path))?;
        stage.finish(&format!("{length} bytes"));
        Ok(Self {
            bytes,
            path: path.to_owned(),
        })
    }

    /// The content.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Which file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn length(file: &File, path: &Path) -> Result<u64, FileError> {
    let metadata = file.metadata().map_err(FileError::new("read", path))?;
    Ok(metadata.len())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn read(path: &Path, memory: Memory) -> Result<LoadedFile, LoadError> {
        LoadedFile::read(path, memory, Progress::Logged)
    }

    #[test]
    fn every_byte_of_every_length_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let lengths = [
            0,
            1,
            4095,
            4097,
            CHUNK_BYTES - 1,
            CHUNK_BYTES,
            2 * CHUNK_BYTES + 5,
        ];
        for length in lengths {
            let content: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            fs::write(&path, &content).unwrap();
            let loaded = read(&path, Memory::Exactly(length as u64)).unwrap();
            assert!(loaded.bytes() == content, "{length} bytes");
            // What happens to the file afterwards doesn't matter.
            fs::write(&path, b"other").unwrap();
            fs::remove_file(&path).unwrap();
            assert!(loaded.bytes() == content, "{length} bytes");
        }
    }

    #[test]
    fn a_file_larger_than_the_memory_is_refused_before_it_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        // Larger than any disk, but nothing of it is there.
        let length = 1 << 42;
        File::create(&path).unwrap().set_len(length).unwrap();
        match read(&path, Memory::Exactly(length - 1)) {
            Err(error @ LoadError::Memory { source, .. }) => {
                assert_eq!((source.needed, source.available), (length, length - 1));
                assert!(error.to_string().contains("file"), "{error}");
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(
            read(&path, Memory::OfSystem),
            Err(LoadError::Memory { .. })
        ));
    }

    #[test]
    fn a_file_that_grew_or_shrank_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, [1; 5000]).unwrap();
        let file = File::open(&path).unwrap();
        for before in [0, 4999, 5001, 1 << 20] {
            let memory = Memory::OfSystem;
            match LoadedFile::of_length(&file, before, &path, memory, Progress::Logged) {
                Err(LoadError::Changed {
                    expected, found, ..
                }) => assert_eq!((expected, found), (before, 5000)),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn what_is_no_file_is_named() {
        let directory = tempfile::tempdir().unwrap();
        for path in [directory.path().join("none"), directory.path().to_owned()] {
            match read(&path, Memory::OfSystem) {
                Err(LoadError::File(error)) => assert_eq!(error.path, path),
                other => panic!("{other:?}"),
            }
        }
    }
}
