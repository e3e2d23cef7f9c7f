//! Forms of keys.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::*;

#[test]
fn key_id_is_the_rfc_9679_thumbprint() {
    // RFC 8032 §7.1 test 1: seed and public key.
    let seed =
        hex::decode("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60").unwrap();
    let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    let key = SigningKey::from_seed(&seed.try_into().unwrap()).verifying_key();
    let cose_key = hex::decode(format!("a301012006215820{public}")).unwrap();
    assert_eq!(key.to_cose_key(), cose_key);
    assert_eq!(cbor::encode(&key.to_cose_key_value()).unwrap(), cose_key);
    assert_eq!(key.key_id().as_bytes()[..], Sha256::digest(&cose_key)[..]);
}

#[test]
fn the_thumbprint_of_rfc_9679_is_reproduced() {
    // RFC 9679 §6: an EC2 key; its `kid` is not part of the thumbprint.
    let cose_key = "a401022001215820\
        65eda5a12577c2bae829437fe338701a10aaa375e1bb5b5de108de439c08551d\
        225820\
        1e52ed75701163f7f9e40ddf9f341b3dc9ba860af7e0ca7ca7e9eecd0084d19c";
    let key = VerifyingKey::from_cose_key(&hex::decode(cose_key).unwrap()).unwrap();
    assert_eq!(
        hex::encode(key.key_id().as_bytes()),
        "496bd8afadf307e5b08c64b0421bf9dc01528a344a43bda88fadd1669da253ec"
    );
}

#[test]
fn keys_survive_their_forms() {
    let rng = &mut rand::rng();
    let of_seed = SigningKey::generate(rng);
    let again = SigningKey::from_seed(&of_seed.seed().unwrap());
    assert_eq!(again.verifying_key(), of_seed.verifying_key());
    let p256 = SigningKey::generate_p256(rng);
    assert!(p256.seed().is_none());
    for (secret, other, algorithm) in [
        (of_seed, SigningKey::generate(rng), Algorithm::EdDsa),
        (p256, SigningKey::generate_p256(rng), Algorithm::Es256),
    ] {
        let public = secret.verifying_key();
        assert_eq!(
            VerifyingKey::from_cose_key(&public.to_cose_key()),
            Ok(public.clone())
        );
        assert_eq!(
            VerifyingKey::from_text(&public.to_text()),
            Ok(public.clone())
        );
        assert_ne!(other.verifying_key(), public);
        assert_eq!(
            (secret.algorithm(), public.algorithm()),
            (algorithm, algorithm)
        );
        assert_eq!(format!("{secret:?}"), "SigningKey(..)");
        let shown = format!("{public:?}");
        assert_eq!(
            shown,
            format!(
                "VerifyingKey(KeyId({}..))",
                hex::encode(&public.key_id().as_bytes()[..4])
            )
        );
    }
}

#[test]
fn keys_in_other_forms_are_refused() {
    let public = key(1).verifying_key();
    let text = public.to_text();
    for other in [
        text.replace("ed25519", "Ed25519"),
        text.clone() + "=",
        text.clone() + "A",
        text[..20].into(),
        String::new(),
    ] {
        assert_eq!(
            VerifyingKey::from_text(&other),
            Err(CoseError::MalformedKey),
            "{other}"
        );
    }
    let with = |extra: (i64, Value)| {
        let Value::Map(mut pairs) = public.to_cose_key_value() else {
            unreachable!()
        };
        pairs.retain(|(label, _)| *label != Value::Integer(extra.0.into()));
        pairs.push((Value::Integer(extra.0.into()), extra.1));
        cbor::encode(&Value::Map(pairs)).unwrap()
    };
    let integer = |n: i64| Value::Integer(n.into());
    for other in [
        (1, integer(2)),
        (-1, integer(4)),
        (-2, Value::Bytes(vec![1; 31])),
        (3, integer(-8)),
        (2, Value::Bytes(vec![1])),
    ] {
        assert_eq!(
            VerifyingKey::from_cose_key(&with(other)),
            Err(CoseError::MalformedKey)
        );
    }
    let mut not_shortest = public.to_cose_key();
    not_shortest.splice(1..2, [0x18, 0x01]);
    assert_eq!(
        VerifyingKey::from_cose_key(&not_shortest),
        Err(CoseError::Cbor(CborError::NotDeterministic))
    );
}

#[test]
fn p256_keys_in_other_texts_are_refused() {
    let public = p256_key(1).verifying_key();
    let text = public.to_text();
    let point = text.strip_prefix("es256:").unwrap();
    let cose_key = public.to_cose_key();
    let (x, y) = (&cose_key[8..40], &cose_key[43..]);
    let encoded = |bytes: &[u8]| format!("es256:{}", URL_SAFE_NO_PAD.encode(bytes));
    let sign = 2 + (y[31] & 1);
    assert_eq!(text, encoded(&[&[sign], x].concat()));
    for other in [
        text.replace("es256", "ES256"),
        text.replace("es256", "ed25519"),
        key(1).verifying_key().to_text().replace("ed25519", "es256"),
        point.to_owned(),
        text.clone() + "A",
        text.clone() + "=",
        encoded(&[&[sign], &x[..31]].concat()),
        encoded(&[&[4], x, y].concat()),
        // SEC 1 §2.3.4 and the compact and hybrid forms: tags 5, 6 and 7.
        encoded(&[&[4], x].concat()),
        encoded(&[&[5], x].concat()),
        encoded(&[&[6], x].concat()),
        encoded(&[&[4 + sign], x, y].concat()),
        encoded(&[0]),
        encoded(&[0; 33]),
    ] {
        let refused = VerifyingKey::from_text(&other).unwrap_err();
        assert_eq!(refused, CoseError::MalformedKey, "{other}");
    }
    // x = p, and x = 1, which is that of no point.
    let p = hex::decode("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff");
    let mut one = [0; 32];
    one[31] = 1;
    for x in [&p.unwrap()[..], &one] {
        let refused = VerifyingKey::from_text(&encoded(&[&[2], x].concat())).unwrap_err();
        assert_eq!(refused, CoseError::WeakKey, "{}", hex::encode(x));
    }
}

#[test]
fn unusable_points_are_refused() {
    let mut identity = [0; 32];
    identity[0] = 1;
    let order_8 = "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a";
    // y = p + 1, a second encoding of the identity's y.
    let mut not_canonical = [0xff; 32];
    (not_canonical[0], not_canonical[31]) = (0xee, 0x7f);
    // y = p + 3: a second encoding of y = 3, which is a point of large order.
    let mut not_canonical_large = not_canonical;
    not_canonical_large[0] = 0xf0;
    let mut not_a_point = [0; 32];
    not_a_point[0] = 2;
    let order_8: [u8; 32] = hex::decode(order_8).unwrap().try_into().unwrap();
    for bytes in [
        identity,
        [0; 32],
        order_8,
        not_canonical,
        not_canonical_large,
        not_a_point,
    ] {
        assert_eq!(
            VerifyingKey::from_ed25519_bytes(&bytes),
            Err(CoseError::WeakKey),
            "{}",
            hex::encode(bytes)
        );
    }
    let mut canonical_three = [0; 32];
    canonical_three[0] = 3;
    assert!(VerifyingKey::from_ed25519_bytes(&canonical_three).is_ok());
}
