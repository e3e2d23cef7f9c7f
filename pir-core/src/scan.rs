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

/// Columns that a kernel takes at a time.
const CHUNK: usize = 64;

/// Rows that one task takes.
const TASK_ROWS: usize = 96;

/// One limb of 64 query elements.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; CHUNK]);

/// The limbs of all queries of a pass: for each chunk of 64 columns, each
/// query, each limb from the least significant on, one line.
struct Limbs {
    queries: usize,
    /// Limbs of an element, ⌈k/8⌉.
    count: usize,
    lines: Vec<Line>,
}

impl Limbs {
    fn of(queries: &[Query], query_bits: u32) -> Self {
        let count = query_bits.div_ceil(8) as usize;
        let chunks = queries[0].elements.len() / CHUNK;
        let per_chunk = queries.len() * count;
        let mut lines = vec![Line([0; CHUNK]); chunks * per_chunk];
        for (chunk, lines) in lines.chunks_exact_mut(per_chunk).enumerate() {
            for (query, lines) in queries.iter().zip(lines.chunks_exact_mut(count)) {
                let elements = &query.elements[chunk * CHUNK..(chunk + 1) * CHUNK];
                for (limb, line) in lines.iter_mut().enumerate() {
                    for (byte, element) in line.0.iter_mut().zip(elements) {
                        *byte = (element >> (8 * limb)) as u8;
                    }
                }
            }
        }
        Self {
            queries: queries.len(),
            count,
            lines,
        }
    }

    /// The lines of one chunk, query by query.
    fn chunk(&self, chunk: usize) -> &[Line] {
        let per_chunk = self.queries * self.count;
        &self.lines[chunk * per_chunk..(chunk + 1) * per_chunk]
    }
}

/// β for every row and query: `rows × queries`, values mod 2^k.
///
/// Runs on the current rayon pool, over rows, on the given backend; falls back
/// to portable code if the machine lacks it.
#[must_use]
pub fn scan(backend: Backend, database: &DatabaseView<'_>, batch: Batch<'_>) -> Vec<u32> {
    let params = database.params();
    let queries = batch.queries();
    let bits = params.widths().query;
    let limbs = Limbs::of(queries, bits);
    let mut products = vec![0; params.rows() * queries.len()];
    let proof = match backend {
        Backend::Portable => None,
        Backend::Avx512Vnni => Avx512::detect(),
    };
    products
        .par_chunks_mut(TASK_ROWS * queries.len())
        .enumerate()
        .for_each(|(task, products)| {
            let count = products.len() / queries.len();
            let rows = database.rows(task * TASK_ROWS, count);
            match proof {
                #[cfg(target_arch = "x86_64")]
                Some(proof) => avx512::scan(proof, rows, &limbs, products),
                _ => portable::scan(rows, &limbs, products),
            }
            for product in products {
                *product &= (1 << bits) - 1;
            }
        });
    products
}

#[cfg(test)]
mod tests;
