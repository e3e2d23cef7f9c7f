mod audiences;
mod cached;
mod filter;

use std::collections::HashSet;
use std::time::Duration;

use protocol::cose::SigningKey;
use protocol::lookup::Unverifiable;
use protocol::manifest::ManifestError;
use protocol::oprf::{OprfError, OprfKey};
use protocol::problem::{Problem, ProblemType};
use protocol::wire::OprfRequest;

use super::*;
use crate::fixture::serving::{Provider, Seen};
use crate::fixture::{Snapshot, bundle, csi};

/// Whom the snapshots of these tests hold, and one bucket that is damaged.
fn snapshot(msp: &str, previous: Option<&Snapshot>) -> Arc<Snapshot> {
    let records = [
        bundle("listed", &[msp]),
        bundle("opted.out", &[]),
        bundle("damaged", &[msp]),
    ];
    Arc::new(Snapshot::build(&records, &[csi("damaged")], previous))
}

fn msp(lookup: &Lookup) -> &str {
    let Lookup::Mappings(mappings) = lookup else {
        panic!("{lookup:?}")
    };
    mappings[0].entries[0].msp.as_str()
}

fn queries(seen: &[Seen]) -> Vec<&Seen> {
    seen.iter()
        .filter(|seen| seen.route.ends_with("/query"))
        .collect()
}

/// Number of elements of each OPRF request.
fn elements(seen: &[Seen]) -> Vec<usize> {
    let requests = seen.iter().filter(|seen| seen.route.ends_with("/oprf"));
    requests
        .map(|seen| OprfRequest::decode(&seen.body).unwrap().elements.len())
        .collect()
}

fn distinct(seen: &[&Seen]) -> usize {
    seen.iter()
        .map(|seen| &seen.body)
        .collect::<HashSet<_>>()
        .len()
}

#[tokio::test]
async fn lookups_are_right_and_look_alike() {
    let provider = Provider::serve(snapshot("a.example", None)).await;
    let client = Client::connect(provider.config()).await.unwrap();
    let connecting = provider.take_seen();
    assert!(
        connecting
            .iter()
            .all(|seen| !seen.authorised && seen.body.is_empty())
    );

    let mut outlines = Vec::new();
    for name in ["listed", "absent", "opted.out", "damaged"] {
        let before = client.traffic();
        let lookup = client.lookup(&csi(name)).await.unwrap();
        match name {
            "listed" => assert_eq!(msp(&lookup), "a.example"),
            "absent" => assert_eq!(lookup, Lookup::NoMapping),
            "opted.out" => assert_eq!(lookup, Lookup::OptedOut),
            _ => assert_eq!(
                lookup,
                Lookup::Unverifiable(Unverifiable::BucketNotUnderRoot)
            ),
        }
        let outline: Vec<_> = provider.take_seen().iter().map(Seen::outline).collect();
        outlines.push((outline, client.traffic().since(before)));
    }
    assert!(
        outlines.windows(2).all(|pair| pair[0] == pair[1]),
        "{outlines:?}"
    );
    let (outline, traffic) = &outlines[0];
    assert_eq!(outline.len(), 2, "one OPRF request and one query");
    assert!(outline.iter().all(|(_, authorised, _)| *authorised));
    assert_eq!(
        traffic.sent,
        outline.iter().map(|(.., bytes)| *bytes as u64).sum::<u64>()
    );
}

#[tokio::test]
async fn many_lookups_keep_their_order_and_repetitions() {
    let provider = Provider::serve(snapshot("a.example", None)).await;
    let client = Client::connect(provider.config()).await.unwrap();
    provider.take_seen();
    let names = [
        "opted.out",
        "listed",
        "absent",
        "listed",
        "damaged",
        "listed",
        "absent",
    ];
    let csis: Vec<Csi> = names.iter().map(|name| csi(name)).collect();
    let results = client.lookup_many(&csis).await;
    assert_eq!(results.len(), names.len());
    for (name, result) in names.iter().zip(results) {
        let lookup = result.unwrap();
        match *name {
            "listed" => assert_eq!(msp(&lookup), "a.example"),
            "absent" => assert_eq!(lookup, Lookup::NoMapping),
            "opted.out" => assert_eq!(lookup, Lookup::OptedOut),
            _ => assert!(matches!(lookup, Lookup::Unverifiable(_))),
        }
    }
    let seen = provider.take_seen();
    assert_eq!(seen.len(), 1 + names.len());
    assert_eq!(distinct(&queries(&seen)), names.len());
    assert!(client.lookup_many(&[]).await.is_empty());
    assert!(provider.take_seen().is_empty());
}

#[tokio::test]
async fn a_busy_server_gets_fresh_requests_and_not_for_ever() {
    let provider = Provider::serve(snapshot("a.example", None)).await;
    let config = ClientConfig {
        busy_retries: 2,
        ..provider.config()
    };
    let client = Client::connect(config).await.unwrap();
    let busy = || Problem::new(ProblemType::Overloaded).with_retry_after(0);
    let order = |count| {
        provider
            .state
            .faults
            .lock()
            .unwrap()
            .extend((0..count).map(|_| busy()))
    };

    provider.take_seen();
    order(2);
    assert_eq!(
        msp(&client.lookup(&csi("listed")).await.unwrap()),
        "a.example"
    );
    let seen = provider.take_seen();
    let oprf: Vec<&Seen> = seen
        .iter()
        .filter(|seen| seen.route.ends_with("/oprf"))
        .collect();
    assert_eq!(
        (oprf.len(), distinct(&oprf), queries(&seen).len()),
        (3, 3, 1)
    );

    order(3);
    let error = client.lookup(&csi("listed")).await.unwrap_err();
    assert!(
        matches!(error, ClientError::Problem { step: "OPRF", .. }),
        "{error:?}"
    );
    assert_eq!(provider.take_seen().len(), 3);
}

#[tokio::test]
async fn a_query_that_is_sent_again_is_a_fresh_one() {
    let provider = Provider::serve(snapshot("a.example", None)).await;
    let client = Client::connect(provider.config()).await.unwrap();
    let view = client.snapshot();
    provider.take_seen();
    let busy = Problem::new(ProblemType::Overloaded).with_retry_after(0);
    provider
        .state
        .faults
        .lock()
        .unwrap()
        .extend([busy.clone(), busy]);
    let buckets = vec![protocol::placement::BucketIndex::new(7)];
    let mut answers = fetch::Answers::begin(&client.shared, &view, buckets);
    assert!(matches!(answers.next().await, Some((0, Ok(_)))));
    assert!(answers.next().await.is_none());
    let seen = provider.take_seen();
    assert_eq!((seen.len(), distinct(&queries(&seen))), (3, 3));
}

#[tokio::test]
async fn waits_that_are_too_long_are_not_waited() {
    let provider = Provider::serve(snapshot("a.example", None)).await;
    let client = Client::connect(provider.config()).await.unwrap();
    let busy = Problem::new(ProblemType::TooManyRequests).with_retry_after(3600);
    provider
        .state
        .faults
        .lock()
        .unwrap()
        .push_back(busy.clone());
    let csi = csi("listed");
    let lookup = tokio::time::timeout(Duration::from_secs(30), client.lookup(&csi));
    let error = lookup.await.unwrap().unwrap_err();
    assert!(matches!(error, ClientError::Problem { problem, .. } if *problem == busy));
}

#[tokio::test]
async fn a_replaced_snapshot_is_followed_with_fresh_secrets() {
    let first = snapshot("a.example", None);
    let second = snapshot("b.example", Some(&first));
    let provider = Provider::serve(Arc::clone(&first)).await;
    let client = Client::connect(provider.config()).await.unwrap();
    provider.take_seen();
    provider
        .state
        .replacements
        .lock()
        .unwrap()
        .push_back(Arc::clone(&second));
    let results = client.lookup_many(&[csi("listed"), csi("absent")]).await;
    assert_eq!(msp(results[0].as_ref().unwrap()), "b.example");
    assert_eq!(*results[1].as_ref().unwrap(), Lookup::NoMapping);
    let seen = provider.take_seen();
    let of = |end: &str| {
        seen.iter()
            .filter(|seen| seen.route.ends_with(end))
            .collect::<Vec<_>>()
    };
    assert_eq!((of("/manifest").len(), of("/hint").len()), (1, 1));
    // What was paid for is not asked for again.
    assert_eq!(of("/oprf").len(), 1);
    let queries = of("/query");
    assert_eq!(distinct(&queries), queries.len());
    assert_eq!(client.manifest_pin().sequence, 2);

    // The next lookups use the new one at once.
    assert_eq!(
        msp(&client.lookup(&csi("listed")).await.unwrap()),
        "b.example"
    );
    assert_eq!(provider.take_seen().len(), 2);
}

#[tokio::test]
async fn a_snapshot_that_goes_twice_is_an_error() {
    let first = snapshot("a.example", None);
    let second = snapshot("b.example", Some(&first));
    let third = snapshot("c.example", Some(&second));
    let provider = Provider::serve(first).await;
    let client = Client::connect(provider.config()).await.unwrap();
    let replacements = [Arc::clone(&second), third];
    provider
        .state
        .replacements
        .lock()
        .unwrap()
        .extend(replacements);
    let error = client.lookup(&csi("listed")).await.unwrap_err();
    let gone = second.manifest.snapshot;
    assert!(
        matches!(error, ClientError::SnapshotGone { snapshot } if snapshot == gone),
        "{error:?}"
    );
}

#[tokio::test]
async fn older_snapshots_and_other_histories_are_refused() {
    let first = snapshot("a.example", None);
    let second = snapshot("b.example", Some(&first));
    let provider = Provider::serve(Arc::clone(&second)).await;
    let client = Client::connect(provider.config()).await.unwrap();
    let pin = client.manifest_pin();
    *provider.state.snapshot.lock().unwrap() = first;

    // Within a session, and with what was remembered from an earlier one.
    let error = client.lookup(&csi("listed")).await.unwrap_err();
    assert!(matches!(
        error,
        ClientError::Manifest(ManifestError::Rollback { known: 2, found: 1 })
    ));
    let config = ClientConfig {
        last_manifest: Some(pin),
        ..provider.config()
    };
    let error = Client::connect(config.clone()).await.unwrap_err();
    assert!(matches!(
        error,
        ClientError::Manifest(ManifestError::Rollback { .. })
    ));

    *provider.state.snapshot.lock().unwrap() = snapshot("c.example", Some(&second));
    let mut other = pin;
    other.digest = protocol::merkle::Hash::from_bytes([1; 32]);
    let error = Client::connect(ClientConfig {
        last_manifest: Some(other),
        ..config.clone()
    })
    .await
    .unwrap_err();
    assert!(matches!(
        error,
        ClientError::Manifest(ManifestError::Fork { .. })
    ));
    // Another OPRF key, or one of an earlier epoch, than an earlier session saw.
    let key = OprfKey::derive(&[6; 32], b"another").unwrap().public_key();
    for other in [
        ManifestPin {
            oprf_key: key,
            ..pin
        },
        ManifestPin {
            oprf_epoch: pin.oprf_epoch + 1,
            ..pin
        },
    ] {
        let error = Client::connect(ClientConfig {
            last_manifest: Some(other),
            ..config.clone()
        })
        .await
        .unwrap_err();
        let lower = other.oprf_epoch > pin.oprf_epoch;
        match error {
            ClientError::Manifest(ManifestError::OprfEpochRollback { .. }) => assert!(lower),
            ClientError::Manifest(ManifestError::OprfKeyChanged { .. }) => assert!(!lower),
            other => panic!("{other:?}"),
        }
    }
    assert!(Client::connect(config).await.is_ok());
}

#[tokio::test]
async fn evaluations_under_another_key_are_refused_before_any_query() {
    let provider = Provider::serve(snapshot("a.example", None)).await;
    let client = Client::connect(provider.config()).await.unwrap();
    *provider.state.oprf.lock().unwrap() = OprfKey::derive(&[6; 32], b"another").unwrap();
    provider.take_seen();
    for result in client.lookup_many(&[csi("listed"), csi("absent")]).await {
        assert!(matches!(
            result,
            Err(ClientError::Oprf(OprfError::ProofVerification))
        ));
    }
    assert_eq!(provider.take_seen().len(), 1);
}

#[tokio::test]
async fn strangers_are_refused_on_both_sides() {
    let provider = Provider::serve(snapshot("a.example", None)).await;
    let stranger = SigningKey::from_seed(&[8; 32]).verifying_key();
    let error = Client::connect(ClientConfig {
        dp_key: stranger,
        ..provider.config()
    })
    .await
    .unwrap_err();
    assert!(matches!(
        error,
        ClientError::Manifest(ManifestError::ForeignKey)
    ));

    let client = Client::connect(ClientConfig {
        api_key: None,
        ..provider.config()
    })
    .await
    .unwrap();
    let error = client.lookup(&csi("listed")).await.unwrap_err();
    assert!(
        matches!(error, ClientError::Problem { problem, .. } if problem.kind == ProblemType::Unauthorized)
    );

    let other = Provider::serve(snapshot("a.example", None)).await;
    let roots = other.config().roots;
    let error = Client::connect(ClientConfig {
        roots,
        ..provider.config()
    })
    .await
    .unwrap_err();
    assert!(
        matches!(
            error,
            ClientError::Transport {
                step: "manifest",
                ..
            }
        ),
        "{error:?}"
    );
}

#[test]
fn errors_and_debug_show_no_secret() {
    let key = SigningKey::from_seed(&[1; 32]).verifying_key();
    let trust = protocol::trust::TrustList::new(Vec::new()).unwrap();
    let config = ClientConfig::new("https://dp.example", key, trust)
        .with_api_key(crate::ApiKey::new("sotto_secret").unwrap());
    assert!(!format!("{config:?}").contains("sotto_secret"));
}
