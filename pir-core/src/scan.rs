//! The scan: the product of the database with the queries of one pass.
//!
//! β = D·c mod 2^k for k-bit query elements c and signed byte digits D. A
//! query element stands for c·q/2^k, so β stands for β·q/2^k, and working
//! modulo a power of two makes the wrapping 32-bit arithmetic of the kernels
//! exact for any number of columns: each 8-bit limb of c is multiplied into
//! its own 32-bit sums and the limbs are shifted together at the end.

#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

use rayon::prelude::*;

use crate::arch::{Avx512, Backend};
use crate::database::DatabaseView;
use crate::query::{Batch, Query};
use crate::ring::DEGREE;

/// Query elements in a line.
const CHUNK: usize = 64;

/// Lines of a block for one limb of one query.
const CHUNKS: usize = DEGREE / CHUNK;

/// Rows that one task takes: a multiple of the rows that a kernel takes at a
/// time, and enough for long streams from memory.
const TASK_ROWS: usize = 1024;

/// One limb of 64 query elements.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; CHUNK]);

/// The limbs of all queries of a pass: for each block of d columns, each
/// query, each chunk of 64 columns, one line a limb from the least significant
/// on.
struct Limbs {
    queries: usize,
    /// Limbs of an element, ⌈k/8⌉.
    count: usize,
    lines: Vec<Line>,
}

impl Limbs {
    fn of(queries: &[Query], query_bits: u32) -> Self {
        let count = query_bits.div_ceil(8) as usize;
        let per_query = CHUNKS * count;
        let blocks = queries[0].elements.len() / DEGREE;
        let mut lines = vec![Line([0; CHUNK]); blocks * queries.len() * per_query];
        lines
            .par_chunks_exact_mut(per_query)
            .enumerate()
            .for_each(|(index, lines)| {
                let (block, query) = (index / queries.len(), &queries[index % queries.len()]);
                let elements = &query.elements[block * DEGREE..(block + 1) * DEGREE];
                for (lines, elements) in lines
                    .chunks_exact_mut(count)
                    .zip(elements.chunks_exact(CHUNK))
                {
                    for (limb, line) in lines.iter_mut().enumerate() {
                        for (byte, element) in line.0.iter_mut().zip(elements) {
                            *byte = (element >> (8 * limb)) as u8;
                        }
                    }
                }
            });
        Self {
            queries: queries.len(),
            count,
            lines,
        }
    }

    /// The lines of one block for each query, `CHUNKS·count` lines.
    fn block(&self, block: usize) -> impl Iterator<Item = &[Line]> {
        let per_query = CHUNKS * self.count;
        let per_block = self.queries * per_query;
        self.lines[block * per_block..(block + 1) * per_block].chunks_exact(per_query)
    }
}

/// β for every row and query: `rows × queries`, values mod 2^k.
///
/// Runs on the current rayon pool, over rows, on the given backend; falls back
/// to portable code if the machine lacks it.
///
/// # Panics
///
/// If database and batch are for different parameters.
#[must_use]
pub fn scan(backend: Backend, database: &DatabaseView<'_>, batch: Batch<'_>) -> Vec<u32> {
    let params = database.params();
    assert_eq!(params, batch.params(), "queries for another database");
    let queries = batch.queries();
    let bits = params.widths().query;
    let limbs = Limbs::of(queries, bits);
    let mut products = vec![0; params.rows() * queries.len()];
    let proof = match backend {
        Backend::Portable => None,
        Backend::Avx512Vnni => Avx512::detect(),
    };
    let blocks = params.columns() / DEGREE;
    products
        .par_chunks_mut(TASK_ROWS * queries.len())
        .enumerate()
        .for_each(|(task, products)| {
            for block in 0..blocks {
                let rows = database.block_rows(block, task * TASK_ROWS, TASK_ROWS);
                match proof {
                    #[cfg(target_arch = "x86_64")]
                    Some(proof) => avx512::add_block(proof, rows, &limbs, block, products),
                    _ => portable::add_block(rows, &limbs, block, products),
                }
            }
            for product in products {
                *product &= (1 << bits) - 1;
            }
        });
    products
}

#[cfg(test)]
mod tests;
