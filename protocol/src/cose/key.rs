//! Signing and verifying keys.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use coset::iana::{self, EnumI64 as _};
use ed25519_dalek::Signer as _;
use rand::CryptoRng;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::CoseError;
use crate::cbor::{self, MapReader, Value};

const ED25519_TEXT: &str = "ed25519:";

/// A secret key that signs objects. Wiped when dropped; has no equality and
/// no printable form.
pub struct SigningKey(Secret);

enum Secret {
    Ed25519(ed25519_dalek::SigningKey),
}

impl SigningKey {
    /// A fresh Ed25519 key.
    pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(seed.as_mut());
        Self::from_seed(&seed)
    }

    /// The Ed25519 key of a 32-byte seed (RFC 8032 §5.1.5).
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(Secret::Ed25519(ed25519_dalek::SigningKey::from_bytes(seed)))
    }

    /// The seed, for key files.
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        match &self.0 {
            Secret::Ed25519(key) => Zeroizing::new(key.to_bytes()),
        }
    }

    /// The public half.
    pub fn verifying_key(&self) -> VerifyingKey {
        match &self.0 {
            Secret::Ed25519(key) => VerifyingKey(Public::Ed25519(key.verifying_key())),
        }
    }

    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &self.0 {
            Secret::Ed25519(key) => key.sign(message).to_bytes().to_vec(),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

/// A public key that verifies objects: a valid curve point, not of small
/// order, in canonical encoding.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifyingKey(Public);

#[derive(Clone, PartialEq, Eq)]
enum Public {
    Ed25519(ed25519_dalek::VerifyingKey),
}

impl VerifyingKey {
    /// The Ed25519 key of a compressed point (RFC 8032 §5.1.2).
    ///
    /// # Errors
    /// [`CoseError::WeakKey`] if it is no point, of small order, or not
    /// canonically encoded.
    pub fn from_ed25519_bytes(bytes: &[u8; 32]) -> Result<Self, CoseError> {
        let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| CoseError::WeakKey)?;
        let canonical = key.to_edwards().compress();
        if key.is_weak() || canonical.as_bytes() != bytes {
            return Err(CoseError::WeakKey);
        }
        Ok(Self(Public::Ed25519(key)))
    }

    /// The COSE_Key (RFC 9052 §7, RFC 9053 §7.2) with exactly the required
    /// parameters `kty`, `crv` and `x`, deterministically encoded.
    pub fn to_cose_key(&self) -> Vec<u8> {
        match &self.0 {
            // `{1: 1, -1: 6, -2: x}`, already in deterministic order.
            Public::Ed25519(key) => {
                let mut encoded = vec![0xa3, 0x01, 0x01, 0x20, 0x06, 0x21, 0x58, 0x20];
                encoded.extend_from_slice(key.as_bytes());
                encoded
            }
        }
    }

    /// The COSE_Key as a value to embed.
    pub(crate) fn to_cose_key_value(&self) -> Value {
        let label = |label: i64| Value::Integer(label.into());
        match &self.0 {
            Public::Ed25519(key) => Value::Map(vec![
                (label(KTY), label(iana::KeyType::OKP.to_i64())),
                (
                    label(iana::OkpKeyParameter::Crv.to_i64()),
                    label(iana::EllipticCurve::Ed25519.to_i64()),
                ),
                (
                    label(iana::OkpKeyParameter::X.to_i64()),
                    Value::Bytes(key.as_bytes().to_vec()),
                ),
            ]),
        }
    }

    /// Reads the form that [`to_cose_key`](Self::to_cose_key) writes.
    ///
    /// # Errors
    /// [`CoseError::Cbor`], [`CoseError::MalformedKey`] for any other parameter,
    /// type, curve or length, [`CoseError::WeakKey`].
    pub fn from_cose_key(bytes: &[u8]) -> Result<Self, CoseError> {
        Self::from_cose_key_value(cbor::decode(bytes)?)
    }

    pub(crate) fn from_cose_key_value(value: Value) -> Result<Self, CoseError> {
        let malformed = |_| CoseError::MalformedKey;
        let mut map = MapReader::new(value).map_err(malformed)?;
        let kty = map.unsigned(KTY).map_err(malformed)?;
        let crv = map
            .unsigned(iana::OkpKeyParameter::Crv.to_i64())
            .map_err(malformed)?;
        let x = map
            .byte_array::<32>(iana::OkpKeyParameter::X.to_i64())
            .map_err(malformed)?;
        map.finish().map_err(malformed)?;
        let expected = (
            iana::KeyType::OKP.to_i64() as u64,
            iana::EllipticCurve::Ed25519.to_i64() as u64,
        );
        if (kty, crv) != expected {
            return Err(CoseError::MalformedKey);
        }
        Self::from_ed25519_bytes(&x)
    }

    /// The form for configuration files: `ed25519:` and the key in base64url
    /// without padding.
    pub fn to_text(&self) -> String {
        match &self.0 {
            Public::Ed25519(key) => {
                format!("{ED25519_TEXT}{}", URL_SAFE_NO_PAD.encode(key.as_bytes()))
            }
        }
    }

    /// Reads the form that [`to_text`](Self::to_text) writes.
    ///
    /// # Errors
    /// [`CoseError::MalformedKey`], [`CoseError::WeakKey`].
    pub fn from_text(text: &str) -> Result<Self, CoseError> {
        let encoded = text
            .strip_prefix(ED25519_TEXT)
            .ok_or(CoseError::MalformedKey)?;
        let bytes = URL_SAFE_NO_PAD
            .decode(encoded)
            .map_err(|_| CoseError::MalformedKey)?;
        let bytes: [u8; 32] = bytes.try_into().map_err(|_| CoseError::MalformedKey)?;
        Self::from_ed25519_bytes(&bytes)
    }

    /// The key's name in `kid`: its COSE Key Thumbprint (RFC 9679 §3).
    pub fn key_id(&self) -> KeyId {
        KeyId(Sha256::digest(self.to_cose_key()).into())
    }

    pub(super) fn algorithm(&self) -> iana::Algorithm {
        match &self.0 {
            Public::Ed25519(_) => iana::Algorithm::EdDSA,
        }
    }

    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), CoseError> {
        match &self.0 {
            Public::Ed25519(key) => {
                let signature = ed25519_dalek::Signature::from_slice(signature)
                    .map_err(|_| CoseError::BadSignature)?;
                key.verify_strict(message, &signature)
                    .map_err(|_| CoseError::BadSignature)
            }
        }
    }
}

const KTY: i64 = iana::KeyParameter::Kty as i64;

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({:?})", self.key_id())
    }
}

/// The SHA-256 COSE Key Thumbprint of a verifying key (RFC 9679 §3): SHA-256
/// over its COSE_Key with only the required parameters, deterministically
/// encoded. `Debug` shows its first four bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; 32]);

impl KeyId {
    /// A thumbprint read from somewhere.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The thumbprint.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({}..)", hex::encode(&self.0[..4]))
    }
}
