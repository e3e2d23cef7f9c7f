//! Lookups through the real server over TLS, each compared with what the
//! directory holds.

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};
use client::Client;
use protocol::csi::Csi;
use protocol::lookup::Lookup;
use tests::Directory;

const RECORDS: usize = 4000;
const ABSENT: usize = 4000;
const LOOKUPS: usize = 10_000;

/// Ten thousand lookups: every record, as many absent identifiers, and the
/// records of the first, the last and the fullest bucket again and again.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_lookups_are_right() -> Result<()> {
    let mut directory = Directory::build(RECORDS, 11)?;
    let absent = directory.absent(ABSENT)?;
    let provider = directory.serve().await?;
    let directory = &provider.directory;

    let mut buckets: HashMap<u32, Vec<usize>> = HashMap::new();
    for (index, record) in directory.records.iter().enumerate() {
        buckets
            .entry(provider.bucket_of(&record.csi)?.as_u32())
            .or_default()
            .push(index);
    }
    let columns = provider.snapshot().manifest().pir.columns;
    let fullest = buckets
        .iter()
        .max_by_key(|(_, records)| records.len())
        .context("records")?
        .0;
    let corners = [0, columns - 1, *fullest];
    let in_corners: Vec<usize> = corners
        .iter()
        .filter_map(|bucket| buckets.get(bucket))
        .flatten()
        .copied()
        .collect();
    ensure!(!in_corners.is_empty());
    // An absent identifier for each corner, so that empty buckets are read too.
    let absent_in_corners = absent.iter().filter(|csi| {
        provider
            .bucket_of(csi)
            .is_ok_and(|bucket| corners.contains(&bucket.as_u32()))
    });

    let mut wanted: Vec<(Csi, Lookup)> = Vec::with_capacity(LOOKUPS);
    for record in &directory.records {
        wanted.push((record.csi.clone(), directory.expected(record)?));
    }
    for csi in absent.iter().chain(absent_in_corners) {
        wanted.push((csi.clone(), Lookup::NoMapping));
    }
    for &index in in_corners
        .iter()
        .cycle()
        .take(LOOKUPS.saturating_sub(wanted.len()))
    {
        wanted.push(wanted[index].clone());
    }
    assert!(wanted.len() >= LOOKUPS);
    let kinds = |wanted: fn(&Lookup) -> bool, all: &[(Csi, Lookup)]| {
        all.iter().filter(|(_, lookup)| wanted(lookup)).count()
    };
    for (kind, count) in [
        (
            "opted out",
            kinds(|l| matches!(l, Lookup::OptedOut), &wanted),
        ),
        (
            "one",
            kinds(
                |l| matches!(l, Lookup::Mappings(m) if m.len() == 1),
                &wanted,
            ),
        ),
        (
            "several",
            kinds(|l| matches!(l, Lookup::Mappings(m) if m.len() > 1), &wanted),
        ),
        ("none", kinds(|l| matches!(l, Lookup::NoMapping), &wanted)),
    ] {
        assert!(count > 50, "{kind}: {count}");
    }

    let client = Client::connect(provider.client_config(provider.address)?).await?;
    let csis: Vec<Csi> = wanted.iter().map(|(csi, _)| csi.clone()).collect();
    let found = client.lookup_many(&csis).await;
    assert_eq!(found.len(), wanted.len());
    for (index, (found, (_, expected))) in found.into_iter().zip(&wanted).enumerate() {
        let found = found.with_context(|| format!("lookup {index}"))?;
        assert!(
            found == *expected,
            "lookup {index}: {found:?} instead of {expected:?}"
        );
    }
    provider.stop().await
}

/// One at a time, each over its own connection.
#[tokio::test(flavor = "multi_thread")]
async fn single_lookups_are_right() -> Result<()> {
    let mut directory = Directory::build(60, 12)?;
    let absent = directory.absent(3)?;
    let provider = directory.serve().await?;
    for record in provider.directory.records.iter().take(10) {
        let client = Client::connect(provider.client_config(provider.address)?).await?;
        assert_eq!(
            client.lookup(&record.csi).await?,
            provider.directory.expected(record)?
        );
    }
    for csi in &absent {
        let client = Client::connect(provider.client_config(provider.address)?).await?;
        assert_eq!(client.lookup(csi).await?, Lookup::NoMapping);
    }
    provider.stop().await
}
