//! From a store of sample recipients to a served snapshot, by stage, and lookups
//! over TLS while snapshots are built and swapped.
//!
//! | part | where |
//! |---|---|
//! | a store of so many recipients | `provider` |
//! | lookups at a fixed rate | [`mod@load`] |
//! | how long each stage took | `stages` |
//! | the figures as Markdown | `table` |

pub mod load;
mod provider;
mod stages;
mod table;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use client::{Cache, Client};
use protocol::manifest::{BuildId, SnapshotId};
use protocol::time::UnixTime;
use serde::Serialize;
use server::data_dir::DataDir;
use server::durable;
use server::http::{self, AppState, ListenLimits};
use server::memory::Memory;
use server::progress::Progress;
use server::quotas::Quotas;
use server::rebuild::{Rebuilder, When};
use server::snapshot::build::{self, BuildOptions, Clock, FilterPolicy};
use server::snapshot::current;
use server::snapshot::inspect::Report as Inspection;
use server::store::Store;
use tokio::net::TcpListener;
use tokio::task::spawn_blocking;

use crate::report::machine::{self, Machine};
use crate::spread::Spread;
use load::{Load, Phase};
use provider::Provider;
pub use stages::{Stage, Stages};

/// What is measured of each size.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Snapshots that are built after the first, each after one recipient in a
    /// thousand has changed, and swapped under load.
    pub swaps: usize,
    /// Time for each swap, and for lookups without any.
    pub period: Duration,
    /// Senders.
    pub clients: usize,
    /// Time from one lookup of a sender to the next.
    pub every: Duration,
}

/// Everything that a run has measured.
#[derive(Debug, Serialize)]
pub struct SnapshotsReport {
    /// When the run began, RFC 3339.
    pub date: String,
    /// What was measured, as the caller states it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Where.
    pub machine: Machine,
    /// By number of recipients.
    pub sizes: Vec<Size>,
}

/// One number of recipients.
#[derive(Debug, Serialize)]
pub struct Size {
    /// Recipients in the store.
    pub recipients: u64,
    /// Records in the snapshot.
    pub records: u64,
    /// Bytes of the store's files.
    pub store_bytes: u64,
    /// Buckets.
    pub columns: u64,
    /// Bytes of a bucket.
    pub bucket_bytes: u64,
    /// Bytes of the database.
    pub database_bytes: u64,
    /// Bytes of the packing matrices.
    pub packing_bytes: u64,
    /// Bytes of the snapshot's file.
    pub file_bytes: u64,
    /// Bytes that a client fetches once.
    pub hint_bytes: u64,
    /// Bytes of a query.
    pub query_bytes: u64,
    /// Bytes of an answer.
    pub answer_bytes: u64,
    /// Share of the buckets' capacity that records take.
    pub fill_percent: f64,
    /// The first build.
    pub first: Work,
    /// Builds after one recipient in a thousand has changed.
    pub updates: Vec<Work>,
    /// From the file to a snapshot that can be served: loaded, verified, tried.
    pub load: Work,
    /// Lookups under swaps, if there were any.
    pub swaps: Option<Swaps>,
}

/// Something that was done once.
#[derive(Debug, Serialize)]
pub struct Work {
    /// All of it.
    pub seconds: f64,
    /// Its stages, in the order in which they ended.
    pub stages: Vec<Stage>,
    /// Largest resident set of the process meanwhile, bytes.
    pub peak_bytes: u64,
}

/// Lookups over TLS while snapshots come and go.
#[derive(Debug, Serialize)]
pub struct Swaps {
    /// Senders, each with a connection of its own.
    pub clients: usize,
    /// Time from one lookup of a sender to the next.
    pub every_ms: u64,
    /// All that a client does with what it has fetched, cache included: milliseconds
    /// for a lookup.
    pub verification_ms: Spread,
    /// What happened meanwhile, in order.
    pub phases: Vec<Phase>,
    /// Largest resident set of the process, senders included, with a snapshot
    /// served alone, while others were swapped in, and while they were built.
    pub peak_bytes: [u64; 3],
}

/// Measures one number of recipients.
///
/// # Errors
/// What fails, a lookup that fails included.
pub async fn measure(recipients: u64, options: &Options, stages: &Stages) -> Result<Size> {
    eprintln!("{recipients} recipients: filling a store");
    let making = spawn_blocking(move || Provider::new(recipients));
    let provider = Arc::new(making.await??);
    let (of_task, of_stages, swaps) = (Arc::clone(&provider), stages.clone(), options.swaps);
    let building = spawn_blocking(move || build_all(&of_task, swaps, &of_stages));
    let Built { mut size, kept } = building.await??;
    size.recipients = recipients;
    if options.swaps > 0 {
        size.swaps = Some(swap_all(&provider, &kept, options).await?);
    }
    Ok(size)
}

impl SnapshotsReport {
    /// Writes snapshots.json and snapshots.md.
    ///
    /// # Errors
    /// If a file can't be written.
    pub fn write(&self, directory: &Path) -> Result<()> {
        fs::create_dir_all(directory)
            .with_context(|| format!("can't create {}", directory.display()))?;
        let json = serde_json::to_vec_pretty(self)?;
        durable::replace(
            &directory.join("snapshots.json"),
            durable::PUBLIC,
            &[&json[..], b"\n"].concat(),
        )?;
        let text = self.to_markdown();
        durable::replace(
            &directory.join("snapshots.md"),
            durable::PUBLIC,
            text.as_bytes(),
        )?;
        Ok(())
    }
}

/// What was built, and where the files of the snapshots after the first are.
struct Built {
    size: Size,
    kept: Vec<SnapshotId>,
}

fn build_all(provider: &Provider, swaps: usize, stages: &Stages) -> Result<Built> {
    let (data, store) = (&provider.data, &*provider.store);
    eprintln!("building the first snapshot");
    let (first_id, first) = timed(stages, || build(data, store))?;
    eprintln!("loading it");
    let (snapshot, load) = timed(stages, || Ok(http::load(data, &data.config()?, first_id)?))?;
    let facts = Inspection::of(&snapshot, UnixTime::now());
    drop(snapshot);
    let path = current::snapshot_path(&data.snapshots(), first_id);
    let file_bytes = fs::metadata(&path)?.len();

    // Builds remove what is older than the snapshot before: kept for the swaps.
    let keep = |id| {
        fs::hard_link(
            current::snapshot_path(&data.snapshots(), id),
            provider.kept(id),
        )
    };
    keep(first_id)?;
    let (mut updates, mut kept) = (Vec::new(), vec![first_id]);
    for update in 1..=swaps {
        eprintln!("building snapshot {update} of {swaps} after a change");
        provider.change()?;
        let (id, work) = timed(stages, || build(data, store))?;
        keep(id)?;
        kept.push(id);
        updates.push(work);
    }
    let size = Size {
        recipients: 0,
        records: facts.records,
        store_bytes: provider.store_bytes()?,
        columns: facts.columns,
        bucket_bytes: facts.bucket_bytes,
        database_bytes: facts.database_bytes,
        packing_bytes: facts.packing_bytes,
        file_bytes,
        hint_bytes: facts.hint_bytes,
        query_bytes: facts.query_bytes,
        answer_bytes: facts.answer_bytes,
        fill_percent: facts.fill_percent,
        first,
        updates,
        load,
        swaps: None,
    };
    Ok(Built { size, kept })
}

fn build(data: &DataDir, store: &dyn Store) -> Result<SnapshotId> {
    let options = BuildOptions {
        provider: &data.provider_key()?,
        oprf: &data.oprf_key()?,
        trust: &data.trust()?,
        filter: FilterPolicy::Publish,
        token_keys: None,
        lifetime_secs: 24 * 3600,
        now: UnixTime::now(),
        clock: Clock::Trusted,
        build_id: BuildId(rand::random()),
        progress: Progress::Logged,
        memory: Memory::OfSystem,
    };
    Ok(build::run(store, &data.snapshots(), &options)?.snapshot)
}

fn timed<T>(stages: &Stages, work: impl FnOnce() -> Result<T>) -> Result<(T, Work)> {
    machine::reset_peak_rss()?;
    stages.take();
    let begun = Instant::now();
    let result = work()?;
    let work = Work {
        seconds: begun.elapsed().as_secs_f64(),
        stages: stages.take(),
        peak_bytes: machine::peak_rss_bytes()?,
    };
    Ok((result, work))
}

/// Serves the first snapshot, then the others as a follower takes them over, then
/// builds and serves further ones as `serve` does.
async fn swap_all(
    provider: &Arc<Provider>,
    kept: &[SnapshotId],
    options: &Options,
) -> Result<Swaps> {
    let data = &provider.data;
    let publish = |id: SnapshotId| -> Result<()> {
        let directory = data.snapshots();
        let path = current::snapshot_path(&directory, id);
        if !path.exists() {
            fs::hard_link(provider.kept(id), &path)?;
        }
        Ok(current::replace(&directory, id)?)
    };
    let (first, others) = kept.split_first().context("a snapshot")?;
    publish(*first)?;
    let mut settings = data.config()?;
    // What it costs, not what is allowed.
    settings.quota = Quotas::WIDE;
    let state = AppState::open(data, &settings, Arc::clone(&provider.store), data.ledger()?)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("https://localhost:{}", listener.local_addr()?.port());
    let (tls, limits) = (data.tls(&settings)?, ListenLimits::from(&settings));
    let serving = Arc::clone(&state);
    tokio::spawn(http::serve(
        listener,
        tls,
        serving,
        limits,
        std::future::pending(),
    ));
    let rebuilder = Rebuilder::new(data.clone(), settings, Arc::clone(&state));

    let verification_ms = verification(provider, &url).await?;
    let load = Load::start(provider, &url, options).await?;
    machine::reset_peak_rss()?;
    let mut phases = vec![
        load.phase("nothing else", options.period, async { Ok(()) })
            .await?,
    ];
    let alone = machine::peak_rss_bytes()?;
    for id in others {
        publish(*id)?;
        let of_task = rebuilder.clone();
        let swap = async {
            spawn_blocking(move || of_task.take_over()).await??;
            Ok(())
        };
        phases.push(load.phase("take over", options.period, swap).await?);
    }
    let swapped = machine::peak_rss_bytes()?;
    for _ in others {
        provider.change()?;
        let of_task = rebuilder.clone();
        let rebuild = async {
            spawn_blocking(move || of_task.run(When::Now)).await??;
            Ok(())
        };
        phases.push(
            load.phase("build and serve", options.period, rebuild)
                .await?,
        );
    }
    let built = machine::peak_rss_bytes()?;
    phases.push(
        load.phase("nothing else", options.period, async { Ok(()) })
            .await?,
    );
    load.stop().await?;
    Ok(Swaps {
        clients: options.clients,
        every_ms: options.every.as_millis() as u64,
        verification_ms,
        phases,
        peak_bytes: [alone, swapped, built],
    })
}

/// Lookups of what was fetched before, one after the other.
async fn verification(provider: &Provider, url: &str) -> Result<Spread> {
    let mut config = provider.client_config(url)?;
    config.cache = Some(Arc::new(Cache::in_memory(&config.dp_key)?));
    let client = Client::connect(config).await?;
    let mut milliseconds = Vec::new();
    for again in [false, true] {
        for (csi, expected) in &provider.known {
            let begun = Instant::now();
            let found = client.lookup(csi).await?;
            if again {
                milliseconds.push(begun.elapsed().as_secs_f64() * 1e3);
            }
            anyhow::ensure!(found == *expected, "a wrong answer");
        }
    }
    Ok(Spread::of(milliseconds))
}
