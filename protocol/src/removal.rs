//! The two ways in which mappings end before they expire.
//!
//! A [`Removal`] is signed by the recipient, a [`Release`] by the CSIP that
//! speaks for the CSI. Nobody else can take a mapping away, the DP included.

mod recipient;
mod release;

pub use recipient::{Removal, RemovalTarget, SignedRemoval};
pub use release::{Release, ReleaseReason, SignedRelease};

use crate::cbor::CborError;
use crate::cose::CoseError;
use crate::credential::IssuerError;
use crate::csi::CsiError;
use crate::time::UnixTime;
use crate::trust::TrustError;

/// Most bytes of an encoded removal or release.
pub const MAX_REMOVAL_BYTES: usize = 1024;

/// Why a removal or a release was refused.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemovalError {
    /// Longer than [`MAX_REMOVAL_BYTES`].
    #[error("removal of {found} bytes, expected at most {max}", max = MAX_REMOVAL_BYTES)]
    TooLarge {
        /// Its length in bytes.
        found: usize,
    },
    /// Not a COSE_Sign1 of the accepted form, or its signature doesn't verify.
    #[error("removal: {0}")]
    Cose(#[from] CoseError),
    /// Its fields are not in the accepted form.
    #[error("removal fields: {0}")]
    Fields(#[from] CborError),
    /// The subject is not a canonical identifier.
    #[error("removal subject: {0}")]
    Subject(#[from] CsiError),
    /// The issuer is not in the accepted form.
    #[error("release issuer: {0}")]
    Issuer(#[from] IssuerError),
    /// A reason that is not known here.
    #[error("unknown release reason {found}")]
    UnknownReason {
        /// Its number.
        found: u64,
    },
    /// Issued past [`UnixTime::MAX`].
    #[error("removal issued at {issued_at}, expected at most {max}", max = UnixTime::MAX)]
    IssuedAt {
        /// When.
        issued_at: UnixTime,
    },
    /// Issued in the future.
    #[error("removal is not valid before {issued_at}")]
    NotYetValid {
        /// When.
        issued_at: UnixTime,
    },
    /// It is for another identifier than the credential.
    #[error("removal and credential are for different identifiers")]
    SubjectMismatch,
    /// It is of another assignment than the credential.
    #[error("removal of assignment {found}, credential of {expected}")]
    AssignmentMismatch {
        /// The credential's.
        expected: u64,
        /// The removal's.
        found: u64,
    },
    /// Nobody trusted signed the release for this subject.
    #[error(transparent)]
    Untrusted(#[from] TrustError),
}

/// Refuses what was issued after `now`.
fn check_issued(issued_at: UnixTime, now: UnixTime) -> Result<(), RemovalError> {
    if issued_at > now {
        Err(RemovalError::NotYetValid { issued_at })
    } else {
        Ok(())
    }
}

/// Refuses times without an RFC 3339 form.
fn check_range(issued_at: UnixTime) -> Result<(), RemovalError> {
    if issued_at > UnixTime::MAX {
        Err(RemovalError::IssuedAt { issued_at })
    } else {
        Ok(())
    }
}

/// Refuses objects that are too long to be looked at.
fn check_size(bytes: &[u8]) -> Result<(), RemovalError> {
    match bytes.len() {
        found if found > MAX_REMOVAL_BYTES => Err(RemovalError::TooLarge { found }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
