//! What the records say, once nothing more is sent.

use protocol::cose::VerifyingKey;
use protocol::csi::Csi;
use protocol::lookup::Lookup;
use protocol::oprf::OprfOutput;
use protocol::time::UnixTime;
use rayon::prelude::*;

use super::Shared;
use super::evaluate::Asked;
use super::fetch::{Answered, Content};
use crate::error::ClientError;
use crate::found::{AudienceFound, Found};
use crate::slots::{Question, Slot};
use crate::snapshot::SnapshotView;

/// What a slot says, and whose credential it has.
type Resolved = (Lookup, Option<VerifyingKey>);

/// Checks every slot, dummies as well, so that the time taken doesn't depend on
/// the keyring.
pub(super) fn answer(
    shared: &Shared,
    view: &SnapshotView,
    asked: &[Asked],
    contents: Vec<Answered<Content>>,
) -> Vec<Result<Found, ClientError>> {
    let now = UnixTime::now();
    let slots = asked.iter().flat_map(|asked| {
        let slots = asked.question.slots.iter().zip(&asked.outputs);
        slots.map(move |(slot, output)| (&asked.question.csi, slot, output))
    });
    let slots: Vec<(&Csi, &Slot, &OprfOutput)> = slots.collect();
    let lookups: Vec<Result<Resolved, ClientError>> = slots
        .into_par_iter()
        .zip(contents)
        .map(|((csi, slot, output), content)| match content? {
            Content::Column(column) => {
                let trust = &shared.config.trust;
                Ok(view.resolve(csi, slot, output, &column, trust, now))
            }
            Content::Filtered => Ok((Lookup::NoMapping, None)),
        })
        .collect();
    let mut lookups = lookups.into_iter();
    asked
        .iter()
        .map(|asked| {
            let question = &asked.question;
            gather(
                question,
                lookups.by_ref().take(question.slots.len()).collect(),
            )
        })
        .collect()
}

/// The results of one identifier's slots. What a dummy's record says is dropped;
/// a failure of any slot is one of the whole lookup.
fn gather(
    question: &Question,
    lookups: Vec<Result<Resolved, ClientError>>,
) -> Result<Found, ClientError> {
    let mut public = Err(ClientError::Interrupted);
    let mut audiences = Vec::new();
    for (slot, lookup) in question.slots.iter().zip(lookups) {
        match slot {
            Slot::Public => public = lookup,
            Slot::Audience(audience) => {
                // A dummy that fails fails the lookup as well: what a sender
                // then does must not tell the one from the other.
                let (lookup, _) = lookup?;
                let Some(label) = &audience.label else {
                    continue;
                };
                if lookup != Lookup::NoMapping {
                    let label = label.clone();
                    audiences.push(AudienceFound { label, lookup });
                }
            }
        }
    }
    let (public, holder) = public?;
    Ok(Found {
        public,
        holder,
        audiences,
        not_asked: question.not_asked,
    })
}
