use protocol::token::ServerName;
use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct File {
    sk: String,
    pk: String,
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    token_challenge: String,
    nonce: String,
    blind: String,
    salt: String,
    token_request: String,
    token_response: String,
    token: String,
}

fn file() -> File {
    serde_json::from_str(include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../tests/vectors/rfc9578/type-0x0002.json"
    )))
    .unwrap()
}

fn array<const N: usize>(hexadecimal: &str) -> [u8; N] {
    hex::decode(hexadecimal).unwrap().try_into().unwrap()
}

fn key(file: &File) -> RsaIssuerKey {
    let pem = String::from_utf8(hex::decode(&file.sk).unwrap()).unwrap();
    RsaIssuerKey::from_pem(&pem).unwrap()
}

#[test]
fn rfc_9578_type_2() {
    let file = file();
    let key = key(&file);
    assert_eq!(hex::encode(key.public_key().to_spki()), file.pk);
    assert_eq!(file.vectors.len(), 5);
    for v in &file.vectors {
        let challenge = hex::decode(&v.token_challenge).unwrap();
        let challenge = TokenChallenge::decode(&challenge).unwrap();
        let id = key.public_key().id();
        let input = TokenInput::with_nonce(&challenge, &id, &array(&v.nonce));
        let pending = PendingRsaToken::with(
            *key.public_key(),
            input,
            Zeroizing::new(array(&v.salt)),
            Zeroizing::new(array(&v.blind)),
        )
        .unwrap();
        assert_eq!(hex::encode(pending.request().encode()), v.token_request);
        let answer = key.sign(&pending.request(), &mut rand::rng()).unwrap();
        assert_eq!(hex::encode(answer), v.token_response);
        let token = pending.finalize(&answer).unwrap();
        assert_eq!(hex::encode(token.as_bytes()), v.token);
    }
}

#[test]
fn what_is_kept_gives_the_same_token_and_another_answer_none() {
    let file = file();
    let key = key(&file);
    let name = |text: &str| ServerName::new(text).unwrap();
    let challenge =
        TokenChallenge::for_origin(TokenType::BlindRsa, name("msp.example"), name("dp.example"));
    let rng = &mut rand::rng();
    let pending = PendingRsaToken::blind(&challenge, key.public_key(), rng).unwrap();
    let kept = pending.to_bytes();
    let kept: [u8; PendingRsaToken::BYTES] = kept[..].try_into().unwrap();
    let again = PendingRsaToken::from_bytes(&kept).unwrap();
    assert_eq!(again.request().encode(), pending.request().encode());
    let answer = key.sign(&pending.request(), rng).unwrap();
    let token = pending.finalize(&answer).unwrap();
    let mut wrong = answer;
    wrong[100] ^= 1;
    let third = PendingRsaToken::from_bytes(&kept).unwrap();
    assert_eq!(
        third.finalize(&wrong).unwrap_err(),
        BlindRsaError::Signature
    );
    assert_eq!(
        again.finalize(&answer).unwrap().as_bytes(),
        token.as_bytes()
    );

    let mut other = PendingRsaToken::from_bytes(&kept).unwrap().request();
    other.truncated_key_id ^= 1;
    assert_eq!(key.sign(&other, rng), Err(BlindRsaError::OtherKey));
    other.truncated_key_id ^= 1;
    other.blinded = [0xff; RSA_BYTES];
    assert_eq!(key.sign(&other, rng), Err(BlindRsaError::Unsignable));
    let own = TokenChallenge {
        token_type: TokenType::Voprf,
        ..challenge
    };
    assert!(PendingRsaToken::blind(&own, key.public_key(), rng).is_err());
}

#[test]
fn keys_are_written_and_read_and_not_shown() {
    let file = file();
    let key = key(&file);
    let again = RsaIssuerKey::from_pem(&key.to_pem().unwrap()).unwrap();
    assert_eq!(again.public_key(), key.public_key());
    assert_eq!(format!("{key:?}"), "RsaIssuerKey(redacted)");
    assert!(RsaIssuerKey::from_pem("").is_err());
}
