//! Signing and verifying keys, whatever their algorithm.
//!
//! Each algorithm is a file below. [`Secret`] and [`Public`] have a variant for
//! each, which their `half` makes one interface of; reading a key chooses the
//! variant by what the key says of itself.

mod ed25519;
mod p256;

use std::fmt;

use coset::iana::{self, EnumI64 as _};
use pkcs8::PrivateKeyInfoRef;
use rand::CryptoRng;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::CoseError;
use crate::cbor::{self, MapReader, Value};

/// A signature algorithm (RFC 9053 §2), which here also fixes the curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// EdDSA with Ed25519 (RFC 9053 §2.2, RFC 8032): `alg` -8.
    EdDsa,
    /// ECDSA with P-256 and SHA-256 (RFC 9053 §2.1, FIPS 186-5): `alg` -7.
    Es256,
}

impl Algorithm {
    /// Its entry in the IANA registry of COSE algorithms.
    pub(super) const fn registered(self) -> iana::Algorithm {
        match self {
            Self::EdDsa => iana::Algorithm::EdDSA,
            Self::Es256 => iana::Algorithm::ES256,
        }
    }

    pub(super) fn from_registered(found: iana::Algorithm) -> Option<Self> {
        [Self::EdDsa, Self::Es256]
            .into_iter()
            .find(|algorithm| algorithm.registered() == found)
    }
}

/// A secret key that signs objects. Wiped when dropped; has no equality and
/// no printable form.
pub struct SigningKey(Secret);

enum Secret {
    Ed25519(ed25519::Secret),
    P256(p256::Secret),
}

/// What the secret half of a key does.
trait SecretHalf {
    fn public(&self) -> Public;
    fn sign(&self, message: &[u8]) -> Vec<u8>;
    fn to_pkcs8_der(&self) -> Zeroizing<Vec<u8>>;
}

impl Secret {
    fn half(&self) -> &dyn SecretHalf {
        match self {
            Self::Ed25519(key) => key,
            Self::P256(key) => key,
        }
    }
}

impl SigningKey {
    /// A fresh Ed25519 key.
    pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(seed.as_mut());
        Self::from_seed(&seed)
    }

    /// A fresh P-256 key, which signs with ES256.
    pub fn generate_p256<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        Self(Secret::P256(p256::Secret::generate(rng)))
    }

    /// The Ed25519 key of a 32-byte seed (RFC 8032 §5.1.5).
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(Secret::Ed25519(ed25519::Secret::from_seed(seed)))
    }

    /// The seed of an Ed25519 key, for key files; `None` for any other key,
    /// which has none: [`to_pkcs8_der`](Self::to_pkcs8_der) writes every key.
    pub fn seed(&self) -> Option<Zeroizing<[u8; 32]>> {
        match &self.0 {
            Secret::Ed25519(key) => Some(key.seed()),
            Secret::P256(_) => None,
        }
    }

    /// The key as PKCS#8 (RFC 5958) in DER: a seed as RFC 8410 §7 has it, or an
    /// `ECPrivateKey` (RFC 5915) with its public key. The same bytes each time.
    pub fn to_pkcs8_der(&self) -> Zeroizing<Vec<u8>> {
        self.0.half().to_pkcs8_der()
    }

    /// Reads a key of either algorithm from PKCS#8 in DER.
    ///
    /// # Errors
    /// [`CoseError::MalformedKey`] if it is not PKCS#8, of another algorithm or
    /// curve, no valid secret, or names a public key that isn't its own.
    pub fn from_pkcs8_der(bytes: &[u8]) -> Result<Self, CoseError> {
        let info = PrivateKeyInfoRef::try_from(bytes).map_err(|_| CoseError::MalformedKey)?;
        match info.algorithm.oid {
            ed25519::OID => ed25519::Secret::from_pkcs8(info).map(Secret::Ed25519),
            p256::OID => p256::Secret::from_pkcs8(info).map(Secret::P256),
            _ => Err(CoseError::MalformedKey),
        }
        .map(Self)
    }

    /// The public half.
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey(self.0.half().public())
    }

    /// What the key signs with.
    pub fn algorithm(&self) -> Algorithm {
        self.verifying_key().algorithm()
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.half().sign(message)
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
    Ed25519(ed25519::Public),
    P256(p256::Public),
}

/// What the public half of a key does.
trait PublicHalf {
    fn algorithm(&self) -> Algorithm;
    /// The COSE_Key with exactly the required parameters, in deterministic order.
    fn to_cose_key(&self) -> Value;
    /// The text form, prefix included.
    fn to_text(&self) -> String;
    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), CoseError>;
}

impl Public {
    fn half(&self) -> &dyn PublicHalf {
        match self {
            Self::Ed25519(key) => key,
            Self::P256(key) => key,
        }
    }
}

impl VerifyingKey {
    /// The Ed25519 key of a compressed point (RFC 8032 §5.1.2).
    ///
    /// # Errors
    /// [`CoseError::WeakKey`] if it is no point, of small order, or not
    /// canonically encoded.
    pub fn from_ed25519_bytes(bytes: &[u8; 32]) -> Result<Self, CoseError> {
        ed25519::Public::from_bytes(bytes)
            .map(Public::Ed25519)
            .map(Self)
    }

    /// The compressed point of an Ed25519 key; `None` for any other key.
    pub fn ed25519_bytes(&self) -> Option<[u8; 32]> {
        match &self.0 {
            Public::Ed25519(key) => Some(key.to_bytes()),
            Public::P256(_) => None,
        }
    }

    /// The COSE_Key (RFC 9052 §7) with exactly the required parameters,
    /// deterministically encoded: `{1: 1, -1: 6, -2: x}` for Ed25519 (RFC 9053
    /// §7.2), `{1: 2, -1: 1, -2: x, -3: y}` for P-256 (§7.1.1).
    pub fn to_cose_key(&self) -> Vec<u8> {
        // A map of distinct integers to integers and byte strings has an encoding.
        cbor::encode(&self.to_cose_key_value()).expect("a plain map encodes")
    }

    /// The COSE_Key as a value to embed.
    pub(crate) fn to_cose_key_value(&self) -> Value {
        self.0.half().to_cose_key()
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
        match i64::try_from(kty).ok().and_then(iana::KeyType::from_i64) {
            Some(iana::KeyType::OKP) => ed25519::Public::from_cose_key(map).map(Public::Ed25519),
            Some(iana::KeyType::EC2) => p256::Public::from_cose_key(map).map(Public::P256),
            _ => Err(CoseError::MalformedKey),
        }
        .map(Self)
    }

    /// The form for configuration files: `ed25519:` and the key, or `es256:` and
    /// the compressed point (SEC 1 §2.3.3, 33 bytes), in base64url without
    /// padding.
    pub fn to_text(&self) -> String {
        self.0.half().to_text()
    }

    /// Reads the form that [`to_text`](Self::to_text) writes.
    ///
    /// # Errors
    /// [`CoseError::MalformedKey`], [`CoseError::WeakKey`].
    pub fn from_text(text: &str) -> Result<Self, CoseError> {
        let (prefix, encoded) = text.split_once(':').ok_or(CoseError::MalformedKey)?;
        match prefix {
            ed25519::TEXT => ed25519::Public::from_base64(encoded).map(Public::Ed25519),
            p256::TEXT => p256::Public::from_base64(encoded).map(Public::P256),
            _ => Err(CoseError::MalformedKey),
        }
        .map(Self)
    }

    /// The key's name in `kid`: its COSE Key Thumbprint (RFC 9679 §3).
    pub fn key_id(&self) -> KeyId {
        KeyId(Sha256::digest(self.to_cose_key()).into())
    }

    /// What the key verifies.
    pub fn algorithm(&self) -> Algorithm {
        self.0.half().algorithm()
    }

    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), CoseError> {
        self.0.half().verify(message, signature)
    }
}

const KTY: i64 = iana::KeyParameter::Kty as i64;

/// A COSE_Key as a value.
fn cose_key<const N: usize>(kty: iana::KeyType, parameters: [(i64, Value); N]) -> Value {
    let label = |label: i64| Value::Integer(label.into());
    let mut map = vec![(label(KTY), label(kty.to_i64()))];
    map.extend(parameters.map(|(parameter, value)| (label(parameter), value)));
    Value::Map(map)
}

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
