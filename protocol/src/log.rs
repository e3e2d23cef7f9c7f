//! The append-only log of a DP's manifests, as the world's transparency logs
//! publish theirs.
//!
//! Entry `i` is the published bytes of the manifest with sequence `i + 1`.
//! Hashing is RFC 6962's with SHA-256 ([`Tree`]); hashes and entries are served
//! as the tiles of <https://c2sp.org/tlog-tiles> ([`TileId`], [`bundle`]); where
//! the log ends is a checkpoint (<https://c2sp.org/tlog-checkpoint>,
//! [`Checkpoint`]) in a signed note (<https://c2sp.org/signed-note>, [`Note`]),
//! to which witnesses may add cosignatures
//! (<https://c2sp.org/tlog-cosignature>). Any monitor or witness that speaks
//! these formats can follow the log.
//!
//! The checkpoint is signed by the key that signs manifests, so that a client
//! pins one key. That is safe because no message of one kind is one of the other:
//! a manifest's signature is over a CBOR array, whose first byte is `0x84` (RFC
//! 9052 §4.4), a note's over printable text. The key is Ed25519, the one
//! algorithm that every witness knows; a DP whose key is of another has no log.

pub mod bundle;
mod checkpoint;
mod error;
mod hash;
mod note;
mod proof;
mod tile;
mod tree;

pub use checkpoint::{Checkpoint, SignedCheckpoint, TreeHead, log_key, origin};
pub use error::{LogError, ProofError};
pub use hash::LogHash;
pub use note::{Note, NoteKey, NoteSignature, SignatureKind};
pub use proof::{
    Node, Nodes, consistency_ranges, inclusion_ranges, prove_consistency, prove_inclusion,
    range_hash, subtrees, verify_consistency, verify_inclusion,
};
pub use tile::{Part, TILE_HEIGHT, TILE_WIDTH, TileId, TileSet};
pub use tree::Tree;

/// Most bytes of a checkpoint with its cosignatures.
pub const CHECKPOINT_BYTES_MAX: usize = 16 * 1024;

#[cfg(test)]
mod tests;
