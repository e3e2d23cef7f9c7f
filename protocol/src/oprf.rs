//! Verifiable oblivious pseudorandom function: RFC 9497, mode VOPRF, suite
//! ristretto255-SHA512.
//!
//! A client blinds inputs ([`BlindedBatch`]), the DP evaluates the blinded
//! elements under its key ([`OprfKey`]) with one proof for the batch, and the
//! client finalises to [`OprfOutput`]s after checking the proof against the
//! public key in the manifest. What is evaluated is an [`OprfInput`].
//!
//! The arithmetic is `voprf-ng`'s rather than `voprf`'s, whose fork it is: it
//! stands on the same curve25519-dalek 5 and digest 0.11 as our signatures, so
//! one generation of curve code is linked, and it is tested with the RFC's
//! vectors, as is this module. What a server does for every element of a batch is
//! done here, with curve25519-dalek, at half of the cost.

mod batch;
mod element;
mod input;
mod key;
mod output;
mod proof;
mod share;

use voprf_ng::Ristretto255;

pub use batch::BlindedBatch;
pub use element::{BlindedElement, EvaluatedElement, Evaluation, Proof};
pub use input::OprfInput;
pub use key::{OprfKey, OprfPublicKey};
pub use output::OprfOutput;
pub use share::OprfShare;

/// Most inputs in one batch.
pub const BATCH_MAX: usize = 1024;

/// Bytes of an encoded group element.
pub const ELEMENT_BYTES: usize = 32;

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
    /// Two shares that are not the two of one key.
    #[error("not the two shares of one OPRF key")]
    Shares,
    /// The elements were not evaluated under the key of the manifest.
    #[error("the OPRF proof does not verify under the published key")]
    ProofVerification,
    /// The protocol's failure case: the input hashes to the identity, with
    /// probability 2^-252.
    #[error("the OPRF has no output for this input")]
    NoOutput,
}

fn check_batch_size(found: usize) -> Result<(), OprfError> {
    if found == 0 || found > BATCH_MAX {
        return Err(OprfError::BatchSize { found });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
