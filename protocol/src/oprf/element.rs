//! What client and server exchange: validated group elements and the proof.

use std::fmt;

use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};

use super::{ELEMENT_BYTES, OprfError, Suite};

/// A blinded identifier: uniformly distributed whatever the identifier.
#[derive(Clone)]
pub struct BlindedElement {
    bytes: [u8; ELEMENT_BYTES],
    pub(super) inner: voprf_ng::BlindedElement<Suite>,
}

/// A blinded element multiplied by the server's key.
#[derive(Clone)]
pub struct EvaluatedElement {
    bytes: [u8; ELEMENT_BYTES],
    pub(super) inner: voprf_ng::EvaluationElement<Suite>,
}

/// Batched proof that all elements were evaluated under one key (RFC 9497
/// §2.2).
#[derive(Clone)]
pub struct Proof {
    bytes: [u8; Self::BYTES],
    pub(super) inner: voprf_ng::Proof<Suite>,
}

/// The server's answer to a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation {
    /// In the order of the blinded elements.
    pub elements: Vec<EvaluatedElement>,
    /// For all of them together.
    pub proof: Proof,
}

impl BlindedElement {
    /// The element with this canonical encoding.
    ///
    /// # Errors
    /// [`OprfError::InvalidElement`].
    pub fn from_bytes(bytes: &[u8; ELEMENT_BYTES]) -> Result<Self, OprfError> {
        voprf_ng::BlindedElement::deserialize(bytes)
            .map(Self::from)
            .map_err(|_| OprfError::InvalidElement)
    }

    /// Its canonical encoding.
    pub const fn as_bytes(&self) -> &[u8; ELEMENT_BYTES] {
        &self.bytes
    }
}

impl EvaluatedElement {
    /// A point and its encoding, which must belong together.
    pub(super) fn new(encoding: CompressedRistretto, point: RistrettoPoint) -> Self {
        Self {
            bytes: encoding.to_bytes(),
            inner: voprf_ng::EvaluationElement::from_value_unchecked(point),
        }
    }

    /// The element with this canonical encoding.
    ///
    /// # Errors
    /// [`OprfError::InvalidElement`].
    pub fn from_bytes(bytes: &[u8; ELEMENT_BYTES]) -> Result<Self, OprfError> {
        voprf_ng::EvaluationElement::deserialize(bytes)
            .map(Self::from)
            .map_err(|_| OprfError::InvalidElement)
    }

    /// Its canonical encoding.
    pub const fn as_bytes(&self) -> &[u8; ELEMENT_BYTES] {
        &self.bytes
    }
}

impl Proof {
    /// Bytes of an encoded proof: two scalars.
    pub const BYTES: usize = 64;

    /// The proof with this canonical encoding.
    ///
    /// # Errors
    /// [`OprfError::InvalidProof`].
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Result<Self, OprfError> {
        voprf_ng::Proof::deserialize(bytes)
            .map(Self::from)
            .map_err(|_| OprfError::InvalidProof)
    }

    /// Its canonical encoding.
    pub const fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.bytes
    }
}

impl From<voprf_ng::BlindedElement<Suite>> for BlindedElement {
    fn from(inner: voprf_ng::BlindedElement<Suite>) -> Self {
        let bytes = inner.serialize().into();
        Self { bytes, inner }
    }
}

impl From<voprf_ng::EvaluationElement<Suite>> for EvaluatedElement {
    fn from(inner: voprf_ng::EvaluationElement<Suite>) -> Self {
        let bytes = inner.serialize().into();
        Self { bytes, inner }
    }
}

impl From<voprf_ng::Proof<Suite>> for Proof {
    fn from(inner: voprf_ng::Proof<Suite>) -> Self {
        let bytes = inner.serialize().into();
        Self { bytes, inner }
    }
}

/// Elements and proofs are public values with one encoding each: equality is
/// that of the encodings, and `Debug` doesn't show them only because a log of
/// requests has no use for them.
macro_rules! by_encoding {
    ($($name:ident),*) => {$(
        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.bytes == other.bytes
            }
        }

        impl Eq for $name {}

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(redacted)"))
            }
        }
    )*};
}

by_encoding!(BlindedElement, EvaluatedElement, Proof);
