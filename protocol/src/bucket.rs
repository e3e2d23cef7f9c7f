//! A bucket: one column of the database that PIR serves.
//!
//! ```text
//! content:  ( count as u16 BE ‖ sealed records, by tag ascending ‖ zeros ) ⊕ mask
//! footer:   ( the lower Merkle path of the content, 32 bytes a level ) ⊕ footer mask
//! ```
//!
//! A mask is the ChaCha20 stream (RFC 8439's function with a 64-bit counter,
//! nonce 0) keyed by `SHA3-256(label ‖ filler seed ‖ bucket index as u32 BE)`,
//! with the label `"sotto/v1/mask"` or `"sotto/v1/footer-mask"`. It is public
//! and hides nothing; it makes every byte, filler and structure included, look
//! uniform, which the noise bound of the PIR relies on (without it, the upper
//! hashes of the paths would repeat along a row), and it is stable, so that an
//! unchanged bucket keeps its bytes.

mod layout;

use std::borrow::Borrow;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use sha3::{Digest, Sha3_256};

pub use layout::BucketLayout;

use crate::derivation::Tag;
use crate::merkle::{Cap, Hash, MerkleError};
use crate::placement::BucketIndex;
use crate::record::{RecordError, SealedRecord, SealedRef};

/// Bytes of a bucket's content before its records.
pub const HEADER_BYTES: usize = size_of::<u16>();

const MASK_LABEL: &[u8] = b"sotto/v1/mask";
const FOOTER_MASK_LABEL: &[u8] = b"sotto/v1/footer-mask";

/// What the masks of a snapshot are derived from: public, in the manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FillerSeed(pub [u8; 32]);

/// A bucket whose content has been decoded: records by ascending tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    records: Vec<SealedRecord>,
}

/// Why a layout, a bucket's records or a bucket's bytes were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BucketError {
    /// The number of buckets is not one that a tree can have.
    #[error(transparent)]
    Merkle(#[from] MerkleError),
    /// A bucket of this size can't hold its footer and one record, or is
    /// larger than any parameter set allows.
    #[error("a bucket of this snapshot has {min} to {max} bytes, not {found}")]
    BucketBytes {
        /// Least bytes.
        min: usize,
        /// Most bytes.
        max: usize,
        /// Bytes given.
        found: usize,
    },
    /// There is no bucket of that index.
    #[error("bucket {found} of a snapshot with {columns}")]
    Index {
        /// Buckets in the snapshot.
        columns: u32,
        /// The index given.
        found: u32,
    },
    /// The records don't fit.
    #[error("the records take {found} bytes, the bucket holds {capacity}")]
    Overflow {
        /// Bytes for records in a bucket.
        capacity: usize,
        /// Bytes of the records given.
        found: usize,
    },
    /// Two records have the same tag.
    #[error("two records of a bucket have the same tag")]
    DuplicateTag,
    /// The content or column has another length than the layout says.
    #[error("expected {expected} bytes, found {found}")]
    Length {
        /// Bytes by the layout.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
    /// A record is malformed.
    #[error("malformed record: {0}")]
    Record(#[from] RecordError),
    /// The records' tags don't ascend.
    #[error("the records of a bucket are not in the order of their tags")]
    Unsorted,
    /// The bytes after the last record are not the mask alone.
    #[error("the filler of a bucket is not the published stream")]
    Filler,
}

/// The content (without footer, `layout.content_bytes()` bytes) of the bucket
/// at `index` with these records, given in any order.
///
/// # Errors
/// [`BucketError::Index`], [`BucketError::Overflow`],
/// [`BucketError::DuplicateTag`].
pub fn encode<R: Borrow<SealedRecord>>(
    layout: &BucketLayout,
    index: BucketIndex,
    seed: &FillerSeed,
    records: &[R],
) -> Result<Vec<u8>, BucketError> {
    layout.check_index(index)?;
    let found = records
        .iter()
        .map(|record| record.borrow().entry_len())
        .sum();
    if found > layout.capacity() {
        return Err(BucketError::Overflow {
            capacity: layout.capacity(),
            found,
        });
    }
    let mut sorted: Vec<&SealedRecord> = records.iter().map(Borrow::borrow).collect();
    sorted.sort_unstable_by_key(|record| *record.tag());
    if sorted.windows(2).any(|pair| pair[0].tag() == pair[1].tag()) {
        return Err(BucketError::DuplicateTag);
    }
    let mut content = Vec::with_capacity(layout.bucket_bytes());
    // The layout bounds the number of entries below 2^16.
    content.extend_from_slice(&(sorted.len() as u16).to_be_bytes());
    for record in sorted {
        record.encode_into(&mut content);
    }
    content.resize(layout.content_bytes(), 0);
    apply_mask(&mut content, MASK_LABEL, index, seed);
    Ok(content)
}

/// The footer (`layout.footer_bytes()` bytes) of the bucket at `index` with this
/// path below the cap.
///
/// # Errors
/// [`BucketError::Index`]; [`BucketError::Length`] if the path is not of the
/// layout's length.
pub fn footer(
    layout: &BucketLayout,
    index: BucketIndex,
    seed: &FillerSeed,
    path: &[Hash],
) -> Result<Vec<u8>, BucketError> {
    layout.check_index(index)?;
    layout.check_path(path)?;
    let mut footer: Vec<u8> = path.iter().flat_map(Hash::as_bytes).copied().collect();
    apply_mask(&mut footer, FOOTER_MASK_LABEL, index, seed);
    Ok(footer)
}

impl Bucket {
    /// Decodes the content of the bucket at `index`.
    ///
    /// # Errors
    /// Every content that [`encode`] would not have produced is refused:
    /// [`BucketError::Index`], [`BucketError::Length`],
    /// [`BucketError::Record`], [`BucketError::Unsorted`],
    /// [`BucketError::Filler`].
    pub fn decode(
        layout: &BucketLayout,
        index: BucketIndex,
        seed: &FillerSeed,
        content: &[u8],
    ) -> Result<Self, BucketError> {
        layout.check_index(index)?;
        let length = BucketError::Length {
            expected: layout.content_bytes(),
            found: content.len(),
        };
        if content.len() != layout.content_bytes() {
            return Err(length);
        }
        let mut plain = content.to_vec();
        apply_mask(&mut plain, MASK_LABEL, index, seed);
        let (count, mut rest) = plain.split_first_chunk().ok_or(length)?;
        let mut records: Vec<SealedRecord> = Vec::new();
        for _ in 0..u16::from_be_bytes(*count) {
            let (record, after) = SealedRef::split_from(rest)?;
            if records.last().is_some_and(|last| *last.tag() >= record.tag) {
                return Err(BucketError::Unsorted);
            }
            records.push(record.to_owned());
            rest = after;
        }
        if rest.iter().any(|&byte| byte != 0) {
            return Err(BucketError::Filler);
        }
        Ok(Self { records })
    }

    /// Checks a whole column, as PIR returns it, against the tree's cap and
    /// decodes it.
    ///
    /// # Errors
    /// [`BucketError::Length`]; [`BucketError::Merkle`] if the bucket is not
    /// under the root or the cap is of another tree; else as
    /// [`decode`](Self::decode).
    pub fn from_column(
        layout: &BucketLayout,
        index: BucketIndex,
        seed: &FillerSeed,
        column: &[u8],
        cap: &Cap,
    ) -> Result<Self, BucketError> {
        let (content, path) = layout.split(index, seed, column)?;
        cap.verify(index.as_u32(), content, &path)?;
        Self::decode(layout, index, seed, content)
    }

    /// The record with this tag: `None` proves absence if the bucket is under
    /// the root.
    pub fn find(&self, tag: &Tag) -> Option<&SealedRecord> {
        let at = self
            .records
            .binary_search_by_key(tag, |record| *record.tag())
            .ok()?;
        Some(&self.records[at])
    }

    /// All records, by ascending tag.
    pub fn records(&self) -> &[SealedRecord] {
        &self.records
    }
}

fn apply_mask(bytes: &mut [u8], label: &[u8], index: BucketIndex, seed: &FillerSeed) {
    let key = Sha3_256::new()
        .chain_update(label)
        .chain_update(seed.0)
        .chain_update(index.as_u32().to_be_bytes())
        .finalize();
    let mut stream = ChaCha20Rng::from_seed(key.into());
    let mut block = [0; 1024];
    for chunk in bytes.chunks_mut(block.len()) {
        let mask = &mut block[..chunk.len()];
        stream.fill_bytes(mask);
        for (byte, mask) in chunk.iter_mut().zip(mask) {
            *byte ^= *mask;
        }
    }
}

#[cfg(test)]
mod tests;
