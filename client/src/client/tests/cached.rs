//! Lookups with a cache: what is sent, and what is not sent again.

use super::audiences::{self, FRIENDS, keyring, told};
use super::*;
use crate::keyring::Keyring;

fn cache() -> Arc<Cache> {
    let key = crate::fixture::provider_key().verifying_key();
    Arc::new(Cache::in_memory(&key).unwrap())
}

async fn client(provider: &Provider, cache: &Arc<Cache>) -> Client {
    let config = provider.config().with_cache(Arc::clone(cache));
    Client::connect(config).await.unwrap()
}

/// Elements of the OPRF requests, and number of PIR queries.
fn sent(provider: &Provider) -> (Vec<usize>, usize) {
    let seen = provider.take_seen();
    (elements(&seen), queries(&seen).len())
}

#[tokio::test]
async fn what_is_known_is_not_asked_again() {
    let provider = Provider::serve(snapshot("a.example", None)).await;
    let cache = cache();
    let first = client(&provider, &cache).await;
    let csis = ["listed", "absent", "opted.out"].map(csi);
    let found = first.lookup_many(&csis).await;
    assert_eq!(sent(&provider), (vec![3], 3));

    // Another run, in the same snapshot; and one more identifier.
    let second = client(&provider, &cache).await;
    provider.take_seen();
    let again = second.lookup_many(&csis).await;
    for (found, again) in found.iter().zip(again) {
        assert_eq!(*found.as_ref().unwrap(), again.unwrap());
    }
    assert_eq!(sent(&provider), (vec![], 0));
    let more = ["listed", "damaged", "absent", "new"].map(csi);
    let found = second.lookup_many(&more).await;
    assert_eq!(msp(found[0].as_ref().unwrap()), "a.example");
    assert!(matches!(found[1], Ok(Lookup::Unverifiable(_))));
    assert_eq!(sent(&provider), (vec![2], 2));

    // A bucket that was wrong is not asked for again either: that would tell which
    // one it was.
    let found = second.lookup(&csi("damaged")).await.unwrap();
    assert!(matches!(found, Lookup::Unverifiable(_)));
    assert_eq!(sent(&provider), (vec![], 0));

    // Who wants nothing of it asks for everything, and keeps nothing.
    let config = ClientConfig {
        reuse: Reuse::Nothing,
        ..provider.config().with_cache(Arc::clone(&cache))
    };
    let anew = Client::connect(config).await.unwrap();
    provider.take_seen();
    anew.lookup_many(&["listed", "other"].map(csi)).await;
    assert_eq!(sent(&provider), (vec![2], 2));
    second.lookup(&csi("other")).await.unwrap();
    assert_eq!(sent(&provider), (vec![1], 1));
}

#[tokio::test]
async fn a_newer_snapshot_is_asked_anew_with_the_same_evaluations() {
    let first = snapshot("a.example", None);
    let second = snapshot("b.example", Some(&first));
    let third = snapshot("c.example", Some(&second));
    let provider = Provider::serve(first).await;
    let cache = cache();
    let client_of_first = client(&provider, &cache).await;
    let csis = ["listed", "absent"].map(csi);
    client_of_first.lookup_many(&csis).await;
    *provider.state.snapshot.lock().unwrap() = second;
    let client = client(&provider, &cache).await;
    provider.take_seen();
    let found = client.lookup_many(&csis).await;
    assert_eq!(msp(found[0].as_ref().unwrap()), "b.example");
    assert_eq!(sent(&provider), (vec![], 2));

    // Also if it comes in the middle.
    let replacements = &provider.state.replacements;
    replacements.lock().unwrap().push_back(third);
    let found = client.lookup_many(&["listed", "more"].map(csi)).await;
    assert_eq!(msp(found[0].as_ref().unwrap()), "c.example");
    let seen = provider.take_seen();
    assert_eq!(elements(&seen), [1]);
    assert_eq!(cache.manifest_pin().unwrap(), Some(client.manifest_pin()));
}

#[tokio::test]
async fn what_was_refused_alone_is_asked_again() {
    let first = snapshot("a.example", None);
    let second = snapshot("b.example", Some(&first));
    let provider = Provider::serve(first).await;
    let cache = cache();
    let csis = ["listed", "absent"].map(csi);
    client(&provider, &cache).await.lookup_many(&csis).await;
    *provider.state.snapshot.lock().unwrap() = second;
    let config = ClientConfig {
        busy_retries: 0,
        concurrency: 1,
        ..provider.config().with_cache(cache)
    };
    let client = Client::connect(config).await.unwrap();
    let busy = Problem::new(ProblemType::Overloaded).with_retry_after(0);
    provider.state.faults.lock().unwrap().push_back(busy);
    let found = client.lookup_many(&csis).await;
    let Err(ClientError::Problem { step: "query", .. }) = &found[0] else {
        panic!("{found:?}")
    };
    assert_eq!(*found[1].as_ref().unwrap(), Lookup::NoMapping);
    sent(&provider);
    let found = client.lookup_many(&csis).await;
    assert_eq!(msp(found[0].as_ref().unwrap()), "b.example");
    assert_eq!(sent(&provider), (vec![], 1));
}

#[tokio::test]
async fn older_snapshots_are_refused_between_runs() {
    let first = snapshot("a.example", None);
    let second = snapshot("b.example", Some(&first));
    let provider = Provider::serve(second).await;
    let cache = cache();
    let client = client(&provider, &cache).await;
    *provider.state.snapshot.lock().unwrap() = first;
    for reuse in [Reuse::Kept, Reuse::Nothing] {
        let config = ClientConfig {
            reuse,
            ..provider.config().with_cache(Arc::clone(&cache))
        };
        let error = Client::connect(config).await.unwrap_err();
        assert!(matches!(
            error,
            ClientError::Manifest(ManifestError::Rollback { known: 2, found: 1 })
        ));
    }
    assert_eq!(cache.manifest_pin().unwrap(), Some(client.manifest_pin()));
    let stranger = SigningKey::from_seed(&[8; 32]).verifying_key();
    let other = Arc::new(Cache::in_memory(&stranger).unwrap());
    let error = Client::connect(provider.config().with_cache(other)).await;
    assert!(matches!(error, Err(ClientError::Cache(_))));
}

/// Whatever the keyring holds, an identifier is evaluated with all its slots or
/// not at all.
#[tokio::test]
async fn the_wire_tells_no_audience_from_a_dummy() {
    let mut outlines = Vec::new();
    for memberships in [
        keyring(&[]),
        keyring(&[("friends", FRIENDS, None)]),
        keyring(&[("friends", FRIENDS, Some("listed")), ("b", 12, None)]),
    ] {
        let provider = Provider::serve(audiences::snapshot()).await;
        let cache = cache();
        let config = provider.config().with_cache(Arc::clone(&cache));
        let config = config.with_keyring(memberships);
        let client = Client::connect(config).await.unwrap();
        provider.take_seen();
        let mut outline = Vec::new();
        for names in [
            vec!["listed", "absent"],
            vec!["listed", "new"],
            vec!["listed"],
        ] {
            let csis: Vec<Csi> = names.into_iter().map(csi).collect();
            client.find_many(&csis).await;
            outline.push(sent(&provider));
        }
        assert_eq!(outline, [(vec![8], 8), (vec![4], 4), (vec![], 0)]);
        outlines.push(outline);
    }
    assert!(outlines.windows(2).all(|pair| pair[0] == pair[1]));
}

#[tokio::test]
async fn another_keyring_evaluates_whole_identifiers() {
    let provider = Provider::serve(audiences::snapshot()).await;
    let cache = cache();
    let find = async |keyring: Keyring, slots: u8| {
        let config = provider.config().with_cache(Arc::clone(&cache));
        let config = config.with_keyring(keyring);
        let config = config.with_slots(crate::slots::SlotCount::new(slots).unwrap());
        let client = Client::connect(config).await.unwrap();
        provider.take_seen();
        let found = client.find(&csi("listed")).await.unwrap();
        let told = told(&found).iter().map(|told| told.1.to_owned()).collect();
        (elements(&provider.take_seen()), told)
    };
    let nothing: Vec<String> = Vec::new();
    let friends = vec!["friends.example".to_owned()];
    let with_friends = || keyring(&[("friends", FRIENDS, None)]);
    assert_eq!(find(keyring(&[]), 4).await, (vec![4], nothing.clone()));
    assert_eq!(find(keyring(&[]), 4).await, (vec![], nothing.clone()));
    assert_eq!(find(with_friends(), 4).await, (vec![4], friends.clone()));
    assert_eq!(find(with_friends(), 4).await, (vec![], friends.clone()));
    // One that was left serves as a dummy.
    assert_eq!(find(keyring(&[]), 4).await, (vec![], nothing));
    assert_eq!(find(with_friends(), 2).await, (vec![2], friends));
}
