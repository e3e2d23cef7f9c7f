use std::collections::HashSet;

use proptest::prelude::*;
use protocol::cose::SigningKey;
use protocol::credential::{Credential, CredentialError, Issuer};
use protocol::mapping::{
    Entry, Mapping, MappingId, MspDomain, Policy, Preference, Readers, Replaces, SignedMapping,
};
use protocol::removal::{Release, ReleaseReason, Removal, RemovalTarget};
use protocol::trust::TrustList;
use protocol::wire::RemovalRequest;

use super::*;
use crate::store::embedded::EmbeddedStore;
use crate::store::{Store as _, StoreKeys};

mod audience;

const NOW: UnixTime = UnixTime::from_secs(1_795_392_000);
const DAY: u64 = 86_400;

const LIMITS: AudienceLimits = AudienceLimits {
    per_sender: 3,
    total: 5,
};

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

const CSIP: u8 = 1;
const ANN: u8 = 2;
const ANNS_NEW_KEY: u8 = 3;
const BOB: u8 = 4;

fn trust() -> TrustList {
    let key = key(CSIP).verifying_key().to_text();
    TrustList::from_toml(&format!(
        "[[csip]]\nissuer = \"csip.example\"\nkey = \"{key}\"\nscopes = [\"mailto:*@example.org\"]\n"
    ))
    .unwrap()
}

fn csi() -> Csi {
    Csi::parse("someone@example.org").unwrap()
}

/// A credential of the CSIP, `age` days old, for 30 days.
fn credential(holder: u8, assignment: u64, age: u64) -> Credential {
    let issued_at = NOW.saturating_sub(age * DAY);
    Credential {
        issuer: Issuer::new("csip.example").unwrap(),
        subject: csi(),
        holder: key(holder).verifying_key(),
        issued_at,
        expires: issued_at.saturating_add(30 * DAY),
        assignment,
    }
}

fn mapping(id: u8, seq: u64) -> Mapping {
    let msp = MspDomain::parse("msp.example").unwrap();
    Mapping {
        subject: csi(),
        id: MappingId([id; 16]),
        seq,
        not_before: NOW.saturating_sub(40 * DAY),
        expires: NOW.saturating_add(DAY),
        assignment: 1,
        replaces: Replaces::SameId,
        policy: Policy::OPEN,
        entries: vec![Entry::new(msp, Vec::new(), 0, Preference::Ordinary).unwrap()],
    }
}

fn of_assignment(assignment: u64, mapping: Mapping) -> Mapping {
    Mapping {
        assignment,
        ..mapping
    }
}

/// A store with the time that it is.
struct Bench {
    _directory: tempfile::TempDir,
    store: EmbeddedStore,
    now: UnixTime,
}

type Result<T> = std::result::Result<T, Refusal>;

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.redb");
        Self {
            store: EmbeddedStore::open(&path, StoreKeys::derive(&[3; 32])).unwrap(),
            _directory: directory,
            now: NOW,
        }
    }

    fn submit(&self, verify: impl FnOnce(Verifier<'_>) -> Result<Submission>) -> Result<Outcome> {
        let trust = trust();
        let submission = verify(Verifier {
            trust: &trust,
            now: self.now,
        })?;
        let mut applied = Ok(Outcome::Unchanged);
        self.store
            .update(&mut |update| {
                let mut journal = Journal::open(update)?;
                applied = apply(update, &mut journal, &submission, &LIMITS, self.now)?;
                journal.close(update).map(drop)
            })
            .unwrap();
        applied
    }

    fn publish(
        &self,
        holder: u8,
        credential: &Credential,
        mappings: &[Mapping],
    ) -> Result<Outcome> {
        let sign = |mapping: &Mapping| mapping.sign(&key(holder)).unwrap();
        self.publish_signed(credential, mappings.iter().map(sign).collect())
    }

    fn publish_signed(
        &self,
        credential: &Credential,
        mappings: Vec<SignedMapping>,
    ) -> Result<Outcome> {
        let credential = credential.clone().issue(&key(CSIP)).unwrap();
        let bundle = Bundle::new(credential, mappings).unwrap();
        self.submit(|verifier| verifier.publication(bundle))
    }

    fn remove(
        &self,
        holder: u8,
        credential: &Credential,
        target: RemovalTarget,
        seq: u64,
    ) -> Result<Outcome> {
        let removal = Removal {
            subject: csi(),
            target,
            seq,
            issued_at: self.now,
            assignment: credential.assignment,
        };
        let request = RemovalRequest {
            credential: credential.clone().issue(&key(CSIP)).unwrap(),
            removal: removal.sign(&key(holder)).unwrap(),
        };
        self.submit(|verifier| verifier.removal(request))
    }

    fn release(&self, assignment: u64) -> Result<Outcome> {
        let release = Release {
            issuer: Issuer::new("csip.example").unwrap(),
            subject: csi(),
            assignment,
            issued_at: self.now,
            reason: ReleaseReason::Reassigned,
        };
        let release = release.sign(&key(CSIP)).unwrap();
        self.submit(|verifier| verifier.release(release))
    }

    /// Ids and seqs of the mappings that are held; `None` without a row's content.
    fn held(&self) -> Option<Vec<(u8, u64)>> {
        let row = self.store.view().unwrap().find(&csi()).unwrap()?;
        let bundle = Bundle::decode(&row.content?.bundle).unwrap();
        let fields = |signed: &SignedMapping| {
            let mapping = signed.unverified();
            (mapping.id.0[0], mapping.seq)
        };
        Some(bundle.mappings().iter().map(fields).collect())
    }

    fn logged(&self) -> Vec<Action> {
        let entries = self.store.view().unwrap().audit(0, 1000).unwrap();
        entries.iter().map(|entry| entry.action).collect()
    }
}

#[test]
fn higher_numbers_win_and_replays_change_nothing() {
    let bench = Bench::new();
    let ann = credential(ANN, 1, 1);
    let publish = |mappings: &[Mapping]| bench.publish(ANN, &ann, mappings);
    assert_eq!(publish(&[mapping(1, 5)]), Ok(Outcome::Added));
    assert_eq!(publish(&[mapping(1, 5)]), Ok(Outcome::Unchanged));
    assert_eq!(
        publish(&[mapping(1, 7), mapping(2, 6)]),
        Ok(Outcome::Changed)
    );
    assert_eq!(publish(&[mapping(1, 5)]), Err(Refusal::OlderMapping));
    let other = Mapping {
        entries: Vec::new(),
        ..mapping(1, 7)
    };
    assert_eq!(publish(&[other]), Err(Refusal::MappingEquivocation));
    assert_eq!(bench.held(), Some(vec![(1, 7), (2, 6)]));
    let logged = [
        Action::Credential,
        Action::Mapping,
        Action::Mapping,
        Action::Mapping,
    ];
    assert_eq!(bench.logged(), logged);
}

#[test]
fn what_the_recipient_removed_stays_away() {
    let bench = Bench::new();
    let ann = credential(ANN, 1, 1);
    let publish = |mappings: &[Mapping]| bench.publish(ANN, &ann, mappings);
    publish(&[mapping(1, 5), mapping(2, 6)]).unwrap();
    let one = RemovalTarget::Mapping(MappingId([1; 16]));
    assert_eq!(bench.remove(ANN, &ann, one, 7), Ok(Outcome::Changed));
    assert_eq!(bench.held(), Some(vec![(2, 6)]));
    assert_eq!(publish(&[mapping(1, 5)]), Err(Refusal::Removed));
    assert_eq!(publish(&[mapping(1, 7)]), Err(Refusal::Removed));
    assert_eq!(bench.remove(ANN, &ann, one, 7), Ok(Outcome::Unchanged));
    assert_eq!(
        publish(&[mapping(2, 6)]),
        Ok(Outcome::Unchanged),
        "it is held"
    );
    assert_eq!(
        bench.remove(ANN, &ann, RemovalTarget::All, 8),
        Ok(Outcome::Changed)
    );
    assert_eq!(
        bench.held(),
        None,
        "nothing is held, the identifier included"
    );
    for seq in [5, 6, 8] {
        assert_eq!(publish(&[mapping(2, seq)]), Err(Refusal::Removed), "{seq}");
    }
    assert_eq!(publish(&[mapping(2, 9)]), Ok(Outcome::Added));
    assert_eq!(
        bench
            .logged()
            .iter()
            .filter(|action| **action == Action::Removal)
            .count(),
        2
    );
}

#[test]
fn a_mapping_that_delisted_others_leaves_a_mark_when_it_goes() {
    let bench = Bench::new();
    let ann = credential(ANN, 1, 1);
    let publish = |mapping: Mapping| bench.publish(ANN, &ann, &[mapping]);
    let all = |id, seq| Mapping {
        replaces: Replaces::All,
        ..mapping(id, seq)
    };
    publish(mapping(1, 3)).unwrap();
    publish(all(2, 5)).unwrap();
    assert_eq!(bench.held(), Some(vec![(2, 5)]));
    assert_eq!(publish(mapping(1, 3)), Err(Refusal::Delisted));
    // Its successor under the same id replaces nothing else.
    publish(mapping(2, 7)).unwrap();
    assert_eq!(publish(mapping(1, 3)), Err(Refusal::Removed));
    // An expired one is dropped at the next occasion.
    let brief = Mapping {
        expires: NOW.saturating_add(10),
        ..mapping(2, 8)
    };
    publish(brief).unwrap();
    let later = Bench {
        now: NOW.saturating_add(20),
        ..bench
    };
    let publish = |mapping: Mapping| later.publish(ANN, &ann, &[mapping]);
    publish(mapping(3, 20)).unwrap();
    assert_eq!(later.held(), Some(vec![(3, 20)]));
    assert_eq!(publish(mapping(2, 7)), Err(Refusal::Removed));
}

#[test]
fn a_new_key_takes_over_and_the_old_one_is_done() {
    let bench = Bench::new();
    let (old, new) = (credential(ANN, 1, 2), credential(ANNS_NEW_KEY, 1, 1));
    bench.publish(ANN, &old, &[mapping(1, 5)]).unwrap();
    assert_eq!(bench.publish(ANNS_NEW_KEY, &new, &[]), Ok(Outcome::Changed));
    assert_eq!(
        bench.held(),
        Some(Vec::new()),
        "what the old key signed is gone"
    );
    let refused = || {
        let published = bench.publish(ANN, &old, &[mapping(1, 9)]);
        assert_eq!(published, Err(Refusal::OlderCredential));
        let removed = bench.remove(ANN, &old, RemovalTarget::All, 99);
        assert_eq!(removed, Err(Refusal::OlderCredential));
    };
    refused();
    bench
        .publish(ANNS_NEW_KEY, &new, &[mapping(1, 10)])
        .unwrap();
    refused();
    bench
        .remove(ANNS_NEW_KEY, &new, RemovalTarget::All, 11)
        .unwrap();
    assert_eq!(bench.held(), None);
    refused();
    let twin = Credential {
        expires: NOW.saturating_add(DAY),
        ..new.clone()
    };
    bench
        .publish(ANNS_NEW_KEY, &new, &[mapping(1, 12)])
        .unwrap();
    let equivocation = bench.publish(ANNS_NEW_KEY, &twin, &[]);
    assert_eq!(equivocation, Err(Refusal::CredentialEquivocation));
}

#[test]
fn a_removal_under_a_newer_credential_takes_over_as_well() {
    let one = RemovalTarget::Mapping(MappingId([1; 16]));
    // Another key of the same holder.
    let bench = Bench::new();
    let (old, new) = (credential(ANN, 1, 2), credential(ANNS_NEW_KEY, 1, 1));
    bench
        .publish(ANN, &old, &[mapping(1, 5), mapping(2, 6)])
        .unwrap();
    let removed = bench.remove(ANNS_NEW_KEY, &new, one, 7);
    assert_eq!(removed, Ok(Outcome::Changed));
    assert_eq!(bench.held(), None, "nothing stands on the old key any more");
    let published = bench.publish(ANN, &old, &[mapping(1, 9)]);
    assert_eq!(published, Err(Refusal::OlderCredential));
    // Another holder.
    let bench = Bench::new();
    let bob = credential(BOB, 2, 1);
    bench
        .publish(ANN, &old, &[mapping(1, 5), mapping(2, 6)])
        .unwrap();
    assert_eq!(bench.remove(BOB, &bob, one, 1), Ok(Outcome::Changed));
    assert_eq!(bench.held(), None);
    assert_eq!(bench.release(1), Ok(Outcome::Unchanged));
    // Contradicting credentials are told apart here too.
    let twin = Credential {
        holder: key(ANNS_NEW_KEY).verifying_key(),
        ..old.clone()
    };
    let bench = Bench::new();
    bench.publish(ANN, &old, &[mapping(1, 5)]).unwrap();
    let removed = bench.remove(ANNS_NEW_KEY, &twin, one, 7);
    assert_eq!(removed, Err(Refusal::CredentialEquivocation));
}

#[test]
fn what_one_key_published_does_not_return_with_the_key() {
    let bench = Bench::new();
    let (first, second, third) = (
        credential(ANN, 1, 3),
        credential(ANNS_NEW_KEY, 1, 2),
        credential(ANN, 1, 1),
    );
    bench.publish(ANN, &first, &[mapping(1, 5)]).unwrap();
    bench.publish(ANNS_NEW_KEY, &second, &[]).unwrap();
    bench.publish(ANN, &third, &[mapping(2, 20)]).unwrap();
    let replayed = bench.publish(ANN, &third, &[mapping(1, 5)]);
    assert_eq!(replayed, Err(Refusal::Removed));
    assert_eq!(bench.held(), Some(vec![(2, 20)]));
}

#[test]
fn whose_csip_has_lost_trust_may_still_remove_what_is_held() {
    let bench = Bench::new();
    let ann = credential(ANN, 1, 1);
    bench.publish(ANN, &ann, &[mapping(1, 5)]).unwrap();
    let removal = |holder| {
        let removal = Removal {
            subject: csi(),
            target: RemovalTarget::All,
            seq: 6,
            issued_at: NOW,
            assignment: 1,
        };
        RemovalRequest {
            credential: credential(holder, 1, 1).issue(&key(CSIP)).unwrap(),
            removal: removal.sign(&key(holder)).unwrap(),
        }
    };
    let nobody = TrustList::new(Vec::new()).unwrap();
    let verifier = Verifier {
        trust: &nobody,
        now: NOW,
    };
    let strangers = bench.submit(|_| verifier.removal(removal(BOB)));
    assert!(
        matches!(
            strangers,
            Err(Refusal::Credential(CredentialError::Untrusted(_)))
        ),
        "{strangers:?}"
    );
    let own = bench.submit(|_| verifier.removal(removal(ANN)));
    assert_eq!(own, Ok(Outcome::Changed));
    assert_eq!(bench.held(), None);
}

#[test]
fn a_released_assignment_is_over_and_the_next_holder_starts_afresh() {
    let bench = Bench::new();
    let (ann, bob) = (credential(ANN, 1, 2), credential(BOB, 2, 1));
    bench.publish(ANN, &ann, &[mapping(1, 5)]).unwrap();
    assert_eq!(bench.release(1), Ok(Outcome::Changed));
    assert_eq!(bench.release(1), Ok(Outcome::Unchanged));
    assert_eq!(bench.held(), None);
    let released = || {
        let again = credential(ANN, 1, 0);
        for credential in [&ann, &again] {
            let published = bench.publish(ANN, credential, &[mapping(1, 50)]);
            assert_eq!(published, Err(Refusal::Released));
            let removed = bench.remove(ANN, credential, RemovalTarget::All, 50);
            assert_eq!(removed, Ok(Outcome::Unchanged));
        }
    };
    released();
    let bobs = of_assignment(2, mapping(1, 1));
    let published = bench.publish(BOB, &bob, std::slice::from_ref(&bobs));
    assert_eq!(published, Ok(Outcome::Added));
    released();
    assert_eq!(bench.release(1), Ok(Outcome::Unchanged));
    assert_eq!(bench.held(), Some(vec![(1, 1)]));
}

#[test]
fn a_higher_assignment_takes_over_without_a_release() {
    let bench = Bench::new();
    let (ann, bob) = (credential(ANN, 1, 2), credential(BOB, 2, 1));
    bench.publish(ANN, &ann, &[mapping(1, 5)]).unwrap();
    bench.publish(BOB, &bob, &[]).unwrap();
    assert_eq!(bench.held(), Some(Vec::new()));
    let published = bench.publish(ANN, &ann, &[mapping(1, 6)]);
    assert_eq!(published, Err(Refusal::OlderCredential));
    // The release comes late, and is for the former holder alone.
    bench
        .publish(BOB, &bob, &[of_assignment(2, mapping(1, 1))])
        .unwrap();
    bench.release(1).unwrap();
    assert_eq!(bench.held(), Some(vec![(1, 1)]));
}

#[test]
fn nobody_else_publishes_or_removes() {
    let bench = Bench::new();
    let ann = credential(ANN, 1, 1);
    bench.publish(ANN, &ann, &[mapping(1, 5)]).unwrap();
    let before = bench.logged();
    let forged = bench.publish(BOB, &ann, &[mapping(1, 6)]);
    assert!(
        matches!(forged, Err(Refusal::Mapping { number: 1, .. })),
        "{forged:?}"
    );
    let forged = bench.remove(BOB, &ann, RemovalTarget::All, 6);
    assert!(matches!(forged, Err(Refusal::Removal(_))), "{forged:?}");
    let untrusted = Credential {
        subject: Csi::parse("someone@elsewhere.example").unwrap(),
        ..ann.clone()
    };
    let refused = bench.publish(ANN, &untrusted, &[]);
    assert!(
        matches!(
            refused,
            Err(Refusal::Credential(CredentialError::Untrusted(_)))
        ),
        "{refused:?}"
    );
    // A credential for one identifier carries no mapping of another.
    let others = Mapping {
        subject: Csi::parse("another@example.org").unwrap(),
        ..mapping(1, 6)
    };
    let refused = bench.publish(ANN, &ann, &[others]);
    assert!(matches!(refused, Err(Refusal::Mapping { number: 1, .. })));
    for seq in [u64::MAX, (NOW.as_secs() + 367 * DAY) * 1000] {
        let published = bench.publish(ANN, &ann, &[mapping(1, seq)]);
        assert!(matches!(published, Err(Refusal::SeqAhead { .. })));
        let removed = bench.remove(ANN, &ann, RemovalTarget::All, seq);
        assert!(matches!(removed, Err(Refusal::SeqAhead { .. })));
    }
    assert_eq!(bench.held(), Some(vec![(1, 5)]));
    assert_eq!(bench.logged(), before);
}

#[test]
fn the_known_holder_may_remove_after_the_credentials_end() {
    let bench = Bench::new();
    let ann = credential(ANN, 1, 1);
    let long = Mapping {
        expires: NOW.saturating_add(60 * DAY),
        ..mapping(1, 5)
    };
    bench.publish(ANN, &ann, &[long]).unwrap();
    let later = Bench {
        now: NOW.saturating_add(40 * DAY),
        ..bench
    };
    let expired = |result| {
        assert!(
            matches!(
                result,
                Err(Refusal::Credential(CredentialError::Expired { .. }))
            ),
            "{result:?}"
        );
    };
    expired(later.publish(ANN, &ann, &[]));
    let removed = later.remove(ANN, &ann, RemovalTarget::All, 6);
    assert_eq!(removed, Ok(Outcome::Changed));
    // Whom the store no longer knows needs a credential that is valid.
    expired(later.remove(ANN, &ann, RemovalTarget::All, 7));
}

#[derive(Clone, Debug)]
enum Step {
    Publish {
        id: u8,
        seq: u64,
        all: bool,
        opt_out: bool,
    },
    Remove {
        id: Option<u8>,
        seq: u64,
    },
    Release,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..3u8, 1..8u64, any::<bool>(), prop::bool::weighted(0.2))
            .prop_map(|(id, seq, all, opt_out)| Step::Publish { id, seq, all, opt_out }),
        3 => (prop::option::of(0..3u8), 1..8u64).prop_map(|(id, seq)| Step::Remove { id, seq }),
        1 => Just(Step::Release),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever comes in whatever order, and again: what has gone never returns.
    #[test]
    fn nothing_that_has_gone_returns(steps in prop::collection::vec(step(), 1..24)) {
        let bench = Bench::new();
        let ann = credential(ANN, 1, 1);
        let mut seen: HashSet<(u8, u64)> = HashSet::new();
        let mut gone: HashSet<(u8, u64)> = HashSet::new();
        for step in steps.iter().chain(&steps) {
            let _ = match *step {
                Step::Publish { id, seq, all, opt_out } => {
                    let mut mapping = mapping(id, seq);
                    if all {
                        mapping.replaces = Replaces::All;
                    }
                    if opt_out {
                        mapping.entries = Vec::new();
                    }
                    bench.publish(ANN, &ann, &[mapping])
                }
                Step::Remove { id, seq } => {
                    let target = match id {
                        Some(id) => RemovalTarget::Mapping(MappingId([id; 16])),
                        None => RemovalTarget::All,
                    };
                    bench.remove(ANN, &ann, target, seq)
                }
                Step::Release => bench.release(1),
            };
            let held: HashSet<(u8, u64)> = bench.held().unwrap_or_default().into_iter().collect();
            prop_assert!(held.is_disjoint(&gone), "{gone:?} {held:?}");
            gone.extend(seen.difference(&held));
            seen.extend(&held);
        }
    }
}
