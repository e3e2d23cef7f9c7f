//! Why a log was refused, and what that means.

use protocol::log::{LogError, ProofError};
use protocol::manifest::ManifestError;

/// Why a log was refused. What [is evidence](Self::is_evidence) can be shown to
/// others: keep what was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LogRefusal {
    /// A part is malformed, or not signed by the provider.
    #[error("log: {0}")]
    Form(#[from] LogError),
    /// A hash that a proof needs is missing.
    #[error("log: {0}")]
    Proof(#[from] ProofError),
    /// The log ends before the manifest, or comes from a server that is behind the
    /// one which gave out the manifest.
    #[error(
        "manifest {sequence} is not in the provider's log, which ends after {size}: it may be meant for you alone"
    )]
    NotInLog {
        /// The manifest's sequence.
        sequence: u64,
        /// Entries of the log.
        size: u64,
    },
    /// The log has another manifest in its place.
    #[error(
        "the provider's log has another manifest {sequence} than the one it gave you: it keeps two histories"
    )]
    NotIncluded {
        /// The manifest's sequence.
        sequence: u64,
    },
    /// The log is shorter than it was, or comes from a server that is behind the
    /// others.
    #[error("the provider's log ends after {found} manifests and had {known} before: it went back")]
    Rollback {
        /// Entries that it had.
        known: u64,
        /// Entries that it has.
        found: u64,
    },
    /// As long as before, and another.
    #[error("the provider shows another log of {size} manifests than before: it keeps two logs")]
    Fork {
        /// Entries.
        size: u64,
    },
    /// It doesn't begin with the one before.
    #[error(
        "the provider's log of {found} manifests does not go on from the one of {known} that was seen before: what was published was changed"
    )]
    Inconsistent {
        /// Entries that it had.
        known: u64,
        /// Entries that it has.
        found: u64,
    },
    /// The entries lead to another root than the one that is signed.
    #[error("the {size} entries of the provider's log are not those that it has signed")]
    Root {
        /// Entries.
        size: u64,
    },
    /// Two manifests that follow one another in the log don't.
    #[error("manifest {sequence} in the provider's log does not follow the one before: {reason}")]
    Chain {
        /// Its place.
        sequence: u64,
        /// Why.
        reason: ManifestError,
    },
    /// A manifest in the log is not one with that sequence.
    #[error("the provider's log has no manifest {sequence} in its place")]
    Entry {
        /// Its place.
        sequence: u64,
    },
    /// A gap is too long to read, and no end of the log from before it is known.
    #[error(
        "{missing} manifests were published since the one that was accepted before, too many to check without a remembered end of the log: forget that one and begin anew"
    )]
    GapUnproven {
        /// How many.
        missing: u64,
    },
    /// Too few witnesses have cosigned.
    #[error(
        "{found} of the witnesses have cosigned the provider's log, {quorum} must: others may be shown another log"
    )]
    Witnesses {
        /// How many have.
        found: usize,
        /// How many must.
        quorum: usize,
    },
}

impl LogRefusal {
    /// Whether it speaks against the provider. What is malformed, unproven or not
    /// signed by enough doesn't by itself, nor does a log that ends before the
    /// manifest. [`Rollback`](Self::Rollback) does if it lasts: one of several servers
    /// may be behind the others for a while.
    #[must_use]
    pub fn is_evidence(&self) -> bool {
        match self {
            Self::Form(_)
            | Self::Proof(_)
            | Self::NotInLog { .. }
            | Self::GapUnproven { .. }
            | Self::Witnesses { .. } => false,
            Self::NotIncluded { .. }
            | Self::Rollback { .. }
            | Self::Fork { .. }
            | Self::Inconsistent { .. }
            | Self::Root { .. }
            | Self::Chain { .. }
            | Self::Entry { .. } => true,
        }
    }
}
