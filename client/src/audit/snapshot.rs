//! The newest snapshot, computed anew from its database.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pir_core::crs::CrsSeed;
use pir_core::database::DatabaseView;
use pir_core::setup;
use protocol::bucket::Bucket;
use protocol::manifest::{Manifest, SnapshotId};
use protocol::merkle::{Hash, Tree, leaf};
use protocol::placement::BucketIndex;
use protocol::wire::{self, media};
use rayon::prelude::*;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::{AuditError, AuditProgress, Listener, digest};
use crate::error::ClientError;
use crate::snapshot::{SnapshotView, VerifiedManifest};
use crate::transport::{Exchange, Transport};

/// A snapshot that is what its manifest says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotReport {
    /// Its sequence.
    pub sequence: u64,
    /// Its name.
    pub snapshot: SnapshotId,
    /// Buckets.
    pub buckets: u32,
    /// Bytes of the database.
    pub database_bytes: u64,
    /// Records in it.
    pub records: u64,
    /// The root over them.
    pub root: Hash,
}

/// Fetches hint, filter and database, and computes from the latter.
pub(super) async fn audit(
    transport: &Transport,
    manifest: VerifiedManifest,
    tell: Listener<'_>,
) -> Result<SnapshotReport, AuditError> {
    let described = manifest.signed().unverified().clone();
    let path = wire::hint_path(&described.snapshot);
    let hint = transport.get(Exchange {
        step: "hint",
        path: &path,
        accept: media::HINT,
        // At most `HINT_BYTES_MAX`, which fits.
        max_bytes: described.hint.bytes as usize,
    });
    let mut view = manifest.with_hint(&hint.await?)?;
    if let Some(stated) = described.filter {
        let path = wire::filter_path(&described.snapshot);
        let filter = transport.get(Exchange {
            step: "filter",
            path: &path,
            accept: media::FILTER,
            // At most that of 2^32 records, which fits.
            max_bytes: stated.bytes as usize,
        });
        view = view.with_filter(&filter.await?)?;
    }
    let expected = view.params().database_bytes() as u64;
    if described.database.bytes != expected {
        return Err(AuditError::Database);
    }
    let path = wire::database_path(&described.snapshot);
    let exchange = Exchange {
        step: "database",
        path: &path,
        accept: media::OCTETS,
        max_bytes: expected as usize,
    };
    let download = |done| {
        tell(AuditProgress {
            step: "database",
            done,
            total: expected,
        });
    };
    let database = transport.download(exchange, &download).await?;
    // On a thread that may block: the computation takes minutes for large ones.
    let (teller, mut told) = mpsc::unbounded_channel();
    let computing = spawn_blocking(move || {
        let tell = |progress| {
            // Whoever has ended the audit hears nothing any more.
            let _ = teller.send(progress);
        };
        compute(&view, &described, &database, &tell)
    });
    while let Some(progress) = told.recv().await {
        tell(progress);
    }
    computing.await.map_err(|_| ClientError::Interrupted)?
}

fn compute(
    view: &SnapshotView,
    manifest: &Manifest,
    database: &[u8],
    tell: Listener<'_>,
) -> Result<SnapshotReport, AuditError> {
    if database.len() as u64 != manifest.database.bytes
        || digest::chunked(database) != manifest.database.digest
    {
        return Err(AuditError::Database);
    }
    let set_up = |error| AuditError::SetUp(Arc::new(error));
    let matrix = DatabaseView::new(view.params(), database).map_err(set_up)?;
    let records = buckets(view, manifest, &matrix, tell)?;
    if records != manifest.records {
        return Err(AuditError::Records {
            stated: manifest.records,
            found: records,
        });
    }

    let groups = view.params().groups() as u64;
    let on_group = |done: usize| {
        tell(AuditProgress {
            step: "hint",
            done: done as u64,
            total: groups,
        });
    };
    let seed = CrsSeed::derive(&manifest.dp_key.to_cose_key(), manifest.crs_epoch);
    let computed = setup::preprocess(&matrix, &seed, &on_group).map_err(set_up)?;
    same_hint(
        &computed.hint.encode(),
        &view.pir_hint().encode(),
        view.params().rows(),
    )?;
    Ok(SnapshotReport {
        sequence: manifest.sequence,
        snapshot: manifest.snapshot,
        buckets: manifest.pir.columns,
        database_bytes: manifest.database.bytes,
        records,
        root: manifest.merkle_root,
    })
}

/// Checks every bucket and the root over them; gives the number of records.
fn buckets(
    view: &SnapshotView,
    manifest: &Manifest,
    matrix: &DatabaseView<'_>,
    tell: Listener<'_>,
) -> Result<u64, AuditError> {
    let layout = manifest.bucket_layout().map_err(ClientError::Layout)?;
    let seed = &manifest.filler_seed;
    let (done, total) = (AtomicU64::new(0), u64::from(manifest.pir.columns));
    let checked = (0..manifest.pir.columns).into_par_iter().map(|index| {
        let column = matrix.column(index as usize);
        let column = column.map_err(|error| AuditError::SetUp(Arc::new(error)))?;
        let place = BucketIndex::new(index);
        let wrong = |source| AuditError::Bucket { index, source };
        let bucket =
            Bucket::from_column(&layout, place, seed, &column, view.cap()).map_err(wrong)?;
        let (content, _) = layout.split(place, seed, &column).map_err(wrong)?;
        let before = done.fetch_add(1, Ordering::Relaxed);
        if before.is_multiple_of(1024) {
            tell(AuditProgress {
                step: "buckets",
                done: before,
                total,
            });
        }
        Ok((leaf(index, content), bucket.records().len() as u64))
    });
    let checked: Vec<(Hash, u64)> = checked.collect::<Result<_, AuditError>>()?;
    let records = checked.iter().map(|(_, records)| records).sum();
    let leaves = checked.into_iter().map(|(leaf, _)| leaf).collect();
    match Tree::build(leaves) {
        Ok(tree) if tree.root() == manifest.merkle_root => Ok(records),
        _ => Err(AuditError::Root),
    }
}

/// Compares two encoded hints of so many rows.
fn same_hint(computed: &[u8], published: &[u8], rows: usize) -> Result<(), AuditError> {
    if computed == published {
        return Ok(());
    }
    let bytes = computed.len().div_ceil(rows.max(1)).max(1);
    let pairs = computed.chunks(bytes).zip(published.chunks(bytes));
    let differ = pairs.filter(|(one, other)| one != other).count();
    // Under another matrix every row is another; one that was altered for somebody
    // is so in a few.
    if differ > rows / 2 || computed.len() != published.len() {
        return Err(AuditError::Crs);
    }
    Err(AuditError::Hint {
        rows: differ,
        of: rows,
    })
}
