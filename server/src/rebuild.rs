//! A new snapshot while one is served: built from the store, loaded and
//! verified like any other, then served in the place of the one before.

use std::sync::Arc;

use protocol::manifest::SnapshotId;
use protocol::time::UnixTime;

use crate::config::Config;
use crate::data_dir::{DataDir, DataDirError};
use crate::http::{self, AppState, StartError};
use crate::memory::Memory;
use crate::progress::Progress;
use crate::snapshot::build::{self, BuildError, BuildOptions};
use crate::store::StoreError;

/// When a snapshot is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// If anything was published or removed since, or half of the lifetime of
    /// the served one is over.
    Due,
    /// In any case.
    Now,
}

/// What a rebuild came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rebuilt {
    /// This snapshot is served now.
    Served(SnapshotId),
    /// The served one is up to date.
    UpToDate,
    /// There is nothing to publish yet.
    Empty,
}

/// Builds and serves.
#[derive(Clone, Debug)]
pub struct Rebuilder {
    data: DataDir,
    config: Config,
    state: Arc<AppState>,
}

/// Why a rebuild failed. What was served before still is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RebuildError {
    /// The data directory.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The build.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The new snapshot can't be served.
    #[error(transparent)]
    Serve(#[from] StartError),
}

impl Rebuilder {
    /// For a service of a data directory.
    pub fn new(data: DataDir, config: Config, state: Arc<AppState>) -> Self {
        Self {
            data,
            config,
            state,
        }
    }

    /// Builds, loads and serves. Takes as long as that does: call it from a
    /// thread that may block.
    ///
    /// # Errors
    /// [`RebuildError`].
    pub fn run(&self, when: When) -> Result<Rebuilt, RebuildError> {
        let now = UnixTime::now();
        if when == When::Due && !self.is_due(now)? {
            return Ok(Rebuilt::UpToDate);
        }
        let _lock = self.data.lock()?;
        let options = BuildOptions {
            provider: &self.data.provider_key()?,
            oprf: &self.data.oprf_key()?,
            trust: &self.state.trust(),
            lifetime_secs: self.config.snapshot.lifetime_hours * 3600,
            now,
            progress: Progress::Silent,
            memory: Memory::OfSystem,
        };
        match build::run(&**self.state.store(), &self.data.snapshots(), &options) {
            Ok(_) => {}
            Err(BuildError::Empty) => return Ok(Rebuilt::Empty),
            Err(error) => return Err(error.into()),
        }
        match http::published(&self.data, &self.config)? {
            Some(snapshot) => {
                let id = snapshot.id();
                self.state.replace_snapshot(snapshot)?;
                Ok(Rebuilt::Served(id))
            }
            None => Ok(Rebuilt::Empty),
        }
    }

    /// Reads the trust list and the senders again.
    ///
    /// # Errors
    /// [`DataDirError`]; what was in force stays.
    pub fn reload(&self) -> Result<(), DataDirError> {
        self.state.reload(&self.data)
    }

    fn is_due(&self, now: UnixTime) -> Result<bool, StoreError> {
        let Some(snapshot) = self.state.snapshot() else {
            return Ok(true);
        };
        let manifest = snapshot.manifest();
        let lifetime = manifest.expires_at.secs_since(manifest.published_at);
        let entries = self.state.store().view()?.audit_head()?.entries;
        let aged = now.secs_since(manifest.published_at) >= lifetime / 2;
        Ok(aged || manifest.audit.entries != entries)
    }
}
