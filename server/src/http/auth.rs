//! Who asks: `Authorization: Bearer <API key>` (RFC 6750 §2.1), or the TLS
//! certificate that the connection was made with.

use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;

use super::access::Noted;
use super::{AppState, Error};
use crate::senders::{CertificateDigest, SenderIndex, SenderName};

/// Checks the API key or, where none is sent, the certificate; notes the sender
/// and says which one it is.
pub(super) fn authenticate(
    state: &AppState,
    parts: &Parts,
    noted: &Noted,
) -> Result<(SenderIndex, SenderName), Error> {
    let senders = state.senders.load();
    let mut values = parts.headers.get_all(AUTHORIZATION).iter();
    let found = match (values.next(), values.next()) {
        (Some(value), None) => {
            let (scheme, key) = value
                .as_bytes()
                .split_at_checked(7)
                .ok_or(Error::Unauthorized)?;
            if !scheme.eq_ignore_ascii_case(b"bearer ") {
                return Err(Error::Unauthorized);
            }
            senders.authenticate(key)
        }
        (None, _) => parts
            .extensions
            .get::<CertificateDigest>()
            .and_then(|shown| senders.with_certificate(shown)),
        _ => None,
    };
    let (index, name) = found.ok_or(Error::Unauthorized)?;
    noted.sender(name);
    Ok((index, name.clone()))
}
