//! The client's role: prepare a query, send it once, decrypt its answer once.

use std::fmt;

use subtle::{ConditionallySelectable, ConstantTimeEq};

use crate::Error;
use crate::answer::Answer;
use crate::crs::{CrsSeed, KeyMasks, KeySwitch, QueryMasks};
use crate::hint::Hint;
use crate::params::{PLAINTEXT, Params};
use crate::query::{Query, SwitchingKey};
use crate::ring::poly::{Coefficients, Poly, Slots};
use crate::ring::{DEGREE, PackPrime, Prime, ScanPrime, SpecialPrime, pointwise, reduce_once};
use crate::sample::{SecretRng, SmallSecret};

/// Index of a column: a bucket of the database.
#[derive(Clone, Copy)]
pub struct ColumnIndex(u32);

impl From<u32> for ColumnIndex {
    fn from(index: u32) -> Self {
        Self(index)
    }
}

/// Which column a client asks for is its secret.
impl fmt::Debug for ColumnIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ColumnIndex(redacted)")
    }
}

/// What a client knows of one database: its parameters and the CRS, both
/// derived, nothing secret.
pub struct Client {
    params: Params,
    masks: QueryMasks,
    rotation: KeyMasks,
    conjugation: KeyMasks,
}

impl Client {
    /// A client of the databases with these parameters and this CRS.
    #[must_use]
    pub fn new(params: &Params, seed: &CrsSeed) -> Self {
        Self {
            params: *params,
            masks: QueryMasks::derive(params, seed),
            rotation: KeyMasks::derive(seed, KeySwitch::Rotation),
            conjugation: KeyMasks::derive(seed, KeySwitch::Conjugation),
        }
    }

    /// Prepares a query for one column with a fresh secret.
    ///
    /// Two queries with one secret would reveal both columns, so a query is
    /// used up by sending it and a retry prepares another. Each query has its own
    /// generator, seeded by the operating system and wiped afterwards. Takes the
    /// same time whatever the column.
    ///
    /// ```compile_fail,E0382
    /// # use pir_core::client::{Client, ColumnIndex};
    /// # fn example(client: &Client) -> Result<(), pir_core::Error> {
    /// let query = client.prepare(ColumnIndex::from(7))?;
    /// let first = query.send();
    /// let second = query.send(); // a sent query is gone
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::ColumnOutOfRange`] if there is no such column;
    /// [`Error::Randomness`] if the operating system gives none.
    pub fn prepare(&self, column: ColumnIndex) -> Result<PreparedQuery, Error> {
        self.prepare_with(column, &mut SecretRng::from_os()?)
    }

    pub(crate) fn prepare_with(
        &self,
        column: ColumnIndex,
        rng: &mut SecretRng,
    ) -> Result<PreparedQuery, Error> {
        let columns = self.params.columns();
        if column.0 as usize >= columns {
            return Err(Error::ColumnOutOfRange { columns });
        }
        let secret = SmallSecret::ternary(rng);
        let query = Query {
            params: self.params,
            elements: self.elements(column, &secret, rng),
            rotation: switching_key(&self.rotation, &secret, &secret.automorphism(5), rng),
            conjugation: switching_key(
                &self.conjugation,
                &secret,
                &secret.automorphism(2 * DEGREE - 1),
                rng,
            ),
        };
        Ok(PreparedQuery {
            bytes: QueryBytes(query.encode()),
            pending: PendingAnswer {
                params: self.params,
                secret,
            },
        })
    }

    /// b_j = -A_j·s + e_j + \[j = j*\]·⌊q/p⌋·X^{i*}, rounded to k bits.
    fn elements(&self, column: ColumnIndex, secret: &SmallSecret, rng: &mut SecretRng) -> Vec<u32> {
        const STEP: u32 = ScanPrime::MODULUS / PLAINTEXT;
        let secret = slots::<ScanPrime>(secret);
        let mut elements = Vec::with_capacity(self.params.columns());
        let mut index = 0u32;
        for mask in self.masks.blocks() {
            let mut block = Poly::<ScanPrime, Slots>::from_values(Box::new([0; DEGREE]));
            pointwise::multiply::<ScanPrime>(block.values_mut(), secret.0.values(), mask);
            let mut block = Zeroizing(block.into_coefficients());
            let error = SmallSecret::gaussian(rng);
            for (value, error) in block
                .0
                .values_mut()
                .iter_mut()
                .zip(error.residues::<ScanPrime>())
            {
                let noisy = reduce_once(error + ScanPrime::MODULUS - *value, ScanPrime::MODULUS);
                let step = u32::conditional_select(&0, &STEP, index.ct_eq(&column.0));
                let sum = reduce_once(noisy + step, ScanPrime::MODULUS);
                let width = self.params.widths().query;
                elements.push(pointwise::round_to_bits::<ScanPrime>(sum, width));
                index += 1;
            }
        }
        elements
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("params", &self.params)
            .finish_non_exhaustive()
    }
}

/// A query that has not been sent.
#[derive(Debug)]
#[must_use]
pub struct PreparedQuery {
    bytes: QueryBytes,
    pending: PendingAnswer,
}

impl PreparedQuery {
    /// Splits into what goes to the server and what waits for the answer.
    pub fn send(self) -> (QueryBytes, PendingAnswer) {
        (self.bytes, self.pending)
    }
}

/// The wire form of one query.
pub struct QueryBytes(Vec<u8>);

impl QueryBytes {
    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, to be handed to a transport.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl fmt::Debug for QueryBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QueryBytes({} bytes)", self.0.len())
    }
}

/// The secret of one query, waiting for its answer; zeroised on drop.
pub struct PendingAnswer {
    params: Params,
    pub(crate) secret: SmallSecret,
}

impl PendingAnswer {
    /// As a query with this secret would leave it, for timing.
    #[cfg(feature = "timing")]
    pub(crate) fn with_secret(params: &Params, secret: SmallSecret) -> Self {
        Self {
            params: *params,
            secret,
        }
    }

    /// Decrypts the answer: the column's `rows` bytes.
    ///
    /// digit = ⌊v·p/q_a⌉ mod p with v = body·q_a/q_b + a·s mod q_a. The caller
    /// never tells the server whether what it got was right.
    ///
    /// # Errors
    ///
    /// [`Error::ParameterMismatch`] if hint or answer are for other parameters.
    pub fn decrypt(self, hint: &Hint, answer: &Answer) -> Result<Vec<u8>, Error> {
        for (what, params) in [("hint", hint.params()), ("answer", answer.params())] {
            if *params != self.params {
                return Err(Error::ParameterMismatch { what });
            }
        }
        let widths = self.params.widths();
        let mut secret = slots::<ScanPrime>(&self.secret);
        pointwise::into_montgomery::<ScanPrime>(secret.0.values_mut());
        let mut column = Vec::with_capacity(self.params.rows());
        let groups = hint
            .masks()
            .chunks_exact(DEGREE)
            .zip(answer.bodies().chunks_exact(DEGREE));
        for (masks, bodies) in groups {
            let product = masked(masks, widths.mask, &secret.0);
            for (&product, &body) in product.0.values().iter().zip(bodies) {
                // The product is below q/2 in size, so its residue mod q
                // gives the integer.
                let negative = u32::from(product > ScanPrime::MODULUS / 2).wrapping_neg();
                let product = product.wrapping_sub(negative & ScanPrime::MODULUS);
                let body = body << (widths.mask - widths.body);
                let noisy = body.wrapping_add(product);
                let rounded = noisy.wrapping_add(1 << (widths.mask - PLAINTEXT.ilog2() - 1));
                column.push((rounded >> (widths.mask - PLAINTEXT.ilog2())) as u8);
            }
        }
        Ok(column)
    }
}

impl fmt::Debug for PendingAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PendingAnswer(redacted)")
    }
}

/// Secret polynomial, zeroised on drop.
struct Zeroizing<M: Prime, Domain>(Poly<M, Domain>);

impl<M: Prime, Domain> Drop for Zeroizing<M, Domain> {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.0);
    }
}

fn slots<M: Prime>(secret: &SmallSecret) -> Zeroizing<M, Slots> {
    Zeroizing(Poly::<M, Coefficients>::from_residues(secret.residues::<M>()).into_slots())
}

/// a·s mod q for mask coefficients a of `bits` bits, centred, and the slots of
/// s in Montgomery form.
fn masked(
    masks: &[u32],
    bits: u32,
    secret: &Poly<ScanPrime, Slots>,
) -> Zeroizing<ScanPrime, Coefficients> {
    let centred = masks.iter().map(|&a| {
        let negative = (a >> (bits - 1)).wrapping_neg();
        a.wrapping_add(negative & (ScanPrime::MODULUS - (1 << bits)))
    });
    let mask = Poly::<ScanPrime, Coefficients>::from_residues(centred).into_slots();
    let mut product = Poly::<ScanPrime, Slots>::from_values(Box::new([0; DEGREE]));
    pointwise::multiply::<ScanPrime>(product.values_mut(), mask.values(), secret.values());
    Zeroizing(product.into_coefficients())
}

/// y = -w·s + P·image + e in R_QP: switches `image` to s.
fn switching_key(
    masks: &KeyMasks,
    secret: &SmallSecret,
    image: &SmallSecret,
    rng: &mut SecretRng,
) -> SwitchingKey {
    let error = SmallSecret::gaussian(rng);
    SwitchingKey {
        pack: key_residue(&masks.pack, secret, image, &error),
        special: key_residue(&masks.special, secret, image, &error),
    }
}

/// One residue of a switching key; P·image vanishes mod P.
fn key_residue<M: Prime>(
    mask: &Poly<M, Slots>,
    secret: &SmallSecret,
    image: &SmallSecret,
    error: &SmallSecret,
) -> Poly<M, Slots> {
    let scale = u64::from(SpecialPrime::MODULUS % M::MODULUS);
    let gadget = image
        .residues::<M>()
        .zip(error.residues::<M>())
        .map(|(image, error)| {
            // The modulus is a constant, so the remainder is a multiplication.
            ((u64::from(image) * scale + u64::from(error)) % u64::from(M::MODULUS)) as u32
        });
    let gadget = Zeroizing(Poly::<M, Coefficients>::from_residues(gadget).into_slots());
    let mut secret = slots::<M>(secret);
    pointwise::into_montgomery::<M>(secret.0.values_mut());
    let mut key = Poly::<M, Slots>::from_values(Box::new([0; DEGREE]));
    pointwise::multiply::<M>(key.values_mut(), mask.values(), secret.0.values());
    pointwise::subtract_from::<M>(key.values_mut(), gadget.0.values());
    key
}

// Queries are for the packing modulus and its special prime alone.
const _: () = assert!(PackPrime::MODULUS < SpecialPrime::MODULUS);
