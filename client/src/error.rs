//! Why a lookup has no result.

use std::sync::Arc;

use pir_core::params::ParamsError;
use protocol::filter::FilterError;
use protocol::hint::HintError;
use protocol::manifest::{Inconsistency, ManifestError, SnapshotId};
use protocol::oprf::OprfError;
use protocol::problem::{Problem, ProblemType};
use protocol::time::UnixTime;
use protocol::token::TokenError;
use protocol::wire::WireError;

use crate::cache::CacheError;
use crate::log::LogRefusal;
use crate::wallet::WalletError;

/// Why a client could not connect or a lookup could not be made.
///
/// What is wrong with a record that was looked up is not here but a result:
/// [`Lookup::Unverifiable`](protocol::lookup::Lookup::Unverifiable). No variant
/// holds an identifier, a key or anything decrypted.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The server's address is not an `https` URL without query.
    #[error("the server's address must be an https URL without user, query and fragment")]
    ServerUrl,
    /// The TLS certificates are not PEM, or none.
    #[error("no usable TLS certificate in the PEM file")]
    TlsRoots,
    /// The sender's own certificate is not PEM of a chain and its key.
    #[error(
        "the client certificate must be a PEM file with a certificate chain and its private key"
    )]
    ClientCertificate,
    /// TLS could not be set up.
    #[error("cannot set up TLS")]
    TlsSetup(#[source] Arc<reqwest::Error>),
    /// The server can't be reached, or the connection broke.
    #[error("{step}: no answer from the server")]
    Transport {
        /// What was asked for.
        step: &'static str,
        /// What went wrong.
        #[source]
        source: Arc<reqwest::Error>,
    },
    /// The server refused the request.
    #[error("{step}: the server says: {problem}")]
    Problem {
        /// What was asked for.
        step: &'static str,
        /// Its problem document.
        problem: Box<Problem>,
    },
    /// The quota doesn't have so many evaluations now.
    #[error("{step}: {reason}: come back in {wait}, at {at}", wait = wait(*retry_after))]
    QuotaUsedUp {
        /// What was asked for.
        step: &'static str,
        /// Whose quota, in the server's words.
        reason: String,
        /// Seconds until it does.
        retry_after: u32,
        /// When that is, by this device's clock.
        at: UnixTime,
    },
    /// The quota never has so many evaluations.
    #[error("{step}: {reason}")]
    QuotaTooSmall {
        /// What was asked for.
        step: &'static str,
        /// How many it has at most, in the server's words.
        reason: String,
    },
    /// The server refused the request without a problem document.
    #[error("{step}: the server answered with status {status} and no problem document")]
    Status {
        /// What was asked for.
        step: &'static str,
        /// The HTTP status.
        status: u16,
    },
    /// An answer is longer than it can be.
    #[error("{step}: an answer of more than {max} bytes")]
    BodyTooLong {
        /// What was asked for.
        step: &'static str,
        /// Most bytes that it can have.
        max: usize,
    },
    /// The manifest was refused.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The log of manifests was refused, or the manifest is not in it.
    #[error(transparent)]
    Log(#[from] LogRefusal),
    /// The manifest's shape is not usable.
    #[error("manifest: {0}")]
    Layout(#[source] Inconsistency),
    /// The manifest's parameters are unknown or not safe.
    #[error("manifest: {0}")]
    Parameters(#[from] ParamsError),
    /// The manifest announces a hint longer than any snapshot has.
    #[error("manifest: a hint of {found} bytes, expected at most {max}")]
    HintTooLong {
        /// Most bytes.
        max: u64,
        /// Bytes announced.
        found: u64,
    },
    /// The hint is not the one that the manifest names.
    #[error("the hint is not the one that the manifest names")]
    HintDigest,
    /// The hint is malformed.
    #[error("hint: {0}")]
    Hint(#[from] HintError),
    /// The hint's PIR part is malformed.
    #[error("hint: {0}")]
    PirHint(#[source] Arc<pir_core::Error>),
    /// The hint contradicts the manifest.
    #[error("the hint's {part} contradicts the manifest")]
    HintContradiction {
        /// Which part.
        part: &'static str,
    },
    /// The manifest announces a membership filter longer than one of its records
    /// can be.
    #[error("manifest: a membership filter of {found} bytes, expected at most {max}")]
    FilterTooLong {
        /// Most bytes.
        max: u64,
        /// Bytes announced.
        found: u64,
    },
    /// The membership filter is not the one that the manifest names.
    #[error("the membership filter is not the one that the manifest names")]
    FilterDigest,
    /// The membership filter is malformed.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// The membership filter is of another number of records than the manifest
    /// states.
    #[error("the membership filter contradicts the manifest")]
    FilterContradiction,
    /// What was kept of earlier lookups can't be used, or nothing can be kept.
    #[error(transparent)]
    Cache(Arc<CacheError>),
    /// Blinding failed, or the evaluation isn't the published key's.
    #[error("OPRF: {0}")]
    Oprf(#[from] OprfError),
    /// The OPRF answer is malformed.
    #[error("OPRF answer: {0}")]
    OprfAnswer(#[from] WireError),
    /// The OPRF answer is of another epoch than was asked for.
    #[error("OPRF answer of epoch {found}, expected {expected}")]
    OprfEpoch {
        /// Epoch asked for.
        expected: u64,
        /// Epoch of the answer.
        found: u64,
    },
    /// The provider takes no tokens, or says too little about them.
    #[error("the provider issues no tokens now")]
    NoTokens,
    /// The directory of token keys is not the one that the manifest names.
    #[error("the directory of token keys is not the one that the manifest names")]
    TokenDirectory,
    /// A directory, request or answer about tokens.
    #[error("tokens: {0}")]
    Token(#[from] TokenError),
    /// The wallet.
    #[error(transparent)]
    Wallet(Arc<WalletError>),
    /// A PIR query could not be made, or its answer is malformed.
    #[error("PIR: {0}")]
    Pir(#[source] Arc<pir_core::Error>),
    /// The snapshot was replaced again while the lookup was repeated.
    #[error("snapshot {snapshot} went while the lookup was repeated: try again")]
    SnapshotGone {
        /// The snapshot that went.
        snapshot: SnapshotId,
    },
    /// A thread of the client's own ended early.
    #[error("the lookup was interrupted")]
    Interrupted,
}

impl From<CacheError> for ClientError {
    fn from(error: CacheError) -> Self {
        Self::Cache(Arc::new(error))
    }
}

impl ClientError {
    /// Whether newer manifest and hint are needed.
    pub(crate) fn is_stale(&self) -> bool {
        matches!(self, Self::Problem { problem, .. }
            if matches!(problem.kind, ProblemType::SnapshotGone | ProblemType::OprfEpochUnknown))
    }

    /// Whether something older than before was shown: by a provider that goes back,
    /// or by one of its servers that is behind the others.
    pub(crate) fn is_rollback(&self) -> bool {
        matches!(
            self,
            Self::Manifest(ManifestError::Rollback { .. }) | Self::Log(LogRefusal::Rollback { .. })
        )
    }

    /// Seconds to wait before the same may be asked again, if the server is
    /// busy.
    pub(crate) fn busy(&self) -> Option<u32> {
        match self {
            Self::Problem { problem, .. } => match problem.kind {
                ProblemType::Overloaded | ProblemType::TooManyRequests => problem.retry_after,
                _ => None,
            },
            // Where it comes back soon enough, it is waited for; patience says so.
            Self::QuotaUsedUp { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }

    /// What a refusal for the sake of a quota means to people.
    pub(crate) fn quota(step: &'static str, problem: Problem, now: UnixTime) -> Self {
        let title = problem.title();
        let reason = problem.detail.unwrap_or_else(|| title.to_owned());
        match problem.retry_after {
            Some(retry_after) => Self::QuotaUsedUp {
                step,
                reason,
                retry_after,
                at: now.saturating_add(retry_after.into()),
            },
            None => Self::QuotaTooSmall { step, reason },
        }
    }

    pub(crate) fn pir(error: pir_core::Error) -> Self {
        Self::Pir(Arc::new(error))
    }
}

/// A time as people say it, rounded up to what matters.
fn wait(secs: u32) -> String {
    let (number, unit) = match secs {
        0..120 => (secs, "second"),
        120..7200 => (secs.div_ceil(60), "minute"),
        7200..172_800 => (secs.div_ceil(3600), "hour"),
        _ => (secs.div_ceil(86_400), "day"),
    };
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {unit}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(problem: Problem) -> ClientError {
        ClientError::Problem {
            step: "query",
            problem: Box::new(problem),
        }
    }

    #[test]
    fn staleness_and_busyness_go_by_the_problem_type() {
        for kind in ProblemType::ALL {
            let error = problem(Problem::new(kind).with_retry_after(3));
            let stale = [ProblemType::SnapshotGone, ProblemType::OprfEpochUnknown].contains(&kind);
            let busy = [ProblemType::Overloaded, ProblemType::TooManyRequests].contains(&kind);
            assert_eq!(error.is_stale(), stale, "{kind:?}");
            assert_eq!(error.busy(), busy.then_some(3), "{kind:?}");
        }
        assert_eq!(problem(Problem::new(ProblemType::Overloaded)).busy(), None);
        assert!(!ClientError::HintDigest.is_stale());
        assert_eq!(ClientError::HintDigest.busy(), None);
    }

    #[test]
    fn a_quota_says_when_to_come_back() {
        let now = UnixTime::parse_rfc3339("2026-11-25T12:00:00Z").unwrap();
        let used_up = |secs| {
            let problem = Problem::new(ProblemType::QuotaExceeded)
                .with_detail("the quota of this sender is used up")
                .with_retry_after(secs);
            ClientError::quota("OPRF", problem, now)
        };
        assert_eq!(
            used_up(5401).to_string(),
            "OPRF: the quota of this sender is used up: come back in 91 minutes, at 2026-11-25T13:30:01Z"
        );
        assert_eq!(used_up(7).busy(), Some(7));
        let too_small = Problem::new(ProblemType::QuotaExceeded).with_detail("at most 10");
        let too_small = ClientError::quota("OPRF", too_small, now);
        assert_eq!(too_small.to_string(), "OPRF: at most 10");
        assert_eq!(too_small.busy(), None);
        for (secs, text) in [
            (1, "1 second"),
            (119, "119 seconds"),
            (120, "2 minutes"),
            (7200, "2 hours"),
            (172_800, "2 days"),
        ] {
            assert_eq!(wait(secs), text);
        }
    }

    #[test]
    fn refusals_are_told_in_the_servers_words() {
        let error = problem(Problem::new(ProblemType::Unauthorized).with_detail("unknown key"));
        assert_eq!(
            error.to_string(),
            "query: the server says: The sender is not authorised (401): unknown key"
        );
    }
}
