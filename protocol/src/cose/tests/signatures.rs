//! Signatures and keys at the edges of what is accepted:
//! `tests/vectors/v1/signatures.json`, and the known answers of RFC 6979.

use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vectors {
    keys: Vec<KeyVector>,
    signatures: Vec<SignatureVector>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyVector {
    name: String,
    cose_key: String,
    rule: String,
    /// The variant of [`CoseError`].
    error: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignatureVector {
    name: String,
    cose_key: String,
    message: String,
    signature: String,
    rule: String,
    valid: bool,
}

fn vectors() -> Vectors {
    let text = include_str!("../../../../tests/vectors/v1/signatures.json");
    serde_json::from_str(text).unwrap()
}

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

#[test]
fn keys_at_the_edges() {
    let vectors = vectors().keys;
    assert!(vectors.len() > 60);
    for vector in vectors {
        let encoded = bytes(&vector.cose_key);
        let found = VerifyingKey::from_cose_key(&encoded);
        let refused = found.as_ref().err().map(|error| format!("{error:?}"));
        assert_eq!(refused, vector.error, "{}: {}", vector.name, vector.rule);
        if let Ok(key) = found {
            assert_eq!(key.to_cose_key(), encoded, "{}", vector.name);
            assert_eq!(VerifyingKey::from_text(&key.to_text()), Ok(key));
        }
    }
}

#[test]
fn signatures_at_the_edges() {
    let vectors = vectors().signatures;
    for valid in [true, false] {
        let count = vectors.iter().filter(|vector| vector.valid == valid);
        assert!(count.count() >= 9);
    }
    for vector in vectors {
        let key = VerifyingKey::from_cose_key(&bytes(&vector.cose_key)).unwrap();
        let expected = if vector.valid {
            Ok(())
        } else {
            Err(CoseError::BadSignature)
        };
        assert_eq!(
            key.verify(&bytes(&vector.message), &bytes(&vector.signature)),
            expected,
            "{}: {}",
            vector.name,
            vector.rule
        );
    }
}

#[test]
fn p256_signatures_are_those_of_rfc_6979() {
    // RFC 6979 §A.2.5, SHA-256. The first s is above n/2, so n - s is given
    // here for it.
    let scalar = "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721";
    let secret = p256::SecretKey::from_slice(&bytes(scalar)).unwrap();
    let der = p256::pkcs8::EncodePrivateKey::to_pkcs8_der(&secret).unwrap();
    let key = SigningKey::from_pkcs8_der(der.as_bytes()).unwrap();
    let sample_r = "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716";
    let published_s = "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8";
    let smaller_s = "0834e36ad29a83bf2bc9385e491d6099c8fdf9d1ed67aa7ea5f51f93782857a9";
    let public = key.verifying_key();
    assert_eq!(
        hex::encode(key.sign(b"sample")),
        format!("{sample_r}{smaller_s}")
    );
    assert_eq!(
        public.verify(b"sample", &bytes(&format!("{sample_r}{published_s}"))),
        Err(CoseError::BadSignature)
    );
    assert_eq!(
        public.verify(b"sample", &bytes(&format!("{sample_r}{smaller_s}"))),
        Ok(())
    );
    let test = "f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367\
                019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083";
    assert_eq!(hex::encode(key.sign(b"test")), test);
}

#[test]
fn ed25519_signatures_are_those_of_rfc_8032() {
    // RFC 8032 §7.1, test 3.
    let seed = "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7";
    let key = SigningKey::from_seed(&bytes(seed).try_into().unwrap());
    let signature = "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac\
                     18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a";
    assert_eq!(hex::encode(key.sign(&[0xaf, 0x82])), signature);
    let verified = key.verifying_key().verify(&[0xaf, 0x82], &bytes(signature));
    assert_eq!(verified, Ok(()));
}

proptest! {
    #[test]
    fn p256_signatures_have_the_smaller_s(byte in 1..=254_u8, message in any::<Vec<u8>>()) {
        let key = p256_key(byte);
        let signature = key.sign(&message);
        let other = {
            let parsed = p256::ecdsa::Signature::from_slice(&signature).unwrap();
            let (r, s) = parsed.split_scalars();
            p256::ecdsa::Signature::from_scalars(r, -s).unwrap().to_bytes().to_vec()
        };
        let public = key.verifying_key();
        prop_assert!(signature[32..] < other[32..]);
        prop_assert_eq!(public.verify(&message, &signature), Ok(()));
        prop_assert_eq!(public.verify(&message, &other), Err(CoseError::BadSignature));
    }
}
