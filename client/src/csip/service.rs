//! The CSIP over HTTPS. Paths and messages are [`protocol::wire::csip`]'s,
//! errors are [`protocol::problem`] documents. The log names routes and
//! statuses, never what was sent.

mod error;
mod listen;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{MatchedPath, Path, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, Response, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::routing::post;
use protocol::credential::{CredentialRequest, SignedCredentialRequest};
use protocol::time::UnixTime;
use protocol::wire::csip::{Code, MESSAGE_BYTES_MAX, VERIFICATION_ROUTE, VERIFICATIONS_PATH};
use protocol::wire::media;
use tower_http::catch_panic::CatchPanicLayer;

use error::ServiceError;
pub use listen::serve;

use super::issue::Csip;

/// How long a request's body may take.
const BODY_PATIENCE: Duration = Duration::from_secs(10);

/// All routes.
fn app(csip: Arc<Csip>) -> Router {
    Router::new()
        .route(VERIFICATIONS_PATH, post(start))
        .route(VERIFICATION_ROUTE, post(finish))
        .fallback(async || ServiceError::NotFound)
        .method_not_allowed_fallback(async || ServiceError::MethodNotAllowed)
        .with_state(csip)
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(from_fn(log))
}

/// Sends a code.
async fn start(
    State(csip): State<Arc<Csip>>,
    request: Request,
) -> Result<Response<Body>, ServiceError> {
    let body = read(request, media::COSE, CredentialRequest::BYTES_MAX).await?;
    let request = SignedCredentialRequest::from_bytes(&body).map_err(ServiceError::Malformed)?;
    let started = csip.start(&request, UnixTime::now()).await?;
    Ok(answer(StatusCode::ACCEPTED, media::JSON, started.encode()))
}

/// Takes a code and issues a credential.
async fn finish(
    State(csip): State<Arc<Csip>>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response<Body>, ServiceError> {
    let id = id.parse().map_err(|_| ServiceError::NotFound)?;
    let body = read(request, media::JSON, MESSAGE_BYTES_MAX).await?;
    let code = Code::decode(&body).map_err(ServiceError::MalformedCode)?;
    let credential = csip.finish(&id, &code, UnixTime::now()).await?;
    Ok(answer(
        StatusCode::OK,
        media::COSE,
        credential.as_bytes().to_vec(),
    ))
}

async fn read(
    request: Request,
    expected: &'static str,
    limit: usize,
) -> Result<Bytes, ServiceError> {
    let (parts, body) = request.into_parts();
    let found = parts
        .headers
        .get(CONTENT_TYPE)
        .map(|value| value.as_bytes().trim_ascii());
    if !found.is_some_and(|found| found.eq_ignore_ascii_case(expected.as_bytes())) {
        return Err(ServiceError::MediaType { expected });
    }
    tokio::time::timeout(BODY_PATIENCE, to_bytes(body, limit))
        .await
        .map_err(|_| ServiceError::BodyTimeout)?
        // One that breaks off has nobody left to read the answer.
        .map_err(|_| ServiceError::BodyTooLong { limit })
}

fn answer(status: StatusCode, media: &'static str, body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Shows the route and not the path, which names the verification.
async fn log(request: Request, next: Next) -> Response<Body> {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    tracing::info!(
        route = route.as_ref().map_or("-", MatchedPath::as_str),
        status = response.status().as_u16(),
        "answered"
    );
    response
}
