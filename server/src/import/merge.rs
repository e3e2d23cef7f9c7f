//! The conflict rule, applied to a row.

use protocol::bundle::Bundle;
use protocol::credential::SignedCredential;
use protocol::mapping::SignedMapping;
use protocol::precedence::{Precedence, compare, delists};
use protocol::time::UnixTime;

use super::item::{ItemError, Verified};
use crate::store::{Row, StoreError};

/// What an item does to its row.
#[derive(Debug)]
pub(super) enum Merged {
    /// There was none.
    Added(Bundle),
    /// It changes.
    Updated(Bundle),
    /// Nothing: everything was there.
    Unchanged,
}

/// Merges a verified item into the row of its identifier.
pub(super) fn merge(
    stored: Option<&Row>,
    incoming: &Verified,
    now: UnixTime,
) -> Result<Result<Merged, ItemError>, StoreError> {
    let stored = match stored {
        None => None,
        Some(row) => Some(Bundle::decode(&row.bundle).map_err(|_| StoreError::Corrupt)?),
    };
    Ok(merge_bundle(stored.as_ref(), incoming, now))
}

fn merge_bundle(
    stored: Option<&Bundle>,
    incoming: &Verified,
    now: UnixTime,
) -> Result<Merged, ItemError> {
    let news = effective(incoming.mappings.clone(), now);
    let Some(stored) = stored else {
        return Ok(Merged::Added(Bundle::new(
            incoming.credential.clone(),
            news,
        )?));
    };
    let (credential, mut mappings) = choose(stored, incoming)?;
    let kept = mappings.len();
    for new in news {
        if !is_known(&mappings[..kept], &new)? {
            mappings.push(new);
        }
    }
    let bundle = Bundle::new(credential.clone(), effective(mappings, now))?;
    if bundle.encode() == stored.encode() {
        Ok(Merged::Unchanged)
    } else {
        Ok(Merged::Updated(bundle))
    }
}

/// The credential that counts, and the stored mappings that stand on it.
fn choose<'a>(
    stored: &'a Bundle,
    incoming: &'a Verified,
) -> Result<(&'a SignedCredential, Vec<SignedMapping>), ItemError> {
    let (old, new) = (stored.credential().unverified(), incoming.claims());
    let same_holder = old.assignment == new.assignment && old.holder == new.holder;
    match compare(
        incoming.credential.revision(),
        stored.credential().revision(),
    ) {
        Precedence::Newer => {
            let mappings = if same_holder {
                stored.mappings().to_vec()
            } else {
                Vec::new()
            };
            Ok((&incoming.credential, mappings))
        }
        Precedence::Replay => Ok((stored.credential(), stored.mappings().to_vec())),
        // An older credential of the same key carries its mappings just as well.
        Precedence::Older if same_holder => Ok((stored.credential(), stored.mappings().to_vec())),
        Precedence::Older => Err(ItemError::OlderCredential),
        Precedence::Equivocation => Err(ItemError::CredentialEquivocation),
    }
}

/// Whether a mapping is stored already.
fn is_known(stored: &[SignedMapping], new: &SignedMapping) -> Result<bool, ItemError> {
    for old in stored {
        if old.unverified().id == new.unverified().id {
            match compare(new.revision(), old.revision()) {
                Precedence::Newer => {}
                Precedence::Replay => return Ok(true),
                Precedence::Older => return Err(ItemError::OlderMapping),
                Precedence::Equivocation => return Err(ItemError::MappingEquivocation),
            }
        } else if delists(old.unverified(), new.unverified()) {
            return Err(ItemError::Delisted);
        }
    }
    Ok(false)
}

/// Without those that another one, in effect by now, has replaced or de-listed.
/// An expired one stays: it keeps what it replaced from coming back.
fn effective(mappings: Vec<SignedMapping>, now: UnixTime) -> Vec<SignedMapping> {
    let replaced = |mapping: &SignedMapping| {
        let mapping = mapping.unverified();
        mappings.iter().map(SignedMapping::unverified).any(|other| {
            let same_id = other.id == mapping.id && other.version() > mapping.version();
            other.not_before <= now && (same_id || delists(other, mapping))
        })
    };
    mappings
        .iter()
        .filter(|mapping| !replaced(mapping))
        .cloned()
        .collect()
}
