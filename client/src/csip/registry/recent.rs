//! Codes sent within the last hour: how many, and for which requests.
//!
//! Kept in the file and not in memory, so that neither a restart nor a command
//! beside the service allows more of them.

use protocol::credential::CredentialRequest;
use protocol::time::UnixTime;
use redb::{ReadableTable as _, TableDefinition, WriteTransaction};
use sha2::{Digest as _, Sha256};

use super::key::RowName;
use super::{RegistryError, engine};
use crate::csip::config::VerificationPolicy;

/// By time and request, the name of the identifier.
pub(super) const RECENT: TableDefinition<'_, (u64, &[u8; 32]), &[u8; 32]> =
    TableDefinition::new("recent");

/// How long codes to one identifier are remembered, in seconds. Longer than a
/// request is fresh.
const HOUR: u64 = 3600;

const MINUTE: u64 = 60;

const _: () = assert!(HOUR > 2 * CredentialRequest::FRESHNESS_SECS);

/// What tells requests apart.
pub(super) struct RequestDigest([u8; 32]);

impl RequestDigest {
    /// SHA-256 of what is signed.
    pub(super) fn of(payload: &[u8]) -> Self {
        Self(Sha256::digest(payload).into())
    }
}

/// Why no code is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RefusedStart {
    /// The request was made before.
    #[error("the request was made before: sign another")]
    Replayed,
    /// Too many codes went to the identifier.
    #[error("too many codes for this identifier: try again in {retry_after_seconds} seconds")]
    Identifier {
        /// When the next one may go.
        retry_after_seconds: u64,
    },
    /// Too many codes went to all.
    #[error("too many codes: try again in {retry_after_seconds} seconds")]
    Everybody {
        /// When the next one may go.
        retry_after_seconds: u64,
    },
}

/// Notes a code that is about to be sent, if it may be.
pub(super) fn admit(
    transaction: &WriteTransaction,
    name: &RowName,
    request: &RequestDigest,
    policy: &VerificationPolicy,
    now: UnixTime,
) -> Result<(), RegistryError> {
    let mut recent = transaction.open_table(RECENT).map_err(engine)?;
    // On either side: a clock that was wrong must not block anybody for long.
    let apart = |time: u64| time.abs_diff(now.as_secs());
    recent
        .retain(|(time, _), _| apart(time) < HOUR)
        .map_err(engine)?;
    let (mut of_identifier, mut of_everybody) = (Vec::new(), Vec::new());
    for entry in recent.iter().map_err(engine)? {
        let (key, value) = entry.map_err(engine)?;
        let (time, known) = key.value();
        if *known == request.0 {
            return Err(RefusedStart::Replayed.into());
        }
        if value.value() == name.as_bytes() {
            of_identifier.push(time);
        }
        if apart(time) < MINUTE {
            of_everybody.push(time);
        }
    }
    if let Some(retry_after_seconds) =
        wait(&of_identifier, policy.codes_per_identifier_hour, HOUR, now)
    {
        return Err(RefusedStart::Identifier {
            retry_after_seconds,
        }
        .into());
    }
    if let Some(retry_after_seconds) = wait(&of_everybody, policy.codes_per_minute, MINUTE, now) {
        return Err(RefusedStart::Everybody {
            retry_after_seconds,
        }
        .into());
    }
    recent
        .insert((now.as_secs(), &request.0), name.as_bytes())
        .map_err(engine)?;
    Ok(())
}

/// Seconds until fewer than `most` of these ascending times are within
/// `period`; `None` if that is so now.
fn wait(times: &[u64], most: u32, period: u64, now: UnixTime) -> Option<u64> {
    let last_to_go = times.len().checked_sub(most as usize)?;
    let gone = times[last_to_go].saturating_add(period);
    Some(gone.saturating_sub(now.as_secs()).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_is_until_the_oldest_that_counts_has_gone() {
        let now = UnixTime::from_secs(1000);
        assert_eq!(wait(&[], 1, 60, now), None);
        assert_eq!(wait(&[990], 2, 60, now), None);
        assert_eq!(wait(&[990, 1000], 2, 60, now), Some(50));
        assert_eq!(wait(&[950, 990, 1000], 2, 60, now), Some(50));
        assert_eq!(wait(&[950, 990, 1000], 3, 60, now), Some(10));
    }
}
