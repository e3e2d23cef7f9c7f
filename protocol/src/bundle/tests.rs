use proptest::prelude::*;

use super::*;
use crate::cose::CoseError;
use crate::credential::tests::{csip, example as credential, holder};
use crate::mapping::Mapping;

pub(super) fn signed(mapping: &Mapping) -> SignedMapping {
    mapping.sign(&holder()).unwrap()
}

pub(super) fn bundle(mappings: &[Mapping]) -> Bundle {
    Bundle::new(
        credential().issue(&csip()).unwrap(),
        mappings.iter().map(signed).collect(),
    )
    .unwrap()
}

pub(super) fn listed(id: u8, seq: u64) -> Mapping {
    Mapping::example(id, seq, &["a.example"])
}

pub(super) fn opt_out(id: u8, seq: u64) -> Mapping {
    Mapping::example(id, seq, &[])
}

#[test]
fn bundles_have_one_encoding() {
    let (a, b, c) = (listed(1, 2), listed(1, 3), listed(2, 1));
    let one = bundle(&[a.clone(), b.clone(), c.clone()]);
    let other = bundle(&[c.clone(), b.clone(), a.clone()]);
    assert_eq!(one.encode(), other.encode());
    let decoded = Bundle::decode(one.encode()).unwrap();
    assert_eq!(decoded.encode(), one.encode());
    let found: Vec<&Mapping> = decoded
        .mappings()
        .iter()
        .map(SignedMapping::unverified)
        .collect();
    assert_eq!(found, [&a, &b, &c]);
    assert_eq!(decoded.credential().as_bytes(), one.credential().as_bytes());
    assert!(!format!("{one:?}").contains("7946"));
}

/// The parts of a bundle, changed and encoded again.
fn edited(edit: impl FnOnce(&mut Vec<Value>)) -> BundleError {
    let encoded = bundle(&[listed(1, 1), listed(2, 1)]).encode().to_vec();
    let Value::Array(mut parts) = cbor::decode(&encoded).unwrap() else {
        unreachable!()
    };
    edit(&mut parts);
    Bundle::decode(&cbor::encode(&Value::Array(parts)).unwrap()).unwrap_err()
}

fn mappings_of(parts: &mut [Value]) -> &mut Vec<Value> {
    let Value::Array(mappings) = &mut parts[2] else {
        unreachable!()
    };
    mappings
}

#[test]
fn each_broken_rule_has_its_own_refusal() {
    assert_eq!(
        edited(|parts| parts[0] = Value::Integer(2.into())),
        BundleError::Version
    );
    assert_eq!(edited(|parts| parts.truncate(2)), BundleError::Shape);
    assert_eq!(
        edited(|parts| parts.push(Value::Bool(true))),
        BundleError::Shape
    );
    assert_eq!(
        edited(|parts| parts[1] = Value::Bool(true)),
        BundleError::Shape
    );
    assert_eq!(
        edited(|parts| mappings_of(parts)[0] = Value::Bool(true)),
        BundleError::Shape
    );
    assert_eq!(Bundle::decode(&[0x01]).unwrap_err(), BundleError::Shape);
    assert_eq!(
        edited(|parts| mappings_of(parts).reverse()),
        BundleError::MappingOrder
    );
    let twice = |parts: &mut Vec<Value>| {
        let mappings = mappings_of(parts);
        mappings[1] = mappings[0].clone();
    };
    assert_eq!(edited(twice), BundleError::DuplicateMapping);
    assert_eq!(
        edited(|parts| *mappings_of(parts) = vec![Value::Bytes(vec![]); 17]),
        BundleError::TooManyMappings { found: 17 }
    );
    let truncated = CoseError::Cbor(CborError::Truncated);
    assert_eq!(
        edited(|parts| mappings_of(parts)[1] = Value::Bytes(vec![])),
        BundleError::Mapping {
            number: 2,
            source: MappingError::Cose(truncated)
        }
    );
    assert_eq!(
        edited(|parts| parts[1] = Value::Bytes(vec![])),
        BundleError::Credential(CredentialError::Cose(truncated))
    );
    // A mapping where the credential belongs.
    assert!(matches!(
        edited(|parts| parts[1] = mappings_of(parts)[0].clone()),
        BundleError::Credential(CredentialError::Cose(CoseError::WrongContentType { .. }))
    ));
    let new = |mappings: Vec<Mapping>| {
        Bundle::new(
            credential().issue(&csip()).unwrap(),
            mappings.iter().map(signed).collect(),
        )
        .map(drop)
    };
    assert_eq!(
        new((0..17).map(|id| listed(id, 1)).collect()),
        Err(BundleError::TooManyMappings { found: 17 })
    );
    assert_eq!(new((0..16).map(|id| listed(id, 1)).collect()), Ok(()));
    assert_eq!(
        new(vec![listed(1, 1); 2]),
        Err(BundleError::DuplicateMapping)
    );
    let names: Vec<String> = (0..16)
        .map(|n| format!("{n}{}.example", "m".repeat(60)))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let large = new((0..16).map(|id| Mapping::example(id, 1, &names)).collect());
    assert!(matches!(large, Err(BundleError::TooLarge { .. })));
    let long = vec![0; MAX_BUNDLE_BYTES + 1];
    assert_eq!(
        Bundle::decode(&long).unwrap_err(),
        BundleError::TooLarge { found: long.len() }
    );
}

proptest! {
    #[test]
    fn bundles_round_trip(mappings in prop::collection::vec(crate::mapping::tests::arbitrary(), 0..5)) {
        let bundle = bundle(&mappings);
        let decoded = Bundle::decode(bundle.encode()).unwrap();
        prop_assert_eq!(decoded.encode(), bundle.encode());
    }

    #[test]
    fn truncated_and_extended_are_refused(cut in any::<prop::sample::Index>(), extra: u8) {
        let mut bytes = bundle(&[listed(1, 1), opt_out(2, 1)]).encode().to_vec();
        prop_assert!(Bundle::decode(&bytes[..cut.index(bytes.len())]).is_err());
        bytes.push(extra);
        prop_assert!(Bundle::decode(&bytes).is_err());
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(bytes in any::<Vec<u8>>()) {
        let _ = Bundle::decode(&bytes);
    }
}
