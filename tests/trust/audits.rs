//! What an audit finds that a client can't see.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use client::audit::{Audit, AuditError};
use client::{Cache, Client, ClientConfig, ClientError, LogRefusal};
use pir_core::crs::CrsSeed;
use protocol::derivation::Tag;
use protocol::filter::MembershipFilter;
use protocol::hint::{BlockList, SnapshotHint};
use protocol::log::{LogHash, SignedCheckpoint, TreeHead};
use protocol::manifest::{ManifestError, ManifestPin, SignedManifest};
use protocol::merkle::Hash;
use protocol::time::UnixTime;
use protocol::wire;
use tests::Directory;

use crate::forgery::{artifact, give_snapshot, hint_under, resigned, twin};
use crate::rogue::Rogue;

/// How long servers here may be behind others.
const BRIEF: Duration = Duration::from_millis(10);

async fn audit(config: &ClientConfig) -> Result<(), AuditError> {
    let audit = Audit::new(config.clone())?;
    let chain = audit.chain(&|_| ()).await?;
    audit.snapshot(Some(&chain), &|_| ()).await?;
    Ok(())
}

async fn found(config: &ClientConfig) -> AuditError {
    let error = audit(config).await.expect_err("passed");
    assert!(error.is_evidence(), "{error:?}");
    error
}

/// A library runs in its users' runtimes.
#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_can_be_audited_on_one_thread() -> Result<()> {
    let provider = Directory::build(30, 85)?.serve().await?;
    let config = provider.client_config(provider.address)?;
    let of_one_thread = tokio::task::spawn_blocking(move || -> Result<u64> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let told = AtomicU64::new(0);
        let tell = |_| {
            told.fetch_add(1, Ordering::Relaxed);
        };
        runtime.block_on(Audit::new(config)?.snapshot(None, &tell))?;
        Ok(told.into_inner())
    });
    assert!(of_one_thread.await?? > 0);
    provider.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_false_snapshot_is_found_for_its_own_reason() -> Result<()> {
    let provider = Directory::build(30, 81)?.serve().await?;
    let rogue = Rogue::before(&provider).await?;
    let config = rogue.config(&provider)?;
    let honest = provider.snapshot();
    let (hint, database) = (honest.hint().to_vec(), honest.database().to_vec());
    audit(&config).await?;

    // The database that is given out is another.
    let mut altered = database.clone();
    altered[1000] ^= 1;
    rogue.give(wire::database_path(&honest.id()), altered.clone());
    let error = found(&config).await;
    assert!(matches!(error, AuditError::Database), "{error:?}");
    rogue.repent();

    // And is stated to be that.
    give_snapshot(&rogue, &provider, &hint, &altered, |_| ())?;
    let error = found(&config).await;
    assert!(matches!(error, AuditError::Bucket { .. }), "{error:?}");
    // A client takes it, as it sees no more of it than its own buckets.
    assert!(Client::connect(config.clone()).await.is_ok());
    rogue.repent();

    // Another root.
    give_snapshot(&rogue, &provider, &hint, &database, |manifest| {
        manifest.merkle_root = Hash::of(b"another root");
    })?;
    let error = found(&config).await;
    let root = matches!(
        error,
        AuditError::Client(ClientError::HintContradiction {
            part: "Merkle root"
        })
    );
    assert!(root, "{error:?}");
    rogue.repent();

    // Another hint than is stated, and a block list that is longer than stated.
    let mut other = hint.clone();
    let last = other.len() - 1;
    other[last] ^= 1;
    rogue.give(wire::hint_path(&honest.id()), other);
    let error = found(&config).await;
    let digest = matches!(error, AuditError::Client(ClientError::HintDigest));
    assert!(digest, "{error:?}");
    rogue.repent();
    let mut decoded = SnapshotHint::decode(&hint)?;
    decoded.blocked = BlockList::new(vec![Tag::from_bytes([7; 8])])?;
    give_snapshot(&rogue, &provider, &decoded.encode(), &database, |_| ())?;
    let error = found(&config).await;
    let list = matches!(
        error,
        AuditError::Client(ClientError::HintContradiction { part: "block list" })
    );
    assert!(list, "{error:?}");
    rogue.repent();

    // Fewer records than it says.
    give_snapshot(&rogue, &provider, &hint, &database, |manifest| {
        manifest.records += 1;
    })?;
    let error = found(&config).await;
    assert!(matches!(error, AuditError::Records { .. }), "{error:?}");
    rogue.repent();

    // A hint that is altered in one row.
    let mut decoded = SnapshotHint::decode(&hint)?;
    let last = decoded.pir_hint.len() - 1;
    decoded.pir_hint[last] ^= 1;
    give_snapshot(&rogue, &provider, &decoded.encode(), &database, |_| ())?;
    let error = found(&config).await;
    let row = matches!(error, AuditError::Hint { rows: 1, .. });
    assert!(row, "{error:?}");
    rogue.repent();

    // A hint under another public matrix.
    let other = hint_under(&CrsSeed::derive(b"another seed", 1), &honest)?;
    give_snapshot(&rogue, &provider, &other, &database, |_| ())?;
    let error = found(&config).await;
    assert!(matches!(error, AuditError::Crs), "{error:?}");
    rogue.repent();
    audit(&config).await?;
    drop(honest);
    provider.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_false_filter_is_found_for_its_own_reason() -> Result<()> {
    let directory = Directory::build(30, 83)?;
    directory.publish_filters()?;
    directory.publish()?;
    let provider = directory.serve().await?;
    let rogue = Rogue::before(&provider).await?;
    let config = rogue.config(&provider)?;
    let honest = provider.snapshot();
    let (hint, database) = (honest.hint().to_vec(), honest.database().to_vec());
    let filter = honest.shared_filter().context("a filter")?.to_vec();
    audit(&config).await?;
    let refused = async |config: &ClientConfig| match found(config).await {
        AuditError::Client(refusal) => refusal,
        other => panic!("{other:?}"),
    };
    let give_filter = |bytes: &[u8]| {
        give_snapshot(&rogue, &provider, &hint, &database, |manifest| {
            manifest.filter = Some(artifact(bytes));
            manifest.sequence = 1;
            manifest.previous = None;
        })?;
        rogue.give(wire::filter_path(&honest.id()), bytes);
        anyhow::Ok(())
    };
    give_filter(&filter)?;
    audit(&config).await?;

    // Another one than is stated, one that is none, and one of fewer records.
    let mut altered = filter.clone();
    let last = altered.len() - 1;
    altered[last] ^= 1;
    rogue.give(wire::filter_path(&honest.id()), altered.clone());
    let error = refused(&config).await;
    assert!(matches!(error, ClientError::FilterDigest), "{error:?}");
    give_filter(&filter[..last])?;
    let error = refused(&config).await;
    assert!(matches!(error, ClientError::Filter(_)), "{error:?}");
    give_filter(&MembershipFilter::new([])?.encode())?;
    let error = refused(&config).await;
    assert!(
        matches!(error, ClientError::FilterContradiction),
        "{error:?}"
    );
    rogue.repent();
    audit(&config).await?;
    drop(honest);
    provider.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_false_log_is_found_for_its_own_reason() -> Result<()> {
    let provider = Directory::build(30, 82)?.serve().await?;
    let rogue = Rogue::before(&provider).await?;
    let mut config = rogue.config(&provider)?;
    let mut log: Vec<SignedManifest> = vec![provider.snapshot().signed_manifest().clone()];
    for _ in 0..2 {
        provider.publish()?;
        log.push(provider.snapshot().signed_manifest().clone());
    }
    let bytes: Vec<&[u8]> = log.iter().map(SignedManifest::as_bytes).collect();
    let refused = async |config: &ClientConfig| match found(config).await {
        AuditError::Client(ClientError::Log(refusal)) => refusal,
        other => panic!("{other:?}"),
    };
    audit(&config).await?;

    // An entry is left out, and another put at the end for it.
    rogue.give_log(&provider, &[bytes[0], bytes[2], bytes[2]])?;
    let error = refused(&config).await;
    assert_eq!(error, LogRefusal::Entry { sequence: 2 });
    rogue.repent();

    // It is left out, and nothing put there: of a log of three, two.
    rogue.give_log(&provider, &[bytes[0], bytes[2]])?;
    let error = audit(&config).await.expect_err("passed");
    // Or the log comes from a server that is behind the others.
    assert!(!error.is_evidence(), "{error:?}");
    let refusal = LogRefusal::NotInLog {
        sequence: 3,
        size: 2,
    };
    let not_there =
        matches!(error, AuditError::Client(ClientError::Log(found)) if found == refusal);
    assert!(not_there, "{error:?}");
    rogue.give(wire::MANIFEST_PATH, bytes[0]);
    let error = refused(&config).await;
    assert_eq!(error, LogRefusal::Entry { sequence: 2 });
    rogue.repent();

    // All in order, and nothing new for longer than the last one is valid.
    let now = UnixTime::now();
    let stale = resigned(&provider, log[0].unverified(), |manifest| {
        manifest.published_at = now.saturating_sub(7200);
        manifest.expires_at = now.saturating_sub(1);
    })?;
    rogue.give(wire::MANIFEST_PATH, stale.as_bytes());
    rogue.give_log(&provider, &[stale.as_bytes()])?;
    let error = audit(&config).await.expect_err("passed");
    // Or this clock is wrong: nothing that a provider could be accused of.
    assert!(!error.is_evidence(), "{error:?}");
    let expired = matches!(
        error,
        AuditError::Client(ClientError::Manifest(ManifestError::Expired { .. }))
    );
    assert!(expired, "{error:?}");
    rogue.repent();

    // One is another than the next one names.
    let forked = twin(&provider, log[1].unverified())?;
    rogue.give_log(&provider, &[bytes[0], forked.as_bytes(), bytes[2]])?;
    let error = refused(&config).await;
    assert!(
        matches!(error, LogRefusal::Chain { sequence: 3, .. }),
        "{error:?}"
    );
    rogue.repent();

    // The entries are not those that were signed.
    let honest = Rogue::before(&provider).await?;
    rogue.give_log(&provider, &[bytes[0], forked.as_bytes(), bytes[2]])?;
    let part = protocol::log::Part::bundle(0, 3);
    rogue.give(
        wire::log_tile_path(&part),
        protocol::log::bundle::encode(&bytes)?,
    );
    let error = refused(&config).await;
    assert_eq!(error, LogRefusal::Root { size: 3 });

    // Who looks from elsewhere sees another log; of what is the beginning of the
    // same one, or goes on from it, there is nothing to say.
    let auditor = Audit::new(honest.config(&provider)?)?;
    let chain = auditor.chain(&|_| ()).await?;
    let error = auditor.compare(&chain, &config).await.expect_err("passed");
    assert!(
        matches!(
            error,
            AuditError::SplitView {
                here: 3,
                there: 3,
                ..
            }
        ),
        "{error:?}"
    );
    rogue.give_log(&provider, &bytes[..2])?;
    assert_eq!(auditor.compare(&chain, &config).await?.size, 2);
    rogue.give_log(&provider, &[bytes[0], forked.as_bytes()])?;
    assert!(auditor.compare(&chain, &config).await.is_err());
    rogue.repent();
    provider.publish()?;
    assert_eq!(auditor.compare(&chain, &config).await?.size, 4);

    // It was longer when it was seen before, and still is not when it is seen again.
    config.server_lag = BRIEF;
    let cache = Arc::new(Cache::in_memory(&config.dp_key)?);
    config = config.with_cache(cache);
    Client::connect(config.clone()).await?;
    audit(&config).await?;
    rogue.give(wire::MANIFEST_PATH, bytes[2]);
    rogue.give_log(&provider, &bytes)?;
    let error = found(&config).await;
    let rollback = matches!(
        error,
        AuditError::Client(ClientError::Manifest(ManifestError::Rollback {
            known: 4,
            found: 3
        }))
    );
    assert!(rollback, "{error:?}");
    provider.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_snapshot_that_is_audited_is_the_last_one_of_the_log() -> Result<()> {
    let provider = Directory::build(30, 83)?.serve().await?;
    let rogue = Rogue::before(&provider).await?;
    let audit = Audit::new(rogue.config(&provider)?)?;
    let first = provider.snapshot().signed_manifest().clone();
    let chain = audit.chain(&|_| ()).await?;

    // One for the auditor alone, in a snapshot that is in order: it is in no log,
    // whether the log was read whole before or not.
    let snapshot = provider.snapshot();
    let secret = twin(&provider, first.unverified())?;
    rogue.give(wire::MANIFEST_PATH, secret.as_bytes());
    rogue.give(
        wire::hint_path(&secret.unverified().snapshot),
        snapshot.hint(),
    );
    for chain in [None, Some(&chain)] {
        let error = audit.snapshot(chain, &|_| ()).await.expect_err("passed");
        assert!(error.is_evidence(), "{error:?}");
    }
    // With a log of its own it is not the one that was read before.
    rogue.give_log(&provider, &[secret.as_bytes()])?;
    assert!(audit.snapshot(None, &|_| ()).await.is_ok());
    let error = audit.snapshot(Some(&chain), &|_| ()).await;
    assert!(error.expect_err("passed").is_evidence());
    rogue.repent();

    // An earlier one, which hasn't expired, while others are given the newest.
    provider.publish()?;
    rogue.give(wire::MANIFEST_PATH, first.as_bytes());
    rogue.give(wire::hint_path(&snapshot.id()), snapshot.hint());
    let error = audit.snapshot(None, &|_| ()).await.expect_err("passed");
    let lags = matches!(error, AuditError::NotNewest { served: 1, size: 2 });
    assert!(lags && !error.is_evidence(), "{error:?}");
    rogue.repent();
    assert_eq!(audit.snapshot(Some(&chain), &|_| ()).await?.sequence, 2);
    drop(snapshot);
    provider.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_behind_the_others_is_looked_at_again() -> Result<()> {
    let provider = Directory::build(30, 86)?.serve().await?;
    let rogue = Rogue::before(&provider).await?;
    let first = provider.snapshot().signed_manifest().clone();
    provider.publish()?;
    let mut config = rogue.config(&provider)?;
    config.server_lag = BRIEF;
    let chain = Audit::new(config.clone())?.chain(&|_| ()).await?;

    // By a manifest.
    config.last_manifest = Some(chain.pin());
    let audit = Audit::new(config.clone())?;
    rogue.give_once(wire::MANIFEST_PATH, first.as_bytes());
    assert_eq!(audit.chain(&|_| ()).await?.served, 2);
    rogue.give_once(wire::MANIFEST_PATH, first.as_bytes());
    assert_eq!(audit.snapshot(None, &|_| ()).await?.sequence, 2);

    // By the end of its log.
    config.last_manifest = Some(ManifestPin {
        log: Some(chain.head),
        ..first.pin()
    });
    let audit = Audit::new(config)?;
    let end = TreeHead {
        size: 1,
        root: LogHash::of_leaf(first.as_bytes()),
    };
    let key = provider.directory.data().provider_key()?;
    let checkpoint = SignedCheckpoint::sign(end, &key)?.encode();
    let fall_behind = || {
        rogue.give_once(wire::MANIFEST_PATH, first.as_bytes());
        rogue.give_once(wire::LOG_CHECKPOINT_PATH, checkpoint.clone());
    };
    fall_behind();
    assert_eq!(audit.snapshot(None, &|_| ()).await?.sequence, 2);
    // For longer than servers may be.
    fall_behind();
    fall_behind();
    let error = audit.snapshot(None, &|_| ()).await.expect_err("passed");
    assert!(error.is_evidence(), "{error:?}");
    let rollback = LogRefusal::Rollback { known: 2, found: 1 };
    let gone_back =
        matches!(error, AuditError::Client(ClientError::Log(found)) if found == rollback);
    assert!(gone_back, "{error:?}");
    provider.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_remembers_what_it_has_seen() -> Result<()> {
    let provider = Directory::build(30, 84)?.serve().await?;
    let rogue = Rogue::before(&provider).await?;
    let config = rogue.config(&provider)?;
    let first = provider.snapshot().signed_manifest().clone();
    let cache = Arc::new(Cache::in_memory(&config.dp_key)?);
    let audit = Audit::new(config.clone().with_cache(Arc::clone(&cache)))?;
    let pin = audit.chain(&|_| ()).await?.pin();
    assert_eq!(cache.manifest_pin()?, Some(pin));

    // Another first manifest, which nothing but its digest tells apart, in a log
    // that has gone on.
    provider.publish()?;
    let other = twin(&provider, first.unverified())?;
    let second = resigned(&provider, provider.snapshot().manifest(), |manifest| {
        manifest.previous = Some(other.digest());
    })?;
    let third = resigned(&provider, second.unverified(), |manifest| {
        manifest.sequence = 3;
        manifest.previous = Some(second.digest());
    })?;
    rogue.give(wire::MANIFEST_PATH, third.as_bytes());
    let log = [other.as_bytes(), second.as_bytes(), third.as_bytes()];
    rogue.give_log(&provider, &log)?;
    let error = audit.chain(&|_| ()).await.expect_err("passed");
    assert!(error.is_evidence(), "{error:?}");
    // Also by who remembers no end of the log.
    let mut config = config;
    config.last_manifest = Some(first.pin());
    let error = Audit::new(config)?
        .chain(&|_| ())
        .await
        .expect_err("passed");
    let other = matches!(
        error,
        AuditError::Client(ClientError::Log(LogRefusal::NotIncluded { sequence: 1 }))
    );
    assert!(other, "{error:?}");
    provider.stop().await
}
