//! Every way in which a bundle can't be believed, by its own reason.

use std::collections::HashSet;

use coset::{CborSerializable as _, CoseSign1Builder, HeaderBuilder, iana};
use ed25519_dalek::Signer as _;

use super::*;
use crate::cbor::{self, Value};
use crate::cose::{ContentType, EXTERNAL_AAD};
use crate::credential::MAX_VALIDITY_SECS;
use crate::credential::tests::holder;

const CSIP_SEED: u8 = 1;
const HOLDER_SEED: u8 = 2;

/// A signed object whose header may lie; the signature is over the lie.
fn object(seed: u8, alg: iana::Algorithm, kind: ContentType, payload: Vec<u8>) -> Vec<u8> {
    let key = SigningKey::from_seed(&[seed; 32]).verifying_key();
    let header = HeaderBuilder::new()
        .algorithm(alg)
        .content_type(kind.media_type().to_owned())
        .key_id(key.key_id().as_bytes().to_vec())
        .build();
    CoseSign1Builder::new()
        .protected(header)
        .payload(payload)
        .create_signature(EXTERNAL_AAD, |message| {
            let key = ed25519_dalek::SigningKey::from_bytes(&[seed; 32]);
            key.sign(message).to_bytes().to_vec()
        })
        .build()
        .to_vec()
        .unwrap()
}

fn eddsa(seed: u8, kind: ContentType, payload: Vec<u8>) -> Vec<u8> {
    object(seed, iana::Algorithm::EdDSA, kind, payload)
}

/// The payload of a signed object, which is its third item.
fn payload(object: &[u8]) -> Vec<u8> {
    let Value::Array(items) = cbor::decode(object).unwrap() else {
        unreachable!()
    };
    let [_, _, Value::Bytes(payload), _] = items.as_slice() else {
        unreachable!()
    };
    payload.clone()
}

/// The payload with one field set.
fn with(payload: &[u8], field: i64, value: Value) -> Vec<u8> {
    let Value::Map(mut pairs) = cbor::decode(payload).unwrap() else {
        unreachable!()
    };
    pairs.retain(|(key, _)| *key != Value::Integer(field.into()));
    pairs.push((Value::Integer(field.into()), value));
    cbor::encode(&Value::Map(pairs)).unwrap()
}

fn encoded(version: u64, credential: &[u8], mappings: &[&[u8]]) -> Vec<u8> {
    let bytes = |bytes: &[u8]| Value::Bytes(bytes.to_vec());
    cbor::encode(&Value::Array(vec![
        Value::Integer(version.into()),
        bytes(credential),
        Value::Array(mappings.iter().map(|mapping| bytes(mapping)).collect()),
    ]))
    .unwrap()
}

/// What a client makes of a record's content.
fn reason(bytes: &[u8], trust: &TrustList, now: UnixTime) -> Option<Unverifiable> {
    let bundle = match Bundle::decode(bytes) {
        Ok(bundle) => bundle,
        Err(error) => return Some(error.into()),
    };
    match evaluate(Some(&bundle), &credential().subject, trust, now) {
        Lookup::Unverifiable(why) => Some(why),
        _ => None,
    }
}

fn flipped(mut bytes: Vec<u8>) -> Vec<u8> {
    *bytes.last_mut().unwrap() ^= 1;
    bytes
}

fn number(n: u64) -> Value {
    Value::Integer(n.into())
}

/// Contents that fail at `ISSUED` under the usual trust list.
fn contents() -> Vec<(Unverifiable, Vec<u8>)> {
    use Unverifiable::*;
    let issue = |credential: Credential| credential.issue(&csip()).unwrap().as_bytes().to_vec();
    let sign = |mapping: Mapping| mapping.sign(&holder()).unwrap().as_bytes().to_vec();
    let (good, mapping) = (issue(credential()), sign(listed(1, 1)));
    let (claims, fields) = (payload(&good), payload(&mapping));
    let by_csip = |payload| eddsa(CSIP_SEED, ContentType::Credential, payload);
    let by_holder = |payload| eddsa(HOLDER_SEED, ContentType::Mapping, payload);
    let of_credential = |bytes: Vec<u8>| encoded(1, &bytes, &[&mapping]);
    let of_mapping = |bytes: Vec<u8>| encoded(1, &good, &[&bytes]);
    assert_eq!(
        reason(&encoded(1, &good, &[&mapping]), &trust(), ISSUED),
        None
    );
    assert_eq!(by_csip(claims.clone()), good);
    assert_eq!(by_holder(fields.clone()), mapping);
    let other = Csi::parse("a@example.com").unwrap();
    let weak_key = Value::Map(vec![(
        number(1),
        Value::Map(vec![
            (number(1), number(1)),
            (Value::Integer((-1).into()), number(6)),
            (Value::Integer((-2).into()), Value::Bytes(vec![0; 32])),
        ]),
    )]);
    let es256 = |seed, kind, payload| object(seed, iana::Algorithm::ES256, kind, payload);
    vec![
        (MalformedBundle, vec![]),
        (MalformedBundle, encoded(1, &good, &[&mapping, &mapping])),
        (BundleVersion, encoded(2, &good, &[&mapping])),
        (MalformedCredential, of_credential(vec![0x80])),
        (
            MalformedCredential,
            of_credential(by_csip(with(&claims, 9, number(0)))),
        ),
        (
            CredentialKind,
            of_credential(eddsa(CSIP_SEED, ContentType::Release, claims.clone())),
        ),
        (
            CredentialAlgorithm,
            of_credential(es256(CSIP_SEED, ContentType::Credential, claims.clone())),
        ),
        (
            CredentialHolderKey,
            of_credential(by_csip(with(&claims, 8, weak_key))),
        ),
        (
            CredentialValidity,
            of_credential(by_csip(with(
                &claims,
                4,
                number(ISSUED.as_secs() + MAX_VALIDITY_SECS + 1),
            ))),
        ),
        (
            IssuerUnknown,
            of_credential(issue(Credential {
                issuer: Issuer::new("other.example").unwrap(),
                ..credential()
            })),
        ),
        (
            IssuerKeyUnknown,
            of_credential(eddsa(3, ContentType::Credential, claims.clone())),
        ),
        (
            IssuerOutOfScope,
            of_credential(issue(Credential {
                subject: Csi::parse("+14155550123").unwrap(),
                ..credential()
            })),
        ),
        (CredentialSignature, of_credential(flipped(good.clone()))),
        (
            CredentialSubject,
            of_credential(issue(Credential {
                subject: other.clone(),
                ..credential()
            })),
        ),
        (MalformedMapping, of_mapping(vec![0x80])),
        (
            MalformedMapping,
            of_mapping(by_holder(with(&fields, 11, number(0)))),
        ),
        (
            MappingKind,
            of_mapping(eddsa(HOLDER_SEED, ContentType::Removal, fields.clone())),
        ),
        (
            MappingAlgorithm,
            of_mapping(es256(HOLDER_SEED, ContentType::Mapping, fields.clone())),
        ),
        (
            MappingValidity,
            of_mapping(by_holder(with(&fields, 5, number(0)))),
        ),
        (
            MappingKey,
            of_mapping(eddsa(3, ContentType::Mapping, fields.clone())),
        ),
        (MappingSignature, of_mapping(flipped(mapping.clone()))),
        (
            MappingSubject,
            of_mapping(sign(Mapping {
                subject: other,
                ..listed(1, 1)
            })),
        ),
        (
            MappingAssignment,
            of_mapping(sign(Mapping {
                assignment: 3,
                ..listed(1, 1)
            })),
        ),
        (
            Equivocation,
            bundle(&[listed(1, 1), Mapping::example(1, 1, &["b.example"])])
                .encode()
                .to_vec(),
        ),
    ]
}

/// A trust list whose only key is trusted within these times.
fn trusted(member: &str, at: UnixTime) -> TrustList {
    let text = format!("{}{member} = \"{at}\"\n", trust().to_toml());
    TrustList::from_toml(&text).unwrap()
}

#[test]
fn each_failure_has_its_own_reason() {
    use Unverifiable::*;
    let mut reached = HashSet::new();
    for (at, (expected, content)) in contents().into_iter().enumerate() {
        let found = reason(&content, &trust(), ISSUED);
        assert_eq!(found, Some(expected), "content {at}");
        reached.insert(expected);
    }
    let good = bundle(&[listed(1, 1)]).encode().to_vec();
    let (early, late) = (ISSUED.saturating_sub(1), ISSUED.saturating_add(1));
    for (expected, trust, now) in [
        (CredentialNotYetValid, trust(), early),
        (CredentialExpired, trust(), credential().expires),
        (IssuerKeyNotYetValid, trusted("not_before", late), ISSUED),
        (IssuerKeyExpired, trusted("not_after", ISSUED), ISSUED),
    ] {
        assert_eq!(reason(&good, &trust, now), Some(expected));
        reached.insert(expected);
    }
    // Mappings on their own: in a bundle these two are no failures.
    let mapping = signed(&listed(1, 1));
    for (expected, now) in [
        (MappingNotYetValid, early),
        (MappingExpired, listed(1, 1).expires),
    ] {
        let error = mapping.verify(&credential(), now).unwrap_err();
        assert_eq!(Unverifiable::from(error), expected);
        reached.insert(expected);
    }
    assert_eq!(reached, OF_OBJECTS.into());
    assert!(OF_OBJECTS.into_iter().all(is_of_objects));
}

/// Every reason that lies in the objects of a record.
const OF_OBJECTS: [Unverifiable; 27] = {
    use Unverifiable::*;
    [
        MalformedBundle,
        BundleVersion,
        MalformedCredential,
        CredentialKind,
        CredentialAlgorithm,
        CredentialHolderKey,
        CredentialValidity,
        IssuerUnknown,
        IssuerKeyUnknown,
        IssuerOutOfScope,
        IssuerKeyNotYetValid,
        IssuerKeyExpired,
        CredentialSignature,
        CredentialSubject,
        CredentialNotYetValid,
        CredentialExpired,
        MalformedMapping,
        MappingKind,
        MappingAlgorithm,
        MappingValidity,
        MappingKey,
        MappingSignature,
        MappingSubject,
        MappingAssignment,
        MappingNotYetValid,
        MappingExpired,
        Equivocation,
    ]
};

/// A new reason does not compile here until it is told where it lies; if in
/// the objects, it belongs in [`OF_OBJECTS`] and needs a case.
fn is_of_objects(why: Unverifiable) -> bool {
    use Unverifiable::*;
    match why {
        BucketNotUnderRoot | MalformedBucket | RecordDidNotOpen | AudienceDidNotOpen => false,
        MalformedBundle
        | BundleVersion
        | MalformedCredential
        | CredentialKind
        | CredentialAlgorithm
        | CredentialHolderKey
        | CredentialValidity
        | IssuerUnknown
        | IssuerKeyUnknown
        | IssuerOutOfScope
        | IssuerKeyNotYetValid
        | IssuerKeyExpired
        | CredentialSignature
        | CredentialSubject
        | CredentialNotYetValid
        | CredentialExpired
        | MalformedMapping
        | MappingKind
        | MappingAlgorithm
        | MappingValidity
        | MappingKey
        | MappingSignature
        | MappingSubject
        | MappingAssignment
        | MappingNotYetValid
        | MappingExpired
        | Equivocation => true,
    }
}
