//! Published snapshots: built, written, loaded and verified.

pub mod build;
pub mod current;
pub mod file;
pub mod inspect;
mod trial;
pub mod unloaded;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use pir_core::Backend;
use pir_core::check::Check;
use pir_core::database::DatabaseView;
use pir_core::params::{ParameterSet, Params, ParamsError, Widths};
use pir_core::query::Query;
use pir_core::server::{Server, Workspace};
use protocol::cose::VerifyingKey;
use protocol::filter::{FilterError, MembershipFilter};
use protocol::hint::{HintError, SnapshotHint};
use protocol::manifest::{Manifest, ManifestError, PirShape, SignedManifest, SnapshotId};
use protocol::merkle::Hash;
use serde::{Deserialize, Serialize};

use crate::durable::FileError;
use crate::loaded::{LoadError, LoadedFile};
use crate::log::{Directory, LogStorageError, PublishedLog};
use crate::memory::Memory;
use crate::progress::Progress;
use crate::scheduler::Engine;
use file::{FileFault, Section};

// The packing matrices are used as they lie in the file.
const _: () = assert!(
    cfg!(target_endian = "little"),
    "snapshot files are little-endian"
);

/// A verified snapshot, in memory, ready to answer.
#[derive(Debug)]
pub struct Snapshot {
    file: LoadedFile,
    manifest: SignedManifest,
    /// The log that ends with it.
    log: PublishedLog,
    facts: Facts,
    params: Params,
    backend: Backend,
    /// A copy of its own, for those who fetch it: they may outlast the snapshot.
    hint: Bytes,
    /// As well.
    filter: Option<Bytes>,
    database: Range<usize>,
    packing: Range<usize>,
    /// What every pass is checked by.
    check: Check,
    /// Whether a pass failed its check.
    faulty: AtomicBool,
    /// Of the pass that runs; there is one at a time.
    workspace: Mutex<Workspace>,
    passes: AtomicU64,
    answered: AtomicU64,
}

/// What a snapshot was asked since it was loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// Passes over the database.
    pub passes: u64,
    /// Queries that they answered.
    pub queries: u64,
}

/// What the builder noted about a snapshot, for operators. Nothing of it differs
/// between two builds of the same; earlier builders noted more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Version of the program.
    pub builder: String,
    /// Bytes of all sealed records.
    pub record_bytes: u64,
    /// Bytes for records in a bucket.
    pub capacity_bytes: u32,
    /// The bucket with most bytes of records.
    pub fullest_bucket: u32,
    /// Bytes of records in it.
    pub fullest_bytes: u32,
}

/// Why a snapshot can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// A file can't be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A snapshot's file can't be read into memory.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The log of manifests that ends with a snapshot's.
    #[error(transparent)]
    Log(#[from] LogStorageError),
    /// None was built.
    #[error("there is no snapshot in {path} yet: run `sotto-server snapshot build`", path = .path.display())]
    None {
        /// Where they would be.
        path: PathBuf,
    },
    /// The pointer is not a snapshot's name.
    #[error("{path} does not name a snapshot: run `sotto-server snapshot build`", path = .path.display())]
    Pointer {
        /// The pointer's file.
        path: PathBuf,
    },
    /// The file is not a whole snapshot of this provider.
    #[error("{path} is not usable: {fault}", path = .path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: Fault,
    },
}

/// What is wrong with a snapshot's file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The container.
    #[error(transparent)]
    File(#[from] FileFault),
    /// The manifest.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The hint.
    #[error(transparent)]
    Hint(#[from] HintError),
    /// The membership filter.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// The parameters.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// The PIR refuses a part.
    #[error(transparent)]
    Pir(#[from] pir_core::Error),
    /// The builder's notes.
    #[error("the builder's notes are malformed")]
    Facts,
    /// A bucket that was looked up is not the one in the database.
    #[error(
        "it answers wrongly: its hint or packing matrices are of another database, or this machine computes wrongly"
    )]
    Trial,
    /// Two parts don't belong together.
    #[error("{part} is not the one that the manifest describes")]
    Mismatch {
        /// Which part.
        part: &'static str,
    },
    /// The file holds another snapshot than its name says.
    #[error("it holds the snapshot {found}")]
    OtherSnapshot {
        /// Which one.
        found: SnapshotId,
    },
}

impl Snapshot {
    /// Reads a snapshot's file into memory and verifies all of it: digests,
    /// signature by `provider`, and that its parts belong together. Whether it
    /// has expired is left to the caller.
    ///
    /// # Errors
    /// [`SnapshotError::Load`], [`SnapshotError::Unusable`].
    pub fn load(
        directory: &Path,
        id: SnapshotId,
        provider: &VerifyingKey,
        memory: Memory,
        progress: Progress,
    ) -> Result<Self, SnapshotError> {
        let path = current::snapshot_path(directory, id);
        Self::load_from(path, directory, id, provider, memory, progress)
    }

    /// The same of a file that isn't in its place in the directory yet; the log of
    /// manifests is.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_from(
        path: PathBuf,
        directory: &Path,
        id: SnapshotId,
        provider: &VerifyingKey,
        memory: Memory,
        progress: Progress,
    ) -> Result<Self, SnapshotError> {
        let file = LoadedFile::read(&path, memory, progress)?;
        let objects = Arc::new(Directory::new(directory));
        // Until the manifest is known to be whose it should be.
        let log = PublishedLog::empty(objects.clone());
        let stage = progress.stage("verify", 0);
        let verified = Self::verify(file, id, provider, log);
        let mut snapshot = verified.map_err(|fault| SnapshotError::Unusable { path, fault })?;
        stage.finish(&format!("{} records", snapshot.manifest().records));
        snapshot.log = PublishedLog::open(objects, &snapshot.manifest)?;
        Ok(snapshot)
    }

    fn verify(
        file: LoadedFile,
        id: SnapshotId,
        provider: &VerifyingKey,
        log: PublishedLog,
    ) -> Result<Self, Fault> {
        let sections = file::read(file.bytes())?;
        let section = |section| &file.bytes()[sections.range(section)];
        let signed = SignedManifest::from_bytes(section(Section::Manifest))?;
        // Expired or not: a snapshot is valid at the time of its publication.
        let manifest = signed.verify(provider, signed.unverified().published_at)?;
        if manifest.snapshot != id {
            return Err(Fault::OtherSnapshot {
                found: manifest.snapshot,
            });
        }
        let params = params_of(&manifest.pir)?;
        let must = |holds: bool, part| {
            if holds {
                Ok(())
            } else {
                Err(Fault::Mismatch { part })
            }
        };

        let (database, hint) = (section(Section::Database), section(Section::Hint));
        must(
            manifest.database.bytes == database.len() as u64,
            "the database",
        )?;
        must(
            manifest.database.digest == sections.digest(Section::Database),
            "the database",
        )?;
        must(manifest.hint.bytes == hint.len() as u64, "the hint")?;
        must(manifest.hint.digest == Hash::of(hint), "the hint")?;

        let decoded = SnapshotHint::decode(hint)?;
        must(
            decoded.cap.leaves() == manifest.pir.columns,
            "the tree's cap",
        )?;
        must(decoded.cap.root() == manifest.merkle_root, "the tree's cap")?;
        must(
            decoded.blocked.count() == manifest.blocked,
            "the block list",
        )?;
        must(
            decoded.pilots.groups() as u64 == manifest.groups,
            "the pilot table",
        )?;
        pir_core::hint::Hint::decode(&params, &decoded.pir_hint)?;

        let filter = section(Section::Filter);
        match manifest.filter {
            None => must(filter.is_empty(), "the membership filter")?,
            Some(stated) => {
                let same = stated.bytes == filter.len() as u64 && stated.digest == Hash::of(filter);
                must(same, "the membership filter")?;
                let count = u64::from(MembershipFilter::decode(filter)?.count());
                let expected = manifest.records + u64::from(manifest.blocked);
                must(count == expected, "the membership filter")?;
            }
        }

        let view = DatabaseView::new(&params, database)?;
        let matrices = packing(section(Section::Packing))?;
        Server::new(view, matrices)?;
        let check = Check::new(&view, matrices)?;
        let facts = serde_json::from_slice(section(Section::Facts)).map_err(|_| Fault::Facts)?;
        let hint = Bytes::copy_from_slice(hint);
        let filter = (!filter.is_empty()).then(|| Bytes::copy_from_slice(filter));
        let (database, packing) = (
            sections.range(Section::Database),
            sections.range(Section::Packing),
        );
        Ok(Self {
            file,
            manifest: signed,
            log,
            facts,
            params,
            backend: Backend::detect(),
            hint,
            filter,
            database,
            packing,
            check,
            faulty: AtomicBool::new(false),
            workspace: Mutex::default(),
            passes: AtomicU64::default(),
            answered: AtomicU64::default(),
        })
    }

    /// Answers with the kernels of a backend instead of the best one.
    #[must_use]
    pub fn with_backend(mut self, backend: Backend) -> Self {
        self.backend = backend;
        self
    }

    /// The kernels that answer.
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// Its name.
    pub fn id(&self) -> SnapshotId {
        self.manifest().snapshot
    }

    /// Its manifest.
    pub fn manifest(&self) -> &Manifest {
        self.manifest.unverified()
    }

    /// Its manifest as it is published.
    pub fn signed_manifest(&self) -> &SignedManifest {
        &self.manifest
    }

    /// The log of manifests that ends with its own.
    pub fn log(&self) -> &PublishedLog {
        &self.log
    }

    /// Its hint as it is published.
    pub fn shared_hint(&self) -> Bytes {
        self.hint.clone()
    }

    /// The same, borrowed.
    pub fn hint(&self) -> &[u8] {
        &self.hint
    }

    /// Its membership filter as it is published, if it has one.
    pub fn shared_filter(&self) -> Option<Bytes> {
        self.filter.clone()
    }

    /// What it was asked so far.
    pub fn served(&self) -> Served {
        Served {
            passes: self.passes.load(Ordering::Relaxed),
            queries: self.answered.load(Ordering::Relaxed),
        }
    }

    /// Whether a pass failed its check: nothing in memory is to be trusted then,
    /// and nothing is answered any more.
    pub fn is_faulty(&self) -> bool {
        self.faulty.load(Ordering::Relaxed)
    }

    /// Compares the file in memory with its digests once more, after a fault.
    ///
    /// # Errors
    /// Which part was altered; none if it was a processor that failed, or memory
    /// outside.
    pub fn verify_again(&self) -> Result<(), FileFault> {
        file::read(self.file.bytes()).map(drop)
    }

    /// The database, as [`pir_core::database`] lays it out.
    pub fn database(&self) -> &[u8] {
        &self.file.bytes()[self.database.clone()]
    }

    /// What the builder noted.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Shape and widths.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// The file that it was loaded from.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    fn answer_batch(&self, queries: &[Query]) -> Result<Vec<Vec<u8>>, Fault> {
        let view = DatabaseView::new(&self.params, self.database())?;
        let packing = packing(&self.file.bytes()[self.packing.clone()])?;
        let server = Server::with_backend(view, packing, self.backend)?.checked(&self.check);
        // A pass reads nothing that one before it left.
        let mut workspace = self
            .workspace
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let answers = server.answer_with(&mut workspace, queries)?;
        Ok(answers.iter().map(|answer| answer.encode()).collect())
    }
}

impl Engine for Snapshot {
    type Query = Query;
    /// Encoded.
    type Answer = Vec<u8>;

    fn answer(&self, queries: Vec<Query>) -> Option<Vec<Vec<u8>>> {
        if self.is_faulty() {
            return None;
        }
        match self.answer_batch(&queries) {
            Ok(answers) => {
                self.passes.fetch_add(1, Ordering::Relaxed);
                self.answered
                    .fetch_add(answers.len() as u64, Ordering::Relaxed);
                Some(answers)
            }
            Err(fault) => {
                if matches!(fault, Fault::Pir(pir_core::Error::Fault { .. })) {
                    self.faulty.store(true, Ordering::Relaxed);
                }
                tracing::error!(snapshot = %self.id(), %fault, "the PIR refused a batch");
                None
            }
        }
    }
}

/// The parameters that a manifest states, validated.
fn params_of(pir: &PirShape) -> Result<Params, Fault> {
    ParameterSet::named(&pir.parameter_set)?;
    let widths = Widths {
        query: u32::from(pir.query_bits),
        mask: u32::from(pir.mask_bits),
        body: u32::from(pir.body_bits),
    };
    let params = Params::with_widths(pir.columns as usize, pir.bucket_bytes as usize, widths)?;
    if params.failure_log2() > f64::from(pir.failure_log2) {
        return Err(Fault::Mismatch {
            part: "the failure bound",
        });
    }
    Ok(params)
}

/// Elements of the packing matrices; sections are aligned.
fn packing(bytes: &[u8]) -> Result<&[u32], Fault> {
    bytemuck::try_cast_slice(bytes).map_err(|_| Fault::Mismatch {
        part: "the packing matrices",
    })
}

#[cfg(test)]
mod tests;
