//! What tokens pay for: verified first, then spent, then done. A failure after
//! that leaves them spent.

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

/// Verifies tokens, on the places of evaluations, which they take as long as.
///
/// # Errors
/// [`Error::Token`] for the first that isn't taken, [`Error::NotReady`],
/// [`Error::Panicked`].
pub(super) async fn verify(state: &Arc<AppState>, tokens: Vec<Token>) -> Result<Payment, Error> {
    let in_force = state.tokens.load_full();
    let now = (state.clock)();
    let of_task = Arc::clone(state);
    let verified = in_turn(state, move || {
        let mut payment = Spend::default();
        for token in &tokens {
            let good = in_force.verify(token, now)?;
            payment.tokens.push(SpentToken {
                id: token.spent_id(),
                expires: good.expires,
            });
            if let Some(issuer) = good.issuer {
                charge_issuer(&of_task, &mut payment, issuer);
            }
        }
        Ok(Payment(payment))
    });
    verified.await
}

/// Spends them, all or none.
///
/// # Errors
/// [`Error::Token`] if one was spent before, or is there twice; what
/// [`quota::spend`] says.
pub(super) async fn spend(state: &AppState, payment: Payment) -> Result<(), Error> {
    let Payment(payment) = payment;
    let mut ids: Vec<_> = payment.tokens.iter().map(|token| token.id).collect();
    ids.sort_unstable();
    if ids.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Refused::Spent.into());
    }
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

/// One token more of an issuer's, which has a cap for the day alone.
fn charge_issuer(state: &AppState, payment: &mut Spend, issuer: &Issuer) {
    let meter = state.meters.meter(Holder::Issuer(issuer.name.as_str()));
    if let Some(charge) = payment
        .charges
        .iter_mut()
        .find(|charge| charge.meter == meter)
    {
        charge.amount += 1;
        return;
    }
    payment.charges.push(Charge {
        meter,
        quota: Quota {
            burst: issuer.per_day,
            refill_per_hour: issuer.per_day,
            per_day: issuer.per_day,
        },
        amount: 1,
        level: Level::Account,
    });
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
    // Before the body, which is long for those who pay for many.
    let Payment(mut payment) = verify(&state, vec![first]).await?;
    let length = Length::AtMost(PaidOprfRequest::BYTES_MAX);
    let bytes = {
        let _place = state.bodies.try_acquire().map_err(|_| Error::Busy)?;
        body::read(parts, body, media::CBOR, length, state.body_timeout, noted).await?
    };
    let of_task = Arc::clone(&state);
    let decoded = in_turn(&state, move || {
        let paid = PaidOprfRequest::decode(&bytes)?;
        check_epoch(&of_task, &paid.request)?;
        Ok(paid)
    });
    let PaidOprfRequest { request, tokens } = decoded.await?;
    if !tokens.is_empty() {
        let Payment(others) = verify(&state, tokens).await?;
        merge(&mut payment, others);
    }
    spend(&state, Payment(payment)).await?;
    let of_task = Arc::clone(&state);
    let evaluated = in_turn(&state, move || evaluate(&of_task, &request)).await?;
    Ok(fresh(media::CBOR, evaluated))
}

/// Both, with one charge for each meter.
fn merge(payment: &mut Spend, other: Spend) {
    payment.tokens.extend(other.tokens);
    for charge in other.charges {
        match payment
            .charges
            .iter_mut()
            .find(|known| known.meter == charge.meter)
        {
            Some(known) => known.amount += charge.amount,
            None => payment.charges.push(charge),
        }
    }
}
