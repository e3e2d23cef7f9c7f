//! Problem documents: the body of every HTTP error (RFC 9457).
//!
//! A problem's text is for people and never names an identifier, a key or
//! anything decrypted; programs go by its type.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::manifest::SnapshotId;

/// Most bytes of a problem document that a client reads.
pub const PROBLEM_BYTES_MAX: usize = 4096;

/// What went wrong, as a URN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProblemType {
    /// The request is not in the form that its path requires.
    MalformedRequest,
    /// The sender is not authenticated, or not for this.
    Unauthorized,
    /// Nobody trusted vouches for who signed.
    Untrusted,
    /// The code is not the one that was sent; another may be tried.
    WrongCode,
    /// There is no such path.
    NotFound,
    /// The path has no such method.
    MethodNotAllowed,
    /// The request was not complete in time.
    RequestTimeout,
    /// The OPRF key of that epoch is not, or no longer, in use.
    OprfEpochUnknown,
    /// A newer statement has taken the object's place.
    Superseded,
    /// Another statement of the same version is known.
    Equivocation,
    /// The snapshot is no longer, or was never, served; see
    /// [`Problem::current_snapshot`].
    SnapshotGone,
    /// The verification was used, took too long or was failed too often, or
    /// never was.
    VerificationEnded,
    /// The body is longer than any that the path takes.
    PayloadTooLarge,
    /// The body is of another media type than the path takes.
    UnsupportedMediaType,
    /// The query is for another parameter set or shape than the snapshot's.
    UnprocessableQuery,
    /// A signed object breaks a rule.
    UnprocessableObject,
    /// A request for tokens is malformed, or for a key that doesn't issue (RFC
    /// 9578 §5.2).
    UnprocessableTokenRequest,
    /// No more objects of this kind are kept for this publisher.
    PublisherFull,
    /// The quota of evaluations is used up, or never has so many; see
    /// [`Problem::retry_after`].
    QuotaExceeded,
    /// The sender asks too much at once; see [`Problem::retry_after`].
    TooManyRequests,
    /// The fault is the server's.
    Internal,
    /// The server has too much to do; see [`Problem::retry_after`].
    Overloaded,
    /// The server has no snapshot to serve yet, or is draining.
    NotReady,
}

/// A problem document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What went wrong.
    #[serde(rename = "type")]
    pub kind: ProblemType,
    /// The type's one-line summary.
    title: &'static str,
    /// The type's HTTP status.
    status: u16,
    /// What is special about this occurrence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The snapshot to use instead.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "serialize_snapshot"
    )]
    pub current_snapshot: Option<SnapshotId>,
    /// Seconds after which to try again; also sent as `Retry-After`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
}

/// Why bytes are not a problem document of this API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProblemError {
    /// More than [`PROBLEM_BYTES_MAX`].
    #[error("a problem document has at most {PROBLEM_BYTES_MAX} bytes, not {found}")]
    TooLong {
        /// Bytes given.
        found: usize,
    },
    /// Not JSON, or a member of the wrong type.
    #[error("not a problem document")]
    Malformed,
    /// The type is none of [`ProblemType::ALL`].
    #[error("a problem of unknown type")]
    UnknownType,
    /// The status is not that of the type.
    #[error("a problem of this type has status {expected}, not {found}")]
    Status {
        /// The type's status.
        expected: u16,
        /// The document's.
        found: u16,
    },
    /// The pointer to the current snapshot is not a snapshot id.
    #[error("the pointer to the current snapshot is malformed")]
    CurrentSnapshot,
}

impl ProblemType {
    /// Every type.
    pub const ALL: [Self; 23] = [
        Self::MalformedRequest,
        Self::Unauthorized,
        Self::Untrusted,
        Self::WrongCode,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::RequestTimeout,
        Self::OprfEpochUnknown,
        Self::Superseded,
        Self::Equivocation,
        Self::SnapshotGone,
        Self::VerificationEnded,
        Self::PayloadTooLarge,
        Self::UnsupportedMediaType,
        Self::UnprocessableQuery,
        Self::UnprocessableObject,
        Self::UnprocessableTokenRequest,
        Self::PublisherFull,
        Self::QuotaExceeded,
        Self::TooManyRequests,
        Self::Internal,
        Self::Overloaded,
        Self::NotReady,
    ];

    /// The URN in the document's `type`.
    pub const fn urn(self) -> &'static str {
        self.definition().0
    }

    /// The one-line summary in the document's `title`.
    pub const fn title(self) -> &'static str {
        self.definition().1
    }

    /// The HTTP status (RFC 9110 §15).
    pub const fn status(self) -> u16 {
        self.definition().2
    }

    const fn definition(self) -> (&'static str, &'static str, u16) {
        match self {
            Self::MalformedRequest => (
                "urn:sotto:problem:malformed-request",
                "The request is malformed",
                400,
            ),
            Self::Unauthorized => (
                "urn:sotto:problem:unauthorized",
                "The sender is not authorised",
                401,
            ),
            Self::Untrusted => (
                "urn:sotto:problem:untrusted",
                "Nobody trusted vouches for the signer",
                403,
            ),
            Self::WrongCode => (
                "urn:sotto:problem:wrong-code",
                "The code is not the one that was sent",
                403,
            ),
            Self::NotFound => ("urn:sotto:problem:not-found", "There is nothing here", 404),
            Self::MethodNotAllowed => (
                "urn:sotto:problem:method-not-allowed",
                "The method is not allowed here",
                405,
            ),
            Self::RequestTimeout => (
                "urn:sotto:problem:request-timeout",
                "The request took too long to arrive",
                408,
            ),
            Self::OprfEpochUnknown => (
                "urn:sotto:problem:oprf-epoch-unknown",
                "The OPRF key of that epoch is not in use",
                409,
            ),
            Self::Superseded => (
                "urn:sotto:problem:superseded",
                "A newer statement has taken its place",
                409,
            ),
            Self::Equivocation => (
                "urn:sotto:problem:equivocation",
                "Another statement of the same version is known",
                409,
            ),
            Self::SnapshotGone => (
                "urn:sotto:problem:snapshot-gone",
                "The snapshot is not served",
                410,
            ),
            Self::VerificationEnded => (
                "urn:sotto:problem:verification-ended",
                "The verification has ended",
                410,
            ),
            Self::PayloadTooLarge => (
                "urn:sotto:problem:payload-too-large",
                "The body is too long",
                413,
            ),
            Self::UnsupportedMediaType => (
                "urn:sotto:problem:unsupported-media-type",
                "The body is of another media type than expected",
                415,
            ),
            Self::UnprocessableQuery => (
                "urn:sotto:problem:unprocessable-query",
                "The query does not fit the snapshot's parameters",
                422,
            ),
            Self::UnprocessableObject => (
                "urn:sotto:problem:unprocessable-object",
                "A signed object breaks a rule",
                422,
            ),
            Self::UnprocessableTokenRequest => (
                "urn:sotto:problem:unprocessable-token-request",
                "The request for tokens can't be met",
                422,
            ),
            Self::PublisherFull => (
                "urn:sotto:problem:publisher-full",
                "No more is kept for this publisher",
                403,
            ),
            Self::QuotaExceeded => (
                "urn:sotto:problem:quota-exceeded",
                "The quota does not allow so many evaluations now",
                429,
            ),
            Self::TooManyRequests => (
                "urn:sotto:problem:too-many-requests",
                "The sender asks too much at once",
                429,
            ),
            Self::Internal => ("urn:sotto:problem:internal", "The server failed", 500),
            Self::Overloaded => ("urn:sotto:problem:overloaded", "The server is busy", 503),
            Self::NotReady => (
                "urn:sotto:problem:not-ready",
                "The server is not ready",
                503,
            ),
        }
    }
}

impl Problem {
    /// A problem of that type, without details.
    pub const fn new(kind: ProblemType) -> Self {
        Self {
            kind,
            title: kind.title(),
            status: kind.status(),
            detail: None,
            current_snapshot: None,
            retry_after: None,
        }
    }

    /// The same, saying what is special about this occurrence. The text must
    /// come from errors, which name no identifier.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The same, pointing to the snapshot to use instead.
    #[must_use]
    pub const fn with_current_snapshot(mut self, snapshot: SnapshotId) -> Self {
        self.current_snapshot = Some(snapshot);
        self
    }

    /// The same, saying after how many seconds to try again.
    #[must_use]
    pub const fn with_retry_after(mut self, secs: u32) -> Self {
        self.retry_after = Some(secs);
        self
    }

    /// The type's one-line summary.
    pub const fn title(&self) -> &'static str {
        self.title
    }

    /// The type's HTTP status.
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// The document's JSON.
    pub fn to_json(&self) -> Vec<u8> {
        // Strings and integers under distinct text keys always serialise.
        serde_json::to_vec(self).expect("a problem serialises")
    }

    /// Reads a document; members that this API doesn't define are ignored
    /// (RFC 9457 §3.2), and the title is the type's own.
    ///
    /// # Errors
    /// [`ProblemError`], by what is wrong.
    pub fn from_json(json: &[u8]) -> Result<Self, ProblemError> {
        if json.len() > PROBLEM_BYTES_MAX {
            return Err(ProblemError::TooLong { found: json.len() });
        }
        let document: Document =
            serde_json::from_slice(json).map_err(|_| ProblemError::Malformed)?;
        let kind: ProblemType = document.kind.parse()?;
        if document.status != kind.status() {
            return Err(ProblemError::Status {
                expected: kind.status(),
                found: document.status,
            });
        }
        let current_snapshot = document
            .current_snapshot
            .map(|text| text.parse().map_err(|_| ProblemError::CurrentSnapshot))
            .transpose()?;
        Ok(Self {
            detail: document.detail,
            current_snapshot,
            retry_after: document.retry_after,
            ..Self::new(kind)
        })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.title, self.status)?;
        match &self.detail {
            Some(detail) => write!(f, ": {detail}"),
            None => Ok(()),
        }
    }
}

impl FromStr for ProblemType {
    type Err = ProblemError;

    fn from_str(urn: &str) -> Result<Self, ProblemError> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.urn() == urn)
            .ok_or(ProblemError::UnknownType)
    }
}

impl Serialize for ProblemType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.urn())
    }
}

impl<'de> Deserialize<'de> for ProblemType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let urn = String::deserialize(deserializer)?;
        urn.parse().map_err(serde::de::Error::custom)
    }
}

/// The members as they are on the wire.
#[derive(Deserialize)]
struct Document {
    #[serde(rename = "type")]
    kind: String,
    status: u16,
    detail: Option<String>,
    current_snapshot: Option<String>,
    retry_after: Option<u32>,
}

fn serialize_snapshot<S: Serializer>(
    snapshot: &Option<SnapshotId>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match snapshot {
        Some(id) => serializer.collect_str(id),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests;
