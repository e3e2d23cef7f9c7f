//! The products of online packing with AVX2.
//!
//! `vpmuludq` multiplies the even 32-bit lanes; the odd ones of a line are
//! shifted down once for all queries, and those of a key are the even ones of
//! the same key one element further on, which a second load gives for free.

#![expect(unsafe_code, reason = "SIMD kernel")]

use std::arch::x86_64::*;

use super::{LANES, ROTATIONS, TILE};
use crate::arch::Avx2;

/// As [`super::portable::add_products`], for an even number of tiles.
pub(super) fn add_products(proof: Avx2, tiles: &[u32], windows: &[&[u32]], sums: &mut [u64]) {
    // Four sums a tile and query: at most twelve of sixteen registers.
    let mut first = 0;
    while first < windows.len() {
        first += match windows.len() - first {
            1 => blocks::<2, 1>(proof, tiles, windows, first, sums),
            2 | 4 => blocks::<1, 2>(proof, tiles, windows, first, sums),
            _ => blocks::<1, 3>(proof, tiles, windows, first, sums),
        };
    }
}

/// All tiles, `T` at a time, for `Q` queries from `first` on; gives `Q`.
fn blocks<const T: usize, const Q: usize>(
    _proof: Avx2,
    tiles: &[u32],
    windows: &[&[u32]],
    first: usize,
    sums: &mut [u64],
) -> usize {
    let stride = windows.len() * LANES;
    let blocks = tiles.chunks_exact(T * TILE);
    for (block, (lines, sums)) in blocks.zip(sums.chunks_exact_mut(T * stride)).enumerate() {
        let windows: [&[u32]; Q] =
            std::array::from_fn(|query| &windows[first + query][block * T * LANES..]);
        // SAFETY: `_proof` shows that the enabled feature is there.
        let found = unsafe { registers::<T, Q>(lines, &windows) };
        for (tile, found) in found.iter().enumerate() {
            for (query, found) in found.iter().enumerate() {
                let start = tile * stride + (first + query) * LANES;
                for (sum, found) in sums[start..start + LANES].iter_mut().zip(found) {
                    *sum += found;
                }
            }
        }
    }
    Q
}

/// The inner loop: `T` tiles by `Q` queries over the rotation steps.
#[target_feature(enable = "avx2")]
fn registers<const T: usize, const Q: usize>(
    lines: &[u32],
    windows: &[&[u32]; Q],
) -> [[[u64; LANES]; Q]; T] {
    assert!(lines.len() >= T * TILE);
    // One element more than the last line's, for the odd lanes.
    assert!(windows.iter().all(|w| w.len() >= ROTATIONS + T * LANES));
    // For each half of a line the even lanes, then the odd ones.
    let mut sums = [[[[_mm256_setzero_si256(); 2]; 2]; Q]; T];
    for step in 0..ROTATIONS {
        for (tile, sums) in sums.iter_mut().enumerate() {
            for half in 0..2 {
                let offset = tile * TILE + step * LANES + half * LANES / 2;
                // SAFETY: the first assertion covers 8 elements from there.
                let mask = unsafe { _mm256_loadu_si256(lines.as_ptr().add(offset).cast()) };
                let mask_odd = _mm256_srli_epi64::<32>(mask);
                for (window, sums) in windows.iter().zip(sums.iter_mut()) {
                    let offset = step + tile * LANES + half * LANES / 2;
                    // SAFETY: the second assertion covers 9 elements from there.
                    let (key, key_odd) = unsafe {
                        let key = window.as_ptr().add(offset);
                        (
                            _mm256_loadu_si256(key.cast()),
                            _mm256_loadu_si256(key.add(1).cast()),
                        )
                    };
                    let [even, odd] = &mut sums[half];
                    *even = _mm256_add_epi64(*even, _mm256_mul_epu32(mask, key));
                    *odd = _mm256_add_epi64(*odd, _mm256_mul_epu32(mask_odd, key_odd));
                }
            }
        }
    }
    sums.map(|sums| {
        sums.map(|halves| {
            let mut result = [0; LANES];
            for (result, [even, odd]) in result.chunks_exact_mut(LANES / 2).zip(halves) {
                let (mut low, mut high) = ([0u64; 4], [0u64; 4]);
                // SAFETY: `low` holds 32 bytes.
                unsafe { _mm256_storeu_si256(low.as_mut_ptr().cast(), even) };
                // SAFETY: `high` holds 32 bytes.
                unsafe { _mm256_storeu_si256(high.as_mut_ptr().cast(), odd) };
                for lane in 0..4 {
                    result[2 * lane] = low[lane];
                    result[2 * lane + 1] = high[lane];
                }
            }
            result
        })
    })
}
