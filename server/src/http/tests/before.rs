//! The snapshot before the newest.

use super::*;
use crate::fixture::{Provider, further};

#[tokio::test(flavor = "multi_thread")]
async fn the_one_before_is_answered_from_its_own_database_until_it_goes() {
    let provider = Provider::new(30);
    let config = Config::default();
    let (store, ledger) = (Arc::clone(&provider.store), Arc::clone(&provider.ledger));
    let state = AppState::open(&provider.data, &config, store, ledger).unwrap();
    let old = state.snapshot().unwrap();
    provider.put(&further(30, 40, provider.now));
    provider.publish();
    let newest = published(&provider.data, &config).unwrap().unwrap();
    state.replace_snapshot(newest).unwrap();
    let newest = state.snapshot().unwrap();

    let key = format!("Bearer {}", provider.api_key.as_str());
    let send = |method: Method, path: String, body: Vec<u8>| {
        Request::builder()
            .method(method)
            .uri(path)
            .header(AUTHORIZATION, &key)
            .header(CONTENT_TYPE, media::QUERY)
            .body(Body::from(body))
            .unwrap()
    };
    for snapshot in [&old, &newest] {
        let hint = send(Method::GET, wire::hint_path(&snapshot.id()), Vec::new());
        assert!(body(ask(&state, hint).await).await == snapshot.hint());
        let client = Client::new(
            snapshot.params(),
            &build::crs_seed(&snapshot.manifest().dp_key),
        );
        let (query, pending) = client.prepare(ColumnIndex::from(5)).unwrap().send();
        let path = wire::query_path(&snapshot.id());
        let answer = send(Method::POST, path, query.as_bytes().to_vec());
        let answer = body(ask(&state, answer).await).await;
        let answer = pir_core::answer::Answer::decode(snapshot.params(), &answer).unwrap();
        let hint = protocol::hint::SnapshotHint::decode(snapshot.hint()).unwrap();
        let hint = pir_core::hint::Hint::decode(snapshot.params(), &hint.pir_hint).unwrap();
        let database = snapshot.database();
        let database = pir_core::database::DatabaseView::new(snapshot.params(), database);
        let column = database.unwrap().column(5).unwrap();
        assert!(pending.decrypt(&hint, &answer).unwrap() == column);
    }
    // The manifest is always the newest's.
    let manifest = body(ask(&state, get_request(wire::MANIFEST_PATH)).await).await;
    assert!(manifest == newest.signed_manifest().as_bytes());

    state.retire_snapshot_before();
    let gone = send(Method::GET, wire::hint_path(&old.id()), Vec::new());
    let gone = refused(&state, gone, ProblemType::SnapshotGone).await;
    assert_eq!(gone.current_snapshot, Some(newest.id()));
    let gone = send(Method::POST, wire::query_path(&old.id()), Vec::new());
    let gone = refused(&state, gone, ProblemType::SnapshotGone).await;
    assert_eq!(gone.current_snapshot, Some(newest.id()));
}
