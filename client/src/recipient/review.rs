//! What a provider holds, compared with what the recipient knows.

use protocol::cose::VerifyingKey;
use protocol::credential::SignedCredential;
use protocol::mapping::{Mapping, SignedMapping};
use protocol::precedence::{Precedence, compare, delists};
use protocol::time::UnixTime;
use protocol::wire::Holdings;
use serde::Serialize;

/// What came of the comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Review {
    /// The credential that the provider holds.
    pub credential: CredentialStanding,
    /// Every mapping that it holds, in the order of the bundle.
    pub held: Vec<Held>,
    /// Mappings that it should hold and doesn't, by id.
    pub missing: Vec<Missing>,
}

impl Review {
    /// Whether the provider holds nothing that it shouldn't and misses nothing
    /// without saying why.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let known = |held: &Held| {
            use Standing::{AsPublished, EarlierKey, Elsewhere};
            matches!(held.standing, AsPublished | Elsewhere | EarlierKey)
        };
        let explained = |missing: &Missing| missing.absence == Absence::Removed;
        self.credential != CredentialStanding::Foreign
            && self.held.iter().all(known)
            && self.missing.iter().all(explained)
    }
}

/// The credential that a provider holds, compared with the recipient's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CredentialStanding {
    /// None is held.
    Absent,
    /// The recipient's own.
    Current,
    /// An earlier one for the same key: the recipient's should be published.
    Older,
    /// A later one for the same key, as from another device.
    Newer,
    /// An earlier one for an earlier key of the recipient's: the recipient's
    /// should be published, and the mappings under it anew.
    EarlierKey,
    /// One for another key, or another one of the same time.
    Foreign,
}

/// A mapping that is held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Held {
    /// What it states.
    #[serde(flatten)]
    pub mapping: Mapping,
    /// How it stands to what the recipient knows.
    pub standing: Standing,
}

/// How a mapping that is held stands to what the recipient knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Published from here.
    AsPublished,
    /// Signed by the recipient's key, but not published from here: by another
    /// device with the same key.
    Elsewhere,
    /// Signed by an earlier key of the recipient's, under the credential for it.
    EarlierKey,
    /// Signed by the recipient's key, but replaced or removed since.
    Withdrawn,
    /// Not signed by the recipient's key for this identifier and assignment.
    NotMine,
}

/// A mapping that should be held and isn't.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// What it states.
    #[serde(flatten)]
    pub mapping: Mapping,
    /// What the provider says about it.
    pub absence: Absence,
}

/// What a provider says about a mapping that it doesn't hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Absence {
    /// That it accepted a later removal.
    Removed,
    /// Nothing.
    Unexplained,
}

/// Compares what a provider holds with what this device knows it to have
/// accepted. `credential` is the recipient's own; `was_mine` says which other
/// keys were the recipient's.
#[must_use]
pub fn review(
    credential: &SignedCredential,
    held: &Holdings,
    expected: Option<&Holdings>,
    was_mine: impl Fn(&VerifyingKey) -> bool,
    now: UnixTime,
) -> Review {
    let theirs = held.bundle.as_ref();
    let mappings = theirs.map_or(&[][..], |bundle| bundle.mappings());
    // Statements under an earlier key or assignment count no more.
    let expected = expected.filter(|expected| {
        expected.bundle.as_ref().is_none_or(|bundle| {
            let (old, new) = (bundle.credential().unverified(), credential.unverified());
            old.holder == new.holder && old.assignment == new.assignment
        })
    });
    let own = expected
        .and_then(|expected| expected.bundle.as_ref())
        .map_or(&[][..], |bundle| bundle.mappings());
    let credential_standing = theirs.map_or(CredentialStanding::Absent, |bundle| {
        credential_standing(credential, bundle.credential(), was_mine)
    });
    let earlier = theirs
        .filter(|_| credential_standing == CredentialStanding::EarlierKey)
        .map(|bundle| bundle.credential().unverified());
    let standing = |mapping: &SignedMapping| match earlier {
        Some(earlier) if mapping.authenticate(earlier).is_ok() => Standing::EarlierKey,
        _ => standing(credential, mapping, expected, own),
    };
    let held_mappings: Vec<Held> = mappings
        .iter()
        .map(|mapping| Held {
            mapping: mapping.unverified().clone(),
            standing: standing(mapping),
        })
        .collect();
    let missing = own.iter().map(SignedMapping::unverified).filter(|mine| {
        let believed = held_mappings
            .iter()
            .filter(|held| !matches!(held.standing, Standing::NotMine | Standing::EarlierKey))
            .map(|held| &held.mapping);
        let mut successors = believed.filter(|held| held.version() >= mine.version());
        let replaced = successors.any(|held| held.id == mine.id || delists(held, mine));
        now < mine.expires && !replaced
    });
    let missing = missing.map(|mine| Missing {
        mapping: mine.clone(),
        absence: if held.floor >= mine.version() {
            Absence::Removed
        } else {
            Absence::Unexplained
        },
    });
    let missing = missing.collect();
    Review {
        credential: credential_standing,
        held: held_mappings,
        missing,
    }
}

fn standing(
    credential: &SignedCredential,
    mapping: &SignedMapping,
    expected: Option<&Holdings>,
    own: &[SignedMapping],
) -> Standing {
    let claims = credential.unverified();
    let Ok(held) = mapping.authenticate(claims) else {
        return Standing::NotMine;
    };
    if held.assignment != claims.assignment {
        return Standing::NotMine;
    }
    for mine in own {
        let stated = mine.unverified();
        if stated.id != held.id {
            if delists(stated, held) {
                return Standing::Withdrawn;
            }
            continue;
        }
        return match compare(mapping.revision(), mine.revision()) {
            Precedence::Replay => Standing::AsPublished,
            Precedence::Newer => Standing::Elsewhere,
            Precedence::Older => Standing::Withdrawn,
            // Signed twice by this key: the other device's.
            Precedence::Equivocation => Standing::Elsewhere,
        };
    }
    // A removal of one mapping raises the floor too; others of before may be
    // held only if they were expected.
    match expected {
        Some(expected) if held.version() <= expected.floor => Standing::Withdrawn,
        _ => Standing::Elsewhere,
    }
}

fn credential_standing(
    mine: &SignedCredential,
    theirs: &SignedCredential,
    was_mine: impl Fn(&VerifyingKey) -> bool,
) -> CredentialStanding {
    let (own, held) = (mine.unverified(), theirs.unverified());
    let precedence = compare(theirs.revision(), mine.revision());
    if own.holder != held.holder {
        return if precedence == Precedence::Older && was_mine(&held.holder) {
            CredentialStanding::EarlierKey
        } else {
            CredentialStanding::Foreign
        };
    }
    match precedence {
        Precedence::Replay => CredentialStanding::Current,
        Precedence::Older => CredentialStanding::Older,
        Precedence::Newer => CredentialStanding::Newer,
        Precedence::Equivocation => CredentialStanding::Foreign,
    }
}

#[cfg(test)]
mod tests;
