//! The products of online packing with AVX2.
//!
//! `vpmuludq` multiplies the even 32-bit lanes; the odd ones of a line are
//! shifted down once for all queries, and those of a key are the even ones of
//! the same key one element further on, which a second load gives for free.

#![expect(unsafe_code, reason = "SIMD kernel")]

use std::arch::x86_64::*;

use super::tile::{self, AHEAD, Registers, WINDOW};
use super::{LANES, ROTATIONS, TILE};
use crate::arch::Avx2;

#[derive(Clone, Copy, Debug)]
pub(super) struct Kernel(pub(super) Avx2);

impl super::Kernel for Kernel {
    fn add_products(self, tiles: &[[u32; TILE]], windows: &[&[u32]], sums: &mut [u64]) {
        if windows.len() == 1 {
            for block in 0..tiles.len() / 2 {
                tile::add::<2, 1>(self, tiles, block, windows, 0, sums);
            }
            return;
        }
        // Four sums a query: at most twelve of sixteen registers. A tile stays
        // in the second-level cache for all queries.
        for block in 0..tiles.len() {
            let mut first = 0;
            while first < windows.len() {
                first += match windows.len() - first {
                    1 => tile::add::<1, 1>(self, tiles, block, windows, first, sums),
                    2 | 4 => tile::add::<1, 2>(self, tiles, block, windows, first, sums),
                    _ => tile::add::<1, 3>(self, tiles, block, windows, first, sums),
                };
            }
        }
    }
}

impl Registers for Kernel {
    fn products<const T: usize, const Q: usize>(
        self,
        tiles: [&[u32; TILE]; T],
        windows: [[&[u32; WINDOW]; Q]; T],
    ) -> [[[u64; LANES]; Q]; T] {
        // SAFETY: `self.0` shows that the enabled feature is there.
        unsafe { products(tiles, windows) }
    }
}

#[target_feature(enable = "avx2")]
fn products<const T: usize, const Q: usize>(
    tiles: [&[u32; TILE]; T],
    windows: [[&[u32; WINDOW]; Q]; T],
) -> [[[u64; LANES]; Q]; T] {
    // For each half of a line the even lanes, then the odd ones.
    let mut sums = [[[[_mm256_setzero_si256(); 2]; 2]; Q]; T];
    for step in 0..ROTATIONS {
        for ((tile, windows), sums) in tiles.iter().zip(&windows).zip(&mut sums) {
            if Q == 1 {
                let ahead = tile.as_ptr().wrapping_add((step + AHEAD) * LANES);
                _mm_prefetch::<_MM_HINT_T0>(ahead.cast());
            }
            for half in 0..2 {
                let offset = half * LANES / 2;
                // SAFETY: line `step` of a tile has 16 elements.
                let mask =
                    unsafe { _mm256_loadu_si256(tile.as_ptr().add(step * LANES + offset).cast()) };
                let mask_odd = _mm256_srli_epi64::<32>(mask);
                for (window, sums) in windows.iter().zip(sums.iter_mut()) {
                    // SAFETY: a window has 17 elements from `step` on.
                    let (key, key_odd) = unsafe {
                        let key = window.as_ptr().add(step + offset);
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
