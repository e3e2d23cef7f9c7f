//! What a request may run into, and the problem document for it.

use std::any::Any;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Response, StatusCode};
use axum::response::IntoResponse;
use protocol::bundle::BundleError;
use protocol::credential::CredentialError;
use protocol::manifest::SnapshotId;
use protocol::oprf::OprfError;
use protocol::problem::{Problem, ProblemType};
use protocol::removal::RemovalError;
use protocol::token::TokenError;
use protocol::wire::{HolderMessageError, WireError, media};

use super::quota;
use crate::accept::Refusal;
use crate::ledger::{Level, Remaining};
use crate::scheduler::ScheduleError;
use crate::store::StoreError;
use crate::tokens::Refused;
use crate::writer::WriteError;

/// Seconds after which a store that failed may be back.
const STORE_RETRY_SECS: u32 = 5;

/// Why a request was not answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No such path.
    #[error("no such path")]
    NotFound,
    /// No such method on this path.
    #[error("no such method on this path")]
    MethodNotAllowed,
    /// No key, or nobody's.
    #[error("expected the API key of a known sender as bearer token")]
    Unauthorized,
    /// Not a pseudonym, or several.
    #[error("Sotto-Sender must be one pseudonym: 1 to 64 of the characters A-Z a-z 0-9 . _ ~ -")]
    Pseudonym,
    /// A quota doesn't have that much now.
    #[error("{}", exhausted(*level))]
    Quota {
        /// Whose.
        level: Level,
        /// When it will.
        retry_after_secs: u32,
        /// What is left.
        remaining: Vec<Remaining>,
    },
    /// A quota never has that much.
    #[error("{}", too_much(*level, *most))]
    QuotaNever {
        /// Whose.
        level: Level,
        /// The most that it ever has.
        most: u32,
        /// What is left.
        remaining: Vec<Remaining>,
    },
    /// A token was spent before, or has expired.
    #[error("a token was spent before, or has expired: nothing was spent")]
    Replayed,
    /// The ledger failed.
    #[error("quotas can't be checked now, so nothing is evaluated: try again later")]
    Ledger,
    /// The body has another type.
    #[error("expected a body of the type {expected}")]
    MediaType {
        /// The type that the path takes.
        expected: &'static str,
    },
    /// The body is too long.
    #[error("expected a body of at most {limit} bytes")]
    BodyTooLong {
        /// Most bytes.
        limit: usize,
    },
    /// The body is too short.
    #[error("expected a body of {expected} bytes, found {found}")]
    BodyTooShort {
        /// Bytes it must have.
        expected: usize,
        /// Bytes it has.
        found: usize,
    },
    /// The body did not arrive in time.
    #[error("the body did not arrive within {limit:?}")]
    BodyTimeout {
        /// Time it has.
        limit: Duration,
    },
    /// The body broke off.
    #[error("the body broke off")]
    BodyBroken,
    /// Not an OPRF request.
    #[error("OPRF request: {0}")]
    OprfRequest(#[from] WireError),
    /// The OPRF key of an epoch that isn't live.
    #[error("the OPRF key is of epoch {current}")]
    OprfEpoch {
        /// The newest epoch.
        current: u64,
    },
    /// The evaluation failed.
    #[error("the OPRF evaluation failed")]
    OprfEvaluation(#[source] OprfError),
    /// Another snapshot is served.
    #[error("another snapshot is served")]
    SnapshotGone {
        /// Which one.
        current: SnapshotId,
    },
    /// The query is not one for this snapshot.
    #[error("query: {0}")]
    Query(#[source] pir_core::Error),
    /// The query was not answered.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// Not a message of a recipient, or an object in it is not in its form.
    #[error(transparent)]
    Message(#[from] HolderMessageError),
    /// The query string.
    #[error("expected {expected}")]
    QueryString {
        /// What it must be.
        expected: &'static str,
    },
    /// A submission breaks a rule, or nobody trusted stands behind it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store failed.
    #[error(
        "the store is not available: try again later; nothing that was answered before is lost"
    )]
    Store,
    /// A request for tokens that can't be met.
    #[error("request for tokens: {0}")]
    TokenRequest(#[source] TokenError),
    /// A request for tokens of a key that doesn't issue.
    #[error("no key of that id issues now: fetch the directory")]
    TokenKey,
    /// A token that isn't taken.
    #[error(transparent)]
    Token(#[from] Refused),
    /// No snapshot is served yet.
    #[error("nothing is published yet")]
    NoSnapshot,
    /// Too many requests are under way.
    #[error("too many requests are under way")]
    Busy,
    /// No requests are welcome.
    #[error("the server is stopping")]
    NotReady,
    /// A pass failed its check, and no answer left.
    #[error("the snapshot in memory is damaged and is being read again")]
    Faulty,
    /// A fault of the program.
    #[error("a fault of the server")]
    Panicked,
}

impl From<&Error> for Problem {
    fn from(error: &Error) -> Self {
        let problem = match error {
            Error::NotFound => Self::new(ProblemType::NotFound),
            Error::MethodNotAllowed => Self::new(ProblemType::MethodNotAllowed),
            Error::Unauthorized | Error::Token(_) => Self::new(ProblemType::Unauthorized),
            Error::TokenRequest(_) | Error::TokenKey => {
                Self::new(ProblemType::UnprocessableTokenRequest)
            }
            Error::MediaType { .. } => Self::new(ProblemType::UnsupportedMediaType),
            Error::BodyTooLong { .. } => Self::new(ProblemType::PayloadTooLarge),
            Error::BodyTooShort { .. } | Error::BodyBroken => {
                Self::new(ProblemType::MalformedRequest)
            }
            Error::Pseudonym => Self::new(ProblemType::MalformedRequest),
            Error::Quota {
                retry_after_secs, ..
            } => Self::new(ProblemType::QuotaExceeded).with_retry_after(*retry_after_secs),
            Error::QuotaNever { .. } => Self::new(ProblemType::QuotaExceeded),
            Error::Replayed => Self::new(ProblemType::Unauthorized),
            Error::BodyTimeout { .. } => Self::new(ProblemType::RequestTimeout),
            Error::OprfRequest(_) => Self::new(ProblemType::MalformedRequest),
            Error::OprfEpoch { .. } => Self::new(ProblemType::OprfEpochUnknown),
            Error::OprfEvaluation(_) => Self::new(ProblemType::Internal),
            Error::SnapshotGone { current } => {
                Self::new(ProblemType::SnapshotGone).with_current_snapshot(*current)
            }
            Error::Query(
                pir_core::Error::ParameterMismatch { .. } | pir_core::Error::Params(_),
            ) => Self::new(ProblemType::UnprocessableQuery),
            Error::Query(_) => Self::new(ProblemType::MalformedRequest),
            Error::Schedule(
                ScheduleError::Full { retry_after, .. }
                | ScheduleError::Deadline { retry_after, .. },
            ) => Self::new(ProblemType::Overloaded).with_retry_after(whole_seconds(*retry_after)),
            Error::Schedule(
                ScheduleError::AccountFull { retry_after, .. }
                | ScheduleError::SenderFull { retry_after, .. },
            ) => Self::new(ProblemType::TooManyRequests)
                .with_retry_after(whole_seconds(*retry_after)),
            Error::Schedule(ScheduleError::Failed) => Self::new(ProblemType::Internal),
            Error::Schedule(ScheduleError::Stopping) | Error::NotReady => {
                Self::new(ProblemType::NotReady).with_retry_after(1)
            }
            Error::Message(error) => Self::new(message(error)),
            Error::QueryString { .. } => Self::new(ProblemType::MalformedRequest),
            Error::Refused(refusal) => Self::new(refused(refusal)),
            Error::Store | Error::Ledger | Error::NoSnapshot | Error::Faulty => {
                Self::new(ProblemType::NotReady).with_retry_after(STORE_RETRY_SECS)
            }
            Error::Busy => Self::new(ProblemType::Overloaded).with_retry_after(1),
            Error::Panicked => Self::new(ProblemType::Internal),
        };
        problem.with_detail(error.to_string())
    }
}

impl From<WriteError> for Error {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Refused(refusal) => Self::Refused(refusal),
            WriteError::Busy => Self::Busy,
            WriteError::Store => Self::Store,
            WriteError::Stopped => Self::NotReady,
        }
    }
}

/// The text of a store's error is for the operator.
impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the store failed");
        Self::Store
    }
}

fn message(error: &HolderMessageError) -> ProblemType {
    match error {
        HolderMessageError::Authorization => ProblemType::Unauthorized,
        HolderMessageError::TooLong { .. } => ProblemType::PayloadTooLarge,
        HolderMessageError::Cbor(_)
        | HolderMessageError::Structure
        | HolderMessageError::Bundle(
            BundleError::Cbor(_) | BundleError::Shape | BundleError::Version,
        ) => ProblemType::MalformedRequest,
        _ => ProblemType::UnprocessableObject,
    }
}

fn refused(refusal: &Refusal) -> ProblemType {
    match refusal {
        Refusal::Credential(CredentialError::Untrusted(_))
        | Refusal::Removal(RemovalError::Untrusted(_)) => ProblemType::Untrusted,
        Refusal::Inquiry(_) => ProblemType::Unauthorized,
        _ if refusal.is_equivocation() => ProblemType::Equivocation,
        Refusal::AudienceWriter => ProblemType::Untrusted,
        Refusal::AudienceQuota { .. } | Refusal::AudienceFull { .. } => ProblemType::PublisherFull,
        Refusal::Released
        | Refusal::OlderCredential
        | Refusal::OlderMapping
        | Refusal::OlderAudienceRecord
        | Refusal::Delisted
        | Refusal::Removed => ProblemType::Superseded,
        _ => ProblemType::UnprocessableObject,
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response<Body> {
        let mut response = respond(&Problem::from(&self));
        if let Self::Quota { remaining, .. } | Self::QuotaNever { remaining, .. } = &self {
            quota::announce(response.headers_mut(), remaining);
        }
        response
    }
}

/// What `CatchPanicLayer` answers with. The panic's text stays here.
pub(super) fn panicked(_: Box<dyn Any + Send + 'static>) -> Response<Body> {
    tracing::error!("a request handler panicked");
    Error::Panicked.into_response()
}

fn respond(problem: &Problem) -> Response<Body> {
    let mut response = Response::new(Body::from(problem.to_json()));
    // Every type's status is one.
    *response.status_mut() =
        StatusCode::from_u16(problem.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    // For the metrics.
    response.extensions_mut().insert(problem.kind);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media::PROBLEM));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(seconds) = problem.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if problem.kind == ProblemType::Unauthorized {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

fn exhausted(level: Level) -> &'static str {
    match level {
        Level::Sender => "the quota of this sender is used up",
        Level::Account => "the quota of this account is used up",
        Level::Global => "the provider gives no more to anybody for now",
    }
}

/// What everybody together may do is nobody's to know.
fn too_much(level: Level, most: u32) -> String {
    match level {
        Level::Sender => {
            format!("the quota of this sender is at most {most} at a time: ask for fewer")
        }
        Level::Account => {
            format!("the quota of this account is at most {most} at a time: ask for fewer")
        }
        Level::Global => "the provider never gives so many at a time: ask for fewer".to_owned(),
    }
}

/// Rounded up: a client that waits so long doesn't come early.
fn whole_seconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis().div_ceil(1000)).unwrap_or(u32::MAX)
}
