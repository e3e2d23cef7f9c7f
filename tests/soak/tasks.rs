//! Recipients who write and senders who look up, whatever becomes of the server.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use client::{ApiKey, Client, ClientConfig, ClientError};
use protocol::bundle::Bundle;
use protocol::lookup::Lookup;
use protocol::mapping::MappingId;
use protocol::problem::{Problem, ProblemType};
use protocol::removal::RemovalTarget;
use protocol::trust::TrustList;
use protocol::wire::{MAPPINGS_PATH, Receipt, media};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use reqwest::{Method, StatusCode};
use server::data_dir::DataDir;

use super::history::{Answer, History, Sent};
use super::model::{Models, State};

/// Mapping ids of one recipient.
const IDS: u8 = 3;

/// Of the time between two statements of one recipient.
const WRITE_AFTER_MS: std::ops::RangeInclusive<u64> = 50..=600;

/// How long somebody tries: much longer than a start and a build take.
const PATIENCE: Duration = Duration::from_secs(60);

const RETRY_AFTER: Duration = Duration::from_millis(100);

/// What all tasks share.
pub(crate) struct Soak {
    pub(crate) history: Arc<History>,
    pub(crate) stop: AtomicBool,
    models: Models,
    http: reqwest::Client,
    url: String,
    config: ClientConfig,
    lookups: AtomicU64,
    snapshots: Mutex<HashSet<String>>,
}

impl Soak {
    pub(crate) fn new(
        data: &DataDir,
        port: u16,
        key: &str,
        history: Arc<History>,
        models: Models,
    ) -> Result<Self> {
        let certificate = std::fs::read(data.root().join("tls/cert.pem"))?;
        let http = reqwest::Client::builder()
            .tls_certs_only([reqwest::Certificate::from_pem(&certificate)?])
            .https_only(true)
            .timeout(Duration::from_secs(30))
            .build()?;
        let base = format!("https://localhost:{port}");
        let trust = TrustList::from_toml(&history.trust())?;
        let config = ClientConfig::new(base.clone(), data.provider_public_key()?, trust)
            .with_api_key(ApiKey::new(key)?)
            .with_tls_roots(certificate);
        Ok(Self {
            history,
            stop: AtomicBool::new(false),
            models,
            http,
            url: format!("{base}{MAPPINGS_PATH}"),
            config,
            lookups: AtomicU64::new(0),
            snapshots: Mutex::default(),
        })
    }

    /// Number of lookups, and of snapshots that answered them.
    pub(crate) fn looked_up(&self) -> (u64, usize) {
        let snapshots = self
            .snapshots
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        (self.lookups.load(Ordering::Relaxed), snapshots.len())
    }

    fn stops(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Looks somebody up and compares; gives the entries of the snapshot.
    async fn check(&self, client: &Client, person: usize) -> Result<u64> {
        let csi = &self.history.people[person].csi;
        let found = self.patiently(|| client.lookup(csi)).await?;
        let snapshot = client.snapshot();
        let (manifest, found) = (snapshot.manifest(), state(found)?);
        ensure!(
            self.models.allows(person, manifest.audit.entries, &found),
            "person {person}: wrong in snapshot {} with {} entries: {found:?}",
            manifest.sequence,
            manifest.audit.entries
        );
        self.lookups.fetch_add(1, Ordering::Relaxed);
        let mut snapshots = self
            .snapshots
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        snapshots.insert(manifest.snapshot.to_string());
        Ok(manifest.audit.entries)
    }

    /// Tries again while the server is away, and at no other error.
    async fn patiently<T, F>(&self, attempt: impl Fn() -> F) -> Result<T>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        let begun = Instant::now();
        loop {
            let error = match attempt().await {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            let away = match &error {
                ClientError::Transport { .. } | ClientError::SnapshotGone { .. } => true,
                ClientError::Problem { problem, .. } => matches!(
                    problem.kind,
                    ProblemType::NotReady | ProblemType::Overloaded | ProblemType::TooManyRequests
                ),
                _ => false,
            };
            if !away || begun.elapsed() > PATIENCE {
                return Err(error).context("a lookup failed");
            }
            tokio::time::sleep(RETRY_AFTER).await;
        }
    }

    async fn connect(&self) -> Result<Client> {
        self.patiently(|| Client::connect(self.config.clone()))
            .await
    }
}

/// One recipient: states something, again until there is an answer, then the next.
pub(crate) async fn write(soak: Arc<Soak>, person: usize, seed: u64) -> Result<()> {
    let written = write_until_stop(&soak, person, seed).await;
    // So that a failure ends the others too.
    if written.is_err() {
        soak.stop.store(true, Ordering::Relaxed);
    }
    written
}

async fn write_until_stop(soak: &Soak, person: usize, seed: u64) -> Result<()> {
    let rng = &mut StdRng::seed_from_u64(seed ^ (person as u64) << 8);
    while !soak.stops() {
        let mut state = soak.models.state(person);
        let (sent, method, body) = next(soak, person, &mut state, rng)?;
        soak.models.begin(person, state);
        let receipt = deliver(soak, &sent, &method, &body).await?;
        soak.models.settle(person, receipt.audit_entries);
        // One that was sent twice changed nothing the second time.
        if receipt.changed {
            soak.history.answered(&sent, Answer::Accepted(receipt));
        }
        tokio::time::sleep(Duration::from_millis(rng.random_range(WRITE_AFTER_MS))).await;
    }
    Ok(())
}

/// A publication or a removal, and what it makes of the state.
fn next(
    soak: &Soak,
    person: usize,
    state: &mut State,
    rng: &mut StdRng,
) -> Result<(Sent, Method, Vec<u8>)> {
    let id = rng.random_range(0..IDS);
    let (method, (sent, body)) = match rng.random_range(0..8) {
        0 => {
            state.clear();
            (
                Method::DELETE,
                soak.history.remove(person, RemovalTarget::All)?,
            )
        }
        1 | 2 => {
            state.remove(&[id; 16]);
            let one = RemovalTarget::Mapping(MappingId([id; 16]));
            (Method::DELETE, soak.history.remove(person, one)?)
        }
        _ => {
            let (sent, body) = soak.history.publish(person, &[id])?;
            let bundle = Bundle::decode(&body)?;
            for mapping in bundle.mappings() {
                let mapping = mapping.unverified().clone();
                state.insert(mapping.id.0, mapping);
            }
            (Method::PUT, (sent, body))
        }
    };
    Ok((sent, method, body))
}

/// Sends it until there is a receipt.
async fn deliver(soak: &Soak, sent: &Sent, method: &Method, body: &[u8]) -> Result<Receipt> {
    let begun = Instant::now();
    loop {
        let request = soak
            .http
            .request(method.clone(), &soak.url)
            .header("content-type", media::CBOR)
            .body(body.to_vec());
        if let Ok(response) = request.send().await {
            let status = response.status();
            if let Ok(body) = response.bytes().await {
                match status {
                    StatusCode::OK => return Ok(serde_json::from_slice(&body)?),
                    StatusCode::SERVICE_UNAVAILABLE => {}
                    _ => {
                        let problem = Problem::from_json(&body)?;
                        if problem.kind == ProblemType::Superseded {
                            soak.history.answered(sent, Answer::Superseded);
                        }
                        bail!("refused: {problem}");
                    }
                }
            }
        }
        ensure!(begun.elapsed() < PATIENCE, "no receipt after {PATIENCE:?}");
        tokio::time::sleep(RETRY_AFTER).await;
    }
}

/// One sender: looks up whomever, all the time.
pub(crate) async fn look_up(soak: Arc<Soak>, looker: usize, seed: u64) -> Result<()> {
    let looked = look_up_until_stop(&soak, looker, seed).await;
    if looked.is_err() {
        soak.stop.store(true, Ordering::Relaxed);
    }
    looked
}

async fn look_up_until_stop(soak: &Soak, looker: usize, seed: u64) -> Result<()> {
    let rng = &mut StdRng::seed_from_u64(seed ^ (looker as u64) << 32);
    let client = soak.connect().await?;
    let (mut entries, people) = (0, soak.history.people.len());
    while !soak.stops() {
        let of_snapshot = soak.check(&client, rng.random_range(0..people)).await?;
        ensure!(of_snapshot >= entries, "an older snapshot came back");
        entries = of_snapshot;
    }
    Ok(())
}

/// Looks everybody up in a snapshot that has all that was settled.
pub(crate) async fn look_up_all(soak: &Soak) -> Result<()> {
    let (needed, begun) = (soak.models.settled(), Instant::now());
    // A client of an older snapshot learns of a newer one when it is refused.
    let client = loop {
        let client = soak.connect().await?;
        if client.snapshot().manifest().audit.entries >= needed {
            break client;
        }
        ensure!(
            begun.elapsed() < PATIENCE,
            "no snapshot with {needed} entries"
        );
        tokio::time::sleep(RETRY_AFTER).await;
    };
    for person in 0..soak.history.people.len() {
        soak.check(&client, person).await?;
    }
    Ok(())
}

/// What a lookup found.
fn state(found: Lookup) -> Result<State> {
    match found {
        Lookup::NoMapping => Ok(State::new()),
        Lookup::Mappings(mappings) => Ok(mappings
            .into_iter()
            .map(|mapping| (mapping.id.0, mapping))
            .collect()),
        other => bail!("found {other:?}"),
    }
}
