//! Removals and releases, applied to a row.

use protocol::audit::Action;
use protocol::bundle::Bundle;
use protocol::mapping::SignedMapping;
use protocol::precedence::Version;
use protocol::removal::SignedRelease;
use protocol::time::UnixTime;
use protocol::wire::RemovalRequest;

use super::{Held, Next, Outcome, Refusal};
use crate::store::Marks;

/// Takes away what the recipient removes.
pub(super) fn remove(held: Held, request: &RemovalRequest, now: UnixTime) -> Result<Next, Refusal> {
    let credential = &request.credential;
    let removal = request.removal.unverified();
    if held.marks.has_released(removal.assignment) {
        // It can take nothing away that the release hasn't.
        return Ok(Next::unchanged());
    }
    let claims = credential.unverified();
    let known = held.bundle.as_ref().is_some_and(|bundle| {
        let held = bundle.credential().unverified();
        held.assignment == claims.assignment && held.holder == claims.holder
    });
    if !known && credential.revision().version < held.marks.credentials {
        return Err(Refusal::OlderCredential);
    }
    // The holder that the store knows may remove after the credential's end.
    if !known {
        claims.check_time(now)?;
    }
    let marks = Marks {
        statements: held.marks.statements.max(removal.version()),
        credentials: held.marks.credentials.max(credential.revision().version),
    };
    let kept = held.bundle.as_ref().map(|bundle| {
        let kept = bundle
            .mappings()
            .iter()
            .filter(|mapping| !removal.removes(mapping.unverified()));
        (bundle, kept.cloned().collect::<Vec<SignedMapping>>())
    });
    let removed = kept
        .as_ref()
        .is_some_and(|(bundle, kept)| kept.len() < bundle.mappings().len());
    if !removed && marks == held.marks {
        return Ok(Next::unchanged());
    }
    let bundle = match kept {
        // Fewer of the same mappings are a bundle as well.
        Some((bundle, kept)) if !kept.is_empty() => {
            Some(Bundle::new(bundle.credential().clone(), kept)?)
        }
        _ => None,
    };
    Ok(Next {
        outcome: Outcome::Changed,
        row: Some(held.next(&removal.subject, marks, bundle.as_ref())),
        actions: vec![(Action::Removal, request.removal.as_bytes().to_vec())],
    })
}

/// Ends an assignment, and all before it.
pub(super) fn release(held: Held, release: &SignedRelease) -> Next {
    let stated = release.unverified();
    if held.marks.has_released(stated.assignment) {
        return Next::unchanged();
    }
    let end = Version {
        assignment: stated.assignment,
        seq: u64::MAX,
    };
    let marks = Marks {
        statements: held.marks.statements.max(end),
        ..held.marks
    };
    let kept = held
        .bundle
        .as_ref()
        .filter(|bundle| !stated.voids(bundle.credential().unverified().assignment));
    Next {
        outcome: Outcome::Changed,
        row: Some(held.next(&stated.subject, marks, kept)),
        actions: vec![(Action::Release, release.as_bytes().to_vec())],
    }
}

impl Next {
    pub(super) const fn unchanged() -> Self {
        Self {
            outcome: Outcome::Unchanged,
            row: None,
            actions: Vec::new(),
        }
    }
}
