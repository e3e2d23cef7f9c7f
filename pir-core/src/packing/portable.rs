//! The products of online packing in plain Rust; they define the result.

use super::{LANES, TILE};

/// Sums of d/2 products of residues below 2^27 stay below 2^64.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kernel;

impl super::Kernel for Kernel {
    fn add_products(self, tiles: &[[u32; TILE]], windows: &[&[u32]], sums: &mut [u64]) {
        let sums = sums.chunks_exact_mut(windows.len() * LANES);
        for (tile, (lines, sums)) in tiles.iter().zip(sums).enumerate() {
            for (window, sums) in windows.iter().zip(sums.chunks_exact_mut(LANES)) {
                let window = &window[tile * LANES..];
                for (k, line) in lines.chunks_exact(LANES).enumerate() {
                    for ((sum, &mask), &key) in sums.iter_mut().zip(line).zip(&window[k..]) {
                        *sum += u64::from(mask) * u64::from(key);
                    }
                }
            }
        }
    }
}
