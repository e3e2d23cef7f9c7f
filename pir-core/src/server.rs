//! The server's role: answer the queries of one pass.

use rayon::prelude::*;

use crate::answer::Answer;
use crate::arch::Backend;
use crate::check::Check;
use crate::database::DatabaseView;
use crate::packing::{Packed, PackingView};
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
    check: Option<&'a Check>,
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

    /// A server on a given backend.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] if the packing matrices are of another shape;
    /// [`Error::Backend`] if the machine lacks the backend's instructions.
    pub fn with_backend(
        database: DatabaseView<'a>,
        packing: &'a [u32],
        backend: Backend,
    ) -> Result<Self, Error> {
        Ok(Self {
            packing: PackingView::new(database.params(), packing)?,
            database,
            backend: backend.check()?,
            check: None,
        })
    }

    /// Checks every pass by `check`, which was made of the same matrices.
    #[must_use]
    pub fn checked(mut self, check: &'a Check) -> Self {
        self.check = Some(check);
        self
    }

    /// The instructions that the kernels use.
    #[must_use]
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// Answers up to [`crate::query::MAX_BATCH`] queries with one pass over the
    /// database and one over the packing matrices, on the current rayon pool.
    ///
    /// # Errors
    ///
    /// [`Error::BatchSize`] for no query or too many;
    /// [`Error::ParameterMismatch`] if a query is for other parameters;
    /// [`Error::Fault`] if the pass fails its [check](Server::checked).
    pub fn answer(&self, queries: &[Query]) -> Result<Vec<Answer>, Error> {
        let mut workspace = Workspace::default();
        self.answer_with(&mut workspace, queries)?;
        Ok(workspace.answers)
    }

    /// As [`Server::answer`], with buffers that are kept from one pass to the
    /// next: allocates nothing once `workspace` has served as large a batch of
    /// as large a shape.
    ///
    /// # Errors
    ///
    /// Those of [`Server::answer`].
    pub fn answer_with<'w>(
        &self,
        workspace: &'w mut Workspace,
        queries: &[Query],
    ) -> Result<&'w [Answer], Error> {
        let params = self.database.params();
        let batch = Batch::new(params, queries)?;
        let Workspace {
            scan,
            packed,
            answers,
        } = workspace;
        let products = scan.scan(self.backend, &self.database, batch);
        packed.pack(self.backend, self.packing, batch);
        if let Some(check) = self.check {
            check.scan(batch, products)?;
            check.packing(batch, packed)?;
        }
        if answers.len() < queries.len() {
            answers.resize_with(queries.len(), || Answer::empty(params));
        }
        let answers = &mut answers[..queries.len()];
        for answer in answers.iter_mut() {
            answer.reset(params);
        }
        let packed = &*packed;
        answers
            .par_iter_mut()
            .enumerate()
            .for_each(|(query, answer)| {
                let groups = answer.bodies_mut().par_chunks_exact_mut(DEGREE);
                groups.enumerate().for_each(|(group, bodies)| {
                    let products = products[group * DEGREE * queries.len()..].iter();
                    let products = products.skip(query).step_by(queries.len());
                    let body = body(params, packed, group, query, products);
                    for (out, &value) in bodies.iter_mut().zip(&body) {
                        *out = pointwise::round_to_bits::<PackPrime>(value, params.widths().body);
                    }
                });
            });
        Ok(answers)
    }
}

/// Room for the passes of one thread that answers; grows with the first pass
/// and is reused by those after it.
#[derive(Default)]
pub struct Workspace {
    scan: scan::Workspace,
    packed: Packed,
    answers: Vec<Answer>,
}

/// Shows nothing of what passes left.
impl std::fmt::Debug for Workspace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Workspace(..)")
    }
}

/// b_fin = Σ β'_r·X^r + ModDown(T) mod Q for one group and query, with β' the
/// scan's products switched to Q.
pub(crate) fn body<'b>(
    params: &Params,
    packed: &Packed,
    group: usize,
    query: usize,
    products: impl Iterator<Item = &'b u32>,
) -> [u32; DEGREE] {
    const INVERSE: [u32; DEGREE] = [pointwise::SPECIAL_INVERSE; DEGREE];
    let mut low = packed.special_slots(group, query);
    ntt::inverse::<SpecialPrime>(&mut low);
    pointwise::divide_by_special(&mut low);
    let mut sum = [0; DEGREE];
    pointwise::multiply::<PackPrime>(&mut sum, &packed.pack_slots(group, query), &INVERSE);
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
