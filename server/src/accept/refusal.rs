//! Why a submission was refused.

use protocol::bundle::BundleError;
use protocol::credential::CredentialError;
use protocol::inquiry::InquiryError;
use protocol::mapping::MappingError;
use protocol::removal::RemovalError;

/// Why a submission was refused. Shows nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The credential.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// A mapping.
    #[error("mapping {number}: {source}")]
    Mapping {
        /// Which mapping, counted from 1.
        number: usize,
        /// What is wrong.
        source: MappingError,
    },
    /// A removal or release.
    #[error(transparent)]
    Removal(#[from] RemovalError),
    /// An inquiry.
    #[error(transparent)]
    Inquiry(#[from] InquiryError),
    /// A statement with the last possible `seq`, which stands for the release of
    /// its assignment.
    #[error("seq {max} stands for the release of an assignment: choose a lower one", max = u64::MAX)]
    LastSeq,
    /// The CSIP has said that the assignment of the credential has ended.
    #[error("the CSIP has released this assignment of the identifier: ask it for a new credential")]
    Released,
    /// The store has a newer credential, for another key or assignment.
    #[error("a newer credential has replaced this one")]
    OlderCredential,
    /// Another credential of the same assignment and time is there.
    #[error("equivocation: another credential of the same assignment and time is known")]
    CredentialEquivocation,
    /// The store has a newer version of a mapping.
    #[error("a newer mapping has replaced one of these")]
    OlderMapping,
    /// A stored mapping de-lists one of these.
    #[error("a newer mapping has de-listed one of these")]
    Delisted,
    /// A removal, or a mapping that has expired, is newer than one of these.
    #[error("what one of these says was removed, or has expired: publish it with a higher seq")]
    Removed,
    /// Another mapping of the same id and version is there.
    #[error("equivocation: another mapping of the same id, assignment and seq is known")]
    MappingEquivocation,
    /// Together with what is stored it isn't a valid bundle.
    #[error(transparent)]
    Bundle(#[from] BundleError),
}

impl Refusal {
    /// Whether the signer contradicts itself, which an honest one never does.
    pub const fn is_equivocation(&self) -> bool {
        matches!(
            self,
            Self::CredentialEquivocation | Self::MappingEquivocation
        )
    }
}
