//! A publisher and followers in this process, over a local directory or S3.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use protocol::manifest::{BuildId, SignedManifest};
use server::data_dir::DataDir;
use server::http::AppState;
use server::ledger::Ledger;
use server::log::{Directory as LogDirectory, Objects};
use server::rebuild::{RebuildError, Rebuilder, Rebuilt};
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
            let config = format!("{QUIET}{}", s3.config("publisher"));
            fs::write(data.root().join("config.toml"), config)?;
        }
        let (store, ledger) = (Arc::new(data.store()?), data.ledger()?);
        Ok(Self {
            s3,
            deployment,
            store,
            ledger,
        })
    }

    pub(crate) fn data(&self) -> &DataDir {
        &self.deployment.data
    }

    /// The storage by a client of its own.
    pub(crate) fn storage(&self) -> Result<Option<Arc<Storage>>> {
        Ok(self.data().storage(&self.data().config()?)?)
    }

    /// Withholding a record, or publishing it again, makes another snapshot.
    pub(crate) fn change(&self) -> Result<()> {
        let csi = &self.deployment.expected[0].0;
        let update = &mut |update: &mut dyn Update| match update.block(csi, Block::Set)? {
            true => Ok(()),
            false => update.block(csi, Block::Lift).map(drop),
        };
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
        let Some(s3) = &self.s3 else {
            let (store, ledger) = (Arc::clone(&self.store), Arc::clone(&self.ledger));
            return Follower::open(self.data().clone(), store, ledger);
        };
        let data = copy(self, name)?;
        fs::remove_dir_all(data.snapshots())?;
        fs::create_dir(data.snapshots())?;
        fs::write(
            data.root().join("config.toml"),
            format!("{QUIET}{}", s3.config("follower")),
        )?;
        let (store, ledger) = (Arc::new(data.store()?), data.ledger()?);
        Follower::open(data, store, ledger)
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

/// The store is copied while it is open, which nothing writes to.
fn copy(site: &Site, name: &str) -> Result<DataDir> {
    site.deployment.replica(name)
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
