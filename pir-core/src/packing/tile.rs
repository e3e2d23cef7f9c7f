//! What the vector kernels of online packing share: which tiles and queries
//! meet in registers, and in what order they come from memory.

use super::{LANES, ROTATIONS, TILE};

/// Key elements that a tile's lines meet: line k meets sixteen from k on.
pub(super) const WINDOW: usize = ROTATIONS + LANES;

/// Lines between the one in use and the one asked for from memory.
pub(super) const AHEAD: usize = 24;

/// The products of `T` tiles with the keys of `Q` queries, kept in registers.
pub(super) trait Registers: Copy {
    /// Σ_k line_k ⊙ window\[k ..\], by slots.
    fn products<const T: usize, const Q: usize>(
        self,
        tiles: [&[u32; TILE]; T],
        windows: [[&[u32; WINDOW]; Q]; T],
    ) -> [[[u64; LANES]; Q]; T];
}

/// Adds the products of `T` tiles with the queries from `first` on, `Q` of
/// them, and gives `Q`.
///
/// The tiles are number `block` of `T` equal parts of all `tiles`, so that each
/// part is a stream of its own from memory.
pub(super) fn add<const T: usize, const Q: usize>(
    registers: impl Registers,
    tiles: &[[u32; TILE]],
    block: usize,
    windows: &[&[u32]],
    first: usize,
    sums: &mut [u64],
) -> usize {
    let part = tiles.len() / T;
    let number = |stream: usize| stream * part + block;
    let keys: [[&[u32; WINDOW]; Q]; T] = std::array::from_fn(|stream| {
        std::array::from_fn(|query| {
            let window = &windows[first + query][number(stream) * LANES..];
            &window.as_chunks::<WINDOW>().0[0]
        })
    });
    let found = registers.products(std::array::from_fn(|s| &tiles[number(s)]), keys);
    for (stream, found) in found.iter().enumerate() {
        for (query, found) in found.iter().enumerate() {
            let start = (number(stream) * windows.len() + first + query) * LANES;
            for (sum, found) in sums[start..start + LANES].iter_mut().zip(found) {
                *sum += found;
            }
        }
    }
    Q
}
