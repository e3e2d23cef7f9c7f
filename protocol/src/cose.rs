//! Signed objects: COSE_Sign1 (RFC 9052 §4.2) in the one form accepted here.
//!
//! The form: untagged; protected header with exactly `alg`, a text content
//! type and `kid`; empty unprotected header; attached payload; external AAD
//! [`EXTERNAL_AAD`]; everything deterministically encoded. Anything else is
//! refused, so an object has one meaning and one encoding. The content type
//! keeps an object of one kind from being replayed as another. Keys are Ed25519
//! or P-256; each fixes the one [`Algorithm`] that it is used with.

mod key;
mod sign1;

pub use key::{Algorithm, KeyId, SigningKey, VerifyingKey};
pub(crate) use sign1::sign1_bound;
pub use sign1::{Sign1, sign1};

use crate::cbor::CborError;

/// Signed along with every object, so that no signature made for another
/// protocol verifies here (RFC 9052 §4.3).
pub const EXTERNAL_AAD: &[u8] = b"sotto v1";

/// Most bytes of one signed object of any kind.
pub const MAX_SIGNED_BYTES: usize = 16 * 1024;

/// What a signed object is: the content type in its protected header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContentType {
    /// A CSIP's statement that a key holds a CSI.
    Credential,
    /// A key's request for a credential.
    CredentialRequest,
    /// A recipient's statement of where a CSI can be reached.
    Mapping,
    /// A recipient's withdrawal of mappings.
    Removal,
    /// A CSIP's statement that an assignment has ended.
    Release,
    /// A recipient's question what a DP holds.
    Inquiry,
    /// A DP's description of a snapshot.
    Manifest,
    /// A recipient's bundle for an audience, or its withdrawal.
    AudienceRecord,
}

impl ContentType {
    /// The media type in the protected header.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Credential => "application/sotto-credential+cbor",
            Self::CredentialRequest => "application/sotto-credential-request+cbor",
            Self::Mapping => "application/sotto-mapping+cbor",
            Self::Removal => "application/sotto-removal+cbor",
            Self::Release => "application/sotto-release+cbor",
            Self::Inquiry => "application/sotto-inquiry+cbor",
            Self::Manifest => "application/sotto-manifest+cbor",
            Self::AudienceRecord => "application/sotto-audience-record+cbor",
        }
    }
}

/// Why a signed object or a key was refused.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CoseError {
    /// Not deterministically encoded CBOR.
    #[error(transparent)]
    Cbor(#[from] CborError),
    /// Not a COSE_Sign1 array of four items.
    #[error("expected an untagged COSE_Sign1")]
    NotSign1,
    /// Longer than [`MAX_SIGNED_BYTES`].
    #[error("signed object of {found} bytes, expected at most {max}", max = MAX_SIGNED_BYTES)]
    TooLarge {
        /// Its length in bytes.
        found: usize,
    },
    /// The unprotected header holds something.
    #[error("unprotected header is not empty")]
    UnprotectedHeader,
    /// The protected header names critical parameters; none are known.
    #[error("unknown critical header")]
    CriticalHeader,
    /// The protected header holds more than `alg`, content type and `kid`.
    #[error("protected header holds an unexpected parameter")]
    UnexpectedHeader,
    /// The protected header has no `alg`, content type or `kid`.
    #[error("protected header lacks {parameter}")]
    MissingHeader {
        /// Which parameter.
        parameter: &'static str,
    },
    /// The object is of another kind.
    #[error("object is not of the type {expected}", expected = expected.media_type())]
    WrongContentType {
        /// The kind that was asked for.
        expected: ContentType,
    },
    /// `alg` is none that is known here.
    #[error("unknown signature algorithm")]
    UnknownAlgorithm,
    /// `alg` is not the one of the verifying key.
    #[error("signature algorithm does not fit the key")]
    WrongAlgorithm,
    /// `kid` is not that of the verifying key, or not a 32-byte thumbprint.
    #[error("object is signed by another key")]
    WrongKey,
    /// The signature does not verify.
    #[error("signature does not verify")]
    BadSignature,
    /// Not a key in the one accepted form.
    #[error("malformed key")]
    MalformedKey,
    /// Not a point of the curve, or one of small order.
    #[error("key is not a usable curve point")]
    WeakKey,
}

#[cfg(test)]
mod tests;
