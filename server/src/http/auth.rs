//! Who asks: `Authorization: Bearer <API key>` (RFC 6750 §2.1), or the TLS
//! certificate that the connection was made with. And for whom: `Sotto-Sender`.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use protocol::pseudonym::Pseudonym;
use protocol::wire::SENDER_HEADER;

use super::access::Noted;
use super::{AppState, Error};
use crate::ledger::{Holder, MeterId};
use crate::quotas::Quotas;
use crate::senders::{CertificateDigest, SenderIndex, SenderName};

/// Who asks.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// The account's place among the accounts.
    pub(super) index: SenderIndex,
    /// The account.
    pub(super) account: SenderName,
    /// The end sender: a hash of account and pseudonym under the ledger's key,
    /// which is the name of its meter too.
    pub(super) sender: MeterId,
    /// The quotas of this account.
    pub(super) quotas: Quotas,
}

impl Caller {
    /// Tells the senders of an account apart, and says nothing else of them.
    pub(super) fn lane(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.sender.0;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }
}

/// Checks the API key or, where none is sent, the certificate; notes the sender
/// and says which one it is.
pub(super) fn authenticate(
    state: &AppState,
    parts: &Parts,
    noted: &Noted,
) -> Result<Caller, Error> {
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
    let pseudonym = pseudonym(&parts.headers)?;
    let own = senders
        .at(index)
        .map_or_else(Default::default, |sender| sender.quota);
    Ok(Caller {
        index,
        account: name.clone(),
        sender: state.meters.meter(Holder::Sender(name, pseudonym.as_ref())),
        quotas: state.quotas.load().of(&own),
    })
}

/// The pseudonym of the end sender, if one is named.
fn pseudonym(headers: &HeaderMap) -> Result<Option<Pseudonym>, Error> {
    let mut values = headers.get_all(SENDER_HEADER).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            let text = value.to_str().map_err(|_| Error::Pseudonym)?;
            let pseudonym = Pseudonym::parse(text).map_err(|_| Error::Pseudonym)?;
            Ok(Some(pseudonym))
        }
        _ => Err(Error::Pseudonym),
    }
}
