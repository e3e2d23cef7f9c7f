//! A publisher and followers in this process, over a local directory or S3.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result};
use protocol::manifest::{BuildId, SignedManifest};
use server::data_dir::DataDir;
use server::http::AppState;
use server::ledger::Ledger;
use server::log::{Directory as LogDirectory, Objects};
use server::rebuild::{RebuildError, Rebuilder, Rebuilt, When};
use server::snapshot::build::{Clock, published_manifest};
use server::snapshot::current;
use server::storage::{Pointer, PublishError, Storage};
use server::store::{Block, Store, Update};
use tests::s3::S3;
use tests::{Deployment, Directory};

const QUIET: &str = "listen = \"127.0.0.1:0\"\n[snapshot]\ninterval_secs = 0\n";

/// A publisher, and where it publishes.
pub(crate) struct Site {
    /// Without it, the local directory alone.
    pub(crate) s3: Option<S3>,
    pub(crate) deployment: Deployment,
    pub(crate) store: Arc<dyn Store>,
    ledger: Arc<dyn Ledger>,
    changes: AtomicUsize,
}

/// A server that follows.
pub(crate) struct Follower {
    pub(crate) data: DataDir,
    pub(crate) state: Arc<AppState>,
    rebuilder: Rebuilder,
}

impl Site {
    /// With one snapshot, which is not in the storage yet.
    pub(crate) fn new(s3: Option<S3>, seed: u64) -> Result<Self> {
        let deployment = Directory::build_with(40, seed, Some(QUIET))?.hand_over()?;
        let data = &deployment.data;
        let credentials = data.root().join("s3.toml");
        fs::write(&credentials, S3::CREDENTIALS)?;
        fs::set_permissions(&credentials, fs::Permissions::from_mode(0o600))?;
        if let Some(s3) = &s3 {
            configure(data, &s3.config("publisher"))?;
        }
        let (store, ledger) = (Arc::new(data.store()?), data.ledger()?);
        Ok(Self {
            s3,
            deployment,
            store,
            ledger,
            changes: AtomicUsize::default(),
        })
    }

    pub(crate) fn data(&self) -> &DataDir {
        &self.deployment.data
    }

    /// Its files alone.
    pub(crate) fn close(self) -> Deployment {
        self.deployment
    }

    /// The storage by a client of its own.
    pub(crate) fn storage(&self) -> Result<Option<Arc<Storage>>> {
        Ok(self.data().storage(&self.data().config()?)?)
    }

    /// Withholds one more record, which makes another snapshot.
    pub(crate) fn change(&self) -> Result<()> {
        let next = self.changes.fetch_add(1, Ordering::Relaxed);
        let (csi, _) = self.deployment.expected.get(next).context("a record")?;
        let update = &mut |update: &mut dyn Update| update.block(csi, Block::Set).map(drop);
        Ok(self.store.update(update)?)
    }

    /// Publishes what is in the store; gives the manifest.
    pub(crate) fn publish(&self) -> Result<SignedManifest> {
        self.publish_as(BuildId(rand::random()))
    }

    /// The same; under the same id the same store gives the same content.
    pub(crate) fn publish_as(&self, id: BuildId) -> Result<SignedManifest> {
        self.build(self.storage()?.as_deref(), id)?;
        self.published()
    }

    pub(crate) fn build(&self, storage: Option<&Storage>, id: BuildId) -> Result<(), PublishError> {
        let (data, clock) = (self.data(), Clock::Trusted);
        tests::build_as(data, &*self.store, clock, storage, id).map(drop)
    }

    /// What the publisher's directory says.
    pub(crate) fn published(&self) -> Result<SignedManifest> {
        published(self.data())
    }

    /// A server that follows and has nothing yet but, locally, what is published.
    pub(crate) fn follower(&self, name: &str) -> Result<Follower> {
        let endpoint = self.s3.as_ref().map(S3::endpoint);
        self.follower_at(name, &endpoint.unwrap_or_default())
    }

    /// The same with a storage at this URL.
    pub(crate) fn follower_at(&self, name: &str, endpoint: &str) -> Result<Follower> {
        let Some(s3) = &self.s3 else {
            let (store, ledger) = (Arc::clone(&self.store), Arc::clone(&self.ledger));
            return Follower::open(self.data().clone(), store, ledger);
        };
        // Nothing writes to the store meanwhile.
        let data = self.deployment.replica(name)?;
        fs::remove_dir_all(data.snapshots())?;
        fs::create_dir(data.snapshots())?;
        configure(
            &data,
            &s3.config("follower").replace(&s3.endpoint(), endpoint),
        )?;
        let (store, ledger) = (Arc::new(data.store()?), data.ledger()?);
        Follower::open(data, store, ledger)
    }

    /// The publisher as a server that has just started.
    pub(crate) fn server(&self) -> Result<Follower> {
        let (store, ledger) = (Arc::clone(&self.store), Arc::clone(&self.ledger));
        Follower::open(self.data().clone(), store, ledger)
    }

    /// The objects of the storage, by their names there.
    pub(crate) fn objects(&self) -> Result<Box<dyn Objects>> {
        Ok(match self.storage()? {
            Some(storage) => Box::new(Shared(storage)),
            None => Box::new(LogDirectory::new(&self.data().snapshots())),
        })
    }

    /// The name of a snapshot's object.
    pub(crate) fn object(&self, manifest: &SignedManifest) -> String {
        let pointer = Pointer::to(manifest);
        match &self.s3 {
            None => format!("{}.sotto", pointer.snapshot),
            Some(_) => format!("snapshots/{}-{}.sotto", pointer.sequence, pointer.manifest),
        }
    }

    /// The name of the pointer's object.
    pub(crate) fn pointer(&self) -> &'static str {
        match &self.s3 {
            None => "current",
            Some(_) => "current.json",
        }
    }
}

impl Follower {
    fn open(data: DataDir, store: Arc<dyn Store>, ledger: Arc<dyn Ledger>) -> Result<Self> {
        let config = data.config()?;
        let state = AppState::open(&data, &config, store, ledger)?;
        let rebuilder = Rebuilder::new(data.clone(), config.clone(), Arc::clone(&state));
        let rebuilder = rebuilder.with_storage(data.storage(&config)?);
        Ok(Self {
            data,
            state,
            rebuilder,
        })
    }

    pub(crate) fn follow(&self) -> Result<Rebuilt, RebuildError> {
        self.rebuilder.take_over()
    }

    pub(crate) fn run(&self, when: When) -> Result<Rebuilt, RebuildError> {
        self.rebuilder.run(when)
    }

    /// What is served.
    pub(crate) fn served(&self) -> Option<Pointer> {
        let snapshot = self.state.snapshot()?;
        Some(Pointer::to(snapshot.signed_manifest()))
    }

    /// Files of its directory.
    pub(crate) fn files(&self, extension: &str) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(self.data.snapshots())? {
            let path = entry?.path();
            if path.extension().is_some_and(|found| found == extension) {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }

    /// The file that a start would load.
    pub(crate) fn file(&self) -> Result<Vec<u8>> {
        let directory = self.data.snapshots();
        let id = current::read(&directory)?;
        Ok(fs::read(current::snapshot_path(&directory, id))?)
    }
}

/// Writes a configuration with this storage.
pub(crate) fn configure(data: &DataDir, storage: &str) -> Result<()> {
    let config = format!("{QUIET}{storage}");
    Ok(fs::write(data.root().join("config.toml"), config)?)
}

/// What a directory says is published.
pub(crate) fn published(data: &DataDir) -> Result<SignedManifest> {
    let manifest = published_manifest(&data.snapshots(), &data.provider_public_key()?)?;
    manifest.context("nothing is published")
}

struct Shared(Arc<Storage>);

impl Objects for Shared {
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, server::log::LogStorageError> {
        self.0.get(name)
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), server::log::LogStorageError> {
        self.0.put(name, bytes)
    }
}
