//! The server's role: answer the queries of one pass.

use rayon::prelude::*;

use crate::answer::Answer;
use crate::arch::Backend;
use crate::database::DatabaseView;
use crate::packing::{self, Packed, PackingView};
use crate::params::Params;
use crate::query::{Batch, Query};
use crate::ring::{DEGREE, PackPrime, SpecialPrime, ntt, pointwise};
use crate::{Error, scan};

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
    /// [`Error::BatchSize`] for no query or too many;
    /// [`Error::ParameterMismatch`] if a query is for other parameters.
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
                let products = products[group * DEGREE * queries.len()..].iter();
                let products = products.skip(query).step_by(queries.len());
                finish(
                    params,
                    &packed[group * queries.len() + query],
                    products,
                    bodies,
                );
            });
        Ok(bodies.into_iter().map(|b| Answer::new(params, b)).collect())
    }
}

/// Switches b_fin of one group to q_b.
fn finish<'b>(
    params: &Params,
    packed: &Packed,
    products: impl Iterator<Item = &'b u32>,
    bodies: &mut [u32],
) {
    let width = params.widths().body;
    for (out, &value) in bodies.iter_mut().zip(&body(params, packed, products)) {
        *out = pointwise::round_to_bits::<PackPrime>(value, width);
    }
}

/// b_fin = Σ β'_r·X^r + ModDown(T) mod Q for one group and query, with β' the
/// scan's products switched to Q.
pub(crate) fn body<'b>(
    params: &Params,
    packed: &Packed,
    products: impl Iterator<Item = &'b u32>,
) -> [u32; DEGREE] {
    const INVERSE: [u32; DEGREE] = [pointwise::SPECIAL_INVERSE; DEGREE];
    let mut low = *packed.special;
    ntt::inverse::<SpecialPrime>(&mut low);
    pointwise::divide_by_special(&mut low);
    let mut sum = [0; DEGREE];
    pointwise::multiply::<PackPrime>(&mut sum, &packed.pack, &INVERSE);
    ntt::inverse::<PackPrime>(&mut sum);
    pointwise::subtract::<PackPrime>(&mut sum, &low);
    let mut switched = [0; DEGREE];
    for (switched, &product) in switched.iter_mut().zip(products) {
        *switched = pointwise::round_from_bits::<PackPrime>(product, params.widths().query);
    }
    pointwise::add::<PackPrime>(&mut sum, &switched);
    sum
}

#[cfg(test)]
mod tests;
