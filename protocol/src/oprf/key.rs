//! The server's side: key and evaluation.

use std::fmt;

use rand::CryptoRng;
use voprf_ng::{Group, VoprfServer, VoprfServerBatchEvaluateFinishResult};
use zeroize::Zeroizing;

use super::{
    BlindedElement, ELEMENT_BYTES, Evaluation, OprfError, OprfInput, OprfOutput, Suite,
    check_batch_size,
};

/// The DP's OPRF secret key, with its public key.
///
/// Zeroised on drop, `Debug` is redacted, no equality.
#[derive(Clone)]
pub struct OprfKey(VoprfServer<Suite>);

/// The public key that evaluations are verified under: a canonical group
/// element other than the identity.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct OprfPublicKey([u8; ELEMENT_BYTES]);

impl OprfKey {
    /// Bytes of an encoded secret key.
    pub const BYTES: usize = 32;

    /// A new key from `rng`.
    pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        loop {
            let mut seed = Zeroizing::new([0; 32]);
            rng.fill_bytes(&mut *seed);
            // Fails for no more than one seed in 2^252.
            if let Ok(key) = Self::derive(&seed, b"") {
                return key;
            }
        }
    }

    /// The key derived from a seed (`DeriveKeyPair`, RFC 9497 §3.2.1), for
    /// `info` of at most 65 500 bytes.
    ///
    /// # Errors
    /// [`OprfError::InvalidKey`] if `info` is too long, or for one seed in
    /// 2^252.
    pub fn derive(seed: &[u8; 32], info: &[u8]) -> Result<Self, OprfError> {
        VoprfServer::new_from_seed(seed, info)
            .map(Self)
            .map_err(|_| OprfError::InvalidKey)
    }

    /// The key with this canonical encoding.
    ///
    /// # Errors
    /// [`OprfError::InvalidKey`].
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Result<Self, OprfError> {
        VoprfServer::new_with_key(bytes)
            .map(Self)
            .map_err(|_| OprfError::InvalidKey)
    }

    /// Its canonical encoding, for a key file.
    pub fn to_bytes(&self) -> Zeroizing<[u8; Self::BYTES]> {
        // Secret scalar, then public element: RFC 9497 §4.1.
        let both = Zeroizing::new(<[u8; 2 * Self::BYTES]>::from(self.0.serialize()));
        let mut bytes = Zeroizing::new([0; Self::BYTES]);
        bytes.copy_from_slice(&both[..Self::BYTES]);
        bytes
    }

    /// The key to publish.
    pub fn public_key(&self) -> OprfPublicKey {
        OprfPublicKey(Suite::serialize_elem(self.0.get_public_key()).into())
    }

    /// Evaluates a client's blinded elements, with one proof for the batch
    /// (`BlindEvaluate`, RFC 9497 §3.3.2). `rng` blinds the proof.
    ///
    /// # Errors
    /// [`OprfError::BatchSize`].
    pub fn blind_evaluate<R: CryptoRng + ?Sized>(
        &self,
        blinded: &[BlindedElement],
        mut rng: &mut R,
    ) -> Result<Evaluation, OprfError> {
        check_batch_size(blinded.len())?;
        let elements = || blinded.iter().map(|element| &element.inner);
        let prepared: Vec<_> = self.0.batch_blind_evaluate_prepare(elements()).collect();
        let VoprfServerBatchEvaluateFinishResult { messages, proof } = self
            .0
            .batch_blind_evaluate_finish(&mut rng, elements(), &prepared)
            .map_err(|_| OprfError::BatchSize {
                found: blinded.len(),
            })?;
        Ok(Evaluation {
            elements: messages.map(Into::into).collect(),
            proof: proof.into(),
        })
    }

    /// The output for an identifier or a handle, as a client would get it: for
    /// the builder of a snapshot, who knows them.
    ///
    /// # Errors
    /// [`OprfError::NoOutput`], for one input in 2^252.
    pub fn evaluate<'a>(&self, input: impl Into<OprfInput<'a>>) -> Result<OprfOutput, OprfError> {
        self.evaluate_input(&input.into().to_bytes())
    }

    pub(super) fn evaluate_input(&self, input: &[u8]) -> Result<OprfOutput, OprfError> {
        let output = self.0.evaluate(input).map_err(|_| OprfError::NoOutput)?;
        Ok(OprfOutput::from_bytes(output.into()))
    }
}

impl OprfPublicKey {
    /// The key with this canonical encoding.
    ///
    /// # Errors
    /// [`OprfError::InvalidElement`].
    pub fn from_bytes(bytes: &[u8; ELEMENT_BYTES]) -> Result<Self, OprfError> {
        decode(bytes).map(|_| Self(*bytes))
    }

    /// Its canonical encoding.
    pub const fn as_bytes(&self) -> &[u8; ELEMENT_BYTES] {
        &self.0
    }

    pub(super) fn element(&self) -> Result<<Suite as Group>::Elem, OprfError> {
        decode(&self.0)
    }
}

impl fmt::Debug for OprfKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OprfKey(redacted)")
    }
}

impl fmt::Debug for OprfPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OprfPublicKey({})", hex::encode(self.0))
    }
}

fn decode(bytes: &[u8; ELEMENT_BYTES]) -> Result<<Suite as Group>::Elem, OprfError> {
    Suite::deserialize_elem(bytes).map_err(|_| OprfError::InvalidElement)
}
