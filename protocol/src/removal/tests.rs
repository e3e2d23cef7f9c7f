use proptest::prelude::*;

use super::*;
use crate::cbor::{self, Value};
use crate::cose::{ContentType, SigningKey, sign1};
use crate::credential::tests::{
    ISSUED, SUBJECT, csip, example as credential, holder, stranger, trust,
};
use crate::credential::{Credential, Issuer};
use crate::csi::Csi;
use crate::mapping::{Mapping, MappingId};
use crate::precedence::Version;
use crate::trust::TrustError;

fn removal() -> Removal {
    Removal {
        subject: Csi::parse(SUBJECT).unwrap(),
        target: RemovalTarget::Mapping(MappingId([1; 16])),
        seq: 7,
        issued_at: ISSUED,
        assignment: 2,
    }
}

fn release() -> Release {
    Release {
        issuer: Issuer::new("csip.example").unwrap(),
        subject: Csi::parse(SUBJECT).unwrap(),
        assignment: 2,
        issued_at: ISSUED,
        reason: ReleaseReason::Reassigned,
    }
}

#[test]
fn the_recipient_alone_removes() {
    for target in [
        RemovalTarget::All,
        RemovalTarget::Mapping(MappingId([9; 16])),
    ] {
        let removal = Removal {
            target,
            ..removal()
        };
        let signed = removal.sign(&holder()).unwrap();
        assert_eq!(signed.verify(&credential(), ISSUED), Ok(removal.clone()));
        assert_eq!(
            signed.revision().version,
            Version {
                assignment: 2,
                seq: 7
            }
        );
        for other in [stranger(), csip()] {
            let forged = removal.sign(&other).unwrap();
            assert_eq!(
                forged.verify(&credential(), ISSUED),
                Err(RemovalError::Cose(CoseError::WrongKey))
            );
        }
    }
    let signed = removal().sign(&holder()).unwrap();
    let verify = |credential: Credential, now| signed.verify(&credential, now).unwrap_err();
    let subject = Csi::parse("a@example.com").unwrap();
    assert_eq!(
        verify(
            Credential {
                subject,
                ..credential()
            },
            ISSUED
        ),
        RemovalError::SubjectMismatch
    );
    assert_eq!(
        verify(
            Credential {
                assignment: 3,
                ..credential()
            },
            ISSUED
        ),
        RemovalError::AssignmentMismatch {
            expected: 3,
            found: 2
        }
    );
    assert_eq!(
        verify(credential(), ISSUED.saturating_sub(1)),
        RemovalError::NotYetValid { issued_at: ISSUED }
    );
    assert!(!format!("{signed:?} {:?}", removal()).contains("7946"));
}

#[test]
fn a_removal_removes_its_target_and_nothing_newer() {
    let mapping = |id, seq| Mapping::example(id, seq, &["a.example"]);
    assert!(removal().removes(&mapping(1, 6)));
    assert!(removal().removes(&mapping(1, 7)));
    assert!(!removal().removes(&mapping(1, 8)));
    assert!(!removal().removes(&mapping(2, 6)));
    let all = Removal {
        target: RemovalTarget::All,
        ..removal()
    };
    assert!(all.removes(&mapping(2, 6)));
    assert!(!all.removes(&mapping(2, 8)));
    assert!(!all.removes(&Mapping {
        subject: Csi::parse("a@example.com").unwrap(),
        ..mapping(1, 6)
    }));
    assert!(!all.removes(&Mapping {
        assignment: 3,
        ..mapping(1, 6)
    }));
    assert!(all.removes(&Mapping {
        assignment: 1,
        ..mapping(1, 9)
    }));
}

#[test]
fn the_csip_alone_releases() {
    let signed = release().sign(&csip()).unwrap();
    assert_eq!(signed.verify(&trust(), ISSUED), Ok(release()));
    assert_eq!(
        signed.revision().version,
        Version {
            assignment: 2,
            seq: ISSUED.as_secs()
        }
    );
    assert_eq!(
        [1, 2, 3].map(|assignment| release().voids(assignment)),
        [true, true, false]
    );
    assert_eq!(
        signed.verify(&trust(), ISSUED.saturating_sub(1)),
        Err(RemovalError::NotYetValid { issued_at: ISSUED })
    );
    let verify = |release: Release, key: &SigningKey| {
        release
            .sign(key)
            .unwrap()
            .verify(&trust(), ISSUED)
            .unwrap_err()
    };
    assert_eq!(
        verify(release(), &holder()),
        RemovalError::Untrusted(TrustError::UnknownKey)
    );
    let issuer = Issuer::new("other.example").unwrap();
    assert_eq!(
        verify(
            Release {
                issuer,
                ..release()
            },
            &csip()
        ),
        RemovalError::Untrusted(TrustError::UnknownIssuer)
    );
    let subject = Csi::parse("+14155550123").unwrap();
    assert_eq!(
        verify(
            Release {
                subject,
                ..release()
            },
            &csip()
        ),
        RemovalError::Untrusted(TrustError::OutOfScope)
    );
    assert!(!format!("{signed:?} {:?}", release()).contains("7946"));
}

#[test]
fn changed_objects_do_not_verify() {
    let removal = removal().sign(&holder()).unwrap().as_bytes().to_vec();
    let release = release().sign(&csip()).unwrap().as_bytes().to_vec();
    for at in 0..removal.len() {
        let mut changed = removal.clone();
        changed[at] ^= 1;
        let verified = SignedRemoval::from_bytes(&changed)
            .and_then(|object| object.verify(&credential(), ISSUED));
        assert!(verified.is_err(), "byte {at}");
    }
    for at in 0..release.len() {
        let mut changed = release.clone();
        changed[at] ^= 1;
        let verified =
            SignedRelease::from_bytes(&changed).and_then(|object| object.verify(&trust(), ISSUED));
        assert!(verified.is_err(), "byte {at}");
    }
}

/// A signed payload with one field replaced, added or removed.
fn edited(
    signed: &[u8],
    key: &SigningKey,
    kind: ContentType,
    field: i64,
    value: Option<Value>,
) -> Vec<u8> {
    let object = crate::cose::Sign1::decode(signed, kind).unwrap();
    let Value::Map(mut fields) = cbor::decode(object.unverified_payload()).unwrap() else {
        unreachable!()
    };
    fields.retain(|(label, _)| *label != Value::Integer(field.into()));
    fields.extend(value.map(|value| (Value::Integer(field.into()), value)));
    sign1(key, kind, &cbor::encode(&Value::Map(fields)).unwrap())
}

#[test]
fn every_field_is_checked_and_no_other_allowed() {
    let signed_removal = removal().sign(&holder()).unwrap();
    let removal = |field, value| {
        let bytes = edited(
            signed_removal.as_bytes(),
            &holder(),
            ContentType::Removal,
            field,
            value,
        );
        SignedRemoval::from_bytes(&bytes).map(|signed| signed.unverified().clone())
    };
    let signed_release = release().sign(&csip()).unwrap();
    let release = |field, value| {
        let bytes = edited(
            signed_release.as_bytes(),
            &csip(),
            ContentType::Release,
            field,
            value,
        );
        SignedRelease::from_bytes(&bytes).map(drop)
    };
    assert_eq!(removal(2, None).unwrap().target, RemovalTarget::All);
    for field in [1, 3, 4, 5] {
        assert_eq!(
            removal(field, None),
            Err(RemovalError::Fields(CborError::MissingField { field }))
        );
    }
    for field in 1..=5 {
        assert_eq!(
            release(field, None),
            Err(RemovalError::Fields(CborError::MissingField { field }))
        );
        let map = || Some(Value::Map(vec![]));
        assert!(matches!(
            removal(field, map()),
            Err(RemovalError::Fields(CborError::WrongType { .. }))
        ));
        assert!(matches!(
            release(field, map()),
            Err(RemovalError::Fields(CborError::WrongType { .. }))
        ));
    }
    let integer = |n: u64| Some(Value::Integer(n.into()));
    let unknown = RemovalError::Fields(CborError::UnknownField);
    assert_eq!(
        (removal(6, integer(0)).map(drop), release(6, integer(0))),
        (Err(unknown), Err(unknown))
    );
    assert!(removal(2, Some(Value::Bytes(vec![0; 15]))).is_err());
    let late = UnixTime::MAX.saturating_add(1);
    let too_late = RemovalError::IssuedAt { issued_at: late };
    assert_eq!(removal(4, integer(late.as_secs())), Err(too_late));
    assert_eq!(release(4, integer(late.as_secs())), Err(too_late));
    for found in [0, 5] {
        assert_eq!(
            release(5, integer(found)),
            Err(RemovalError::UnknownReason { found })
        );
    }
    assert_eq!(
        release(1, Some(Value::Text("a b".into()))),
        Err(RemovalError::Issuer(
            crate::credential::IssuerError::Character
        ))
    );
    let spelled = || Some(Value::Text("+442079460000".into()));
    assert_eq!(
        removal(1, spelled()),
        Err(RemovalError::Subject(CsiError::NotCanonical))
    );
    assert_eq!(
        release(2, spelled()),
        Err(RemovalError::Subject(CsiError::NotCanonical))
    );
    let long = vec![0; MAX_REMOVAL_BYTES + 1];
    assert_eq!(
        SignedRemoval::from_bytes(&long).unwrap_err(),
        RemovalError::TooLarge { found: long.len() }
    );
    assert_eq!(
        SignedRelease::from_bytes(&long).unwrap_err(),
        RemovalError::TooLarge { found: long.len() }
    );
}

proptest! {
    #[test]
    fn removals_round_trip(seq: u64, assignment: u64, id in prop::option::of(any::<[u8; 16]>())) {
        let target = id.map_or(RemovalTarget::All, |id| RemovalTarget::Mapping(MappingId(id)));
        let removal = Removal { seq, assignment, target, ..removal() };
        let bytes = removal.sign(&holder()).unwrap().as_bytes().to_vec();
        let credential = Credential { assignment, ..credential() };
        prop_assert_eq!(SignedRemoval::from_bytes(&bytes).unwrap().verify(&credential, ISSUED), Ok(removal));
    }

    #[test]
    fn releases_round_trip(assignment: u64, reason in 1..=4_u64) {
        let reason = [ReleaseReason::GivenUp, ReleaseReason::Reassigned, ReleaseReason::Ported, ReleaseReason::Fraud][reason as usize - 1];
        let release = Release { assignment, reason, ..release() };
        let bytes = release.sign(&csip()).unwrap().as_bytes().to_vec();
        prop_assert_eq!(SignedRelease::from_bytes(&bytes).unwrap().verify(&trust(), ISSUED), Ok(release));
    }

    #[test]
    fn truncated_and_extended_are_refused(cut in any::<prop::sample::Index>(), extra: u8) {
        let mut removal = removal().sign(&holder()).unwrap().as_bytes().to_vec();
        let mut release = release().sign(&csip()).unwrap().as_bytes().to_vec();
        prop_assert!(SignedRemoval::from_bytes(&removal[..cut.index(removal.len())]).is_err());
        prop_assert!(SignedRelease::from_bytes(&release[..cut.index(release.len())]).is_err());
        removal.push(extra);
        release.push(extra);
        prop_assert!(SignedRemoval::from_bytes(&removal).is_err());
        prop_assert!(SignedRelease::from_bytes(&release).is_err());
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(bytes in any::<Vec<u8>>()) {
        let _ = SignedRemoval::from_bytes(&bytes);
        let _ = SignedRelease::from_bytes(&bytes);
        let _ = SignedRemoval::from_bytes(&sign1(&holder(), ContentType::Removal, &bytes));
        let _ = SignedRelease::from_bytes(&sign1(&csip(), ContentType::Release, &bytes));
    }
}
