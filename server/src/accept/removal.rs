//! Removals and releases, applied to a row.

use protocol::audit::Action;
use protocol::bundle::Bundle;
use protocol::credential::CredentialError;
use protocol::mapping::SignedMapping;
use protocol::precedence::Version;
use protocol::removal::SignedRelease;
use protocol::wire::RemovalRequest;

use super::merge::{Standing, choose};
use super::{Held, Next, Outcome, Refusal};
use crate::store::Marks;

/// Takes away what the recipient removes. A newer credential for another key or
/// assignment takes over as in a publication: what stood on the one before goes.
pub(super) fn remove(
    held: Held,
    request: &RemovalRequest,
    standing: Result<(), CredentialError>,
) -> Result<Next, Refusal> {
    let credential = &request.credential;
    let removal = request.removal.unverified();
    let claims = credential.unverified();
    let known = held.bundle.as_ref().is_some_and(|bundle| {
        let held = bundle.credential().unverified();
        held.assignment == claims.assignment && held.holder == claims.holder
    });
    // The holder that the store knows may remove after the credential's end, and
    // after its CSIP has lost trust.
    if !known {
        standing?;
    }
    if held.marks.has_released(removal.assignment) {
        // The release has taken away all that this could.
        return Ok(Next::unchanged());
    }
    // A credential without a trusted CSIP behind it is not taken up.
    let counts = match (&held.bundle, standing) {
        (Some(bundle), Err(_)) => bundle.credential(),
        _ => credential,
    };
    let Standing {
        credential: counts,
        kept: stood,
        dropped,
    } = choose(&held, counts)?;
    let marks = Marks {
        statements: held.marks.statements.max(removal.version()).max(dropped),
        credentials: held.marks.credentials.max(counts.revision().version),
    };
    let before = held
        .bundle
        .as_ref()
        .map_or(0, |bundle| bundle.mappings().len());
    let kept: Vec<SignedMapping> = stood
        .into_iter()
        .filter(|mapping| !removal.removes(mapping.unverified()))
        .collect();
    if kept.len() == before && marks == held.marks {
        return Ok(Next::unchanged());
    }
    // Some of the same mappings are a bundle as well.
    let bundle = match kept.is_empty() {
        true => None,
        false => Some(Bundle::new(counts.clone(), kept)?),
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
        // What it ended was not taken up again.
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
