//! Measures an address book looked up in one call against as many single
//! lookups: time, bytes and passes over the database.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use benches::report::machine::Machine;
use benches::spread::Spread;
use clap::Parser;
use client::{ApiKey, Cache, Client, ClientConfig, FilterUse};
use protocol::csi::Csi;
use protocol::lookup::Lookup;
use protocol::manifest::BuildId;
use protocol::time::UnixTime;
use serde::Serialize;
use server::data_dir::{DataDir, InitOptions};
use server::http::{self, AppState, ListenLimits};
use server::import::{self, ImportOptions};
use server::memory::Memory;
use server::progress::Progress;
use server::quotas::Quotas;
use server::sample::{self, Sample, SampleArgs};
use server::senders::SenderName;
use server::snapshot::Served;
use server::snapshot::build::{self, BuildOptions, Clock, FilterPolicy};
use server::store::{Block, Store, Update};
use tokio::net::TcpListener;

/// Look an address book up, over TLS, one by one and in one call.
///
/// Server and client are in this process and share the machine. Every answer is
/// compared with what the directory holds. What clients fetch once per snapshot
/// (manifest, hint, filter) is counted apart. Between two ways of asking that
/// recall evaluations a new snapshot is published, so that the PIR is asked anew.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Recipients in the directory.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1000..=10_000_000))]
    records: u64,
    /// Identifiers in the address book.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    identifiers: u64,
    /// Per cent of them that the directory has.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(0..=100))]
    listed_percent: u64,
    /// Rounds, of which medians are taken.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=100))]
    rounds: u64,
    /// The commit that is measured, for the record.
    #[arg(long, default_value = "unknown")]
    commit: String,
    /// Where to write the figures as JSON too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// A way to look all of them up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Way {
    /// One after the other, each in a call of its own.
    Single,
    /// In one call.
    Sync,
    /// In one call, with a membership filter.
    Filtered,
    /// In one call, evaluations recalled, in a newer snapshot.
    Recalled,
    /// The same with a membership filter.
    RecalledFiltered,
    /// In one call, all of it fetched before in the same snapshot.
    Again,
}

const WAYS: [Way; 6] = [
    Way::Single,
    Way::Sync,
    Way::Filtered,
    Way::Recalled,
    Way::RecalledFiltered,
    Way::Again,
];

/// What one way cost.
#[derive(Clone, Copy)]
struct Cost {
    seconds: f64,
    requests: u64,
    sent: u64,
    received: u64,
    served: Served,
}

#[derive(Serialize)]
struct Figures {
    way: Way,
    seconds: Spread,
    requests: f64,
    bytes_up: f64,
    bytes_down: f64,
    queries: f64,
    passes: f64,
}

#[derive(Serialize)]
struct Report {
    machine: Machine,
    commit: String,
    records: u64,
    identifiers: u64,
    listed: usize,
    rounds: u64,
    database_bytes: u64,
    query_bytes: usize,
    answer_bytes: usize,
    /// What a client fetches once per snapshot.
    hint_bytes: u64,
    filter_bytes: u64,
    ways: Vec<Figures>,
}

/// A provider that serves, and the address book.
struct Bench {
    data: DataDir,
    store: Arc<dyn Store>,
    state: Arc<AppState>,
    config: ClientConfig,
    asked: Vec<(Csi, Lookup)>,
    /// To be withheld, one for each new snapshot.
    spare: Vec<Csi>,
    _root: tempfile::TempDir,
}

impl Bench {
    async fn new(args: &Args) -> Result<Self> {
        let root = tempfile::tempdir()?;
        let (seed, now) = (rand::random(), UnixTime::now());
        eprintln!("sample {seed}");
        let count = usize::try_from(args.records)?;
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
        let options = InitOptions {
            trust: Some(std::fs::read_to_string(&trust)?),
            listen: None,
        };
        let data = DataDir::init(&root.path().join("data"), &options)?;
        let quiet = "[log]\nlevel = \"error\"\n";
        std::fs::write(data.root().join("config.toml"), quiet)?;
        let mut senders = data.senders()?;
        let key = senders.add(SenderName::new("bench")?, now, &mut rand::rng())?;
        senders.write(&data.senders_path())?;
        let store: Arc<dyn Store> = Arc::from(data.store()?);
        let mut refused = Vec::new();
        let options = ImportOptions {
            trust: &data.trust()?,
            now,
            progress: Progress::detect(),
            report: &mut refused,
        };
        import::run(&*store, &file, options)?;
        ensure!(refused.is_empty(), "{}", String::from_utf8_lossy(&refused));

        let mut sample = Sample::new(seed, now)?;
        let listed = usize::try_from(args.identifiers * args.listed_percent / 100)?;
        let spare = usize::try_from(args.rounds)? + 1;
        ensure!(listed + spare <= count, "too few records");
        let mut records = sample.next_batch(listed + spare)?;
        let spare = records.split_off(listed);
        // Absent is what comes after all that the directory has.
        let mut left = count - listed - spare.len();
        while left > 0 {
            left -= sample.next_batch(left.min(10_000))?.len();
        }
        let mut asked = Vec::new();
        for record in &records {
            let bundle = record.bundle()?;
            let trust = sample.trust();
            let lookup = protocol::bundle::evaluate(Some(&bundle), &record.csi, trust, now);
            asked.push((record.csi.clone(), lookup));
        }
        // Those that are there are spread among the others.
        let absent = usize::try_from(args.identifiers)? - listed;
        let absent = sample.absent(absent)?.into_iter();
        asked.extend(absent.map(|csi| (csi, Lookup::NoMapping)));
        asked.sort_by(|a, b| a.0.cmp(&b.0));

        publish(&data, &*store)?;
        let mut settings = data.config()?;
        // What it costs, not what is allowed.
        settings.quota = Quotas::WIDE;
        let state = AppState::open(&data, &settings, Arc::clone(&store), data.ledger()?)?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("https://localhost:{}", listener.local_addr()?.port());
        let (tls, limits) = (data.tls(&settings)?, ListenLimits::from(&settings));
        let serving = http::serve(
            listener,
            tls,
            Arc::clone(&state),
            limits,
            std::future::pending(),
        );
        tokio::spawn(serving);
        let certificate = std::fs::read(data.root().join("tls/cert.pem"))?;
        let config = ClientConfig::new(url, data.provider_public_key()?, sample.trust().clone())
            .with_api_key(ApiKey::new(key.as_str())?)
            .with_tls_roots(certificate);
        Ok(Self {
            data,
            store,
            state,
            config,
            asked,
            spare: spare.into_iter().map(|record| record.csi).collect(),
            _root: root,
        })
    }

    /// Serves a snapshot that differs from the one before.
    fn publish(&mut self) -> Result<()> {
        let csi = self.spare.pop().context("no spare record")?;
        let mut block = |update: &mut dyn Update| update.block(&csi, Block::Set).map(drop);
        self.store.update(&mut block)?;
        publish(&self.data, &*self.store)?;
        let published = http::published(&self.data, &self.data.config()?)?;
        self.state
            .replace_snapshot(published.context("no snapshot")?)?;
        Ok(())
    }

    fn cache(&self) -> Result<Arc<Cache>> {
        Ok(Arc::new(Cache::in_memory(&self.config.dp_key)?))
    }

    /// Looks everything up and compares; connecting is not counted.
    async fn cost(&self, way: Way, cache: Option<&Arc<Cache>>) -> Result<Cost> {
        let mut config = self.config.clone();
        config.cache = cache.cloned();
        if matches!(way, Way::Filtered | Way::RecalledFiltered) {
            config.filter = FilterUse::SkipAbsent;
        }
        let client = Client::connect(config).await?;
        let snapshot = self.state.snapshot().context("a snapshot")?;
        let (traffic, served) = (client.traffic(), snapshot.served());
        let csis: Vec<Csi> = self.asked.iter().map(|(csi, _)| csi.clone()).collect();
        let begun = Instant::now();
        let found = match way {
            Way::Single => {
                let mut found = Vec::with_capacity(csis.len());
                for csi in &csis {
                    found.push(client.lookup(csi).await);
                }
                found
            }
            _ => client.lookup_many(&csis).await,
        };
        let seconds = begun.elapsed().as_secs_f64();
        for (found, (_, expected)) in found.into_iter().zip(&self.asked) {
            ensure!(found? == *expected, "a wrong answer");
        }
        let (traffic, after) = (client.traffic().since(traffic), snapshot.served());
        Ok(Cost {
            seconds,
            requests: traffic.requests,
            sent: traffic.sent,
            received: traffic.received,
            served: Served {
                passes: after.passes - served.passes,
                queries: after.queries - served.queries,
            },
        })
    }

    /// All ways once, in the order of [`WAYS`].
    async fn round(&mut self) -> Result<[Cost; WAYS.len()]> {
        let (cache, filtered) = (self.cache()?, self.cache()?);
        let single = self.cost(Way::Single, None).await?;
        let sync = self.cost(Way::Sync, Some(&cache)).await?;
        let filter = self.cost(Way::Filtered, Some(&filtered)).await?;
        self.publish()?;
        let recalled = self.cost(Way::Recalled, Some(&cache)).await?;
        let both = self.cost(Way::RecalledFiltered, Some(&filtered)).await?;
        let again = self.cost(Way::Again, Some(&cache)).await?;
        Ok([single, sync, filter, recalled, both, again])
    }
}

fn publish(data: &DataDir, store: &dyn Store) -> Result<()> {
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
    build::run(store, &data.snapshots(), &options)?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let machine = Machine::detect();
    let mut bench = Bench::new(&args).await?;
    let mut rounds = Vec::new();
    for round in 1..=args.rounds {
        eprintln!("round {round} of {}", args.rounds);
        rounds.push(bench.round().await?);
    }
    let figures = |at: usize| {
        let of = |value: fn(&Cost) -> f64| {
            Spread::of(rounds.iter().map(|round| value(&round[at])).collect())
        };
        Figures {
            way: WAYS[at],
            seconds: of(|cost| cost.seconds),
            requests: of(|cost| cost.requests as f64).median,
            bytes_up: of(|cost| cost.sent as f64).median,
            bytes_down: of(|cost| cost.received as f64).median,
            queries: of(|cost| cost.served.queries as f64).median,
            passes: of(|cost| cost.served.passes as f64).median,
        }
    };
    let snapshot = bench.state.snapshot().context("a snapshot")?;
    let (manifest, params) = (snapshot.manifest(), snapshot.params());
    let report = Report {
        machine,
        commit: args.commit,
        records: args.records,
        identifiers: args.identifiers,
        listed: bench.asked.len()
            - bench
                .asked
                .iter()
                .filter(|asked| asked.1 == Lookup::NoMapping)
                .count(),
        rounds: args.rounds,
        database_bytes: manifest.database.bytes,
        query_bytes: pir_core::query::encoded_bytes(params),
        answer_bytes: pir_core::answer::encoded_bytes(params),
        hint_bytes: manifest.hint.bytes,
        filter_bytes: manifest.filter.map_or(0, |filter| filter.bytes),
        ways: (0..WAYS.len()).map(figures).collect(),
    };
    print!("{}", text(&report)?);
    if let Some(path) = &args.json {
        let json = serde_json::to_string_pretty(&report)? + "\n";
        std::fs::write(path, json).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn text(report: &Report) -> Result<String> {
    let mut text = String::new();
    let Machine {
        processor,
        threads,
        load,
        ..
    } = &report.machine;
    writeln!(
        text,
        "{processor}, {threads} threads, load before the run {load:.2}; commit {}\n\
         {} identifiers, {} of them among {} records; database {:.1} MiB, hint {} bytes, \
         filter {} bytes; query {} bytes, answer {} bytes; medians of {} rounds\n",
        report.commit,
        report.identifiers,
        report.listed,
        report.records,
        report.database_bytes as f64 / (1 << 20) as f64,
        report.hint_bytes,
        report.filter_bytes,
        report.query_bytes,
        report.answer_bytes,
        report.rounds,
    )?;
    writeln!(
        text,
        "| | s | requests | MB up | MB down | queries | passes |\n|---|--:|--:|--:|--:|--:|--:|"
    )?;
    for figures in &report.ways {
        let Spread { median, min, max } = figures.seconds;
        writeln!(
            text,
            "| {:?} | {median:.2} ({min:.2}–{max:.2}) | {} | {:.2} | {:.2} | {} | {} |",
            figures.way,
            figures.requests,
            figures.bytes_up / 1e6,
            figures.bytes_down / 1e6,
            figures.queries,
            figures.passes,
        )?;
    }
    Ok(text)
}
