//! Why an answer can't be believed: one reason for each way to fail.

use serde::Serialize;

use crate::bundle::BundleError;
use crate::cose::CoseError;
use crate::credential::CredentialError;
use crate::mapping::MappingError;
use crate::trust::TrustError;

/// Why an answer can't be believed.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Unverifiable {
    /// The bucket is not the one that the snapshot's Merkle root commits to.
    #[error("the bucket is not under the snapshot's Merkle root")]
    BucketNotUnderRoot,
    /// The bucket is not in the form of buckets.
    #[error("the bucket is malformed")]
    MalformedBucket,
    /// The record does not open under the key of the identifier.
    #[error("the record does not open")]
    RecordDidNotOpen,
    /// The content of an audience record does not open under the audience's
    /// secret.
    #[error("the audience content does not open")]
    AudienceDidNotOpen,
    /// The record's content is not in the form of bundles.
    #[error("the record's bundle is malformed")]
    MalformedBundle,
    /// The record's content is a bundle of a version that is not known here.
    #[error("the record's bundle is of an unknown version")]
    BundleVersion,
    /// The credential is not in the form of credentials.
    #[error("the credential is malformed")]
    MalformedCredential,
    /// In the credential's place is a signed object of another kind.
    #[error("the credential is a signed object of another kind")]
    CredentialKind,
    /// The credential's signature algorithm is unknown, or not the one of its
    /// CSIP's key.
    #[error("the credential's signature algorithm does not fit")]
    CredentialAlgorithm,
    /// The key that the credential names for the recipient can't be used.
    #[error("the key in the credential is not usable")]
    CredentialHolderKey,
    /// The credential ends before it begins, or is valid for too long.
    #[error("the credential's validity is empty or too long")]
    CredentialValidity,
    /// The credential's CSIP is not trusted.
    #[error("the credential's issuer is not on the trust list")]
    IssuerUnknown,
    /// The credential's CSIP is trusted, its key isn't.
    #[error("the credential's key is not on the trust list for its issuer")]
    IssuerKeyUnknown,
    /// The credential's CSIP may not speak for this identifier.
    #[error("the credential's issuer may not speak for this identifier")]
    IssuerOutOfScope,
    /// The CSIP's key is not trusted yet.
    #[error("the credential's key is not trusted yet")]
    IssuerKeyNotYetValid,
    /// The CSIP's key is no longer trusted.
    #[error("the credential's key is no longer trusted")]
    IssuerKeyExpired,
    /// The credential's signature does not verify.
    #[error("the credential's signature does not verify")]
    CredentialSignature,
    /// The credential is for another identifier than was asked.
    #[error("the credential is for another identifier")]
    CredentialSubject,
    /// The credential is not valid yet.
    #[error("the credential is not valid yet")]
    CredentialNotYetValid,
    /// The credential has expired.
    #[error("the credential has expired")]
    CredentialExpired,
    /// A mapping is not in the form of mappings.
    #[error("a mapping is malformed")]
    MalformedMapping,
    /// In a mapping's place is a signed object of another kind.
    #[error("a mapping is a signed object of another kind")]
    MappingKind,
    /// A mapping's signature algorithm is unknown, or not the one of the
    /// holder's key.
    #[error("a mapping's signature algorithm does not fit")]
    MappingAlgorithm,
    /// A mapping ends before it begins.
    #[error("a mapping's validity is empty")]
    MappingValidity,
    /// A mapping is signed by another key than the credential names.
    #[error("a mapping is signed by another key than the credential's")]
    MappingKey,
    /// A mapping's signature does not verify under the holder's key.
    #[error("a mapping's signature does not verify")]
    MappingSignature,
    /// A mapping is for another identifier than the credential.
    #[error("a mapping is for another identifier")]
    MappingSubject,
    /// A mapping is of a later assignment than the credential.
    #[error("a mapping is of another assignment than the credential")]
    MappingAssignment,
    /// A mapping on its own is not valid yet.
    #[error("a mapping is not valid yet")]
    MappingNotYetValid,
    /// A mapping on its own has expired.
    #[error("a mapping has expired")]
    MappingExpired,
    /// Two mappings of the same id and version contradict each other.
    #[error("two mappings of the same version contradict each other")]
    Equivocation,
}

impl From<TrustError> for Unverifiable {
    fn from(error: TrustError) -> Self {
        match error {
            TrustError::UnknownIssuer => Self::IssuerUnknown,
            TrustError::UnknownKey => Self::IssuerKeyUnknown,
            TrustError::OutOfScope => Self::IssuerOutOfScope,
            TrustError::NotYetValid => Self::IssuerKeyNotYetValid,
            TrustError::Expired => Self::IssuerKeyExpired,
        }
    }
}

impl From<CredentialError> for Unverifiable {
    fn from(error: CredentialError) -> Self {
        match error {
            CredentialError::Cose(CoseError::BadSignature) => Self::CredentialSignature,
            CredentialError::Cose(CoseError::WrongContentType { .. }) => Self::CredentialKind,
            CredentialError::Cose(CoseError::UnknownAlgorithm | CoseError::WrongAlgorithm) => {
                Self::CredentialAlgorithm
            }
            CredentialError::Untrusted(error) => error.into(),
            CredentialError::HolderKey(_) => Self::CredentialHolderKey,
            CredentialError::Validity { .. } => Self::CredentialValidity,
            CredentialError::NotYetValid { .. } => Self::CredentialNotYetValid,
            CredentialError::Expired { .. } => Self::CredentialExpired,
            // What is left of COSE is its form: the key was found by its name.
            CredentialError::Cose(_)
            | CredentialError::TooLarge { .. }
            | CredentialError::Claims(_)
            | CredentialError::Issuer(_)
            | CredentialError::Subject(_) => Self::MalformedCredential,
        }
    }
}

impl From<MappingError> for Unverifiable {
    fn from(error: MappingError) -> Self {
        match error {
            MappingError::Cose(CoseError::BadSignature) => Self::MappingSignature,
            MappingError::Cose(CoseError::WrongKey) => Self::MappingKey,
            MappingError::Cose(CoseError::WrongContentType { .. }) => Self::MappingKind,
            MappingError::Cose(CoseError::UnknownAlgorithm | CoseError::WrongAlgorithm) => {
                Self::MappingAlgorithm
            }
            MappingError::Validity { .. } => Self::MappingValidity,
            MappingError::SubjectMismatch => Self::MappingSubject,
            MappingError::AssignmentMismatch { .. } => Self::MappingAssignment,
            MappingError::NotYetValid { .. } => Self::MappingNotYetValid,
            MappingError::Expired { .. } => Self::MappingExpired,
            MappingError::Cose(_)
            | MappingError::TooLarge { .. }
            | MappingError::Fields(_)
            | MappingError::Subject(_)
            | MappingError::Entry { .. }
            | MappingError::TooManyEntries { .. }
            | MappingError::SeveralDefaults { .. }
            | MappingError::DuplicateEntry { .. } => Self::MalformedMapping,
        }
    }
}

impl From<BundleError> for Unverifiable {
    fn from(error: BundleError) -> Self {
        match error {
            BundleError::Version => Self::BundleVersion,
            BundleError::Credential(error) => error.into(),
            BundleError::Mapping { source, .. } => source.into(),
            BundleError::TooLarge { .. }
            | BundleError::TooManyMappings { .. }
            | BundleError::Cbor(_)
            | BundleError::Shape
            | BundleError::DuplicateMapping
            | BundleError::MappingOrder => Self::MalformedBundle,
        }
    }
}
