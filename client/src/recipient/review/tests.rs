use protocol::bundle::Bundle;
use protocol::cose::{SigningKey, VerifyingKey};
use protocol::mapping::Replaces;
use protocol::precedence::Version;
use protocol::removal::{Removal, RemovalTarget};

use super::*;
use crate::fixture::party::Party;
use crate::recipient::{after_publication, after_removal, known_before};

const FLOOR: Version = Version {
    assignment: 0,
    seq: 0,
};

fn held(bundle: Bundle) -> Holdings {
    Holdings {
        floor: FLOOR,
        bundle: Some(bundle),
    }
}

fn reviewed(party: &Party, held: &Holdings, expected: Option<&Holdings>) -> Review {
    let nobody = |_: &VerifyingKey| false;
    review(&party.credential, held, expected, nobody, UnixTime::now())
}

fn standings(review: &Review) -> Vec<Standing> {
    review.held.iter().map(|held| held.standing).collect()
}

fn removal(party: &Party, target: RemovalTarget, seq: u64) -> Removal {
    Removal {
        subject: party.csi(),
        target,
        seq,
        issued_at: UnixTime::now(),
        assignment: party.credential.unverified().assignment,
    }
}

#[test]
fn what_was_published_is_found() {
    let party = Party::new("a");
    let bundle = party.bundle(&[
        party.mapping(1, 5, &["a.example"]),
        party.mapping(2, 6, &["b.example"]),
    ]);
    let expected = after_publication(None, &bundle).unwrap();
    let review = reviewed(&party, &held(bundle), Some(&expected));
    assert_eq!(review.credential, CredentialStanding::Current);
    assert_eq!(standings(&review), [Standing::AsPublished; 2]);
    assert!(review.missing.is_empty());
    assert!(review.is_sound());
    let nothing = Holdings {
        floor: FLOOR,
        bundle: None,
    };
    let review = reviewed(&party, &nothing, None);
    assert_eq!(review.credential, CredentialStanding::Absent);
    assert!(review.is_sound());
}

#[test]
fn what_the_key_did_not_sign_is_told_apart_from_other_devices() {
    let (party, other) = (Party::new("a"), Party::new("b"));
    let mut forged = party.statement(2, 6, &["evil.example"]);
    let mine = party.mapping(1, 5, &["a.example"]);
    let forged_by = forged.clone().sign(&other.key).unwrap();
    let bundle = party.bundle(&[mine.clone(), forged_by]);
    let review = reviewed(&party, &held(bundle), None);
    assert_eq!(standings(&review), [Standing::Elsewhere, Standing::NotMine]);
    assert!(!review.is_sound());
    // Signed by the key, but under an assignment that isn't the credential's.
    forged.assignment = 0;
    let early = forged.sign(&party.key).unwrap();
    let review = reviewed(&party, &held(party.bundle(&[early])), None);
    assert_eq!(standings(&review), [Standing::NotMine]);
    let review = reviewed(&party, &held(party.bundle(&[mine])), None);
    assert!(review.is_sound());
}

#[test]
fn a_provider_that_kept_what_was_replaced_or_removed_is_found_out() {
    let party = Party::new("a");
    let old = party.bundle(&[
        party.mapping(1, 5, &["a.example"]),
        party.mapping(2, 5, &["b.example"]),
    ]);
    let before = after_publication(None, &old).unwrap();
    let newer = party.bundle(&[party.mapping(1, 7, &["c.example"])]);
    let replaced = after_publication(Some(&before), &newer).unwrap();
    let review = reviewed(&party, &held(old.clone()), Some(&replaced));
    assert_eq!(
        standings(&review),
        [Standing::Withdrawn, Standing::AsPublished]
    );
    assert_eq!(review.missing.len(), 1);
    assert_eq!(review.missing[0].absence, Absence::Unexplained);
    assert!(!review.is_sound());
    let removed = after_removal(Some(&before), &removal(&party, RemovalTarget::All, 8)).unwrap();
    let review = reviewed(&party, &held(old.clone()), Some(&removed));
    assert_eq!(standings(&review), [Standing::Withdrawn; 2]);
    // An opt-out takes the place of everything.
    let out = party.bundle(&[party.mapping(3, 9, &[])]);
    let opted_out = after_publication(Some(&before), &out).unwrap();
    let review = reviewed(&party, &held(old), Some(&opted_out));
    assert_eq!(standings(&review), [Standing::Withdrawn; 2]);
    assert_eq!(review.missing.len(), 1);
}

#[test]
fn what_is_missing_is_explained_or_not() {
    let party = Party::new("a");
    let published = party.bundle(&[
        party.mapping(1, 5, &["a.example"]),
        party.mapping(2, 6, &["b.example"]),
    ]);
    let expected = after_publication(None, &published).unwrap();
    let only_second = party.bundle(&[party.mapping(2, 6, &["b.example"])]);
    let review = reviewed(&party, &held(only_second.clone()), Some(&expected));
    assert_eq!(review.missing.len(), 1);
    assert_eq!(review.missing[0].absence, Absence::Unexplained);
    assert!(!review.is_sound());
    let later = Holdings {
        floor: Version {
            assignment: 1,
            seq: 7,
        },
        bundle: Some(only_second),
    };
    let review = reviewed(&party, &later, Some(&expected));
    assert_eq!(review.missing[0].absence, Absence::Removed);
    assert!(review.is_sound());
    // Replaced by another device's mapping, which this key has signed.
    let mut all = party.statement(9, 8, &["z.example"]);
    all.replaces = Replaces::All;
    let all = party.bundle(&[all.sign(&party.key).unwrap()]);
    let review = reviewed(&party, &held(all.clone()), Some(&expected));
    assert_eq!(standings(&review), [Standing::Elsewhere]);
    assert!(review.missing.is_empty());
    // The same by another key replaces nothing.
    let stranger = SigningKey::from_seed(&[1; 32]);
    let forged = all.mappings()[0].unverified().sign(&stranger).unwrap();
    let review = reviewed(&party, &held(party.bundle(&[forged])), Some(&expected));
    assert_eq!(review.missing.len(), 2);
    // Expired mappings are missed by nobody.
    let end = party.credential.unverified().expires;
    let nothing = Holdings {
        floor: FLOOR,
        bundle: None,
    };
    let review = super::review(&party.credential, &nothing, Some(&expected), |_| false, end);
    assert!(review.missing.is_empty());
}

#[test]
fn credentials_are_compared() {
    let key = || SigningKey::from_seed(&[6; 32]);
    let party = Party::with("a", key(), 3600, 1);
    let standing = |other: &Party| reviewed(&party, &held(other.bundle(&[])), None).credential;
    let older = Party::with("a", key(), 7200, 1);
    let newer = Party::with("a", key(), 60, 1);
    let stranger = Party::with("a", SigningKey::from_seed(&[1; 32]), 60, 2);
    assert_eq!(standing(&party), CredentialStanding::Current);
    assert_eq!(standing(&older), CredentialStanding::Older);
    assert_eq!(standing(&newer), CredentialStanding::Newer);
    assert_eq!(standing(&stranger), CredentialStanding::Foreign);
    let review = reviewed(&party, &held(stranger.bundle(&[])), None);
    assert!(!review.is_sound());
}

#[test]
fn what_stands_under_an_earlier_key_is_told_apart_from_strangers() {
    let old = Party::new("a");
    let new = Party::with("a", SigningKey::from_seed(&[6; 32]), 60, 1);
    let stranger = SigningKey::from_seed(&[1; 32]);
    let mine = old.mapping(1, 5, &["a.example"]);
    let forged = old.statement(2, 6, &["evil.example"]).sign(&stranger);
    let there = held(old.bundle(&[mine.clone(), forged.unwrap()]));
    let earlier = old.key.verifying_key();
    let compared = |held: &Holdings, party: &Party| {
        let was_mine = |key: &VerifyingKey| *key == earlier;
        review(&party.credential, held, None, was_mine, UnixTime::now())
    };
    let review = compared(&there, &new);
    assert_eq!(review.credential, CredentialStanding::EarlierKey);
    assert_eq!(
        standings(&review),
        [Standing::EarlierKey, Standing::NotMine]
    );
    assert!(!review.is_sound());
    assert!(compared(&held(old.bundle(&[mine])), &new).is_sound());
    // A newer one for a key that is no longer in use is not to be expected.
    let later = Party::with("a", Party::new("a").key, 10, 1);
    let review = compared(&held(later.bundle(&[])), &new);
    assert_eq!(review.credential, CredentialStanding::Foreign);
}

#[test]
fn a_new_key_or_assignment_begins_anew() {
    let old = Party::new("a");
    let published = old.bundle(&[old.mapping(1, 5, &["a.example"])]);
    let before = after_publication(None, &published).unwrap();
    let key = SigningKey::from_seed(&[6; 32]);
    for new in [
        Party::with("a", key, 60, 1),
        Party::with("a", Party::new("a").key, 60, 2),
    ] {
        let nothing = Holdings {
            floor: FLOOR,
            bundle: None,
        };
        assert!(reviewed(&new, &nothing, Some(&before)).missing.is_empty());
        let bundle = new.bundle(&[new.mapping(2, 6, &["b.example"])]);
        let after = after_publication(Some(&before), &bundle).unwrap();
        assert_eq!(after.bundle.unwrap().encode(), bundle.encode());
    }
    // A renewed credential keeps what stands.
    let renewed = Party::with("a", Party::new("a").key, 60, 1);
    let after = after_publication(Some(&before), &renewed.bundle(&[])).unwrap();
    let after = after.bundle.unwrap();
    assert_eq!(after.mappings().len(), 1);
    assert_eq!(after.credential().as_bytes(), renewed.credential.as_bytes());
}

#[test]
fn another_devices_mappings_are_known_from_then_on() {
    let party = Party::new("a");
    let stranger = SigningKey::from_seed(&[1; 32]);
    let theirs = party.mapping(2, 4, &["b.example"]);
    let forged = party.statement(3, 4, &["c.example"]).sign(&stranger);
    let there = held(party.bundle(&[theirs.clone(), forged.unwrap()]));
    let known = known_before(&party.credential, &there, None).unwrap();
    let known = known.unwrap();
    let adopted = known.bundle.as_ref().unwrap().mappings();
    assert_eq!(adopted.len(), 1);
    assert_eq!(adopted[0].as_bytes(), theirs.as_bytes());
    // A removal of one mapping leaves the other in its right.
    let mine = party.bundle(&[party.mapping(1, 5, &["a.example"])]);
    let both = after_publication(Some(&known), &mine).unwrap();
    let gone = removal(
        &party,
        RemovalTarget::Mapping(mine.mappings()[0].unverified().id),
        9,
    );
    let after = after_removal(Some(&both), &gone).unwrap();
    assert_eq!(after.floor.seq, 9);
    let review = reviewed(&party, &held(party.bundle(&[theirs])), Some(&after));
    assert_eq!(standings(&review), [Standing::AsPublished]);
    assert!(review.is_sound());
}
