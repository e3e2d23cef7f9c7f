//! A data directory, and recipients who submit to whoever serves it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use client::{ApiKey, Client, ClientConfig};
use protocol::bundle::evaluate;
use protocol::time::UnixTime;
use protocol::trust::TrustList;
use protocol::wire::{MAPPINGS_PATH, Receipt, media};
use server::data_dir::{DataDir, InitOptions};
use server::sample::{Sample, SampleRecord};
use server::senders::SenderName;
use server::snapshot::build::published_manifest;
use tempfile::TempDir;

/// Much longer than anything that is waited for takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Recipients there are.
const RECIPIENTS: usize = 60;

pub(crate) struct Bench {
    pub(crate) data: DataDir,
    /// Those who have a mapping; the first `submitted` of them have submitted it.
    records: Vec<SampleRecord>,
    submitted: usize,
    trust: TrustList,
    api_key: String,
    _root: TempDir,
}

impl Bench {
    /// Nothing is held yet.
    pub(crate) fn new(config: &str) -> Result<Self> {
        let root = TempDir::new()?;
        let mut sample = Sample::new(97, UnixTime::now())?;
        let mut records = sample.next_batch(2 * RECIPIENTS)?;
        records.retain(|record| !record.mappings.is_empty());
        let trust = sample.trust().clone();
        let options = InitOptions {
            trust: Some(trust.to_toml()),
            listen: None,
        };
        let data = DataDir::init(&root.path().join("data"), &options)?;
        let config = format!("listen = \"127.0.0.1:0\"\n{config}");
        std::fs::write(data.root().join("config.toml"), config)?;
        let mut senders = data.senders()?;
        let name = SenderName::new("builds")?;
        let key = senders.add(name, UnixTime::now(), &mut rand::rng())?;
        senders.write(&data.senders_path())?;
        Ok(Self {
            data,
            records,
            submitted: 0,
            trust,
            api_key: key.as_str().to_owned(),
            _root: root,
        })
    }

    fn certificate(&self) -> Result<Vec<u8>> {
        Ok(std::fs::read(self.data.root().join("tls/cert.pem"))?)
    }

    /// How a client connects to a server.
    pub(crate) fn client_config(&self, server: SocketAddr) -> Result<ClientConfig> {
        let config = ClientConfig::new(
            format!("https://localhost:{}", server.port()),
            self.data.provider_public_key()?,
            self.trust.clone(),
        );
        Ok(config
            .with_api_key(ApiKey::new(&self.api_key)?)
            .with_tls_roots(self.certificate()?))
    }

    /// The next recipient submits; gives the length of the audit log.
    pub(crate) async fn submit(&mut self, server: SocketAddr) -> Result<u64> {
        let http = reqwest::Client::builder()
            .tls_certs_only([reqwest::Certificate::from_pem(&self.certificate()?)?])
            .build()?;
        let record = self.records.get(self.submitted).context("no recipient")?;
        let url = format!("https://localhost:{}{MAPPINGS_PATH}", server.port());
        let request = http
            .put(url)
            .header("content-type", media::CBOR)
            .body(record.bundle()?.encode().to_vec());
        let response = request.send().await?.error_for_status()?;
        let receipt: Receipt = serde_json::from_slice(&response.bytes().await?)?;
        ensure!(receipt.changed);
        self.submitted += 1;
        Ok(receipt.audit_entries)
    }

    /// The published sequence; 0 if there is none.
    pub(crate) fn sequence(&self) -> Result<u64> {
        let key = self.data.provider_public_key()?;
        let manifest = published_manifest(&self.data.snapshots(), &key)?;
        Ok(manifest.map_or(0, |manifest| manifest.unverified().sequence))
    }

    /// Waits until a server serves this sequence or a later one; gives a client.
    pub(crate) async fn until_served(&self, server: SocketAddr, sequence: u64) -> Result<Client> {
        let config = self.client_config(server)?;
        let begun = Instant::now();
        loop {
            if let Ok(client) = Client::connect(config.clone()).await
                && client.snapshot().manifest().sequence >= sequence
            {
                return Ok(client);
            }
            ensure!(begun.elapsed() < PATIENCE, "{sequence} is not served");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The first and the last who have submitted are found, and nobody else.
    pub(crate) async fn check(&self, client: &Client) -> Result<()> {
        let now = UnixTime::now();
        for at in [0, self.submitted - 1, self.submitted] {
            let record = &self.records[at];
            let bundle = (at < self.submitted).then(|| record.bundle()).transpose()?;
            let expected = evaluate(bundle.as_ref(), &record.csi, &self.trust, now);
            let found = client.lookup(&record.csi).await?;
            ensure!(found == expected, "recipient {at}: {found:?}");
        }
        Ok(())
    }
}

/// Waits until it is so.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let begun = Instant::now();
    while !holds()? {
        ensure!(begun.elapsed() < PATIENCE, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
