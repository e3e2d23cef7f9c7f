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

/// The mask of row `row`, for all of its digits; refuses a row too far from
/// uniform.
pub(super) fn compute(
    database: &DatabaseView<'_>,
    row: usize,
    masks: &Masks,
    out: &mut [u32; DEGREE],
) -> Result<(), Error> {
    let blocks = || (0..masks.0.len()).map(|block| database.block_rows(block, row, 1));
    check_norm(row, blocks(), database.params().columns())?;
    let mut sum = [0u64; DEGREE];
    let mut block = [0u32; DEGREE];
    out.fill(0);
    for (index, (digits, mask)) in blocks().zip(&masks.0).enumerate() {
        residues(&mut block, digits);
        ntt::forward::<ScanPrime>(&mut block);
        pointwise::accumulate(&mut sum, &block, mask);
        if (index + 1) % pointwise::FOLD_EVERY == 0 {
            pointwise::fold::<ScanPrime>(out, &mut sum);
        }
    }
    pointwise::fold::<ScanPrime>(out, &mut sum);
    ntt::inverse::<ScanPrime>(out);
    Ok(())
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
    fn add_squares(sum: &mut u64, digits: &[u8]) {
        let squares: i32 = digits.iter().map(|&d| i32::from(d as i8).pow(2)).sum();
        *sum += squares as u64;
    }
}

pub(super) fn check_norm<'a>(
    row: usize,
    blocks: impl Iterator<Item = &'a [u8]>,
    columns: usize,
) -> Result<(), Error> {
    let mut sum = 0;
    for digits in blocks {
        add_squares(&mut sum, digits);
    }
    let found = sum as f64 / columns as f64;
    let limit = mean_square_limit(columns);
    if found > limit {
        return Err(Error::RowNorm { row, found, limit });
    }
    Ok(())
}
