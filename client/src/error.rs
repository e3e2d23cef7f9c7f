//! Why a lookup has no result.

use std::sync::Arc;

use pir_core::params::ParamsError;
use protocol::hint::HintError;
use protocol::manifest::{Inconsistency, ManifestError, SnapshotId};
use protocol::oprf::OprfError;
use protocol::problem::{Problem, ProblemType};
use protocol::wire::WireError;

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

impl ClientError {
    /// Whether newer manifest and hint are needed.
    pub(crate) fn is_stale(&self) -> bool {
        matches!(self, Self::Problem { problem, .. }
            if matches!(problem.kind, ProblemType::SnapshotGone | ProblemType::OprfEpochUnknown))
    }

    /// Seconds to wait before the same may be asked again, if the server is
    /// busy.
    pub(crate) fn busy(&self) -> Option<u32> {
        match self {
            Self::Problem { problem, .. } => match problem.kind {
                ProblemType::Overloaded | ProblemType::TooManyRequests => problem.retry_after,
                _ => None,
            },
            _ => None,
        }
    }

    pub(crate) fn pir(error: pir_core::Error) -> Self {
        Self::Pir(Arc::new(error))
    }
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
    fn refusals_are_told_in_the_servers_words() {
        let error = problem(Problem::new(ProblemType::Unauthorized).with_detail("unknown key"));
        assert_eq!(
            error.to_string(),
            "query: the server says: The sender is not authorised (401): unknown key"
        );
    }
}
