//! Which bucket each record is in, balanced by pilots.
//!
//! As in perfect hashing by CHD and PTHash: records are hashed into groups of
//! about [`GROUP_RECORDS`], and the builder chooses for each group, the largest
//! first, a one-byte *pilot* such that none of its records overflows its
//! bucket. The pilots are public; where a record is follows from its locator
//! and its group's pilot, so a client computes it and a registrant can't.

mod builder;

use crate::derivation::Locator;

pub use builder::{Placement, place};

/// Records in a group on average.
///
/// Fewer would fill buckets better and make the hint longer: with 64, buckets
/// of 16 KiB fill to 92 % for 15.6 KB of pilots per million records.
pub const GROUP_RECORDS: usize = 64;

/// Most groups of a snapshot: 64 million pilots.
pub const GROUPS_MAX: usize = 1 << 26;

/// Per cent of the buckets' capacity that [`columns_for`] plans to fill.
pub const TARGET_FILL_PERCENT: u64 = 90;

/// A bucket's index in its snapshot, which is also its column in the database
/// and its leaf in the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BucketIndex(u32);

/// One pilot a group: part of the hint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PilotTable(Vec<u8>);

/// Why records could not be placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlacementError {
    /// A pilot table has 1 to [`GROUPS_MAX`] pilots.
    #[error("a pilot table has 1 to {GROUPS_MAX} pilots, not {found}")]
    PilotCount {
        /// Pilots given.
        found: usize,
    },
    /// More records than [`GROUPS_MAX`] groups are made for.
    #[error("at most {max} records can be placed, not {found}", max = u32::MAX)]
    TooManyRecords {
        /// Records given.
        found: usize,
    },
    /// One record is larger than a bucket.
    #[error("record {record} takes {found} bytes, a bucket holds {capacity}")]
    RecordTooLarge {
        /// Which record of the input.
        record: usize,
        /// Bytes for records in a bucket.
        capacity: u32,
        /// Bytes of the record.
        found: u32,
    },
    /// Two records have the same locator: one identifier twice.
    #[error("records {first} and {second} have the same locator")]
    DuplicateLocator {
        /// Which record of the input.
        first: usize,
        /// Which other one.
        second: usize,
    },
    /// For some group no pilot fits: more or larger buckets are needed.
    #[error("{bytes} bytes in {records} records don't fit {columns} buckets of {capacity} bytes")]
    DoesNotFit {
        /// Records given.
        records: usize,
        /// Bytes of all records.
        bytes: u64,
        /// Buckets given.
        columns: u32,
        /// Bytes for records in a bucket.
        capacity: u32,
    },
}

/// The number of groups, and so of pilots, for a snapshot of that many records:
/// at least one.
pub fn group_count(records: usize) -> usize {
    records.div_ceil(GROUP_RECORDS).max(1)
}

/// The number of buckets to try first for records of `bytes` in total: those
/// that [`TARGET_FILL_PERCENT`] of `capacity_bytes` a bucket can hold.
pub fn columns_for(bytes: u64, capacity_bytes: u32) -> u64 {
    let usable = u64::from(capacity_bytes) * TARGET_FILL_PERCENT;
    bytes.saturating_mul(100).div_ceil(usable.max(1)).max(1)
}

/// The bucket of a record whose group has this pilot.
///
/// `⌊mix(placement_hash + (pilot + 1)·φ) · columns / 2^64⌋`, where `mix` and
/// φ = 0x9e3779b97f4a7c15 are SplitMix64's: no bucket is likelier than another
/// by more than `columns / 2^64`. `columns` is at least 1.
#[inline]
pub fn bucket_of(placement_hash: u64, pilot: u8, columns: u32) -> BucketIndex {
    let step = (u64::from(pilot) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    // The result is below `columns`.
    BucketIndex(scale(mix(placement_hash.wrapping_add(step)), u64::from(columns)) as u32)
}

impl BucketIndex {
    /// The bucket with this index.
    pub const fn new(index: u32) -> Self {
        Self(index)
    }

    /// The index, from 0.
    pub const fn as_u32(self) -> u32 {
        self.0
    }
}

impl PilotTable {
    /// The table with these pilots, by group.
    ///
    /// # Errors
    /// [`PlacementError::PilotCount`].
    pub fn new(pilots: Vec<u8>) -> Result<Self, PlacementError> {
        if pilots.is_empty() || pilots.len() > GROUPS_MAX {
            return Err(PlacementError::PilotCount {
                found: pilots.len(),
            });
        }
        Ok(Self(pilots))
    }

    /// Number of groups.
    pub fn groups(&self) -> usize {
        self.0.len()
    }

    /// The pilots, by group.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The one bucket, of `columns`, that can hold the record.
    pub fn bucket_of(&self, locator: &Locator, columns: u32) -> BucketIndex {
        let pilot = self.0[group_of(locator, self.0.len())];
        bucket_of(locator.placement_hash, pilot, columns)
    }
}

/// The group of a record among `groups`: below `groups`.
fn group_of(locator: &Locator, groups: usize) -> usize {
    scale(locator.group_hash, groups as u64) as usize
}

/// `⌊hash · range / 2^64⌋`, below `range`.
#[inline]
fn scale(hash: u64, range: u64) -> u64 {
    ((u128::from(hash) * u128::from(range)) >> 64) as u64
}

#[inline]
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests;
