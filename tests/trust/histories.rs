//! Histories that are not the one everybody else sees.

use anyhow::Result;
use client::{Client, ClientConfig, ClientError, LogRefusal};
use pir_core::crs::CrsSeed;
use protocol::lookup::{Lookup, Unverifiable};
use protocol::manifest::{ManifestError, ManifestPin, SignedManifest};
use protocol::time::UnixTime;
use protocol::wire;
use tests::{Directory, Provider};

use crate::forgery::{give_snapshot, hint_under, refusal, resigned, twin};
use crate::rogue::Rogue;

fn newest(provider: &Provider) -> SignedManifest {
    provider.snapshot().signed_manifest().clone()
}

/// What an honest client remembers now.
async fn pin(provider: &Provider) -> Result<ManifestPin> {
    let client = Client::connect(provider.client_config(provider.address)?).await?;
    Ok(client.manifest_pin())
}

fn log_refusal(error: ClientError) -> LogRefusal {
    match error {
        ClientError::Log(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_false_history_is_refused_for_its_own_reason() -> Result<()> {
    let provider = Directory::build(30, 71)?.serve().await?;
    let rogue = Rogue::before(&provider).await?;
    let first = newest(&provider);
    let known_first = pin(&provider).await?;
    provider.publish()?;
    let second = newest(&provider);
    let known_second = pin(&provider).await?;
    let plain = rogue.config(&provider)?;
    let knowing = |pin: ManifestPin| ClientConfig {
        last_manifest: Some(pin),
        ..plain.clone()
    };
    let (one, two) = (first.as_bytes(), second.as_bytes());

    // The front itself is no obstacle, with and without a memory.
    for config in [plain.clone(), knowing(known_first), knowing(known_second)] {
        assert_eq!(Client::connect(config).await?.manifest_pin(), known_second);
    }

    // A manifest for one client alone is in no log.
    let secret = twin(&provider, second.unverified())?;
    rogue.give(wire::MANIFEST_PATH, secret.as_bytes());
    let refused = log_refusal(refusal(plain.clone()).await);
    assert_eq!(refused, LogRefusal::NotIncluded { sequence: 2 });
    rogue.repent();

    // One that is left out of it.
    rogue.give_log(&provider, &[one])?;
    let refused = log_refusal(refusal(plain.clone()).await);
    assert_eq!(
        refused,
        LogRefusal::NotInLog {
            sequence: 2,
            size: 1
        }
    );
    rogue.repent();

    // A log that begins otherwise than the one that was seen.
    let other = twin(&provider, first.unverified())?;
    rogue.give_log(&provider, &[other.as_bytes(), two])?;
    let refused = log_refusal(refusal(knowing(known_first)).await);
    assert_eq!(refused, LogRefusal::Inconsistent { known: 1, found: 2 });
    let refused = log_refusal(refusal(knowing(known_second)).await);
    assert_eq!(refused, LogRefusal::Fork { size: 2 });
    rogue.repent();

    // A fork at the manifest, and one that is older.
    let mut forked = known_second;
    forked.digest = secret.digest();
    let refused = refusal(knowing(forked)).await;
    let fork = matches!(
        refused,
        ClientError::Manifest(ManifestError::Fork { known: 2, found: 2 })
    );
    assert!(fork, "{refused:?}");
    rogue.give(wire::MANIFEST_PATH, one);
    let refused = refusal(knowing(known_second)).await;
    let rollback = matches!(
        refused,
        ClientError::Manifest(ManifestError::Rollback { known: 2, found: 1 })
    );
    assert!(rollback, "{refused:?}");
    rogue.repent();

    // An old manifest that has expired.
    let now = UnixTime::now();
    let stale = resigned(&provider, second.unverified(), |manifest| {
        manifest.published_at = now.saturating_sub(7200);
        manifest.expires_at = now.saturating_sub(3600);
    })?;
    rogue.give(wire::MANIFEST_PATH, stale.as_bytes());
    let refused = refusal(plain.clone()).await;
    let expired = matches!(
        refused,
        ClientError::Manifest(ManifestError::Expired { .. })
    );
    assert!(expired, "{refused:?}");
    rogue.repent();

    // A log that gets shorter while the manifest stays.
    provider.publish()?;
    let third = newest(&provider);
    rogue.give(wire::MANIFEST_PATH, two);
    rogue.give(
        wire::hint_path(&second.unverified().snapshot),
        provider.snapshot().hint(),
    );
    let known = ManifestPin {
        log: pin(&provider).await?.log,
        ..known_second
    };
    rogue.give_log(&provider, &[one, two])?;
    let refused = log_refusal(refusal(knowing(known)).await);
    assert_eq!(refused, LogRefusal::Rollback { known: 3, found: 2 });
    rogue.repent();

    // A gap that the log fills with something else.
    let refused = Client::connect(knowing(known_first)).await;
    assert_eq!(refused?.manifest_pin().sequence, 3);
    rogue.give_log(&provider, &[one, secret.as_bytes(), third.as_bytes()])?;
    let refused = log_refusal(refusal(knowing(known_first)).await);
    let chain = matches!(
        refused,
        LogRefusal::Chain {
            sequence: 3,
            reason: ManifestError::Fork { known: 2, found: 3 }
        }
    );
    assert!(chain, "{refused:?}");
    rogue.repent();

    // Signed by someone else.
    let key = protocol::cose::SigningKey::from_seed(&[9; 32]);
    let head = known_second.log.unwrap();
    let checkpoint = protocol::log::SignedCheckpoint::sign(head, &key)?;
    rogue.give(wire::LOG_CHECKPOINT_PATH, checkpoint.encode());
    let refused = log_refusal(refusal(plain).await);
    assert_eq!(refused, LogRefusal::Form(protocol::log::LogError::Origin));
    rogue.repent();
    provider.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn corrupted_buckets_change_nothing_on_the_wire() -> Result<()> {
    let mut directory = Directory::build(30, 72)?;
    let absent = directory.absent(1)?;
    let provider = directory.serve().await?;
    let rogue = Rogue::before(&provider).await?;
    let listed = provider.directory.records[0].csi.clone();
    let csis = [listed, absent[0].clone()];
    let mut seen = Vec::new();
    for corrupt in [false, true] {
        rogue.corrupt_answers(corrupt);
        rogue.take_seen();
        let client = Client::connect(rogue.config(&provider)?).await?;
        let lookups = client.lookup_many(&csis).await;
        for lookup in lookups {
            let lookup = lookup?;
            let refused = matches!(
                lookup,
                Lookup::Unverifiable(
                    Unverifiable::BucketNotUnderRoot | Unverifiable::MalformedBucket
                )
            );
            assert_eq!(refused, corrupt, "{lookup:?}");
        }
        // Two queries are under way at a time.
        let mut requests = rogue.take_seen();
        requests.sort();
        seen.push(requests);
    }
    assert_eq!(seen[0], seen[1]);
    assert!(seen[0].iter().any(|(route, ..)| route.ends_with("/query")));
    provider.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hint_that_was_altered_is_refused() -> Result<()> {
    let provider = Directory::build(30, 73)?.serve().await?;
    let rogue = Rogue::before(&provider).await?;
    let snapshot = provider.snapshot();
    let mut hint = snapshot.hint().to_vec();
    let last = hint.len() - 1;
    hint[last] ^= 1;
    rogue.give(wire::hint_path(&snapshot.id()), hint);
    let refused = refusal(rogue.config(&provider)?).await;
    assert!(matches!(refused, ClientError::HintDigest), "{refused:?}");
    provider.stop().await
}

/// Whether the matrix is another can't be told by a client, who sees no more of it than
/// the buckets that come out: an audit names it.
#[tokio::test(flavor = "multi_thread")]
async fn a_hint_of_another_public_matrix_shows_nothing_and_changes_nothing_on_the_wire()
-> Result<()> {
    let mut directory = Directory::build(30, 74)?;
    let absent = directory.absent(1)?;
    let provider = directory.serve().await?;
    let rogue = Rogue::before(&provider).await?;
    let csis = [provider.directory.records[0].csi.clone(), absent[0].clone()];
    let honest = provider.snapshot();
    let mut seen = Vec::new();
    for false_hint in [false, true] {
        let mut id = honest.id();
        if false_hint {
            let hint = hint_under(&CrsSeed::derive(b"another seed", 1), &honest)?;
            let database = honest.database();
            id = give_snapshot(&rogue, &provider, &hint, database, |_| ())?;
            rogue.mix(id, honest.id());
        }
        rogue.take_seen();
        let client = Client::connect(rogue.config(&provider)?).await?;
        assert_eq!(client.snapshot().manifest().snapshot, id);
        for lookup in client.lookup_many(&csis).await {
            let refused = matches!(lookup?, Lookup::Unverifiable(_));
            assert_eq!(refused, false_hint);
        }
        let (id, honest) = (id.to_string(), honest.id().to_string());
        let requests = rogue.take_seen().into_iter();
        let mut requests: Vec<_> = requests
            .map(|(route, sent, received)| (route.replace(&id, &honest), sent, received))
            .collect();
        requests.sort();
        seen.push(requests);
    }
    assert_eq!(seen[0], seen[1]);
    assert!(seen[0].iter().any(|(route, ..)| route.ends_with("/query")));
    drop(honest);
    provider.stop().await
}

/// As a server would that swaps snapshots in the middle of a lookup.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_another_snapshot_is_noticed() -> Result<()> {
    let provider = Directory::build(30, 76)?.serve().await?;
    let rogue = Rogue::before(&provider).await?;
    let before = provider.snapshot().id();
    let client = Client::connect(rogue.config(&provider)?).await?;
    let (changed, kept) = (
        provider.directory.records[0].csi.clone(),
        &provider.directory.records[1],
    );
    provider.directory.withhold(&changed)?;
    provider.publish()?;
    let after = provider.snapshot().id();
    assert_ne!(before, after);
    let expected = provider.directory.expected(kept)?;
    // Both are served.
    assert_eq!(client.lookup(&kept.csi).await?, expected);
    assert_eq!(client.snapshot().manifest().snapshot, before);
    rogue.mix(before, after);
    for csi in [&changed, &kept.csi] {
        let lookup = client.lookup(csi).await?;
        assert!(matches!(lookup, Lookup::Unverifiable(_)), "{lookup:?}");
    }
    rogue.repent();
    assert_eq!(client.lookup(&kept.csi).await?, expected);
    provider.stop().await
}
