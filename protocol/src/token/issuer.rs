//! The issuer's side of type 0x0001: key, issuance, verification.

use std::fmt;

use rand::CryptoRng;
use sha2::{Digest as _, Sha384};
use subtle::ConstantTimeEq as _;
use voprf_ng::{Group, VoprfServer, VoprfServerBatchEvaluateFinishResult};
use zeroize::Zeroizing;

use super::{
    BatchTokenResponse, BlindedElement, Suite, Token, TokenError, TokenKeyId, TokenType,
    check_batch_size,
};

const SEED_LABEL: &[u8] = b"sotto/v1/token-key";

/// `info` of the derivation (RFC 9578 §5.5).
const KEY_INFO: &[u8] = b"PrivacyPass";

/// A secret key that issues and verifies tokens of type 0x0001.
///
/// Zeroised on drop, `Debug` is redacted, no equality.
#[derive(Clone)]
pub struct IssuerKey {
    server: VoprfServer<Suite>,
    public: IssuerPublicKey,
}

/// The public key that issuance is verified under: a compressed point other
/// than the identity (RFC 9578 §8.2.1).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct IssuerPublicKey([u8; Self::BYTES]);

impl IssuerKey {
    /// Bytes of a seed that a key is derived from.
    pub const SEED_BYTES: usize = 32;

    /// Bytes of an encoded secret key.
    pub const BYTES: usize = 48;

    /// The key of a seed: `DeriveKeyPair(SHA-384("sotto/v1/token-key" ‖ seed),
    /// "PrivacyPass")` (RFC 9497 §3.2.1, RFC 9578 §5.5).
    ///
    /// # Errors
    /// [`TokenError::InvalidKey`], for no more than one seed in 2^384.
    pub fn from_seed(seed: &[u8; Self::SEED_BYTES]) -> Result<Self, TokenError> {
        let stretched = Sha384::new_with_prefix(SEED_LABEL)
            .chain_update(seed)
            .finalize();
        let stretched = Zeroizing::new(<[u8; 48]>::from(stretched));
        VoprfServer::new_from_seed(&*stretched, KEY_INFO)
            .map(Self::new)
            .map_err(|_| TokenError::InvalidKey)
    }

    /// The key with this encoding: a scalar, big-endian.
    ///
    /// # Errors
    /// [`TokenError::InvalidKey`].
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Result<Self, TokenError> {
        VoprfServer::new_with_key(bytes)
            .map(Self::new)
            .map_err(|_| TokenError::InvalidKey)
    }

    fn new(server: VoprfServer<Suite>) -> Self {
        let public = IssuerPublicKey(Suite::serialize_elem(server.get_public_key()).into());
        Self { server, public }
    }

    /// The key to publish.
    pub const fn public_key(&self) -> &IssuerPublicKey {
        &self.public
    }

    /// Signs blinded tokens, with one proof for all (`BlindEvaluateBatch`,
    /// draft-ietf-privacypass-batched-tokens §5.2; for one element RFC 9578
    /// §5.2). `rng` blinds the proof.
    ///
    /// # Errors
    /// [`TokenError::BatchSize`].
    pub fn issue<R: CryptoRng + ?Sized>(
        &self,
        blinded: &[BlindedElement],
        mut rng: &mut R,
    ) -> Result<BatchTokenResponse, TokenError> {
        check_batch_size(blinded.len())?;
        let elements = || blinded.iter().map(|element| &element.inner);
        let prepared: Vec<_> = self
            .server
            .batch_blind_evaluate_prepare(elements())
            .collect();
        let VoprfServerBatchEvaluateFinishResult { messages, proof } = self
            .server
            .batch_blind_evaluate_finish(&mut rng, elements(), &prepared)
            .map_err(|_| TokenError::BatchSize {
                found: blinded.len(),
            })?;
        Ok(BatchTokenResponse {
            elements: messages.map(Into::into).collect(),
            proof: proof.into(),
        })
    }

    /// Whether this key made the token (RFC 9578 §5.4). That it is for the right
    /// challenge, and wasn't redeemed before, is for others to check.
    pub fn verify(&self, token: &Token) -> bool {
        if token.token_type() != TokenType::Voprf || token.key_id() != self.public.id() {
            return false;
        }
        let Ok(expected) = self.server.evaluate(token.input()) else {
            return false;
        };
        let expected = Zeroizing::new(<[u8; 48]>::from(expected));
        expected[..].ct_eq(token.authenticator()).into()
    }
}

impl IssuerPublicKey {
    /// Bytes of its encoding.
    pub const BYTES: usize = 49;

    /// The key with this encoding.
    ///
    /// # Errors
    /// [`TokenError::InvalidElement`].
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Result<Self, TokenError> {
        let element = decode(bytes)?;
        if Suite::serialize_elem(element)[..] != bytes[..] {
            return Err(TokenError::InvalidElement);
        }
        Ok(Self(*bytes))
    }

    /// Its encoding.
    pub const fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// Its id, which tokens hold.
    pub fn id(&self) -> TokenKeyId {
        TokenKeyId::of(&self.0)
    }

    pub(super) fn element(&self) -> Result<<Suite as Group>::Elem, TokenError> {
        decode(&self.0)
    }
}

impl fmt::Debug for IssuerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IssuerKey(redacted)")
    }
}

impl fmt::Debug for IssuerPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IssuerPublicKey({})", hex::encode(self.0))
    }
}

fn decode(bytes: &[u8; IssuerPublicKey::BYTES]) -> Result<<Suite as Group>::Elem, TokenError> {
    Suite::deserialize_elem(bytes).map_err(|_| TokenError::InvalidElement)
}
