//! Signing, decoding and verifying one object.

use std::fmt;

use coset::{
    AsCborValue as _, CborSerializable as _, CoseSign1, CoseSign1Builder, HeaderBuilder,
    RegisteredLabel, RegisteredLabelWithPrivate,
};

use super::{
    Algorithm, ContentType, CoseError, EXTERNAL_AAD, KeyId, MAX_SIGNED_BYTES, SigningKey,
    VerifyingKey,
};
use crate::cbor::{self, Value};

/// Signs `payload` as an object of kind `content_type`: the encoded
/// COSE_Sign1.
pub fn sign1(key: &SigningKey, content_type: ContentType, payload: &[u8]) -> Vec<u8> {
    sign1_bound(key, content_type, payload, EXTERNAL_AAD)
}

/// As [`sign1`], with another external AAD under the signature.
pub(crate) fn sign1_bound(
    key: &SigningKey,
    content_type: ContentType,
    payload: &[u8],
    external_aad: &[u8],
) -> Vec<u8> {
    let verifying_key = key.verifying_key();
    let protected = HeaderBuilder::new()
        .algorithm(verifying_key.algorithm().registered())
        .content_type(content_type.media_type().to_owned())
        .key_id(verifying_key.key_id().as_bytes().to_vec())
        .build();
    let signed = CoseSign1Builder::new()
        .protected(protected)
        .payload(payload.to_vec())
        .create_signature(external_aad, |message| key.sign(message))
        .build();
    // Cannot fail: the header labels are distinct and every part is a plain
    // integer, text or byte string.
    signed
        .to_vec()
        .expect("a header of distinct labels encodes")
}

/// A signed object that is well-formed; its signature is not yet checked.
///
/// `Debug` shows its kind and length only.
#[derive(Clone)]
pub struct Sign1 {
    bytes: Vec<u8>,
    content_type: ContentType,
    key_id: KeyId,
    algorithm: Algorithm,
    cose: CoseSign1,
    payload: Vec<u8>,
}

impl Sign1 {
    /// Decodes an object of kind `expected` in the form that [`sign1`] makes.
    ///
    /// # Errors
    /// [`CoseError`], by what is wrong with its form. The signature is not
    /// looked at.
    pub fn decode(bytes: &[u8], expected: ContentType) -> Result<Self, CoseError> {
        if bytes.len() > MAX_SIGNED_BYTES {
            return Err(CoseError::TooLarge { found: bytes.len() });
        }
        let value = cbor::decode(bytes)?;
        check_protected(&value)?;
        let mut cose = CoseSign1::from_cbor_value(value).map_err(|_| CoseError::NotSign1)?;
        if !cose.unprotected.is_empty() {
            return Err(CoseError::UnprotectedHeader);
        }
        let (algorithm, key_id) = protected_header(&cose, expected)?;
        // A detached payload would be null, which no object here may hold.
        let payload = cose.payload.take().ok_or(CoseError::NotSign1)?;
        Ok(Self {
            bytes: bytes.to_vec(),
            content_type: expected,
            key_id,
            algorithm,
            cose,
            payload,
        })
    }

    /// The payload, if `key` signed the object.
    ///
    /// # Errors
    /// [`CoseError::WrongKey`] or [`CoseError::WrongAlgorithm`] if the header
    /// says otherwise, [`CoseError::BadSignature`] if it doesn't verify
    /// (strictly: for EdDSA RFC 8032 §5.1.7 without small-order components, for
    /// ES256 as 64 bytes with the smaller s).
    pub fn verify(&self, key: &VerifyingKey) -> Result<&[u8], CoseError> {
        self.verify_bound(key, EXTERNAL_AAD)
    }

    /// As [`verify`](Self::verify), for a signature that covers another external
    /// AAD.
    pub(crate) fn verify_bound(
        &self,
        key: &VerifyingKey,
        external_aad: &[u8],
    ) -> Result<&[u8], CoseError> {
        if self.key_id != key.key_id() {
            return Err(CoseError::WrongKey);
        }
        if self.algorithm != key.algorithm() {
            return Err(CoseError::WrongAlgorithm);
        }
        let message = self.cose.tbs_detached_data(&self.payload, external_aad);
        key.verify(&message, &self.cose.signature)?;
        Ok(&self.payload)
    }

    /// The payload, whoever signed it.
    pub fn unverified_payload(&self) -> &[u8] {
        &self.payload
    }

    /// The key that the object says it is signed by.
    pub const fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// The whole encoded object.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for Sign1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Sign1({:?}, {} bytes)",
            self.content_type,
            self.bytes.len()
        )
    }
}

/// Checks the encoding of the protected header, a byte string of CBOR or empty,
/// before anything reads it.
fn check_protected(value: &Value) -> Result<(), CoseError> {
    match value.as_array().and_then(|parts| parts.first()) {
        Some(Value::Bytes(encoded)) if !encoded.is_empty() => {
            Ok(cbor::check_deterministic(encoded)?)
        }
        _ => Ok(()),
    }
}

/// The algorithm and key named by a protected header that holds `alg`, the
/// content type and `kid` and nothing else.
fn protected_header(
    cose: &CoseSign1,
    expected: ContentType,
) -> Result<(Algorithm, KeyId), CoseError> {
    let header = &cose.protected.header;
    if !header.crit.is_empty() {
        return Err(CoseError::CriticalHeader);
    }
    let known_only = header.iv.is_empty()
        && header.partial_iv.is_empty()
        && header.counter_signatures.is_empty()
        && header.rest.is_empty();
    if !known_only {
        return Err(CoseError::UnexpectedHeader);
    }
    let algorithm = match &header.alg {
        Some(RegisteredLabelWithPrivate::Assigned(found)) => {
            Algorithm::from_registered(*found).ok_or(CoseError::UnknownAlgorithm)?
        }
        Some(_) => return Err(CoseError::UnknownAlgorithm),
        None => return Err(CoseError::MissingHeader { parameter: "alg" }),
    };
    match &header.content_type {
        Some(RegisteredLabel::Text(text)) if text == expected.media_type() => {}
        Some(_) => return Err(CoseError::WrongContentType { expected }),
        None => {
            return Err(CoseError::MissingHeader {
                parameter: "the content type",
            });
        }
    }
    if header.key_id.is_empty() {
        return Err(CoseError::MissingHeader { parameter: "kid" });
    }
    let key_id: [u8; 32] = header
        .key_id
        .as_slice()
        .try_into()
        .map_err(|_| CoseError::WrongKey)?;
    Ok((algorithm, KeyId::from_bytes(key_id)))
}
