//! Clocks that step, at the client and at the provider. What a client whose clock
//! is wrong sees is a manifest of other times: here they are shifted, not its clock.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use client::{Cache, Client, ClientError};
use protocol::manifest::{Manifest, ManifestError, SignedManifest};
use protocol::time::UnixTime;
use protocol::wire;
use tests::{Directory, Provider};

use crate::forgery::{refusal, resigned};
use crate::rogue::Rogue;

/// The manifest after one, of the same snapshot.
fn next(
    provider: &Provider,
    before: &SignedManifest,
    change: impl FnOnce(&mut Manifest),
) -> Result<SignedManifest> {
    resigned(provider, before.unverified(), |manifest| {
        manifest.sequence += 1;
        manifest.previous = Some(before.digest());
        change(manifest);
    })
}

/// Gives out a log, and its last manifest as the newest.
fn give(rogue: &Rogue, provider: &Provider, log: &[&SignedManifest]) -> Result<()> {
    let bytes: Vec<&[u8]> = log.iter().map(|manifest| manifest.as_bytes()).collect();
    rogue.give(wire::MANIFEST_PATH, *bytes.last().context("a manifest")?);
    rogue.give_log(provider, &bytes)
}

fn manifest_error(error: ClientError) -> ManifestError {
    match error {
        ClientError::Manifest(error) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_steps_makes_nothing_older_good_and_nothing_forgotten() -> Result<()> {
    let provider = Directory::build(30, 74)?.serve().await?;
    let first = provider.snapshot().signed_manifest().clone();
    provider.publish()?;
    let second = provider.snapshot().signed_manifest().clone();
    let rogue = Rogue::before(&provider).await?;
    let cache = Arc::new(Cache::in_memory(
        &provider.directory.data().provider_public_key()?,
    )?);
    let config = rogue.config(&provider)?.with_cache(Arc::clone(&cache));
    let known = Client::connect(config.clone()).await?.manifest_pin();
    assert_eq!(cache.manifest_pin()?, Some(known));
    let now = UnixTime::now();

    // The client's clock is an hour behind: everything new is of the future. It is
    // ahead by more than the lifetime: everything is over.
    let future = next(&provider, &second, |manifest| {
        manifest.published_at = now.saturating_add(3600);
        manifest.expires_at = now.saturating_add(7200);
    })?;
    give(&rogue, &provider, &[&first, &second, &future])?;
    let error = manifest_error(refusal(config.clone()).await);
    assert!(
        matches!(error, ManifestError::NotYetValid { .. }),
        "{error:?}"
    );
    let past = next(&provider, &second, |manifest| {
        manifest.published_at = now.saturating_sub(7200);
        manifest.expires_at = now.saturating_sub(1);
    })?;
    give(&rogue, &provider, &[&first, &second, &past])?;
    let error = manifest_error(refusal(config.clone()).await);
    assert!(matches!(error, ManifestError::Expired { .. }), "{error:?}");
    // Neither has taken the place of what was remembered; once the clock is right
    // all goes on.
    assert_eq!(cache.manifest_pin()?, Some(known));
    rogue.repent();
    assert_eq!(Client::connect(config.clone()).await?.manifest_pin(), known);

    // What is older stays so, whatever it says of its time.
    let dressed = resigned(&provider, first.unverified(), |manifest| {
        manifest.published_at = now;
        manifest.expires_at = now.saturating_add(3600);
    })?;
    give(&rogue, &provider, &[&dressed])?;
    let error = manifest_error(refusal(config.clone()).await);
    assert_eq!(error, ManifestError::Rollback { known: 2, found: 1 });
    // And what is newer is, of a provider whose clock had been ahead.
    let earlier = next(&provider, &second, |manifest| {
        manifest.published_at = second.unverified().published_at.saturating_sub(600);
    })?;
    give(&rogue, &provider, &[&first, &second, &earlier])?;
    assert_eq!(Client::connect(config).await?.manifest_pin().sequence, 3);
    provider.stop().await
}

/// The snapshot in use ends; the provider has no other at first.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_runs_asks_nothing_of_a_snapshot_that_is_over() -> Result<()> {
    const LIFETIME_SECS: u64 = 10;
    let provider = Directory::build(30, 75)?.serve().await?;
    let rogue = Rogue::before(&provider).await?;
    let first = provider.snapshot().signed_manifest().clone();
    let brief = next(&provider, &first, |manifest| {
        manifest.published_at = UnixTime::now();
        manifest.expires_at = UnixTime::now().saturating_add(LIFETIME_SECS);
    })?;
    give(&rogue, &provider, &[&first, &brief])?;
    let client = Client::connect(rogue.config(&provider)?).await?;
    let record = &provider.directory.records[0];
    let expected = provider.directory.expected(record)?;
    assert_eq!(client.lookup(&record.csi).await?, expected);

    tokio::time::sleep(Duration::from_secs(LIFETIME_SECS + 1)).await;
    rogue.take_seen();
    let error = client.lookup(&record.csi).await.expect_err("it is over");
    let error = manifest_error(error);
    assert!(matches!(error, ManifestError::Expired { .. }), "{error:?}");
    let seen = rogue.take_seen();
    assert!(
        seen.iter()
            .all(|(route, ..)| route.ends_with(wire::MANIFEST_PATH)),
        "{seen:?}"
    );

    let renewed = next(&provider, &brief, |manifest| {
        manifest.expires_at = UnixTime::now().saturating_add(3600);
    })?;
    give(&rogue, &provider, &[&first, &brief, &renewed])?;
    assert_eq!(client.lookup(&record.csi).await?, expected);
    assert_eq!(client.manifest_pin().sequence, 3);
    provider.stop().await
}
