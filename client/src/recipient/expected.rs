//! What a provider must hold after a statement, by the conflict rule.

use protocol::bundle::{Bundle, BundleError};
use protocol::credential::SignedCredential;
use protocol::mapping::SignedMapping;
use protocol::precedence::{Version, delists};
use protocol::removal::Removal;
use protocol::time::UnixTime;
use protocol::wire::Holdings;

use super::review::{Standing, review};

/// What is known before a statement: `expected`, and what the recipient's key
/// has published from elsewhere and the provider holds.
///
/// # Errors
/// [`BundleError`] if that is more than can be held.
pub fn known_before(
    credential: &SignedCredential,
    held: &Holdings,
    expected: Option<&Holdings>,
) -> Result<Option<Holdings>, BundleError> {
    let review = review(
        credential,
        held,
        expected,
        |_| false,
        UnixTime::from_secs(0),
    );
    let theirs = held.bundle.as_ref().map_or(&[][..], Bundle::mappings);
    let elsewhere = theirs.iter().zip(review.held);
    let elsewhere: Vec<SignedMapping> = elsewhere
        .filter(|(_, held)| held.standing == Standing::Elsewhere)
        .map(|(mapping, _)| mapping.clone())
        .collect();
    if elsewhere.is_empty() {
        return Ok(expected.cloned());
    }
    after_publication(expected, &Bundle::new(credential.clone(), elsewhere)?).map(Some)
}

/// What is to be expected after `published` was accepted: its credential, and
/// its mappings beside those of `before` that they don't replace. Under another
/// key or assignment those of `before` are gone.
///
/// # Errors
/// [`BundleError`] if so much can't be held.
pub fn after_publication(
    before: Option<&Holdings>,
    published: &Bundle,
) -> Result<Holdings, BundleError> {
    let credential = published.credential();
    let new = published.mappings();
    let kept = before
        .and_then(|before| before.bundle.as_ref())
        .filter(|before| {
            let (old, new) = (before.credential().unverified(), credential.unverified());
            old.holder == new.holder && old.assignment == new.assignment
        })
        .map_or(&[][..], Bundle::mappings);
    let stays = |old: &&SignedMapping| {
        let old = old.unverified();
        !new.iter().map(|new| new.unverified()).any(|new| {
            let same_id = new.id == old.id && new.version() >= old.version();
            same_id || delists(new, old)
        })
    };
    let mappings = kept.iter().filter(stays).chain(new).cloned().collect();
    Ok(Holdings {
        floor: before.map_or(NOTHING, |before| before.floor),
        bundle: Some(Bundle::new(credential.clone(), mappings)?),
    })
}

/// What is to be expected after `removal` was accepted.
///
/// # Errors
/// [`BundleError`]; never for what could be held before.
pub fn after_removal(
    before: Option<&Holdings>,
    removal: &Removal,
) -> Result<Holdings, BundleError> {
    let floor = before.map_or(NOTHING, |before| before.floor);
    let bundle = before.and_then(|before| before.bundle.as_ref());
    let left = bundle.map(|bundle| {
        let mappings = bundle.mappings().iter();
        let mappings = mappings.filter(|mapping| !removal.removes(mapping.unverified()));
        Bundle::new(bundle.credential().clone(), mappings.cloned().collect())
    });
    Ok(Holdings {
        floor: floor.max(removal.version()),
        bundle: left.transpose()?,
    })
}

/// The floor where nothing was removed.
const NOTHING: Version = Version {
    assignment: 0,
    seq: 0,
};
