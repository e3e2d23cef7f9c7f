//! What tokens pay for: verified first, then spent, then done. A failure after
//! that leaves them spent.

use std::collections::HashSet;
use std::sync::Arc;

use axum::body::Body;
use axum::http::Response;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use protocol::token::{Credentials, Token};
use protocol::wire::{PaidOprfRequest, media};

use super::access::Noted;
use super::body::{self, Length};
use super::handlers::{check_epoch, evaluate, fresh, in_turn};
use super::{AppState, Error, quota};
use crate::ledger::{Charge, Holder, Level, Quota, Spend, SpentToken};
use crate::tokens::{Issuer, Refused};

/// Tokens that were verified and are to be spent. `Debug` shows numbers only.
#[derive(Debug)]
#[must_use]
pub(super) struct Payment(Spend);

/// The token of a request, if it pays with one.
///
/// # Errors
/// [`Error::Token`].
pub(super) fn offered(parts: &Parts) -> Result<Option<Token>, Error> {
    let mut values = parts.headers.get_all(AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (Some(value), None) if Credentials::is_scheme_of(value.as_bytes()) => {
            let credentials = Credentials::from_field(value.as_bytes()).map_err(Refused::from)?;
            Ok(Some(credentials.token))
        }
        _ => Ok(None),
    }
}

/// Tokens that are verified in one turn, of one to two milliseconds each: those of
/// others come in between.
const TURN: usize = 32;

/// Verifies tokens, up to the first that isn't taken.
///
/// # Errors
/// [`Error::Token`] for the first that isn't taken, [`Error::NotReady`],
/// [`Error::Panicked`].
pub(super) async fn verify(state: &Arc<AppState>, tokens: Vec<Token>) -> Result<Payment, Error> {
    let in_force = state.tokens.load_full();
    let now = (state.clock)();
    let mut payment = Spend::default();
    let mut tokens = tokens.into_iter().peekable();
    while tokens.peek().is_some() {
        let turn: Vec<Token> = tokens.by_ref().take(TURN).collect();
        let (of_task, in_force) = (Arc::clone(state), Arc::clone(&in_force));
        let verified = in_turn(&state.verifying_tokens, move || {
            let mut payment = Spend::default();
            for token in &turn {
                let good = in_force.verify(token, now)?;
                payment.tokens.push(SpentToken {
                    id: token.spent_id(),
                    expires: good.expires,
                });
                if let Some(issuer) = good.issuer {
                    charge_issuer(&of_task, &mut payment, issuer);
                }
            }
            Ok(payment)
        });
        merge(&mut payment, verified.await?);
    }
    Ok(Payment(payment))
}

/// Spends them, all or none.
///
/// # Errors
/// [`Error::Token`] if one was spent before; what [`quota::spend`] says.
pub(super) async fn spend(state: &AppState, payment: Payment) -> Result<(), Error> {
    let Payment(payment) = payment;
    match quota::spend(state, payment).await {
        Ok(_) => Ok(()),
        Err(Error::Replayed) => Err(Refused::Spent.into()),
        // What an issuer has left is not for those who show its tokens.
        Err(Error::Quota {
            level,
            retry_after_secs,
            ..
        }) => Err(Error::Quota {
            level,
            retry_after_secs,
            remaining: Vec::new(),
        }),
        Err(Error::QuotaNever { level, most, .. }) => Err(Error::QuotaNever {
            level,
            most,
            remaining: Vec::new(),
        }),
        Err(error) => Err(error),
    }
}

/// One token more of an issuer's, which has a cap for the day alone, and of all
/// that is evaluated: nobody charged for it when it was issued.
fn charge_issuer(state: &AppState, payment: &mut Spend, issuer: &Issuer) {
    let own = Charge {
        meter: state.meters.meter(Holder::Issuer(issuer.name.as_str())),
        quota: Quota {
            burst: issuer.per_day,
            refill_per_hour: issuer.per_day,
            per_day: issuer.per_day,
        },
        amount: 1,
        level: Level::Account,
    };
    let everyone = Charge {
        meter: state.meters.meter(Holder::Everyone),
        quota: state.quotas.load().global,
        amount: 1,
        level: Level::Global,
    };
    for charge in [own, everyone] {
        add(&mut payment.charges, charge);
    }
}

/// Evaluates blinded elements, one for each token.
///
/// # Errors
/// [`Error`], by what is wrong; nothing is spent on a malformed request.
pub(super) async fn oprf(
    state: Arc<AppState>,
    noted: &Noted,
    parts: &Parts,
    body: Body,
    first: Token,
) -> Result<Response<Body>, Error> {
    let place = state.bodies.of_token(first.spent_id())?;
    let first_id = first.spent_id();
    // Before the body, which is long for those who pay for many.
    let Payment(mut payment) = verify(&state, vec![first]).await?;
    let length = Length::AtMost(PaidOprfRequest::BYTES_MAX);
    let timeout = state.body_timeout;
    let bytes = body::read(parts, body, media::CBOR, length, timeout, noted).await?;
    let of_task = Arc::clone(&state);
    let decoded = in_turn(&state.verifying_tokens, move || {
        let paid = PaidOprfRequest::decode(&bytes)?;
        check_epoch(&of_task, &paid.request)?;
        // The same token many times is not verified many times.
        let mut seen = HashSet::from([first_id]);
        if !paid
            .tokens
            .iter()
            .all(|token| seen.insert(token.spent_id()))
        {
            return Err(Refused::Spent.into());
        }
        Ok(paid)
    });
    let PaidOprfRequest { request, tokens } = decoded.await?;
    if !tokens.is_empty() {
        let Payment(others) = verify(&state, tokens).await?;
        merge(&mut payment, others);
    }
    drop(place);
    spend(&state, Payment(payment)).await?;
    let of_task = Arc::clone(&state);
    let evaluated = in_turn(&state.evaluations, move || evaluate(&of_task, &request)).await?;
    Ok(fresh(media::CBOR, evaluated))
}

/// Both, with one charge for each meter.
fn merge(payment: &mut Spend, other: Spend) {
    payment.tokens.extend(other.tokens);
    for charge in other.charges {
        add(&mut payment.charges, charge);
    }
}

fn add(charges: &mut Vec<Charge>, charge: Charge) {
    match charges.iter_mut().find(|known| known.meter == charge.meter) {
        Some(known) => known.amount += charge.amount,
        None => charges.push(charge),
    }
}
