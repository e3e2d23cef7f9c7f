//! Request bodies, of bounded length and in bounded time.

use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _, to_bytes};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::request::Parts;

use super::Error;
use super::access::Noted;

/// How long a body may be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Length {
    /// Exactly so many bytes.
    Exactly(usize),
    /// So many bytes at most.
    AtMost(usize),
}

impl Length {
    const fn limit(self) -> usize {
        match self {
            Self::Exactly(bytes) | Self::AtMost(bytes) => bytes,
        }
    }

    fn check(self, found: u64) -> Result<(), Error> {
        let limit = self.limit();
        match self {
            _ if found > limit as u64 => Err(Error::BodyTooLong { limit }),
            Self::Exactly(expected) if found < expected as u64 => Err(Error::BodyTooShort {
                expected,
                found: found as usize,
            }),
            _ => Ok(()),
        }
    }
}

/// Reads a body. Its announced type and length are checked before anything is
/// read, its real length while it is.
pub(super) async fn read(
    parts: &Parts,
    body: Body,
    expected: &'static str,
    length: Length,
    timeout: Duration,
    noted: &Noted,
) -> Result<Bytes, Error> {
    let found = parts
        .headers
        .get(CONTENT_TYPE)
        .map(|value| value.as_bytes().trim_ascii());
    if !found.is_some_and(|found| found.eq_ignore_ascii_case(expected.as_bytes())) {
        return Err(Error::MediaType { expected });
    }
    let announced = parts
        .headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    if let Some(announced) = announced.or(body.size_hint().exact()) {
        length.check(announced)?;
    }
    let limit = length.limit();
    let bytes = tokio::time::timeout(timeout, to_bytes(body, limit))
        .await
        .map_err(|_| Error::BodyTimeout { limit: timeout })?
        .map_err(|error| read_error(&error, limit))?;
    length.check(bytes.len() as u64)?;
    noted.request_bytes(bytes.len());
    Ok(bytes)
}

/// `to_bytes` has one error for a body that is too long and one that breaks off.
fn read_error(error: &axum::Error, limit: usize) -> Error {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if error.is::<http_body_util::LengthLimitError>() {
            return Error::BodyTooLong { limit };
        }
        source = error.source();
    }
    Error::BodyBroken
}
