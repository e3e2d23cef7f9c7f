//! Online packing (InspiRING, ePrint 2025/1352 §3, with one gadget digit and a
//! special prime): the switching keys of a query times the matrices that
//! set-up has stored.
//!
//! T = Σ_steps (stored mask) ⊙ (rotated key body), modulo Q and modulo P. Like
//! the scan it streams a matrix that no query changes, so the queries of one
//! pass share it.
//!
//! Layout, in `u32`, for each group of d rows: for each of the two chains and each of
//! the residues mod Q and mod P a *panel* of d/16 tiles of d/2 - 1 lines of
//! sixteen slots, a line a rotation; then the masks of the conjugation, d slots
//! mod Q and d mod P. A tile is contiguous, so a kernel keeps the sums of a few
//! tiles in registers while it streams their lines; and tiles are no power of
//! two apart, so they share no sets of the caches.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;
#[cfg(target_arch = "x86_64")]
mod tile;

use rayon::prelude::*;

use crate::Error;
use crate::arch::{Avx2, Avx512, Backend};
use crate::params::Params;
use crate::query::{Batch, MAX_BATCH, Query, SwitchingKey};
use crate::ring::{DEGREE, ORBIT, PackPrime, Prime, SpecialPrime};

// The stored matrices are read as they lie in memory.
const _: () = assert!(cfg!(target_endian = "little"));

/// Slots of a line, and of a tile.
pub(crate) const LANES: usize = 16;

/// Tiles of a panel.
pub(crate) const TILES: usize = DEGREE / LANES;

/// Tiles that one task takes; they share h, so their key windows adjoin.
const TASK_TILES: usize = 16;

/// What an instruction set gives online packing.
trait Kernel: Copy {
    /// For every tile and query, adds Σ_k line_k ⊙ window\[k ..\] over the
    /// rotations k to `sums` (`tiles × queries × 16`).
    ///
    /// There are [`TASK_TILES`] tiles; `windows` holds for every query the key
    /// elements from the first tile's first slot on.
    fn add_products(self, tiles: &[[u32; TILE]], windows: &[&[u32]], sums: &mut [u64]);
}

/// Steps of a chain with the rotation key; step k uses τ_{±5^k} of it.
pub(crate) const ROTATIONS: usize = ORBIT - 1;

/// Elements of a tile.
pub(crate) const TILE: usize = ROTATIONS * LANES;

/// Elements of a panel.
const PANEL: usize = TILES * TILE;

/// One of the two chains of key switches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chain {
    /// Over τ_{5^j}.
    Plus,
    /// Over τ_{-5^j}; one switch from τ_{-1}(s) to s follows.
    Minus,
}

/// The residues mod Q and mod P.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Modulus {
    Pack,
    Special,
}

/// Elements of a group's matrices: 2·d·(d - 1).
pub(crate) const GROUP: usize = 4 * PANEL + 2 * DEGREE;

/// A group's share of the matrices, being made.
pub(crate) struct GroupPanels<'a> {
    /// By chain, then residue.
    pub(crate) panels: [[&'a mut [u32]; 2]; 2],
    /// Masks of the conjugation by residue.
    pub(crate) conjugation: [&'a mut [u32]; 2],
}

impl<'a> GroupPanels<'a> {
    /// Splits `elements`.
    ///
    /// # Panics
    ///
    /// If they aren't [`GROUP`].
    pub(crate) fn new(elements: &'a mut [u32]) -> Self {
        assert_eq!(
            elements.len(),
            GROUP,
            "not a group's share of the packing matrices"
        );
        let (plus, rest) = elements.split_at_mut(2 * PANEL);
        let (minus, conjugation) = rest.split_at_mut(2 * PANEL);
        Self {
            panels: [
                plus.split_at_mut(PANEL).into(),
                minus.split_at_mut(PANEL).into(),
            ],
            conjugation: conjugation.split_at_mut(DEGREE).into(),
        }
    }
}

/// The panel of a chain and residue in a group's share.
fn panel(group: &[u32], chain: Chain, modulus: Modulus) -> &[u32] {
    &group[(2 * chain as usize + modulus as usize) * PANEL..][..PANEL]
}

/// The masks of the conjugation in a group's share.
fn conjugation(group: &[u32], modulus: Modulus) -> &[u32] {
    &group[4 * PANEL + modulus as usize * DEGREE..][..DEGREE]
}

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

    pub(crate) fn params(&self) -> &Params {
        &self.params
    }

    /// For each slot of the rotation key, the sum of a group's stored masks that
    /// meet it on a chain, times the weight of the slot (of d) that they add to.
    /// Weights are below 2^26; sums are not reduced.
    pub(crate) fn combine_rotations(
        &self,
        group: usize,
        chain: Chain,
        modulus: Modulus,
        weights: &[u32],
        sink: &mut dyn FnMut(usize, u64),
    ) {
        let matrices = &self.elements[group * GROUP..(group + 1) * GROUP];
        let (tiles, _) = panel(matrices, chain, modulus).as_chunks::<TILE>();
        let (weights, _) = weights.as_chunks::<LANES>();
        for h in 0..2 {
            // As in `Windows`, but what is read there is added to here.
            let mut twice = [0u64; 2 * ORBIT];
            let half = h * TILES / 2..(h + 1) * TILES / 2;
            for (tile, (lines, weights)) in
                tiles[half.clone()].iter().zip(&weights[half]).enumerate()
            {
                let window = &mut twice[tile * LANES..];
                for (k, line) in lines.chunks_exact(LANES).enumerate() {
                    for ((sum, &mask), &weight) in window[k..].iter_mut().zip(line).zip(weights) {
                        *sum += u64::from(mask) * u64::from(weight);
                    }
                }
            }
            let met = match chain {
                Chain::Plus => h,
                Chain::Minus => 1 - h,
            };
            let (once, again) = twice.split_at(ORBIT);
            for (at, (once, again)) in once.iter().zip(again).enumerate() {
                sink(met * ORBIT + at, once + again);
            }
        }
    }

    /// The masks of a group's conjugation.
    pub(crate) fn conjugation(&self, group: usize, modulus: Modulus) -> &'a [u32] {
        conjugation(&self.elements[group * GROUP..(group + 1) * GROUP], modulus)
    }
}

/// A key body as the kernels read it: each half of the slots twice in a row,
/// so that every rotation is a window of d/2 elements.
#[derive(Clone)]
pub(crate) struct Windows {
    halves: [Box<[u32; 2 * ORBIT]>; 2],
}

impl Windows {
    pub(crate) fn new(slots: &[u32; DEGREE]) -> Self {
        let mut windows = Self::empty();
        windows.fill(slots);
        windows
    }

    fn empty() -> Self {
        Self {
            halves: [Box::new([0; 2 * ORBIT]), Box::new([0; 2 * ORBIT])],
        }
    }

    fn fill(&mut self, slots: &[u32; DEGREE]) {
        for (twice, half) in self.halves.iter_mut().zip(slots.chunks_exact(ORBIT)) {
            twice[..ORBIT].copy_from_slice(half);
            twice[ORBIT..].copy_from_slice(half);
        }
    }

    /// The half that slots `(h, ..)` of τ_{±5^k} of the key come from: the
    /// minus chain swaps them.
    fn half(&self, chain: Chain, h: usize) -> &[u32; 2 * ORBIT] {
        match chain {
            Chain::Plus => &self.halves[h],
            Chain::Minus => &self.halves[1 - h],
        }
    }

    /// Slots `(h, 0 .. d/2)` of τ_{±5^k} of the key, k < d/2.
    pub(crate) fn rotated(&self, chain: Chain, h: usize, k: usize) -> &[u32] {
        &self.half(chain, h)[k..k + ORBIT]
    }
}

/// Multiplies the matrices by the keys of the queries of a pass.
///
/// Runs on the current rayon pool, over groups and tiles, on the given
/// backend; falls back to portable code if the machine lacks it.
///
/// # Panics
///
/// If matrices and batch are for different parameters.
#[must_use]
pub fn pack(backend: Backend, matrices: PackingView<'_>, batch: Batch<'_>) -> Packed {
    let mut packed = Packed::default();
    packed.pack(backend, matrices, batch);
    packed
}

/// T of every group and query, and the room to compute it, kept from one pass
/// to the next.
#[derive(Default)]
pub struct Packed {
    queries: usize,
    pack: Residue,
    special: Residue,
}

/// One residue of T: for each group and tile, each query's sixteen slots.
#[derive(Default)]
struct Residue {
    tiles: Vec<u32>,
    windows: Vec<Windows>,
}

impl Packed {
    /// As [`pack`].
    pub(crate) fn pack(&mut self, backend: Backend, matrices: PackingView<'_>, batch: Batch<'_>) {
        assert_eq!(
            &matrices.params,
            batch.params(),
            "queries for other matrices"
        );
        let queries = batch.queries();
        self.queries = queries.len();
        self.pack
            .add::<PackPrime>(backend, matrices, queries, Modulus::Pack, |key| {
                key.pack.values()
            });
        self.special
            .add::<SpecialPrime>(backend, matrices, queries, Modulus::Special, |key| {
                key.special.values()
            });
    }

    /// T mod Q of a group and query, by slots.
    pub(crate) fn pack_slots(&self, group: usize, query: usize) -> [u32; DEGREE] {
        self.pack.slots(group, query, self.queries)
    }

    /// T mod P of a group and query, by slots.
    pub(crate) fn special_slots(&self, group: usize, query: usize) -> [u32; DEGREE] {
        self.special.slots(group, query, self.queries)
    }
}

/// The products of keys, which are a query's.
impl std::fmt::Debug for Packed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Packed({} queries)", self.queries)
    }
}

impl Residue {
    /// T for one residue, mod m.
    fn add<M: Prime>(
        &mut self,
        backend: Backend,
        matrices: PackingView<'_>,
        queries: &[Query],
        modulus: Modulus,
        slots: impl Fn(&SwitchingKey) -> &[u32; DEGREE] + Sync,
    ) {
        if self.windows.len() < queries.len() {
            self.windows.resize(queries.len(), Windows::empty());
        }
        for (windows, query) in self.windows.iter_mut().zip(queries) {
            windows.fill(slots(&query.rotation));
        }
        let windows = &self.windows[..queries.len()];
        let width = queries.len() * LANES;
        self.tiles.clear();
        self.tiles
            .resize(matrices.params.groups() * TILES * width, 0);
        self.tiles
            .par_chunks_exact_mut(TASK_TILES * width)
            .enumerate()
            .for_each(|(task, out)| {
                let (group, first) = (task * TASK_TILES / TILES, task * TASK_TILES % TILES);
                let matrices = &matrices.elements[group * GROUP..(group + 1) * GROUP];
                for chain in [Chain::Plus, Chain::Minus] {
                    let tiles = &panel(matrices, chain, modulus)[first * TILE..];
                    let sums = &mut [0; TASK_TILES * MAX_BATCH * LANES][..TASK_TILES * width];
                    rotations(
                        backend,
                        chain,
                        &tiles[..TASK_TILES * TILE],
                        first,
                        windows,
                        sums,
                    );
                    if chain == Chain::Minus {
                        let masks = &conjugation(matrices, modulus)[first * LANES..];
                        for (query, key) in queries.iter().enumerate() {
                            let key = &slots(&key.conjugation)[first * LANES..];
                            add_conjugation(masks, key, query, width, sums);
                        }
                    }
                    for (out, sum) in out.iter_mut().zip(sums) {
                        let modulus = u64::from(M::MODULUS);
                        *out = ((u64::from(*out) + *sum % modulus) % modulus) as u32;
                    }
                }
            });
    }

    fn slots(&self, group: usize, query: usize, queries: usize) -> [u32; DEGREE] {
        let mut slots = [0; DEGREE];
        for (tile, lanes) in slots.chunks_exact_mut(LANES).enumerate() {
            let start = ((group * TILES + tile) * queries + query) * LANES;
            lanes.copy_from_slice(&self.tiles[start..start + LANES]);
        }
        slots
    }
}

/// The products of [`TASK_TILES`] tiles, of which `first` is the first, with
/// the rotation keys, into `sums`, `tiles × queries × 16`.
fn rotations(
    backend: Backend,
    chain: Chain,
    tiles: &[u32],
    first: usize,
    windows: &[Windows],
    sums: &mut [u64],
) {
    let (h, i) = (first * LANES / ORBIT, first * LANES % ORBIT);
    let mut slices: [&[u32]; MAX_BATCH] = [&[]; MAX_BATCH];
    let slices = &mut slices[..windows.len()];
    for (slice, windows) in slices.iter_mut().zip(windows) {
        // Step k reads 16 elements from offset k on, in every tile.
        *slice = &windows.half(chain, h)[i..];
    }
    let tiles = tiles.as_chunks().0;
    match backend {
        #[cfg(target_arch = "x86_64")]
        Backend::Avx512 | Backend::Avx512Vnni => {
            if let Some(proof) = Avx512::detect() {
                return avx512::Kernel(proof).add_products(tiles, slices, sums);
            }
        }
        #[cfg(target_arch = "x86_64")]
        Backend::Avx2 | Backend::AvxVnni => {
            if let Some(proof) = Avx2::detect() {
                return avx2::Kernel(proof).add_products(tiles, slices, sums);
            }
        }
        _ => {}
    }
    portable::Kernel.add_products(tiles, slices, sums);
}

/// Adds the products of the conjugation's masks and a query's key, both from
/// the task's first slot on.
fn add_conjugation(masks: &[u32], key: &[u32], query: usize, width: usize, sums: &mut [u64]) {
    let lines = masks.chunks_exact(LANES).zip(key.chunks_exact(LANES));
    for (sums, (masks, key)) in sums.chunks_exact_mut(width).zip(lines) {
        let sums = &mut sums[query * LANES..][..LANES];
        for ((sum, &mask), &key) in sums.iter_mut().zip(masks).zip(key) {
            *sum += u64::from(mask) * u64::from(key);
        }
    }
}

#[cfg(test)]
mod tests;
