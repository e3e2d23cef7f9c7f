//! The server's side: key and evaluation.

use std::fmt;

use curve25519_dalek::scalar::Scalar;
use rand::CryptoRng;
use voprf_ng::{Group, VoprfServer};
use zeroize::Zeroizing;

use super::proof::Evaluator;

use super::{
    BlindedElement, ELEMENT_BYTES, Evaluation, OprfError, OprfInput, OprfOutput, OprfShare, Suite,
    check_batch_size,
};

/// The DP's OPRF secret key, with its public key.
///
/// Zeroised on drop, `Debug` is redacted, no equality.
#[derive(Clone)]
pub struct OprfKey {
    server: VoprfServer<Suite>,
    /// Half of the secret, modulo the group's order.
    half: Zeroizing<Scalar>,
}

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
            .map_err(|_| OprfError::InvalidKey)
            .and_then(Self::new)
    }

    /// The key with this canonical encoding.
    ///
    /// # Errors
    /// [`OprfError::InvalidKey`].
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Result<Self, OprfError> {
        VoprfServer::new_with_key(bytes)
            .map_err(|_| OprfError::InvalidKey)
            .and_then(Self::new)
    }

    fn new(server: VoprfServer<Suite>) -> Result<Self, OprfError> {
        let secret = Suite::deserialize_scalar(&*encode(&server));
        let secret = Zeroizing::new(secret.map_err(|_| OprfError::InvalidKey)?);
        let half = Zeroizing::new(*secret * Scalar::from(2u8).invert());
        Ok(Self { server, half })
    }

    /// Its canonical encoding, for a key file.
    pub fn to_bytes(&self) -> Zeroizing<[u8; Self::BYTES]> {
        encode(&self.server)
    }

    /// The key to publish.
    pub fn public_key(&self) -> OprfPublicKey {
        OprfPublicKey(Suite::serialize_elem(self.server.get_public_key()).into())
    }

    /// Two shares, both of which are needed to have the key again.
    pub fn split<R: CryptoRng + ?Sized>(&self, rng: &mut R) -> [OprfShare; 2] {
        OprfShare::split(self, rng)
    }

    pub(super) fn secret(&self) -> Zeroizing<Scalar> {
        Zeroizing::new(*self.half + *self.half)
    }

    /// Evaluates a client's blinded elements, with one proof for the batch
    /// (`BlindEvaluate`, RFC 9497 §3.3.2), in parallel on the current rayon pool
    /// if there are many. `rng` blinds the proof.
    ///
    /// # Errors
    /// [`OprfError::BatchSize`]; [`OprfError::NoOutput`], once in 2^252 times.
    pub fn blind_evaluate<R: CryptoRng + ?Sized>(
        &self,
        blinded: &[BlindedElement],
        rng: &mut R,
    ) -> Result<Evaluation, OprfError> {
        check_batch_size(blinded.len())?;
        let evaluator = Evaluator {
            half: &self.half,
            public: self.public_key(),
        };
        evaluator.evaluate(blinded, rng)
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
        let output = self
            .server
            .evaluate(input)
            .map_err(|_| OprfError::NoOutput)?;
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

/// The secret scalar, which the public element follows (RFC 9497 §4.1).
fn encode(server: &VoprfServer<Suite>) -> Zeroizing<[u8; OprfKey::BYTES]> {
    let both = Zeroizing::new(<[u8; 2 * OprfKey::BYTES]>::from(server.serialize()));
    let mut bytes = Zeroizing::new([0; OprfKey::BYTES]);
    bytes.copy_from_slice(&both[..OprfKey::BYTES]);
    bytes
}

fn decode(bytes: &[u8; ELEMENT_BYTES]) -> Result<<Suite as Group>::Elem, OprfError> {
    Suite::deserialize_elem(bytes).map_err(|_| OprfError::InvalidElement)
}
