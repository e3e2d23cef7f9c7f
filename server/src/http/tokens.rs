//! Tokens: their keys, their issuance, and how to pay with them.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Extension, Request, State};
use axum::http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use axum::middleware::Next;
use protocol::merkle::Hash;
use protocol::token::{
    BatchTokenRequest, BatchTokenResponse, Challenge, IssuerDirectory, TokenRequest, TokenResponse,
};
use protocol::wire::media;

use super::auth::authenticate;
use super::body::{self, Length};
use super::handlers::{Notes, REVALIDATE, Shared, cacheable, fresh, in_turn};
use super::{AppState, Error, quota};

/// The keys that issue, as the manifest's digest says.
pub(super) async fn directory(
    State(state): Shared,
    headers: HeaderMap,
) -> Result<Response<Body>, Error> {
    let tokens = state.tokens.load();
    let json = tokens.directory().ok_or(Error::NoSnapshot)?;
    let digest: Hash = IssuerDirectory::digest(json);
    let bytes = Bytes::copy_from_slice(json);
    Ok(cacheable(
        &headers,
        &digest,
        bytes,
        media::TOKEN_DIRECTORY,
        REVALIDATE,
    ))
}

/// Issues tokens, charged like as many evaluations.
pub(super) async fn issue(
    State(state): Shared,
    Extension(noted): Notes,
    request: Request,
) -> Result<Response<Body>, Error> {
    let (parts, body) = request.into_parts();
    let caller = authenticate(&state, &parts, &noted)?;
    let form = Form::of(&parts.headers);
    let length = Length::AtMost(form.bytes_max());
    let place = state.bodies.of_account(caller.index)?;
    let timeout = state.body_timeout;
    let bytes = body::read(&parts, body, form.request(), length, timeout, &noted).await?;
    let request = in_turn(&state.evaluations, move || form.decode(&bytes)).await?;
    drop(place);
    let tokens = state.tokens.load_full();
    let now = (state.clock)();
    if tokens.issuing(request.truncated_key_id, now).is_none() {
        return Err(Error::TokenKey);
    }
    let remaining = quota::charge(&state, &caller, request.elements.len()).await?;
    let issued = in_turn(&state.evaluations, move || {
        let key = tokens
            .issuing(request.truncated_key_id, now)
            .ok_or(Error::TokenKey)?;
        key.issue(&request.elements, &mut rand::rng())
            .map_err(Error::TokenRequest)
    });
    let mut response = fresh(form.response(), form.encode(issued.await?));
    quota::announce(response.headers_mut(), &remaining);
    Ok(response)
}

/// One token, or a batch.
#[derive(Clone, Copy)]
enum Form {
    Single,
    Batch,
}

impl Form {
    /// What the media type says; a batch if it says neither.
    fn of(headers: &HeaderMap) -> Self {
        let single = headers.get(CONTENT_TYPE).is_some_and(|media| {
            let media = media.as_bytes().trim_ascii();
            media.eq_ignore_ascii_case(media::TOKEN_REQUEST.as_bytes())
        });
        if single { Self::Single } else { Self::Batch }
    }

    const fn request(self) -> &'static str {
        match self {
            Self::Single => media::TOKEN_REQUEST,
            Self::Batch => media::TOKEN_BATCH_REQUEST,
        }
    }

    const fn response(self) -> &'static str {
        match self {
            Self::Single => media::TOKEN_RESPONSE,
            Self::Batch => media::TOKEN_BATCH_RESPONSE,
        }
    }

    const fn bytes_max(self) -> usize {
        match self {
            Self::Single => TokenRequest::BYTES,
            Self::Batch => BatchTokenRequest::BYTES_MAX,
        }
    }

    fn decode(self, bytes: &[u8]) -> Result<BatchTokenRequest, Error> {
        match self {
            Self::Single => TokenRequest::decode(bytes).map(|request| BatchTokenRequest {
                truncated_key_id: request.truncated_key_id,
                elements: vec![request.element],
            }),
            Self::Batch => BatchTokenRequest::decode(bytes),
        }
        .map_err(Error::TokenRequest)
    }

    fn encode(self, mut issued: BatchTokenResponse) -> Vec<u8> {
        match (self, issued.elements.pop()) {
            (Self::Single, Some(element)) => TokenResponse {
                element,
                proof: issued.proof,
            }
            .encode(),
            (_, last) => {
                issued.elements.extend(last);
                issued.encode()
            }
        }
    }
}

/// Adds, to a refusal for want of authorisation, which tokens would do (RFC 9577
/// §2.1).
pub(super) async fn challenge(
    State(state): State<Arc<AppState>>,
    request: Request,
    next: Next,
) -> Response<Body> {
    let mut response = next.run(request).await;
    if response.status() == StatusCode::UNAUTHORIZED {
        let challenges = state.tokens.load().challenges((state.clock)());
        let fields = challenges.iter().map(Challenge::to_field);
        // Base64url and names: all allowed in a header.
        let values = fields.filter_map(|field| HeaderValue::from_str(&field).ok());
        for value in values {
            response.headers_mut().append(WWW_AUTHENTICATE, value);
        }
    }
    response
}
