//! The conflict rule, applied to a row.

use protocol::audit::Action;
use protocol::bundle::Bundle;
use protocol::credential::SignedCredential;
use protocol::mapping::SignedMapping;
use protocol::precedence::{Precedence, Version, compare, delists};
use protocol::time::UnixTime;

use super::{Held, Next, Outcome, Refusal};
use crate::store::Marks;

/// Merges a verified publication into the row of its identifier.
///
/// 1. No credential of a released assignment, and none older than the newest
///    known one, unless for the same key and assignment.
/// 2. A newer credential for another key or assignment takes the place of
///    everything that stood on the one before, which raises the mark to its
///    highest version.
/// 3. A mapping that is held already changes nothing. Any other must be above
///    the row's mark, newer than the held one of its id, and not de-listed.
/// 4. Mappings that another one in effect has replaced or de-listed go, and so
///    do those that have expired. One that has expired, or that de-listed others,
///    raises the mark to its version when it goes.
pub(super) fn merge(held: Held, incoming: &Bundle, now: UnixTime) -> Result<Next, Refusal> {
    let claims = incoming.credential().unverified();
    if held.marks.has_released(claims.assignment) {
        return Err(Refusal::Released);
    }
    let Standing {
        credential,
        kept,
        dropped,
    } = choose(&held, incoming.credential())?;
    let mut mappings = kept.clone();
    let mut actions = Vec::new();
    let is_new = held
        .bundle
        .as_ref()
        .is_none_or(|bundle| bundle.credential().as_bytes() != credential.as_bytes());
    if is_new {
        actions.push((Action::Credential, credential.as_bytes().to_vec()));
    }
    for new in effective(incoming.mappings(), now) {
        if !is_known(&kept, &new)? {
            if new.unverified().version() <= held.marks.statements {
                return Err(Refusal::Removed);
            }
            actions.push((Action::Mapping, new.as_bytes().to_vec()));
            mappings.push(new);
        }
    }
    let mut marks = Marks {
        credentials: held.marks.credentials.max(credential.revision().version),
        statements: held.marks.statements.max(dropped),
    };
    let in_effect = effective(&mappings, now);
    let goes = |mapping: &SignedMapping| {
        let expired = mapping.unverified().expires <= now;
        expired
            || !in_effect
                .iter()
                .any(|kept| kept.as_bytes() == mapping.as_bytes())
    };
    for mapping in mappings.iter().filter(|mapping| goes(mapping)) {
        let mapping = mapping.unverified();
        // What it kept from coming back must not come back after it.
        if mapping.expires <= now || mapping.replaces.all() || mapping.is_opt_out() {
            marks.statements = marks.statements.max(mapping.version());
        }
    }
    mappings.retain(|mapping| !goes(mapping));
    let bundle = Bundle::new(credential.clone(), mappings)?;
    let outcome = match &held.bundle {
        Some(before) if before.encode() == bundle.encode() && marks == held.marks => {
            return Ok(Next::unchanged());
        }
        Some(_) => Outcome::Changed,
        None => Outcome::Added,
    };
    Ok(Next {
        outcome,
        row: Some(held.next(&claims.subject, marks, Some(&bundle))),
        actions,
    })
}

/// What a row stands on once a credential has come in.
pub(super) struct Standing<'a> {
    /// The credential that counts.
    pub(super) credential: &'a SignedCredential,
    /// The held mappings that stand on it.
    pub(super) kept: Vec<SignedMapping>,
    /// The highest version of those that don't: another key's, or another
    /// holder's. They must not come back, should that key.
    pub(super) dropped: Version,
}

/// Compares a verified credential with the row's newest.
///
/// # Errors
/// [`Refusal::OlderCredential`], [`Refusal::CredentialEquivocation`].
pub(super) fn choose<'a>(
    held: &'a Held,
    incoming: &'a SignedCredential,
) -> Result<Standing<'a>, Refusal> {
    let takes_over = |dropped| Standing {
        credential: incoming,
        kept: Vec::new(),
        dropped,
    };
    let older_than_known = incoming.revision().version < held.marks.credentials;
    let Some(bundle) = &held.bundle else {
        return if older_than_known {
            Err(Refusal::OlderCredential)
        } else {
            Ok(takes_over(Marks::NONE.statements))
        };
    };
    let (old, new) = (bundle.credential().unverified(), incoming.unverified());
    let same_holder = old.assignment == new.assignment && old.holder == new.holder;
    let stays = |credential| Standing {
        credential,
        kept: bundle.mappings().to_vec(),
        dropped: Marks::NONE.statements,
    };
    match compare(incoming.revision(), bundle.credential().revision()) {
        Precedence::Newer if same_holder => Ok(stays(incoming)),
        Precedence::Newer if older_than_known => Err(Refusal::OlderCredential),
        Precedence::Newer => {
            let versions = bundle.mappings().iter().map(|m| m.unverified().version());
            Ok(takes_over(versions.max().unwrap_or(Marks::NONE.statements)))
        }
        Precedence::Replay => Ok(stays(bundle.credential())),
        // An older credential of the same key carries its mappings just as well.
        Precedence::Older if same_holder => Ok(stays(bundle.credential())),
        Precedence::Older => Err(Refusal::OlderCredential),
        Precedence::Equivocation => Err(Refusal::CredentialEquivocation),
    }
}

/// Whether a mapping is held already.
fn is_known(kept: &[SignedMapping], new: &SignedMapping) -> Result<bool, Refusal> {
    for old in kept {
        if old.unverified().id == new.unverified().id {
            match compare(new.revision(), old.revision()) {
                Precedence::Newer => {}
                Precedence::Replay => return Ok(true),
                Precedence::Older => return Err(Refusal::OlderMapping),
                Precedence::Equivocation => return Err(Refusal::MappingEquivocation),
            }
        } else if delists(old.unverified(), new.unverified()) {
            return Err(Refusal::Delisted);
        }
    }
    Ok(false)
}

/// Without those that another one, in effect by now, has replaced or de-listed.
pub fn effective(mappings: &[SignedMapping], now: UnixTime) -> Vec<SignedMapping> {
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
