//! The server's role: answer the queries of one pass.

use rayon::prelude::*;

use crate::answer::Answer;
use crate::arch::Backend;
use crate::database::DatabaseView;
use crate::packing::{self, Packed, PackingView};
use crate::params::Params;
use crate::query::{Batch, Query};
use crate::ring::{DEGREE, PackPrime, SpecialPrime, ntt, pointwise};
use crate::{Error, params, scan};

/// A database and its packing matrices, ready to answer. It borrows both and
/// keeps nothing of a query.
#[derive(Clone, Copy, Debug)]
pub struct Server<'a> {
    database: DatabaseView<'a>,
    packing: PackingView<'a>,
    backend: Backend,
}

impl<'a> Server<'a> {
    /// A server on the best backend of this machine. `packing` is what
    /// [`crate::setup::preprocess`] made for this database.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] if the packing matrices are of another shape.
    pub fn new(database: DatabaseView<'a>, packing: &'a [u32]) -> Result<Self, Error> {
        Self::with_backend(database, packing, Backend::detect())
    }

    /// A server on a given backend, which falls back to portable code where
    /// the machine lacks it.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] if the packing matrices are of another shape.
    pub fn with_backend(
        database: DatabaseView<'a>,
        packing: &'a [u32],
        backend: Backend,
    ) -> Result<Self, Error> {
        Ok(Self {
            packing: PackingView::new(database.params(), packing)?,
            database,
            backend,
        })
    }

    /// The instructions that the kernels use.
    #[must_use]
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// Answers up to [`crate::query::MAX_BATCH`] queries with one pass over the database and
    /// one over the packing matrices, on the current rayon pool.
    ///
    /// # Errors
    ///
    /// [`Error::BatchSize`] for no query or too many; [`Error::Length`] if a
    /// query is of another shape.
    pub fn answer(&self, queries: &[Query]) -> Result<Vec<Answer>, Error> {
        let params = self.database.params();
        let batch = Batch::new(params, queries)?;
        let products = scan::scan(self.backend, &self.database, batch);
        let packed = packing::pack(self.backend, self.packing, batch);
        let mut bodies = vec![vec![0; params.rows()]; queries.len()];
        let slots: Vec<(usize, &mut [u32])> = bodies
            .iter_mut()
            .enumerate()
            .flat_map(|(query, bodies)| bodies.chunks_exact_mut(DEGREE).map(move |b| (query, b)))
            .collect();
        // `slots` runs query by query, `packed` group by group.
        slots
            .into_par_iter()
            .enumerate()
            .for_each(|(index, (query, bodies))| {
                let group = index % params.groups();
                let column = products[group * DEGREE * queries.len()..]
                    .iter()
                    .skip(query);
                let column = column.step_by(queries.len());
                finish(
                    params,
                    &packed[group * queries.len() + query],
                    column,
                    bodies,
                );
            });
        Ok(bodies.into_iter().map(Answer::new).collect())
    }
}

/// b_fin = Σ β'_r·X^r + ModDown(T), switched to q_b, for one group.
fn finish<'b>(
    params: &Params,
    packed: &Packed,
    column: impl Iterator<Item = &'b u32>,
    bodies: &mut [u32],
) {
    const INVERSE: [u32; DEGREE] = [pointwise::SPECIAL_INVERSE; DEGREE];
    let params::Widths { query, body, .. } = params.widths();
    let mut low = *packed.special;
    ntt::inverse::<SpecialPrime>(&mut low);
    pointwise::divide_by_special(&mut low);
    let mut sum = [0; DEGREE];
    pointwise::multiply::<PackPrime>(&mut sum, &packed.pack, &INVERSE);
    ntt::inverse::<PackPrime>(&mut sum);
    pointwise::subtract::<PackPrime>(&mut sum, &low);
    let mut scanned = [0; DEGREE];
    for (scanned, &product) in scanned.iter_mut().zip(column) {
        *scanned = pointwise::round_from_bits::<PackPrime>(product, query);
    }
    pointwise::add::<PackPrime>(&mut sum, &scanned);
    for (out, &value) in bodies.iter_mut().zip(&sum) {
        *out = pointwise::round_to_bits::<PackPrime>(value, body);
    }
}

#[cfg(test)]
mod tests;
