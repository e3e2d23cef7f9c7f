use std::collections::HashSet;

use protocol::token::{
    BATCH_MAX, BatchTokenRequest, BatchTokenResponse, Credentials, IssuerDirectory,
    IssuerPublicKey, PendingTokens, ServerName, Token, TokenChallenge, TokenInput, TokenResponse,
    TokenType, challenges,
};
use protocol::wire::PaidOprfRequest;

use super::*;

async fn directory(state: &Arc<AppState>) -> IssuerDirectory {
    let response = ask(state, get_request(wire::TOKEN_DIRECTORY_PATH)).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()[CONTENT_TYPE], media::TOKEN_DIRECTORY);
    let json = body(response).await;
    let snapshot = state.snapshot().unwrap();
    // Everybody sees the directory that the manifest names.
    assert_eq!(
        Some(IssuerDirectory::digest(&json)),
        snapshot.manifest().token_keys
    );
    IssuerDirectory::from_json(&json).unwrap()
}

fn challenge(name: &str) -> TokenChallenge {
    let name = ServerName::new(name).unwrap();
    TokenChallenge::for_origin(TokenType::Voprf, name.clone(), name)
}

async fn key(state: &Arc<AppState>) -> IssuerPublicKey {
    let directory = directory(state).await;
    assert_eq!(directory.issuer_name.as_deref(), Some("localhost"));
    directory.issuing(UnixTime::now()).unwrap().0
}

async fn issue(state: &Arc<AppState>, challenge: &TokenChallenge, count: usize) -> Vec<Token> {
    let key = key(state).await;
    let pending = PendingTokens::blind(challenge, &key, count, &mut rand::rng()).unwrap();
    let request = post_request(
        wire::TOKENS_PATH,
        media::TOKEN_BATCH_REQUEST,
        pending.request().encode(),
    );
    let response = ask(state, request).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(
        response.headers()[CONTENT_TYPE],
        media::TOKEN_BATCH_RESPONSE
    );
    assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
    let response = BatchTokenResponse::decode(&body(response).await).unwrap();
    pending.finalize(&response).unwrap()
}

async fn tokens(state: &Arc<AppState>, count: usize) -> Vec<Token> {
    issue(state, &challenge("localhost"), count).await
}

fn paying(path: &str, media: &str, token: &Token, body: Vec<u8>) -> Request<Body> {
    let credentials = Credentials {
        token: token.clone(),
    };
    Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(AUTHORIZATION, credentials.to_field().as_str())
        .header(CONTENT_TYPE, media)
        .body(Body::from(body))
        .unwrap()
}

fn blinded(count: usize) -> (BlindedBatch, OprfRequest) {
    let csis: Vec<_> = shared().records[..count]
        .iter()
        .map(|record| record.csi.clone())
        .collect();
    let batch = BlindedBatch::blind(&csis, &mut rand::rng()).unwrap();
    let elements = batch.elements().to_vec();
    let request = OprfRequest {
        epoch: FIRST_EPOCH,
        elements,
    };
    (batch, request)
}

/// A request for as many elements as there are tokens.
fn evaluation(tokens: &[Token]) -> Request<Body> {
    let (_, request) = blinded(tokens.len());
    let paid = PaidOprfRequest {
        request,
        tokens: tokens[1..].to_vec(),
    };
    paying(wire::OPRF_PATH, media::CBOR, &tokens[0], paid.encode())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_directory_is_cached_by_digest() {
    let state = state();
    let response = ask(&state, get_request(wire::TOKEN_DIRECTORY_PATH)).await;
    let tag = response.headers()[ETAG].clone();
    let again = request(Method::GET, wire::TOKEN_DIRECTORY_PATH)
        .header(IF_NONE_MATCH, tag)
        .body(Body::empty())
        .unwrap();
    assert_eq!(ask(&state, again).await.status(), StatusCode::NOT_MODIFIED);
    let keys = directory(&state).await.token_keys;
    assert!(keys.len() >= 2, "the next key is published ahead");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_token_pays_for_one_evaluation() {
    let state = state();
    let tokens = tokens(&state, 4).await;
    let (batch, request) = blinded(3);
    let paid = PaidOprfRequest {
        request,
        tokens: tokens[1..3].to_vec(),
    };
    let paid = paying(wire::OPRF_PATH, media::CBOR, &tokens[0], paid.encode());
    let response = ask(&state, paid).await;
    assert_eq!(response.status(), StatusCode::OK);
    let response = OprfResponse::decode(&body(response).await).unwrap();
    let key = state.snapshot().unwrap().manifest().oprf_key;
    batch.finalize(&response.evaluation, &key).unwrap();

    for spent in &tokens[..3] {
        let spent = evaluation(std::slice::from_ref(spent));
        refused(&state, spent, ProblemType::Unauthorized).await;
    }
    // A batch with one spent token is refused as a whole, and takes no other.
    let mixed = evaluation(&[tokens[3].clone(), tokens[0].clone()]);
    refused(&state, mixed, ProblemType::Unauthorized).await;
    let twice = evaluation(&[tokens[3].clone(), tokens[3].clone()]);
    refused(&state, twice, ProblemType::Unauthorized).await;
    let last = evaluation(&tokens[3..]);
    assert_eq!(ask(&state, last).await.status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_pays_for_one_query() {
    let state = state();
    let tokens = tokens(&state, 1).await;
    let path = query_path(&state);
    let (query, _) = good_query(&state, 0);
    let short = paying(&path, media::QUERY, &tokens[0], query[1..].to_vec());
    refused(&state, short, ProblemType::MalformedRequest).await;
    let gone = wire::query_path(&SnapshotId::from_bytes([1; 32]));
    let gone = paying(&gone, media::QUERY, &tokens[0], query.clone());
    refused(&state, gone, ProblemType::SnapshotGone).await;
    let good = paying(&path, media::QUERY, &tokens[0], query.clone());
    assert_eq!(ask(&state, good).await.status(), StatusCode::OK);
    let again = paying(&path, media::QUERY, &tokens[0], query);
    refused(&state, again, ProblemType::Unauthorized).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_requests_cost_no_token() {
    let state = state();
    let tokens = tokens(&state, 2).await;
    let pay = |body: Vec<u8>| paying(wire::OPRF_PATH, media::CBOR, &tokens[0], body);
    refused(&state, pay(vec![0; 40]), ProblemType::MalformedRequest).await;
    let (_, two) = blinded(2);
    refused(&state, pay(two.encode()), ProblemType::MalformedRequest).await;
    let (_, one) = blinded(1);
    let stale = OprfRequest {
        epoch: FIRST_EPOCH + 1,
        ..one.clone()
    };
    refused(&state, pay(stale.encode()), ProblemType::OprfEpochUnknown).await;
    let media = paying(wire::OPRF_PATH, media::JSON, &tokens[0], one.encode());
    refused(&state, media, ProblemType::UnsupportedMediaType).await;
    let long = pay(vec![0; PaidOprfRequest::BYTES_MAX + 1]);
    refused(&state, long, ProblemType::PayloadTooLarge).await;
    // An account pays with its quota alone.
    let (_, request) = blinded(2);
    let mixed = PaidOprfRequest {
        request,
        tokens: tokens[1..].to_vec(),
    };
    let mixed = post_request(wire::OPRF_PATH, media::CBOR, mixed.encode());
    refused(&state, mixed, ProblemType::MalformedRequest).await;
    let good = evaluation(&tokens);
    assert_eq!(ask(&state, good).await.status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_others_are_refused() {
    let state = state();
    let good = tokens(&state, 1).await.remove(0);
    let elsewhere = issue(&state, &challenge("dp.example"), 1).await.remove(0);
    let mut altered = good.as_bytes().to_vec();
    *altered.last_mut().unwrap() ^= 1;
    let altered = Token::decode(&altered).unwrap();
    let mut other_key = good.as_bytes().to_vec();
    other_key[66] ^= 1;
    let other_key = Token::decode(&other_key).unwrap();
    let rsa = TokenChallenge {
        token_type: TokenType::BlindRsa,
        ..challenge("localhost")
    };
    let input = TokenInput::draw(&rsa, &good.key_id(), &mut rand::rng());
    let rsa = input.into_token(&[1; 256]).unwrap();
    for token in [&elsewhere, &altered, &other_key, &rsa] {
        let request = evaluation(std::slice::from_ref(token));
        let problem = refused(&state, request, ProblemType::Unauthorized).await;
        let text = problem.to_string();
        assert!(!text.contains(&hex::encode(token.as_bytes())[..16]));
        // Nor as one of several.
        let second = evaluation(&[good.clone(), token.clone()]);
        refused(&state, second, ProblemType::Unauthorized).await;
        let (query, _) = good_query(&state, 0);
        let query = paying(&query_path(&state), media::QUERY, token, query);
        refused(&state, query, ProblemType::Unauthorized).await;
    }
    for field in [
        "PrivateToken",
        "PrivateToken token=\"AAEC\"",
        "PrivateToken token=x",
    ] {
        let (_, request) = blinded(1);
        let request = Request::builder()
            .method(Method::POST)
            .uri(wire::OPRF_PATH)
            .header(AUTHORIZATION, field)
            .header(CONTENT_TYPE, media::CBOR)
            .body(Body::from(request.encode()))
            .unwrap();
        refused(&state, request, ProblemType::Unauthorized).await;
    }
    // None of that spent the good one. An altered authenticator doesn't make it
    // another token.
    let request = evaluation(std::slice::from_ref(&good));
    assert_eq!(ask(&state, request).await.status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_is_told_which_tokens_would_do() {
    let state = state();
    let key = key(&state).await;
    for path in [wire::OPRF_PATH.to_owned(), query_path(&state)] {
        let request = Request::builder().method(Method::POST).uri(&path);
        let response = ask(&state, request.body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        let fields: Vec<_> = response
            .headers()
            .get_all(WWW_AUTHENTICATE)
            .iter()
            .collect();
        assert_eq!(fields.len(), 2);
        assert_eq!(fields[0], "Bearer");
        let found = challenges(fields[1].as_bytes()).unwrap();
        assert_eq!(found[0].challenge, challenge("localhost"));
        assert_eq!(found[0].token_key, Some(key.as_bytes().to_vec()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn issuance_is_for_accounts_and_for_keys_in_force() {
    let state = state();
    let (challenge, key) = (challenge("localhost"), key(&state).await);
    let rng = &mut rand::rng();
    let pending = PendingTokens::blind(&challenge, &key, 1, rng).unwrap();
    let bytes = pending.request().encode();
    let anonymous = Request::builder()
        .method(Method::POST)
        .uri(wire::TOKENS_PATH)
        .header(CONTENT_TYPE, media::TOKEN_BATCH_REQUEST)
        .body(Body::from(bytes.clone()))
        .unwrap();
    refused(&state, anonymous, ProblemType::Unauthorized).await;
    // No tokens for a token.
    let token = tokens(&state, 1).await.remove(0);
    let paid = paying(
        wire::TOKENS_PATH,
        media::TOKEN_BATCH_REQUEST,
        &token,
        bytes.clone(),
    );
    refused(&state, paid, ProblemType::Unauthorized).await;

    let post = |media: &str, bytes: Vec<u8>| post_request(wire::TOKENS_PATH, media, bytes);
    let media = media::TOKEN_BATCH_REQUEST;
    let unprocessable = ProblemType::UnprocessableTokenRequest;
    let keys = directory(&state).await.token_keys;
    let live: HashSet<u8> = keys
        .iter()
        .map(|key| protocol::token::TokenKeyId::of(key.token_key()).truncated())
        .collect();
    let unknown = (0..=u8::MAX).find(|id| !live.contains(id)).unwrap();
    let ahead = protocol::token::TokenKeyId::of(keys[0].token_key()).truncated();
    for id in [unknown, ahead] {
        let mut other = bytes.clone();
        other[2] = id;
        refused(&state, post(media, other), unprocessable).await;
    }
    let element = pending.request().elements[0].clone();
    let many = BatchTokenRequest {
        truncated_key_id: key.id().truncated(),
        elements: vec![element; BATCH_MAX],
    };
    let mut too_many = many.encode();
    too_many.truncate(BatchTokenRequest::BYTES_MAX - 49);
    for bad in [Vec::new(), bytes[..20].to_vec(), too_many] {
        refused(&state, post(media, bad), unprocessable).await;
    }
    let mut identity = bytes.clone();
    identity[4..].fill(0);
    refused(&state, post(media, identity), unprocessable).await;
    let long = vec![0; BatchTokenRequest::BYTES_MAX + 1];
    refused(&state, post(media, long), ProblemType::PayloadTooLarge).await;
    let cbor = post(media::CBOR, bytes.clone());
    refused(&state, cbor, ProblemType::UnsupportedMediaType).await;

    let single = pending.single_request().unwrap().encode();
    let response = ask(&state, post(media::TOKEN_REQUEST, single)).await;
    assert_eq!(response.headers()[CONTENT_TYPE], media::TOKEN_RESPONSE);
    let response = TokenResponse::decode(&body(response).await).unwrap();
    let token = pending.finalize(&response.into()).unwrap().remove(0);
    let request = evaluation(std::slice::from_ref(&token));
    assert_eq!(ask(&state, request).await.status(), StatusCode::OK);
}

/// Bound: one of 64 attempts at the same time succeeds.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn a_token_is_spent_once_by_many_at_a_time() {
    let state = state();
    let tokens = tokens(&state, 3).await;
    for token in &tokens {
        let attempts: Vec<_> = (0..64)
            .map(|_| {
                let (state, request) =
                    (Arc::clone(&state), evaluation(std::slice::from_ref(token)));
                tokio::spawn(async move { ask(&state, request).await.status() })
            })
            .collect();
        let mut good = 0;
        for attempt in attempts {
            match attempt.await.unwrap() {
                StatusCode::OK => good += 1,
                StatusCode::UNAUTHORIZED | StatusCode::SERVICE_UNAVAILABLE => {}
                other => panic!("{other}"),
            }
        }
        assert_eq!(good, 1);
    }
}

/// RFC 9578's own token of an issuer for this origin and any context.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_an_msp_are_taken_up_to_its_cap() {
    let file: serde_json::Value = serde_json::from_str(include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../tests/vectors/rfc9578/type-0x0002.json"
    )))
    .unwrap();
    let bytes = |value: &serde_json::Value| hex::decode(value.as_str().unwrap()).unwrap();
    let root = tempfile::tempdir().unwrap();
    let options = crate::data_dir::InitOptions::default();
    let data = DataDir::init(&root.path().join("data"), &options).unwrap();
    let config = data.root().join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let text = text.replace("issuer = \"localhost\"", "issuer = \"origin.example\"");
    std::fs::write(&config, text).unwrap();
    let key = {
        use base64::Engine as _;
        base64::engine::general_purpose::URL_SAFE.encode(bytes(&file["pk"]))
    };
    let state = state();
    let list = |per_day: u32| {
        let entry = format!(
            "[[issuer]]\nname = \"issuer.example\"\npublic_key = \"{key}\"\n\
             not_before = \"2020-01-01T00:00:00Z\"\nnot_after = \"2100-01-01T00:00:00Z\"\n\
             per_day = {per_day}\n"
        );
        std::fs::write(data.issuers_path(), entry).unwrap();
        state.replace_tokens(Tokens::open(&data, None).unwrap());
    };
    let token = Token::decode(&bytes(&file["vectors"][1]["token"])).unwrap();
    let paid = || evaluation(std::slice::from_ref(&token));

    list(0);
    let response = ask(&state, paid()).await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    // What the issuer has left is its own to know.
    assert!(!response.headers().contains_key("ratelimit"));
    list(1);
    assert_eq!(ask(&state, paid()).await.status(), StatusCode::OK);
    refused(&state, paid(), ProblemType::Unauthorized).await;
    // Another of its tokens, for another origin.
    let other = Token::decode(&bytes(&file["vectors"][2]["token"])).unwrap();
    let other = evaluation(std::slice::from_ref(&other));
    refused(&state, other, ProblemType::Unauthorized).await;
}
