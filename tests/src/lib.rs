//! A real provider for end-to-end tests: a data directory made from a sample,
//! served over TLS on a port of the system's choice, in this process or as
//! programs of its own; and a PostgreSQL server, an S3-speaking one, and a witness.

pub mod postgres;
pub mod s3;
pub mod witness;

mod deployment;
mod openmetrics;
mod process;
mod program;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use client::{ApiKey, ClientConfig};
use protocol::csi::Csi;
use protocol::hint::SnapshotHint;
use protocol::lookup::Lookup;
use protocol::manifest::{BuildId, SnapshotId};
use protocol::placement::BucketIndex;
use protocol::time::UnixTime;
use protocol::trust::TrustList;
use server::data_dir::{DataDir, InitOptions};
use server::http::{AppState, ListenLimits};
use server::import::{self, ImportOptions};
use server::ledger::Ledger;
use server::memory::Memory;
use server::progress::Progress;
use server::quotas::Quotas;
use server::rebuild::Rebuilder;
use server::sample::{self, Sample, SampleArgs, SampleRecord};
use server::senders::SenderName;
use server::snapshot::build::{BuildOptions, Clock};
use server::snapshot::current;
use server::storage::{self, PublishError, Storage};
use server::store::{Block, Store, Update};
use server::tokens::Tokens;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub use deployment::Deployment;
pub use openmetrics::Metrics;
pub use process::{Running, signal};
pub use program::program;

/// The name by which the provider knows the tests.
pub const SENDER: &str = "end-to-end-tests";

/// A provider of a sample, before it serves.
pub struct Directory {
    root: TempDir,
    data: DataDir,
    /// Open all the time: it can be opened once.
    store: Arc<dyn Store>,
    /// Likewise.
    ledger: Arc<dyn Ledger>,
    /// How much senders may evaluate: no test uses that up unless it sets it.
    pub quotas: Quotas,
    sample: Sample,
    /// What it was given.
    pub records: Vec<SampleRecord>,
    api_key: String,
}

/// A provider that serves until it is dropped.
pub struct Provider {
    /// What it serves.
    pub directory: Directory,
    /// Where.
    pub address: SocketAddr,
    state: Arc<AppState>,
    stop: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<()>>,
}

/// Builds and publishes a snapshot of a data directory's store, also in a storage if
/// there is one.
///
/// # Errors
/// What the build or the storage says.
///
/// # Panics
/// Without keys, trust list or configuration.
pub fn build(
    data: &DataDir,
    store: &dyn Store,
    clock: Clock,
    storage: Option<&Storage>,
) -> Result<SnapshotId, PublishError> {
    build_as(data, store, clock, storage, BuildId(rand::random()))
}

/// The same under a build id: the same store gives the same content again.
///
/// # Errors
/// What the build or the storage says.
///
/// # Panics
/// Without keys, trust list or configuration.
pub fn build_as(
    data: &DataDir,
    store: &dyn Store,
    clock: Clock,
    storage: Option<&Storage>,
    build_id: BuildId,
) -> Result<SnapshotId, PublishError> {
    let now = UnixTime::now();
    let provider = data.provider_key().expect("the provider's key");
    let oprf = data.oprf_key().expect("the OPRF's key");
    let trust = data.trust().expect("the trust list");
    let config = data.config().expect("the configuration");
    let options = BuildOptions {
        provider: &provider,
        oprf: &oprf,
        trust: &trust,
        filter: config.snapshot.filter_policy(),
        token_keys: Some(Tokens::prepare(data, now, 3600).expect("keys of tokens")),
        lifetime_secs: 3600,
        now,
        clock,
        build_id,
        progress: Progress::Logged,
        memory: Memory::OfSystem,
    };
    storage::publish(storage, store, &data.snapshots(), &options).map(|built| built.snapshot)
}

impl Directory {
    /// Makes `count` sample recipients, imports them from a file and builds a
    /// snapshot, as the commands do.
    ///
    /// # Errors
    /// What one of these steps says.
    pub fn build(count: usize, seed: u64) -> Result<Self> {
        Self::build_with(count, seed, None)
    }

    /// The same, with this configuration.
    ///
    /// # Errors
    /// What one of these steps says.
    pub fn build_with(count: usize, seed: u64, config: Option<&str>) -> Result<Self> {
        let root = TempDir::new()?;
        let now = UnixTime::now();
        let file = root.path().join("sample.jsonl");
        let trust = root.path().join("trust.toml");
        sample::run(&SampleArgs {
            count,
            seed,
            out: file.clone(),
            trust: Some(trust.clone()),
            answers: None,
            answers_count: 0,
            now: Some(now),
        })?;
        let mut sample = Sample::new(seed, now)?;
        let records = sample.next_batch(count)?;
        let options = InitOptions {
            trust: Some(std::fs::read_to_string(&trust)?),
            listen: None,
        };
        let data = DataDir::init(&root.path().join("data"), &options)?;
        if let Some(config) = config {
            std::fs::write(data.root().join("config.toml"), config)?;
        }
        let mut senders = data.senders()?;
        let api_key = senders.add(SenderName::new(SENDER)?, now, &mut rand::rng())?;
        senders.write(&data.senders_path())?;
        let mut refused = Vec::new();
        let store: Arc<dyn Store> = Arc::from(data.store()?);
        let summary = import::run(
            &*store,
            &file,
            ImportOptions {
                trust: &data.trust()?,
                now,
                progress: Progress::Logged,
                report: &mut refused,
            },
        )?;
        ensure!(
            refused.is_empty(),
            "refused: {}",
            String::from_utf8_lossy(&refused)
        );
        ensure!(summary.counts.items == count as u64, "imported {summary:?}");
        let api_key = api_key.as_str().to_owned();
        let ledger = data.ledger()?;
        let directory = Self {
            root,
            data,
            store,
            ledger,
            quotas: Quotas::WIDE,
            sample,
            records,
            api_key,
        };
        directory.publish()?;
        Ok(directory)
    }

    /// Builds and publishes a snapshot of the store.
    ///
    /// # Errors
    /// What the build says.
    pub fn publish(&self) -> Result<()> {
        build(&self.data, &*self.store, Clock::Trusted, None)?;
        Ok(())
    }

    /// Has a membership filter published with each snapshot from the next one on.
    ///
    /// # Errors
    /// A configuration that can't be written.
    pub fn publish_filters(&self) -> Result<()> {
        let path = self.data.root().join("config.toml");
        let config = std::fs::read_to_string(&path)?;
        ensure!(config.contains("filter = false"));
        let config = config.replacen("filter = false", "filter = true", 1);
        Ok(std::fs::write(path, config)?)
    }

    /// Withholds the record of an identifier from the next snapshot on.
    ///
    /// # Errors
    /// What the store says.
    pub fn withhold(&self, csi: &Csi) -> Result<()> {
        let mut block = |update: &mut dyn Update| update.block(csi, Block::Set).map(drop);
        Ok(self.store.update(&mut block)?)
    }

    /// The data directory.
    #[must_use]
    pub fn data(&self) -> &DataDir {
        &self.data
    }

    /// The temporary directory, for a test's own files.
    #[must_use]
    pub fn scratch(&self) -> &std::path::Path {
        self.root.path()
    }

    /// The sample's trust list.
    #[must_use]
    pub fn trust(&self) -> &TrustList {
        self.sample.trust()
    }

    /// Valid identifiers that the provider doesn't have.
    ///
    /// # Errors
    /// What the sample says.
    pub fn absent(&mut self, count: usize) -> Result<Vec<Csi>> {
        Ok(self.sample.absent(count)?)
    }

    /// What a lookup of a record must say.
    ///
    /// # Errors
    /// [`protocol::bundle::BundleError`], which no sample has.
    pub fn expected(&self, record: &SampleRecord) -> Result<Lookup> {
        let bundle = record.bundle()?;
        let now = UnixTime::now();
        Ok(protocol::bundle::evaluate(
            Some(&bundle),
            &record.csi,
            self.trust(),
            now,
        ))
    }

    /// Closes what is open, so that programs can serve it.
    ///
    /// # Errors
    /// A sample that doesn't decode.
    pub fn hand_over(self) -> Result<Deployment> {
        let expected = self
            .records
            .iter()
            .map(|record| Ok((record.csi.clone(), self.expected(record)?)));
        let expected = expected.collect::<Result<_>>()?;
        let trust = self.trust().clone();
        Ok(Deployment {
            root: self.root,
            data: self.data,
            trust,
            api_key: self.api_key,
            expected,
        })
    }

    /// Serves the published snapshot.
    ///
    /// # Errors
    /// What loading or listening says.
    pub async fn serve(self) -> Result<Provider> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        self.serve_on(listener)
    }

    fn serve_on(self, listener: TcpListener) -> Result<Provider> {
        let mut config = self.data.config()?;
        config.quota = self.quotas;
        let (store, ledger) = (Arc::clone(&self.store), Arc::clone(&self.ledger));
        let state = AppState::open(&self.data, &config, store, ledger)?;
        let tls = self.data.tls(&config)?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let serving = server::http::serve(
            listener,
            tls,
            Arc::clone(&state),
            ListenLimits::from(&config),
            async {
                // Dropping the sender stops it too.
                let _ = stopped.await;
            },
        );
        Ok(Provider {
            directory: self,
            address,
            state,
            stop: Some(stop),
            task: Some(tokio::spawn(serving)),
        })
    }
}

impl Provider {
    /// How a client of the tests connects, through `address` (its own, or a
    /// relay's).
    ///
    /// # Errors
    /// Files of the data directory that can't be read.
    pub fn client_config(&self, address: SocketAddr) -> Result<ClientConfig> {
        let data = &self.directory.data;
        let certificate = std::fs::read(data.root().join("tls/cert.pem"))?;
        Ok(ClientConfig::new(
            format!("https://localhost:{}", address.port()),
            data.provider_public_key()?,
            self.directory.trust().clone(),
        )
        .with_api_key(ApiKey::new(&self.directory.api_key)?)
        .with_tls_roots(certificate))
    }

    /// Shows its metrics from now on; says where.
    ///
    /// # Errors
    /// No port.
    pub async fn show_metrics(&self) -> Result<SocketAddr> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (state, for_ever) = (Arc::clone(&self.state), std::future::pending());
        tokio::spawn(server::metrics::serve(
            listener,
            state,
            Duration::ZERO,
            for_ever,
        ));
        Ok(address)
    }

    /// The service without a listener, to stand before.
    pub fn app(&self) -> axum::Router {
        server::http::app(Arc::clone(&self.state))
    }

    /// What a running server builds and swaps with.
    ///
    /// # Errors
    /// The configuration.
    pub fn rebuilder(&self) -> Result<Rebuilder> {
        let data = &self.directory.data;
        let (config, state) = (data.config()?, Arc::clone(&self.state));
        Ok(Rebuilder::new(data.clone(), config, state))
    }

    /// The API key of the tests.
    #[must_use]
    pub fn api_key(&self) -> &str {
        &self.directory.api_key
    }

    /// The snapshot that is served.
    ///
    /// # Panics
    /// Never: one was built before.
    #[must_use]
    pub fn snapshot(&self) -> Arc<server::snapshot::Snapshot> {
        self.state.snapshot().expect("a published snapshot")
    }

    /// Builds another snapshot of the store and serves it.
    ///
    /// # Errors
    /// What building or loading says.
    pub fn publish(&self) -> Result<()> {
        self.directory.publish()?;
        let data = &self.directory.data;
        let published = server::http::published(data, &data.config()?)?;
        Ok(self
            .state
            .replace_snapshot(published.context("no snapshot")?)?)
    }

    /// Is another server, at the same address, for which a snapshot of the directory
    /// is the newest.
    ///
    /// # Errors
    /// What stopping, loading or listening says.
    pub async fn go_back(mut self, id: SnapshotId) -> Result<Self> {
        self.end().await?;
        current::replace(&self.directory.data.snapshots(), id)?;
        let listener = TcpListener::bind(self.address).await?;
        self.directory.serve_on(listener)
    }

    /// The bucket of an identifier.
    ///
    /// # Errors
    /// A hint or key that can't be read.
    pub fn bucket_of(&self, csi: &Csi) -> Result<BucketIndex> {
        let snapshot = self.snapshot();
        let hint = SnapshotHint::decode(snapshot.hint())?;
        let output = self.directory.data.oprf_key()?.key.evaluate(csi)?;
        Ok(hint
            .pilots
            .bucket_of(&output.locator(), snapshot.manifest().pir.columns))
    }

    /// Stops serving; waits until every request is answered.
    ///
    /// # Errors
    /// A server that panicked.
    pub async fn stop(mut self) -> Result<()> {
        self.end().await
    }

    async fn end(&mut self) -> Result<()> {
        drop(self.stop.take());
        if let Some(task) = self.task.take() {
            task.await.context("the server panicked")?;
        }
        Ok(())
    }
}
