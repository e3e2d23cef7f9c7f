//! ECDSA with P-256 and SHA-256 (FIPS 186-5 §6).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use coset::iana::{self, EnumI64 as _};
use p256::Sec1Point;
use p256::ecdsa::signature::{Signer as _, Verifier as _};
use p256::ecdsa::{Signature, SigningKey, VerifyingKey};
use p256::elliptic_curve::Generate as _;
use pkcs8::{EncodePrivateKey as _, ObjectIdentifier, PrivateKeyInfoRef};
use rand::CryptoRng;
use zeroize::Zeroizing;

use super::{Algorithm, PublicHalf, SecretHalf, cose_key};
use crate::cbor::{MapReader, Value};
use crate::cose::CoseError;

/// What stands before the colon of the text form.
pub(super) const TEXT: &str = "es256";

/// id-ecPublicKey (RFC 5480 §2.1.1); the curve is in its parameters.
pub(super) const OID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");

const CRV: i64 = iana::Ec2KeyParameter::Crv as i64;
const X: i64 = iana::Ec2KeyParameter::X as i64;
const Y: i64 = iana::Ec2KeyParameter::Y as i64;

/// Bytes of a compressed point: the sign of y and x.
const COMPRESSED_BYTES: usize = 33;

/// Wiped when dropped.
pub(super) struct Secret(SigningKey);

impl Secret {
    pub(super) fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        Self(SigningKey::generate_from_rng(rng))
    }

    pub(super) fn from_pkcs8(info: PrivateKeyInfoRef<'_>) -> Result<Self, CoseError> {
        let key = SigningKey::try_from(info);
        key.map(Self).map_err(|_| CoseError::MalformedKey)
    }
}

impl SecretHalf for Secret {
    fn public(&self) -> super::Public {
        super::Public::P256(Public(*self.0.verifying_key()))
    }

    /// Deterministically (RFC 6979 with SHA-256), with the smaller of the two
    /// possible s.
    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature: Signature = self.0.sign(message);
        signature.normalize_s().to_bytes().to_vec()
    }

    fn to_pkcs8_der(&self) -> Zeroizing<Vec<u8>> {
        // Cannot fail: all lengths are fixed and short.
        self.0.to_pkcs8_der().expect("a scalar encodes").to_bytes()
    }
}

#[derive(Clone, PartialEq, Eq)]
pub(super) struct Public(VerifyingKey);

impl Public {
    /// Reads the parameters that follow `kty`. The y of one bit that RFC 9053
    /// §7.1.1 also has is refused: a key has one encoding.
    pub(super) fn from_cose_key(mut map: MapReader) -> Result<Self, CoseError> {
        let malformed = |_| CoseError::MalformedKey;
        let crv = map.unsigned(CRV).map_err(malformed)?;
        let x = map.byte_array::<32>(X).map_err(malformed)?;
        let y = map.byte_array::<32>(Y).map_err(malformed)?;
        map.finish().map_err(malformed)?;
        if crv != iana::EllipticCurve::P_256.to_i64() as u64 {
            return Err(CoseError::MalformedKey);
        }
        Self::from_point(&Sec1Point::from_affine_coordinates(
            &x.into(),
            &y.into(),
            false,
        ))
    }

    pub(super) fn from_base64(encoded: &str) -> Result<Self, CoseError> {
        let bytes = URL_SAFE_NO_PAD
            .decode(encoded)
            .map_err(|_| CoseError::MalformedKey)?;
        // SEC 1 has more forms of a point, also of this length.
        if bytes.len() != COMPRESSED_BYTES || !matches!(bytes[0], 2 | 3) {
            return Err(CoseError::MalformedKey);
        }
        let point = Sec1Point::from_bytes(bytes).map_err(|_| CoseError::MalformedKey)?;
        Self::from_point(&point)
    }

    /// The key, if its coordinates are below p and on the curve. P-256 has no
    /// small subgroups, so that any point but the identity will do.
    fn from_point(point: &Sec1Point) -> Result<Self, CoseError> {
        VerifyingKey::from_sec1_point(point)
            .map(Self)
            .map_err(|_| CoseError::WeakKey)
    }
}

impl PublicHalf for Public {
    fn algorithm(&self) -> Algorithm {
        Algorithm::Es256
    }

    fn to_cose_key(&self) -> Value {
        let crv = iana::EllipticCurve::P_256.to_i64();
        let point = self.0.to_sec1_point(false);
        let [x, y] = [point.x(), point.y()].map(|coordinate| {
            // A verifying key is never the identity, which alone has no coordinates.
            let coordinate = coordinate.expect("an uncompressed point has coordinates");
            Value::Bytes(coordinate.to_vec())
        });
        cose_key(iana::KeyType::EC2, [(CRV, crv.into()), (X, x), (Y, y)])
    }

    fn to_text(&self) -> String {
        let point = self.0.to_sec1_point(true);
        format!("{TEXT}:{}", URL_SAFE_NO_PAD.encode(point.as_bytes()))
    }

    /// Strictly: 64 bytes r ‖ s (RFC 9053 §2.1) with 0 < r, s < n, and s at most
    /// n/2. With (r, s) the equation also holds for (r, n - s), so that anybody
    /// could make a second valid signature, and object, of one.
    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), CoseError> {
        let signature = Signature::from_slice(signature).map_err(|_| CoseError::BadSignature)?;
        if signature.normalize_s() != signature {
            return Err(CoseError::BadSignature);
        }
        self.0
            .verify(message, &signature)
            .map_err(|_| CoseError::BadSignature)
    }
}
