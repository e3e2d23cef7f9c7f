//! Who asks: `Authorization: Bearer <API key>` (RFC 6750 §2.1).

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;

use super::access::Noted;
use super::{AppState, Error};
use crate::senders::{SenderIndex, SenderName};

/// Checks the API key, notes the sender and says which one it is.
pub(super) fn authenticate(
    state: &AppState,
    headers: &HeaderMap,
    noted: &Noted,
) -> Result<(SenderIndex, SenderName), Error> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(Error::Unauthorized);
    };
    let (scheme, key) = value
        .as_bytes()
        .split_at_checked(7)
        .ok_or(Error::Unauthorized)?;
    if !scheme.eq_ignore_ascii_case(b"bearer ") {
        return Err(Error::Unauthorized);
    }
    let senders = state.senders.load();
    let (index, name) = senders.authenticate(key).ok_or(Error::Unauthorized)?;
    noted.sender(name);
    Ok((index, name.clone()))
}
