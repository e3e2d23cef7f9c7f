//! Spending for a request, and what the answer says of it.
//!
//! `RateLimit-Policy` and `RateLimit` are draft-ietf-httpapi-ratelimit-headers-10
//! §3 and §4, structured fields (RFC 9651). An account is told of its own quotas:
//! `sender` and `account` are the buckets, `sender-day` and `account-day` the caps
//! of the day. Of everybody's quota nobody is told.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use sfv::{KeyRef, ListSerializer, StringRef};

use super::auth::Caller;
use super::{AppState, Error};
use crate::ledger::{Charge, Holder, Level, Outcome, Remaining, Spend};
use crate::meter::MeterError;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// The unit of all quotas.
const UNIT: &str = "evaluations";

/// Seconds of a day, the window of caps.
const DAY: u32 = 86_400;

/// Charges elements to the caller's quotas and everybody's, and gives what is
/// left.
///
/// # Errors
/// [`Error::Quota`], [`Error::QuotaNever`], [`Error::Ledger`], [`Error::Busy`].
pub(super) async fn charge(
    state: &AppState,
    caller: &Caller,
    elements: usize,
) -> Result<Vec<Remaining>, Error> {
    let spend = Spend {
        charges: charges(state, caller, elements),
        tokens: Vec::new(),
    };
    self::spend(state, spend).await
}

/// The charges for so many elements of a caller's.
pub(super) fn charges(state: &AppState, caller: &Caller, elements: usize) -> Vec<Charge> {
    // No message has so many.
    let amount = u32::try_from(elements).unwrap_or(u32::MAX);
    let meters = [
        caller.sender,
        state.meters.meter(Holder::Account(&caller.account)),
        state.meters.meter(Holder::Everyone),
    ];
    meters
        .into_iter()
        .zip(caller.quotas.levels())
        .map(|(meter, (level, quota))| Charge {
            meter,
            quota,
            amount,
            level,
        })
        .collect()
}

/// Spends, and gives what is left.
///
/// # Errors
/// As [`charge`], and [`Error::Replayed`].
pub(super) async fn spend(state: &AppState, spend: Spend) -> Result<Vec<Remaining>, Error> {
    let elements = spend.charges.first().map_or(0, |charge| charge.amount);
    match state.meter.spend(spend).await? {
        Outcome::Spent { remaining } => Ok(remaining),
        Outcome::Exhausted {
            level,
            retry_after_secs,
            mut remaining,
        } => {
            // The field and Retry-After name the same point in time (§5).
            for left in remaining.iter_mut().filter(|left| left.level == level) {
                if left.bucket < elements {
                    left.full_in_secs = retry_after_secs;
                }
                if left.today < elements {
                    left.day_ends_in_secs = retry_after_secs;
                }
            }
            Err(Error::Quota {
                level,
                retry_after_secs,
                remaining,
            })
        }
        Outcome::TooMuch {
            level,
            most,
            remaining,
        } => Err(Error::QuotaNever {
            level,
            most,
            remaining,
        }),
        Outcome::Replayed => Err(Error::Replayed),
    }
}

/// Puts what is left into an answer's headers.
pub(super) fn announce(headers: &mut HeaderMap, remaining: &[Remaining]) {
    let mut policies = ListSerializer::new();
    let mut limits = ListSerializer::new();
    let mut any = false;
    for left in remaining {
        let (bucket, day) = match left.level {
            Level::Sender => ("sender", "sender-day"),
            Level::Account => ("account", "account-day"),
            Level::Global => continue,
        };
        any = true;
        let quota = &left.quota;
        // How long an empty bucket takes to be full.
        let window =
            (u64::from(quota.burst) * 3600).div_ceil(u64::from(quota.refill_per_hour).max(1));
        let buckets = (quota.burst, clamp(window), left.bucket, left.full_in_secs);
        let days = (quota.per_day, DAY, left.today, left.day_ends_in_secs);
        for (name, (most, window, remaining, reset)) in [(bucket, buckets), (day, days)] {
            let name = StringRef::constant(name);
            policies
                .bare_item(name)
                .parameter(KeyRef::constant("q"), most)
                .parameter(KeyRef::constant("w"), window)
                .parameter(KeyRef::constant("qu"), StringRef::constant(UNIT));
            limits
                .bare_item(name)
                .parameter(KeyRef::constant("r"), remaining)
                .parameter(KeyRef::constant("t"), reset);
        }
    }
    if !any {
        return;
    }
    for (name, list) in [(POLICY, policies), (LIMIT, limits)] {
        // Structured fields are ASCII.
        let value = list
            .finish()
            .and_then(|text| HeaderValue::from_str(&text).ok());
        if let Some(value) = value {
            headers.insert(name, value);
        }
    }
}

fn clamp(secs: u64) -> u32 {
    u32::try_from(secs).unwrap_or(u32::MAX)
}

impl From<MeterError> for Error {
    fn from(error: MeterError) -> Self {
        match error {
            MeterError::Busy => Self::Busy,
            MeterError::Ledger => Self::Ledger,
            MeterError::Stopped => Self::NotReady,
        }
    }
}
