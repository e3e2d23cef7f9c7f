//! Builds a snapshot from the store and publishes it.

mod earlier;
mod finished;
mod plan;
mod publish;
mod published;
mod records;
mod set_up;

use std::ops::Range;
use std::path::Path;

use pir_core::crs::CrsSeed;
use pir_core::database::{DatabaseView, write_column_tails, write_columns};
use pir_core::params::{Params, ParamsError};
use pir_core::setup::Preprocessed;
use protocol::audit;
use protocol::bucket::{self, BucketError, BucketLayout, FillerSeed};
use protocol::cose::{SigningKey, VerifyingKey};
use protocol::filter::{FilterError, MembershipFilter};
use protocol::hint::{BlockList, HintError};
use protocol::manifest::{BuildId, CLOCK_TOLERANCE_SECS, Manifest, ManifestError, SnapshotId};
use protocol::merkle::{self, Cap, Hash, MerkleError, Tree};
use protocol::oprf::OprfError;
use protocol::placement::{BucketIndex, Placement, PlacementError};
use protocol::record::RecordError;
use protocol::time::UnixTime;
use protocol::trust::TrustList;
use rayon::prelude::*;
use sha3::{Digest as _, Sha3_256};

use super::{Facts, SnapshotError, current};
use crate::durable::FileError;
use crate::log::LogStorageError;
use crate::memory::{Memory, MemoryError, Purpose};
use crate::oprf_keys::EpochKey;
use crate::progress::Progress;
use crate::store::{Store, StoreError, View};
use finished::Begun;
pub use finished::Finished;
use plan::Plan;
use publish::publish;
pub use publish::{manifest_of, published_manifest};
use published::Publishing;
use records::Records;
use set_up::set_up;

/// Rises when the provider chooses another CRS. There is one so far.
pub const CRS_EPOCH: u64 = 1;

/// Bytes of buckets that are encoded at a time, in memory beside the database.
const TILE_BYTES: usize = 16 << 20;

/// Bytes of a [`setup::Workspace`].
const WORKSPACE_BYTES: usize = 32 << 20;

/// Further masks that are tried if one leaves a row too uneven for the PIR.
const MASK_ATTEMPTS: u8 = 4;

/// What a build needs beside the store.
pub struct BuildOptions<'a> {
    /// Signs the manifest.
    pub provider: &'a SigningKey,
    /// Evaluates the identifiers.
    pub oprf: &'a EpochKey,
    /// What records were accepted by.
    pub trust: &'a TrustList,
    /// Whether a membership filter is published with it.
    pub filter: FilterPolicy,
    /// Digest of the directory of token keys, if tokens are taken.
    pub token_keys: Option<Hash>,
    /// Seconds until clients refuse the snapshot.
    pub lifetime_secs: u64,
    /// When it is.
    pub now: UnixTime,
    /// What to make of a published snapshot that is of a later time.
    pub clock: Clock,
    /// Names the run. Under the same one the same store gives the same files to the
    /// byte, at the same time.
    pub build_id: BuildId,
    /// How to show progress.
    pub progress: Progress,
    /// How much may be used.
    pub memory: Memory,
}

/// What to make of a published snapshot that is of a later time than it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The clock has gone back: nothing is published until it is right.
    Trusted,
    /// It had been ahead, and is right now.
    WasAhead,
}

/// Whether clients may download a membership filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterPolicy {
    /// There is none.
    Omit,
    /// There is one in each snapshot.
    Publish,
}

impl BuildOptions<'_> {
    fn publishing(&self) -> Publishing<'_> {
        Publishing {
            trust: self.trust,
            now: self.now,
        }
    }
}

/// Why a build failed. What was published before still is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is nothing to publish.
    #[error(
        "there is nothing to publish: no mapping is held that is still valid; run `sotto-server import`, or `serve` and let recipients publish"
    )]
    Empty,
    /// The published snapshot, which the new one must name.
    #[error("the snapshot before can't be read: {0}")]
    Previous(#[from] SnapshotError),
    /// The newest OPRF key is older than the published snapshot's.
    #[error(
        "the newest OPRF key is of epoch {epoch}, the published snapshot of {published}: restore the newer key, or run `sotto-server oprf rotate`"
    )]
    OprfEpoch {
        /// The snapshot's epoch.
        published: u64,
        /// The newest key's.
        epoch: u64,
    },
    /// The clock has gone back.
    #[error(
        "this machine's clock says {now}, and the published snapshot is of {published}: set the clock; or, if it was ahead and is right now, run `sotto-server snapshot build --clock-was-ahead`"
    )]
    Clock {
        /// When the published one was.
        published: UnixTime,
        /// What the clock says.
        now: UnixTime,
    },
    /// The newest OPRF key is not the one that the published snapshot names for
    /// the epoch.
    #[error(
        "the OPRF key of epoch {epoch} is not the published snapshot's, and clients would refuse it: restore that, or run `sotto-server oprf rotate`"
    )]
    OprfKey {
        /// The epoch.
        epoch: u64,
    },
    /// A file can't be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The OPRF.
    #[error(transparent)]
    Oprf(#[from] OprfError),
    /// Placement.
    #[error(transparent)]
    Placement(#[from] PlacementError),
    /// No shape is large enough.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// There is too little memory for that shape.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// A bucket.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// A record.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The tree.
    #[error(transparent)]
    Merkle(#[from] MerkleError),
    /// The PIR's set-up.
    #[error(transparent)]
    Pir(#[from] pir_core::Error),
    /// A bucket that was looked up is not the one in the database.
    #[error(
        "the new snapshot answers wrongly and is not published: check the machine's memory and build again"
    )]
    SelfCheck,
    /// The block list.
    #[error(transparent)]
    Hint(#[from] HintError),
    /// The membership filter.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// The manifest.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The log of manifests.
    #[error(transparent)]
    Log(#[from] LogStorageError),
    /// The notes can't be encoded.
    #[error("the builder's notes can't be encoded: {0}")]
    Facts(#[from] serde_json::Error),
}

/// Builds a snapshot of the store as it is now and publishes it in `directory`.
/// The file before the previous one is removed.
///
/// # Errors
/// [`BuildError`].
pub fn run(
    store: &dyn Store,
    directory: &Path,
    options: &BuildOptions<'_>,
) -> Result<Finished, BuildError> {
    let begun = Begun::now();
    let previous = published_manifest(directory, &options.provider.verifying_key())?;
    let published_at = match &previous {
        Some(previous) => {
            require_succession(previous.unverified(), options.oprf)?;
            published_at(previous.unverified(), options)?
        }
        None => options.now,
    };
    store.update(&mut |update| update.forget_audience(options.now))?;
    let view = store.view()?;
    let earlier = previous
        .as_ref()
        .map(|signed| (directory, signed.unverified()));
    let built = Built::make(&*view, earlier, options)?;
    let (facts, changed_digits) = (built.facts(), built.changed_digits);
    let (id, id_before) = publish(directory, built, &facts, previous, published_at, options)?;
    let keep: Vec<SnapshotId> = [Some(id), id_before].into_iter().flatten().collect();
    current::remove_others(directory, &keep)?;
    Ok(begun.finish(id, changed_digits))
}

/// Refuses an OPRF key that clients of the snapshot before would refuse.
fn require_succession(previous: &Manifest, newest: &EpochKey) -> Result<(), BuildError> {
    let (published, epoch) = (previous.oprf_epoch, newest.epoch);
    if epoch < published {
        return Err(BuildError::OprfEpoch { published, epoch });
    }
    if epoch == published && newest.public_key() != previous.oprf_key {
        return Err(BuildError::OprfKey { epoch });
    }
    Ok(())
}

/// When the next snapshot is published: not before this one, also if the clock was
/// put back a little.
fn published_at(previous: &Manifest, options: &BuildOptions<'_>) -> Result<UnixTime, BuildError> {
    let (published, now) = (previous.published_at, options.now);
    let gone_back = published > now.saturating_add(CLOCK_TOLERANCE_SECS);
    match options.clock {
        Clock::Trusted if gone_back => Err(BuildError::Clock { published, now }),
        Clock::WasAhead if gone_back => Ok(now),
        _ => Ok(now.max(published)),
    }
}

/// Everything of a snapshot but its manifest.
struct Built {
    params: Params,
    layout: BucketLayout,
    placement: Placement,
    records: usize,
    record_bytes: u64,
    fullest_bucket: u32,
    filler_seed: FillerSeed,
    cap: Cap,
    database: Vec<u8>,
    preprocessed: Preprocessed,
    /// Digits that the set-up found changed, if it started from an earlier one.
    changed_digits: Option<u64>,
    /// Where the audit log ended.
    audit: audit::Head,
    /// Tags of what is withheld.
    blocked: BlockList,
    /// Of what is in the snapshot and of what is withheld, if one is published.
    filter: Option<MembershipFilter>,
}

impl Built {
    fn make(
        view: &dyn View,
        earlier: Option<(&Path, &Manifest)>,
        options: &BuildOptions<'_>,
    ) -> Result<Self, BuildError> {
        let (ids, handles) = (view.row_ids()?, view.audience_handles()?);
        let audit = view.audit_head()?;
        let stage = options
            .progress
            .stage("evaluate OPRF", (ids.len() + handles.len()) as u64);
        let publishing = options.publishing();
        let mut records =
            Records::evaluate(view, &ids, &handles, &options.oprf.key, publishing, &stage)?;
        // Once something is published, that all of it is gone must be as well.
        if records.count() == 0 && earlier.is_none() {
            return Err(BuildError::Empty);
        }
        stage.finish(&format!(
            "{} records, {} bytes",
            records.count(),
            records.bytes()
        ));

        let stage = options.progress.stage("place records", 0);
        let plan = plan::plan(&records)?;
        let columns = plan.params.columns();
        stage.finish(&format!(
            "{columns} buckets of {} bytes",
            plan.params.rows()
        ));

        let needed = memory_needed(&plan.params);
        options.memory.require(Purpose::Build, needed)?;

        let blocked = BlockList::new(records.blocked_tags())?;
        let filter = match options.filter {
            FilterPolicy::Omit => None,
            FilterPolicy::Publish => Some(MembershipFilter::new(records.filter_labels())?),
        };
        let (count, record_bytes) = (records.count(), records.bytes());
        let fullest_bucket = records.fullest_bucket(&plan.placement, columns);
        records.forget_places();

        let mut attempt = 0;
        let (filler_seed, database, tree, (preprocessed, changed_digits)) = loop {
            let filler_seed = filler_seed(&options.provider.verifying_key(), attempt);
            let (database, tree) = encode(view, &records, &plan, filler_seed, options)?;
            let view = DatabaseView::new(&plan.params, &database)?;
            match set_up(&view, earlier, options) {
                Ok(set_up) => break (filler_seed, database, tree, set_up),
                // A row of a small database is rarely, by chance, not even enough.
                Err(BuildError::Pir(pir_core::Error::RowNorm { .. }))
                    if attempt < MASK_ATTEMPTS =>
                {
                    attempt += 1;
                }
                Err(other) => return Err(other),
            }
        };
        let Plan {
            params,
            layout,
            placement,
        } = plan;
        Ok(Self {
            params,
            layout,
            placement,
            records: count,
            record_bytes,
            fullest_bucket,
            filler_seed,
            cap: tree.cap(),
            database,
            preprocessed,
            changed_digits,
            audit,
            blocked,
            filter,
        })
    }

    fn facts(&self) -> Facts {
        Facts {
            builder: format!("sotto-server {}", env!("CARGO_PKG_VERSION")),
            record_bytes: self.record_bytes,
            // A bucket has at most 1 MiB.
            capacity_bytes: self.layout.capacity() as u32,
            fullest_bucket: self.fullest_bucket,
            fullest_bytes: self.placement.fullest_bytes,
        }
    }
}

/// Bytes that a build holds beside the records: the database, the packing
/// matrices, the row masks, the list of changes, a workspace for every two
/// threads that have a group, and a tile.
fn memory_needed(params: &Params) -> u64 {
    let threads = rayon::current_num_threads();
    let workspaces = threads.div_ceil(2).min(params.groups()) * WORKSPACE_BYTES;
    let costs = params.costs();
    let matrices = params.database_bytes() + costs.packing_bytes + costs.row_mask_bytes;
    // What changed since the published snapshot, at most a fourteenth.
    let changes = params.database_bytes() / 14;
    (matrices + changes + workspaces + TILE_BYTES) as u64
}

/// The database and the tree over its buckets.
fn encode(
    view: &dyn View,
    records: &Records,
    plan: &Plan,
    filler_seed: FillerSeed,
    options: &BuildOptions<'_>,
) -> Result<(Vec<u8>, Tree), BuildError> {
    let Plan {
        params,
        layout,
        placement,
    } = plan;
    let (rows, columns) = (params.rows(), params.columns());
    let stage = options.progress.stage("encode buckets", columns as u64);
    let by_bucket = records.by_bucket(placement, columns);
    let mut database = options
        .memory
        .zeroed(Purpose::Build, params.database_bytes())?;
    let mut leaves = Vec::with_capacity(columns);
    for tile in tiles(columns, rows) {
        let mut buckets = vec![0; tile.len() * rows];
        let encoded =
            buckets
                .par_chunks_exact_mut(rows)
                .zip(tile.clone())
                .map(|(bucket, column)| {
                    let of_bucket = by_bucket.of(column);
                    let content = records.encode_bucket(
                        view,
                        of_bucket,
                        layout,
                        column as u32,
                        &filler_seed,
                        options.publishing(),
                    )?;
                    bucket[..content.len()].copy_from_slice(&content);
                    Ok(merkle::leaf(column as u32, &content))
                });
        let hashes: Vec<Hash> = encoded.collect::<Result<_, BuildError>>()?;
        write_columns(params, &mut database, tile.start, &buckets)?;
        leaves.extend(hashes);
        stage.advance(tile.len() as u64);
    }
    stage.finish(&format!("{} bytes", params.database_bytes()));

    let stage = options.progress.stage("hash tree", 0);
    let tree = Tree::build(leaves)?;
    let footer = layout.footer_bytes();
    if footer > 0 {
        for tile in tiles(columns, footer) {
            let mut footers = Vec::with_capacity(tile.len() * footer);
            for column in tile.clone() {
                let path = tree.lower_path(column as u32)?;
                footers.extend(bucket::footer(
                    layout,
                    BucketIndex::new(column as u32),
                    &filler_seed,
                    &path,
                )?);
            }
            write_column_tails(params, &mut database, tile.start, &footers, footer)?;
        }
    }
    stage.finish(&format!("root {}", tree.root()));
    Ok((database, tree))
}

/// Runs of columns that take about [`TILE_BYTES`] beside the database.
fn tiles(columns: usize, bytes_each: usize) -> impl Iterator<Item = Range<usize>> {
    let together = (TILE_BYTES / bytes_each).max(64);
    (0..columns)
        .step_by(together)
        .map(move |first| first..columns.min(first + together))
}

/// The seed of a provider's CRS: clients derive it from the key that they pin.
pub fn crs_seed(provider: &VerifyingKey) -> CrsSeed {
    CrsSeed::derive(&provider.to_cose_key(), CRS_EPOCH)
}

/// What masks the buckets: public, and the same for every build that succeeds
/// at the first attempt, so that a bucket that doesn't change keeps its bytes.
fn filler_seed(provider: &VerifyingKey, attempt: u8) -> FillerSeed {
    let mut hash = Sha3_256::new();
    hash.update(b"sotto/v1/filler");
    hash.update(provider.to_cose_key());
    hash.update([attempt]);
    FillerSeed(hash.finalize().into())
}
