//! The shape of a snapshot's buckets.

use super::{BucketError, FOOTER_MASK_LABEL, FillerSeed, HEADER_BYTES, apply_mask, footer};
use crate::merkle::{HASH_BYTES, Hash, path_len};
use crate::placement::BucketIndex;
use crate::record::sealed_len;

/// Largest bucket in bytes: what 16-bit entry counts can't overflow.
const BUCKET_BYTES_MAX: usize = 1 << 20;

/// How long the buckets of a snapshot are and how many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BucketLayout {
    bucket_bytes: usize,
    columns: u32,
    path_len: usize,
}

impl BucketLayout {
    /// `columns` buckets of `bucket_bytes` bytes each, footer included.
    ///
    /// # Errors
    /// [`BucketError::Merkle`] for no column or more than
    /// [`LEAVES_MAX`](crate::merkle::LEAVES_MAX);
    /// [`BucketError::BucketBytes`] if not even an empty record fits, or above
    /// 1 MiB.
    pub fn new(bucket_bytes: usize, columns: u32) -> Result<Self, BucketError> {
        let path_len = path_len(columns)?;
        let min = HEADER_BYTES + sealed_len(0) + path_len * HASH_BYTES;
        if !(min..=BUCKET_BYTES_MAX).contains(&bucket_bytes) {
            return Err(BucketError::BucketBytes {
                min,
                max: BUCKET_BYTES_MAX,
                found: bucket_bytes,
            });
        }
        Ok(Self {
            bucket_bytes,
            columns,
            path_len,
        })
    }

    /// Bytes of a bucket: content and footer.
    pub const fn bucket_bytes(&self) -> usize {
        self.bucket_bytes
    }

    /// Number of buckets.
    pub const fn columns(&self) -> u32 {
        self.columns
    }

    /// Bytes of the Merkle path at a bucket's end.
    pub const fn footer_bytes(&self) -> usize {
        self.path_len * HASH_BYTES
    }

    /// Bytes of a bucket before its footer: what is hashed.
    pub const fn content_bytes(&self) -> usize {
        self.bucket_bytes - self.footer_bytes()
    }

    /// Bytes for records in a bucket.
    pub const fn capacity(&self) -> usize {
        self.content_bytes() - HEADER_BYTES
    }

    /// Completes the content of the bucket at `index` with its path to a whole
    /// column.
    ///
    /// # Errors
    /// [`BucketError::Length`] if either is not of the layout's length;
    /// [`BucketError::Index`].
    pub fn join(
        &self,
        index: BucketIndex,
        seed: &FillerSeed,
        mut content: Vec<u8>,
        path: &[Hash],
    ) -> Result<Vec<u8>, BucketError> {
        self.check_len(content.len(), self.content_bytes())?;
        content.extend(footer(self, index, seed, path)?);
        Ok(content)
    }

    /// The content and path of the whole column of the bucket at `index`.
    ///
    /// # Errors
    /// [`BucketError::Length`], [`BucketError::Index`].
    pub fn split<'a>(
        &self,
        index: BucketIndex,
        seed: &FillerSeed,
        column: &'a [u8],
    ) -> Result<(&'a [u8], Vec<Hash>), BucketError> {
        self.check_index(index)?;
        self.check_len(column.len(), self.bucket_bytes)?;
        let (content, footer) = column.split_at(self.content_bytes());
        let mut footer = footer.to_vec();
        apply_mask(&mut footer, FOOTER_MASK_LABEL, index, seed);
        let (hashes, _) = footer.as_chunks::<HASH_BYTES>();
        Ok((
            content,
            hashes.iter().copied().map(Hash::from_bytes).collect(),
        ))
    }

    pub(super) fn check_path(&self, path: &[Hash]) -> Result<(), BucketError> {
        self.check_len(path.len() * HASH_BYTES, self.footer_bytes())
    }

    pub(super) fn check_index(&self, index: BucketIndex) -> Result<(), BucketError> {
        if index.as_u32() >= self.columns {
            return Err(BucketError::Index {
                columns: self.columns,
                found: index.as_u32(),
            });
        }
        Ok(())
    }

    fn check_len(&self, found: usize, expected: usize) -> Result<(), BucketError> {
        if found != expected {
            return Err(BucketError::Length { expected, found });
        }
        Ok(())
    }
}
