//! Read bandwidth of the machine: the best plain read of a buffer over 1, 2,
//! 4, 8 and 16 concurrent streams, against which scans are measured.

#![expect(unsafe_code, reason = "SIMD kernel")]

use std::time::Instant;

use rayon::prelude::*;

/// Streams tried; the best counts.
pub const STREAMS: [usize; 5] = [1, 2, 4, 8, 16];

/// Bytes per second of the best of `rounds` reads for each number of streams,
/// on the current rayon pool: every thread reads its share of the buffer with
/// that many streams.
#[must_use]
pub fn read_bytes_per_second(buffer: &[u8], rounds: usize) -> f64 {
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

/// Sums a buffer's words over `streams` equal parts read in turn.
fn read(buffer: &[u8], streams: usize) -> u64 {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: detection above has found AVX-512 F.
        return unsafe {
            match streams {
                1 => read_avx512::<1>(buffer),
                2 => read_avx512::<2>(buffer),
                4 => read_avx512::<4>(buffer),
                8 => read_avx512::<8>(buffer),
                _ => read_avx512::<16>(buffer),
            }
        };
    }
    let part = buffer.len() / streams / 8 * 8;
    let parts: Vec<&[u8]> = buffer.chunks_exact(part).take(streams).collect();
    let mut sum = 0u64;
    for offset in (0..part).step_by(8) {
        for part in &parts {
            let word = part[offset..offset + 8].try_into().unwrap_or([0; 8]);
            sum = sum.wrapping_add(u64::from_ne_bytes(word));
        }
    }
    sum
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn read_avx512<const STREAMS: usize>(buffer: &[u8]) -> u64 {
    use std::arch::x86_64::*;
    let part = buffer.len() / STREAMS / 256 * 256;
    let mut sums = [_mm512_setzero_si512(); 4];
    for offset in (0..part).step_by(256) {
        for stream in 0..STREAMS {
            for (line, sum) in sums.iter_mut().enumerate() {
                let at = &buffer[stream * part + offset + 64 * line..][..64];
                // SAFETY: `at` holds 64 bytes.
                let words = unsafe { _mm512_loadu_si512(at.as_ptr().cast()) };
                *sum = _mm512_add_epi64(*sum, words);
            }
        }
    }
    sums.into_iter()
        .map(|sum| _mm512_reduce_add_epi64(sum) as u64)
        .fold(0, u64::wrapping_add)
}
