//! Secret keys as PKCS#8.

use pkcs8::der::asn1::{BitStringRef, OctetStringRef};
use pkcs8::der::{AnyRef, Encode as _};
use pkcs8::spki::AlgorithmIdentifierRef;
use pkcs8::{ObjectIdentifier, PrivateKeyInfoRef};
use proptest::prelude::*;

use super::*;

const ED25519: &str = "1.3.101.112";
const EC: &str = "1.2.840.10045.2.1";
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");

fn encoded(
    algorithm: &str,
    curve: Option<&ObjectIdentifier>,
    secret: &[u8],
    public: Option<&[u8]>,
) -> Vec<u8> {
    let algorithm = AlgorithmIdentifierRef {
        oid: ObjectIdentifier::new(algorithm).unwrap(),
        parameters: curve.map(AnyRef::from),
    };
    let mut info = PrivateKeyInfoRef::new(algorithm, OctetStringRef::new(secret).unwrap());
    info.public_key = public.map(|public| BitStringRef::from_bytes(public).unwrap());
    info.to_der().unwrap()
}

/// The `ECPrivateKey` (RFC 5915) of a scalar, without its public key.
fn ec_private_key(scalar: &[u8]) -> Vec<u8> {
    let length = |bytes: usize| u8::try_from(bytes).unwrap();
    let head = [
        0x30,
        length(scalar.len() + 5),
        2,
        1,
        1,
        4,
        length(scalar.len()),
    ];
    [&head, scalar].concat()
}

#[test]
fn the_example_of_rfc_8410_is_read() {
    // RFC 8410 §10.3: version 1, and version 2 with an attribute and the
    // public key.
    let seed = "d4ee72dbf913584ad5b6d8f1f769f8ad3afe7c28cbf1d4fbe097a88f44755842";
    let first = format!("302e020100300506032b657004220420{seed}");
    let second = format!(
        "3072020101300506032b657004220420{seed}\
         a01f301d060a2a864886f70d01090914310f0c0d437572646c6520436861697273\
         81210019bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1"
    );
    for der in [&first, &second] {
        let key = SigningKey::from_pkcs8_der(&hex::decode(der).unwrap()).unwrap();
        assert_eq!(hex::encode(key.seed().unwrap().as_ref()), seed);
        assert_eq!(hex::encode(key.to_pkcs8_der()), first);
    }
}

#[test]
fn keys_that_are_not_these_are_refused() {
    let public = key(1).verifying_key().to_cose_key()[8..].to_vec();
    let other = key(2).verifying_key().to_cose_key()[8..].to_vec();
    let seed = [&[4, 32], &[1; 32][..]].concat();
    let scalar = ec_private_key(&[1; 32]);
    let order = hex::decode("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
    let mut mismatched = p256_key(1).to_pkcs8_der().to_vec();
    let whole = mismatched.len();
    let point = &p256_key(2).to_pkcs8_der()[whole - 64..];
    mismatched[whole - 64..].copy_from_slice(point);
    for good in [
        encoded(ED25519, None, &seed, None),
        encoded(ED25519, None, &seed, Some(&public)),
        encoded(EC, Some(&P256), &scalar, None),
    ] {
        assert!(SigningKey::from_pkcs8_der(&good).is_ok());
    }
    let cases = [
        (
            "another public key",
            encoded(ED25519, None, &seed, Some(&other)),
        ),
        ("a bare seed", encoded(ED25519, None, &seed[2..], None)),
        (
            "a short seed",
            encoded(ED25519, None, &[&[4, 31], &seed[3..]].concat(), None),
        ),
        (
            "parameters for Ed25519",
            encoded(ED25519, Some(&P256), &seed, None),
        ),
        ("X25519", encoded("1.3.101.110", None, &seed, None)),
        ("Ed25519 as P-256", encoded(EC, Some(&P256), &seed, None)),
        ("P-256 as Ed25519", encoded(ED25519, None, &scalar, None)),
        ("P-384", encoded(EC, Some(&P384), &scalar, None)),
        ("no curve", encoded(EC, None, &scalar, None)),
        (
            "scalar 0",
            encoded(EC, Some(&P256), &ec_private_key(&[0; 32]), None),
        ),
        (
            "scalar n",
            encoded(EC, Some(&P256), &ec_private_key(&order.unwrap()), None),
        ),
        (
            "a long scalar",
            encoded(EC, Some(&P256), &ec_private_key(&[1; 33]), None),
        ),
        ("another point", mismatched),
        (
            "trailing bytes",
            [&key(1).to_pkcs8_der()[..], &[0]].concat(),
        ),
        ("nothing", Vec::new()),
    ];
    for (name, der) in cases {
        let refused = SigningKey::from_pkcs8_der(&der).unwrap_err();
        assert_eq!(refused, CoseError::MalformedKey, "{name}");
    }
}

proptest! {
    #[test]
    fn keys_round_trip(seed: [u8; 32], scalar in 1..=254_u8) {
        for key in [SigningKey::from_seed(&seed), p256_key(scalar)] {
            let der = key.to_pkcs8_der();
            let again = SigningKey::from_pkcs8_der(&der).unwrap();
            prop_assert_eq!(again.verifying_key(), key.verifying_key());
            prop_assert_eq!(again.sign(b"message"), key.sign(b"message"));
            prop_assert_eq!(again.to_pkcs8_der(), der);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in any::<Vec<u8>>(), at in any::<prop::sample::Index>(), value: u8) {
        let _ = SigningKey::from_pkcs8_der(&bytes);
        for key in [key(1), p256_key(1)] {
            let mut der = key.to_pkcs8_der().to_vec();
            let at = at.index(der.len());
            der[at] = value;
            let _ = SigningKey::from_pkcs8_der(&der);
        }
    }
}
