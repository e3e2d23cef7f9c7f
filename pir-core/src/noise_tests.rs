//! Noise, measured before the answer is rounded, against the formulas of
//! [`crate::params::noise`].

use rayon::prelude::*;

use crate::Backend;
use crate::client::{Client, ColumnIndex, PendingAnswer};
use crate::crs::CrsSeed;
use crate::database::DatabaseView;
use crate::packing::{self, PackingView, matrix_bytes};
use crate::params::noise::{Noise, UNIFORM_MEAN_SQUARE, mean_square_limit};
use crate::params::{PACK_MODULUS, PLAINTEXT, Params, plan};
use crate::query::{Batch, Query};
use crate::ring::poly::{Coefficients, Poly, Slots};
use crate::ring::{DEGREE, PackPrime, Prime, inverse_mod, mul_mod, pointwise};
use crate::sample::SecretRng;
use crate::scan;
use crate::server;
use crate::setup::{Row, Setup, Workspace};

/// A database with its masks before they are switched to q_a.
struct Prepared {
    params: Params,
    bytes: Vec<u8>,
    seed: CrsSeed,
    packing: Vec<u32>,
    masks: Vec<Poly<PackPrime, Coefficients>>,
    /// d^{-1}·Ã_r of the first group.
    row_masks: Vec<Row>,
}

impl Prepared {
    fn new(params: Params) -> Self {
        let mut bytes = vec![0; params.database_bytes()];
        bytes
            .par_chunks_mut(1 << 20)
            .enumerate()
            .for_each(|(chunk, bytes)| {
                let mut rng = SecretRng::from_seed([chunk as u8; 32]);
                rng.next_u64();
                let skip = chunk as u64;
                for word in bytes.chunks_exact_mut(8) {
                    let value = rng.next_u64() ^ skip.rotate_left(17);
                    word.copy_from_slice(&value.to_le_bytes());
                }
            });
        let seed = CrsSeed::derive(b"noise", 0);
        let database = DatabaseView::new(&params, &bytes).unwrap();
        let setup = Setup::new(database, &seed);
        let mut packing = vec![0u32; matrix_bytes(&params) / 4];
        let mut workspace = Workspace::new();
        let mut kept = vec![[0; DEGREE]; DEGREE];
        let share = packing.len() / params.groups();
        let mut row_masks = Vec::new();
        let mut masks = Vec::new();
        for (group, packing) in packing.chunks_exact_mut(share).enumerate() {
            setup.row_masks(group, &mut kept, &mut workspace).unwrap();
            if group == 0 {
                row_masks = workspace.first.clone();
            }
            masks.push(setup.mask(&mut workspace, packing));
        }
        Self {
            params,
            bytes,
            seed,
            packing,
            masks,
            row_masks,
        }
    }

    fn database(&self) -> DatabaseView<'_> {
        DatabaseView::new(&self.params, &self.bytes).unwrap()
    }

    fn query(&self, column: u32, rng: &mut SecretRng) -> (Query, PendingAnswer) {
        let client = Client::new(&self.params, &self.seed);
        let (bytes, pending) = client
            .prepare_with(ColumnIndex::from(column), rng)
            .unwrap()
            .send();
        (
            Query::decode(&self.params, bytes.as_bytes()).unwrap(),
            pending,
        )
    }

    /// (b_fin + a_fin·s)/Q of every row, on the torus.
    fn decrypted(&self, query: &Query, pending: &PendingAnswer, products: &[u32]) -> Vec<f64> {
        let queries = std::slice::from_ref(query);
        let batch = Batch::new(&self.params, queries).unwrap();
        let view = PackingView::new(&self.params, &self.packing).unwrap();
        let packed = packing::pack(Backend::detect(), view, batch);
        let secret = slots(pending);
        let mut noisy = Vec::new();
        for (group, mask) in self.masks.iter().enumerate() {
            let products = products[group * DEGREE..].iter();
            let mut body = server::body(&self.params, &packed, group, 0, products);
            let mask = mask.clone().into_slots();
            let mut product = [0; DEGREE];
            pointwise::multiply::<PackPrime>(&mut product, mask.values(), secret.values());
            let product = Poly::<PackPrime, Slots>::from_values(Box::new(product));
            pointwise::add::<PackPrime>(&mut body, product.into_coefficients().values());
            noisy.extend(body.iter().map(|&x| f64::from(x) / PACK_MODULUS));
        }
        noisy
    }

    /// Noise of every row of one lookup.
    fn noise(&self, column: u32, rng: &mut SecretRng) -> Vec<f64> {
        let (query, pending) = self.query(column, rng);
        let queries = std::slice::from_ref(&query);
        let batch = Batch::new(&self.params, queries).unwrap();
        let products = scan::scan(Backend::detect(), &self.database(), batch);
        let digits = self.database().column(column as usize).unwrap();
        let noisy = self.decrypted(&query, &pending, &products);
        noisy
            .iter()
            .zip(digits)
            .map(|(noisy, digit)| centred(noisy - f64::from(digit) / f64::from(PLAINTEXT)))
            .collect()
    }
}

/// s by slots, in Montgomery form.
fn slots(pending: &PendingAnswer) -> Poly<PackPrime, Slots> {
    let secret = pending.secret.residues::<PackPrime>();
    let mut slots = Poly::<PackPrime, Coefficients>::from_residues(secret).into_slots();
    pointwise::into_montgomery::<PackPrime>(slots.values_mut());
    slots
}

fn centred(x: f64) -> f64 {
    x - x.round()
}

fn deviation(noise: &[f64]) -> f64 {
    (noise.iter().map(|x| x * x).sum::<f64>() / noise.len() as f64).sqrt()
}

/// The formula's deviation before rounding, for uniform bytes.
fn expected(params: &Params) -> f64 {
    let noise: Noise = params.noise();
    let scan = noise.scan * (UNIFORM_MEAN_SQUARE / mean_square_limit(params.columns())).sqrt();
    (scan.powi(2) + noise.switch.powi(2) + noise.packing.powi(2)).sqrt()
}

/// Packing alone: products that cancel their masks exactly leave the noise of
/// the key switches.
#[test]
fn packing_noise_is_that_of_the_formula() {
    let prepared = Prepared::new(Params::new(2048, 2048).unwrap());
    let (query, pending) = prepared.query(3, &mut SecretRng::from_seed([5; 32]));
    let secret: Vec<u32> = pending.secret.residues::<PackPrime>().collect();
    let (modulus, width) = (PackPrime::MODULUS, prepared.params.widths().query);
    // The query's width is more than Q's, so the switch to Q of a product
    // that stands for a residue mod Q gives that residue.
    assert!(width > PackPrime::BITS);
    let products: Vec<u32> = prepared
        .row_masks
        .iter()
        .map(|row| {
            let mask =
                Poly::<PackPrime, Slots>::from_values(Box::new(row.slots)).into_coefficients();
            let mask = mask.values();
            // ct(a·s) = a_0·s_0 - Σ a_{d-i}·s_i, times d.
            let mut sum = u64::from(mul_mod(mask[0], secret[0], modulus));
            for i in 1..DEGREE {
                sum += u64::from(modulus - mul_mod(mask[DEGREE - i], secret[i], modulus));
            }
            let constant = mul_mod((sum % u64::from(modulus)) as u32, DEGREE as u32, modulus);
            let negated = (modulus - constant) % modulus;
            let scaled = (u64::from(negated) << width) + u64::from(modulus / 2);
            ((scaled / u64::from(modulus)) & ((1 << width) - 1)) as u32
        })
        .collect();
    assert_eq!(mul_mod(inverse_mod(2048, modulus), 2048, modulus), 1);
    let noise: Vec<f64> = prepared
        .decrypted(&query, &pending, &products)
        .into_iter()
        .map(centred)
        .collect();
    let ratio = deviation(&noise) / prepared.params.noise().packing;
    assert!((0.9..1.1).contains(&ratio), "measured to expected: {ratio}");
}

#[test]
fn total_noise_is_that_of_the_formula() {
    let prepared = Prepared::new(Params::new(4 * 2048, 2048).unwrap());
    let mut rng = SecretRng::from_seed([6; 32]);
    let mut noise = prepared.noise(0, &mut rng);
    noise.extend(prepared.noise(4 * 2048 - 1, &mut rng));
    let ratio = deviation(&noise) / expected(&prepared.params);
    assert!((0.9..1.1).contains(&ratio), "measured to expected: {ratio}");
}

/// What the planner takes for 256 MiB, 1 GiB and 4 GiB, as
/// `cargo test --release -p pir-core full_size -- --ignored --nocapture`.
#[test]
#[ignore = "takes 5 GiB of memory and minutes"]
fn full_size_noise_is_that_of_the_formula() {
    for mib in [256, 1024, 4096] {
        full_size(plan::plan(mib << 20, 1).unwrap());
    }
}

fn full_size(params: Params) {
    let prepared = Prepared::new(params);
    let mut rng = SecretRng::from_os().unwrap();
    let last = params.columns() as u32 - 1;
    let columns = [0, 1, 777, last / 2, last - 1, last];
    let noise: Vec<f64> = columns
        .iter()
        .flat_map(|&c| prepared.noise(c, &mut rng))
        .collect();
    let expected = expected(&prepared.params);
    let (measured, largest) = (
        deviation(&noise),
        noise.iter().fold(0f64, |m, x| m.max(x.abs())),
    );
    let budget = 0.5 / f64::from(PLAINTEXT);
    println!(
        "{} × {}, k = {}: {} samples; deviation 2^{:.3} of Q, formula 2^{:.3}, ratio {:.4}; \
         largest {:.2} deviations, {:.3} of the budget 1/(2p)",
        params.columns(),
        params.rows(),
        params.widths().query,
        noise.len(),
        (measured * PACK_MODULUS).log2(),
        (expected * PACK_MODULUS).log2(),
        measured / expected,
        largest / measured,
        largest / budget
    );
    assert!((0.95..1.05).contains(&(measured / expected)));
    assert!(largest < budget);
}
