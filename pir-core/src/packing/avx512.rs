//! The products of online packing with AVX-512.
//!
//! A block of tiles by queries keeps two 64-bit sums (even and odd lanes) a
//! tile and query in registers; one query takes eight tiles at a time, so that
//! eight streams come from memory.

#![expect(unsafe_code, reason = "SIMD kernel")]

use std::arch::x86_64::*;

use super::{LANES, ROTATIONS, TILE};
use crate::arch::Avx512;

/// As [`super::portable::add_products`], for a number of tiles that eight
/// divides.
pub(super) fn add_products(proof: Avx512, tiles: &[u32], windows: &[&[u32]], sums: &mut [u64]) {
    let mut first = 0;
    while first < windows.len() {
        let taken = match windows.len() - first {
            1 => blocks::<8, 1>(proof, tiles, windows, first, sums),
            2..=3 => blocks::<4, 2>(proof, tiles, windows, first, sums),
            4..=7 => blocks::<2, 4>(proof, tiles, windows, first, sums),
            _ => blocks::<1, 8>(proof, tiles, windows, first, sums),
        };
        first += taken;
    }
}

/// All tiles, `T` at a time, for `Q` queries from `first` on; gives `Q`.
fn blocks<const T: usize, const Q: usize>(
    _proof: Avx512,
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
        // SAFETY: `_proof` shows that the enabled features are there.
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
#[target_feature(enable = "avx512f")]
fn registers<const T: usize, const Q: usize>(
    lines: &[u32],
    windows: &[&[u32]; Q],
) -> [[[u64; LANES]; Q]; T] {
    assert!(lines.len() >= T * TILE);
    assert!(windows.iter().all(|w| w.len() >= ROTATIONS + T * LANES));
    let mut even = [[_mm512_setzero_si512(); Q]; T];
    let mut odd = [[_mm512_setzero_si512(); Q]; T];
    for k in 0..ROTATIONS {
        for t in 0..T {
            // SAFETY: the first assertion covers line k of tile t.
            let mask =
                unsafe { _mm512_loadu_si512(lines.as_ptr().add(t * TILE + k * LANES).cast()) };
            let mask_odd = _mm512_srli_epi64::<32>(mask);
            for q in 0..Q {
                // SAFETY: the second assertion covers 16 elements from here.
                let key =
                    unsafe { _mm512_loadu_si512(windows[q].as_ptr().add(k + t * LANES).cast()) };
                let product = _mm512_mul_epu32(mask, key);
                let product_odd = _mm512_mul_epu32(mask_odd, _mm512_srli_epi64::<32>(key));
                even[t][q] = _mm512_add_epi64(even[t][q], product);
                odd[t][q] = _mm512_add_epi64(odd[t][q], product_odd);
            }
        }
    }
    let mut result = [[[0; LANES]; Q]; T];
    for t in 0..T {
        for q in 0..Q {
            let (mut low, mut high) = ([0u64; 8], [0u64; 8]);
            // SAFETY: `low` holds 64 bytes.
            unsafe { _mm512_storeu_si512(low.as_mut_ptr().cast(), even[t][q]) };
            // SAFETY: `high` holds 64 bytes.
            unsafe { _mm512_storeu_si512(high.as_mut_ptr().cast(), odd[t][q]) };
            for lane in 0..8 {
                result[t][q][2 * lane] = low[lane];
                result[t][q][2 * lane + 1] = high[lane];
            }
        }
    }
    result
}
