//! Audience records, applied to the store.
//!
//! The provider doesn't learn whose a record is or for whom: what it checks is
//! that whoever published the first one under a handle publishes the next, and
//! that no account takes more than its share.

use protocol::audience::{AudienceContent, SignedAudienceRecord};
use protocol::audit::Action;
use protocol::derivation::Salt;
use protocol::precedence::{Precedence, compare};
use protocol::time::UnixTime;

use super::{Journal, Outcome, Refusal};
use crate::senders::SenderName;
use crate::store::{AudienceRow, StoreError, Update};

/// How many audience records are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudienceLimits {
    /// Of one sender's account.
    pub per_sender: u64,
    /// Of all.
    pub total: u64,
}

/// Puts a record in the place of the one of its handle. A removal stays as a
/// mark until it expires and counts until then.
pub(super) fn apply(
    update: &mut dyn Update,
    journal: &mut Journal,
    record: &SignedAudienceRecord,
    owner: &SenderName,
    limits: &AudienceLimits,
    now: UnixTime,
) -> Result<Result<Outcome, Refusal>, StoreError> {
    let stated = record.unverified();
    let held = update.find_audience(&stated.handle)?;
    if let Some(row) = held.as_ref().filter(|row| now < row.expires) {
        let before = decode(row)?;
        if before.unverified().write_key != stated.write_key {
            return Ok(Err(Refusal::AudienceWriter));
        }
        match compare(record.revision(), before.revision()) {
            Precedence::Newer => {}
            Precedence::Replay => return Ok(Ok(Outcome::Unchanged)),
            Precedence::Older => return Ok(Err(Refusal::OlderAudienceRecord)),
            Precedence::Equivocation => return Ok(Err(Refusal::AudienceEquivocation)),
        }
        // Otherwise an older record could come back once the mark is forgotten.
        if stated.expires < before.unverified().expires {
            return Ok(Err(Refusal::AudienceExpiry {
                least: before.unverified().expires,
            }));
        }
    }
    let grows = held.as_ref().is_none_or(|row| row.owner != *owner);
    if grows && update.count_audience(Some(owner))? >= limits.per_sender {
        return Ok(Err(Refusal::AudienceQuota {
            limit: limits.per_sender,
        }));
    }
    if held.is_none() && update.count_audience(None)? >= limits.total {
        return Ok(Err(Refusal::AudienceFull {
            limit: limits.total,
        }));
    }
    let row = AudienceRow {
        owner: owner.clone(),
        expires: stated.expires,
        record: record.as_bytes().to_vec(),
        salt: held
            .as_ref()
            .map_or_else(|| Salt::random(&mut rand::rng()), |row| row.salt),
    };
    update.put_audience(&stated.handle, &row)?;
    journal.note(now, Action::AudienceRecord, record.as_bytes());
    Ok(Ok(match held {
        Some(_) => Outcome::Changed,
        None => Outcome::Added,
    }))
}

/// What is published of a row at `now`: the ciphertext, if there is one.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub fn published_audience(row: &AudienceRow, now: UnixTime) -> Result<Option<Vec<u8>>, StoreError> {
    if now >= row.expires {
        return Ok(None);
    }
    match &decode(row)?.unverified().content {
        AudienceContent::Sealed(ciphertext) => Ok(Some(ciphertext.as_bytes().to_vec())),
        AudienceContent::Removed => Ok(None),
    }
}

fn decode(row: &AudienceRow) -> Result<SignedAudienceRecord, StoreError> {
    SignedAudienceRecord::from_bytes(&row.record).map_err(|_| StoreError::Corrupt)
}
