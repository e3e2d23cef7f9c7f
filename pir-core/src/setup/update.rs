//! Set-up of a database from that of one that differs in few digits.
//!
//! A row mask is linear in the digits: a digit that rose by δ at column j·d + i
//! adds δ·X^i·τ_{-1}(A_j) to the kept mask of its row, exactly, so the result is
//! that of a full set-up to the bit. What follows is not linear, for it rounds:
//! the switch to Q, and the d - 1 key switches of the collapse, each of which
//! depends on all rows of the group. So a group with any changed row is
//! aggregated and collapsed anew, and only groups without are left alone.

use rayon::prelude::*;

use super::changes::{Change, Changes};
use super::row_masks::{self, Masks};
use crate::Error;
use crate::database::DatabaseView;
use crate::ring::{DEGREE, Prime, ScanPrime, ntt};
use crate::ring::{montgomery, reduce_once};

/// Changed digits that cost about as much as the transform of a block.
pub(super) const DIGITS_PER_BLOCK: usize = 16;

/// Changes that go through a row's sums together.
const TOGETHER: usize = 8;

/// τ_{-1}(A_j) by coefficients, so that every X^i times it is a window.
pub(super) struct Shifts(Vec<Box<[i32; 2 * DEGREE]>>);

impl Shifts {
    pub(super) fn new(masks: &Masks) -> Self {
        let shifts = masks.blocks().map(|mask| {
            let mut coefficients = *mask;
            for value in &mut coefficients {
                *value = montgomery::<ScanPrime>(u64::from(*value));
            }
            ntt::inverse::<ScanPrime>(&mut coefficients);
            // X^i·a has a_{t-i} at t ≥ i and -a_{t-i+d} before.
            let mut twice = Box::new([0; 2 * DEGREE]);
            let (negative, positive) = twice.split_at_mut(DEGREE);
            for ((negative, positive), &a) in negative.iter_mut().zip(positive).zip(&coefficients) {
                *positive = centred(a);
                *negative = -*positive;
            }
            twice
        });
        Self(shifts.collect())
    }

    /// X^i·τ_{-1}(A_j) for column j·d + i, centred coefficients.
    fn of(&self, column: u32) -> &[i32; DEGREE] {
        let (block, i) = (column as usize / DEGREE, column as usize % DEGREE);
        let (window, _) = self.0[block][DEGREE - i..].as_chunks();
        &window[0]
    }
}

/// Brings the kept mask of row `row` up to date.
pub(super) fn row(
    database: &DatabaseView<'_>,
    row: usize,
    changes: &[Change],
    masks: &Masks,
    shifts: &Shifts,
    kept: &mut [u32; DEGREE],
) -> Result<(), Error> {
    let blocks = masks.blocks().len();
    if changes.len() > blocks * DIGITS_PER_BLOCK {
        return row_masks::compute(database, row, masks, std::slice::from_mut(kept));
    }
    if changes.is_empty() {
        return Ok(());
    }
    let mut squares = 0;
    for block in 0..blocks {
        row_masks::add_squares(&mut squares, database.block_rows(block, row, 1));
    }
    row_masks::check_norm(row, squares, database.params().columns())?;
    // At most 16 changes for each of 2^9 blocks, each product below 2^29·2^8.
    let mut sums = [0i64; DEGREE];
    for together in changes.chunks(TOGETHER) {
        let mut differences = [0; TOGETHER];
        let mut windows = [shifts.of(0); TOGETHER];
        for (index, change) in together.iter().enumerate() {
            differences[index] = i32::from(change.difference);
            windows[index] = shifts.of(change.column);
        }
        add(&mut sums, &windows, &differences);
    }
    fold(kept, &sums);
    Ok(())
}

/// The row masks of a group.
pub(super) fn group(
    database: &DatabaseView<'_>,
    group: usize,
    changes: &Changes,
    masks: &Masks,
    shifts: &Shifts,
    kept: &mut [[u32; DEGREE]],
) -> Result<(), Error> {
    kept.par_iter_mut()
        .enumerate()
        .try_for_each(|(index, kept)| {
            let number = group * DEGREE + index;
            row(database, number, changes.of(number), masks, shifts, kept)
        })
}

crate::arch::multiversion! {
    /// Adds Σ δ·w.
    fn add(
        sums: &mut [i64; DEGREE],
        windows: &[&[i32; DEGREE]; TOGETHER],
        differences: &[i32; TOGETHER],
    ) {
        for (t, sum) in sums.iter_mut().enumerate() {
            for (window, &difference) in windows.iter().zip(differences) {
                *sum += i64::from(window[t]) * i64::from(difference);
            }
        }
    }

    /// Adds sums below 2^50 to the residues.
    fn fold(kept: &mut [u32; DEGREE], sums: &[i64; DEGREE]) {
        /// A multiple of q above 2^50.
        const SHIFT: i64 = (ScanPrime::MODULUS as i64) << 21;
        for (kept, sum) in kept.iter_mut().zip(sums) {
            let reduced = montgomery::<ScanPrime>((sum + SHIFT) as u64);
            let product = u64::from(reduced) * u64::from(ScanPrime::R_SQUARED);
            let reduced = montgomery::<ScanPrime>(product);
            *kept = reduce_once(*kept + reduced, ScanPrime::MODULUS);
        }
    }
}

fn centred(residue: u32) -> i32 {
    let residue = residue as i32;
    if residue > ScanPrime::MODULUS as i32 / 2 {
        residue - ScanPrime::MODULUS as i32
    } else {
        residue
    }
}
