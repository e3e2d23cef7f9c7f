//! The routes of recipients and CSIPs.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Extension, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Response};
use protocol::audience::{MAX_AUDIENCE_RECORD_BYTES, SignedAudienceRecord};
use protocol::bundle::{Bundle, MAX_BUNDLE_BYTES};
use protocol::removal::{MAX_REMOVAL_BYTES, SignedRelease};
use protocol::wire::{
    AUDIT_ENTRIES_MAX, HolderMessageError, HolderProof, Receipt, RemovalRequest, media,
};
use tokio::task::spawn_blocking;

use super::access::Noted;
use super::auth::authenticate;
use super::body::{self, Length};
use super::handlers::{Notes, Shared, fresh};
use super::{AppState, Error};
use crate::accept::{self, Outcome, Refusal, Submission, Verifier};
use crate::writer::Written;

/// Publishes a recipient's credential and mappings.
pub(super) async fn publish(
    State(state): Shared,
    Extension(noted): Notes,
    request: Request,
) -> Result<Response<Body>, Error> {
    let (parts, body) = request.into_parts();
    let length = Length::AtMost(MAX_BUNDLE_BYTES);
    let bytes = read(&state, &parts, body, media::CBOR, length, &noted).await?;
    submit(&state, move |verifier| {
        let bundle = Bundle::decode(&bytes).map_err(HolderMessageError::Bundle)?;
        Ok(verifier.publication(bundle)?)
    })
    .await
}

/// Removes what the recipient removes.
pub(super) async fn remove(
    State(state): Shared,
    Extension(noted): Notes,
    request: Request,
) -> Result<Response<Body>, Error> {
    let (parts, body) = request.into_parts();
    let length = Length::AtMost(RemovalRequest::BYTES_MAX);
    let bytes = read(&state, &parts, body, media::CBOR, length, &noted).await?;
    submit(&state, move |verifier| {
        Ok(verifier.removal(RemovalRequest::decode(&bytes)?)?)
    })
    .await
}

/// Ends an assignment.
pub(super) async fn release(
    State(state): Shared,
    Extension(noted): Notes,
    request: Request,
) -> Result<Response<Body>, Error> {
    let (parts, body) = request.into_parts();
    let length = Length::AtMost(MAX_REMOVAL_BYTES);
    let bytes = read(&state, &parts, body, media::COSE, length, &noted).await?;
    submit(&state, move |verifier| {
        let release = SignedRelease::from_bytes(&bytes).map_err(Refusal::Removal)?;
        Ok(verifier.release(release)?)
    })
    .await
}

/// Puts an audience record in its place, against the quota of an account.
pub(super) async fn audience_record(
    State(state): Shared,
    Extension(noted): Notes,
    request: Request,
) -> Result<Response<Body>, Error> {
    let (parts, body) = request.into_parts();
    let owner = authenticate(&state, &parts, &noted)?.account;
    let length = Length::AtMost(MAX_AUDIENCE_RECORD_BYTES);
    let bytes = read(&state, &parts, body, media::COSE, length, &noted).await?;
    submit(&state, move |verifier| {
        let record = SignedAudienceRecord::from_bytes(&bytes).map_err(Refusal::Audience)?;
        Ok(verifier.audience_record(record, owner)?)
    })
    .await
}

/// Shows a recipient what is held about its identifier.
pub(super) async fn holdings(
    State(state): Shared,
    headers: HeaderMap,
) -> Result<Response<Body>, Error> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(HolderMessageError::Authorization.into());
    };
    let proof = HolderProof::from_authorization(value.as_bytes())?;
    let of_task = state.clone();
    let holdings = heavy(&state, move || {
        let trust = of_task.trust();
        let verifier = Verifier {
            trust: &trust,
            now: (of_task.clock)(),
        };
        let view = of_task.store.view()?;
        let held = accept::holdings(&*view, &proof, of_task.provider, verifier)?;
        Ok(held?.encode())
    });
    Ok(fresh(media::CBOR, holdings.await?))
}

/// A part of the audit log.
pub(super) async fn audit(State(state): Shared, request: Request) -> Result<Response<Body>, Error> {
    let from = match request.uri().query() {
        None => 0,
        Some(query) => query
            .strip_prefix("from=")
            .and_then(|from| from.parse().ok())
            .ok_or(Error::QueryString {
                expected: "from=<index of an entry>",
            })?,
    };
    let of_task = state.clone();
    let entries = heavy(&state, move || {
        let entries = of_task.store.view()?.audit(from, AUDIT_ENTRIES_MAX)?;
        let encoded: Vec<Vec<u8>> = entries.iter().map(|entry| entry.encode()).collect();
        Ok(encoded.concat())
    });
    Ok(fresh(media::CBOR_SEQUENCE, entries.await?))
}

async fn read(
    state: &AppState,
    parts: &Parts,
    body: Body,
    expected: &'static str,
    length: Length,
    noted: &Noted,
) -> Result<Bytes, Error> {
    // Not the places of lookups: anyone may send here.
    let _place = state.submissions.try_acquire().map_err(|_| Error::Busy)?;
    body::read(parts, body, expected, length, state.body_timeout, noted).await
}

/// Verifies on a thread for such work, has it written, and says so.
async fn submit(
    state: &Arc<AppState>,
    verify: impl FnOnce(Verifier<'_>) -> Result<Submission, Error> + Send + 'static,
) -> Result<Response<Body>, Error> {
    let of_task = state.clone();
    let submission = heavy(state, move || {
        let trust = of_task.trust();
        verify(Verifier {
            trust: &trust,
            now: (of_task.clock)(),
        })
    });
    let Written { outcome, head } = state.writer.submit(submission.await?).await?;
    let receipt = Receipt {
        changed: outcome != Outcome::Unchanged,
        audit_entries: head.entries,
        audit_hash: head.hash.to_string(),
    };
    // Cannot fail: a boolean, a number and a text.
    let receipt = serde_json::to_vec(&receipt).map_err(|_| Error::Panicked)?;
    Ok(fresh(media::JSON, receipt))
}

/// Reads the store or verifies signatures on a thread for that. Not on the places
/// of the OPRF: neither a store that doesn't answer nor whoever sends much may
/// keep lookups waiting.
pub(super) async fn heavy<T: Send + 'static>(
    state: &AppState,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let place = Arc::clone(&state.verifications)
        .try_acquire_owned()
        .map_err(|_| Error::Busy)?;
    // The place is given up when the work is done, also if nobody waits for it.
    let work = move || {
        let _place = place;
        work()
    };
    spawn_blocking(work).await.map_err(|_| Error::Panicked)?
}
