//! The records of a snapshot, between the store and the buckets.

use std::collections::HashSet;

use protocol::bucket::{self, BucketLayout, FillerSeed};
use protocol::csi::Csi;
use protocol::derivation::Locator;
use protocol::oprf::{OprfKey, OprfOutput};
use protocol::placement::{BucketIndex, Placement};
use protocol::record::{SealedRecord, sealed_len};
use protocol::time::UnixTime;
use rayon::prelude::*;

use super::BuildError;
use super::published::published;
use crate::progress::Stage;
use crate::store::{RowId, StoreError, View};

/// Rows evaluated between two signs of progress.
const CHUNK_ROWS: usize = 4096;

/// Where each record goes, without its content: about 130 bytes a record.
pub(super) struct Records {
    rows: Vec<(RowId, OprfOutput)>,
    located: Vec<(Locator, u32)>,
    /// When what is published was chosen.
    now: UnixTime,
}

/// Records sorted by bucket.
pub(super) struct ByBucket {
    /// Indices of records, bucket by bucket.
    order: Vec<u32>,
    /// Where each bucket begins in `order`, and the end.
    begins: Vec<u32>,
}

impl Records {
    /// Evaluates the OPRF of everything that is published at `now`, on all
    /// threads.
    pub(super) fn evaluate(
        view: &dyn View,
        ids: &[RowId],
        key: &OprfKey,
        now: UnixTime,
        stage: &Stage,
    ) -> Result<Self, BuildError> {
        let blocked: HashSet<Csi> = view.blocked()?.into_iter().collect();
        let (mut rows, mut located) =
            (Vec::with_capacity(ids.len()), Vec::with_capacity(ids.len()));
        for chunk in ids.chunks(CHUNK_ROWS) {
            let stored = view.rows(chunk)?;
            let evaluated = chunk.par_iter().zip(&stored).map(|(id, row)| {
                let Some(content) = &row.content else {
                    return Ok(None);
                };
                if blocked.contains(&content.csi) {
                    return Ok(None);
                }
                let Some(bundle) = published(content, now)? else {
                    return Ok(None);
                };
                let output = key.evaluate(&content.csi)?;
                let locator = output.locator();
                // Bundles have at most 16 KiB.
                let bytes = sealed_len(bundle.len()) as u32;
                Ok(Some(((*id, output), (locator, bytes))))
            });
            let evaluated: Vec<_> = evaluated.collect::<Result<_, BuildError>>()?;
            for (row, place) in evaluated.into_iter().flatten() {
                rows.push(row);
                located.push(place);
            }
            stage.advance(chunk.len() as u64);
        }
        Ok(Self { rows, located, now })
    }

    pub(super) fn count(&self) -> usize {
        self.rows.len()
    }

    /// Bytes that all take in buckets.
    pub(super) fn bytes(&self) -> u64 {
        self.located
            .iter()
            .map(|(_, bytes)| u64::from(*bytes))
            .sum()
    }

    /// Bytes of the longest.
    pub(super) fn longest(&self) -> usize {
        self.located
            .iter()
            .map(|(_, bytes)| *bytes as usize)
            .max()
            .unwrap_or(0)
    }

    /// Frees what only the choice of a shape needs.
    pub(super) fn forget_places(&mut self) {
        self.located = Vec::new();
    }

    /// Locators and bytes.
    pub(super) fn located(&self) -> &[(Locator, u32)] {
        &self.located
    }

    pub(super) fn by_bucket(&self, placement: &Placement, columns: usize) -> ByBucket {
        let mut begins = vec![0u32; columns + 1];
        for bucket in &placement.buckets {
            begins[bucket.as_u32() as usize + 1] += 1;
        }
        for column in 0..columns {
            begins[column + 1] += begins[column];
        }
        let mut next = begins.clone();
        let mut order = vec![0; placement.buckets.len()];
        for (record, bucket) in (0u32..).zip(&placement.buckets) {
            let place = &mut next[bucket.as_u32() as usize];
            order[*place as usize] = record;
            *place += 1;
        }
        ByBucket { order, begins }
    }

    /// The bucket whose records take most bytes.
    pub(super) fn fullest_bucket(&self, placement: &Placement, columns: usize) -> u32 {
        let mut bytes = vec![0u64; columns];
        for (bucket, (_, length)) in placement.buckets.iter().zip(&self.located) {
            bytes[bucket.as_u32() as usize] += u64::from(*length);
        }
        (0u32..)
            .zip(bytes)
            .max_by_key(|(_, bytes)| *bytes)
            .map_or(0, |(bucket, _)| bucket)
    }

    /// Seals the records of a bucket and encodes it.
    pub(super) fn encode_bucket(
        &self,
        view: &dyn View,
        records: &[u32],
        layout: &BucketLayout,
        column: u32,
        seed: &FillerSeed,
    ) -> Result<Vec<u8>, BuildError> {
        let rows: Vec<&(RowId, OprfOutput)> = records
            .iter()
            .map(|record| &self.rows[*record as usize])
            .collect();
        let ids: Vec<RowId> = rows.iter().map(|(id, _)| *id).collect();
        let stored = view.rows(&ids)?;
        let sealed = rows.iter().zip(&stored).map(|((_, output), row)| {
            // The view is the one that they were evaluated in.
            let content = row.content.as_ref().ok_or(StoreError::Missing)?;
            let bundle = published(content, self.now)?.ok_or(StoreError::Missing)?;
            let salt = content.salt.bound_to(&bundle);
            Ok(SealedRecord::seal(output, salt, &bundle)?)
        });
        let sealed: Vec<SealedRecord> = sealed.collect::<Result<_, BuildError>>()?;
        Ok(bucket::encode(
            layout,
            BucketIndex::new(column),
            seed,
            &sealed,
        )?)
    }
}

impl ByBucket {
    /// The records of a bucket.
    pub(super) fn of(&self, column: usize) -> &[u32] {
        &self.order[self.begins[column] as usize..self.begins[column + 1] as usize]
    }
}
