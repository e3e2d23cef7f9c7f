mod refusals;

use proptest::prelude::*;

use super::*;
use crate::bundle::tests::{bundle, listed, opt_out, signed};
use crate::cose::SigningKey;
use crate::credential::tests::{ISSUED, csip, example as credential, stranger, trust};
use crate::credential::{Credential, Issuer, SignedCredential};
use crate::mapping::Replaces;

fn replacing(mapping: Mapping) -> Mapping {
    Mapping {
        replaces: Replaces::All,
        ..mapping
    }
}

fn evaluated(bundle: &Bundle, now: UnixTime) -> Lookup {
    evaluate(Some(bundle), &credential().subject, &trust(), now)
}

fn outcome(mappings: &[Mapping]) -> Lookup {
    evaluated(&bundle(mappings), ISSUED)
}

#[test]
fn absence_and_empty_bundles_are_no_mapping() {
    assert_eq!(
        evaluate(None, &credential().subject, &trust(), ISSUED),
        Lookup::NoMapping
    );
    assert_eq!(outcome(&[]), Lookup::NoMapping);
}

#[test]
fn mappings_of_different_ids_coexist() {
    let (a, b) = (listed(1, 5), listed(2, 5));
    assert_eq!(
        outcome(&[b.clone(), a.clone()]),
        Lookup::Mappings(vec![a.clone(), b])
    );
    assert_eq!(
        outcome(&[listed(1, 4), a.clone()]),
        Lookup::Mappings(vec![a])
    );
}

#[test]
fn opting_out_de_lists_what_is_not_newer() {
    assert_eq!(outcome(&[opt_out(1, 5)]), Lookup::OptedOut);
    assert_eq!(outcome(&[opt_out(1, 5), listed(2, 4)]), Lookup::OptedOut);
    assert_eq!(outcome(&[opt_out(1, 5), listed(2, 5)]), Lookup::OptedOut);
    assert_eq!(
        outcome(&[opt_out(1, 5), listed(2, 6)]),
        Lookup::Mappings(vec![listed(2, 6)])
    );
    assert_eq!(
        outcome(&[opt_out(1, 5), listed(1, 6)]),
        Lookup::Mappings(vec![listed(1, 6)])
    );
    assert_eq!(outcome(&[opt_out(1, 5), opt_out(2, 6)]), Lookup::OptedOut);
}

#[test]
fn replacing_all_de_lists_what_is_older() {
    let new = replacing(listed(2, 5));
    assert_eq!(
        outcome(&[listed(1, 4), new.clone()]),
        Lookup::Mappings(vec![new.clone()])
    );
    assert_eq!(
        outcome(&[listed(1, 6), new.clone()]),
        Lookup::Mappings(vec![listed(1, 6), new.clone()])
    );
    assert_eq!(
        outcome(&[opt_out(1, 4), new.clone()]),
        Lookup::Mappings(vec![new])
    );
}

#[test]
fn expiry_drops_a_mapping_and_revives_none() {
    let brief = |mapping: Mapping| Mapping {
        expires: ISSUED.saturating_add(1),
        ..mapping
    };
    let later = ISSUED.saturating_add(1);
    let then = |mappings: &[Mapping]| evaluated(&bundle(mappings), later);
    assert_eq!(then(&[brief(listed(1, 1))]), Lookup::NoMapping);
    assert_eq!(
        then(&[brief(listed(1, 1)), listed(2, 1)]),
        Lookup::Mappings(vec![listed(2, 1)])
    );
    assert_eq!(
        then(&[listed(1, 1), brief(listed(1, 2))]),
        Lookup::NoMapping
    );
    assert_eq!(
        then(&[listed(1, 1), brief(replacing(listed(2, 2)))]),
        Lookup::NoMapping
    );
    assert_eq!(
        then(&[listed(1, 1), brief(opt_out(2, 2))]),
        Lookup::NoMapping
    );
    assert_eq!(
        then(&[opt_out(1, 1), brief(listed(2, 2))]),
        Lookup::OptedOut
    );
}

#[test]
fn what_is_to_come_has_no_effect_yet() {
    let tomorrow = |mapping: Mapping| Mapping {
        not_before: ISSUED.saturating_add(1),
        ..mapping
    };
    assert_eq!(outcome(&[tomorrow(listed(1, 1))]), Lookup::NoMapping);
    assert_eq!(
        outcome(&[listed(1, 1), tomorrow(opt_out(2, 2))]),
        Lookup::Mappings(vec![listed(1, 1)])
    );
    assert_eq!(
        outcome(&[listed(1, 1), tomorrow(listed(1, 2))]),
        Lookup::Mappings(vec![listed(1, 1)])
    );
}

#[test]
fn earlier_assignments_are_dead_and_later_ones_impossible() {
    let of = |assignment, mapping| Mapping {
        assignment,
        ..mapping
    };
    assert_eq!(outcome(&[of(1, listed(1, 9))]), Lookup::NoMapping);
    assert_eq!(
        outcome(&[of(1, opt_out(1, 9)), listed(2, 1)]),
        Lookup::Mappings(vec![listed(2, 1)])
    );
    assert_eq!(
        outcome(&[of(3, listed(1, 1)), listed(2, 1)]),
        Lookup::Unverifiable(Unverifiable::MappingAssignment)
    );
}

#[test]
fn one_bad_object_spoils_the_bundle() {
    let of = |credential: Credential, key: &SigningKey, mappings: Vec<SignedMapping>| {
        evaluated(
            &Bundle::new(credential.issue(key).unwrap(), mappings).unwrap(),
            ISSUED,
        )
    };
    let good = || vec![signed(&listed(1, 1))];
    let unverifiable = |why| Lookup::Unverifiable(why);
    assert_eq!(
        of(credential(), &csip(), good()),
        Lookup::Mappings(vec![listed(1, 1)])
    );
    assert_eq!(
        of(credential(), &stranger(), good()),
        unverifiable(Unverifiable::IssuerKeyUnknown)
    );
    let issuer = Issuer::new("other.example").unwrap();
    assert_eq!(
        of(
            Credential {
                issuer,
                ..credential()
            },
            &csip(),
            good()
        ),
        unverifiable(Unverifiable::IssuerUnknown)
    );
    let foreign = Csi::parse("+14155550123").unwrap();
    assert_eq!(
        of(
            Credential {
                subject: foreign,
                ..credential()
            },
            &csip(),
            good()
        ),
        unverifiable(Unverifiable::IssuerOutOfScope)
    );
    let other = Csi::parse("a@example.com").unwrap();
    let of_other = Credential {
        subject: other.clone(),
        ..credential()
    };
    assert_eq!(
        of(of_other, &csip(), vec![]),
        unverifiable(Unverifiable::CredentialSubject)
    );
    let forged = listed(2, 1).sign(&stranger()).unwrap();
    assert_eq!(
        of(credential(), &csip(), [good(), vec![forged]].concat()),
        unverifiable(Unverifiable::MappingKey)
    );
    let misplaced = signed(&Mapping {
        subject: other,
        ..listed(2, 1)
    });
    assert_eq!(
        of(credential(), &csip(), [good(), vec![misplaced]].concat()),
        unverifiable(Unverifiable::MappingSubject)
    );
    let contradiction = signed(&Mapping::example(1, 1, &["b.example"]));
    assert_eq!(
        of(
            credential(),
            &csip(),
            [good(), vec![contradiction]].concat()
        ),
        unverifiable(Unverifiable::Equivocation)
    );
    let early = evaluated(&bundle(&[listed(1, 1)]), ISSUED.saturating_sub(1));
    assert_eq!(early, unverifiable(Unverifiable::CredentialNotYetValid));
    let late = evaluated(&bundle(&[listed(1, 1)]), credential().expires);
    assert_eq!(late, unverifiable(Unverifiable::CredentialExpired));
    let mut bytes = credential().issue(&csip()).unwrap().as_bytes().to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    let altered = Bundle::new(SignedCredential::from_bytes(&bytes).unwrap(), good()).unwrap();
    assert_eq!(
        evaluated(&altered, ISSUED),
        unverifiable(Unverifiable::CredentialSignature)
    );
}

proptest! {
    #[test]
    fn the_order_of_mappings_changes_nothing(
        mappings in prop::collection::vec((0..3_u8, 0..4_u64, any::<bool>(), any::<bool>()), 0..6),
        seconds in 0..3_u64,
    ) {
        // Equal id and version mean equal content, so none contradict.
        let mut made: Vec<Mapping> = Vec::new();
        for (id, seq, out, all) in mappings {
            let mapping = if out { opt_out(id, seq) } else { listed(id, seq) };
            let mapping = if all { replacing(mapping) } else { mapping };
            if made.iter().all(|other| (other.id, other.seq) != (mapping.id, mapping.seq)) {
                made.push(mapping);
            }
        }
        let now = ISSUED.saturating_add(seconds);
        let forth = evaluated(&bundle(&made), now);
        // The newest statement is never overruled.
        if let Some(newest) = made.iter().max_by_key(|mapping| (mapping.seq, mapping.is_opt_out())) {
            match &forth {
                Lookup::OptedOut => prop_assert!(made.iter().any(Mapping::is_opt_out)),
                Lookup::Mappings(found) => prop_assert!(found.contains(newest) || newest.is_opt_out()),
                other => prop_assert!(false, "{:?}", other),
            }
        }
        made.reverse();
        prop_assert_eq!(evaluated(&bundle(&made), now), forth);
    }
}
