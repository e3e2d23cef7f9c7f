//! The log of manifests, and the database for those who audit.

use std::sync::{Arc, Weak};

use axum::body::{Body, Bytes};
use axum::extract::{Extension, Path, Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Response};
use futures_util::stream;
use protocol::log::Part;
use protocol::merkle::Hash;
use protocol::wire::media;
use tokio::sync::OwnedSemaphorePermit;

use super::Error;
use super::auth::authenticate;
use super::handlers::{FOREVER, Notes, REVALIDATE, Shared, cacheable, named};
use super::publishing::heavy;
use crate::snapshot::Snapshot;

/// Bytes of the database that are copied at a time.
const CHUNK_BYTES: usize = 1 << 18;

/// Where the log ends.
pub(super) async fn checkpoint(
    State(state): Shared,
    headers: HeaderMap,
) -> Result<Response<Body>, Error> {
    let snapshot = state.snapshot().ok_or(Error::NoSnapshot)?;
    let read = move || snapshot.log().checkpoint().map_err(|_| Error::Store);
    let bytes = heavy(&state, read).await?;
    let digest = Hash::of(&bytes);
    Ok(cacheable(
        &headers,
        &digest,
        bytes.into(),
        media::TEXT,
        REVALIDATE,
    ))
}

/// Hashes or entries.
pub(super) async fn tile(
    State(state): Shared,
    Path(path): Path<String>,
    headers: HeaderMap,
) -> Result<Response<Body>, Error> {
    let part: Part = path.parse().map_err(|_| Error::NotFound)?;
    let snapshot = state.snapshot().ok_or(Error::NoSnapshot)?;
    let read = move || snapshot.log().part(&part).map_err(|_| Error::Store);
    let bytes = heavy(&state, read).await?.ok_or(Error::NotFound)?;
    let digest = Hash::of(&bytes);
    Ok(cacheable(
        &headers,
        &digest,
        bytes.into(),
        media::OCTETS,
        FOREVER,
    ))
}

/// A snapshot's database, for known senders, a few at a time.
pub(super) async fn database(
    State(state): Shared,
    Path(id): Path<String>,
    Extension(noted): Notes,
    request: Request,
) -> Result<Response<Body>, Error> {
    let (parts, _) = request.into_parts();
    authenticate(&state, &parts, &noted)?;
    let snapshot = named(&state, &id)?;
    let place = Arc::clone(&state.downloads)
        .try_acquire_owned()
        .map_err(|_| Error::Busy)?;
    let bytes = snapshot.database().len();
    let download = Download {
        snapshot: Arc::downgrade(&snapshot),
        sent: 0,
        _place: place,
    };
    let chunks = stream::unfold(download, async |mut download| {
        let chunk = download.next()?;
        Some((chunk, download))
    });
    let mut response = Response::new(Body::from_stream(chunks));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media::OCTETS));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes));
    Ok(response)
}

/// A database that is being sent. Who reads slowly keeps no snapshot in memory:
/// once it is served no more, the answer breaks off.
struct Download {
    snapshot: Weak<Snapshot>,
    sent: usize,
    _place: OwnedSemaphorePermit,
}

/// The snapshot went.
#[derive(Debug, thiserror::Error)]
#[error("the snapshot is served no more")]
struct Gone;

impl Download {
    fn next(&mut self) -> Option<Result<Bytes, Gone>> {
        let Some(snapshot) = self.snapshot.upgrade() else {
            return Some(Err(Gone));
        };
        let rest = snapshot.database().get(self.sent..)?;
        if rest.is_empty() {
            return None;
        }
        let chunk = &rest[..rest.len().min(CHUNK_BYTES)];
        self.sent += chunk.len();
        Some(Ok(Bytes::copy_from_slice(chunk)))
    }
}
