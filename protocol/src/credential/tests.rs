use proptest::prelude::*;

use super::*;

/// 2026-11-23T00:00:00Z.
pub(crate) const ISSUED: UnixTime = UnixTime::from_secs(1_795_392_000);
pub(crate) const SUBJECT: &str = "tel:+442079460000";

pub(crate) fn csip() -> SigningKey {
    SigningKey::from_seed(&[1; 32])
}

pub(crate) fn holder() -> SigningKey {
    SigningKey::from_seed(&[2; 32])
}

pub(crate) fn stranger() -> SigningKey {
    SigningKey::from_seed(&[3; 32])
}

pub(crate) fn example() -> Credential {
    Credential {
        issuer: Issuer::new("csip.example").unwrap(),
        subject: Csi::parse(SUBJECT).unwrap(),
        holder: holder().verifying_key(),
        issued_at: ISSUED,
        expires: ISSUED.saturating_add(MAX_VALIDITY_SECS),
        assignment: 2,
    }
}

pub(crate) fn trust() -> TrustList {
    let key = csip().verifying_key().to_text();
    TrustList::from_toml(&format!(
        "[[csip]]\nissuer = \"csip.example\"\nkey = \"{key}\"\nscopes = [\"tel:+44\", \"mailto:*@example.com\"]\n"
    ))
    .unwrap()
}

#[test]
fn a_credential_is_what_its_csip_signed() {
    let signed = example().issue(&csip()).unwrap();
    assert_eq!(signed.verify(&trust(), ISSUED), Ok(example()));
    assert_eq!(signed.unverified(), &example());
    assert_eq!(signed.key_id(), csip().verifying_key().key_id());
    assert_eq!(
        signed.revision().version,
        Version {
            assignment: 2,
            seq: ISSUED.as_secs()
        }
    );
    let again = SignedCredential::from_bytes(signed.as_bytes()).unwrap();
    assert_eq!(again.as_bytes(), signed.as_bytes());
    assert!(!format!("{signed:?} {:?}", example()).contains("7946"));
}

#[test]
fn validity_is_half_open() {
    let signed = example().issue(&csip()).unwrap();
    let expires = example().expires;
    let verify = |now| signed.verify(&trust(), now).map(drop);
    assert_eq!(
        verify(ISSUED.saturating_sub(1)),
        Err(CredentialError::NotYetValid { issued_at: ISSUED })
    );
    assert_eq!(verify(expires.saturating_sub(1)), Ok(()));
    assert_eq!(verify(expires), Err(CredentialError::Expired { expires }));
}

#[test]
fn validity_is_bounded() {
    let until = |issued_at, expires| {
        Credential {
            issued_at,
            expires,
            ..example()
        }
        .issue(&csip())
        .map(drop)
    };
    let day_91 = ISSUED.saturating_add(MAX_VALIDITY_SECS + 1);
    let refused = |issued_at, expires| Err(CredentialError::Validity { issued_at, expires });
    assert_eq!(until(ISSUED, day_91), refused(ISSUED, day_91));
    assert_eq!(until(ISSUED, ISSUED), refused(ISSUED, ISSUED));
    let (late, later) = (UnixTime::MAX, UnixTime::MAX.saturating_add(1));
    assert_eq!(until(late, later), refused(late, later));
}

#[test]
fn only_a_trusted_csip_in_scope_is_believed() {
    let verify = |credential: Credential, key: &SigningKey| {
        credential
            .issue(key)
            .unwrap()
            .verify(&trust(), ISSUED)
            .unwrap_err()
    };
    let other = Issuer::new("other.example").unwrap();
    let untrusted = CredentialError::Untrusted;
    assert_eq!(
        verify(
            Credential {
                issuer: other,
                ..example()
            },
            &csip()
        ),
        untrusted(TrustError::UnknownIssuer)
    );
    assert_eq!(
        verify(example(), &stranger()),
        untrusted(TrustError::UnknownKey)
    );
    for outside in [
        "tel:+14155550123",
        "mailto:a@sub.example.com",
        "mailto:a@example.org",
    ] {
        let subject = Csi::parse(outside).unwrap();
        assert_eq!(
            verify(
                Credential {
                    subject,
                    ..example()
                },
                &csip()
            ),
            untrusted(TrustError::OutOfScope)
        );
    }
}

#[test]
fn a_changed_credential_does_not_verify() {
    let bytes = example().issue(&csip()).unwrap().as_bytes().to_vec();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        if let Ok(decoded) = SignedCredential::from_bytes(&changed) {
            assert!(decoded.verify(&trust(), ISSUED).is_err(), "byte {at}");
        }
    }
}

/// The claims of the example with one replaced, added or (`None`) removed,
/// properly signed.
fn with_claim(claim: i64, value: Option<Value>) -> Result<SignedCredential, CredentialError> {
    let signed = example().issue(&csip()).unwrap();
    let Value::Map(mut claims) = cbor::decode(signed.object.unverified_payload()).unwrap() else {
        unreachable!()
    };
    claims.retain(|(key, _)| *key != Value::Integer(claim.into()));
    claims.extend(value.map(|value| (Value::Integer(claim.into()), value)));
    let payload = cbor::encode(&Value::Map(claims)).unwrap();
    SignedCredential::from_bytes(&sign1(&csip(), ContentType::Credential, &payload))
}

#[test]
fn every_claim_is_required_and_checked_and_no_other_allowed() {
    for claim in [ISS, SUB, EXP, IAT, CNF, ASSIGNMENT_CLAIM] {
        let missing = with_claim(claim, None).unwrap_err();
        assert_eq!(
            missing,
            CredentialError::Claims(CborError::MissingField { field: claim })
        );
        let wrong = with_claim(claim, Some(Value::Bool(true))).unwrap_err();
        assert!(
            matches!(wrong, CredentialError::Claims(CborError::WrongType { field, .. }) if field == claim)
        );
    }
    let text = |text: &str| Some(Value::Text(text.into()));
    let confirmation =
        |member: i64, value: Value| Some(Value::Map(vec![(Value::Integer(member.into()), value)]));
    let cases = [
        (
            5,
            Some(Value::Integer(1.into())),
            CredentialError::Claims(CborError::UnknownField),
        ),
        (
            ISS,
            text(""),
            CredentialError::Issuer(IssuerError::Length { found: 0 }),
        ),
        (
            ISS,
            text(&"a".repeat(256)),
            CredentialError::Issuer(IssuerError::Length { found: 256 }),
        ),
        (
            ISS,
            text("a b"),
            CredentialError::Issuer(IssuerError::Character),
        ),
        (
            SUB,
            text("+442079460000"),
            CredentialError::Subject(CsiError::NotCanonical),
        ),
        (
            SUB,
            text("someone"),
            CredentialError::Subject(CsiError::NotAnIdentifier),
        ),
        (
            CNF,
            confirmation(2, Value::Bool(true)),
            CredentialError::Claims(CborError::MissingField { field: 1 }),
        ),
        (
            CNF,
            confirmation(1, Value::Bool(true)),
            CredentialError::HolderKey(CoseError::MalformedKey),
        ),
        (
            EXP,
            Some(Value::Integer(5.into())),
            CredentialError::Validity {
                issued_at: ISSUED,
                expires: UnixTime::from_secs(5),
            },
        ),
    ];
    for (claim, value, expected) in cases {
        assert_eq!(with_claim(claim, value).unwrap_err(), expected);
    }
    let negative = with_claim(EXP, Some(Value::Integer((-1).into()))).unwrap_err();
    assert!(matches!(
        negative,
        CredentialError::Claims(CborError::WrongType { field: EXP, .. })
    ));
}

#[test]
fn what_is_too_long_is_not_looked_at() {
    let bytes = vec![0; MAX_CREDENTIAL_BYTES + 1];
    assert_eq!(
        SignedCredential::from_bytes(&bytes).unwrap_err(),
        CredentialError::TooLarge { found: bytes.len() }
    );
}

proptest! {
    #[test]
    fn credentials_round_trip(seed: [u8; 32], begin in 0..4_000_000_000_u64, secs in 1..=MAX_VALIDITY_SECS, assignment: u64, local in "[a-z]{1,20}") {
        let credential = Credential {
            subject: Csi::parse(&format!("{local}@example.com")).unwrap(),
            holder: SigningKey::from_seed(&seed).verifying_key(),
            issued_at: UnixTime::from_secs(begin),
            expires: UnixTime::from_secs(begin + secs),
            assignment,
            ..example()
        };
        let signed = credential.clone().issue(&csip()).unwrap();
        let decoded = SignedCredential::from_bytes(signed.as_bytes()).unwrap();
        prop_assert_eq!(decoded.verify(&trust(), UnixTime::from_secs(begin)), Ok(credential));
    }

    #[test]
    fn truncated_and_extended_are_refused(cut in any::<prop::sample::Index>(), extra: u8) {
        let mut bytes = example().issue(&csip()).unwrap().as_bytes().to_vec();
        prop_assert!(SignedCredential::from_bytes(&bytes[..cut.index(bytes.len())]).is_err());
        bytes.push(extra);
        prop_assert!(SignedCredential::from_bytes(&bytes).is_err());
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(bytes in any::<Vec<u8>>()) {
        let _ = SignedCredential::from_bytes(&bytes);
        let signed = sign1(&csip(), ContentType::Credential, &bytes);
        let _ = SignedCredential::from_bytes(&signed);
    }
}
