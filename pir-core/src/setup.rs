//! Set-up of a database: everything that no query changes.
//!
//! For each group of d rows: the row masks Ã_r (`row_masks`), their
//! aggregation into Â_t (`aggregate`) and the collapse of those into the
//! packing matrices and the published mask (`collapse`).

mod aggregate;
mod changes;
mod collapse;
mod row_masks;
mod update;

use rayon::prelude::*;

pub use changes::Changes;
pub use row_masks::RowMasks;

use crate::Error;
use crate::crs::{CrsSeed, KeyMasks, KeySwitch, QueryMasks};
use crate::database::DatabaseView;
use crate::hint::Hint;
use crate::packing::{GROUP, LANES, PackingView, matrix_bytes};
use crate::params::Params;
use crate::ring::poly::{Coefficients, Poly};
use crate::ring::{DEGREE, PackPrime, pointwise};

/// What set-up makes of a database.
#[derive(Debug)]
pub struct Preprocessed {
    /// Published; clients need it to decrypt.
    pub hint: Hint,
    /// Kept by the server beside the database.
    pub packing: PackingMatrices,
    /// Kept by the builder for [`update`].
    pub row_masks: RowMasks,
}

/// The packing matrices, [`matrix_bytes`] bytes.
pub struct PackingMatrices(Vec<u32>);

impl PackingMatrices {
    /// Matrices that were kept.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] if they are of another shape.
    pub fn new(params: &Params, elements: Vec<u32>) -> Result<Self, Error> {
        PackingView::new(params, &elements)?;
        Ok(Self(elements))
    }

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

    /// First stage: the row masks of a group, into `kept` as [`RowMasks`] keeps
    /// them, and switched into the workspace.
    ///
    /// # Errors
    ///
    /// [`Error::RowNorm`] if a row is too far from uniform for the failure
    /// bound.
    ///
    /// # Panics
    ///
    /// If there is no such group or `kept` isn't d rows.
    pub fn row_masks(
        &self,
        group: usize,
        kept: &mut [[u32; DEGREE]],
        workspace: &mut Workspace,
    ) -> Result<(), Error> {
        assert!(group < self.database.params().groups(), "no such group");
        assert_eq!(kept.len(), DEGREE, "not a group's rows");
        row_masks::compute(&self.database, group * DEGREE, &self.masks, kept)?;
        row_masks::switch(kept, &mut workspace.first);
        Ok(())
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
    let mut parts = Parts {
        row_masks: RowMasks::zero(params),
        packing: vec![0; matrix_bytes(params) / size_of::<u32>()],
        published: vec![0; params.rows()],
    };
    let every_group = |group, kept: &mut [_], workspace: &mut _| {
        setup.row_masks(group, kept, workspace)?;
        Ok(true)
    };
    parts.fill(&setup, &every_group, on_group)?;
    Ok(parts.finish(params))
}

/// As [`preprocess`], from the set-up of an earlier database of the same
/// parameters and CRS, in time that depends on what changed. Bit by bit the
/// same as a full set-up.
///
/// # Errors
///
/// [`Error::RowNorm`] if a row is too far from uniform for the failure bound;
/// [`Error::ParameterMismatch`], [`Error::Length`] if the earlier set-up or the
/// changes are for other parameters.
pub fn update(
    earlier: Preprocessed,
    changes: &Changes,
    database: &DatabaseView<'_>,
    seed: &CrsSeed,
    on_group: &(dyn Fn(usize) + Sync),
) -> Result<Preprocessed, Error> {
    let params = database.params();
    PackingView::new(params, earlier.packing.as_slice())?;
    if earlier.hint.params() != params
        || earlier.row_masks.as_slice().len() != params.rows() * DEGREE
    {
        return Err(Error::ParameterMismatch {
            what: "earlier set-up",
        });
    }
    if changes.params() != params {
        return Err(Error::ParameterMismatch { what: "changes" });
    }
    let setup = Setup::new(*database, seed);
    let shifts = update::Shifts::new(&setup.masks);
    let mut parts = Parts {
        row_masks: earlier.row_masks,
        packing: earlier.packing.0,
        published: earlier.hint.into_masks(),
    };
    let changed_groups = |group, kept: &mut [_], workspace: &mut Workspace| {
        if !changes.any(group * DEGREE, DEGREE) {
            return Ok(false);
        }
        update::group(database, group, changes, &setup.masks, &shifts, kept)?;
        row_masks::switch(kept, &mut workspace.first);
        Ok(true)
    };
    parts.fill(&setup, &changed_groups, on_group)?;
    Ok(parts.finish(params))
}

/// The results of set-up while they are made.
struct Parts {
    row_masks: RowMasks,
    packing: Vec<u32>,
    published: Vec<u32>,
}

/// The first stage for a group; tells whether the second has to follow.
type FirstStage<'a> =
    dyn Fn(usize, &mut [[u32; DEGREE]], &mut Workspace) -> Result<bool, Error> + Sync + 'a;

impl Parts {
    fn fill(
        &mut self,
        setup: &Setup<'_>,
        first_stage: &FirstStage<'_>,
        on_group: &(dyn Fn(usize) + Sync),
    ) -> Result<(), Error> {
        let packing = self.packing.chunks_exact_mut(GROUP);
        let published = self.published.chunks_exact_mut(DEGREE);
        let mut groups: Vec<_> = self
            .row_masks
            .groups_mut()
            .zip(packing)
            .zip(published)
            .enumerate()
            .collect();
        // Each group offers two chains to run in parallel.
        let together = rayon::current_num_threads().div_ceil(2);
        let mut workspaces: Vec<Workspace> = Vec::new();
        workspaces.resize_with(together.min(groups.len()), Workspace::new);
        for groups in groups.chunks_mut(together) {
            workspaces
                .par_iter_mut()
                .zip(groups.par_iter_mut())
                .try_for_each(|(workspace, (group, ((kept, packing), published)))| {
                    if first_stage(*group, kept, workspace)? {
                        published.copy_from_slice(&setup.collapse(workspace, packing));
                    }
                    Ok::<_, Error>(())
                })?;
            on_group(groups.last().map_or(0, |(group, _)| group + 1));
        }
        Ok(())
    }

    fn finish(self, params: &Params) -> Preprocessed {
        Preprocessed {
            hint: Hint::new(params, self.published),
            packing: PackingMatrices(self.packing),
            row_masks: self.row_masks,
        }
    }
}

#[cfg(test)]
mod tests;
