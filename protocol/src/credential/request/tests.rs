use proptest::prelude::*;

use super::*;
use crate::credential::tests::{ISSUED, SUBJECT, holder, stranger};

fn subject() -> Csi {
    Csi::parse(SUBJECT).unwrap()
}

fn issuer() -> Issuer {
    Issuer::new("csip.example").unwrap()
}

fn signed() -> SignedCredentialRequest {
    CredentialRequest::sign(&subject(), &issuer(), &holder(), ISSUED).unwrap()
}

/// The payload with one field replaced, added or removed, signed by `key`.
fn edited(
    key: &SigningKey,
    field: Field,
    value: Option<Value>,
) -> Result<SignedCredentialRequest, CredentialRequestError> {
    let Value::Map(mut fields) = cbor::decode(signed().payload()).unwrap() else {
        unreachable!()
    };
    fields.retain(|(label, _)| *label != Value::Integer(field.into()));
    fields.extend(value.map(|value| (Value::Integer(field.into()), value)));
    let payload = cbor::encode(&Value::Map(fields)).unwrap();
    SignedCredentialRequest::from_bytes(&sign1(key, ContentType::CredentialRequest, &payload))
}

#[test]
fn a_request_proves_its_key_to_one_issuer_and_soon() {
    for key in [holder(), SigningKey::generate_p256(&mut rand::rng())] {
        let signed = CredentialRequest::sign(&subject(), &issuer(), &key, ISSUED).unwrap();
        let signed = SignedCredentialRequest::from_bytes(signed.as_bytes()).unwrap();
        let expected = CredentialRequest {
            subject: subject(),
            issuer: issuer(),
            holder: key.verifying_key(),
            issued_at: ISSUED,
        };
        assert_eq!(signed.verify(&issuer(), ISSUED), Ok(&expected));
        assert_eq!(signed.unverified(), &expected);
        assert!(!format!("{signed:?} {expected:?}").contains("7946"));
    }
    let verify = |now| signed().verify(&issuer(), now).map(drop);
    let patience = CredentialRequest::FRESHNESS_SECS;
    assert_eq!(verify(ISSUED.saturating_add(patience)), Ok(()));
    assert_eq!(verify(ISSUED.saturating_sub(patience)), Ok(()));
    let stale = Err(CredentialRequestError::Stale { issued_at: ISSUED });
    assert_eq!(verify(ISSUED.saturating_add(patience + 1)), stale);
    assert_eq!(verify(ISSUED.saturating_sub(patience + 1)), stale);
    let other = Issuer::new("other.example").unwrap();
    assert_eq!(
        signed().verify(&other, ISSUED).map(drop),
        Err(CredentialRequestError::OtherIssuer)
    );
}

#[test]
fn nobody_asks_for_a_key_that_is_not_theirs() {
    let theirs = edited(
        &stranger(),
        HOLDER,
        Some(holder().verifying_key().to_cose_key_value()),
    );
    assert_eq!(
        theirs.unwrap().verify(&issuer(), ISSUED).map(drop),
        Err(CredentialRequestError::Cose(CoseError::WrongKey))
    );
}

#[test]
fn changed_requests_do_not_verify() {
    let bytes = signed().as_bytes().to_vec();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let verified = SignedCredentialRequest::from_bytes(&changed)
            .and_then(|object| object.verify(&issuer(), ISSUED).map(drop));
        assert!(verified.is_err(), "byte {at}");
    }
}

#[test]
fn every_field_is_checked_and_no_other_allowed() {
    let refused = |field, value| edited(&holder(), field, value).map(drop).unwrap_err();
    for field in 1..=4 {
        assert_eq!(
            refused(field, None),
            CredentialRequestError::Fields(CborError::MissingField { field })
        );
    }
    for field in [1, 2, 4] {
        assert!(matches!(
            refused(field, Some(Value::Map(vec![]))),
            CredentialRequestError::Fields(CborError::WrongType { .. })
        ));
    }
    assert!(matches!(
        refused(3, Some(Value::Bytes(vec![0; 32]))),
        CredentialRequestError::HolderKey(_)
    ));
    let integer = |n: u64| Some(Value::Integer(n.into()));
    assert_eq!(
        refused(5, integer(0)),
        CredentialRequestError::Fields(CborError::UnknownField)
    );
    assert_eq!(
        refused(1, Some(Value::Text("+442079460000".into()))),
        CredentialRequestError::Subject(CsiError::NotCanonical)
    );
    assert_eq!(
        refused(2, Some(Value::Text("a b".into()))),
        CredentialRequestError::Issuer(IssuerError::Character)
    );
    let late = UnixTime::MAX.saturating_add(1);
    assert_eq!(
        refused(4, integer(late.as_secs())),
        CredentialRequestError::IssuedAt { issued_at: late }
    );
    let long = vec![0; CredentialRequest::BYTES_MAX + 1];
    assert_eq!(
        SignedCredentialRequest::from_bytes(&long).unwrap_err(),
        CredentialRequestError::TooLarge { found: long.len() }
    );
    let as_credential = sign1(&holder(), ContentType::Credential, signed().payload());
    assert!(SignedCredentialRequest::from_bytes(&as_credential).is_err());
}

proptest! {
    #[test]
    fn truncated_and_extended_are_refused(cut in any::<prop::sample::Index>(), extra: u8) {
        let mut bytes = signed().as_bytes().to_vec();
        prop_assert!(SignedCredentialRequest::from_bytes(&bytes[..cut.index(bytes.len())]).is_err());
        bytes.push(extra);
        prop_assert!(SignedCredentialRequest::from_bytes(&bytes).is_err());
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(bytes in any::<Vec<u8>>()) {
        let _ = SignedCredentialRequest::from_bytes(&bytes);
        let _ = SignedCredentialRequest::from_bytes(&sign1(&holder(), ContentType::CredentialRequest, &bytes));
    }
}
