//! A removal that was accepted is gone from everything that is served within two
//! intervals: from the newest snapshot and from the one before.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use client::{ApiKey, Client, ClientConfig};
use protocol::lookup::Lookup;
use protocol::removal::RemovalTarget;
use protocol::time::UnixTime;
use protocol::trust::TrustList;
use protocol::wire::{MAPPINGS_PATH, Receipt, media};
use reqwest::Method;
use server::data_dir::{DataDir, InitOptions};
use server::senders::SenderName;
use server::store::Store as _;
use tests::{Metrics, Running};

use crate::history::{Answer, History};

const INTERVAL: Duration = Duration::from_secs(6);

/// When the removal was accepted that has waited longest.
const WAITING_SINCE: &str = "sotto_removal_waiting_since_timestamp_seconds";

/// Much longer than the bound.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_has_left_every_served_snapshot_within_two_intervals() -> Result<()> {
    let root = tempfile::tempdir()?;
    let history = History::new()?;
    let options = InitOptions {
        trust: Some(history.trust()),
        listen: None,
    };
    let data = DataDir::init(&root.path().join("data"), &options)?;
    let config = format!(
        "listen = \"127.0.0.1:0\"\n[snapshot]\ninterval_secs = {}\n\
         [metrics]\nlisten = \"127.0.0.1:0\"\n",
        INTERVAL.as_secs()
    );
    std::fs::write(data.root().join("config.toml"), config)?;
    let mut senders = data.senders()?;
    let key = senders.add(
        SenderName::new("sender")?,
        UnixTime::now(),
        &mut rand::rng(),
    )?;
    senders.write(&data.senders_path())?;
    let running = Running::start(&data)?;
    let base = format!("https://localhost:{}", running.address.port());
    let certificate = std::fs::read(data.root().join("tls/cert.pem"))?;
    let http = reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(&certificate)?])
        .build()?;
    let submit = async |method: Method, body: Vec<u8>| -> Result<Receipt> {
        let request = http
            .request(method, format!("{base}{MAPPINGS_PATH}"))
            .header("content-type", media::CBOR)
            .body(body);
        let response = request.send().await?.error_for_status()?;
        Ok(serde_json::from_slice(&response.bytes().await?)?)
    };
    let config = ClientConfig::new(
        base.clone(),
        data.provider_public_key()?,
        TrustList::from_toml(&history.trust())?,
    )
    .with_api_key(ApiKey::new(key.as_str())?)
    .with_tls_roots(certificate);

    let csi = &history.people[0].csi;
    let (sent, body) = history.publish(0, &[1])?;
    history.answered(&sent, Answer::Accepted(submit(Method::PUT, body).await?));
    let begun = Instant::now();
    // It stays with the snapshot that it has, as long as that is served.
    let client = loop {
        if let Ok(client) = Client::connect(config.clone()).await
            && matches!(client.lookup(csi).await?, Lookup::Mappings(_))
        {
            break client;
        }
        ensure!(begun.elapsed() < PATIENCE, "the mapping is not served");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };

    let (sent, body) = history.remove(0, RemovalTarget::All)?;
    let accepted = Instant::now();
    history.answered(&sent, Answer::Accepted(submit(Method::DELETE, body).await?));
    let metrics = running.metrics()?;
    let shown = Metrics::of(metrics).await?;
    // The snapshot before is served for half of an interval.
    if accepted.elapsed() < INTERVAL / 2 && shown.value("sotto_store_up")? == 1.0 {
        ensure!(shown.value(WAITING_SINCE)? > 0.0, "{}", shown.text);
    }
    while client.lookup(csi).await? != Lookup::NoMapping {
        ensure!(accepted.elapsed() < PATIENCE, "the removal is not served");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let took = accepted.elapsed();
    let shown = loop {
        let shown = Metrics::of(metrics).await?;
        if shown.value("sotto_removal_seconds_count")? > 0.0 && shown.value(WAITING_SINCE)? == 0.0 {
            break shown;
        }
        ensure!(
            accepted.elapsed() < PATIENCE,
            "the removal is not counted, or waits: {}",
            shown.text
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let log = running.kill()?;
    history.check(&*data.store()?.view()?)?;

    ensure!(shown.value("sotto_removal_seconds_count")? == 1.0);
    let removed = "sotto_requests_total{method=\"DELETE\",route=\"/v1/mappings\",outcome=\"ok\"}";
    ensure!(shown.value(removed)? == 1.0);
    let bound = shown.value("sotto_removal_bound_seconds")?;
    ensure!(bound == 2.0 * INTERVAL.as_secs_f64());
    let in_time = shown.value(&format!("sotto_removal_seconds_bucket{{le=\"{bound:?}\"}}"))?;

    // The log says the same.
    let measured = log
        .lines()
        .filter(|line| line.contains("is not served any more"))
        .find(|line| line.contains("removals=1"))
        .and_then(|line| {
            line.split("slowest_secs=")
                .nth(1)?
                .split_whitespace()
                .next()
        });
    let measured: u64 = measured.context("the removal was not measured")?.parse()?;
    ensure!(shown.value("sotto_removal_seconds_sum")? == measured as f64);
    let Some(slowest) = builds(&log).max() else {
        bail!("no build was logged: {log}");
    };
    eprintln!("gone after {took:?}, measured {measured} s, slowest build {slowest:?}");
    // The bound is for builds that take no longer than half of an interval.
    if slowest < INTERVAL / 2 {
        ensure!(took < 2 * INTERVAL, "{took:?}");
        ensure!(measured <= 2 * INTERVAL.as_secs(), "{measured} s");
        ensure!(in_time == 1.0, "{}", shown.text);
    }
    Ok(())
}

/// How long builds took.
fn builds(log: &str) -> impl Iterator<Item = Duration> {
    log.lines().filter_map(|line| {
        let (_, rest) = line.split_once("milliseconds=")?;
        let milliseconds = rest.split_whitespace().next()?.parse().ok()?;
        Some(Duration::from_millis(milliseconds))
    })
}
