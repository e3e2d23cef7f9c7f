//! Set-up of a database: everything that no query changes.
//!
//! For each group of d rows: the row masks Ã_r ([`row_masks`]), their
//! aggregation into Â_t ([`aggregate`]) and the collapse of those into the
//! packing matrices and the published mask ([`collapse`]).

mod aggregate;
mod collapse;
mod row_masks;

use rayon::prelude::*;

use crate::Error;
use crate::crs::{CrsSeed, KeyMasks, KeySwitch, QueryMasks};
use crate::database::DatabaseView;
use crate::hint::Hint;
use crate::packing::{GROUP, matrix_bytes};
use crate::ring::{DEGREE, PackPrime, pointwise};

/// What set-up makes of a database.
#[derive(Debug)]
pub struct Preprocessed {
    /// Published; clients need it to decrypt.
    pub hint: Hint,
    /// Kept by the server beside the database.
    pub packing: PackingMatrices,
}

/// The packing matrices, [`matrix_bytes`] bytes.
pub struct PackingMatrices(Vec<u32>);

impl PackingMatrices {
    /// The elements, as [`crate::packing::PackingView`] reads them.
    #[must_use]
    pub fn as_slice(&self) -> &[u32] {
        &self.0
    }
}

impl std::fmt::Debug for PackingMatrices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PackingMatrices({} elements)", self.0.len())
    }
}

/// A matrix of d × d residues mod Q, row by row: 16 MiB.
type Square = Vec<[u32; DEGREE]>;

/// Computes hint and packing matrices.
///
/// Runs on the current rayon pool; needs 32 MiB a group in work beside the
/// result. `on_group` is told how many groups are done.
///
/// # Errors
///
/// [`Error::RowNorm`] if a row is too far from uniform for the failure bound.
pub fn preprocess(
    database: &DatabaseView<'_>,
    seed: &CrsSeed,
    on_group: &(dyn Fn(usize) + Sync),
) -> Result<Preprocessed, Error> {
    let params = database.params();
    let masks = row_masks::Masks::new(&QueryMasks::derive(params, seed));
    let rotation = collapse::RotationMasks::new(&KeyMasks::derive(seed, KeySwitch::Rotation));
    let conjugation = KeyMasks::derive(seed, KeySwitch::Conjugation);
    let mut packing = vec![0u32; matrix_bytes(params) / size_of::<u32>()];
    let mut published = Vec::with_capacity(params.rows());

    // Each group offers two chains to run in parallel.
    let together = rayon::current_num_threads().div_ceil(2);
    let mut squares: Vec<(Square, Square)> = Vec::new();
    for (pass, packing) in packing.chunks_mut(together * GROUP).enumerate() {
        let count = packing.len() / GROUP;
        squares.resize_with(count, || {
            (vec![[0; DEGREE]; DEGREE], vec![[0; DEGREE]; DEGREE])
        });
        let first = pass * together;
        let masks = squares
            .par_iter_mut()
            .zip(packing.par_chunks_exact_mut(GROUP))
            .enumerate()
            .map(|(group, ((a, b), packing))| {
                row_masks::transformed(database, first + group, &masks, a)?;
                aggregate::columns(a, b);
                aggregate::diagonals(b, a);
                Ok(collapse::collapse(a, &rotation, &conjugation, packing))
            })
            .collect::<Result<Vec<_>, Error>>()?;
        for mask in masks {
            let bits = params.widths().mask;
            let rounded = mask
                .values()
                .iter()
                .map(|&a| pointwise::round_to_bits::<PackPrime>(a, bits));
            published.extend(rounded);
        }
        on_group(first + count);
    }
    Ok(Preprocessed {
        hint: Hint::new(published),
        packing: PackingMatrices(packing),
    })
}

#[cfg(test)]
mod tests;
