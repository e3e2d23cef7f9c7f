//! What the provider accepts, and what it does to the store.
//!
//! A [`Submission`] is verified first, which takes signatures and no store, and
//! applied later, together with others, in one update. Nobody but the recipient
//! and the CSIP changes an identifier's row, and each change is an entry of the
//! audit log.

mod audience;
mod holdings;
mod journal;
mod merge;
mod refusal;
mod removal;
mod verify;

use protocol::audit::Action;
use protocol::bundle::Bundle;
use protocol::csi::Csi;
use protocol::derivation::Salt;
use protocol::time::UnixTime;
use zeroize::Zeroizing;

pub use audience::{AudienceLimits, published_audience};
pub use holdings::holdings;
pub use journal::Journal;
pub use merge::effective;
pub use refusal::Refusal;
pub use verify::{Submission, Verifier};

use crate::store::{Content, Marks, Row, StoreError, Update};
use verify::Statement;

/// What a submission did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There was nothing held about the identifier, or under the handle.
    Added,
    /// What was held has changed.
    Changed,
    /// Nothing: all of it was known.
    Unchanged,
}

/// Applies a verified submission: the outer error ends the update, the inner one
/// refuses the submission alone, which then has changed nothing.
///
/// # Errors
/// [`StoreError`].
pub fn apply(
    update: &mut dyn Update,
    journal: &mut Journal,
    submission: &Submission,
    limits: &AudienceLimits,
    now: UnixTime,
) -> Result<Result<Outcome, Refusal>, StoreError> {
    let (csi, outcome) = match submission.statement() {
        Statement::AudienceRecord(record, owner) => {
            return audience::apply(update, journal, record, owner, limits, now);
        }
        Statement::Publication(bundle) => {
            let csi = &bundle.credential().unverified().subject;
            let held = Held::read(update.find(csi)?)?;
            (csi, merge::merge(held, bundle, now))
        }
        Statement::Removal(request, standing) => {
            let csi = &request.removal.unverified().subject;
            let held = Held::read(update.find(csi)?)?;
            (csi, removal::remove(held, request, *standing))
        }
        Statement::Release(release) => {
            let csi = &release.unverified().subject;
            let held = Held::read(update.find(csi)?)?;
            (csi, Ok(removal::release(held, release)))
        }
    };
    let next = match outcome {
        Ok(next) => next,
        Err(refusal) => return Ok(Err(refusal)),
    };
    if let Some(row) = &next.row {
        update.put(csi, row)?;
    }
    for (action, object) in &next.actions {
        journal.note(now, *action, object);
    }
    Ok(Ok(next.outcome))
}

/// A row, decoded.
#[derive(Clone)]
struct Held {
    marks: Marks,
    bundle: Option<Bundle>,
    salt: Option<Salt>,
}

/// What becomes of a row.
struct Next {
    outcome: Outcome,
    /// What to put in its place, if it changes.
    row: Option<Row>,
    /// What is logged, with the signed objects.
    actions: Vec<(Action, Vec<u8>)>,
}

impl Held {
    fn read(row: Option<Row>) -> Result<Self, StoreError> {
        let Some(Row { marks, content }) = row else {
            return Ok(Self {
                marks: Marks::NONE,
                bundle: None,
                salt: None,
            });
        };
        let decode =
            |content: &Content| Bundle::decode(&content.bundle).map_err(|_| StoreError::Corrupt);
        Ok(Self {
            marks,
            bundle: content.as_ref().map(decode).transpose()?,
            salt: content.map(|content| content.salt),
        })
    }

    /// The row with these marks and this content; the salt stays while there is
    /// content, since the record's is derived from it and the content.
    fn next(&self, csi: &Csi, marks: Marks, bundle: Option<&Bundle>) -> Row {
        let content = bundle.map(|bundle| Content {
            csi: csi.clone(),
            bundle: Zeroizing::new(bundle.encode().to_vec()),
            salt: self.salt.unwrap_or_else(|| Salt::random(&mut rand::rng())),
        });
        Row { marks, content }
    }
}

#[cfg(test)]
mod tests;
