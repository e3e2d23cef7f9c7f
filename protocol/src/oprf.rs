//! Verifiable oblivious pseudorandom function: RFC 9497, mode VOPRF, suite
//! ristretto255-SHA512.
//!
//! A client blinds identifiers ([`BlindedBatch`]), the DP evaluates the blinded
//! elements under its key ([`OprfKey`]) with one proof for the batch, and the
//! client finalises to [`OprfOutput`]s after checking the proof against the
//! public key in the manifest. The input for an identifier is
//! `"sotto/v1/csi" ‖ length of canonical form as u16 BE ‖ canonical form`.
//!
//! The arithmetic is `voprf-ng`'s rather than `voprf`'s, whose fork it is: it
//! stands on the same curve25519-dalek 5 and digest 0.11 as our signatures, so
//! one generation of curve code is linked, and it is tested with the RFC's
//! vectors, as is this module.

mod batch;
mod element;
mod key;
mod output;

use voprf_ng::Ristretto255;
use zeroize::Zeroizing;

pub use batch::BlindedBatch;
pub use element::{BlindedElement, EvaluatedElement, Evaluation, Proof};
pub use key::{OprfKey, OprfPublicKey};
pub use output::OprfOutput;

use crate::csi::Csi;

/// Most identifiers in one batch.
pub const BATCH_MAX: usize = 1024;

/// Bytes of an encoded group element.
pub const ELEMENT_BYTES: usize = 32;

const INPUT_LABEL: &[u8] = b"sotto/v1/csi";

type Suite = Ristretto255;

/// Why an OPRF step was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OprfError {
    /// A batch has 1 to [`BATCH_MAX`] elements.
    #[error("a batch has 1 to {BATCH_MAX} elements, not {found}")]
    BatchSize {
        /// Elements given.
        found: usize,
    },
    /// The server answered another number of elements than was asked.
    #[error("{expected} elements were sent, {found} came back")]
    ElementCount {
        /// Elements sent.
        expected: usize,
        /// Elements received.
        found: usize,
    },
    /// Not the canonical encoding of a group element other than the identity.
    #[error("not a canonical ristretto255 element, or the identity")]
    InvalidElement,
    /// Not the canonical encoding of two scalars other than zero.
    #[error("not a canonical DLEQ proof")]
    InvalidProof,
    /// Not the canonical encoding of a scalar other than zero.
    #[error("not a canonical OPRF secret key")]
    InvalidKey,
    /// The elements were not evaluated under the key of the manifest.
    #[error("the OPRF proof does not verify under the published key")]
    ProofVerification,
    /// The protocol's failure case: the input hashes to the identity, with
    /// probability 2^-252.
    #[error("the OPRF has no output for this input")]
    NoOutput,
}

/// The OPRF input for an identifier.
fn input(csi: &Csi) -> Zeroizing<Vec<u8>> {
    let canonical = csi.canonical().as_bytes();
    let mut bytes = Vec::with_capacity(INPUT_LABEL.len() + 2 + canonical.len());
    bytes.extend_from_slice(INPUT_LABEL);
    // Canonical forms are at most `csi::MAX_CANONICAL_BYTES`, below 2^16.
    bytes.extend_from_slice(&(canonical.len() as u16).to_be_bytes());
    bytes.extend_from_slice(canonical);
    Zeroizing::new(bytes)
}

fn check_batch_size(found: usize) -> Result<(), OprfError> {
    if found == 0 || found > BATCH_MAX {
        return Err(OprfError::BatchSize { found });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
