//! The structures of type 0x0002: public keys and requests (RFC 9578 §6).

use std::fmt;

use super::structure::Reader;
use super::{TokenError, TokenKeyId, TokenType};

/// Bytes of a modulus, a blinded message and a signature.
pub const RSA_BYTES: usize = 256;

/// What is before the modulus in the encoding of RFC 9578 §8.2.2: a
/// SubjectPublicKeyInfo of RSASSA-PSS with SHA-384, MGF1 with SHA-384 and a
/// salt of 48 bytes.
const SPKI_HEAD: [u8; 81] = [
    0x30, 0x82, 0x01, 0x52, 0x30, 0x3d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01,
    0x0a, 0x30, 0x30, 0xa0, 0x0d, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04,
    0x02, 0x02, 0xa1, 0x1a, 0x30, 0x18, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01,
    0x08, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0xa2, 0x03,
    0x02, 0x01, 0x30, 0x03, 0x82, 0x01, 0x0f, 0x00, 0x30, 0x82, 0x01, 0x0a, 0x02, 0x82, 0x01, 0x01,
    0x00,
];

/// What is after it: the exponent 65537.
const SPKI_TAIL: [u8; 5] = [0x02, 0x03, 0x01, 0x00, 0x01];

/// An issuer's public key for type 0x0002: 2048 bits, exponent 65537.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RsaTokenKey {
    modulus: [u8; RSA_BYTES],
}

/// A request for one token of type 0x0002; its answer is the blind signature,
/// [`RSA_BYTES`] long.
#[derive(Clone, PartialEq, Eq)]
pub struct RsaTokenRequest {
    /// Last byte of the id of the key that is asked for.
    pub truncated_key_id: u8,
    /// The blinded message.
    pub blinded: [u8; RSA_BYTES],
}

impl RsaTokenKey {
    /// Bytes of the encoding.
    pub const SPKI_BYTES: usize = SPKI_HEAD.len() + RSA_BYTES + SPKI_TAIL.len();

    /// The exponent, big-endian.
    pub const EXPONENT: [u8; 3] = [1, 0, 1];

    /// The key with this modulus, big-endian.
    ///
    /// # Errors
    /// [`TokenError::InvalidRsaKey`] if it is even or shorter than 2048 bits.
    pub fn from_modulus(modulus: &[u8; RSA_BYTES]) -> Result<Self, TokenError> {
        if modulus[0] & 0x80 == 0 || modulus[RSA_BYTES - 1] & 1 == 0 {
            return Err(TokenError::InvalidRsaKey);
        }
        Ok(Self { modulus: *modulus })
    }

    /// The key with this encoding.
    ///
    /// # Errors
    /// [`TokenError::InvalidRsaKey`].
    pub fn from_spki(bytes: &[u8]) -> Result<Self, TokenError> {
        let modulus = bytes
            .strip_prefix(&SPKI_HEAD)
            .and_then(|rest| rest.strip_suffix(&SPKI_TAIL))
            .and_then(|modulus| modulus.try_into().ok())
            .ok_or(TokenError::InvalidRsaKey)?;
        Self::from_modulus(modulus)
    }

    /// The encoding, in directories and challenges.
    pub fn to_spki(&self) -> Vec<u8> {
        [&SPKI_HEAD[..], &self.modulus, &SPKI_TAIL].concat()
    }

    /// The modulus, big-endian.
    pub const fn modulus(&self) -> &[u8; RSA_BYTES] {
        &self.modulus
    }

    /// Its id, which tokens hold.
    pub fn id(&self) -> TokenKeyId {
        TokenKeyId::of(&self.to_spki())
    }
}

impl RsaTokenRequest {
    /// Bytes of every request.
    pub const BYTES: usize = 3 + RSA_BYTES;

    /// The structure.
    pub fn encode(&self) -> Vec<u8> {
        let [high, low] = TokenType::BlindRsa.number().to_be_bytes();
        [&[high, low, self.truncated_key_id][..], &self.blinded].concat()
    }

    /// Decodes exactly what [`encode`](Self::encode) produces.
    ///
    /// # Errors
    /// [`TokenError::Structure`], [`TokenError::Type`].
    pub fn decode(bytes: &[u8]) -> Result<Self, TokenError> {
        let mut reader = Reader::new(bytes);
        match reader.token_type()? {
            TokenType::BlindRsa => {}
            other => {
                return Err(TokenError::Type {
                    found: other.number(),
                });
            }
        }
        let truncated_key_id = reader.u8()?;
        let blinded = *reader.array()?;
        reader.end()?;
        Ok(Self {
            truncated_key_id,
            blinded,
        })
    }
}

impl fmt::Debug for RsaTokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RsaTokenKey({})", hex::encode(self.id().as_bytes()))
    }
}

impl fmt::Debug for RsaTokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RsaTokenRequest(redacted)")
    }
}
