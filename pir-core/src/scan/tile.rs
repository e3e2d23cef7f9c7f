//! The loops that the vector kernels share: which rows and queries meet in
//! registers, and in what order they come from memory.
//!
//! A tile is a few rows by a few queries over one block of d columns; its sums
//! stay in registers from the first column to the last. The rows of a tile are
//! far apart, so that each is a stream of its own for the hardware to
//! prefetch. With several queries the rows come in runs that stay in the
//! second-level cache while every group of queries passes over them, and a
//! group's encoded elements (8 KiB a query) stay in the first level.

use super::{Line, TASK_ROWS};
use crate::ring::DEGREE;

/// Rows that stay in the second-level cache for all queries, 128 KiB.
const RUN: usize = 64;

/// Vectors of an instruction set that splits an element into `LIMBS` limbs.
/// The methods of the implementations are inlined into a function with its
/// features, and only called from there.
pub(super) trait Lanes<const LIMBS: usize> {
    /// Columns of a step.
    const STEP: usize;
    /// Lines of encoded elements of a step.
    const LINES: usize;
    /// Digits, limbs or sums.
    type Vector: Copy;
    /// Shows that the machine has the instructions.
    type Proof;

    /// Sums of nothing.
    fn zero() -> Self::Vector;
    /// Loads [`Self::STEP`] digits.
    fn digits(bytes: &[u8]) -> Self::Vector;
    /// Loads the given limb of the elements in [`Self::LINES`] lines.
    fn limb(lines: &[Line], limb: usize) -> Self::Vector;
    /// Adds the products of limbs and digits.
    fn add(sum: Self::Vector, limb: Self::Vector, digits: Self::Vector) -> Self::Vector;
    /// The sum over all lanes and limbs, mod 2^32.
    fn total(sums: [Self::Vector; LIMBS]) -> u32;
}

/// [`super::Kernel::add_block`] for [`TASK_ROWS`] rows: `ALONE` rows at a time
/// with one query; with several, `ROWS` rows by `QUERIES` queries at a time.
#[inline(always)]
pub(super) fn add_block<
    L: Lanes<LIMBS>,
    const LIMBS: usize,
    const ALONE: usize,
    const ROWS: usize,
    const QUERIES: usize,
>(
    _proof: L::Proof,
    rows: &[u8],
    lines: &[Line],
    queries: usize,
    products: &mut [u32],
) {
    let (rows, _) = rows.as_chunks::<DEGREE>();
    let run = if queries == 1 { TASK_ROWS } else { RUN };
    let runs = rows
        .chunks_exact(run)
        .zip(products.chunks_exact_mut(run * queries));
    for (rows, products) in runs {
        let mut first = 0;
        while first + QUERIES <= queries && queries > 1 {
            tiles::<L, LIMBS, ROWS, QUERIES>(rows, lines, queries, first, products);
            first += QUERIES;
        }
        while first < queries {
            tiles::<L, LIMBS, ALONE, 1>(rows, lines, queries, first, products);
            first += 1;
        }
    }
}

/// All rows, `R` at a time from as many equal parts, with the queries `first
/// .. first + Q`.
#[inline(always)]
fn tiles<L: Lanes<LIMBS>, const LIMBS: usize, const R: usize, const Q: usize>(
    rows: &[[u8; DEGREE]],
    lines: &[Line],
    queries: usize,
    first: usize,
    products: &mut [u32],
) {
    let per_query = DEGREE / L::STEP * L::LINES;
    let lines: [&[Line]; Q] = std::array::from_fn(|query| {
        let start = (first + query) * per_query;
        &lines[start..start + per_query]
    });
    let part = rows.len() / R;
    for row in 0..part {
        let tile: [&[u8; DEGREE]; R] = std::array::from_fn(|stream| &rows[stream * part + row]);
        let sums = sums::<L, LIMBS, R, Q>(tile, lines);
        for (stream, sums) in sums.into_iter().enumerate() {
            let start = (stream * part + row) * queries + first;
            for (product, sums) in products[start..start + Q].iter_mut().zip(sums) {
                *product = product.wrapping_add(L::total(sums));
            }
        }
    }
    for row in R * part..rows.len() {
        let sums = sums::<L, LIMBS, 1, Q>([&rows[row]], lines);
        let products = &mut products[row * queries + first..][..Q];
        for (product, sums) in products.iter_mut().zip(sums[0]) {
            *product = product.wrapping_add(L::total(sums));
        }
    }
}

/// One tile.
#[inline(always)]
fn sums<L: Lanes<LIMBS>, const LIMBS: usize, const R: usize, const Q: usize>(
    rows: [&[u8; DEGREE]; R],
    lines: [&[Line]; Q],
) -> [[[L::Vector; LIMBS]; Q]; R] {
    assert!(
        lines
            .iter()
            .all(|lines| lines.len() == DEGREE / L::STEP * L::LINES)
    );
    let mut sums = [[[L::zero(); LIMBS]; Q]; R];
    for step in 0..DEGREE / L::STEP {
        let mut digits = [L::zero(); R];
        for (digits, row) in digits.iter_mut().zip(rows) {
            *digits = L::digits(&row[step * L::STEP..(step + 1) * L::STEP]);
        }
        for (query, lines) in lines.iter().enumerate() {
            let lines = &lines[step * L::LINES..(step + 1) * L::LINES];
            for limb in 0..LIMBS {
                // One limb at a time, for all rows, is what the registers hold.
                let limbs = L::limb(lines, limb);
                for (sums, &digits) in sums.iter_mut().zip(&digits) {
                    sums[query][limb] = L::add(sums[query][limb], limbs, digits);
                }
            }
        }
    }
    sums
}
