//! The digest of a database, as [`Manifest::database`] defines it.
//!
//! [`Manifest::database`]: protocol::manifest::Manifest::database

use protocol::merkle::Hash;
use rayon::prelude::*;
use sha3::{Digest as _, Sha3_256};

/// `SHA3-256("sotto/v1/chunked" ‖ bytes as u64 BE ‖ SHA3-256 of each MiB)`.
pub(super) fn chunked(bytes: &[u8]) -> Hash {
    let chunks: Vec<[u8; 32]> = bytes
        .par_chunks(1 << 20)
        .map(|chunk| Sha3_256::digest(chunk).into())
        .collect();
    let mut digest = Sha3_256::new();
    digest.update(b"sotto/v1/chunked");
    digest.update((bytes.len() as u64).to_be_bytes());
    for chunk in chunks {
        digest.update(chunk);
    }
    Hash::from_bytes(digest.finalize().into())
}
