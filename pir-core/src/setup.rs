//! Set-up of a database: everything that no query changes.
//!
//! For each group of d rows: the row masks Ã_r (`row_masks`), their
//! aggregation into Â_t (`aggregate`) and the collapse of those into the
//! packing matrices and the published mask (`collapse`).

mod aggregate;
mod collapse;
mod row_masks;

use rayon::prelude::*;

use crate::Error;
use crate::crs::{CrsSeed, KeyMasks, KeySwitch, QueryMasks};
use crate::database::DatabaseView;
use crate::hint::Hint;
use crate::packing::{GROUP, LANES, matrix_bytes};
use crate::ring::poly::{Coefficients, Poly};
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

/// A row of a [`Square`]. The padding keeps the elements of a column in
/// different sets of the caches, which rows of 8 KiB would not.
#[derive(Clone)]
#[repr(C, align(64))]
pub(crate) struct Row {
    pub(crate) slots: [u32; DEGREE],
    padding: [u32; LANES],
}

/// A matrix of d × d residues mod Q, row by row: 16 MiB.
type Square = Vec<Row>;

fn square() -> Square {
    let row = Row {
        slots: [0; DEGREE],
        padding: [0; LANES],
    };
    vec![row; DEGREE]
}

/// Room for the intermediate matrices of one group, 32 MiB; reusable.
pub struct Workspace {
    pub(crate) first: Square,
    second: Square,
}

impl Workspace {
    /// An empty workspace.
    #[must_use]
    pub fn new() -> Self {
        Self {
            first: square(),
            second: square(),
        }
    }
}

impl Default for Workspace {
    fn default() -> Self {
        Self::new()
    }
}

/// Set-up of one database, group by group; [`preprocess`] runs all of it.
pub struct Setup<'a> {
    database: DatabaseView<'a>,
    masks: row_masks::Masks,
    rotation: collapse::RotationMasks,
    conjugation: KeyMasks,
}

impl<'a> Setup<'a> {
    /// Derives the CRS.
    #[must_use]
    pub fn new(database: DatabaseView<'a>, seed: &CrsSeed) -> Self {
        Self {
            masks: row_masks::Masks::new(&QueryMasks::derive(database.params(), seed)),
            rotation: collapse::RotationMasks::new(&KeyMasks::derive(seed, KeySwitch::Rotation)),
            conjugation: KeyMasks::derive(seed, KeySwitch::Conjugation),
            database,
        }
    }

    /// First stage: the row masks of a group, into the workspace.
    ///
    /// # Errors
    ///
    /// [`Error::RowNorm`] if a row is too far from uniform for the failure
    /// bound.
    ///
    /// # Panics
    ///
    /// If there is no such group.
    pub fn row_masks(&self, group: usize, workspace: &mut Workspace) -> Result<(), Error> {
        assert!(group < self.database.params().groups(), "no such group");
        row_masks::transformed(&self.database, group, &self.masks, &mut workspace.first)
    }

    /// Second stage, aggregation and collapse: fills the group's share of the
    /// packing matrices and gives its d published mask elements.
    ///
    /// # Panics
    ///
    /// If `packing` is not a group's share, 8·d·(d - 1) bytes.
    pub fn collapse(&self, workspace: &mut Workspace, packing: &mut [u32]) -> Vec<u32> {
        let mask = self.mask(workspace, packing);
        let bits = self.database.params().widths().mask;
        let round = |&a| pointwise::round_to_bits::<PackPrime>(a, bits);
        mask.values().iter().map(round).collect()
    }

    /// As [`Setup::collapse`], with a_fin before it is switched to q_a.
    pub(crate) fn mask(
        &self,
        workspace: &mut Workspace,
        packing: &mut [u32],
    ) -> Poly<PackPrime, Coefficients> {
        let Workspace { first, second } = workspace;
        aggregate::columns(first, second);
        aggregate::diagonals(second, first);
        collapse::collapse(first, &self.rotation, &self.conjugation, packing)
    }
}

/// Computes hint and packing matrices.
///
/// Runs on the current rayon pool; needs a [`Workspace`] for every two threads
/// beside the result. `on_group` is told how many groups are done.
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
    let setup = Setup::new(*database, seed);
    let mut packing = vec![0u32; matrix_bytes(params) / size_of::<u32>()];
    let mut published = Vec::with_capacity(params.rows());
    // Each group offers two chains to run in parallel.
    let together = rayon::current_num_threads().div_ceil(2);
    let mut workspaces: Vec<Workspace> = Vec::new();
    for (pass, packing) in packing.chunks_mut(together * GROUP).enumerate() {
        let count = packing.len() / GROUP;
        if workspaces.len() < count {
            workspaces.resize_with(count, Workspace::new);
        }
        let first = pass * together;
        let masks = workspaces
            .par_iter_mut()
            .zip(packing.par_chunks_exact_mut(GROUP))
            .enumerate()
            .map(|(group, (workspace, packing))| {
                setup.row_masks(first + group, workspace)?;
                Ok(setup.collapse(workspace, packing))
            })
            .collect::<Result<Vec<_>, Error>>()?;
        published.extend(masks.into_iter().flatten());
        on_group(first + count);
    }
    Ok(Preprocessed {
        hint: Hint::new(params, published),
        packing: PackingMatrices(packing),
    })
}

#[cfg(test)]
mod tests;
