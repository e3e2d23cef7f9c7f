use proptest::prelude::*;

use super::*;
use crate::cbor::CborError;
use crate::cose::CoseError;
use crate::precedence::{Precedence, compare};

/// 2026-11-23T00:00:00Z.
const ISSUED: UnixTime = UnixTime::from_secs(1_795_392_000);

fn key() -> SigningKey {
    SigningKey::from_seed(&[1; 32])
}

fn stranger() -> SigningKey {
    SigningKey::from_seed(&[2; 32])
}

fn record(content: AudienceContent) -> AudienceRecord {
    AudienceRecord {
        handle: AudienceHandle::from_bytes([5; 32]),
        write_key: key().verifying_key(),
        seq: 7,
        issued_at: ISSUED,
        expires: ISSUED.saturating_add(MAX_VALIDITY_SECS),
        content,
    }
}

fn sealed(units: usize) -> AudienceContent {
    AudienceContent::Sealed(AudienceCiphertext::from_bytes(&vec![9; 512 * units]).unwrap())
}

#[test]
fn a_record_is_what_its_write_key_signed() {
    for content in [sealed(1), sealed(8), AudienceContent::Removed] {
        let record = record(content);
        let signed = record.sign(&key()).unwrap();
        assert_eq!(signed.verify(ISSUED), Ok(&record));
        assert!(signed.as_bytes().len() <= MAX_AUDIENCE_RECORD_BYTES);
        let again = SignedAudienceRecord::from_bytes(signed.as_bytes()).unwrap();
        assert_eq!(again.unverified(), &record);
        assert_eq!(again.as_bytes(), signed.as_bytes());
    }
    assert_eq!(
        record(sealed(1)).sign(&stranger()).unwrap_err(),
        AudienceError::Cose(CoseError::WrongKey)
    );
}

#[test]
fn another_key_does_not_verify() {
    let payload = record(sealed(1)).sign(&key()).unwrap();
    let payload = payload.object.unverified_payload();
    let forged = sign1(&stranger(), ContentType::AudienceRecord, payload);
    let forged = SignedAudienceRecord::from_bytes(&forged).unwrap();
    assert_eq!(
        forged.verify(ISSUED),
        Err(AudienceError::Cose(CoseError::WrongKey))
    );
}

#[test]
fn validity_is_half_open() {
    let signed = record(sealed(1)).sign(&key()).unwrap();
    let expires = ISSUED.saturating_add(MAX_VALIDITY_SECS);
    let verify = |now| signed.verify(now).map(drop);
    assert_eq!(
        verify(ISSUED.saturating_sub(1)),
        Err(AudienceError::NotYetValid { issued_at: ISSUED })
    );
    assert_eq!(verify(expires.saturating_sub(1)), Ok(()));
    assert_eq!(verify(expires), Err(AudienceError::Expired { expires }));
}

#[test]
fn times_are_bounded() {
    let max = UnixTime::MAX;
    for (issued_at, expires) in [
        (ISSUED, ISSUED),
        (ISSUED, ISSUED.saturating_sub(1)),
        (ISSUED, ISSUED.saturating_add(MAX_VALIDITY_SECS + 1)),
        (max, max.saturating_add(1)),
    ] {
        let record = AudienceRecord {
            issued_at,
            expires,
            ..record(sealed(1))
        };
        assert_eq!(
            record.sign(&key()).unwrap_err(),
            AudienceError::Validity { issued_at, expires }
        );
    }
}

#[test]
fn changed_objects_do_not_verify() {
    for content in [sealed(1), AudienceContent::Removed] {
        let signed = record(content).sign(&key()).unwrap();
        for at in 0..signed.as_bytes().len() {
            let mut changed = signed.as_bytes().to_vec();
            changed[at] ^= 1;
            let verified = SignedAudienceRecord::from_bytes(&changed)
                .and_then(|object| object.verify(ISSUED).map(drop));
            assert!(verified.is_err(), "byte {at}");
        }
    }
}

/// A record with one field replaced, added or taken away, signed again.
fn edited(field: Field, value: Option<Value>) -> Result<SignedAudienceRecord, AudienceError> {
    let signed = record(sealed(1)).sign(&key()).unwrap();
    let Value::Map(mut fields) = cbor::decode(signed.object.unverified_payload()).unwrap() else {
        unreachable!()
    };
    fields.retain(|(label, _)| *label != Value::Integer(field.into()));
    fields.extend(value.map(|value| (Value::Integer(field.into()), value)));
    let payload = cbor::encode(&Value::Map(fields)).unwrap();
    SignedAudienceRecord::from_bytes(&sign1(&key(), ContentType::AudienceRecord, &payload))
}

#[test]
fn every_field_is_checked_and_no_other_allowed() {
    for field in [HANDLE, WRITE_KEY, SEQ, ISSUED_AT, EXPIRES] {
        assert_eq!(
            edited(field, None).unwrap_err(),
            AudienceError::Fields(CborError::MissingField { field })
        );
        let other = edited(field, Some(Value::Text("x".to_owned()))).unwrap_err();
        assert!(
            matches!(
                other,
                AudienceError::Fields(CborError::WrongType { .. })
                    | AudienceError::Cose(CoseError::MalformedKey)
            ),
            "field {field}: {other:?}"
        );
    }
    assert_eq!(
        edited(7, Some(Value::Bool(true))).unwrap_err(),
        AudienceError::Fields(CborError::UnknownField)
    );
    assert!(matches!(
        edited(CIPHERTEXT, Some(Value::Bool(true))).unwrap_err(),
        AudienceError::Fields(CborError::WrongType {
            field: CIPHERTEXT,
            ..
        })
    ));
    assert!(edited(HANDLE, Some(Value::Bytes(vec![5; 31]))).is_err());
    let removed = edited(CIPHERTEXT, None).unwrap();
    assert_eq!(removed.unverified().content, AudienceContent::Removed);
}

#[test]
fn sizes_are_checked() {
    for found in [0, 511, 4097] {
        assert_eq!(
            edited(CIPHERTEXT, Some(Value::Bytes(vec![0; found]))).unwrap_err(),
            AudienceError::CiphertextLength { found }
        );
    }
    assert!(matches!(
        edited(CIPHERTEXT, Some(Value::Bytes(vec![0; 4608]))).unwrap_err(),
        AudienceError::TooLarge { found } if found > MAX_AUDIENCE_RECORD_BYTES
    ));
    let found = MAX_AUDIENCE_RECORD_BYTES + 1;
    assert_eq!(
        SignedAudienceRecord::from_bytes(&vec![0; found]).unwrap_err(),
        AudienceError::TooLarge { found }
    );
}

#[test]
fn objects_of_another_kind_are_refused() {
    let signed = record(sealed(1)).sign(&key()).unwrap();
    let other = sign1(
        &key(),
        ContentType::Removal,
        signed.object.unverified_payload(),
    );
    assert_eq!(
        SignedAudienceRecord::from_bytes(&other).unwrap_err(),
        AudienceError::Cose(CoseError::WrongContentType {
            expected: ContentType::AudienceRecord
        })
    );
}

#[test]
fn the_higher_seq_wins() {
    let signed = |seq, content| {
        AudienceRecord {
            seq,
            ..record(content)
        }
        .sign(&key())
        .unwrap()
    };
    let stored = signed(7, sealed(1));
    let outcome = |incoming: &SignedAudienceRecord| compare(incoming.revision(), stored.revision());
    assert_eq!(
        outcome(&signed(8, AudienceContent::Removed)),
        Precedence::Newer
    );
    assert_eq!(outcome(&signed(7, sealed(1))), Precedence::Replay);
    assert_eq!(outcome(&signed(6, sealed(1))), Precedence::Older);
    assert_eq!(outcome(&signed(7, sealed(2))), Precedence::Equivocation);
}

#[test]
fn debug_shows_sizes_alone() {
    let signed = record(sealed(1)).sign(&key()).unwrap();
    let shown = format!("{signed:?} {:?}", signed.unverified());
    assert!(shown.contains("AudienceHandle(redacted)"), "{shown}");
    assert!(
        !shown.contains("[5, 5") && !shown.contains("[9, 9"),
        "{shown}"
    );
}

proptest! {
    #[test]
    fn records_round_trip(
        handle: [u8; 32],
        seq: u64,
        issued_at in 0..UnixTime::MAX.as_secs() - MAX_VALIDITY_SECS,
        validity in 1..=MAX_VALIDITY_SECS,
        units in 0..=8usize,
    ) {
        let issued_at = UnixTime::from_secs(issued_at);
        let record = AudienceRecord {
            handle: AudienceHandle::from_bytes(handle),
            seq,
            issued_at,
            expires: issued_at.saturating_add(validity),
            ..record(if units == 0 { AudienceContent::Removed } else { sealed(units) })
        };
        let signed = record.sign(&key()).unwrap();
        let again = SignedAudienceRecord::from_bytes(signed.as_bytes()).unwrap();
        prop_assert_eq!(again.verify(issued_at), Ok(&record));
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(SignedAudienceRecord::from_bytes(&bytes).is_err());
    }
}
