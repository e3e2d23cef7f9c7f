//! Hashes of the log's tree (RFC 6962 §2.1).

use std::fmt;

use sha2::{Digest as _, Sha256};

/// A SHA-256 digest in the log's tree.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogHash([u8; LogHash::BYTES]);

impl LogHash {
    /// Bytes of a hash.
    pub const BYTES: usize = 32;

    /// The hash whose bytes are these.
    pub const fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// The hash of an entry: `SHA-256(0x00 ‖ entry)`.
    pub fn of_leaf(entry: &[u8]) -> Self {
        let digest = Sha256::new().chain_update([0x00]).chain_update(entry);
        Self(digest.finalize().into())
    }

    /// The hash of two neighbours: `SHA-256(0x01 ‖ left ‖ right)`.
    pub fn of_node(left: &Self, right: &Self) -> Self {
        let digest = Sha256::new()
            .chain_update([0x01])
            .chain_update(left.0)
            .chain_update(right.0);
        Self(digest.finalize().into())
    }

    /// The root of the tree without entries: the hash of nothing.
    pub fn of_empty_tree() -> Self {
        Self(Sha256::digest([]).into())
    }
}

impl fmt::Display for LogHash {
    /// Lower-case hexadecimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for LogHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
