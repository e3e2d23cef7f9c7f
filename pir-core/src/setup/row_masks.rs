//! Row masks: Ã_r = Σ_j τ_{-1}(D_{r,j})·A_j in R_q, whose product with the
//! secret has the mask of output r as its constant coefficient.
//!
//! They are kept as τ_{-1}(Ã_r) = Σ_j D_{r,j}·τ_{-1}(A_j), by coefficients, so
//! that no digit is moved; τ_{-1} comes with the switch to Q.

use rayon::prelude::*;

use super::Square;
use crate::Error;
use crate::crs::QueryMasks;
use crate::database::DatabaseView;
use crate::params::Params;
use crate::params::noise::mean_square_limit;
use crate::ring::{DEGREE, ORBIT, PackPrime, Prime, ScanPrime};
use crate::ring::{inverse_mod, mul_mod, ntt, pointwise};

/// The row masks of a database before they are switched to Q, `rows × d`
/// coefficients mod q. Set-up of a database that differs little starts from
/// them; nobody else needs them.
pub struct RowMasks(Vec<u32>);

impl RowMasks {
    pub(super) fn zero(params: &Params) -> Self {
        Self(vec![0; params.rows() * DEGREE])
    }

    /// Masks that were kept.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] if they are of another shape;
    /// [`Error::NonCanonical`] if one isn't below q.
    pub fn new(params: &Params, coefficients: Vec<u32>) -> Result<Self, Error> {
        const WHAT: &str = "row masks";
        let (expected, found) = (params.rows() * DEGREE, coefficients.len());
        if expected != found {
            return Err(Error::Length {
                what: WHAT,
                expected: expected * size_of::<u32>(),
                found: found * size_of::<u32>(),
            });
        }
        if coefficients.par_iter().any(|&a| a >= ScanPrime::MODULUS) {
            return Err(Error::NonCanonical { what: WHAT });
        }
        Ok(Self(coefficients))
    }

    /// The coefficients, row by row.
    #[must_use]
    pub fn as_slice(&self) -> &[u32] {
        &self.0
    }

    /// The rows of each group.
    pub(super) fn groups_mut(&mut self) -> impl Iterator<Item = &mut [[u32; DEGREE]]> {
        self.0
            .chunks_exact_mut(DEGREE * DEGREE)
            .map(|group| group.as_chunks_mut().0)
    }
}

impl std::fmt::Debug for RowMasks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RowMasks({} rows)", self.0.len() / DEGREE)
    }
}

/// τ_{-1}(A_j) by slots, in Montgomery form.
pub(super) struct Masks(Vec<Box<[u32; DEGREE]>>);

impl Masks {
    /// In orbit order τ_{-1} swaps the halves.
    pub(super) fn new(masks: &QueryMasks) -> Self {
        let swapped = masks.blocks().map(|mask| {
            let mut swapped = Box::new(*mask);
            swapped.rotate_left(ORBIT);
            swapped
        });
        Self(swapped.collect())
    }

    /// One element a block of d columns.
    pub(super) fn blocks(&self) -> impl ExactSizeIterator<Item = &[u32; DEGREE]> {
        self.0.iter().map(|mask| &**mask)
    }
}

/// The masks of the rows of a group from `first` on, for all of their digits;
/// refuses a row too far from uniform.
pub(super) fn compute(
    database: &DatabaseView<'_>,
    first: usize,
    masks: &Masks,
    out: &mut [[u32; DEGREE]],
) -> Result<(), Error> {
    out.par_chunks_mut(TOGETHER).enumerate().try_for_each_init(
        || vec![Sums::new(); TOGETHER],
        |sums, (chunk, out)| {
            let first = first + chunk * TOGETHER;
            for (index, mask) in masks.0.iter().enumerate() {
                let rows = database.block_rows(index, first, out.len());
                let rows = rows.as_chunks::<DEGREE>().0.iter();
                for ((digits, out), sums) in rows.zip(out.iter_mut()).zip(sums.iter_mut()) {
                    sums.add(index, digits, mask, out);
                }
            }
            for ((index, sums), out) in sums.iter_mut().enumerate().zip(out) {
                sums.finish(first + index, database.params().columns(), out)?;
            }
            Ok(())
        },
    )
}

/// Rows that go through the blocks together, so that what is read of a block
/// is contiguous and its mask stays in the first-level cache.
const TOGETHER: usize = 4;

/// A row on its way through the blocks.
#[derive(Clone)]
struct Sums {
    /// Σ D_{r,j}·τ_{-1}(A_j) since the last fold, by slots.
    slots: Box<[u64; DEGREE]>,
    /// The block being added.
    block: Box<[u32; DEGREE]>,
    /// Σ digit².
    squares: u64,
}

impl Sums {
    fn new() -> Self {
        Self {
            slots: Box::new([0; DEGREE]),
            block: Box::new([0; DEGREE]),
            squares: 0,
        }
    }

    /// Adds block number `index`; `total` takes what is folded.
    fn add(
        &mut self,
        index: usize,
        digits: &[u8; DEGREE],
        mask: &[u32; DEGREE],
        total: &mut [u32; DEGREE],
    ) {
        if index == 0 {
            total.fill(0);
        }
        add_squares(&mut self.squares, digits);
        residues(&mut self.block, digits);
        ntt::forward::<ScanPrime>(&mut self.block);
        pointwise::accumulate(&mut self.slots, &self.block, mask);
        if (index + 1).is_multiple_of(pointwise::FOLD_EVERY) {
            pointwise::fold::<ScanPrime>(total, &mut self.slots);
        }
    }

    fn finish(
        &mut self,
        row: usize,
        columns: usize,
        total: &mut [u32; DEGREE],
    ) -> Result<(), Error> {
        pointwise::fold::<ScanPrime>(total, &mut self.slots);
        ntt::inverse::<ScanPrime>(total);
        check_norm(row, std::mem::take(&mut self.squares), columns)
    }
}

/// d^{-1}·Ã_r mod Q by slots, for the kept masks of a group's rows.
pub(super) fn switch(kept: &[[u32; DEGREE]], out: &mut Square) {
    const SCALE: u32 = inverse_mod(DEGREE as u32, PackPrime::MODULUS);
    kept.par_iter().zip(out).for_each(|(kept, out)| {
        // τ_{-1}: X^i becomes -X^{d-i}. The masks alone are multiplied by d^{-1}.
        for (i, &coefficient) in kept.iter().enumerate() {
            let switched = pointwise::switch_modulus::<ScanPrime, PackPrime>(coefficient);
            let scaled = mul_mod(switched, SCALE, PackPrime::MODULUS);
            if i == 0 {
                out.slots[0] = scaled;
            } else {
                out.slots[DEGREE - i] = PackPrime::MODULUS - scaled;
            }
        }
        ntt::forward::<PackPrime>(&mut out.slots);
    });
}

crate::arch::multiversion! {
    /// Digits in [-128, 127] plus q: in the range that the transform takes.
    fn residues(out: &mut [u32; DEGREE], digits: &[u8]) {
        for (out, &digit) in out.iter_mut().zip(digits) {
            *out = ScanPrime::MODULUS.wrapping_add_signed(i32::from(digit as i8));
        }
    }

    /// Adds Σ digit² of a block's row.
    pub(super) fn add_squares(sum: &mut u64, digits: &[u8]) {
        let squares: i32 = digits.iter().map(|&d| i32::from(d as i8).pow(2)).sum();
        *sum += squares as u64;
    }
}

/// Refuses a row whose Σ digit² is more than the failure bound allows.
pub(super) fn check_norm(row: usize, squares: u64, columns: usize) -> Result<(), Error> {
    let found = squares as f64 / columns as f64;
    let limit = mean_square_limit(columns);
    if found > limit {
        return Err(Error::RowNorm { row, found, limit });
    }
    Ok(())
}
