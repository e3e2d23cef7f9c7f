//! Results of a lookup, each distinct and none folded into another.

mod line;

use serde::Serialize;

pub use line::AnswerLine;

use crate::bundle::BundleError;
use crate::credential::CredentialError;
use crate::mapping::{Mapping, MappingError};
use crate::trust::TrustError;

/// What a lookup found out about a CSI.
///
/// In JSON `{"outcome": "no-mapping"}`, `{"outcome": "opted-out"}`,
/// `{"outcome": "mappings", "detail": [..]}` or
/// `{"outcome": "unverifiable", "detail": "<reason>"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", content = "detail", rename_all = "kebab-case")]
pub enum Lookup {
    /// Nobody has published where the CSI can be reached.
    NoMapping,
    /// The recipient has said that they are not to be found.
    OptedOut,
    /// Where the CSI can be reached: one mapping at least, by id.
    Mappings(Vec<Mapping>),
    /// There is an answer, but it can't be believed.
    Unverifiable(Unverifiable),
}

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
    /// The record's content, or an object in it, is not in its form.
    #[error("the record's bundle is malformed")]
    MalformedBundle,
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
            CredentialError::Cose(_) => Self::CredentialSignature,
            CredentialError::Untrusted(error) => error.into(),
            CredentialError::NotYetValid { .. } => Self::CredentialNotYetValid,
            CredentialError::Expired { .. } => Self::CredentialExpired,
            CredentialError::TooLarge { .. }
            | CredentialError::Claims(_)
            | CredentialError::Issuer(_)
            | CredentialError::Subject(_)
            | CredentialError::HolderKey(_)
            | CredentialError::Validity { .. } => Self::MalformedBundle,
        }
    }
}

impl From<MappingError> for Unverifiable {
    fn from(error: MappingError) -> Self {
        match error {
            MappingError::Cose(_) => Self::MappingSignature,
            MappingError::SubjectMismatch => Self::MappingSubject,
            MappingError::AssignmentMismatch { .. } => Self::MappingAssignment,
            MappingError::NotYetValid { .. } => Self::MappingNotYetValid,
            MappingError::Expired { .. } => Self::MappingExpired,
            MappingError::TooLarge { .. }
            | MappingError::Fields(_)
            | MappingError::Subject(_)
            | MappingError::Entry { .. }
            | MappingError::TooManyEntries { .. }
            | MappingError::SeveralDefaults { .. }
            | MappingError::DuplicateEntry { .. }
            | MappingError::Validity { .. } => Self::MalformedBundle,
        }
    }
}

/// A bundle that can't be decoded is malformed, whatever is wrong with it.
impl From<BundleError> for Unverifiable {
    fn from(_: BundleError) -> Self {
        Self::MalformedBundle
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::Mapping;

    #[test]
    fn outcomes_have_distinct_json() {
        let json = |lookup: Lookup| serde_json::to_string(&lookup).unwrap();
        assert_eq!(json(Lookup::NoMapping), r#"{"outcome":"no-mapping"}"#);
        assert_eq!(json(Lookup::OptedOut), r#"{"outcome":"opted-out"}"#);
        assert_eq!(
            json(Lookup::Unverifiable(Unverifiable::BucketNotUnderRoot)),
            r#"{"outcome":"unverifiable","detail":"bucket-not-under-root"}"#
        );
        let mapping = Mapping::example(1, 7, &["a.example"]);
        let shown = json(Lookup::Mappings(vec![mapping.clone()]));
        assert!(!shown.contains(mapping.subject.canonical()), "{shown}");
        assert_eq!(
            shown,
            concat!(
                r#"{"outcome":"mappings","detail":[{"id":"01010101010101010101010101010101","seq":7,"#,
                r#""not_before":"2026-11-23T00:00:00Z","expires":"2026-12-23T00:00:00Z","assignment":2,"#,
                r#""replaces":"same-id","policy":{"exclusivity":"shared","reach":"any-app"},"#,
                r#""entries":[{"msp":"a.example","tags":["personal"],"priority":0,"preference":"default"}]}]}"#
            )
        );
    }
}
