//! One function a route.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Extension, Path, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use protocol::manifest::SnapshotId;
use protocol::merkle::Hash;
use protocol::wire::{OprfRequest, OprfResponse, media};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::access::Noted;
use super::auth::authenticate;
use super::body::{self, Length};
use super::{AppState, Error, quota, redeem};
use crate::scheduler::{Account, Requester, ScheduleError};
use crate::snapshot::Snapshot;

pub(super) type Shared = State<Arc<AppState>>;
pub(super) type Notes = Extension<Arc<Noted>>;

/// A manifest changes in place: ask again each time.
pub(super) const REVALIDATE: &str = "no-cache";

/// A hint never changes: its path names the snapshot.
pub(super) const FOREVER: &str = "public, max-age=31536000, immutable";

const NEVER: &str = "no-store";

/// The newest manifest.
pub(super) async fn manifest(
    State(state): Shared,
    headers: HeaderMap,
) -> Result<Response<Body>, Error> {
    let snapshot = state.snapshot().ok_or(Error::NoSnapshot)?;
    let manifest = snapshot.signed_manifest();
    let bytes = Bytes::copy_from_slice(manifest.as_bytes());
    Ok(cacheable(
        &headers,
        &manifest.digest(),
        bytes,
        media::COSE,
        REVALIDATE,
    ))
}

/// A snapshot's hint.
pub(super) async fn hint(
    State(state): Shared,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response<Body>, Error> {
    let snapshot = named(&state, &id)?;
    let digest = snapshot.manifest().hint.digest;
    // A copy of its own: who reads slowly keeps no snapshot in memory.
    let bytes = snapshot.shared_hint();
    Ok(cacheable(&headers, &digest, bytes, media::HINT, FOREVER))
}

/// A snapshot's membership filter.
pub(super) async fn filter(
    State(state): Shared,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response<Body>, Error> {
    let snapshot = named(&state, &id)?;
    let stated = snapshot.manifest().filter.ok_or(Error::NotFound)?;
    let bytes = snapshot.shared_filter().ok_or(Error::NotFound)?;
    Ok(cacheable(
        &headers,
        &stated.digest,
        bytes,
        media::FILTER,
        FOREVER,
    ))
}

/// Evaluates blinded elements.
pub(super) async fn oprf(
    State(state): Shared,
    Extension(noted): Notes,
    request: Request,
) -> Result<Response<Body>, Error> {
    let (parts, body) = request.into_parts();
    if let Some(token) = redeem::offered(&parts)? {
        return redeem::oprf(state, &noted, &parts, body, token).await;
    }
    let caller = authenticate(&state, &parts, &noted)?;
    let length = Length::AtMost(OprfRequest::BYTES_MAX);
    let place = state.bodies.of_account(caller.index)?;
    let timeout = state.body_timeout;
    let bytes = body::read(&parts, body, media::CBOR, length, timeout, &noted).await?;
    let of_task = Arc::clone(&state);
    let request = in_turn(&state.evaluations, move || check(&of_task, &bytes)).await?;
    // What is malformed costs nothing. No place is held from here on: a ledger that
    // is slow keeps nobody else from theirs.
    drop(place);
    let remaining = quota::charge(&state, &caller, request.elements.len()).await?;
    let of_task = Arc::clone(&state);
    let evaluated = in_turn(&state.evaluations, move || evaluate(&of_task, &request)).await?;
    let mut response = fresh(media::CBOR, evaluated);
    quota::announce(response.headers_mut(), &remaining);
    Ok(response)
}

/// Does work on a thread for that, as many pieces at a time as there are turns.
pub(super) async fn in_turn<T: Send + 'static>(
    turns: &Arc<Semaphore>,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    // Never closed; and if it were, the server would be stopping.
    let place = Arc::clone(turns)
        .acquire_owned()
        .await
        .map_err(|_| Error::NotReady)?;
    // The place is given up when the work is done, also if nobody waits for it.
    let work = move || {
        let _place = place;
        work()
    };
    spawn_blocking(work).await.map_err(|_| Error::Panicked)?
}

/// Answers a PIR query.
pub(super) async fn query(
    State(state): Shared,
    Path(id): Path<String>,
    Extension(noted): Notes,
    request: Request,
) -> Result<Response<Body>, Error> {
    let (parts, body) = request.into_parts();
    let (requester, payment, _place) = match redeem::offered(&parts)? {
        Some(token) => {
            let place = state.bodies.of_token(token.spent_id())?;
            let payment = redeem::verify(&state, vec![token]).await?;
            let requester = Requester {
                account: Account::Tokens,
                sender: 0,
            };
            (requester, Some(payment), place)
        }
        None => {
            let caller = authenticate(&state, &parts, &noted)?;
            let requester = Requester {
                account: Account::Known(caller.index),
                sender: caller.lane(),
            };
            (requester, None, state.bodies.of_account(caller.index)?)
        }
    };
    let snapshot = named(&state, &id)?;
    let length = Length::Exactly(pir_core::query::encoded_bytes(snapshot.params()));
    let bytes = body::read(
        &parts,
        body,
        media::QUERY,
        length,
        state.body_timeout,
        &noted,
    )
    .await?;
    let of_task = Arc::clone(&snapshot);
    let decode = move || pir_core::query::Query::decode(of_task.params(), &bytes);
    let query = spawn_blocking(decode)
        .await
        .map_err(|_| Error::Panicked)?
        .map_err(Error::Query)?;
    if let Some(payment) = payment {
        // A token is not spent on what would be refused at once.
        state.scheduler.admits(requester)?;
        redeem::spend(&state, payment).await?;
    }
    let engine = Arc::clone(&snapshot);
    match state.scheduler.answer(requester, engine, query).await {
        Err(ScheduleError::Failed) if snapshot.is_faulty() => {
            state.metrics.fault();
            state.faults.notify_one();
            Err(Error::Faulty)
        }
        answer => Ok(fresh(media::ANSWER, answer?)),
    }
}

/// The process runs.
pub(super) async fn live() -> Response<Body> {
    fresh("text/plain", b"live\n".to_vec())
}

/// Requests are welcome.
pub(super) async fn ready(State(state): Shared) -> Result<Response<Body>, Error> {
    if state.is_ready() {
        Ok(fresh("text/plain", b"ready\n".to_vec()))
    } else {
        Err(Error::NotReady)
    }
}

/// A request that can be evaluated.
fn check(state: &AppState, bytes: &[u8]) -> Result<OprfRequest, Error> {
    let request = OprfRequest::decode(bytes)?;
    check_epoch(state, &request)?;
    Ok(request)
}

/// Whether the key that a request is for is in use.
pub(super) fn check_epoch(state: &AppState, request: &OprfRequest) -> Result<(), Error> {
    state.evaluator.check(request.epoch, (state.clock)())
}

pub(super) fn evaluate(state: &AppState, request: &OprfRequest) -> Result<Vec<u8>, Error> {
    let (epoch, now) = (request.epoch, (state.clock)());
    let evaluation = state.evaluator.evaluate(epoch, &request.elements, now)?;
    state.metrics.evaluated(request.elements.len());
    Ok(OprfResponse { epoch, evaluation }.encode())
}

/// The snapshot that a path names, if it is served.
pub(super) fn named(state: &AppState, id: &str) -> Result<Arc<Snapshot>, Error> {
    let id: SnapshotId = id.parse().map_err(|_| Error::NotFound)?;
    if let Some(snapshot) = state.snapshot_named(&id) {
        return Ok(snapshot);
    }
    let current = state.snapshot().ok_or(Error::NoSnapshot)?.id();
    Err(Error::SnapshotGone { current })
}

pub(super) fn fresh(media: &'static str, bytes: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(bytes));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(NEVER));
    response
}

/// A body that its digest names: 304 for those who have it.
pub(super) fn cacheable(
    request: &HeaderMap,
    digest: &Hash,
    bytes: Bytes,
    media: &'static str,
    cache: &'static str,
) -> Response<Body> {
    let tag = format!("\"{digest}\"");
    let known = request
        .get(IF_NONE_MATCH)
        .is_some_and(|value| value.as_bytes() == tag.as_bytes());
    let mut response = Response::new(if known {
        Body::empty()
    } else {
        Body::from(bytes)
    });
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    // Hexadecimal digits in quotes.
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(ETAG, tag);
    }
    response
}
