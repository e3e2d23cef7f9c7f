//! Ed25519 (RFC 8032).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use coset::iana::{self, EnumI64 as _};
use ed25519_dalek::Signer as _;
use pkcs8::der::asn1::OctetStringRef;
use pkcs8::spki::AlgorithmIdentifierRef;
use pkcs8::{ObjectIdentifier, PrivateKeyInfoRef, SecretDocument};
use zeroize::Zeroizing;

use super::{Algorithm, PublicHalf, SecretHalf, cose_key};
use crate::cbor::{MapReader, Value};
use crate::cose::CoseError;

/// What stands before the colon of the text form.
pub(super) const TEXT: &str = "ed25519";

/// id-Ed25519 (RFC 8410 §3).
pub(super) const OID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

const CRV: i64 = iana::OkpKeyParameter::Crv as i64;
const X: i64 = iana::OkpKeyParameter::X as i64;

/// Wiped when dropped.
pub(super) struct Secret(ed25519_dalek::SigningKey);

impl Secret {
    pub(super) fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    pub(super) fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    pub(super) fn from_pkcs8(info: PrivateKeyInfoRef<'_>) -> Result<Self, CoseError> {
        let key = ed25519_dalek::SigningKey::try_from(info);
        key.map(Self).map_err(|_| CoseError::MalformedKey)
    }
}

impl SecretHalf for Secret {
    fn public(&self) -> super::Public {
        super::Public::Ed25519(Public(self.0.verifying_key()))
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(message).to_bytes().to_vec()
    }

    fn to_pkcs8_der(&self) -> Zeroizing<Vec<u8>> {
        // The seed as an OCTET STRING of its own within that of the format.
        let mut nested = Zeroizing::new([0; 34]);
        nested[..2].copy_from_slice(&[0x04, 0x20]);
        nested[2..].copy_from_slice(self.0.as_bytes());
        let algorithm = AlgorithmIdentifierRef {
            oid: OID,
            parameters: None,
        };
        // Without the public key, which version 2 of the format could add: more
        // software reads version 1.
        let encoded = OctetStringRef::new(nested.as_ref())
            .and_then(|seed| SecretDocument::encode_msg(&PrivateKeyInfoRef::new(algorithm, seed)));
        // Cannot fail: all lengths are fixed and short.
        encoded.expect("a seed encodes").to_bytes()
    }
}

#[derive(Clone, PartialEq, Eq)]
pub(super) struct Public(ed25519_dalek::VerifyingKey);

impl Public {
    pub(super) fn from_bytes(bytes: &[u8; 32]) -> Result<Self, CoseError> {
        let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| CoseError::WeakKey)?;
        let canonical = key.to_edwards().compress();
        if key.is_weak() || canonical.as_bytes() != bytes {
            return Err(CoseError::WeakKey);
        }
        Ok(Self(key))
    }

    pub(super) fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// Reads the parameters that follow `kty`.
    pub(super) fn from_cose_key(mut map: MapReader) -> Result<Self, CoseError> {
        let malformed = |_| CoseError::MalformedKey;
        let crv = map.unsigned(CRV).map_err(malformed)?;
        let x = map.byte_array::<32>(X).map_err(malformed)?;
        map.finish().map_err(malformed)?;
        if crv != iana::EllipticCurve::Ed25519.to_i64() as u64 {
            return Err(CoseError::MalformedKey);
        }
        Self::from_bytes(&x)
    }

    pub(super) fn from_base64(encoded: &str) -> Result<Self, CoseError> {
        let bytes = URL_SAFE_NO_PAD
            .decode(encoded)
            .map_err(|_| CoseError::MalformedKey)?;
        let bytes: [u8; 32] = bytes.try_into().map_err(|_| CoseError::MalformedKey)?;
        Self::from_bytes(&bytes)
    }
}

impl PublicHalf for Public {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDsa
    }

    fn to_cose_key(&self) -> Value {
        let crv = iana::EllipticCurve::Ed25519.to_i64();
        cose_key(
            iana::KeyType::OKP,
            [
                (CRV, crv.into()),
                (X, Value::Bytes(self.0.as_bytes().to_vec())),
            ],
        )
    }

    fn to_text(&self) -> String {
        format!("{TEXT}:{}", URL_SAFE_NO_PAD.encode(self.0.as_bytes()))
    }

    /// Strictly: s < L, neither R nor the key of small order, R compared in its
    /// canonical encoding, and the equation of RFC 8032 §5.1.7 without the
    /// cofactor.
    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), CoseError> {
        let signature =
            ed25519_dalek::Signature::from_slice(signature).map_err(|_| CoseError::BadSignature)?;
        self.0
            .verify_strict(message, &signature)
            .map_err(|_| CoseError::BadSignature)
    }
}
