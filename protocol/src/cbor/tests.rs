use proptest::prelude::*;

use super::*;

fn arbitrary_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<u64>().prop_map(|n| Value::Integer(n.into())),
        any::<i64>().prop_map(|n| Value::Integer(n.into())),
        any::<bool>().prop_map(Value::Bool),
        any::<Vec<u8>>().prop_map(Value::Bytes),
        any::<String>().prop_map(Value::Text),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::btree_map(any::<i64>(), inner, 0..6).prop_map(|map| {
                Value::Map(
                    map.into_iter()
                        .map(|(key, item)| (Value::Integer(key.into()), item))
                        .collect(),
                )
            }),
        ]
    })
}

#[test]
fn map_keys_are_in_bytewise_order_of_their_encodings() {
    // RFC 8949 §4.2.1's own example: 10, 100, -1, "z", "aa", [100], false.
    let keys = ["0a", "1864", "20", "617a", "626161", "811864", "f4"];
    let expected = format!("a7{}", keys.map(|key| format!("{key}00")).concat());
    let mut pairs: Vec<(Value, Value)> = keys
        .iter()
        .map(|key| {
            (
                decode(&hex::decode(key).unwrap()).unwrap(),
                Value::Integer(0.into()),
            )
        })
        .collect();
    pairs.reverse();
    assert_eq!(hex::encode(encode(&Value::Map(pairs)).unwrap()), expected);
    assert!(decode(&hex::decode(expected).unwrap()).is_ok());
}

#[test]
fn each_broken_rule_has_its_own_refusal() {
    let cases: &[(&str, CborError)] = &[
        ("", CborError::Truncated),
        ("18", CborError::Truncated),
        ("4261", CborError::Truncated),
        ("9bffffffffffffffff", CborError::Truncated),
        ("bbffffffffffffffff", CborError::Truncated),
        ("5bffffffffffffffff", CborError::Truncated),
        ("0000", CborError::TrailingBytes { count: 1 }),
        ("1817", CborError::NotDeterministic),
        ("190001", CborError::NotDeterministic),
        ("580161", CborError::NotDeterministic),
        ("980100", CborError::NotDeterministic),
        ("a2020001 00", CborError::NotDeterministic),
        ("a201000100", CborError::DuplicateKey),
        ("5f4161ff", CborError::IndefiniteLength),
        ("7f6161ff", CborError::IndefiniteLength),
        ("9f00ff", CborError::IndefiniteLength),
        ("bf0000ff", CborError::IndefiniteLength),
        ("ff", CborError::IndefiniteLength),
        ("c000", CborError::UnsupportedType),
        ("c24101", CborError::UnsupportedType),
        ("f6", CborError::UnsupportedType),
        ("f7", CborError::UnsupportedType),
        ("f90000", CborError::UnsupportedType),
        ("61ff", CborError::Malformed),
        ("1c", CborError::Malformed),
        ("81818181818181818100", CborError::TooDeep),
    ];
    for (input, expected) in cases {
        let bytes = hex::decode(input.replace(' ', "")).unwrap();
        assert_eq!(decode(&bytes), Err(*expected), "{input}");
        assert_eq!(check_deterministic(&bytes), Err(*expected), "{input}");
    }
    assert!(decode(&hex::decode("818181818181818100").unwrap()).is_ok());
    let many = encode(&Value::Array(vec![Value::Bool(true); MAX_ITEMS])).unwrap();
    assert_eq!(decode(&many), Err(CborError::TooManyItems));
    let fits = encode(&Value::Array(vec![Value::Bool(true); MAX_ITEMS - 1])).unwrap();
    assert!(decode(&fits).is_ok());
}

#[test]
fn encoding_refuses_what_decoding_would() {
    assert_eq!(encode(&Value::Null), Err(CborError::UnsupportedType));
    assert_eq!(encode(&Value::Float(1.0)), Err(CborError::UnsupportedType));
    let twice = vec![
        (Value::Bool(true), Value::Bool(true)),
        (Value::Bool(true), Value::Bool(false)),
    ];
    assert_eq!(encode(&Value::Map(twice)), Err(CborError::DuplicateKey));
}

#[test]
fn a_map_is_read_completely_or_refused() {
    let map = || {
        let pairs = [
            (1, Value::Text("a".into())),
            (2, Value::Bool(true)),
            (-3, Value::Integer((-1).into())),
        ];
        MapReader::new(Value::Map(
            pairs
                .map(|(key, item)| (Value::Integer(key.into()), item))
                .to_vec(),
        ))
        .unwrap()
    };
    assert_eq!(map().text(1), Ok("a".into()));
    assert_eq!(map().boolean(2), Ok(true));
    assert_eq!(map().text(9), Err(CborError::MissingField { field: 9 }));
    assert!(matches!(
        map().unsigned(-3),
        Err(CborError::WrongType { field: -3, .. })
    ));
    assert!(matches!(
        map().bytes(1),
        Err(CborError::WrongType { field: 1, .. })
    ));
    assert!(matches!(
        map().array(1),
        Err(CborError::WrongType { field: 1, .. })
    ));
    assert!(matches!(
        map().byte_array::<2>(1),
        Err(CborError::WrongType { field: 1, .. })
    ));
    assert!(matches!(
        map().boolean(1),
        Err(CborError::WrongType { field: 1, .. })
    ));
    assert!(matches!(
        map().text(2),
        Err(CborError::WrongType { field: 2, .. })
    ));
    assert_eq!(map().finish(), Err(CborError::UnknownField));
    assert!(MapReader::new(Value::Bool(true)).is_err());
}

proptest! {
    #[test]
    fn values_round_trip(value in arbitrary_value()) {
        let bytes = encode(&value).unwrap();
        let decoded = decode(&bytes).unwrap();
        prop_assert_eq!(encode(&decoded).unwrap(), bytes);
    }

    #[test]
    fn truncated_and_extended_are_refused(value in arbitrary_value(), cut in any::<prop::sample::Index>(), extra: u8) {
        let mut bytes = encode(&value).unwrap();
        prop_assert!(decode(&bytes[..cut.index(bytes.len())]).is_err());
        bytes.push(extra);
        prop_assert!(decode(&bytes).is_err());
    }

    #[test]
    fn what_is_accepted_re_encodes_to_itself(bytes in any::<Vec<u8>>()) {
        if let Ok(value) = decode(&bytes) {
            prop_assert_eq!(encode(&value).unwrap(), bytes);
        }
    }
}
