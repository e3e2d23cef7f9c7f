//! `GET /v1/snapshots/{id}/filter`.

use super::*;
use crate::fixture::Provider;

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_is_served_if_there_is_one() {
    let without = state();
    let id = without.snapshot().unwrap().id();
    let path = wire::filter_path(&id);
    refused(&without, get_request(&path), ProblemType::NotFound).await;

    let provider = Provider::new(30);
    let id = provider.publish_with_filter();
    let open = || {
        let store = Arc::clone(&provider.store);
        let ledger = Arc::clone(&provider.ledger);
        AppState::open(&provider.data, &Config::default(), store, ledger).unwrap()
    };
    // Also after a restart.
    for _ in 0..2 {
        let state = open();
        let response = ask(&state, get_request(&wire::filter_path(&id))).await;
        assert_eq!(response.headers()[CONTENT_TYPE], media::FILTER);
        let tag = response.headers()[ETAG].clone();
        let stated = state.snapshot().unwrap().manifest().filter.unwrap();
        let bytes = body(response).await;
        assert_eq!(protocol::merkle::Hash::of(&bytes), stated.digest);
        let again = request(Method::GET, &wire::filter_path(&id))
            .header(IF_NONE_MATCH, tag)
            .body(Body::empty())
            .unwrap();
        assert_eq!(ask(&state, again).await.status(), StatusCode::NOT_MODIFIED);
        let other = wire::filter_path(&SnapshotId::from_bytes([1; 32]));
        refused(&state, get_request(&other), ProblemType::SnapshotGone).await;
    }
}
