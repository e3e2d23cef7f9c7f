//! Measures how fast credentials and mappings come into a store: imported from a
//! file, and published over HTTPS by concurrent recipients.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use benches::report::machine::Machine;
use clap::Parser;
use protocol::time::UnixTime;
use protocol::wire::{MAPPINGS_PATH, Receipt, media};
use serde::Serialize;
use server::data_dir::{DataDir, InitOptions};
use server::http::{AppState, ListenLimits};
use server::import::{self, ImportOptions};
use server::progress::Progress;
use server::sample::{self, Sample, SampleArgs, SampleRecord};
use server::store::Store;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// Import a sample, then publish more of it, into each store.
///
/// Every signature is verified and every commit is durable. The recipients'
/// statements are signed before anything is timed; server and recipients share
/// the machine. What the stores hold in the end is checked.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Recipients in the file that is imported.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    recipients: u64,
    /// Publications over HTTPS, each of another recipient.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    publications: u64,
    /// Publications under way at a time, each on a connection of its own.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=1000))]
    writers: u64,
    /// An empty PostgreSQL database, to measure it beside the embedded store.
    #[arg(long, value_name = "URL")]
    postgres: Option<String>,
    /// Where to write the figures as JSON too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Serialize)]
struct Report {
    machine: Machine,
    stores: Vec<Figures>,
}

/// What was measured of one store.
#[derive(Serialize)]
struct Figures {
    store: &'static str,
    import: Import,
    publish: Publish,
}

#[derive(Serialize)]
struct Import {
    recipients: u64,
    mappings: u64,
    seconds: f64,
    mappings_per_second: f64,
    /// Each recipient has a credential, which is verified as well.
    signatures_per_second: f64,
}

#[derive(Serialize)]
struct Publish {
    publications: usize,
    writers: usize,
    seconds: f64,
    publications_per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
}

/// What goes into the stores, and the files of one run.
struct Bench {
    root: tempfile::TempDir,
    seed: u64,
    now: UnixTime,
    recipients: usize,
    /// In the file.
    mappings: u64,
    /// Those that publish.
    publishing: Vec<SampleRecord>,
}

impl Bench {
    fn new(args: &Args) -> Result<Self> {
        let root = tempfile::tempdir()?;
        let (seed, now) = (rand::random(), UnixTime::now());
        let recipients = usize::try_from(args.recipients)?;
        sample::run(&SampleArgs {
            count: recipients,
            seed,
            out: root.path().join("sample.jsonl"),
            trust: Some(root.path().join("trust.toml")),
            answers: None,
            answers_count: 0,
            now: Some(now),
        })?;
        let mut sample = Sample::new(seed, now)?;
        let (mut left, mut mappings) = (recipients, 0);
        while left > 0 {
            let batch = sample.next_batch(left.min(10_000))?;
            left -= batch.len();
            mappings += batch
                .iter()
                .map(|record| record.mappings.len() as u64)
                .sum::<u64>();
        }
        Ok(Self {
            publishing: sample.next_batch(usize::try_from(args.publications)?)?,
            root,
            seed,
            now,
            recipients,
            mappings,
        })
    }

    /// A fresh data directory with this `[store]` table.
    fn data(&self, name: &str, store: &str) -> Result<DataDir> {
        let options = InitOptions {
            trust: Some(std::fs::read_to_string(self.path("trust.toml"))?),
            listen: None,
        };
        let data = DataDir::init(&self.path(name), &options)?;
        let config = format!("[store]\n{store}\n[log]\nlevel = \"error\"\n");
        std::fs::write(data.root().join("config.toml"), config)?;
        Ok(data)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn import(&self, data: &DataDir, store: &dyn Store) -> Result<Import> {
        let mut refused = Vec::new();
        let options = ImportOptions {
            trust: &data.trust()?,
            now: self.now,
            progress: Progress::Logged,
            report: &mut refused,
        };
        let begun = Instant::now();
        let summary = import::run(store, &self.path("sample.jsonl"), options)?;
        let seconds = begun.elapsed().as_secs_f64();
        ensure!(refused.is_empty(), "{}", String::from_utf8_lossy(&refused));
        ensure!(
            summary.counts.added == self.recipients as u64,
            "{summary:?}"
        );
        ensure!(
            store.view()?.count()? == self.recipients as u64,
            "rows are missing"
        );
        Ok(Import {
            recipients: self.recipients as u64,
            mappings: self.mappings,
            seconds,
            mappings_per_second: self.mappings as f64 / seconds,
            signatures_per_second: (self.mappings + self.recipients as u64) as f64 / seconds,
        })
    }

    async fn publish(
        &self,
        data: &DataDir,
        store: Arc<dyn Store>,
        writers: usize,
    ) -> Result<Publish> {
        let bodies: Arc<Vec<Vec<u8>>> = Arc::new(
            self.publishing
                .iter()
                .map(|record| Ok(record.bundle()?.encode().to_vec()))
                .collect::<Result<_>>()?,
        );
        let config = data.config()?;
        let state = AppState::open(data, &config, Arc::clone(&store), data.ledger()?)?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!(
            "https://localhost:{}{MAPPINGS_PATH}",
            listener.local_addr()?.port()
        );
        let (stop, stopped) = oneshot::channel::<()>();
        let (tls, limits) = (data.tls(&config)?, ListenLimits::from(&config));
        let serving = tokio::spawn(server::http::serve(listener, tls, state, limits, async {
            // Dropping the sender stops it too.
            let _ = stopped.await;
        }));
        let mut clients = Vec::new();
        for _ in 0..writers {
            let client = client(data)?;
            // Connects before anything is timed.
            client.get(&url).send().await?;
            clients.push(client);
        }
        let next = Arc::new(AtomicUsize::new(0));
        let begun = Instant::now();
        let mut tasks = JoinSet::new();
        for client in clients {
            let (bodies, next, url) = (Arc::clone(&bodies), Arc::clone(&next), url.clone());
            tasks.spawn(async move {
                let mut milliseconds = Vec::new();
                while let Some(body) = bodies.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let begun = Instant::now();
                    put(&client, &url, body).await?;
                    milliseconds.push(begun.elapsed().as_secs_f64() * 1e3);
                }
                anyhow::Ok(milliseconds)
            });
        }
        let mut milliseconds = Vec::new();
        while let Some(of_writer) = tasks.join_next().await {
            milliseconds.extend(of_writer??);
        }
        let seconds = begun.elapsed().as_secs_f64();
        drop(stop);
        serving.await?;
        let expected = (self.recipients + bodies.len()) as u64;
        ensure!(store.view()?.count()? == expected, "rows are missing");
        milliseconds.sort_by(f64::total_cmp);
        let percentile = |percent: usize| {
            let at = (milliseconds.len() * percent / 100).min(milliseconds.len() - 1);
            milliseconds[at]
        };
        Ok(Publish {
            publications: bodies.len(),
            writers,
            seconds,
            publications_per_second: bodies.len() as f64 / seconds,
            p50_ms: percentile(50),
            p99_ms: percentile(99),
        })
    }
}

fn client(data: &DataDir) -> Result<reqwest::Client> {
    let certificate = std::fs::read(data.root().join("tls/cert.pem"))?;
    let client = reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(&certificate)?])
        .https_only(true);
    Ok(client.build()?)
}

async fn put(client: &reqwest::Client, url: &str, body: &[u8]) -> Result<()> {
    let request = client
        .put(url)
        .header("content-type", media::CBOR)
        .body(body.to_vec());
    let answer = request.send().await?.error_for_status()?;
    let receipt: Receipt = serde_json::from_slice(&answer.bytes().await?)?;
    ensure!(receipt.changed, "a publication changed nothing");
    Ok(())
}

fn main() -> Result<()> {
    let args = Args::parse();
    let machine = Machine::detect();
    eprintln!("signing a sample");
    let bench = Bench::new(&args)?;
    eprintln!("sample {}", bench.seed);
    let mut kinds = vec![("embedded", "kind = \"embedded\"".to_owned())];
    if let Some(url) = &args.postgres {
        kinds.push(("postgres", format!("kind = \"postgres\"\nurl = \"{url}\"")));
    }
    let runtime = tokio::runtime::Runtime::new()?;
    let mut stores = Vec::new();
    for (store, table) in kinds {
        let data = bench.data(store, &table)?;
        let opened: Arc<dyn Store> = Arc::from(data.store()?);
        eprintln!("{store}: import");
        let import = bench.import(&data, &*opened)?;
        eprintln!("{store}: publications");
        let writers = usize::try_from(args.writers)?;
        let publish = runtime.block_on(bench.publish(&data, opened, writers))?;
        stores.push(Figures {
            store,
            import,
            publish,
        });
    }
    let report = Report { machine, stores };
    print!("{}", text(&report)?);
    if let Some(path) = &args.json {
        write_json(path, &report)?;
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
        "machine   {processor}, {threads} threads, load before the run {load:.2}"
    )?;
    for Figures {
        store,
        import,
        publish,
    } in &report.stores
    {
        writeln!(
            text,
            "{store}  import   {} mappings of {} recipients in {:.2} s: {:.0} mappings/s, {:.0} signatures/s",
            import.mappings,
            import.recipients,
            import.seconds,
            import.mappings_per_second,
            import.signatures_per_second
        )?;
        writeln!(
            text,
            "{store}  publish  {} publications by {} writers in {:.2} s: {:.0}/s, p50 {:.1} ms, p99 {:.1} ms",
            publish.publications,
            publish.writers,
            publish.seconds,
            publish.publications_per_second,
            publish.p50_ms,
            publish.p99_ms
        )?;
    }
    Ok(text)
}

fn write_json(path: &Path, report: &Report) -> Result<()> {
    let json = serde_json::to_string_pretty(report)? + "\n";
    std::fs::write(path, json).with_context(|| format!("cannot write {}", path.display()))
}
