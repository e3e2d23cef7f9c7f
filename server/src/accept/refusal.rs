//! Why a submission was refused.

use protocol::audience::AudienceError;
use protocol::bundle::BundleError;
use protocol::credential::CredentialError;
use protocol::inquiry::InquiryError;
use protocol::mapping::MappingError;
use protocol::removal::RemovalError;
use protocol::time::UnixTime;

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
    /// An audience record.
    #[error(transparent)]
    Audience(#[from] AudienceError),
    /// Another key published the audience record that is held.
    #[error("this audience record belongs to another write key")]
    AudienceWriter,
    /// The store has a newer record of the handle.
    #[error("a newer audience record has replaced this one")]
    OlderAudienceRecord,
    /// Another record of the handle and seq is there.
    #[error("equivocation: another audience record of the same handle and seq is known")]
    AudienceEquivocation,
    /// It would be forgotten before one that it replaces has expired.
    #[error("expected to expire not before {least}, when the record that it replaces does")]
    AudienceExpiry {
        /// When that one expires.
        least: UnixTime,
    },
    /// The account has its share.
    #[error(
        "{limit} audience records are kept for this account: remove some, or wait until some expire"
    )]
    AudienceQuota {
        /// How many.
        limit: u64,
    },
    /// The provider keeps no more.
    #[error("{limit} audience records are kept by this provider, and no more")]
    AudienceFull {
        /// How many.
        limit: u64,
    },
    /// An inquiry.
    #[error(transparent)]
    Inquiry(#[from] InquiryError),
    /// A `seq` too far ahead of the time in milliseconds.
    #[error("seq is above {most}: count in milliseconds since 1970, or choose a lower one")]
    SeqAhead {
        /// The highest that is taken now.
        most: u64,
    },
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
            Self::CredentialEquivocation | Self::MappingEquivocation | Self::AudienceEquivocation
        )
    }
}
