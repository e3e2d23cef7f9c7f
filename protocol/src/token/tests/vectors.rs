//! Known answers.

use super::*;

macro_rules! vectors {
    ($file:literal) => {
        include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../tests/vectors/",
            $file
        ))
    };
}

#[derive(Deserialize)]
struct Vectors<T> {
    vectors: Vec<T>,
}

#[derive(Deserialize)]
struct Single {
    sk: String,
    pk: String,
    token_challenge: String,
    nonce: String,
    blind: String,
    token_request: String,
    token_response: String,
    token: String,
}

#[derive(Deserialize)]
struct Batch {
    sk: String,
    pk: String,
    token_challenge: String,
    nonces: Vec<String>,
    blinds: Vec<String>,
    token_request: String,
    token_response: String,
    tokens: Vec<String>,
}

#[derive(Deserialize)]
struct Rsa {
    pk: String,
    vectors: Vec<RsaVector>,
}

#[derive(Deserialize)]
struct RsaVector {
    token_challenge: String,
    nonce: String,
    token_request: String,
    token: String,
}

#[derive(Deserialize)]
struct Authentication {
    challenges: Vec<ChallengeVector>,
    headers: Vec<HeaderVector>,
}

#[derive(Deserialize)]
struct ChallengeVector {
    issuer_name: String,
    redemption_context: String,
    origin_info: String,
    nonce: String,
    token_key_id: String,
    token_authenticator_input: String,
}

#[derive(Deserialize)]
struct HeaderVector {
    challenges: Vec<HeaderChallenge>,
    www_authenticate: String,
}

#[derive(Deserialize)]
struct HeaderChallenge {
    challenge: String,
    token_key: String,
    max_age: u64,
}

fn bytes(hexadecimal: &str) -> Vec<u8> {
    hex::decode(hexadecimal).unwrap()
}

fn array<const N: usize>(hexadecimal: &str) -> [u8; N] {
    bytes(hexadecimal).try_into().unwrap()
}

struct Issuing {
    key: IssuerKey,
    pending: PendingTokens,
}

fn issuing(sk: &str, pk: &str, challenge: &str, nonces: &[String], blinds: &[String]) -> Issuing {
    let key = IssuerKey::from_bytes(&array(sk)).unwrap();
    assert_eq!(hex::encode(key.public_key().as_bytes()), pk);
    let public = IssuerPublicKey::from_bytes(&array(pk)).unwrap();
    let bytes = bytes(challenge);
    let decoded = TokenChallenge::decode(&bytes).unwrap();
    assert_eq!(decoded.encode(), bytes);
    let inputs = nonces
        .iter()
        .map(|nonce| TokenInput::with_nonce(&decoded, &public.id(), &array(nonce)))
        .collect();
    let rng = &mut Scripted::of(blinds);
    let pending = PendingTokens::blind_inputs(&decoded, &public, inputs, rng).unwrap();
    Issuing { key, pending }
}

#[test]
fn rfc_9578_type_1() {
    let file: Vectors<Single> = serde_json::from_str(vectors!("rfc9578/type-0x0001.json")).unwrap();
    assert_eq!(file.vectors.len(), 5);
    for v in &file.vectors {
        let (nonces, blinds) = ([v.nonce.clone()], [v.blind.clone()]);
        let Issuing { key, pending } = issuing(&v.sk, &v.pk, &v.token_challenge, &nonces, &blinds);
        let request = pending.single_request().unwrap();
        assert_eq!(hex::encode(request.encode()), v.token_request);
        let response = TokenResponse::decode(&bytes(&v.token_response)).unwrap();
        assert_eq!(hex::encode(response.encode()), v.token_response);
        // The proof is randomised: what was evaluated must be the same.
        let ours = key.issue(&[request.element], &mut rng(1)).unwrap();
        assert_eq!(ours.elements[0], response.element);
        let tokens = pending.finalize(&response.into()).unwrap();
        assert_eq!(hex::encode(tokens[0].as_bytes()), v.token);
        assert!(key.verify(&tokens[0]));
    }
}

#[test]
fn amortised_batches() {
    let file: Vectors<Batch> =
        serde_json::from_str(vectors!("batched-tokens/amortized-p384.json")).unwrap();
    assert_eq!(file.vectors.len(), 5);
    for v in &file.vectors {
        let Issuing { key, pending } =
            issuing(&v.sk, &v.pk, &v.token_challenge, &v.nonces, &v.blinds);
        let request = pending.request();
        assert_eq!(hex::encode(request.encode()), v.token_request);
        let response = BatchTokenResponse::decode(&bytes(&v.token_response)).unwrap();
        assert_eq!(hex::encode(response.encode()), v.token_response);
        let ours = key.issue(&request.elements, &mut rng(1)).unwrap();
        assert_eq!(ours.elements, response.elements);
        let tokens = pending.finalize(&response).unwrap();
        let encoded: Vec<_> = tokens.iter().map(|t| hex::encode(t.as_bytes())).collect();
        assert_eq!(encoded, v.tokens);
        assert!(tokens.iter().all(|token| key.verify(token)));
    }
}

#[test]
fn rfc_9578_type_2_structures() {
    let file: Rsa = serde_json::from_str(vectors!("rfc9578/type-0x0002.json")).unwrap();
    assert_eq!(file.vectors.len(), 5);
    let key = RsaTokenKey::from_spki(&bytes(&file.pk)).unwrap();
    assert_eq!(hex::encode(key.to_spki()), file.pk);
    assert_eq!(key.to_spki().len(), RsaTokenKey::SPKI_BYTES);
    for v in &file.vectors {
        let challenge = TokenChallenge::decode(&bytes(&v.token_challenge)).unwrap();
        let request = RsaTokenRequest::decode(&bytes(&v.token_request)).unwrap();
        assert_eq!(request.truncated_key_id, key.id().truncated());
        assert_eq!(hex::encode(request.encode()), v.token_request);
        let token = Token::decode(&bytes(&v.token)).unwrap();
        let input = TokenInput::with_nonce(&challenge, &key.id(), &array(&v.nonce));
        assert_eq!(token.input(), input.as_bytes());
        assert_eq!(token.key_id(), key.id());
    }
    let mut spki = key.to_spki();
    for at in 0..spki.len() {
        spki[at] ^= 0x80;
        let in_modulus = (81..337).contains(&at);
        assert_eq!(
            RsaTokenKey::from_spki(&spki).is_ok(),
            in_modulus && at != 81
        );
        spki[at] ^= 0x80;
    }
}

#[test]
fn rfc_9577_challenges() {
    let file: Authentication = serde_json::from_str(vectors!("rfc9577/challenges.json")).unwrap();
    assert_eq!(file.challenges.len(), 5);
    for v in &file.challenges {
        let text = |hexadecimal: &str| String::from_utf8(bytes(hexadecimal)).unwrap();
        let origins = text(&v.origin_info);
        let challenge = TokenChallenge {
            token_type: TokenType::BlindRsa,
            issuer_name: name(&text(&v.issuer_name)),
            redemption_context: (!v.redemption_context.is_empty())
                .then(|| array(&v.redemption_context)),
            origin_info: origins
                .split(',')
                .filter(|o| !o.is_empty())
                .map(name)
                .collect(),
        };
        let id = TokenKeyId::from_bytes(array(&v.token_key_id));
        let input = TokenInput::with_nonce(&challenge, &id, &array(&v.nonce));
        assert_eq!(hex::encode(input.as_bytes()), v.token_authenticator_input);
    }
}

#[test]
fn rfc_9577_headers() {
    let file: Authentication = serde_json::from_str(vectors!("rfc9577/challenges.json")).unwrap();
    assert_eq!(file.headers.len(), 3);
    for v in &file.headers {
        let found = challenges(v.www_authenticate.as_bytes()).unwrap();
        assert_eq!(found.len(), v.challenges.len());
        for (found, expected) in found.iter().zip(&v.challenges) {
            assert_eq!(hex::encode(found.challenge.encode()), expected.challenge);
            assert_eq!(found.token_key, Some(bytes(&expected.token_key)));
            assert_eq!(found.max_age, Some(expected.max_age));
        }
    }
}
