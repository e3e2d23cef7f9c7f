//! Bundles: what a record of the database holds about one CSI.
//!
//! The deterministic CBOR array `[1, credential, [mapping, ..]]`, the objects as
//! byte strings, the mappings in strictly ascending order of (id, assignment,
//! seq, bytes).

mod evaluate;

use std::fmt;

pub use evaluate::{evaluate, evaluate_for};

use crate::cbor::{self, CborError, Value};
use crate::credential::{CredentialError, SignedCredential};
use crate::mapping::{MappingError, SignedMapping};

/// Most bytes of an encoded bundle.
pub const MAX_BUNDLE_BYTES: usize = 16 * 1024;

/// Most mappings of a bundle.
pub const MAX_MAPPINGS: usize = 16;

/// Version of the encoding.
const VERSION: u64 = 1;

/// A credential and the mappings that stand on it; nothing is verified yet.
#[derive(Clone)]
pub struct Bundle {
    credential: SignedCredential,
    mappings: Vec<SignedMapping>,
    encoded: Vec<u8>,
}

impl Bundle {
    /// A bundle of mappings in any order.
    ///
    /// # Errors
    /// [`BundleError::TooManyMappings`], [`BundleError::TooLarge`],
    /// [`BundleError::DuplicateMapping`].
    pub fn new(
        credential: SignedCredential,
        mut mappings: Vec<SignedMapping>,
    ) -> Result<Self, BundleError> {
        if mappings.len() > MAX_MAPPINGS {
            return Err(BundleError::TooManyMappings {
                found: mappings.len(),
            });
        }
        mappings.sort_by(|a, b| place(a).cmp(&place(b)));
        if mappings
            .windows(2)
            .any(|pair| place(&pair[0]) == place(&pair[1]))
        {
            return Err(BundleError::DuplicateMapping);
        }
        let objects = mappings
            .iter()
            .map(|mapping| Value::Bytes(mapping.as_bytes().to_vec()));
        let encoded = cbor::encode(&Value::Array(vec![
            Value::Integer(VERSION.into()),
            Value::Bytes(credential.as_bytes().to_vec()),
            Value::Array(objects.collect()),
        ]))?;
        if encoded.len() > MAX_BUNDLE_BYTES {
            return Err(BundleError::TooLarge {
                found: encoded.len(),
            });
        }
        Ok(Self {
            credential,
            mappings,
            encoded,
        })
    }

    /// The encoded bundle, at most [`MAX_BUNDLE_BYTES`] long.
    pub fn encode(&self) -> &[u8] {
        &self.encoded
    }

    /// Decodes a bundle and every object in it strictly.
    ///
    /// # Errors
    /// [`BundleError`], by what is wrong with its form.
    pub fn decode(bytes: &[u8]) -> Result<Self, BundleError> {
        if bytes.len() > MAX_BUNDLE_BYTES {
            return Err(BundleError::TooLarge { found: bytes.len() });
        }
        let Value::Array(parts) = cbor::decode(bytes)? else {
            return Err(BundleError::Shape);
        };
        let Ok([version, credential, mappings]) = <[Value; 3]>::try_from(parts) else {
            return Err(BundleError::Shape);
        };
        if version != Value::Integer(VERSION.into()) {
            return Err(BundleError::Version);
        }
        let (Value::Bytes(credential), Value::Array(mappings)) = (credential, mappings) else {
            return Err(BundleError::Shape);
        };
        if mappings.len() > MAX_MAPPINGS {
            return Err(BundleError::TooManyMappings {
                found: mappings.len(),
            });
        }
        let mappings = mappings
            .into_iter()
            .enumerate()
            .map(|(at, mapping)| match mapping {
                Value::Bytes(bytes) => {
                    SignedMapping::from_bytes(&bytes).map_err(|source| BundleError::Mapping {
                        number: at + 1,
                        source,
                    })
                }
                _ => Err(BundleError::Shape),
            });
        let mappings = mappings.collect::<Result<Vec<_>, _>>()?;
        let bundle = Self::new(SignedCredential::from_bytes(&credential)?, mappings)?;
        // Sorting is the one freedom that the CBOR rules leave.
        if bundle.encoded == bytes {
            Ok(bundle)
        } else {
            Err(BundleError::MappingOrder)
        }
    }

    /// The credential.
    pub fn credential(&self) -> &SignedCredential {
        &self.credential
    }

    /// The mappings, in the order of the encoding.
    pub fn mappings(&self) -> &[SignedMapping] {
        &self.mappings
    }
}

impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Bundle({} mappings, {} bytes)",
            self.mappings.len(),
            self.encoded.len()
        )
    }
}

/// By what mappings are sorted.
fn place(mapping: &SignedMapping) -> impl Ord + '_ {
    (
        mapping.unverified().id,
        mapping.unverified().version(),
        mapping.as_bytes(),
    )
}

/// Why a bundle was refused.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// Longer than [`MAX_BUNDLE_BYTES`].
    #[error("bundle of {found} bytes, expected at most {max}", max = MAX_BUNDLE_BYTES)]
    TooLarge {
        /// Its length in bytes.
        found: usize,
    },
    /// More than [`MAX_MAPPINGS`].
    #[error("bundle of {found} mappings, expected at most {max}", max = MAX_MAPPINGS)]
    TooManyMappings {
        /// How many.
        found: usize,
    },
    /// Not deterministically encoded CBOR.
    #[error("bundle: {0}")]
    Cbor(#[from] CborError),
    /// Not an array of version, credential and mappings.
    #[error("bundle is not an array of version, credential and mappings")]
    Shape,
    /// Of a version that is not known here.
    #[error("bundle of an unknown version, expected {VERSION}")]
    Version,
    /// The credential.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// A mapping.
    #[error("mapping {number} of the bundle: {source}")]
    Mapping {
        /// Which mapping, counted from 1.
        number: usize,
        /// What is wrong.
        source: MappingError,
    },
    /// The same object twice.
    #[error("a mapping is in the bundle twice")]
    DuplicateMapping,
    /// Encoded mappings out of order.
    #[error("mappings of the bundle are not in order")]
    MappingOrder,
}

#[cfg(test)]
mod tests;
