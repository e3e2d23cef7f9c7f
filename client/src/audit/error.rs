//! What an audit found.

use protocol::bucket::BucketError;
use protocol::manifest::ManifestError;

use crate::error::ClientError;
use crate::log::LogRefusal;

/// Why an audit did not pass.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// What every client checks.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The database is not the one that the manifest names.
    #[error("the database is not the one that the manifest names")]
    Database,
    /// A bucket is malformed, or not under the root.
    #[error(
        "bucket {index} of the database is not the one that the manifest's root is over: {source}"
    )]
    Bucket {
        /// Which one.
        index: u32,
        /// What is wrong.
        source: BucketError,
    },
    /// The buckets lead to another root.
    #[error("the manifest's root is not the one over the buckets of the database")]
    Root,
    /// The number of records is another.
    #[error("the database has {found} records, the manifest says {stated}")]
    Records {
        /// By the manifest.
        stated: u64,
        /// In the database.
        found: u64,
    },
    /// Some of the hint does not follow from the database.
    #[error(
        "the hint does not follow from the database in {rows} of {of} rows: lookups of some would fail, and the provider see which"
    )]
    Hint {
        /// Rows of which it doesn't.
        rows: usize,
        /// Rows.
        of: usize,
    },
    /// Nothing of the hint follows from the database under the derived CRS.
    #[error(
        "the hint was made under another public matrix than the one that follows from the provider's key"
    )]
    Crs,
    /// The PIR can't be set up with this database.
    #[error("the database can't be set up: {0}")]
    SetUp(#[source] std::sync::Arc<pir_core::Error>),
    /// The log goes on after the manifest that is given out.
    #[error(
        "the provider gives out manifest {served} and its log ends after {size}: the newest snapshot can't be audited"
    )]
    NotNewest {
        /// The manifest's sequence.
        served: u64,
        /// Entries of the log.
        size: u64,
    },
    /// Another server shows another log.
    #[error(
        "{server} shows a log of {there} manifests that is not the same as the one of {here} here: the provider keeps two histories"
    )]
    SplitView {
        /// Where.
        server: String,
        /// Entries here.
        here: u64,
        /// Entries there.
        there: u64,
    },
}

impl From<LogRefusal> for AuditError {
    fn from(refusal: LogRefusal) -> Self {
        Self::Client(refusal.into())
    }
}

impl AuditError {
    /// Whether it speaks against the provider, rather than of a network, a quota or
    /// a setting. A manifest or log that has gone back does, since [`Audit`] and
    /// [`Watch`] only give it if it still has after [`ClientConfig::server_lag`].
    ///
    /// [`Audit`]: super::Audit
    /// [`Watch`]: crate::monitor::Watch
    /// [`ClientConfig::server_lag`]: crate::ClientConfig::server_lag
    #[must_use]
    pub fn is_evidence(&self) -> bool {
        match self {
            // Clocks may be wrong, and builds stand still.
            Self::Client(ClientError::Manifest(
                ManifestError::NotYetValid { .. } | ManifestError::Expired { .. },
            )) => false,
            Self::Client(ClientError::Log(refusal)) => refusal.is_evidence(),
            Self::Client(error) => matches!(
                error,
                ClientError::Manifest(_)
                    | ClientError::Layout(_)
                    | ClientError::Parameters(_)
                    | ClientError::HintTooLong { .. }
                    | ClientError::HintDigest
                    | ClientError::Hint(_)
                    | ClientError::PirHint(_)
                    | ClientError::HintContradiction { .. }
                    | ClientError::FilterTooLong { .. }
                    | ClientError::FilterDigest
                    | ClientError::Filter(_)
                    | ClientError::FilterContradiction
            ),
            // One of several servers may be behind.
            Self::NotNewest { .. } => false,
            _ => true,
        }
    }

    /// Whether something older than before was shown.
    pub(super) fn is_rollback(&self) -> bool {
        matches!(self, Self::Client(error) if error.is_rollback())
    }

    /// Whether manifest and log may have come from before and after a publication.
    pub(super) fn is_behind(&self) -> bool {
        matches!(
            self,
            Self::NotNewest { .. } | Self::Client(ClientError::Log(LogRefusal::NotInLog { .. }))
        )
    }
}

#[cfg(test)]
mod tests {
    use protocol::log::{LogError, ProofError};
    use protocol::time::UnixTime;

    use super::*;

    #[test]
    fn who_is_only_late_is_not_accused() {
        let at = UnixTime::now();
        let early = ManifestError::NotYetValid { published_at: at };
        let late = ManifestError::Expired { expires_at: at };
        let back = ManifestError::Rollback { known: 2, found: 1 };
        let unwitnessed = LogRefusal::Witnesses {
            found: 0,
            quorum: 1,
        };
        for late in [
            AuditError::Client(ClientError::Manifest(early)),
            AuditError::Client(ClientError::Manifest(late)),
            unwitnessed.into(),
            AuditError::NotNewest { served: 1, size: 2 },
            LogRefusal::NotInLog {
                sequence: 2,
                size: 1,
            }
            .into(),
            LogRefusal::Form(LogError::Checkpoint).into(),
            LogRefusal::Proof(ProofError::Missing).into(),
            LogRefusal::GapUnproven { missing: 600 }.into(),
        ] {
            assert!(!late.is_evidence(), "{late:?}");
        }
        // What has gone back was looked at twice.
        let shorter = LogRefusal::Rollback { known: 2, found: 1 };
        for false_play in [
            AuditError::Client(ClientError::Manifest(back)),
            shorter.into(),
            LogRefusal::Fork { size: 2 }.into(),
            AuditError::Root,
        ] {
            assert!(false_play.is_evidence(), "{false_play:?}");
        }
    }
}
