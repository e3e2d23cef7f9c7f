//! From the local directory into the storage.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use bytes::Bytes;
use object_store::path::Path as Name;
use object_store::{ObjectStoreExt as _, WriteMultipart};

use super::StorageError;
use super::s3::{Storage, service};

/// Bytes of an uploaded part: those of a file of 100 GiB are fewer than 10 000.
const PART_BYTES: usize = 16 << 20;

/// Parts that are on their way at a time.
const PARTS: usize = 4;

impl Storage {
    /// Writes an object, whole or not at all, unless it is there.
    pub(super) async fn upload(&self, path: &Path, name: &Name) -> Result<(), StorageError> {
        let failed = |source| StorageError::Read {
            path: path.to_owned(),
            source,
        };
        let mut file = File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        // Its name has the digest of its manifest: it is there already.
        if let Ok(there) = self.store().head(name).await
            && there.size == length
        {
            return Ok(());
        }
        let parts = self.store().put_multipart(name).await;
        let parts = parts.map_err(service("upload a snapshot"))?;
        let mut parts = WriteMultipart::new_with_chunk_size(parts, PART_BYTES);
        match send(&mut file, path, &mut parts).await {
            // That takes the parts back by itself.
            Ok(()) => match parts.finish().await {
                Ok(_) => Ok(()),
                Err(error) => Err(service("upload a snapshot")(error)),
            },
            Err(error) => {
                // Parts that stay cost space.
                if let Err(error) = parts.abort().await {
                    tracing::warn!(%error, "parts of a snapshot stay in the storage");
                }
                Err(error)
            }
        }
    }
}

async fn send(
    file: &mut File,
    path: &Path,
    parts: &mut WriteMultipart,
) -> Result<(), StorageError> {
    let mut part = vec![0; PART_BYTES];
    loop {
        let read = file.read(&mut part).map_err(|source| StorageError::Read {
            path: path.to_owned(),
            source,
        })?;
        if read == 0 {
            return Ok(());
        }
        parts.put(Bytes::copy_from_slice(&part[..read]));
        let capacity = parts.wait_for_capacity(PARTS).await;
        capacity.map_err(service("upload a snapshot"))?;
    }
}
