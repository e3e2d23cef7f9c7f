//! A new snapshot while one is served: built from the store, loaded and
//! verified like any other, then served, the one before beside it for a while.

mod follow;
mod retirement;
mod schedule;

use std::sync::Arc;
use std::time::Instant;

use protocol::manifest::{BuildId, Manifest, SnapshotId};
use protocol::merkle::Hash;
use protocol::time::UnixTime;
use rayon::ThreadPoolBuildError;

use crate::background;
use crate::config::Config;
use crate::data_dir::{DataDir, DataDirError};
use crate::durable::FileError;
use crate::freshness;
use crate::http::{self, AppState, StartError};
use crate::memory::Memory;
use crate::metrics::Stage;
use crate::oprf_keys::{EpochKey, OprfKeyDir, OprfKeyRing, OprfKeysError};
use crate::progress::Progress;
use crate::snapshot::Snapshot;
use crate::snapshot::SnapshotError;
use crate::snapshot::build::{BuildError, BuildOptions, Clock, Finished, published_manifest};
use crate::storage::{self, PublishError, Storage, StorageError};
use crate::store::StoreError;
use crate::tokens::Tokens;
pub use follow::follow;
pub use schedule::{Schedule, keep_fresh};

/// When a snapshot is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// If anything was published or removed since, half of the lifetime of the
    /// served one is over, or keys of tokens are needed.
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
    storage: Option<Arc<Storage>>,
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
    /// The OPRF's keys.
    #[error(transparent)]
    OprfKeys(#[from] OprfKeysError),
    /// The build.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The storage.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A snapshot.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The new snapshot can't be served.
    #[error(transparent)]
    Serve(#[from] StartError),
    /// Threads can't be started.
    #[error("cannot start threads: {0}")]
    Threads(#[from] ThreadPoolBuildError),
}

impl RebuildError {
    /// Every [kind](Self::kind).
    pub const KINDS: [&str; 9] = [
        "data_dir",
        "store",
        "oprf_keys",
        "build",
        "storage",
        "snapshot",
        "file",
        "serve",
        "threads",
    ];

    /// What failed, in a word.
    pub fn kind(&self) -> &'static str {
        let [
            data_dir,
            store,
            oprf_keys,
            build,
            storage,
            snapshot,
            file,
            serve,
            threads,
        ] = Self::KINDS;
        match self {
            Self::DataDir(_) => data_dir,
            Self::Store(_) => store,
            Self::OprfKeys(_) => oprf_keys,
            Self::Build(_) => build,
            Self::Storage(_) => storage,
            Self::Snapshot(_) => snapshot,
            Self::File(_) => file,
            Self::Serve(_) => serve,
            Self::Threads(_) => threads,
        }
    }
}

impl Rebuilder {
    /// For a service of a data directory.
    pub fn new(data: DataDir, config: Config, state: Arc<AppState>) -> Self {
        Self {
            data,
            config,
            state,
            storage: None,
        }
    }

    /// The same, with a storage that other servers follow, or that this one does.
    #[must_use]
    pub fn with_storage(mut self, storage: Option<Arc<Storage>>) -> Self {
        self.storage = storage;
        self
    }

    /// Builds, loads and serves, in the [background]. Takes as long as that does:
    /// call it from a thread that may block.
    ///
    /// # Errors
    /// [`RebuildError`].
    pub fn run(&self, when: When) -> Result<Rebuilt, RebuildError> {
        background::run(|| self.build_and_serve(when))?
    }

    fn build_and_serve(&self, when: When) -> Result<Rebuilt, RebuildError> {
        self.state.require_trusted()?;
        let now = UnixTime::now();
        let keys = self.data.oprf_key_dir(&self.config)?;
        let begun = self.serve_stored(&keys)?;
        let due = when == When::Now || self.is_due(&keys, now)?;
        if !due && self.is_settled(&keys, now)? && self.is_in_storage()? {
            return Ok(begun);
        }
        let _lock = self.data.lock()?;
        let before = self.state.snapshot();
        let before = before.as_ref().map(|snapshot| snapshot.manifest());
        if due {
            self.rotate_if_due(&keys, before, now);
        }
        let ring = self.load(&keys)?;
        // Both keys evaluate before a manifest names the new one.
        self.state.replace_oprf_keys(ring.clone());
        let rebuilt = match due {
            true => self.build(ring.newest(), now)?,
            false => Rebuilt::UpToDate,
        };
        if let Some(published) = self.state.snapshot() {
            let published = published.manifest();
            let ring = keys.settle(ring, before, published, self.lifetime_secs(), now)?;
            self.state.replace_oprf_keys(ring);
        }
        if !due {
            return match self.synchronise()? {
                Rebuilt::UpToDate => Ok(begun),
                other => Ok(other),
            };
        }
        Ok(rebuilt)
    }

    /// Serves what the storage publishes, if nothing is served yet: what is on the
    /// disk here may not have got there before this server had ended.
    fn serve_stored(&self, keys: &OprfKeyDir) -> Result<Rebuilt, RebuildError> {
        if self.storage.is_none() || self.state.snapshot().is_some() {
            return Ok(Rebuilt::UpToDate);
        }
        let _lock = self.data.lock()?;
        self.state.replace_oprf_keys(self.load(keys)?);
        self.synchronise()
    }

    /// Whether followers can have what is served.
    fn is_in_storage(&self) -> Result<bool, RebuildError> {
        let (Some(storage), Some(served)) = (&self.storage, self.state.snapshot()) else {
            return Ok(true);
        };
        let there = storage.current()?.map(|there| there.pointer.manifest);
        Ok(there == Some(served.signed_manifest().digest()))
    }

    /// Publishes in the storage what a process here has published and could not put
    /// there before it ended, or serves what another publisher has put there.
    fn synchronise(&self) -> Result<Rebuilt, RebuildError> {
        let Some(storage) = &self.storage else {
            return Ok(Rebuilt::UpToDate);
        };
        let (directory, provider) = (self.data.snapshots(), self.data.provider_public_key()?);
        storage.synchronise(&directory, &provider)?;
        let here = published_manifest(&directory, &provider)?.map(|here| here.digest());
        let served = self.state.snapshot();
        let served = served.map(|served| served.signed_manifest().digest());
        match here == served {
            true => Ok(Rebuilt::UpToDate),
            false => self.serve_published(),
        }
    }

    fn serve_published(&self) -> Result<Rebuilt, RebuildError> {
        // Two are in memory at most.
        self.retire_before();
        let begun = Instant::now();
        let Some(snapshot) = http::published(&self.data, &self.config)? else {
            return Ok(Rebuilt::Empty);
        };
        let id = snapshot.id();
        let tokens = Tokens::open(&self.data, snapshot.manifest().token_keys.as_ref())?;
        self.state.require_key_of(&snapshot)?;
        self.state.replace_tokens(tokens);
        self.state.replace_snapshot(snapshot)?;
        self.state.metrics().stage(Stage::Load, begun.elapsed());
        Ok(Rebuilt::Served(id))
    }

    fn build(&self, oprf: &EpochKey, now: UnixTime) -> Result<Rebuilt, RebuildError> {
        let metrics = self.state.metrics();
        let (_running, begun) = (metrics.rebuilding(), Instant::now());
        let token_keys = Tokens::prepare(&self.data, now, self.lifetime_secs())?;
        match self.publish(oprf, token_keys, now) {
            Ok(Some(built)) => built.log(),
            Ok(None) => {
                tracing::info!("no snapshot yet: the store is empty");
                return Ok(Rebuilt::Empty);
            }
            // The other one is in the directory by now.
            Err(RebuildError::Storage(error @ StorageError::Raced)) => {
                tracing::warn!(%error, "built in vain");
                return self.serve_published();
            }
            Err(error) => return Err(error),
        }
        metrics.stage(Stage::Build, begun.elapsed());
        let rebuilt = self.serve_published()?;
        if let Rebuilt::Served(_) = rebuilt {
            Tokens::forget_directories_but(&self.data, &token_keys)?;
        }
        Ok(rebuilt)
    }

    /// Builds and publishes; `None` if there is nothing to publish yet.
    fn publish(
        &self,
        oprf: &EpochKey,
        token_keys: Hash,
        now: UnixTime,
    ) -> Result<Option<Finished>, RebuildError> {
        let options = BuildOptions {
            provider: &self.data.provider_key()?,
            oprf,
            trust: &self.state.trust(),
            filter: self.config.snapshot.filter_policy(),
            token_keys: Some(token_keys),
            lifetime_secs: self.lifetime_secs(),
            now,
            clock: Clock::Trusted,
            build_id: BuildId(rand::random()),
            progress: Progress::Logged,
            memory: Memory::OfSystem,
        };
        let (store, directory) = (self.state.store(), self.data.snapshots());
        match storage::publish(self.storage.as_deref(), &**store, &directory, &options) {
            Ok(built) => Ok(Some(built)),
            Err(PublishError::Build(BuildError::Empty)) => Ok(None),
            Err(PublishError::Build(error)) => Err(error.into()),
            Err(PublishError::Storage(error)) => Err(error.into()),
        }
    }

    /// Ends the time of the snapshot before the served one, and notes how long the
    /// removals took that have left every served snapshot with it.
    pub fn retire_before(&self) {
        let Some(before) = self.state.retire_snapshot_before() else {
            return;
        };
        let entries = |snapshot: &Snapshot| snapshot.manifest().audit.entries;
        let from = entries(&before);
        let to = self
            .state
            .snapshot()
            .map_or(from, |newest| entries(&newest));
        let gone = || freshness::gone(&*self.state.store().view()?, from, to, UnixTime::now());
        match gone() {
            Ok(seconds) => {
                let metrics = self.state.metrics();
                seconds.iter().for_each(|secs| metrics.removed(*secs));
                tracing::info!(
                    snapshot = %before.id(),
                    removals = seconds.len(),
                    slowest_secs = seconds.iter().max().copied().unwrap_or_default(),
                    "the snapshot before is not served any more"
                );
            }
            Err(error) => tracing::error!(%error, "how long removals took is not known"),
        }
    }

    /// Number of entries of the audit log that the served snapshot doesn't have.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn changes(&self) -> Result<u64, StoreError> {
        let entries = self.state.store().view()?.audit_head()?.entries;
        let served = self.state.snapshot();
        let known = served.map_or(0, |snapshot| snapshot.manifest().audit.entries);
        Ok(entries.saturating_sub(known))
    }

    /// Makes the next OPRF key if the configuration says that it is time. If that
    /// fails, builds go on under the key that there is.
    fn rotate_if_due(&self, keys: &OprfKeyDir, published: Option<&Manifest>, now: UnixTime) {
        let rotated = match self.rotation_is_due(keys, now) {
            Ok(true) => keys.rotate(published, now, false).map(Some),
            Ok(false) => Ok(None),
            Err(error) => Err(error),
        };
        match rotated {
            Ok(Some(epoch)) => tracing::info!(epoch, "made the next OPRF key"),
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "the OPRF key was not rotated"),
        }
    }

    fn rotation_is_due(&self, keys: &OprfKeyDir, now: UnixTime) -> Result<bool, OprfKeysError> {
        keys.rotation_is_due(self.config.oprf.rotate_days, now)
    }

    /// The keys on the disk. Second shares that were taken away since the start
    /// aren't needed until there is another key.
    fn load(&self, keys: &OprfKeyDir) -> Result<OprfKeyRing, DataDirError> {
        match keys.load() {
            Err(error @ OprfKeysError::SecondMissing { .. }) => {
                tracing::warn!(%error, "the OPRF keys stay those that were read before");
                Ok((*self.state.oprf_keys()).clone())
            }
            loaded => Ok(loaded?),
        }
    }

    fn lifetime_secs(&self) -> u64 {
        self.config.snapshot.lifetime_hours * 3600
    }

    /// Reads the trust list, the senders and the quotas again.
    ///
    /// # Errors
    /// [`DataDirError`]; what was in force stays.
    pub fn reload(&self) -> Result<(), DataDirError> {
        self.state.reload(&self.data)
    }

    /// The same, for those who wait for a signal.
    fn reload_and_tell(&self) {
        match self.reload() {
            Ok(()) => tracing::info!("trust list, senders and quotas were read again"),
            Err(error) => tracing::error!(%error, "what was in force stays"),
        }
    }

    fn is_due(&self, keys: &OprfKeyDir, now: UnixTime) -> Result<bool, RebuildError> {
        let Some(snapshot) = self.state.snapshot() else {
            return Ok(true);
        };
        let manifest = snapshot.manifest();
        let lifetime = manifest.expires_at.secs_since(manifest.published_at);
        let entries = self.state.store().view()?.audit_head()?.entries;
        let aged = now.secs_since(manifest.published_at) >= lifetime / 2;
        let newest = keys.newest_epoch()?;
        let rotated = newest.is_some_and(|newest| newest > manifest.oprf_epoch);
        let rotation = self.rotation_is_due(keys, now)?;
        Ok(aged
            || manifest.audit.entries != entries
            || rotated
            || rotation
            || self.state.tokens_run_out(now))
    }

    fn is_settled(&self, keys: &OprfKeyDir, now: UnixTime) -> Result<bool, DataDirError> {
        match self.state.snapshot() {
            Some(snapshot) => Ok(keys.is_settled(snapshot.manifest().oprf_epoch, now)?),
            None => Ok(true),
        }
    }
}

#[cfg(test)]
mod tests;
