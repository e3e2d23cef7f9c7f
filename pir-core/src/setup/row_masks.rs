//! Row masks: Ã_r = Σ_j τ_{-1}(D_{r,j})·A_j in R_q, whose product with the
//! secret has the mask of output r as its constant coefficient.

use rayon::prelude::*;

use super::Square;
use crate::Error;
use crate::crs::QueryMasks;
use crate::database::DatabaseView;
use crate::params::noise::mean_square_limit;
use crate::ring::{DEGREE, ORBIT, PackPrime, Prime, ScanPrime};
use crate::ring::{inverse_mod, mul_mod, ntt, pointwise};

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
}

/// d^{-1}·Ã_r mod Q by slots, for the d rows of a group, into the rows of
/// `out`.
pub(super) fn transformed(
    database: &DatabaseView<'_>,
    group: usize,
    masks: &Masks,
    out: &mut Square,
) -> Result<(), Error> {
    out.par_iter_mut().enumerate().try_for_each(|(row, out)| {
        let row = group * DEGREE + row;
        let blocks = (0..masks.0.len()).map(|block| database.block_rows(block, row, 1));
        check_norm(row, blocks.clone(), database.params().columns())?;
        row_mask(blocks, masks, &mut out.slots);
        Ok(())
    })
}

/// One row: Σ_j D_{r,j}·τ_{-1}(A_j), then τ_{-1} of the sum, so that no digit
/// is moved.
fn row_mask<'a>(blocks: impl Iterator<Item = &'a [u8]>, masks: &Masks, out: &mut [u32; DEGREE]) {
    const SCALE: u32 = inverse_mod(DEGREE as u32, PackPrime::MODULUS);
    let mut total = [0u32; DEGREE];
    let mut sum = [0u64; DEGREE];
    let mut block = [0u32; DEGREE];
    for (index, (digits, mask)) in blocks.zip(&masks.0).enumerate() {
        residues(&mut block, digits);
        ntt::forward::<ScanPrime>(&mut block);
        pointwise::accumulate(&mut sum, &block, mask);
        if (index + 1) % pointwise::FOLD_EVERY == 0 {
            pointwise::fold::<ScanPrime>(&mut total, &mut sum);
        }
    }
    pointwise::fold::<ScanPrime>(&mut total, &mut sum);
    ntt::inverse::<ScanPrime>(&mut total);
    // τ_{-1}: X^i becomes -X^{d-i}. The masks alone are multiplied by d^{-1}.
    for (i, &coefficient) in total.iter().enumerate() {
        let switched = pointwise::switch_modulus::<ScanPrime, PackPrime>(coefficient);
        let scaled = mul_mod(switched, SCALE, PackPrime::MODULUS);
        if i == 0 {
            out[0] = scaled;
        } else {
            out[DEGREE - i] = PackPrime::MODULUS - scaled;
        }
    }
    ntt::forward::<PackPrime>(out);
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

fn check_norm<'a>(
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
