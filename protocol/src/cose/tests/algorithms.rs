//! The two algorithms side by side: neither key takes the other's objects.

use super::*;

/// An object whose header is `protected` and whose signature is `sign` of the
/// message to be signed.
fn object(protected: Header, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let value = CoseSign1Builder::new()
        .protected(protected)
        .payload(b"payload".to_vec())
        .create_signature(EXTERNAL_AAD, sign)
        .build()
        .to_cbor_value()
        .unwrap();
    cbor::encode(&value).unwrap()
}

fn header_of(algorithm: iana::Algorithm, key: &SigningKey) -> Header {
    HeaderBuilder::new()
        .algorithm(algorithm)
        .content_type(ContentType::Mapping.media_type().to_owned())
        .key_id(key.verifying_key().key_id().as_bytes().to_vec())
        .build()
}

fn verified(bytes: &[u8], key: &SigningKey) -> Result<(), CoseError> {
    let object = Sign1::decode(bytes, ContentType::Mapping)?;
    object.verify(&key.verifying_key()).map(drop)
}

#[test]
fn each_key_signs_with_its_own_algorithm() {
    for (key, algorithm) in [
        (key(1), iana::Algorithm::EdDSA),
        (p256_key(1), iana::Algorithm::ES256),
    ] {
        let bytes = sign1(&key, ContentType::Mapping, b"payload");
        let expected = object(header_of(algorithm, &key), |message| key.sign(message));
        assert_eq!(bytes, expected);
        assert_eq!(sign1(&key, ContentType::Mapping, b"payload"), bytes);
        assert_eq!(verified(&bytes, &key), Ok(()));
    }
}

#[test]
fn the_algorithm_fits_the_key() {
    let (edwards, weierstrass) = (key(1), p256_key(1));
    for (named, signer, wrong) in [
        (&edwards, &edwards, iana::Algorithm::ES256),
        (&weierstrass, &weierstrass, iana::Algorithm::EdDSA),
        // The signature is right for the algorithm, the key that `kid` names isn't.
        (&edwards, &weierstrass, iana::Algorithm::ES256),
        (&weierstrass, &edwards, iana::Algorithm::EdDSA),
    ] {
        let bytes = object(header_of(wrong, named), |message| signer.sign(message));
        assert_eq!(verified(&bytes, named), Err(CoseError::WrongAlgorithm));
    }
    for (named, right, signer) in [
        (&edwards, iana::Algorithm::EdDSA, &weierstrass),
        (&weierstrass, iana::Algorithm::ES256, &edwards),
    ] {
        let bytes = object(header_of(right, named), |message| signer.sign(message));
        assert_eq!(verified(&bytes, named), Err(CoseError::BadSignature));
        assert_eq!(verified(&bytes, signer), Err(CoseError::WrongKey));
    }
}

#[test]
fn other_algorithms_are_unknown() {
    use iana::Algorithm::{ES256K, ES384, ES512, ESP256, Ed448, Ed25519, HMAC_256_256};
    for algorithm in [ES384, ES512, ES256K, ESP256, Ed25519, Ed448, HMAC_256_256] {
        for key in [key(1), p256_key(1)] {
            let bytes = object(header_of(algorithm, &key), |message| key.sign(message));
            assert_eq!(verified(&bytes, &key), Err(CoseError::UnknownAlgorithm));
        }
    }
}

#[test]
fn the_kid_of_another_key_is_noticed() {
    for (signer, other) in [
        (key(1), key(2)),
        (p256_key(1), p256_key(2)),
        (key(1), p256_key(1)),
        (p256_key(1), key(1)),
    ] {
        let algorithm = signer.algorithm().registered();
        let bytes = object(header_of(algorithm, &other), |message| signer.sign(message));
        assert_eq!(verified(&bytes, &signer), Err(CoseError::WrongKey));
        let own = object(header_of(algorithm, &signer), |message| {
            signer.sign(message)
        });
        assert_eq!(verified(&own, &other), Err(CoseError::WrongKey));
    }
}

proptest! {
    #[test]
    fn p256_payloads_round_trip(payload in any::<Vec<u8>>(), byte in 1..=254_u8) {
        let key = p256_key(byte);
        let bytes = sign1(&key, ContentType::Release, &payload);
        let object = Sign1::decode(&bytes, ContentType::Release).unwrap();
        prop_assert_eq!(object.verify(&key.verifying_key()), Ok(&payload[..]));
    }

    #[test]
    fn any_changed_bit_of_a_p256_object_is_noticed(bit in any::<prop::sample::Index>()) {
        let mut bytes = sign1(&p256_key(1), ContentType::Mapping, b"payload");
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(verified(&bytes, &p256_key(1)).is_err());
    }
}
