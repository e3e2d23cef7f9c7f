use std::convert::Infallible;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use proptest::prelude::*;
use rand::{SeedableRng as _, TryCryptoRng, TryRng};
use rand_chacha::ChaCha20Rng;
use serde::Deserialize;

use super::*;
use crate::time::UnixTime;

mod vectors;

/// Yields the scalars of a test vector, in order.
struct Scripted(std::vec::IntoIter<u8>);

impl Scripted {
    fn of(scalars: &[String]) -> Self {
        Self(hex::decode(scalars.concat()).unwrap().into_iter())
    }
}

impl TryRng for Scripted {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unreachable!("scalars are drawn as bytes")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        unreachable!("scalars are drawn as bytes")
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        for byte in out {
            *byte = self.0.next().expect("no more scalars in the vector");
        }
        Ok(())
    }
}

impl TryCryptoRng for Scripted {}

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn name(text: &str) -> ServerName {
    ServerName::new(text).unwrap()
}

fn challenge() -> TokenChallenge {
    TokenChallenge::for_origin(
        TokenType::Voprf,
        name("dp.example"),
        name("dp.example:8443"),
    )
}

fn tokens(key: &IssuerKey, count: usize, seed: u64) -> Vec<Token> {
    let rng = &mut rng(seed);
    let pending = PendingTokens::blind(&challenge(), key.public_key(), count, rng).unwrap();
    let request = BatchTokenRequest::decode(&pending.request().encode()).unwrap();
    let response = key.issue(&request.elements, rng).unwrap();
    let response = BatchTokenResponse::decode(&response.encode()).unwrap();
    pending.finalize(&response).unwrap()
}

#[test]
fn issued_tokens_are_the_keys_own_and_all_different() {
    let key = IssuerKey::from_seed(&[1; 32]).unwrap();
    let other = IssuerKey::from_seed(&[2; 32]).unwrap();
    let tokens = tokens(&key, 3, 1);
    for token in &tokens {
        assert!(key.verify(token));
        assert!(!other.verify(token));
        assert_eq!(token.challenge_digest(), challenge().digest());
        for at in 2..token.as_bytes().len() {
            let mut bytes = token.as_bytes().to_vec();
            bytes[at] ^= 1;
            assert!(!key.verify(&Token::decode(&bytes).unwrap()), "byte {at}");
            // A token that claims another key is never taken for that key's.
            assert!(!other.verify(&Token::decode(&bytes).unwrap()));
        }
    }
    let mut ids: Vec<_> = tokens.iter().map(Token::spent_id).collect();
    ids.dedup();
    assert_eq!(ids.len(), 3);
}

#[test]
fn what_is_remembered_does_not_depend_on_the_authenticator() {
    let key = IssuerKey::from_seed(&[1; 32]).unwrap();
    let token = tokens(&key, 1, 2).remove(0);
    let mut bytes = token.as_bytes().to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    assert_eq!(Token::decode(&bytes).unwrap().spent_id(), token.spent_id());
    bytes[5] ^= 1;
    assert_ne!(Token::decode(&bytes).unwrap().spent_id(), token.spent_id());
}

#[test]
fn another_key_than_the_published_one_is_found_out() {
    let published = IssuerKey::from_seed(&[1; 32]).unwrap();
    let secret = IssuerKey::from_seed(&[2; 32]).unwrap();
    let rng = &mut rng(3);
    let pending = PendingTokens::blind(&challenge(), published.public_key(), 2, rng).unwrap();
    let response = secret.issue(&pending.request().elements, rng).unwrap();
    assert_eq!(
        pending.finalize(&response).unwrap_err(),
        TokenError::ProofVerification
    );
    // Also if one element of a batch alone is another key's.
    let pending = PendingTokens::blind(&challenge(), published.public_key(), 2, rng).unwrap();
    let elements = pending.request().elements;
    let mut response = published.issue(&elements, rng).unwrap();
    response.elements[1] = secret.issue(&elements, rng).unwrap().elements[1].clone();
    assert_eq!(
        pending.finalize(&response).unwrap_err(),
        TokenError::ProofVerification
    );
    let pending = PendingTokens::blind(&challenge(), published.public_key(), 2, rng).unwrap();
    let mut response = published.issue(&pending.request().elements, rng).unwrap();
    response.elements.pop();
    assert!(matches!(
        pending.finalize(&response),
        Err(TokenError::ElementCount {
            expected: 2,
            found: 1
        })
    ));
}

#[test]
fn single_requests_are_batches_of_one() {
    let key = IssuerKey::from_seed(&[4; 32]).unwrap();
    let rng = &mut rng(4);
    let pending = PendingTokens::blind(&challenge(), key.public_key(), 1, rng).unwrap();
    let request = pending.single_request().unwrap();
    let request = TokenRequest::decode(&request.encode()).unwrap();
    assert_eq!(request.truncated_key_id, key.public_key().id().truncated());
    let issued = key.issue(&[request.element], rng).unwrap();
    let response = TokenResponse {
        element: issued.elements[0].clone(),
        proof: issued.proof,
    };
    assert_eq!(response.encode().len(), TokenResponse::BYTES);
    let response = TokenResponse::decode(&response.encode()).unwrap();
    let tokens = pending.finalize(&response.into()).unwrap();
    assert!(key.verify(&tokens[0]));
    let two = PendingTokens::blind(&challenge(), key.public_key(), 2, rng).unwrap();
    assert!(two.single_request().is_none());
}

#[test]
fn batches_have_bounds() {
    let key = IssuerKey::from_seed(&[5; 32]).unwrap();
    let rng = &mut rng(5);
    for count in [0, BATCH_MAX + 1] {
        let refused = PendingTokens::blind(&challenge(), key.public_key(), count, rng);
        assert!(matches!(refused, Err(TokenError::BatchSize { found }) if found == count));
    }
    let pending = PendingTokens::blind(&challenge(), key.public_key(), 1, rng).unwrap();
    let element = pending.request().elements[0].clone();
    let largest = BatchTokenRequest {
        truncated_key_id: 0,
        elements: vec![element.clone(); BATCH_MAX],
    };
    assert_eq!(largest.encode().len(), BatchTokenRequest::BYTES_MAX);
    assert!(BatchTokenRequest::decode(&largest.encode()).is_ok());
    let larger = BatchTokenRequest {
        truncated_key_id: 0,
        elements: vec![element; BATCH_MAX + 1],
    };
    assert!(matches!(
        BatchTokenRequest::decode(&larger.encode()),
        Err(TokenError::BatchSize { .. })
    ));
    assert!(matches!(
        key.issue(&[], rng),
        Err(TokenError::BatchSize { found: 0 })
    ));
    let rsa = TokenChallenge::for_origin(TokenType::BlindRsa, name("a"), name("a"));
    assert!(matches!(
        PendingTokens::blind(&rsa, key.public_key(), 1, rng),
        Err(TokenError::Type { found: 2 })
    ));
}

#[test]
fn lengths_have_one_form_and_points_are_compressed() {
    let key = IssuerKey::from_seed(&[6; 32]).unwrap();
    let rng = &mut rng(6);
    let pending = PendingTokens::blind(&challenge(), key.public_key(), 1, rng).unwrap();
    let bytes = pending.request().encode();
    assert_eq!(bytes[3], 49);
    let longer_form = [&bytes[..3], &[0x40, 49], &bytes[4..]].concat();
    assert_eq!(
        BatchTokenRequest::decode(&longer_form),
        Err(TokenError::Structure)
    );
    let mut other_length = bytes.clone();
    other_length[3] = 48;
    assert_eq!(
        BatchTokenRequest::decode(&other_length),
        Err(TokenError::Structure)
    );
    for (at, value) in [(4, 0), (4, 4), (4, 5), (1, 2), (1, 5)] {
        let mut bytes = bytes.clone();
        bytes[at] = value;
        assert!(BatchTokenRequest::decode(&bytes).is_err(), "{at} {value}");
    }
    // A point at infinity, and a coordinate that isn't reduced.
    assert!(BlindedElement::from_bytes(&[0; 49]).is_err());
    let mut unreduced = [0xff; 49];
    unreduced[0] = 2;
    assert!(BlindedElement::from_bytes(&unreduced).is_err());
    assert!(Proof::from_bytes(&[0; 96]).is_err());
    assert!(Proof::from_bytes(&[0xff; 96]).is_err());
    assert!(IssuerKey::from_bytes(&[0; 48]).is_err());
    assert!(IssuerKey::from_bytes(&[0xff; 48]).is_err());
    assert!(IssuerPublicKey::from_bytes(&[0; 49]).is_err());
}

#[test]
fn names_are_hosts_with_ports() {
    let long = "a".repeat(253);
    for good in [
        "a",
        "dp.example",
        "dp.example:8443",
        "127.0.0.1:1",
        "A-b.c",
        &long,
    ] {
        assert_eq!(name(good).as_str(), good);
    }
    let too_long = "a".repeat(254);
    for bad in [
        "", ":1", "a:", "a:0", "a:01", "a:65536", "a:1:2", "a b", "a,b", "u@a", "a/b", "[::1]",
        "é", &too_long,
    ] {
        assert_eq!(ServerName::new(bad), Err(TokenError::Name), "{bad}");
    }
}

#[test]
fn challenges_are_decoded_strictly() {
    let with_context = TokenChallenge {
        redemption_context: Some([9; 32]),
        origin_info: vec![name("a.example"), name("b.example:1")],
        ..challenge()
    };
    for challenge in [challenge(), with_context] {
        let bytes = challenge.encode();
        assert_eq!(TokenChallenge::decode(&bytes), Ok(challenge));
        for cut in 0..bytes.len() {
            assert!(TokenChallenge::decode(&bytes[..cut]).is_err());
        }
        assert!(TokenChallenge::decode(&[&bytes[..], &[0]].concat()).is_err());
    }
    let refused = [
        "0000000161000000",
        "00010000000000",
        "0001000161010a0000",
        "00010001200000 00",
        "0001000161000001 2c",
    ];
    for bytes in refused {
        let bytes = hex::decode(bytes.replace(' ', "")).unwrap();
        assert!(TokenChallenge::decode(&bytes).is_err());
    }
}

#[test]
fn authorization_fields_are_read_as_written() {
    let key = IssuerKey::from_seed(&[7; 32]).unwrap();
    let token = tokens(&key, 1, 7).remove(0);
    let credentials = Credentials { token };
    let field = credentials.to_field();
    let encoded = URL_SAFE.encode(credentials.token.as_bytes());
    assert_eq!(*field, format!("PrivateToken token=\"{encoded}\""));
    for good in [
        field.to_string(),
        format!("privatetoken  Token = \"{encoded}\""),
        format!("PrivateToken extension=1, token=\"{encoded}\""),
        format!("PrivateToken token=\"{encoded}\", , x=\"a\\\"b, token=\""),
    ] {
        let read = Credentials::from_field(good.as_bytes()).unwrap();
        assert_eq!(read.token.as_bytes(), credentials.token.as_bytes());
    }
    for bad in [
        String::new(),
        "PrivateToken".to_owned(),
        format!("Bearer token=\"{encoded}\""),
        format!("PrivateToken {encoded}"),
        format!("PrivateToken token=\"{encoded}"),
        format!("PrivateToken token=\"{encoded}\" x"),
        format!("PrivateToken token=\"{encoded}\", token=\"{encoded}\""),
        format!("PrivateToken token=\"{encoded}\", Bearer x"),
        format!("PrivateToken token=\"{encoded}=\""),
        format!("PrivateToken token=\"{}\"", &encoded[..encoded.len() - 4]),
        format!("PrivateToken token=\"{}\"", encoded.trim_end_matches('=')),
        "PrivateToken token=\"AAEC\"".to_owned(),
        format!("PrivateToken token=\"{}\"", "A".repeat(20_000)),
    ] {
        assert!(Credentials::from_field(bad.as_bytes()).is_err(), "{bad}");
    }
    assert!(Credentials::is_scheme_of(field.as_bytes()));
    assert!(!Credentials::is_scheme_of(b"Bearer x"));
    assert_eq!(
        format!("{credentials:?}"),
        "Credentials { token: Token(redacted) }"
    );
}

#[test]
fn challenge_fields_are_read_as_written() {
    let all = [
        Challenge {
            challenge: challenge(),
            token_key: Some(vec![1, 2, 3, 4]),
            max_age: None,
        },
        Challenge {
            challenge: TokenChallenge {
                token_type: TokenType::BlindRsa,
                ..challenge()
            },
            token_key: None,
            max_age: Some(10),
        },
    ];
    let fields: Vec<_> = all.iter().map(Challenge::to_field).collect();
    let field = format!("Bearer, {}, Negotiate YQ==, {}", fields[0], fields[1]);
    assert_eq!(challenges(field.as_bytes()).unwrap(), all);
    assert_eq!(challenges(b"").unwrap(), []);
    assert_eq!(challenges(b"Bearer").unwrap(), []);
    for bad in [
        "=",
        "a=b",
        "PrivateToken",
        "PrivateToken challenge=\"AA\"",
        "\u{7f}",
    ] {
        assert!(challenges(bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn directories_name_the_key_that_issues() {
    let keys = [1, 2, 3].map(|seed| IssuerKey::from_seed(&[seed; 32]).unwrap());
    let at = UnixTime::from_secs;
    let entry = |key: &IssuerKey, begin, end| {
        let bytes = key.public_key().as_bytes();
        DirectoryKey::new(TokenType::Voprf, bytes, at(begin)).until(at(end))
    };
    let directory = IssuerDirectory {
        issuer_request_uri: "/v1/tokens".to_owned(),
        issuer_name: None,
        token_keys: vec![
            entry(&keys[2], 300, 500),
            entry(&keys[1], 200, 400),
            entry(&keys[0], 100, 300),
        ],
    };
    let json = directory.to_json();
    let text = String::from_utf8(json.clone()).unwrap();
    assert!(text.starts_with(
        "{\"issuer-request-uri\":\"/v1/tokens\",\"token-keys\":[{\"token-type\":1,\"token-key\":\"A"
    ));
    assert!(text.contains("\"not-before\":300,\"sotto-not-after\":500}"));
    let directory = IssuerDirectory::from_json(&json).unwrap();
    for (now, key) in [(100, 0), (199, 0), (200, 1), (299, 1), (300, 2), (499, 2)] {
        let (found, _) = directory.issuing(at(now)).unwrap();
        assert_eq!(found, *keys[key].public_key(), "{now}");
    }
    assert!(directory.issuing(at(99)).is_none());
    assert!(directory.issuing(at(500)).is_none());
    assert!(directory.find(&keys[0].public_key().id()).is_some());
    // As in the example of RFC 9578 §4: without our own member.
    let example = br#"{"issuer-request-uri":"https://issuer.example.net/request",
        "token-keys":[{"token-type":2,"token-key":"MIIB","not-before":1686913811,"x":[]}],"y":1}"#;
    let example = IssuerDirectory::from_json(example).unwrap();
    assert_eq!(example.token_keys[0].token_key(), [0x30, 0x82, 0x01]);
    for bad in [
        "",
        "{}",
        r#"{"issuer-request-uri":"a","token-keys":[{"token-type":65536,"token-key":""}]}"#,
        r#"{"issuer-request-uri":"a","token-keys":[{"token-type":1,"token-key":"AA"}]}"#,
        r#"{"issuer-request-uri":"a","token-keys":[{"token-type":1,"token-key":"++++"}]}"#,
    ] {
        assert_eq!(
            IssuerDirectory::from_json(bad.as_bytes()),
            Err(TokenError::Directory),
            "{bad}"
        );
    }
}

proptest! {
    #[test]
    fn any_bytes_are_decoded_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(challenge) = TokenChallenge::decode(&bytes) {
            prop_assert_eq!(challenge.encode(), &bytes[..]);
        }
        if let Ok(token) = Token::decode(&bytes) {
            prop_assert_eq!(token.as_bytes(), &bytes[..]);
        }
        if let Ok(request) = BatchTokenRequest::decode(&bytes) {
            prop_assert_eq!(request.encode(), &bytes[..]);
        }
        if let Ok(response) = BatchTokenResponse::decode(&bytes) {
            prop_assert_eq!(response.encode(), &bytes[..]);
        }
    }

    #[test]
    fn any_field_is_read_or_refused(field in "[ -~\\t]{0,200}") {
        let _ = Credentials::from_field(field.as_bytes());
        let _ = challenges(field.as_bytes());
        let _ = challenges(format!("PrivateToken {field}").as_bytes());
    }
}
