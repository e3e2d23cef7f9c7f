//! SHA3-256 hash tree over the buckets of a snapshot.
//!
//! - leaf: `H(0x00 ‖ index as u32 BE ‖ content)`,
//! - node: `H(0x01 ‖ left ‖ right)`,
//! - the leaves are filled up to a power of two with `H(0x02)`.
//!
//! The top of the tree, a [`Cap`] of at most [`CAP_NODES`] nodes, is in the
//! snapshot's hint; the path below it is the footer of each bucket, so that a
//! change of one bucket rewrites few footers. The root is in the manifest.

mod cap;
mod tree;

use std::fmt;

use sha3::{Digest, Sha3_256};

pub use cap::Cap;
pub use tree::Tree;

/// Bytes in a [`struct@Hash`].
pub const HASH_BYTES: usize = 32;

/// Nodes in the cap of a tree with at least as many leaves; a smaller tree's
/// cap is its leaves.
pub const CAP_NODES: usize = 1 << CAP_LEVEL;

/// Largest number of leaves: bucket indices of 24 bits.
pub const LEAVES_MAX: u32 = 1 << 24;

const CAP_LEVEL: u32 = 8;

/// A SHA3-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash([u8; HASH_BYTES]);

/// Why a tree could not be built or a bucket is not under a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MerkleError {
    /// A tree needs 1 to [`LEAVES_MAX`] leaves.
    #[error("a hash tree has 1 to {LEAVES_MAX} leaves, not {found}")]
    LeafCount {
        /// Number of leaves given.
        found: u64,
    },
    /// The cap does not have the number of nodes its tree requires.
    #[error("the cap of this tree has {expected} nodes, not {found}")]
    CapNodes {
        /// Nodes the cap of this tree has.
        expected: usize,
        /// Nodes given.
        found: usize,
    },
    /// There is no leaf of that index.
    #[error("leaf {found} of a tree with {leaves} leaves")]
    Index {
        /// Leaves in the tree.
        leaves: u32,
        /// The index asked for.
        found: u32,
    },
    /// The path is not as long as the tree is deep below its cap.
    #[error("a path in this tree has {expected} hashes, not {found}")]
    PathLength {
        /// Hashes that a path has.
        expected: usize,
        /// Hashes given.
        found: usize,
    },
    /// The content and path do not lead to the cap.
    #[error("the content is not under the root")]
    NotUnderRoot,
}

impl Hash {
    /// The digest whose bytes are these.
    pub const fn from_bytes(bytes: [u8; HASH_BYTES]) -> Self {
        Self(bytes)
    }

    /// The SHA3-256 digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha3_256::digest(bytes).into())
    }

    /// The digest's bytes.
    pub const fn as_bytes(&self) -> &[u8; HASH_BYTES] {
        &self.0
    }
}

impl From<[u8; HASH_BYTES]> for Hash {
    fn from(bytes: [u8; HASH_BYTES]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Hash {
    /// Lower-case hexadecimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The leaf hash of the bucket at `index` with this content (its bytes without
/// the footer).
pub fn leaf(index: u32, content: &[u8]) -> Hash {
    let mut hasher = Sha3_256::new();
    hasher.update([0x00]);
    hasher.update(index.to_be_bytes());
    hasher.update(content);
    Hash(hasher.finalize().into())
}

/// Hashes in the path of a tree of `leaves` leaves from a leaf (exclusive) to
/// its cap node (exclusive).
///
/// # Errors
/// [`MerkleError::LeafCount`].
pub fn path_len(leaves: u32) -> Result<usize, MerkleError> {
    Ok(depth(u64::from(leaves))?.saturating_sub(CAP_LEVEL) as usize)
}

/// Levels between the leaves and the root.
fn depth(leaves: u64) -> Result<u32, MerkleError> {
    if leaves == 0 || leaves > u64::from(LEAVES_MAX) {
        return Err(MerkleError::LeafCount { found: leaves });
    }
    Ok(leaves.next_power_of_two().ilog2())
}

fn node(left: &Hash, right: &Hash) -> Hash {
    let mut hasher = Sha3_256::new();
    hasher.update([0x01]);
    hasher.update(left.0);
    hasher.update(right.0);
    Hash(hasher.finalize().into())
}

fn padding_leaf() -> Hash {
    Hash::of(&[0x02])
}

#[cfg(test)]
mod tests;
