//! From a bundle to the result of a lookup.

use super::Bundle;
use crate::csi::Csi;
use crate::lookup::{Lookup, Unverifiable};
use crate::mapping::{Mapping, Readers, SignedMapping};
use crate::precedence::{Precedence, compare, delists};
use crate::time::UnixTime;
use crate::trust::TrustList;

/// What the record found for `csi` says at `now`; `None` is proven absence.
///
/// 1. The credential must be for `csi`, signed by a CSIP that `trust` lists for
///    it, and valid; every mapping must be signed by its holder for the same
///    CSI; no mapping may be of a later assignment; no two may have the same id
///    and version. Else the result is [`Lookup::Unverifiable`], whatever the
///    rest of the bundle says.
/// 2. Mappings of an earlier assignment are dead. Those before their
///    `not_before` have no effect yet.
/// 3. Of each id the highest version counts; of different ids, [`delists`]
///    decides: one that replaces all de-lists what is older, an opt-out also
///    what is as old. What has been superseded or de-listed stays so when its
///    successor expires.
/// 4. Expired mappings are dropped. If one with entries is left, the result is
///    [`Lookup::Mappings`] of all such, by id; if only an opt-out,
///    [`Lookup::OptedOut`]; if nothing, [`Lookup::NoMapping`].
pub fn evaluate(bundle: Option<&Bundle>, csi: &Csi, trust: &TrustList, now: UnixTime) -> Lookup {
    let Some(bundle) = bundle else {
        return Lookup::NoMapping;
    };
    evaluate_for(bundle, csi, trust, now, Readers::Everyone)
}

/// As [`evaluate`], of a record that was signed for these readers.
pub fn evaluate_for(
    bundle: &Bundle,
    csi: &Csi,
    trust: &TrustList,
    now: UnixTime,
    readers: Readers<'_>,
) -> Lookup {
    let live = match live(bundle, csi, trust, now, readers) {
        Ok(live) => live,
        Err(why) => return Lookup::Unverifiable(why),
    };
    if live.is_empty() {
        return Lookup::NoMapping;
    }
    let listed: Vec<Mapping> = live
        .into_iter()
        .filter(|mapping| !mapping.is_opt_out())
        .cloned()
        .collect();
    if listed.is_empty() {
        Lookup::OptedOut
    } else {
        Lookup::Mappings(listed)
    }
}

/// The mappings that hold at `now`, opt-outs included, by id.
fn live<'a>(
    bundle: &'a Bundle,
    csi: &Csi,
    trust: &TrustList,
    now: UnixTime,
    readers: Readers<'_>,
) -> Result<Vec<&'a Mapping>, Unverifiable> {
    let credential = bundle.credential.verify(trust, now)?;
    if credential.subject != *csi {
        return Err(Unverifiable::CredentialSubject);
    }
    let mut effective = Vec::with_capacity(bundle.mappings.len());
    for signed in &bundle.mappings {
        let mapping = signed.authenticate_for(&credential, readers)?;
        if mapping.assignment > credential.assignment {
            return Err(Unverifiable::MappingAssignment);
        }
        if mapping.assignment == credential.assignment && mapping.not_before <= now {
            effective.push(mapping);
        }
    }
    // Sorted by id and version: contradictions are neighbours.
    if bundle
        .mappings
        .windows(2)
        .any(|pair| contradict(&pair[0], &pair[1]))
    {
        return Err(Unverifiable::Equivocation);
    }
    let over = |mapping: &Mapping| {
        effective.iter().any(|other| {
            let superseded = other.id == mapping.id && other.version() > mapping.version();
            superseded || delists(other, mapping)
        })
    };
    let holds = |mapping: &&Mapping| now < mapping.expires && !over(mapping);
    Ok(effective.iter().copied().filter(holds).collect())
}

fn contradict(a: &SignedMapping, b: &SignedMapping) -> bool {
    a.unverified().id == b.unverified().id
        && compare(a.revision(), b.revision()) == Precedence::Equivocation
}

#[cfg(test)]
mod tests;
