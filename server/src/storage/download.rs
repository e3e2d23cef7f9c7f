//! From the storage into the local directory.
//!
//! A download has a name of its own until all of it is verified; only then does it
//! take the place of a file that may be served.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt as _;
use object_store::{GetOptions, ObjectMeta, ObjectStoreExt as _};
use protocol::cose::VerifyingKey;
use protocol::manifest::{SignedManifest, SnapshotId};

use super::s3::{Storage, service};
use super::{Pointer, StorageError};
use crate::durable::{self, FileError, PRIVATE};
use crate::log;
use crate::snapshot::{SnapshotError, current, unloaded};

/// Time from a refusal to the next download of the same object.
const REFUSED_FOR: Duration = Duration::from_secs(600);

const EXTENSION: &str = "download";

/// A verified snapshot that has not taken its place yet.
#[derive(Debug)]
pub struct Download {
    pointer: Pointer,
    path: PathBuf,
    to: PathBuf,
    object: ObjectMeta,
}

/// What was downloaded and isn't whole.
#[derive(Debug)]
pub(super) struct Refused {
    object: ObjectMeta,
    at: Instant,
}

impl Download {
    /// The snapshot.
    #[must_use]
    pub fn id(&self) -> SnapshotId {
        self.pointer.snapshot
    }

    /// Where it is now.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts it in its place in the directory, where one of the same content may be.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn place(self) -> Result<(), FileError> {
        durable::supersede(&self.path, &self.to)
    }
}

impl Storage {
    /// Downloads a snapshot and its log, from where an earlier download has stopped,
    /// and verifies every byte of it. It is not in its place yet. Nothing else may be
    /// writing to the directory.
    ///
    /// # Errors
    /// [`StorageError::Refused`] if it isn't what the pointer and its manifest say:
    /// it is removed then. Others of [`StorageError`].
    pub fn fetch(
        &self,
        pointer: &Pointer,
        directory: &Path,
        provider: &VerifyingKey,
    ) -> Result<Download, StorageError> {
        let name = self.object(pointer);
        let head = self.wait(self.store().head(&name));
        let download = Download {
            pointer: pointer.clone(),
            path: directory.join(format!("{}.{EXTENSION}", pointer.manifest)),
            to: current::snapshot_path(directory, pointer.snapshot),
            object: head.map_err(service("find a snapshot"))?,
        };
        self.require_not_refused(&download)?;
        remove_others(directory, &download.path)?;
        let mut goes_on = self.download(&download)?;
        let manifest = loop {
            match unloaded::verify(&download.path, provider) {
                Ok(manifest) if Pointer::to(&manifest) == *pointer => break manifest,
                Ok(_) | Err(SnapshotError::Unusable { .. }) if goes_on => {
                    tracing::warn!(
                        sequence = pointer.sequence,
                        "what an earlier download had left is not a part of the snapshot: it is downloaded from its beginning"
                    );
                    durable::remove(&download.path)?;
                    goes_on = self.download(&download)?;
                }
                Ok(_) => {
                    let sequence = pointer.sequence;
                    self.remove_refused(&download)?;
                    return Err(StorageError::Other { sequence });
                }
                Err(error) => return Err(self.refuse(&download, error)),
            }
        };
        self.mirror_log(directory, &manifest)?;
        Ok(download)
    }

    /// Removes a download that was found unusable, and doesn't take the same object
    /// again for a while. Gives what to say.
    pub fn refuse(&self, download: &Download, error: SnapshotError) -> StorageError {
        if !matches!(error, SnapshotError::Unusable { .. }) {
            return Box::new(error).into();
        }
        if let Err(error) = self.remove_refused(download) {
            return error.into();
        }
        StorageError::Refused {
            sequence: download.pointer.sequence,
            source: Box::new(error),
        }
    }

    fn remove_refused(&self, download: &Download) -> Result<(), FileError> {
        let refused = Refused {
            object: download.object.clone(),
            at: Instant::now(),
        };
        let mut last = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some(refused);
        durable::remove(&download.path)
    }

    fn require_not_refused(&self, download: &Download) -> Result<(), StorageError> {
        let last = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let is_last =
            |last: &Refused| last.object == download.object && last.at.elapsed() < REFUSED_FOR;
        match last.as_ref().is_some_and(is_last) {
            true => Err(StorageError::StillRefused {
                sequence: download.pointer.sequence,
                after: REFUSED_FOR,
            }),
            false => Ok(()),
        }
    }

    fn mirror_log(&self, directory: &Path, manifest: &SignedManifest) -> Result<(), StorageError> {
        Ok(log::mirror(
            self,
            &log::Directory::new(directory),
            manifest,
        )?)
    }

    /// Whether it went on from where an earlier one had stopped.
    fn download(&self, download: &Download) -> Result<bool, StorageError> {
        let (path, object) = (&download.path, &download.object);
        let failed = |action| FileError::new(action, path);
        let mut options = OpenOptions::new();
        let options = options.create(true).append(true).mode(PRIVATE);
        let mut file = options.open(path).map_err(failed("open"))?;
        let mut there = file.metadata().map_err(failed("read"))?.len();
        if there > object.size {
            file.set_len(0).map_err(failed("shorten"))?;
            there = 0;
        }
        if there < object.size {
            let options = GetOptions::new()
                .with_if_match(object.e_tag.clone())
                .with_range(Some(there..object.size));
            let read = async {
                let found = self.store().get_opts(&object.location, options).await?;
                let mut parts = found.into_stream();
                while let Some(part) = parts.try_next().await? {
                    if let Err(error) = file.write_all(&part) {
                        return Ok(Err(error));
                    }
                }
                Ok(Ok(()))
            };
            let written = self.wait(read).map_err(service("download a snapshot"))?;
            if let Err(error) = written {
                // What it took may be what is missing on the disk.
                durable::remove(path)?;
                return Err(failed("write")(error).into());
            }
        }
        file.sync_all().map_err(failed("synchronise"))?;
        Ok(there > 0)
    }
}

/// Removes what was downloaded of snapshots that aren't the published one any more.
fn remove_others(directory: &Path, path: &Path) -> Result<(), FileError> {
    let failed = || FileError::new("read", directory);
    for entry in fs::read_dir(directory).map_err(failed())? {
        let other = entry.map_err(failed())?.path();
        if other.extension().is_some_and(|found| found == EXTENSION) && other != path {
            durable::remove(&other)?;
        }
    }
    Ok(())
}
