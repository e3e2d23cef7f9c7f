//! What a request may run into, and the problem document for it.

use std::any::Any;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, Response, StatusCode};
use axum::response::IntoResponse;
use protocol::credential::CredentialRequestError;
use protocol::problem::{Problem, ProblemType};
use protocol::wire::csip::CsipMessageError;
use protocol::wire::media;

use crate::csip::issue::CsipError;
use crate::csip::registry::{RefusedStart, RegistryError};
use crate::csip::verification::VerificationError;

/// Why a request was not answered.
#[derive(Debug, thiserror::Error)]
pub(super) enum ServiceError {
    #[error("no such path")]
    NotFound,
    #[error("no such method on this path")]
    MethodNotAllowed,
    #[error("expected a body of the type {expected}")]
    MediaType { expected: &'static str },
    #[error("expected a body of at most {limit} bytes")]
    BodyTooLong { limit: usize },
    #[error("the body did not arrive in time")]
    BodyTimeout,
    #[error(transparent)]
    Malformed(CredentialRequestError),
    #[error(transparent)]
    MalformedCode(CsipMessageError),
    #[error(transparent)]
    Csip(#[from] CsipError),
    #[error("a fault of the service")]
    Panicked,
}

impl From<&ServiceError> for Problem {
    fn from(error: &ServiceError) -> Self {
        let kind = match error {
            ServiceError::NotFound => ProblemType::NotFound,
            ServiceError::MethodNotAllowed => ProblemType::MethodNotAllowed,
            ServiceError::MediaType { .. } => ProblemType::UnsupportedMediaType,
            ServiceError::BodyTooLong { .. } => ProblemType::PayloadTooLarge,
            ServiceError::BodyTimeout => ProblemType::RequestTimeout,
            ServiceError::Malformed(_) | ServiceError::MalformedCode(_) => {
                ProblemType::MalformedRequest
            }
            ServiceError::Csip(error) => return of_csip(error),
            ServiceError::Panicked => ProblemType::Internal,
        };
        Self::new(kind).with_detail(error.to_string())
    }
}

fn of_csip(error: &CsipError) -> Problem {
    let problem = match error {
        CsipError::Request(_)
        | CsipError::OutOfScope
        | CsipError::Registry(RegistryError::Refused(RefusedStart::Replayed)) => {
            Problem::new(ProblemType::UnprocessableObject)
        }
        CsipError::Registry(RegistryError::Refused(
            RefusedStart::Identifier {
                retry_after_seconds,
            }
            | RefusedStart::Everybody {
                retry_after_seconds,
            },
        )) => Problem::new(ProblemType::TooManyRequests)
            .with_retry_after(u32::try_from(*retry_after_seconds).unwrap_or(u32::MAX)),
        CsipError::Registry(RegistryError::ChangedHands)
        | CsipError::Verification(VerificationError::Ended) => {
            Problem::new(ProblemType::VerificationEnded)
        }
        CsipError::Verification(VerificationError::WrongCode { .. }) => {
            Problem::new(ProblemType::WrongCode)
        }
        CsipError::Registry(RegistryError::InUse) => {
            Problem::new(ProblemType::Overloaded).with_retry_after(1)
        }
        // Where the operator keeps what, and what failed, is the operator's.
        CsipError::Hook(_) => {
            return Problem::new(ProblemType::Internal)
                .with_detail("the code could not be delivered");
        }
        CsipError::Registry(_)
        | CsipError::Credential(_)
        | CsipError::Release(_)
        | CsipError::Interrupted => return Problem::new(ProblemType::Internal),
    };
    problem.with_detail(error.to_string())
}

impl IntoResponse for ServiceError {
    fn into_response(self) -> Response<Body> {
        let problem = Problem::from(&self);
        if problem.kind == ProblemType::Internal {
            let source = std::error::Error::source(&self).map(ToString::to_string);
            tracing::error!(error = %self, source, "a request failed");
        }
        let mut response = Response::new(Body::from(problem.to_json()));
        // Every type's status is one.
        *response.status_mut() =
            StatusCode::from_u16(problem.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media::PROBLEM));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = problem.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// What `CatchPanicLayer` answers with. The panic's text stays here.
pub(super) fn panicked(_: Box<dyn Any + Send + 'static>) -> Response<Body> {
    ServiceError::Panicked.into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::csip::hook::HookError;

    #[test]
    fn each_refusal_has_its_problem_and_faults_tell_nothing() {
        let kind = |error: CsipError| Problem::from(&ServiceError::from(error)).kind;
        assert_eq!(
            kind(CsipError::OutOfScope),
            ProblemType::UnprocessableObject
        );
        assert_eq!(
            kind(RegistryError::ChangedHands.into()),
            ProblemType::VerificationEnded
        );
        assert_eq!(kind(RegistryError::Corrupt.into()), ProblemType::Internal);
        assert_eq!(kind(RegistryError::InUse.into()), ProblemType::Overloaded);
        let wrong = VerificationError::WrongCode { attempts_left: 2 };
        let problem = Problem::from(&ServiceError::from(CsipError::from(wrong)));
        assert_eq!(problem.kind, ProblemType::WrongCode);
        assert!(problem.detail.unwrap().contains('2'));
        let refused = RefusedStart::Everybody {
            retry_after_seconds: 7,
        };
        let problem = Problem::from(&ServiceError::from(CsipError::Registry(refused.into())));
        assert_eq!(problem.kind, ProblemType::TooManyRequests);
        assert_eq!(problem.retry_after, Some(7));
        let hook = HookError::Start {
            path: "/secret/place".into(),
            source: std::io::ErrorKind::NotFound.into(),
        };
        let problem = Problem::from(&ServiceError::from(CsipError::from(hook)));
        assert!(!problem.detail.unwrap().contains("secret"));
    }
}
