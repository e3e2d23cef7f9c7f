//! The log of manifests, and the database for those who audit.

use axum::body::Body;
use axum::extract::{Extension, Path, Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Response};
use futures_util::stream;
use protocol::log::Part;
use protocol::merkle::Hash;
use protocol::wire::media;

use super::Error;
use super::auth::authenticate;
use super::handlers::{FOREVER, Notes, REVALIDATE, Shared, cacheable, named};
use super::publishing::heavy;

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
    let caller = authenticate(&state, &parts, &noted)?;
    let snapshot = named(&state, &id)?;
    let download = state.downloads.begin(caller.index, &snapshot)?;
    let bytes = snapshot.database().len();
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
