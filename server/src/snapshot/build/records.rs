//! The records of a snapshot, between the store and the buckets.

use std::collections::HashSet;

use protocol::audience::AudienceHandle;
use protocol::bucket::{self, BucketLayout, FillerSeed};
use protocol::csi::Csi;
use protocol::derivation::{FilterLabel, Locator, Tag};
use protocol::oprf::{OprfInput, OprfKey, OprfOutput};
use protocol::placement::{BucketIndex, Placement};
use protocol::record::{SealedRecord, sealed_len};
use rayon::prelude::*;

use super::BuildError;
use super::published::Publishing;
use crate::accept::published_audience;
use crate::progress::Stage;
use crate::store::{RowId, StoreError, View};

/// Rows that are read and evaluated together, by one thread.
const CHUNK_ROWS: usize = 512;

/// Chunks whose rows wait for those before them.
const CHUNKS_TOGETHER: usize = 64;

/// Where each record goes, without its content: about 130 bytes a record.
pub(super) struct Records {
    rows: Vec<(Source, OprfOutput)>,
    located: Vec<(Locator, u32)>,
    /// Of the identifiers whose records are withheld.
    blocked: Vec<OprfOutput>,
}

/// Where a record comes from.
#[derive(Clone, Copy)]
enum Source {
    Row(RowId),
    Audience(AudienceHandle),
}

/// A record that is published: where it comes from and goes, and its bytes.
type Evaluated = ((Source, OprfOutput), (Locator, u32));

/// Records sorted by bucket.
pub(super) struct ByBucket {
    /// Indices of records, bucket by bucket.
    order: Vec<u32>,
    /// Where each bucket begins in `order`, and the end.
    begins: Vec<u32>,
}

impl Records {
    /// Evaluates the OPRF of everything that is published, on all threads.
    pub(super) fn evaluate(
        view: &dyn View,
        ids: &[RowId],
        handles: &[AudienceHandle],
        key: &OprfKey,
        publishing: Publishing<'_>,
        stage: &Stage,
    ) -> Result<Self, BuildError> {
        let blocked: HashSet<Csi> = view.blocked()?.into_iter().collect();
        let withheld = blocked.par_iter().map(|csi| Ok(key.evaluate(csi)?));
        let mut records = Self {
            rows: Vec::with_capacity(ids.len() + handles.len()),
            located: Vec::with_capacity(ids.len() + handles.len()),
            blocked: withheld.collect::<Result<_, BuildError>>()?,
        };
        let of_rows = |chunk: &[RowId]| {
            let evaluated = chunk.iter().zip(view.rows(chunk)?).map(|(id, row)| {
                let Some(content) = &row.content else {
                    return Ok(None);
                };
                if blocked.contains(&content.csi) {
                    return Ok(None);
                }
                let bundle = publishing.of(content)?;
                bundle
                    .map(|bundle| evaluated(Source::Row(*id), &content.csi, bundle.len(), key))
                    .transpose()
            });
            evaluated.collect()
        };
        records.add_all(ids, stage, of_rows)?;
        let of_handles = |chunk: &[AudienceHandle]| {
            let rows = view.audience_rows(chunk)?;
            let evaluated = chunk.iter().zip(rows).map(|(handle, row)| {
                let ciphertext = published_audience(&row, publishing.now)?;
                ciphertext
                    .map(|bytes| evaluated(Source::Audience(*handle), handle, bytes.len(), key))
                    .transpose()
            });
            evaluated.collect()
        };
        records.add_all(handles, stage, of_handles)?;
        Ok(records)
    }

    /// Adds what is made of `names`, in their order.
    fn add_all<T: Sync>(
        &mut self,
        names: &[T],
        stage: &Stage,
        evaluate: impl Fn(&[T]) -> Result<Vec<Option<Evaluated>>, BuildError> + Sync,
    ) -> Result<(), BuildError> {
        for together in names.chunks(CHUNK_ROWS * CHUNKS_TOGETHER) {
            let chunks = together.par_chunks(CHUNK_ROWS).map(|chunk| {
                let evaluated = evaluate(chunk)?;
                stage.advance(chunk.len() as u64);
                Ok(evaluated)
            });
            let chunks: Vec<_> = chunks.collect::<Result<_, BuildError>>()?;
            for (row, place) in chunks.into_iter().flatten().flatten() {
                self.rows.push(row);
                self.located.push(place);
            }
        }
        Ok(())
    }

    /// Tags of the identifiers whose records are withheld.
    pub(super) fn blocked_tags(&self) -> Vec<Tag> {
        let tags = self.blocked.iter().map(|output| output.locator().tag);
        tags.collect()
    }

    /// Labels of all records and of the identifiers whose records are withheld:
    /// a client must not take a blocked identifier for an absent one.
    pub(super) fn filter_labels(&self) -> Vec<FilterLabel> {
        let published = self.rows.par_iter().map(|(_, output)| output);
        let all = published.chain(&self.blocked);
        all.map(OprfOutput::filter_label).collect()
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
        publishing: Publishing<'_>,
    ) -> Result<Vec<u8>, BuildError> {
        let mut sealed = Vec::with_capacity(records.len());
        let (mut ids, mut handles) = (Vec::new(), Vec::new());
        for record in records {
            match &self.rows[*record as usize] {
                (Source::Row(id), output) => ids.push((*id, output)),
                (Source::Audience(handle), output) => handles.push((*handle, output)),
            }
        }
        // The view is the one that they were evaluated in: nothing is missing.
        let (names, outputs): (Vec<RowId>, Vec<&OprfOutput>) = ids.into_iter().unzip();
        for (row, output) in view.rows(&names)?.iter().zip(outputs) {
            let content = row.content.as_ref().ok_or(StoreError::Missing)?;
            let bundle = publishing.of(content)?.ok_or(StoreError::Missing)?;
            let salt = content.salt.bound_to(&bundle);
            sealed.push(SealedRecord::seal(output, salt, &bundle)?);
        }
        let (names, outputs): (Vec<AudienceHandle>, Vec<&OprfOutput>) = handles.into_iter().unzip();
        for (row, output) in view.audience_rows(&names)?.iter().zip(outputs) {
            let bytes = published_audience(row, publishing.now)?.ok_or(StoreError::Missing)?;
            sealed.push(SealedRecord::seal(
                output,
                row.salt.bound_to(&bytes),
                &bytes,
            )?);
        }
        Ok(bucket::encode(
            layout,
            BucketIndex::new(column),
            seed,
            &sealed,
        )?)
    }
}

fn evaluated<'a>(
    source: Source,
    input: impl Into<OprfInput<'a>>,
    content_bytes: usize,
    key: &OprfKey,
) -> Result<Evaluated, BuildError> {
    let output = key.evaluate(input)?;
    let locator = output.locator();
    // Contents have at most 16 KiB.
    let bytes = sealed_len(content_bytes) as u32;
    Ok(((source, output), (locator, bytes)))
}

impl ByBucket {
    /// The records of a bucket.
    pub(super) fn of(&self, column: usize) -> &[u32] {
        &self.order[self.begins[column] as usize..self.begins[column + 1] as usize]
    }
}
