//! Builds that other servers follow.

use std::path::Path;
use std::time::SystemTime;

use super::{Storage, StorageError};
use crate::snapshot::build::{self, BuildError, BuildOptions, Finished, published_manifest};
use crate::store::Store;

/// Why nothing was published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The build.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The storage.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Builds a snapshot and publishes it in `directory`, and in the storage if there
/// is one: there only in the place of the one that the build went out from.
///
/// # Errors
/// [`PublishError`]. After [`StorageError::Raced`] the other publisher's snapshot
/// is the one in `directory`; after other errors of the storage the next call
/// makes up for it.
pub fn publish(
    storage: Option<&Storage>,
    store: &dyn Store,
    directory: &Path,
    options: &BuildOptions<'_>,
) -> Result<Finished, PublishError> {
    let Some(storage) = storage else {
        return Ok(build::run(store, directory, options)?);
    };
    let provider = options.provider.verifying_key();
    let before = storage.synchronise(directory, &provider)?;
    let built = build::run(store, directory, options)?;
    let stage = options.progress.stage("publish", 0);
    let manifest = published_manifest(directory, &provider).map_err(BuildError::from)?;
    let Some(manifest) = manifest else {
        return Ok(built);
    };
    let pushed = storage.push(directory, &manifest, before.as_ref());
    if let Err(StorageError::Raced) = pushed {
        storage.synchronise(directory, &provider)?;
    }
    let pushed = pushed?;
    // Whatever stays is removed after a later build.
    if let Err(error) = storage.remove_old(&pushed.pointer, SystemTime::now()) {
        tracing::warn!(%error, "old snapshots stay in the storage");
    }
    stage.finish(&format!("manifest {}", pushed.pointer.sequence));
    Ok(built)
}
