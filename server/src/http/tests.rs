use axum::body::{Body, to_bytes};
use axum::http::header::{
    ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
    RETRY_AFTER, WWW_AUTHENTICATE,
};
use axum::http::{Method, Request, Response, StatusCode};
use pir_core::client::{Client, ColumnIndex};
use protocol::manifest::{SignedManifest, SnapshotId};
use protocol::oprf::BlindedBatch;
use protocol::problem::{Problem, ProblemType};
use protocol::wire::{OprfRequest, OprfResponse, media};
use tower::ServiceExt as _;

use super::*;
use crate::fixture::shared;
use crate::oprf_keys::FIRST_EPOCH;
use crate::scheduler::ScheduleError;
use crate::snapshot::build;

mod before;
mod filter;
mod publishing;
mod quota;
mod refusals;
mod rotation;
mod start;
mod tokens;

fn state() -> Arc<AppState> {
    state_with(|_| ())
}

fn state_with(change: impl FnOnce(&mut Config)) -> Arc<AppState> {
    let mut config = Config::default();
    change(&mut config);
    AppState::open(
        &shared().data,
        &config,
        Arc::clone(&shared().store),
        Arc::clone(&shared().ledger),
    )
    .unwrap()
}

fn request(method: Method, path: &str) -> axum::http::request::Builder {
    let key = shared().api_key.as_str();
    Request::builder()
        .method(method)
        .uri(path)
        .header(AUTHORIZATION, format!("Bearer {key}"))
}

fn get_request(path: &str) -> Request<Body> {
    request(Method::GET, path).body(Body::empty()).unwrap()
}

fn post_request(path: &str, media: &str, body: Vec<u8>) -> Request<Body> {
    request(Method::POST, path)
        .header(CONTENT_TYPE, media)
        .body(Body::from(body))
        .unwrap()
}

async fn ask(state: &Arc<AppState>, request: Request<Body>) -> Response<Body> {
    app(Arc::clone(state)).oneshot(request).await.unwrap()
}

async fn body(response: Response<Body>) -> Vec<u8> {
    to_bytes(response.into_body(), 1 << 24)
        .await
        .unwrap()
        .to_vec()
}

/// The problem of a response, whose header must agree.
async fn problem(response: Response<Body>) -> Problem {
    let (status, headers) = (response.status(), response.headers().clone());
    let problem = Problem::from_json(&body(response).await).unwrap();
    assert_eq!(problem.status(), status.as_u16());
    assert_eq!(headers[CONTENT_TYPE], media::PROBLEM);
    assert_eq!(headers[CACHE_CONTROL], "no-store");
    let retry = headers
        .get(RETRY_AFTER)
        .map(|value| value.to_str().unwrap().parse().unwrap());
    assert_eq!(retry, problem.retry_after);
    problem
}

async fn refused(state: &Arc<AppState>, request: Request<Body>, expected: ProblemType) -> Problem {
    let problem = problem(ask(state, request).await).await;
    assert_eq!(problem.kind, expected, "{problem}");
    problem
}

fn good_query(state: &AppState, column: u32) -> (Vec<u8>, pir_core::client::PendingAnswer) {
    let snapshot = state.snapshot().unwrap();
    let client = Client::new(
        snapshot.params(),
        &build::crs_seed(&snapshot.manifest().dp_key),
    );
    let prepared = client.prepare(ColumnIndex::from(column)).unwrap();
    let (query, pending) = prepared.send();
    (query.as_bytes().to_vec(), pending)
}

fn query_path(state: &AppState) -> String {
    wire::query_path(&state.snapshot().unwrap().id())
}

#[tokio::test(flavor = "multi_thread")]
async fn manifest_and_hint_are_served_and_cached_by_digest() {
    let state = state();
    let snapshot = state.snapshot().unwrap();
    let response = ask(&state, get_request(wire::MANIFEST_PATH)).await;
    assert_eq!(response.headers()[CONTENT_TYPE], media::COSE);
    assert_eq!(response.headers()[CACHE_CONTROL], "no-cache");
    let manifest = SignedManifest::from_bytes(&body(response).await).unwrap();
    manifest
        .verify(&shared().data.provider_public_key().unwrap(), shared().now)
        .unwrap();

    let path = wire::hint_path(&snapshot.id());
    let response = ask(&state, get_request(&path)).await;
    assert_eq!(response.headers()[CONTENT_TYPE], media::HINT);
    assert!(
        response.headers()[CACHE_CONTROL]
            .to_str()
            .unwrap()
            .contains("immutable")
    );
    let tag = response.headers()[ETAG].clone();
    assert_eq!(
        protocol::merkle::Hash::of(&body(response).await),
        snapshot.manifest().hint.digest
    );
    let again = request(Method::GET, &path)
        .header(IF_NONE_MATCH, tag)
        .body(Body::empty())
        .unwrap();
    let response = ask(&state, again).await;
    assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
    assert!(body(response).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn oprf_evaluates_verifiably() {
    let state = state();
    let csis = [
        shared().records[0].csi.clone(),
        shared().records[1].csi.clone(),
    ];
    let blinded = BlindedBatch::blind(&csis, &mut rand::rng()).unwrap();
    let request = OprfRequest {
        epoch: FIRST_EPOCH,
        elements: blinded.elements().to_vec(),
    };
    let response = ask(
        &state,
        post_request(wire::OPRF_PATH, media::CBOR, request.encode()),
    )
    .await;
    assert_eq!(
        (response.status(), &response.headers()[CONTENT_TYPE]),
        (StatusCode::OK, &media::CBOR.parse().unwrap())
    );
    let response = OprfResponse::decode(&body(response).await).unwrap();
    let key = state.snapshot().unwrap().manifest().oprf_key;
    let outputs = blinded.finalize(&response.evaluation, &key).unwrap();
    let expected = shared()
        .data
        .oprf_key()
        .unwrap()
        .key
        .evaluate(&csis[1])
        .unwrap();
    assert_eq!(outputs[1].as_bytes(), expected.as_bytes());

    let stale = OprfRequest {
        epoch: FIRST_EPOCH + 1,
        ..request
    };
    let stale = post_request(wire::OPRF_PATH, media::CBOR, stale.encode());
    refused(&state, stale, ProblemType::OprfEpochUnknown).await;
    let garbage = post_request(wire::OPRF_PATH, media::CBOR, vec![0; 40]);
    refused(&state, garbage, ProblemType::MalformedRequest).await;
    let long = post_request(
        wire::OPRF_PATH,
        media::CBOR,
        vec![0; OprfRequest::BYTES_MAX + 1],
    );
    refused(&state, long, ProblemType::PayloadTooLarge).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_are_answered_with_their_columns() {
    let state = state();
    let snapshot = state.snapshot().unwrap();
    let column = snapshot.params().columns() as u32 - 1;
    let (query, pending) = good_query(&state, column);
    let response = ask(
        &state,
        post_request(&query_path(&state), media::QUERY, query),
    )
    .await;
    assert_eq!(response.headers()[CONTENT_TYPE], media::ANSWER);
    assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
    let answer = body(response).await;
    assert_eq!(answer.len(), snapshot.params().costs().answer_bytes);
    let answer = pir_core::answer::Answer::decode(snapshot.params(), &answer).unwrap();
    let hint = protocol::hint::SnapshotHint::decode(snapshot.hint()).unwrap();
    let hint = pir_core::hint::Hint::decode(snapshot.params(), &hint.pir_hint).unwrap();
    let view =
        pir_core::database::DatabaseView::new(snapshot.params(), snapshot.database()).unwrap();
    assert_eq!(
        pending.decrypt(&hint, &answer).unwrap(),
        view.column(column as usize).unwrap()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_queries_are_refused_each_with_its_problem() {
    let state = state();
    let path = query_path(&state);
    let (good, _) = good_query(&state, 0);
    let post = |body: Vec<u8>| post_request(&path, media::QUERY, body);
    refused(
        &state,
        post(good[1..].to_vec()),
        ProblemType::MalformedRequest,
    )
    .await;
    refused(
        &state,
        post([&good[..], &[0]].concat()),
        ProblemType::PayloadTooLarge,
    )
    .await;
    let mut magic = good.clone();
    magic[0] ^= 1;
    refused(&state, post(magic), ProblemType::MalformedRequest).await;
    let mut shape = good.clone();
    shape[5] ^= 1;
    refused(&state, post(shape), ProblemType::UnprocessableQuery).await;
    let mut residue = good.clone();
    let end = residue.len();
    residue[end - 64..].fill(0xff);
    refused(&state, post(residue), ProblemType::MalformedRequest).await;
    refused(
        &state,
        post_request(&path, "text/plain", good.clone()),
        ProblemType::UnsupportedMediaType,
    )
    .await;
    let untyped = request(Method::POST, &path)
        .body(Body::from(good.clone()))
        .unwrap();
    refused(&state, untyped, ProblemType::UnsupportedMediaType).await;

    // Announced lengths are refused before a byte is read.
    let announced = |length: usize| {
        let builder = request(Method::POST, &path).header(CONTENT_TYPE, media::QUERY);
        let never = never();
        builder.header(CONTENT_LENGTH, length).body(never).unwrap()
    };
    refused(
        &state,
        announced(good.len() + 1),
        ProblemType::PayloadTooLarge,
    )
    .await;
    refused(&state, announced(1), ProblemType::MalformedRequest).await;
}

/// A body that never comes.
fn never() -> Body {
    struct Never;
    impl axum::body::HttpBody for Never {
        type Data = axum::body::Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<hyper::body::Frame<Self::Data>, Self::Error>>> {
            std::task::Poll::Pending
        }
    }
    Body::new(Never)
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_bodies_time_out() {
    let state = state_with(|config| config.timeouts.body_ms = 50);
    let slow = request(Method::POST, &query_path(&state))
        .header(CONTENT_TYPE, media::QUERY)
        .body(never())
        .unwrap();
    refused(&state, slow, ProblemType::RequestTimeout).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_known_senders_may_look_up() {
    let state = state();
    let (path, key) = (query_path(&state), shared().api_key.as_str());
    let wrong = format!("Bearer {}x", key);
    let basic = format!("Basic {key}");
    let cases = [
        None,
        Some(""),
        Some("Bearer"),
        Some("Bearer "),
        Some(wrong.as_str()),
        Some(basic.as_str()),
    ];
    for path in [wire::OPRF_PATH, &path] {
        for authorization in cases {
            let mut builder = Request::builder().method(Method::POST).uri(path);
            if let Some(authorization) = authorization {
                builder = builder.header(AUTHORIZATION, authorization);
            }
            let response = ask(&state, builder.body(Body::empty()).unwrap()).await;
            assert_eq!(response.headers()[WWW_AUTHENTICATE], "Bearer");
            assert_eq!(problem(response).await.kind, ProblemType::Unauthorized);
        }
        let twice = request(Method::POST, path)
            .header(AUTHORIZATION, "Bearer x")
            .body(Body::empty())
            .unwrap();
        refused(&state, twice, ProblemType::Unauthorized).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_paths_methods_and_snapshots_are_problems_too() {
    let state = state();
    refused(&state, get_request("/v1/nothing"), ProblemType::NotFound).await;
    refused(
        &state,
        get_request("/v1/snapshots/xyz/hint"),
        ProblemType::NotFound,
    )
    .await;
    let response = ask(&state, get_request(wire::OPRF_PATH)).await;
    assert_eq!(response.headers()[ALLOW], "POST");
    assert_eq!(problem(response).await.kind, ProblemType::MethodNotAllowed);
    let other = SnapshotId::from_bytes([1; 32]);
    let current = Some(state.snapshot().unwrap().id());
    let gone = refused(
        &state,
        get_request(&wire::hint_path(&other)),
        ProblemType::SnapshotGone,
    )
    .await;
    assert_eq!(gone.current_snapshot, current);
    let query = post_request(&wire::query_path(&other), media::QUERY, Vec::new());
    let gone = refused(&state, query, ProblemType::SnapshotGone).await;
    assert_eq!(gone.current_snapshot, current);
}

#[tokio::test(flavor = "multi_thread")]
async fn health_follows_draining() {
    let state = state();
    assert_eq!(
        ask(&state, get_request(wire::READY_PATH)).await.status(),
        StatusCode::OK
    );
    state.drain();
    refused(&state, get_request(wire::READY_PATH), ProblemType::NotReady).await;
    assert_eq!(
        ask(&state, get_request(wire::LIVE_PATH)).await.status(),
        StatusCode::OK
    );
    assert_eq!(
        ask(&state, get_request(wire::MANIFEST_PATH)).await.status(),
        StatusCode::OK
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_bodies_are_refused_at_once() {
    let state = state();
    let all = (0..4).flat_map(|account| (0..64).map(move |_| account));
    let _all: Vec<_> = all
        .map(|account| {
            state
                .bodies
                .of_account((account + 1000).into())
                .ok()
                .unwrap()
        })
        .collect();
    let (query, _) = good_query(&state, 0);
    let problem = refused(
        &state,
        post_request(&query_path(&state), media::QUERY, query),
        ProblemType::Overloaded,
    )
    .await;
    assert!(problem.retry_after.is_some());
}

#[tokio::test]
async fn a_panic_is_a_problem_and_shows_nothing() {
    let router = Router::new()
        .route("/", get(|| async { panic!("canary") as Response<Body> }))
        .layer(CatchPanicLayer::custom(error::panicked));
    let request = Request::builder().uri("/").body(Body::empty()).unwrap();
    let problem = problem(router.oneshot(request).await.unwrap()).await;
    assert_eq!(problem.kind, ProblemType::Internal);
    assert!(!problem.to_string().contains("canary"));
}

#[tokio::test]
async fn overload_says_when_to_come_back() {
    let retry_after = Duration::from_millis(1500);
    for (error, kind) in [
        (
            ScheduleError::Full {
                queue_length: 1,
                retry_after,
            },
            ProblemType::Overloaded,
        ),
        (
            ScheduleError::SenderFull {
                per_sender: 1,
                retry_after,
            },
            ProblemType::TooManyRequests,
        ),
        (
            ScheduleError::Deadline {
                deadline: retry_after,
                retry_after,
            },
            ProblemType::Overloaded,
        ),
    ] {
        let problem = Problem::from(&Error::from(error));
        assert_eq!((problem.kind, problem.retry_after), (kind, Some(2)));
    }
    assert_eq!(
        Problem::from(&Error::from(ScheduleError::Failed)).kind,
        ProblemType::Internal
    );
    assert_eq!(
        Problem::from(&Error::from(ScheduleError::Stopping)).kind,
        ProblemType::NotReady
    );
}
