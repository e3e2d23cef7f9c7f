//! SHA3-256 of things too large for one core.

use std::io::Read;

use rayon::prelude::*;
use sha3::{Digest as _, Sha3_256};

/// Bytes that one hash takes in.
pub const CHUNK_BYTES: usize = 1 << 20;

const DOMAIN: &[u8] = b"sotto/v1/chunked";

/// SHA3-256 over a domain, the length (u64 BE) and the SHA3-256 digests of the
/// chunks of [`CHUNK_BYTES`], the last of which may be shorter. Runs on all
/// threads of the rayon pool.
pub fn chunked(bytes: &[u8]) -> [u8; 32] {
    let mut digest = Chunked::default();
    digest.add(bytes);
    digest.finish()
}

/// The same digest of what a reader gives.
///
/// # Errors
/// What the reader says.
pub fn chunked_reader(mut reader: impl Read) -> std::io::Result<[u8; 32]> {
    let together = 8 * CHUNK_BYTES;
    let mut digest = Chunked::default();
    let mut buffer = Vec::with_capacity(together);
    loop {
        buffer.clear();
        let read = Read::take(&mut reader, together as u64).read_to_end(&mut buffer)?;
        digest.add(&buffer);
        if read < together {
            return Ok(digest.finish());
        }
    }
}

/// The same digest of what comes in pieces.
#[derive(Debug, Default)]
pub struct Chunked {
    length: u64,
    chunks: Vec<[u8; 32]>,
}

impl Chunked {
    /// Takes a piece in; all but the last are whole chunks.
    pub fn add(&mut self, piece: &[u8]) {
        debug_assert!(self.length.is_multiple_of(CHUNK_BYTES as u64));
        self.length += piece.len() as u64;
        let chunks = piece.par_chunks(CHUNK_BYTES);
        self.chunks
            .par_extend(chunks.map(|chunk| <[u8; 32]>::from(Sha3_256::digest(chunk))));
    }

    /// The digest of all pieces.
    pub fn finish(&self) -> [u8; 32] {
        let mut hash = Sha3_256::new();
        hash.update(DOMAIN);
        hash.update(self.length.to_be_bytes());
        self.chunks.iter().for_each(|chunk| hash.update(chunk));
        hash.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_its_definition() {
        let bytes: Vec<u8> = (0..CHUNK_BYTES + 5).map(|i| (i % 251) as u8).collect();
        let mut hash = Sha3_256::new();
        hash.update(DOMAIN);
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(Sha3_256::digest(&bytes[..CHUNK_BYTES]));
        hash.update(Sha3_256::digest(&bytes[CHUNK_BYTES..]));
        assert_eq!(chunked(&bytes), <[u8; 32]>::from(hash.finalize()));
    }

    #[test]
    fn readers_give_the_same_digest() {
        for length in [0, 1, CHUNK_BYTES, 8 * CHUNK_BYTES, 8 * CHUNK_BYTES + 1] {
            let bytes = vec![3; length];
            assert_eq!(
                chunked_reader(bytes.as_slice()).unwrap(),
                chunked(&bytes),
                "{length}"
            );
        }
        assert_ne!(chunked(&[]), chunked(&[0]));
    }
}
