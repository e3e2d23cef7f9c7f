//! The scan: the product of the database with the queries of one pass.
//!
//! β = D·c mod 2^k for k-bit query elements c and signed byte digits D. A
//! query element stands for c·q/2^k, so β stands for β·q/2^k, and working
//! modulo a power of two makes wrapping 32-bit arithmetic exact for any number
//! of columns. A kernel may split elements into limbs and sum each limb's
//! products on its own, modulo 2^32.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx512_vnni;
#[cfg(target_arch = "x86_64")]
mod avx_vnni;
mod portable;
mod tile;

use rayon::prelude::*;

use crate::arch::{Avx2, Avx512, Avx512Vnni, AvxVnni, Backend};
use crate::database::DatabaseView;
use crate::query::{Batch, Query};
use crate::ring::DEGREE;

/// Rows that one task takes: a multiple of the rows that a kernel takes at a
/// time, and enough for long streams from memory.
const TASK_ROWS: usize = 1024;

/// Bytes of a [`Line`].
const LINE: usize = 64;

/// A cache line of encoded query elements.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Line([u8; LINE]);

/// What an instruction set gives the scan.
trait Kernel: Copy + Sync {
    /// Lines that d query elements are encoded into.
    const LINES: usize;

    /// Encodes d elements of one query.
    fn encode(self, elements: &[u32; DEGREE], lines: &mut [Line]);

    /// Adds the products of a block's `rows`, d bytes each, with every query,
    /// mod 2^32, to `products` (`rows × queries`). `lines` holds the encoded
    /// elements of the block, query after query.
    fn add_block(self, rows: &[u8], lines: &[Line], queries: usize, products: &mut [u32]);
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
    let mut workspace = Workspace::default();
    workspace.scan(backend, database, batch);
    workspace.products
}

/// Room for a pass, kept from one to the next.
#[derive(Default)]
pub(crate) struct Workspace {
    /// Encoded elements: for each block of d columns, each query's lines.
    lines: Vec<Line>,
    products: Vec<u32>,
}

impl Workspace {
    /// As [`scan`].
    pub(crate) fn scan(
        &mut self,
        backend: Backend,
        database: &DatabaseView<'_>,
        batch: Batch<'_>,
    ) -> &[u32] {
        assert_eq!(
            database.params(),
            batch.params(),
            "queries for another database"
        );
        #[cfg(target_arch = "x86_64")]
        let three_limbs = batch.params().widths().query <= 24;
        match backend {
            #[cfg(target_arch = "x86_64")]
            Backend::Avx512Vnni => {
                if let Some(proof) = Avx512Vnni::detect() {
                    return if three_limbs {
                        self.run(avx512_vnni::Kernel::<3>(proof), database, batch)
                    } else {
                        self.run(avx512_vnni::Kernel::<4>(proof), database, batch)
                    };
                }
            }
            #[cfg(target_arch = "x86_64")]
            Backend::Avx512 => {
                if let Some(proof) = Avx512::detect() {
                    return self.run(avx512::Kernel(proof), database, batch);
                }
            }
            #[cfg(target_arch = "x86_64")]
            Backend::AvxVnni => {
                if let Some(proof) = AvxVnni::detect() {
                    return if three_limbs {
                        self.run(avx_vnni::Kernel::<3>(proof), database, batch)
                    } else {
                        self.run(avx_vnni::Kernel::<4>(proof), database, batch)
                    };
                }
            }
            #[cfg(target_arch = "x86_64")]
            Backend::Avx2 => {
                if let Some(proof) = Avx2::detect() {
                    return self.run(avx2::Kernel(proof), database, batch);
                }
            }
            _ => {}
        }
        self.run(portable::Kernel, database, batch)
    }

    fn run<K: Kernel>(
        &mut self,
        kernel: K,
        database: &DatabaseView<'_>,
        batch: Batch<'_>,
    ) -> &[u32] {
        let (params, queries) = (database.params(), batch.queries());
        self.encode(kernel, queries);
        self.products.clear();
        self.products.resize(params.rows() * queries.len(), 0);
        let bits = params.widths().query;
        let lines = &self.lines;
        self.products
            .par_chunks_mut(TASK_ROWS * queries.len())
            .enumerate()
            .for_each(|(task, products)| {
                let blocks = lines.chunks_exact(queries.len() * K::LINES);
                for (block, lines) in blocks.enumerate() {
                    let rows = database.block_rows(block, task * TASK_ROWS, TASK_ROWS);
                    kernel.add_block(rows, lines, queries.len(), products);
                }
                for product in products {
                    *product &= (1 << bits) - 1;
                }
            });
        &self.products
    }

    fn encode<K: Kernel>(&mut self, kernel: K, queries: &[Query]) {
        let blocks = queries[0].elements.len() / DEGREE;
        let length = blocks * queries.len() * K::LINES;
        // What is not written below is not read by the kernel either.
        self.lines.resize(length, Line([0; LINE]));
        self.lines
            .par_chunks_exact_mut(K::LINES)
            .enumerate()
            .for_each(|(index, lines)| {
                let (block, query) = (index / queries.len(), &queries[index % queries.len()]);
                let (elements, _) = query.elements.as_chunks::<DEGREE>();
                kernel.encode(&elements[block], lines);
            });
    }
}

#[cfg(test)]
mod tests;
