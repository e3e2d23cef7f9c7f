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
    let chunks: Vec<[u8; 32]> = bytes
        .par_chunks(CHUNK_BYTES)
        .map(|chunk| Sha3_256::digest(chunk).into())
        .collect();
    finish(bytes.len() as u64, &chunks)
}

/// The same digest of what a reader gives.
///
/// # Errors
/// What the reader says.
pub fn chunked_reader(mut reader: impl Read) -> std::io::Result<[u8; 32]> {
    let together = 8 * CHUNK_BYTES;
    let (mut chunks, mut length) = (Vec::new(), 0);
    let mut buffer = Vec::with_capacity(together);
    loop {
        buffer.clear();
        let read = Read::take(&mut reader, together as u64).read_to_end(&mut buffer)?;
        length += read as u64;
        chunks.par_extend(
            buffer
                .par_chunks(CHUNK_BYTES)
                .map(|chunk| <[u8; 32]>::from(Sha3_256::digest(chunk))),
        );
        if read < together {
            return Ok(finish(length, &chunks));
        }
    }
}

fn finish(length: u64, chunks: &[[u8; 32]]) -> [u8; 32] {
    let mut hash = Sha3_256::new();
    hash.update(DOMAIN);
    hash.update(length.to_be_bytes());
    chunks.iter().for_each(|chunk| hash.update(chunk));
    hash.finalize().into()
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
