//! The products of online packing in plain Rust; they define the result.

use super::{LANES, TILE};

/// For every tile and query, Σ_k line_k ⊙ window\[k ..\] over the rotation
/// steps, into `sums` (`tiles × queries × 16`).
///
/// `windows` holds for every query the key
/// elements from the first tile's first slot on. Sums of d/2 products of
/// residues below 2^27 stay below 2^64.
pub(super) fn add_products(tiles: &[u32], windows: &[&[u32]], sums: &mut [u64]) {
    let tiles = tiles.chunks_exact(TILE);
    for (tile, (lines, sums)) in tiles
        .zip(sums.chunks_exact_mut(windows.len() * LANES))
        .enumerate()
    {
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
