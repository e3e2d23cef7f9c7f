use proptest::prelude::*;

use super::*;
use crate::cbor::{self, Value};
use crate::cose::sign1;
use crate::credential::tests::{ISSUED, SUBJECT, example as credential, holder, stranger};

const DAY: u64 = 86_400;

impl Mapping {
    /// A mapping of the example credential's holder, for 30 days, its first
    /// entry the default.
    pub(crate) fn example(id: u8, seq: u64, msps: &[&str]) -> Self {
        let entries = msps.iter().enumerate().map(|(at, msp)| {
            let preference = if at == 0 {
                Preference::Default
            } else {
                Preference::Ordinary
            };
            let tags = vec![Tag::new("personal").unwrap()];
            Entry::new(MspDomain::parse(msp).unwrap(), tags, at as u8, preference).unwrap()
        });
        Self {
            subject: Csi::parse(SUBJECT).unwrap(),
            id: MappingId([id; 16]),
            seq,
            not_before: ISSUED,
            expires: ISSUED.saturating_add(30 * DAY),
            assignment: 2,
            replaces: Replaces::SameId,
            policy: Policy::OPEN,
            entries: entries.collect(),
        }
    }
}

fn example() -> Mapping {
    Mapping::example(1, 7, &["a.example", "b.example"])
}

fn entry(msp: &str, tags: &[&str], preference: Preference) -> Entry {
    let tags = tags.iter().map(|tag| Tag::new(tag).unwrap()).collect();
    Entry::new(MspDomain::parse(msp).unwrap(), tags, 0, preference).unwrap()
}

#[test]
fn a_mapping_is_what_its_holder_signed() {
    let signed = example().sign(&holder()).unwrap();
    assert_eq!(signed.verify(&credential(), ISSUED), Ok(example()));
    assert_eq!(signed.authenticate(&credential()), Ok(&example()));
    assert_eq!(
        signed.revision().version,
        Version {
            assignment: 2,
            seq: 7
        }
    );
    assert!(!example().is_opt_out());
    assert!(Mapping::example(1, 7, &[]).is_opt_out());
    assert!(!format!("{signed:?} {:?}", example()).contains("7946"));
}

#[test]
fn whose_and_when_is_checked() {
    let signed = example().sign(&holder()).unwrap();
    let verify = |credential: Credential, now| signed.verify(&credential, now).map(drop);
    let expires = example().expires;
    assert_eq!(
        verify(credential(), ISSUED.saturating_sub(1)),
        Err(MappingError::NotYetValid { not_before: ISSUED })
    );
    assert_eq!(verify(credential(), expires.saturating_sub(1)), Ok(()));
    assert_eq!(
        verify(credential(), expires),
        Err(MappingError::Expired { expires })
    );
    let other = Csi::parse("a@example.com").unwrap();
    assert_eq!(
        verify(
            Credential {
                subject: other,
                ..credential()
            },
            ISSUED
        ),
        Err(MappingError::SubjectMismatch)
    );
    for assignment in [1, 3] {
        let error = MappingError::AssignmentMismatch {
            expected: assignment,
            found: 2,
        };
        assert_eq!(
            verify(
                Credential {
                    assignment,
                    ..credential()
                },
                ISSUED
            ),
            Err(error)
        );
    }
    let forged = example().sign(&stranger()).unwrap();
    assert_eq!(
        forged.verify(&credential(), ISSUED),
        Err(MappingError::Cose(CoseError::WrongKey))
    );
}

#[test]
fn a_changed_mapping_does_not_verify() {
    let bytes = example().sign(&holder()).unwrap().as_bytes().to_vec();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        if let Ok(decoded) = SignedMapping::from_bytes(&changed) {
            assert!(decoded.verify(&credential(), ISSUED).is_err(), "byte {at}");
        }
    }
}

#[test]
fn each_rule_has_its_own_refusal() {
    use Preference::{Default, Ordinary};
    let with = |entries| {
        Mapping {
            entries,
            ..example()
        }
        .sign(&holder())
        .unwrap_err()
    };
    assert_eq!(
        with(vec![
            entry("a.example", &[], Default),
            entry("b.example", &[], Default)
        ]),
        MappingError::SeveralDefaults { found: 2 }
    );
    assert_eq!(
        with(vec![
            entry("a.example", &["x", "y"], Default),
            entry("A.example", &["y", "x"], Ordinary)
        ]),
        MappingError::DuplicateEntry { number: 2 }
    );
    let many = (0..17)
        .map(|n| entry(&format!("a{n}.example"), &[], Ordinary))
        .collect();
    assert_eq!(with(many), MappingError::TooManyEntries { found: 17 });
    let long = |n: usize| {
        let tags: Vec<String> = (0..12).map(|tag| format!("{tag:032}")).collect();
        let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
        entry(&format!("a{n}.example"), &tags, Ordinary)
    };
    assert!(matches!(
        with((0..8).map(long).collect()),
        MappingError::TooLarge { .. }
    ));
    let until = |not_before, expires| {
        Mapping {
            not_before,
            expires,
            ..example()
        }
        .sign(&holder())
        .unwrap_err()
    };
    assert_eq!(
        until(ISSUED, ISSUED),
        MappingError::Validity {
            not_before: ISSUED,
            expires: ISSUED
        }
    );
    let late = UnixTime::MAX.saturating_add(1);
    assert_eq!(
        until(ISSUED, late),
        MappingError::Validity {
            not_before: ISSUED,
            expires: late
        }
    );
    let same_msp = vec![
        entry("a.example", &["x"], Default),
        entry("a.example", &["y"], Ordinary),
    ];
    assert!(
        Mapping {
            entries: same_msp,
            ..example()
        }
        .sign(&holder())
        .is_ok()
    );
}

/// The example with one field of the payload, or of its first entry, changed.
fn with_field(path: &[i64], value: Option<Value>) -> MappingError {
    let payload = example().to_payload().unwrap();
    let mut root = cbor::decode(&payload).unwrap();
    let edit = |map: &mut Value, field: i64| {
        let Value::Map(pairs) = map else {
            unreachable!()
        };
        pairs.retain(|(key, _)| *key != Value::Integer(field.into()));
        pairs.extend(
            value
                .clone()
                .map(|value| (Value::Integer(field.into()), value)),
        );
    };
    match path {
        [field] => edit(&mut root, *field),
        [outer, field] => {
            let Value::Map(pairs) = &mut root else {
                unreachable!()
            };
            let found = pairs
                .iter_mut()
                .find(|(key, _)| *key == Value::Integer((*outer).into()))
                .unwrap();
            let Value::Array(entries) = &mut found.1 else {
                unreachable!()
            };
            edit(&mut entries[0], *field);
        }
        _ => unreachable!(),
    }
    let payload = cbor::encode(&root).unwrap();
    SignedMapping::from_bytes(&sign1(&holder(), ContentType::Mapping, &payload)).unwrap_err()
}

#[test]
fn every_field_is_required_and_checked_and_no_other_allowed() {
    let paths = (1..=10)
        .map(|field| vec![field])
        .chain((1..=4).map(|field| vec![10, field]));
    for path in paths {
        let field = *path.last().unwrap();
        assert_eq!(
            with_field(&path, None),
            MappingError::Fields(CborError::MissingField { field })
        );
        let wrong = with_field(&path, Some(Value::Map(vec![])));
        assert!(
            matches!(wrong, MappingError::Fields(CborError::WrongType { field: found, .. }) if found == field)
        );
    }
    let text = |text: &str| Value::Text(text.into());
    let entry = |source| MappingError::Entry { number: 1, source };
    let tags = |tags: &[&str]| Some(Value::Array(tags.iter().map(|tag| text(tag)).collect()));
    let cases = [
        (
            vec![11],
            Some(Value::Bool(true)),
            MappingError::Fields(CborError::UnknownField),
        ),
        (
            vec![10, 5],
            Some(Value::Bool(true)),
            MappingError::Fields(CborError::UnknownField),
        ),
        (
            vec![1],
            Some(text("+442079460000")),
            MappingError::Subject(CsiError::NotCanonical),
        ),
        (vec![10, 1], Some(text("A.example")), entry(EntryError::Msp)),
        (vec![10, 2], tags(&["b", "a"]), entry(EntryError::TagOrder)),
        (vec![10, 2], tags(&["a", "a"]), entry(EntryError::TagOrder)),
        (vec![10, 2], tags(&[" a"]), entry(EntryError::TagText)),
        (
            vec![10],
            Some(Value::Array(vec![Value::Bool(true); 17])),
            MappingError::TooManyEntries { found: 17 },
        ),
    ];
    for (path, value, expected) in cases {
        assert_eq!(with_field(&path, value), expected);
    }
    for (path, value) in [
        (vec![2], Value::Bytes(vec![0; 15])),
        (vec![10, 3], Value::Integer(256.into())),
        (vec![3], Value::Integer((-1).into())),
    ] {
        assert!(matches!(
            with_field(&path, Some(value)),
            MappingError::Fields(CborError::WrongType { .. })
        ));
    }
    let tag_of_bytes = with_field(&[10, 2], Some(Value::Array(vec![Value::Bool(true)])));
    assert!(matches!(
        tag_of_bytes,
        MappingError::Fields(CborError::WrongType { field: 2, .. })
    ));
}

/// Mappings that keep every rule.
pub(crate) fn arbitrary() -> impl Strategy<Value = Mapping> {
    let entry = (prop::collection::btree_set("[a-z]{1,8}", 0..4), any::<u8>());
    let entries = prop::collection::vec(entry, 0..5);
    let flags = (
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        prop::option::of(0..5_usize),
    );
    (
        any::<[u8; 16]>(),
        any::<u64>(),
        any::<u64>(),
        0..1000_u64,
        entries,
        flags,
    )
        .prop_map(
            |(id, seq, assignment, days, entries, (all, exclusive, same_app, default))| Mapping {
                id: MappingId(id),
                seq,
                assignment,
                expires: ISSUED.saturating_add(1 + days * DAY),
                replaces: if all { Replaces::All } else { Replaces::SameId },
                policy: Policy {
                    exclusivity: if exclusive {
                        Exclusivity::Exclusive
                    } else {
                        Exclusivity::Shared
                    },
                    reach: if same_app {
                        Reach::SameAppOnly
                    } else {
                        Reach::AnyApp
                    },
                },
                entries: entries
                    .into_iter()
                    .enumerate()
                    .map(|(at, (tags, priority))| {
                        let mut entry = entry_of(at, tags, default == Some(at));
                        entry.priority = priority;
                        entry
                    })
                    .collect(),
                ..example()
            },
        )
}

fn entry_of(at: usize, tags: std::collections::BTreeSet<String>, default: bool) -> Entry {
    let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
    let preference = if default {
        Preference::Default
    } else {
        Preference::Ordinary
    };
    entry(&format!("msp{at}.example"), &tags, preference)
}

proptest! {
    #[test]
    fn mappings_round_trip(mapping in arbitrary()) {
        let signed = mapping.sign(&holder()).unwrap();
        let decoded = SignedMapping::from_bytes(signed.as_bytes()).unwrap();
        let credential = Credential { assignment: mapping.assignment, ..credential() };
        prop_assert_eq!(decoded.verify(&credential, ISSUED), Ok(mapping));
    }

    #[test]
    fn truncated_and_extended_are_refused(mapping in arbitrary(), cut in any::<prop::sample::Index>(), extra: u8) {
        let mut bytes = mapping.sign(&holder()).unwrap().as_bytes().to_vec();
        prop_assert!(SignedMapping::from_bytes(&bytes[..cut.index(bytes.len())]).is_err());
        bytes.push(extra);
        prop_assert!(SignedMapping::from_bytes(&bytes).is_err());
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(bytes in any::<Vec<u8>>()) {
        let _ = SignedMapping::from_bytes(&bytes);
        let _ = SignedMapping::from_bytes(&sign1(&holder(), ContentType::Mapping, &bytes));
    }
}
