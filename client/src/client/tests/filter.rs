//! Lookups with a membership filter: how many queries are sent.

use protocol::filter::{FilterError, MembershipFilter};
use protocol::manifest::Artifact;
use protocol::merkle::Hash;

use super::audiences::{self, FRIENDS, keyring, told};
use super::*;
use crate::config::FilterUse;
use crate::fixture::provider_key;

fn skipping(provider: &Provider) -> ClientConfig {
    ClientConfig {
        filter: FilterUse::SkipAbsent,
        ..provider.config()
    }
}

/// A provider of this many records, and their names.
async fn provider_of(count: usize) -> (Provider, Vec<String>) {
    let names: Vec<String> = (0..count).map(|n| format!("listed{n}")).collect();
    let records: Vec<_> = names
        .iter()
        .map(|name| bundle(name, &["a.example"]))
        .collect();
    let provider = Provider::serve(Arc::new(Snapshot::build(&records, &[], None))).await;
    (provider, names)
}

#[tokio::test]
async fn a_filter_is_not_used_unless_it_is_wanted() {
    let (provider, _) = provider_of(1).await;
    let client = Client::connect(provider.config()).await.unwrap();
    assert!(client.snapshot().filter().is_none());
    assert_eq!(provider.take_seen().len(), 2);
    client.lookup(&csi("absent")).await.unwrap();
    assert_eq!(queries(&provider.take_seen()).len(), 1);
}

/// The number of queries is a function of the class of the number of hits, not of
/// which they are, where they are, or of how many identifiers are absent.
#[tokio::test]
async fn queries_are_as_many_as_the_class_of_hits_says() {
    let (provider, names) = provider_of(40).await;
    let client = Client::connect(skipping(&provider)).await.unwrap();
    let seen = provider.take_seen();
    assert!(seen[2].route.ends_with("/filter") && !seen[2].authorised);
    // False positives, if there are any, are hits to the client: leave them out.
    let view = client.snapshot();
    let filter = view.filter().unwrap();
    let oprf = crate::fixture::oprf_key();
    let absent: Vec<Csi> = (0..120)
        .map(|n| csi(&format!("absent{n}")))
        .filter(|csi| !filter.may_contain(oprf.evaluate(csi).unwrap().filter_label()))
        .collect();
    for (hits, expected) in [
        (0, 16),
        (1, 16),
        (16, 16),
        (17, 32),
        (32, 32),
        (33, 64),
        (40, 64),
    ] {
        for absent in [&absent[..0], &absent[..1], &absent[..100]] {
            if hits + absent.len() == 0 {
                continue;
            }
            // Those that are there come last.
            let listed = names.iter().rev().take(hits).map(|name| csi(name));
            let csis: Vec<Csi> = absent.iter().cloned().chain(listed).collect();
            let lookups = client.lookup_many(&csis).await;
            for (at, lookup) in lookups.iter().enumerate() {
                let lookup = lookup.as_ref().unwrap();
                match at < absent.len() {
                    true => assert_eq!(*lookup, Lookup::NoMapping),
                    false => assert_eq!(msp(lookup), "a.example"),
                }
            }
            let seen = provider.take_seen();
            assert_eq!(elements(&seen), [csis.len()]);
            let queries = queries(&seen);
            assert_eq!(
                queries.len(),
                expected,
                "{hits} hits, {} absent",
                absent.len()
            );
            let lengths: HashSet<usize> = queries.iter().map(|seen| seen.body.len()).collect();
            assert_eq!((lengths.len(), distinct(&queries)), (1, expected));
        }
    }
}

/// Dummies and audiences without a record are absent alike.
#[tokio::test]
async fn all_slots_are_treated_alike() {
    let provider = Provider::serve(audiences::snapshot()).await;
    let mut outlines = Vec::new();
    for keyring in [
        keyring(&[]),
        keyring(&[("friends", FRIENDS, None)]),
        keyring(&[("a", 11, None), ("b", 12, None), ("c", 13, None)]),
    ] {
        let member = keyring.memberships().len() == 1;
        let client = Client::connect(skipping(&provider).with_keyring(keyring));
        let client = client.await.unwrap();
        provider.take_seen();
        let found = client.find(&csi("listed")).await.unwrap();
        assert_eq!(msp(&found.public), "public.example");
        assert_eq!(told(&found).len(), usize::from(member));
        let outline: Vec<_> = provider.take_seen().iter().map(Seen::outline).collect();
        assert_eq!(outline.len(), 1 + 16);
        outlines.push(outline);
    }
    assert!(outlines.windows(2).all(|pair| pair[0] == pair[1]));
}

/// With a cache what was fetched before is not padded again.
#[tokio::test]
async fn what_was_fetched_before_is_no_hit() {
    let (provider, names) = provider_of(20).await;
    let key = provider_key().verifying_key();
    let cache = Arc::new(Cache::in_memory(&key).unwrap());
    let config = skipping(&provider).with_cache(cache);
    let client = Client::connect(config).await.unwrap();
    let csis: Vec<Csi> = names.iter().map(|name| csi(name)).collect();
    let mut counts = Vec::new();
    for _ in 0..2 {
        provider.take_seen();
        let lookups = client.lookup_many(&csis).await;
        assert!(
            lookups
                .iter()
                .all(|lookup| msp(lookup.as_ref().unwrap()) == "a.example")
        );
        let seen = provider.take_seen();
        counts.push((elements(&seen), queries(&seen).len()));
    }
    assert_eq!(counts, [(vec![20], 32), (vec![], 16)]);
}

#[tokio::test]
async fn another_filter_than_the_signed_one_is_refused() {
    let (provider, _) = provider_of(3).await;
    let honest = Arc::clone(&provider.state.snapshot.lock().unwrap());
    let served = |filter: Vec<u8>, stated: Option<Artifact>| {
        let mut manifest = honest.manifest.clone();
        manifest.filter = stated.or(manifest.filter);
        let published = manifest.sign(&provider_key()).unwrap();
        Arc::new(Snapshot {
            manifest,
            published: published.as_bytes().to_vec(),
            log: vec![published.as_bytes().to_vec()],
            hint: honest.hint.clone(),
            filter,
            params: honest.params,
            database: Vec::new(),
            preprocessed: Arc::clone(&honest.preprocessed),
        })
    };
    let signed = |bytes: &[u8]| {
        Some(Artifact {
            digest: Hash::of(bytes),
            bytes: bytes.len() as u64,
        })
    };
    let refused = async |snapshot: Arc<Snapshot>| {
        *provider.state.snapshot.lock().unwrap() = snapshot;
        Client::connect(skipping(&provider)).await.unwrap_err()
    };
    let mut flipped = honest.filter.clone();
    let last = flipped.len() - 1;
    flipped[last] ^= 0x80;
    let error = refused(served(flipped, None)).await;
    assert!(matches!(error, ClientError::FilterDigest), "{error:?}");
    let longer = [&honest.filter[..], &[0]].concat();
    let error = refused(served(longer.clone(), None)).await;
    assert!(
        matches!(error, ClientError::BodyTooLong { .. }),
        "{error:?}"
    );
    // Signed, and wrong all the same.
    let malformed = vec![7; honest.filter.len()];
    let error = refused(served(malformed.clone(), signed(&malformed))).await;
    assert!(
        matches!(error, ClientError::Filter(FilterError::Magic)),
        "{error:?}"
    );
    let fewer = MembershipFilter::new([]).unwrap().encode();
    let error = refused(served(fewer.clone(), signed(&fewer))).await;
    assert!(
        matches!(error, ClientError::FilterContradiction),
        "{error:?}"
    );
    let long = vec![0; 1000];
    let error = refused(served(long.clone(), signed(&long))).await;
    assert!(
        matches!(error, ClientError::FilterTooLong { found: 1000, .. }),
        "{error:?}"
    );
}
