//! `BlindEvaluate` for a batch, with one proof (RFC 9497 §3.3.2 and §2.2.1).
//!
//! `voprf-ng` multiplies every element twice in constant time, once by the key
//! and once for the proof, and encodes three points for each. Here an element
//! costs the multiplication by the key and little more: what the proof sums up
//! is public, so one sum of variable time does, and encodings share an
//! inversion. The client's side verifies with `voprf-ng`, the RFC's vectors
//! hold for both.

use curve25519_dalek::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::{Identity as _, VartimeMultiscalarMul as _};
use rand::CryptoRng;
use rayon::prelude::*;
use sha2::{Digest as _, Sha512};
use voprf_ng::Group;
use zeroize::Zeroizing;

use super::{
    BlindedElement, ELEMENT_BYTES, EvaluatedElement, Evaluation, OprfError, OprfPublicKey, Proof,
    Suite,
};

const SEED_DST: &[u8] = b"Seed-OPRFV1-\x01-ristretto255-SHA512";
const SCALAR_DST: &[u8] = b"HashToScalar-OPRFV1-\x01-ristretto255-SHA512";

/// Elements that a thread evaluates at a time: enough to share an inversion.
const CHUNK: usize = 64;

/// Fewest terms that a thread sums up: the more, the less each costs.
const TERMS_MIN: usize = 256;

/// I2OSP(length of an element, 2).
const ELEMENT_LENGTH: [u8; 2] = (ELEMENT_BYTES as u16).to_be_bytes();

/// `Z_pad` of `expand_message_xmd`: as long as a block of SHA-512.
const BLOCK_OF_ZEROS: [u8; 128] = [0; 128];

/// Half of a secret key, and its public key.
pub(super) struct Evaluator<'a> {
    pub(super) half: &'a Scalar,
    pub(super) public: OprfPublicKey,
}

impl Evaluator<'_> {
    /// 1 to 1024 elements times the key, and the proof, on the threads of the
    /// current rayon pool if there are more than [`CHUNK`].
    ///
    /// # Errors
    /// [`OprfError::NoOutput`], once in 2^252 times.
    pub(super) fn evaluate<R: CryptoRng + ?Sized>(
        &self,
        blinded: &[BlindedElement],
        rng: &mut R,
    ) -> Result<Evaluation, OprfError> {
        let weights = Weights::of(&self.public);
        let chunks: Vec<_> = if blinded.len() <= CHUNK {
            vec![self.chunk(&weights, 0, blinded)]
        } else {
            let chunks = blinded.par_chunks(CHUNK).enumerate();
            chunks
                .map(|(at, chunk)| self.chunk(&weights, at * CHUNK, chunk))
                .collect()
        };
        let (mut elements, mut weights) = (Vec::new(), Vec::new());
        for (evaluated, of_chunk) in chunks {
            elements.extend(evaluated);
            weights.extend(of_chunk);
        }
        let composite = composite(blinded, &weights);
        let proof = self.prove(composite, rng)?;
        Ok(Evaluation { elements, proof })
    }

    /// Evaluates elements of which `first` precede in the batch, with the weight
    /// of each in the composite.
    fn chunk(
        &self,
        of: &Weights,
        first: usize,
        blinded: &[BlindedElement],
    ) -> (Vec<EvaluatedElement>, Vec<Scalar>) {
        // Encoding the double of a point needs no inverse square root.
        let halves: Vec<RistrettoPoint> = blinded
            .iter()
            .map(|element| element.inner.value() * self.half)
            .collect();
        let encodings = RistrettoPoint::double_and_compress_batch(&halves);
        let mut elements = Vec::with_capacity(blinded.len());
        let mut weights = Vec::with_capacity(blinded.len());
        for (at, ((element, half), encoding)) in
            (first..).zip(blinded.iter().zip(halves).zip(encodings))
        {
            weights.push(of.weight(at, element.as_bytes(), encoding.as_bytes()));
            elements.push(EvaluatedElement::new(encoding, half + half));
        }
        (elements, weights)
    }

    /// `GenerateProof` (§2.2.1) for the composite of the blinded elements; that
    /// of the evaluated ones is its multiple.
    fn prove<R: CryptoRng + ?Sized>(
        &self,
        composite: RistrettoPoint,
        mut rng: &mut R,
    ) -> Result<Proof, OprfError> {
        // Either of them gives the key away with the proof.
        let secret = Zeroizing::new(self.half + self.half);
        let nonce =
            Zeroizing::new(Suite::random_scalar(&mut rng).map_err(|_| OprfError::NoOutput)?);
        let points = [
            composite,
            composite * *secret,
            RistrettoPoint::mul_base(&nonce),
            composite * *nonce,
        ];
        let encodings = points.map(|point| point.compress());
        let mut input: Vec<&[u8]> = vec![&ELEMENT_LENGTH, self.public.as_bytes()];
        for encoding in &encodings {
            input.extend([&ELEMENT_LENGTH[..], encoding.as_bytes()]);
        }
        input.push(b"Challenge");
        let challenge = hash_to_scalar(&input)?;
        let response = *nonce - challenge * *secret;
        let mut bytes = [0; Proof::BYTES];
        bytes[..32].copy_from_slice(challenge.as_bytes());
        bytes[32..].copy_from_slice(response.as_bytes());
        Proof::from_bytes(&bytes).map_err(|_| OprfError::NoOutput)
    }
}

/// The weights of a batch's elements in its composite (`ComputeCompositesFast`,
/// §2.2.1).
struct Weights {
    /// What all weights' hashes begin with.
    begun: Sha512,
}

impl Weights {
    fn of(public: &OprfPublicKey) -> Self {
        let seed = Sha512::new()
            .chain_update(ELEMENT_LENGTH)
            .chain_update(public.as_bytes())
            .chain_update((SEED_DST.len() as u16).to_be_bytes())
            .chain_update(SEED_DST)
            .finalize();
        let begun = Sha512::new()
            .chain_update(BLOCK_OF_ZEROS)
            .chain_update((seed.len() as u16).to_be_bytes())
            .chain_update(seed);
        Self { begun }
    }

    /// `HashToScalar` (§4.1), by `expand_message_xmd` (RFC 9380 §5.3.1), of what
    /// stands for the element at `at`, of at most 1024.
    fn weight(&self, at: usize, blinded: &[u8], evaluated: &[u8]) -> Scalar {
        let scalar_dst = |hash: Sha512| {
            hash.chain_update(SCALAR_DST)
                .chain_update([SCALAR_DST.len() as u8])
                .finalize()
        };
        let first = self
            .begun
            .clone()
            .chain_update((at as u16).to_be_bytes())
            .chain_update(ELEMENT_LENGTH)
            .chain_update(blinded)
            .chain_update(ELEMENT_LENGTH)
            .chain_update(evaluated)
            .chain_update(b"Composite")
            // The length of what is wanted, and a zero.
            .chain_update([0, 64, 0]);
        let second = Sha512::new().chain_update(scalar_dst(first));
        let expanded = scalar_dst(second.chain_update([1]));
        Scalar::from_bytes_mod_order_wide(&expanded.into())
    }
}

/// The sum of the blinded elements by their weights, all public.
fn composite(blinded: &[BlindedElement], weights: &[Scalar]) -> RistrettoPoint {
    let sum = |(blinded, weights): (&[BlindedElement], &[Scalar])| {
        let points = blinded.iter().map(|element| element.inner.value());
        RistrettoPoint::vartime_multiscalar_mul(weights, points)
    };
    if blinded.len() <= TERMS_MIN {
        return sum((blinded, weights));
    }
    let terms = blinded.len().div_ceil(rayon::current_num_threads());
    let terms = terms.max(TERMS_MIN);
    blinded
        .par_chunks(terms)
        .zip(weights.par_chunks(terms))
        .map(sum)
        .reduce(RistrettoPoint::identity, |left, right| left + right)
}

/// `HashToScalar` (§4.1). The inputs here are short enough for it.
fn hash_to_scalar(input: &[&[u8]]) -> Result<Scalar, OprfError> {
    Suite::hash_to_scalar::<Sha512>(input, &[SCALAR_DST]).map_err(|_| OprfError::NoOutput)
}
