use coset::{
    AsCborValue as _, CborSerializable as _, CoseSign1, CoseSign1Builder, Header, HeaderBuilder,
    iana,
};
use proptest::prelude::*;

mod algorithms;
mod keys;
mod secret_keys;
mod signatures;

use super::*;
use crate::cbor::{self, Value};

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

/// The P-256 key with this byte, 1 to 254, repeated as its scalar.
fn p256_key(byte: u8) -> SigningKey {
    let secret = p256::SecretKey::from_slice(&[byte; 32]).unwrap();
    let der = p256::pkcs8::EncodePrivateKey::to_pkcs8_der(&secret).unwrap();
    SigningKey::from_pkcs8_der(der.as_bytes()).unwrap()
}

fn header() -> HeaderBuilder {
    HeaderBuilder::new()
        .algorithm(iana::Algorithm::EdDSA)
        .content_type(ContentType::Mapping.media_type().to_owned())
        .key_id(key(1).verifying_key().key_id().as_bytes().to_vec())
}

/// A signed object with any header, signed by key 1.
fn signed_with(protected: Header, unprotected: Header, aad: &[u8]) -> Vec<u8> {
    let dalek = ed25519_dalek::SigningKey::from_bytes(&[1; 32]);
    let value = CoseSign1Builder::new()
        .protected(protected)
        .unprotected(unprotected)
        .payload(b"payload".to_vec())
        .create_signature(aad, |message| {
            use ed25519_dalek::Signer as _;
            dalek.sign(message).to_bytes().to_vec()
        })
        .build()
        .to_cbor_value()
        .unwrap();
    cbor::encode(&value).unwrap()
}

fn refusal(bytes: &[u8]) -> CoseError {
    match Sign1::decode(bytes, ContentType::Mapping) {
        Err(error) => error,
        Ok(object) => object.verify(&key(1).verifying_key()).unwrap_err(),
    }
}

#[test]
fn a_signed_object_verifies_under_its_key_alone() {
    let bytes = sign1(&key(1), ContentType::Mapping, b"payload");
    let object = Sign1::decode(&bytes, ContentType::Mapping).unwrap();
    assert_eq!(object.verify(&key(1).verifying_key()), Ok(&b"payload"[..]));
    assert_eq!(object.key_id(), key(1).verifying_key().key_id());
    assert_eq!(object.as_bytes(), bytes);
    assert_eq!(
        object.verify(&key(2).verifying_key()),
        Err(CoseError::WrongKey)
    );
    assert_eq!(
        bytes,
        signed_with(header().build(), Header::default(), EXTERNAL_AAD)
    );
    assert!(!format!("{object:?}").contains("payload"));
}

#[test]
fn an_object_of_one_kind_is_none_of_another() {
    use ContentType::{Credential, Manifest, Mapping, Release, Removal};
    for made in [Credential, Mapping, Removal, Release, Manifest] {
        let bytes = sign1(&key(1), made, b"");
        for asked in [Credential, Mapping, Removal, Release, Manifest] {
            let decoded = Sign1::decode(&bytes, asked);
            if made == asked {
                assert!(decoded.is_ok());
            } else {
                assert_eq!(
                    decoded.unwrap_err(),
                    CoseError::WrongContentType { expected: asked }
                );
            }
        }
    }
}

#[test]
fn every_other_header_is_refused() {
    let none = Header::default;
    let protected = |header: HeaderBuilder| signed_with(header.build(), none(), EXTERNAL_AAD);
    let media_type = || ContentType::Mapping.media_type().to_owned();
    let kid = || key(1).verifying_key().key_id().as_bytes().to_vec();
    let cases = [
        (
            protected(header().add_critical(iana::HeaderParameter::Alg)),
            CoseError::CriticalHeader,
        ),
        (
            protected(header().value(1000, Value::Bool(true))),
            CoseError::UnexpectedHeader,
        ),
        (
            protected(header().text_value("x".into(), Value::Bool(true))),
            CoseError::UnexpectedHeader,
        ),
        (protected(header().iv(vec![1])), CoseError::UnexpectedHeader),
        (
            protected(header().algorithm(iana::Algorithm::ES384)),
            CoseError::UnknownAlgorithm,
        ),
        (
            protected(header().algorithm(iana::Algorithm::Ed25519)),
            CoseError::UnknownAlgorithm,
        ),
        (protected(header().key_id(vec![7; 31])), CoseError::WrongKey),
        (protected(header().key_id(vec![7; 32])), CoseError::WrongKey),
        (
            protected(header().content_format(iana::CoapContentFormat::Cbor)),
            CoseError::WrongContentType {
                expected: ContentType::Mapping,
            },
        ),
        (
            protected(
                HeaderBuilder::new()
                    .content_type(media_type())
                    .key_id(kid()),
            ),
            CoseError::MissingHeader { parameter: "alg" },
        ),
        (
            protected(
                HeaderBuilder::new()
                    .algorithm(iana::Algorithm::EdDSA)
                    .key_id(kid()),
            ),
            CoseError::MissingHeader {
                parameter: "the content type",
            },
        ),
        (
            protected(
                HeaderBuilder::new()
                    .algorithm(iana::Algorithm::EdDSA)
                    .content_type(media_type()),
            ),
            CoseError::MissingHeader { parameter: "kid" },
        ),
        (
            protected(HeaderBuilder::new()),
            CoseError::MissingHeader { parameter: "alg" },
        ),
        (
            signed_with(
                header().build(),
                HeaderBuilder::new().key_id(kid()).build(),
                EXTERNAL_AAD,
            ),
            CoseError::UnprotectedHeader,
        ),
        (
            signed_with(header().build(), none(), b"sotto v2"),
            CoseError::BadSignature,
        ),
    ];
    for (number, (bytes, expected)) in cases.iter().enumerate() {
        assert_eq!(refusal(bytes), *expected, "case {number}");
    }
}

#[test]
fn every_other_frame_is_refused() {
    let bytes = sign1(&key(1), ContentType::Mapping, b"payload");
    let Value::Array(parts) = cbor::decode(&bytes).unwrap() else {
        unreachable!()
    };
    let array = |parts: &[Value]| cbor::encode(&Value::Array(parts.to_vec())).unwrap();
    assert_eq!(refusal(&array(&parts[..3])), CoseError::NotSign1);
    assert_eq!(
        refusal(&array(&[parts.clone(), vec![Value::Bool(true)]].concat())),
        CoseError::NotSign1
    );
    assert_eq!(
        refusal(&[&[0xd2], &bytes[..]].concat()),
        CoseError::Cbor(CborError::UnsupportedType)
    );
    assert_eq!(
        refusal(&[&bytes[..], &[0]].concat()),
        CoseError::Cbor(CborError::TrailingBytes { count: 1 })
    );
    let detached = CoseSign1 {
        payload: None,
        ..CoseSign1::from_slice(&bytes).unwrap()
    };
    assert_eq!(
        refusal(&detached.to_vec().unwrap()),
        CoseError::Cbor(CborError::UnsupportedType)
    );
    let huge = sign1(&key(1), ContentType::Mapping, &vec![0; MAX_SIGNED_BYTES]);
    assert!(matches!(refusal(&huge), CoseError::TooLarge { .. }));
    let mut short_signature = parts.clone();
    short_signature[3] = Value::Bytes(vec![0; 63]);
    assert_eq!(refusal(&array(&short_signature)), CoseError::BadSignature);
    // A protected header with the same parameters in another order.
    let Value::Bytes(protected) = &parts[0] else {
        unreachable!()
    };
    let Value::Map(mut pairs) = cbor::decode(protected).unwrap() else {
        unreachable!()
    };
    pairs.reverse();
    let mut reordered = Vec::new();
    ciborium::into_writer(&Value::Map(pairs), &mut reordered).unwrap();
    let mut frame = parts.clone();
    frame[0] = Value::Bytes(reordered);
    assert_eq!(
        refusal(&array(&frame)),
        CoseError::Cbor(CborError::NotDeterministic)
    );
}

proptest! {
    #[test]
    fn payloads_round_trip(payload in any::<Vec<u8>>(), seed: [u8; 32]) {
        let key = SigningKey::from_seed(&seed);
        let bytes = sign1(&key, ContentType::Release, &payload);
        let object = Sign1::decode(&bytes, ContentType::Release).unwrap();
        prop_assert_eq!(object.verify(&key.verifying_key()), Ok(&payload[..]));
    }

    #[test]
    fn any_changed_bit_is_noticed(bit in any::<prop::sample::Index>()) {
        let mut bytes = sign1(&key(1), ContentType::Mapping, b"payload");
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        let _: CoseError = refusal(&bytes);
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(bytes in any::<Vec<u8>>()) {
        let _ = Sign1::decode(&bytes, ContentType::Mapping);
        let _ = VerifyingKey::from_cose_key(&bytes);
        let _ = VerifyingKey::from_text(&String::from_utf8_lossy(&bytes));
    }
}
