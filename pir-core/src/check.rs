//! Whether a pass computed what the matrices say: Freivalds' check
//! (R. Freivalds, "Probabilistic machines can use less running time", IFIP 1977).
//!
//! For a matrix M, a random vector v and the stored w = vᵀM, a right product
//! p = M·x has ⟨v, p⟩ = ⟨w, x⟩. That costs `rows + columns` multiplications
//! where the product costs `rows × columns`, and finds faults of the memory that
//! M lies in, of p, and of the arithmetic between them.
//!
//! *Scan*, β = D·c mod 2^k. The elements of v are odd, so an error in one row,
//! which a fault in a digit or in a line of the matrix makes, is always found.
//! Errors in several rows, of which 2^t divides all, pass one check with
//! probability 2^-(k-1-t) and two independent ones with that to their
//! number.
//!
//! *Packing*, T = Σ (stored mask) ⊙ (rotated key body), is linear in the two key
//! bodies modulo each prime m: errors pass with probability below 4/m, 2^-21.

use rayon::prelude::*;

use crate::Error;
use crate::database::DatabaseView;
use crate::packing::{Chain, Modulus, Packed, PackingView};
use crate::query::{Batch, SwitchingKey};
use crate::ring::{DEGREE, PackPrime, Prime, SpecialPrime};
use crate::sample::SecretRng;

/// Independent checks of a scan.
const REPEATS: usize = 2;

/// Row combinations of a database and of its packing matrices.
pub struct Check {
    /// v: for every row.
    rows: Vec<[u32; REPEATS]>,
    /// vᵀD mod 2^32: for every column.
    columns: Vec<[u32; REPEATS]>,
    pack: KeyCheck,
    special: KeyCheck,
}

/// The combination of packing matrices modulo one prime.
struct KeyCheck {
    /// v: for each group, its d slots.
    slots: Vec<u32>,
    /// What meets the rotation key's slots, then the conjugation key's.
    keys: [Box<[u32; DEGREE]>; 2],
}

impl Check {
    /// Draws v and reads both matrices once, on the current rayon pool.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] if the packing matrices are of another shape;
    /// [`Error::Randomness`].
    pub fn new(database: &DatabaseView<'_>, packing: &[u32]) -> Result<Self, Error> {
        let params = database.params();
        let packing = PackingView::new(params, packing)?;
        let mut rng = SecretRng::from_os()?;
        let rows: Vec<[u32; REPEATS]> = (0..params.rows())
            .map(|_| {
                let drawn = rng.next_u64();
                [drawn as u32 | 1, (drawn >> 32) as u32 | 1]
            })
            .collect();
        let mut columns = vec![[0; REPEATS]; params.columns()];
        columns
            .par_chunks_exact_mut(DEGREE)
            .enumerate()
            .for_each(|(block, sums)| combine(database, block, &rows, sums));
        Ok(Self {
            pack: KeyCheck::new::<PackPrime>(packing, Modulus::Pack, &mut rng),
            special: KeyCheck::new::<SpecialPrime>(packing, Modulus::Special, &mut rng),
            rows,
            columns,
        })
    }

    /// Compares the scan's products, `rows × queries`, with the queries.
    pub(crate) fn scan(&self, batch: Batch<'_>, products: &[u32]) -> Result<(), Error> {
        let queries = batch.queries();
        let modulo = (1 << batch.params().widths().query) - 1;
        let holds = queries.par_iter().enumerate().all(|(at, query)| {
            let products = products.iter().skip(at).step_by(queries.len());
            let found = inner_products(&self.rows, products);
            let expected = inner_products(&self.columns, &query.elements);
            (0..REPEATS).all(|i| (found[i] ^ expected[i]) & modulo == 0)
        });
        fault_unless(holds, "scan")
    }

    /// Compares online packing's sums with the queries' keys.
    pub(crate) fn packing(&self, batch: Batch<'_>, packed: &Packed) -> Result<(), Error> {
        let groups = batch.params().groups();
        let queries = batch.queries().par_iter().enumerate();
        let holds = queries.all(|(at, query)| {
            let keys = [&query.rotation, &query.conjugation];
            let pack = |group| packed.pack_slots(group, at);
            let special = |group| packed.special_slots(group, at);
            self.pack
                .holds::<PackPrime>(groups, pack, keys, |key| key.pack.values())
                && self
                    .special
                    .holds::<SpecialPrime>(groups, special, keys, |key| key.special.values())
        });
        fault_unless(holds, "packing")
    }
}

/// Shows nothing: whoever knows v could hide an error.
impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Check(..)")
    }
}

impl KeyCheck {
    fn new<M: Prime>(packing: PackingView<'_>, residue: Modulus, rng: &mut SecretRng) -> Self {
        let groups = packing.params().groups();
        // A bit less than the modulus: residues without a bias to speak of.
        let below = (1 << (M::BITS - 1)) - 1;
        let slots: Vec<u32> = (0..groups * DEGREE)
            .map(|_| rng.next_u64() as u32 & below)
            .collect();
        let zero = || [Box::new([0; DEGREE]), Box::new([0; DEGREE])];
        let keys = slots
            .par_chunks_exact(DEGREE)
            .enumerate()
            .map(|(group, v)| {
                let mut keys = zero();
                let [rotation, conjugation] = &mut keys;
                for chain in [Chain::Plus, Chain::Minus] {
                    packing.combine_rotations(group, chain, residue, v, &mut |slot, sum| {
                        rotation[slot] = ((u64::from(rotation[slot]) + sum % modulus::<M>())
                            % modulus::<M>()) as u32;
                    });
                }
                let masks = packing.conjugation(group, residue);
                for ((out, mask), v) in conjugation.iter_mut().zip(masks).zip(v) {
                    *out = (u64::from(*mask) * u64::from(*v) % modulus::<M>()) as u32;
                }
                keys
            })
            .reduce(zero, |mut sums, more| {
                for (sum, more) in sums.iter_mut().zip(&more) {
                    for (sum, more) in sum.iter_mut().zip(more.iter()) {
                        *sum = (*sum + more) % M::MODULUS;
                    }
                }
                sums
            });
        Self { slots, keys }
    }

    fn holds<M: Prime>(
        &self,
        groups: usize,
        slots: impl Fn(usize) -> [u32; DEGREE],
        keys: [&SwitchingKey; 2],
        values: impl Fn(&SwitchingKey) -> &[u32; DEGREE],
    ) -> bool {
        let found = (0..groups).fold(0, |sum, group| {
            let v = &self.slots[group * DEGREE..][..DEGREE];
            sum + inner_product::<M>(v, &slots(group))
        });
        let expected = self.keys.iter().zip(keys).fold(0, |sum, (combined, key)| {
            sum + inner_product::<M>(&combined[..], values(key))
        });
        found % modulus::<M>() == expected % modulus::<M>()
    }
}

fn modulus<M: Prime>() -> u64 {
    u64::from(M::MODULUS)
}

/// Adds vᵀD of a block's columns to `sums`, mod 2^32.
fn combine(
    database: &DatabaseView<'_>,
    block: usize,
    rows: &[[u32; REPEATS]],
    sums: &mut [[u32; REPEATS]],
) {
    let digits = database.block_rows(block, 0, rows.len());
    let mut apart = [[0u32; DEGREE]; REPEATS];
    for (digits, v) in digits.chunks_exact(DEGREE).zip(rows) {
        for (sums, &v) in apart.iter_mut().zip(v) {
            for (sum, &digit) in sums.iter_mut().zip(digits) {
                let digit = i32::from(digit as i8) as u32;
                *sum = sum.wrapping_add(digit.wrapping_mul(v));
            }
        }
    }
    for (column, sums) in sums.iter_mut().enumerate() {
        *sums = std::array::from_fn(|i| apart[i][column]);
    }
}

/// The sums of `weights` times `values`, mod 2^32.
fn inner_products<'a>(
    weights: &[[u32; REPEATS]],
    values: impl IntoIterator<Item = &'a u32>,
) -> [u32; REPEATS] {
    let mut sums = [0u32; REPEATS];
    for (weights, value) in weights.iter().zip(values) {
        for (sum, weight) in sums.iter_mut().zip(weights) {
            *sum = sum.wrapping_add(weight.wrapping_mul(*value));
        }
    }
    sums
}

/// ⟨a, b⟩ mod m, of d residues: products stay below 2^54, their sum below 2^64
/// for half of them.
fn inner_product<M: Prime>(a: &[u32], b: &[u32]) -> u64 {
    let half = DEGREE / 2;
    let halves = a.chunks_exact(half).zip(b.chunks_exact(half));
    halves.fold(0, |sum, (a, b)| {
        let products = a.iter().zip(b).map(|(a, b)| u64::from(*a) * u64::from(*b));
        sum + products.sum::<u64>() % modulus::<M>()
    })
}

fn fault_unless(holds: bool, what: &'static str) -> Result<(), Error> {
    match holds {
        true => Ok(()),
        false => Err(Error::Fault { what }),
    }
}

#[cfg(test)]
mod tests;
