//! The products of online packing with AVX-512.
//!
//! Two 64-bit sums (even and odd lanes) a tile and query stay in registers; one
//! query takes eight tiles at a time, so that eight streams come from memory.

#![expect(unsafe_code, reason = "SIMD kernel")]

use std::arch::x86_64::*;

use super::tile::{self, AHEAD, Registers, WINDOW};
use super::{LANES, ROTATIONS, TILE};
use crate::arch::Avx512;

#[derive(Clone, Copy, Debug)]
pub(super) struct Kernel(pub(super) Avx512);

impl super::Kernel for Kernel {
    fn add_products(self, tiles: &[[u32; TILE]], windows: &[&[u32]], sums: &mut [u64]) {
        if windows.len() == 1 {
            for block in 0..tiles.len() / 8 {
                tile::add::<8, 1>(self, tiles, block, windows, 0, sums);
            }
            return;
        }
        // Up to sixteen of 32 registers hold sums. Tiles stay in the
        // second-level cache for all queries.
        for block in 0..tiles.len() / 2 {
            let mut first = 0;
            while first < windows.len() {
                first += match windows.len() - first {
                    1 => tile::add::<2, 1>(self, tiles, block, windows, first, sums),
                    2..=3 => tile::add::<2, 2>(self, tiles, block, windows, first, sums),
                    _ => tile::add::<2, 4>(self, tiles, block, windows, first, sums),
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

#[target_feature(enable = "avx512f")]
fn products<const T: usize, const Q: usize>(
    tiles: [&[u32; TILE]; T],
    windows: [[&[u32; WINDOW]; Q]; T],
) -> [[[u64; LANES]; Q]; T] {
    // Even lanes, then odd ones.
    let mut sums = [[[_mm512_setzero_si512(); 2]; Q]; T];
    for step in 0..ROTATIONS {
        for ((tile, windows), sums) in tiles.iter().zip(&windows).zip(&mut sums) {
            if Q == 1 {
                let ahead = tile.as_ptr().wrapping_add((step + AHEAD) * LANES);
                _mm_prefetch::<_MM_HINT_T0>(ahead.cast());
            }
            // SAFETY: line `step` of a tile has 16 elements.
            let mask = unsafe { _mm512_loadu_si512(tile.as_ptr().add(step * LANES).cast()) };
            let mask_odd = _mm512_srli_epi64::<32>(mask);
            for (window, [even, odd]) in windows.iter().zip(sums) {
                // SAFETY: a window has 16 elements from `step` on.
                let key = unsafe { _mm512_loadu_si512(window.as_ptr().add(step).cast()) };
                let key_odd = _mm512_srli_epi64::<32>(key);
                *even = _mm512_add_epi64(*even, _mm512_mul_epu32(mask, key));
                *odd = _mm512_add_epi64(*odd, _mm512_mul_epu32(mask_odd, key_odd));
            }
        }
    }
    sums.map(|sums| {
        sums.map(|[even, odd]| {
            let (mut low, mut high) = ([0u64; 8], [0u64; 8]);
            // SAFETY: `low` holds 64 bytes.
            unsafe { _mm512_storeu_si512(low.as_mut_ptr().cast(), even) };
            // SAFETY: `high` holds 64 bytes.
            unsafe { _mm512_storeu_si512(high.as_mut_ptr().cast(), odd) };
            std::array::from_fn(|lane| [low, high][lane % 2][lane / 2])
        })
    })
}
