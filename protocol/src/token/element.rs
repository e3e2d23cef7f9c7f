//! What client and issuer exchange: validated points of P-384 and the proof.

use std::fmt;

use super::{Suite, TokenError};

/// A blinded token: uniformly distributed whatever the token.
#[derive(Clone)]
pub struct BlindedElement {
    bytes: [u8; Self::BYTES],
    pub(super) inner: voprf_ng::BlindedElement<Suite>,
}

/// A blinded token multiplied by the issuer's key.
#[derive(Clone)]
pub struct EvaluatedElement {
    bytes: [u8; Self::BYTES],
    pub(super) inner: voprf_ng::EvaluationElement<Suite>,
}

/// Proof that all elements were evaluated under one key (RFC 9497 §2.2).
#[derive(Clone)]
pub struct Proof {
    bytes: [u8; Self::BYTES],
    pub(super) inner: voprf_ng::Proof<Suite>,
}

/// A value with one encoding: equality is that of the encodings, and `Debug`
/// doesn't show them only because a log has no use for them.
macro_rules! by_encoding {
    ($name:ident, $bytes:literal, $of:path, $refused:ident) => {
        impl $name {
            /// Bytes of its encoding.
            pub const BYTES: usize = $bytes;

            /// The value with this encoding.
            ///
            /// # Errors
            #[doc = concat!("[`TokenError::", stringify!($refused), "`].")]
            pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Result<Self, TokenError> {
                let inner = <$of>::deserialize(bytes).map_err(|_| TokenError::$refused)?;
                let value = Self::from(inner);
                if value.bytes != *bytes {
                    return Err(TokenError::$refused);
                }
                Ok(value)
            }

            /// Its encoding.
            pub const fn as_bytes(&self) -> &[u8; Self::BYTES] {
                &self.bytes
            }
        }

        impl From<$of> for $name {
            fn from(inner: $of) -> Self {
                let bytes = inner.serialize().into();
                Self { bytes, inner }
            }
        }

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
    };
}

by_encoding!(
    BlindedElement,
    49,
    voprf_ng::BlindedElement<Suite>,
    InvalidElement
);
by_encoding!(
    EvaluatedElement,
    49,
    voprf_ng::EvaluationElement<Suite>,
    InvalidElement
);
by_encoding!(Proof, 96, voprf_ng::Proof<Suite>, InvalidProof);
