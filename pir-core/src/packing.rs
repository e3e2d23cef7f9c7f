//! Online packing (InspiRING, ePrint 2025/1352 §3, with one gadget digit and a
//! special prime): the switching keys of a query times the matrices that
//! set-up has stored.
//!
//! T = Σ_steps (stored mask) ⊙ (rotated key body), modulo Q and modulo P. Like
//! the scan it streams a matrix that no query changes, so the queries of one
//! pass share it.
//!
//! Layout, in `u32`, for each group of d rows: for each of the two chains and each of
//! the residues mod Q and mod P a *panel* of d/16 tiles of `steps` lines of
//! sixteen slots. A tile is contiguous, so a kernel keeps the sums of a few
//! tiles in registers while it streams their lines.

#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

use rayon::prelude::*;

use crate::Error;
use crate::arch::{Avx512, Backend};
use crate::params::Params;
use crate::query::{Batch, Query, SwitchingKey};
use crate::ring::{DEGREE, ORBIT, PackPrime, Prime, SpecialPrime};

// The stored matrices are read as they lie in memory.
const _: () = assert!(cfg!(target_endian = "little"));

/// Slots of a line, and of a tile.
pub(crate) const LANES: usize = 16;

/// Tiles of a panel.
pub(crate) const TILES: usize = DEGREE / LANES;

/// Tiles that one task takes; they share h, so their key windows adjoin.
const TASK_TILES: usize = 16;

/// One of the two chains of key switches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chain {
    /// Over τ_{5^j}: d/2 - 1 steps.
    Plus,
    /// Over τ_{-5^j}, then one from τ_{-1}(s) to s: d/2 steps.
    Minus,
}

impl Chain {
    pub(crate) const BOTH: [Self; 2] = [Self::Plus, Self::Minus];

    /// Steps with the rotation key; step k uses τ_{±5^k} of it.
    pub(crate) const ROTATIONS: usize = ORBIT - 1;

    /// Lines of a tile.
    pub(crate) const fn steps(self) -> usize {
        match self {
            Self::Plus => Self::ROTATIONS,
            Self::Minus => Self::ROTATIONS + 1,
        }
    }

    /// Elements of a panel.
    pub(crate) const fn panel(self) -> usize {
        DEGREE * self.steps()
    }

    /// Elements of a group's matrices before this chain's.
    const fn offset(self) -> usize {
        match self {
            Self::Plus => 0,
            Self::Minus => 2 * Self::Plus.panel(),
        }
    }
}

/// Elements of a group's matrices: 2·d·(d - 1).
pub(crate) const GROUP: usize = 2 * (Chain::Plus.panel() + Chain::Minus.panel());

/// Bytes of the packing matrices of a database: 8·d·(d - 1) a group.
#[must_use]
pub fn matrix_bytes(params: &Params) -> usize {
    params.groups() * GROUP * size_of::<u32>()
}

/// The packing matrices of a database, checked for length.
#[derive(Clone, Copy, Debug)]
pub struct PackingView<'a> {
    params: Params,
    elements: &'a [u32],
}

impl<'a> PackingView<'a> {
    /// A view of the matrices that set-up made for these parameters.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] if the lengths differ.
    pub fn new(params: &Params, elements: &'a [u32]) -> Result<Self, Error> {
        if size_of_val(elements) != matrix_bytes(params) {
            return Err(Error::Length {
                what: "packing matrices",
                expected: matrix_bytes(params),
                found: size_of_val(elements),
            });
        }
        Ok(Self {
            params: *params,
            elements,
        })
    }
}

/// A key body as the kernels read it: each half of the slots twice in a row,
/// so that every rotation is a window of d/2 elements.
pub(crate) struct Windows {
    halves: [Box<[u32; 2 * ORBIT]>; 2],
}

impl Windows {
    pub(crate) fn new(slots: &[u32; DEGREE]) -> Self {
        let half = |h: usize| {
            let mut twice = Box::new([0; 2 * ORBIT]);
            for (k, value) in twice.iter_mut().enumerate() {
                *value = slots[h * ORBIT + k % ORBIT];
            }
            twice
        };
        Self {
            halves: [half(0), half(1)],
        }
    }

    /// Slots `(h, 0 .. d/2)` of τ_{±5^k} of the key: the half is swapped for
    /// the minus chain, then rotated by k < d/2.
    pub(crate) fn rotated(&self, chain: Chain, h: usize, k: usize) -> &[u32] {
        let half = match chain {
            Chain::Plus => h,
            Chain::Minus => 1 - h,
        };
        &self.halves[half][k..k + ORBIT]
    }
}

/// The keys of one query for one residue.
struct Keys<'a> {
    rotation: Windows,
    conjugation: &'a [u32; DEGREE],
}

/// T of every group and query, by slots: residues mod Q and mod P.
#[derive(Clone, Debug)]
pub struct Packed {
    pub(crate) pack: Box<[u32; DEGREE]>,
    pub(crate) special: Box<[u32; DEGREE]>,
}

/// Multiplies the matrices by the keys of the queries of a pass.
///
/// Gives one `Packed` for each group and, within it, each query. Runs on the
/// current rayon pool, over groups and tiles.
///
/// # Panics
///
/// If matrices and batch are for different parameters.
#[must_use]
pub fn pack(backend: Backend, matrices: PackingView<'_>, batch: Batch<'_>) -> Vec<Packed> {
    let queries = batch.queries();
    assert_eq!(
        &matrices.params,
        batch.params(),
        "queries for other matrices"
    );
    let pack = residue::<PackPrime>(backend, matrices, queries, 0, |key| key.pack.values());
    let special =
        residue::<SpecialPrime>(backend, matrices, queries, 1, |key| key.special.values());
    let packed = pack.into_iter().zip(special);
    packed
        .map(|(pack, special)| Packed { pack, special })
        .collect()
}

/// T for one residue, mod m: by group, then query.
fn residue<M: Prime>(
    backend: Backend,
    matrices: PackingView<'_>,
    queries: &[Query],
    residue_index: usize,
    slots: impl Fn(&SwitchingKey) -> &[u32; DEGREE],
) -> Vec<Box<[u32; DEGREE]>> {
    let keys: Vec<Keys<'_>> = queries
        .iter()
        .map(|query| Keys {
            rotation: Windows::new(slots(&query.rotation)),
            conjugation: slots(&query.conjugation),
        })
        .collect();
    let groups = matrices.elements.len() / GROUP;
    let width = queries.len() * LANES;
    let mut tiles = vec![0u32; groups * TILES * width];
    tiles
        .par_chunks_exact_mut(TASK_TILES * width)
        .enumerate()
        .for_each(|(task, out)| {
            let (group, first) = (task * TASK_TILES / TILES, task * TASK_TILES % TILES);
            let matrices = &matrices.elements[group * GROUP..(group + 1) * GROUP];
            for chain in Chain::BOTH {
                let panel = chain.panel();
                let start = chain.offset() + residue_index * panel;
                let panel = &matrices[start..start + panel];
                add_tiles::<M>(backend, chain, panel, first, &keys, out);
            }
        });
    collect_slots(&tiles, groups, queries.len())
}

/// Adds the products of `TASK_TILES` tiles from `first` on to `out`, mod m:
/// `TASK_TILES × queries × 16`.
fn add_tiles<M: Prime>(
    backend: Backend,
    chain: Chain,
    panel: &[u32],
    first: usize,
    keys: &[Keys<'_>],
    out: &mut [u32],
) {
    let steps = chain.steps();
    let tiles = &panel[first * steps * LANES..(first + TASK_TILES) * steps * LANES];
    let (h, i) = (first * LANES / ORBIT, first * LANES % ORBIT);
    let windows: Vec<&[u32]> = keys
        .iter()
        // Step k reads 16 elements from offset k on, in every tile.
        .map(|key| &key.rotation.halves[if chain == Chain::Plus { h } else { 1 - h }][i..])
        .collect();
    let mut sums = vec![0u64; TASK_TILES * keys.len() * LANES];
    let proof = match backend {
        Backend::Portable => None,
        Backend::Avx512Vnni => Avx512::detect(),
    };
    match proof {
        #[cfg(target_arch = "x86_64")]
        Some(proof) => avx512::add_products(proof, tiles, steps, &windows, &mut sums),
        _ => portable::add_products(tiles, steps, &windows, &mut sums),
    }
    let groups = sums
        .chunks_exact_mut(keys.len() * LANES)
        .zip(out.chunks_exact_mut(keys.len() * LANES));
    for (tile, (sums, out)) in groups.enumerate() {
        for (query, key) in keys.iter().enumerate() {
            for lane in 0..LANES {
                let sum = &mut sums[query * LANES + lane];
                if chain == Chain::Minus {
                    let line = (tile * steps + Chain::ROTATIONS) * LANES;
                    let slot = (first + tile) * LANES + lane;
                    *sum += u64::from(tiles[line + lane]) * u64::from(key.conjugation[slot]);
                }
                let out = &mut out[query * LANES + lane];
                *out = ((u64::from(*out) + *sum % u64::from(M::MODULUS)) % u64::from(M::MODULUS))
                    as u32;
            }
        }
    }
}

/// From `groups × tiles × queries × 16` to one array for each group and query.
fn collect_slots(tiles: &[u32], groups: usize, queries: usize) -> Vec<Box<[u32; DEGREE]>> {
    let mut result = Vec::with_capacity(groups * queries);
    for group in 0..groups {
        for query in 0..queries {
            let mut slots = Box::new([0; DEGREE]);
            for (tile, lanes) in slots.chunks_exact_mut(LANES).enumerate() {
                let start = ((group * TILES + tile) * queries + query) * LANES;
                lanes.copy_from_slice(&tiles[start..start + LANES]);
            }
            result.push(slots);
        }
    }
    result
}

#[cfg(test)]
mod tests;
