//! A batch of OPRF evaluations beside the multiplications that it can't do
//! without.

use anyhow::{Context as _, Result, ensure};
use curve25519_dalek::ristretto::CompressedRistretto;
use curve25519_dalek::traits::VartimeMultiscalarMul as _;
use curve25519_dalek::{RistrettoPoint, Scalar};
use protocol::csi::Csi;
use protocol::oprf::{BlindedBatch, BlindedElement, Evaluation, OprfKey};
use protocol::wire::{OprfRequest, OprfResponse};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use rayon::prelude::*;
use voprf_ng::{Ristretto255, VoprfServer};

/// What a client sends, and the server's key.
pub struct Batch {
    key: OprfKey,
    library: VoprfServer<Ristretto255>,
    secret: Scalar,
    points: Vec<RistrettoPoint>,
    weights: Vec<Scalar>,
    elements: Vec<BlindedElement>,
    request: Vec<u8>,
}

impl Batch {
    /// `count` elements, at most 1024, whose evaluation was verified as a client
    /// does.
    ///
    /// # Errors
    /// What is wrong with the evaluation.
    pub fn new(count: usize) -> Result<Self> {
        let rng = &mut StdRng::seed_from_u64(5);
        let key = OprfKey::generate(rng);
        let csis = identifiers(count)?;
        let batch = BlindedBatch::blind(&csis, rng)?;
        let elements = batch.elements().to_vec();
        let outputs = batch.finalize(&key.blind_evaluate(&elements, rng)?, &key.public_key())?;
        for (csi, output) in csis.iter().zip(&outputs) {
            ensure!(key.evaluate(csi)?.as_bytes() == output.as_bytes());
        }
        let points = elements.iter().map(|element| {
            let encoding = CompressedRistretto(*element.as_bytes());
            encoding.decompress().context("a valid element")
        });
        let scalar = |rng: &mut StdRng| {
            let mut wide = [0; 64];
            rng.fill_bytes(&mut wide);
            Scalar::from_bytes_mod_order_wide(&wide)
        };
        Ok(Self {
            library: VoprfServer::new_with_key(&*key.to_bytes())
                .ok()
                .context("a key")?,
            secret: Scalar::from_bytes_mod_order(*key.to_bytes()),
            points: points.collect::<Result<_>>()?,
            weights: (0..count).map(|_| scalar(rng)).collect(),
            request: OprfRequest {
                epoch: 1,
                elements: elements.clone(),
            }
            .encode(),
            key,
            elements,
        })
    }

    /// Elements in it.
    #[must_use]
    pub fn count(&self) -> usize {
        self.points.len()
    }

    /// Each element times the key in constant time, on the current pool: nothing
    /// else.
    #[must_use]
    pub fn multiply(&self) -> Vec<RistrettoPoint> {
        self.points
            .par_iter()
            .map(|point| point * self.secret)
            .collect()
    }

    /// The evaluation with its proof, on the current pool.
    ///
    /// # Errors
    /// None for such a batch.
    pub fn evaluate(&self) -> Result<Evaluation> {
        Ok(self.key.blind_evaluate(&self.elements, &mut rand::rng())?)
    }

    /// From the bytes of the request to those of the response.
    ///
    /// # Errors
    /// None for such a batch.
    pub fn respond(&self) -> Result<Vec<u8>> {
        let request = OprfRequest::decode(&self.request)?;
        let evaluation = self
            .key
            .blind_evaluate(&request.elements, &mut rand::rng())?;
        let epoch = request.epoch;
        Ok(OprfResponse { epoch, evaluation }.encode())
    }

    /// The same evaluation by `voprf-ng` alone, encoded as it must be.
    ///
    /// # Errors
    /// None for such a batch.
    pub fn evaluate_by_library(&self) -> Result<Vec<[u8; 32]>> {
        let failed = |_| anyhow::anyhow!("voprf-ng");
        let decode = |point: &RistrettoPoint| {
            voprf_ng::BlindedElement::<Ristretto255>::from_value_unchecked(*point)
        };
        let elements: Vec<_> = self.points.iter().map(decode).collect();
        let server = &self.library;
        let prepared: Vec<_> = server
            .batch_blind_evaluate_prepare(elements.iter())
            .collect();
        let rng = &mut rand::rng();
        let finished = server
            .batch_blind_evaluate_finish(rng, elements.iter(), &prepared)
            .map_err(failed)?;
        Ok(finished
            .messages
            .map(|message| message.serialize().into())
            .collect())
    }

    /// Decoding and validating the elements of a request.
    #[must_use]
    pub fn decode(&self) -> usize {
        let valid = self
            .elements
            .iter()
            .filter(|element| BlindedElement::from_bytes(element.as_bytes()).is_ok());
        valid.count()
    }

    /// Encoding as many points together.
    #[must_use]
    pub fn encode(&self) -> Vec<CompressedRistretto> {
        RistrettoPoint::double_and_compress_batch(&self.points)
    }

    /// A sum of as many terms in variable time.
    #[must_use]
    pub fn sum(&self) -> RistrettoPoint {
        RistrettoPoint::vartime_multiscalar_mul(&self.weights, &self.points)
    }

    /// What a build does with a record's identifier at a new key, for each.
    ///
    /// # Errors
    /// None for such identifiers.
    pub fn derive(&self, csis: &[Csi]) -> Result<u64> {
        let derive = |csi| Ok(self.key.evaluate(csi)?.locator().group_hash & 1);
        csis.par_iter().map(derive).sum()
    }
}

/// Made-up identifiers.
///
/// # Errors
/// None.
pub fn identifiers(count: usize) -> Result<Vec<Csi>> {
    (0..count)
        .map(|n| Ok(Csi::parse(&format!("user{n}@example.org"))?))
        .collect()
}
