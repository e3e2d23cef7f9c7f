//! Read bandwidth of the machine: the best plain read of a buffer over 1, 2,
//! 4, 8 and 16 concurrent streams, against which scans are measured.

#![expect(unsafe_code, reason = "calls of detected target features")]

use std::time::Instant;

use rayon::prelude::*;

/// Streams tried; the best counts.
pub const STREAMS: [usize; 5] = [1, 2, 4, 8, 16];

/// Most bytes of a buffer that are read: enough to be far beyond every cache.
pub const MOST_BYTES: usize = 1 << 30;

/// Bytes of a stream that are read before the next stream's turn.
const TURN: usize = 256;

/// Bytes per second of the best of `rounds` reads for each number of streams,
/// on the current rayon pool: every thread reads its share of the buffer's
/// first [`MOST_BYTES`] with that many streams.
///
/// # Panics
///
/// If the buffer is empty.
#[must_use]
pub fn read_bytes_per_second(buffer: &[u8], rounds: usize) -> f64 {
    let buffer = &buffer[..buffer.len().min(MOST_BYTES)];
    let threads = rayon::current_num_threads();
    let mut best = 0f64;
    for streams in STREAMS {
        for _ in 0..rounds {
            let start = Instant::now();
            let sum = buffer
                .par_chunks(buffer.len().div_ceil(threads))
                .map(|share| read(share, streams))
                .reduce(|| 0, u64::wrapping_add);
            std::hint::black_box(sum);
            best = best.max(buffer.len() as f64 / start.elapsed().as_secs_f64());
        }
    }
    best
}

/// Sums a buffer's words over `streams` equal parts read in turn, with the
/// widest loads of this machine.
fn read(buffer: &[u8], streams: usize) -> u64 {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: detection above has found AVX-512 F.
            return unsafe { sum_avx512(buffer, streams) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: detection above has found AVX2.
            return unsafe { sum_avx2(buffer, streams) };
        }
    }
    sum(buffer, streams)
}

/// 512-bit loads.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn sum_avx512(buffer: &[u8], streams: usize) -> u64 {
    sum(buffer, streams)
}

/// 256-bit loads.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn sum_avx2(buffer: &[u8], streams: usize) -> u64 {
    sum(buffer, streams)
}

/// The loop that each instruction set compiles for itself. What doesn't fill
/// a last turn of every stream is left out.
#[inline(always)]
fn sum(buffer: &[u8], streams: usize) -> u64 {
    let part = buffer.len() / streams / TURN * TURN;
    let mut sums = [0u64; TURN / 8];
    for offset in (0..part).step_by(TURN) {
        for stream in 0..streams {
            let turn = &buffer[stream * part + offset..][..TURN];
            for (sum, word) in sums.iter_mut().zip(turn.as_chunks().0) {
                *sum = sum.wrapping_add(u64::from_ne_bytes(*word));
            }
        }
    }
    sums.into_iter().fold(0, u64::wrapping_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_once() {
        let words: Vec<u64> = (0..16 * 3 * TURN as u64 / 8).map(|i| i * i).collect();
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        for streams in STREAMS {
            assert_eq!(read(&bytes, streams), words.iter().sum::<u64>());
            assert_eq!(sum(&bytes, streams), words.iter().sum::<u64>());
        }
    }
}
