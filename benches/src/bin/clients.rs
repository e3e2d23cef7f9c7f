//! Measures what the server's scheduler makes of concurrent clients: its cost
//! for a lone query, and what queries gain by sharing passes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use benches::fixture;
use benches::spread::Spread;
use clap::Parser;
use memmap2::MmapMut;
use pir_core::answer::Answer;
use pir_core::database::DatabaseView;
use pir_core::params::{Params, plan};
use pir_core::query::{MAX_BATCH, Query};
use pir_core::server::{Server, Workspace};
use pir_core::setup::{self, Preprocessed};
use server::metrics::Passes;
use server::scheduler::{Account, Engine, Limits, Requester, Scheduler};
use server::senders::SenderIndex;

/// Compare lone queries, one client at a time and many at once.
///
/// Everything is in this process: the scheduler and the PIR core are the
/// server's, HTTP and TLS are left out. Answers are checked before anything is
/// timed. Takes about three times --seconds, after a set-up of some seconds
/// per GiB.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Size of the database in MiB.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u64).range(16..=16384))]
    db_mib: u64,
    /// Clients that ask at the same time, each as soon as it has its answer.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u64).range(1..=4096))]
    clients: u64,
    /// How long each of the three measurements takes.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Threads of a pass.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1024))]
    threads: u64,
    /// Most queries of a pass.
    #[arg(long, default_value_t = MAX_BATCH as u64,
          value_parser = clap::value_parser!(u64).range(1..=MAX_BATCH as u64))]
    max_batch: u64,
}

/// A database that counts the passes over it by their number of queries.
struct Database {
    params: Params,
    bytes: MmapMut,
    preprocessed: Preprocessed,
    packing: MmapMut,
    workspace: Mutex<Workspace>,
    passes: Mutex<BTreeMap<usize, usize>>,
}

impl Database {
    fn new(mib: u64) -> Result<Self> {
        let params = plan::plan(mib << 20, 1)?;
        let bytes = fixture::uniform_bytes(params.database_bytes())?;
        let view = DatabaseView::new(&params, &bytes)?;
        let preprocessed = setup::preprocess(&view, &fixture::crs_seed(), &|_| ())?;
        Ok(Self {
            params,
            bytes,
            packing: fixture::in_huge_pages(&preprocessed.packing)?,
            preprocessed,
            workspace: Mutex::default(),
            passes: Mutex::default(),
        })
    }

    fn pass(&self, queries: &[Query]) -> Result<Vec<Answer>, pir_core::Error> {
        let view = DatabaseView::new(&self.params, &self.bytes)?;
        let server = Server::new(view, bytemuck::cast_slice(&self.packing))?;
        let mut workspace = self
            .workspace
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Ok(server.answer_with(&mut workspace, queries)?.to_vec())
    }

    /// Passes by their number of queries since the last call.
    fn take_passes(&self) -> BTreeMap<usize, usize> {
        let mut passes = self.passes.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut passes)
    }
}

impl Engine for Database {
    type Query = Query;
    type Answer = Answer;

    fn answer(&self, queries: Vec<Query>) -> Option<Vec<Answer>> {
        let mut passes = self.passes.lock().unwrap_or_else(PoisonError::into_inner);
        *passes.entry(queries.len()).or_default() += 1;
        drop(passes);
        self.pass(&queries).ok()
    }
}

/// The scheduler and the queries that clients send.
struct Bench {
    database: Arc<Database>,
    scheduler: Scheduler<Database>,
    queries: Vec<Query>,
}

impl Bench {
    /// Has one query of a client answered, each client being a sender.
    async fn answer(&self, client: usize, query: Query) -> Result<Answer> {
        let requester = Requester {
            account: Account::Known(SenderIndex::from(client as u32)),
            sender: 0,
        };
        let database = Arc::clone(&self.database);
        Ok(self.scheduler.answer(requester, database, query).await?)
    }

    /// One lookup of a client.
    async fn ask(&self, client: usize) -> Result<Answer> {
        let query = self.queries[client % self.queries.len()].clone();
        self.answer(client, query).await
    }

    /// Latencies of a lone query past the scheduler and through it, in turns.
    async fn alone(&self, time: Duration) -> Result<(Spread, Spread)> {
        let (mut direct, mut scheduled) = (Vec::new(), Vec::new());
        let begun = Instant::now();
        while begun.elapsed() < time {
            let start = Instant::now();
            tokio::task::block_in_place(|| self.database.pass(&self.queries[..1]))?;
            direct.push(start.elapsed().as_secs_f64() * 1e3);
            let start = Instant::now();
            self.ask(0).await?;
            scheduled.push(start.elapsed().as_secs_f64() * 1e3);
        }
        Ok((Spread::of(direct), Spread::of(scheduled)))
    }

    /// Lookups a second of `clients` that each ask again when answered.
    async fn together(self: &Arc<Self>, clients: usize, time: Duration) -> Result<f64> {
        let begun = Instant::now();
        let tasks: Vec<_> = (0..clients)
            .map(|client| {
                let bench = Arc::clone(self);
                tokio::spawn(async move {
                    let mut answered = 0usize;
                    while begun.elapsed() < time {
                        bench.ask(client).await?;
                        answered += 1;
                    }
                    anyhow::Ok(answered)
                })
            })
            .collect();
        let mut answered = 0;
        for task in tasks {
            answered += task.await??;
        }
        Ok(answered as f64 / begun.elapsed().as_secs_f64())
    }

    /// Looks columns up through the scheduler, all at once, and compares
    /// every byte.
    async fn check(self: &Arc<Self>, columns: &[u32]) -> Result<()> {
        let database = &self.database;
        let (queries, pending) = fixture::queries(&database.params, columns)?;
        let asked: Vec<_> = queries
            .into_iter()
            .enumerate()
            .map(|(client, query)| {
                let bench = Arc::clone(self);
                tokio::spawn(async move { bench.answer(client, query).await })
            })
            .collect();
        let view = DatabaseView::new(&database.params, &database.bytes)?;
        for ((asked, pending), &column) in asked.into_iter().zip(pending).zip(columns) {
            let found = pending.decrypt(&database.preprocessed.hint, &asked.await??)?;
            let expected = view.column(column as usize)?;
            ensure!(found == expected, "wrong answer for column {column}");
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    rayon::ThreadPoolBuilder::new()
        .num_threads(args.threads as usize)
        .build_global()?;
    eprintln!("set-up of {} MiB", args.db_mib);
    let database = Database::new(args.db_mib)?;
    let clients = args.clients as usize;
    let columns: Vec<u32> = (0..MAX_BATCH * 2)
        .map(|i| (i * (database.params.columns() - 1) / (MAX_BATCH * 2 - 1)) as u32)
        .collect();
    let limits = Limits {
        max_batch: args.max_batch as usize,
        queue_length: clients.max(columns.len()),
        per_account: 1,
        per_sender: 1,
        deadline: Duration::from_secs(60),
    };
    let bench = Arc::new(Bench {
        queries: fixture::queries(&database.params, &columns)?.0,
        database: Arc::new(database),
        scheduler: Scheduler::start(limits, args.threads as usize, Passes::default())
            .context("can't start the scheduler")?,
    });
    eprintln!("checking answers");
    bench.check(&columns).await?;

    let time = Duration::from_secs(args.seconds);
    eprintln!("measuring, {} seconds", 3 * args.seconds);
    let (direct, scheduled) = bench.alone(time).await?;
    let one = bench.together(1, time).await?;
    bench.database.take_passes();
    let many = bench.together(clients, time).await?;
    let passes = bench.database.take_passes();

    println!(
        "database            {} MiB, {} thread(s) a pass, at most {} queries",
        bench.database.params.database_bytes() >> 20,
        args.threads,
        args.max_batch
    );
    println!("lone query, direct  {}", milliseconds(direct));
    println!("        scheduled   {}", milliseconds(scheduled));
    println!(
        "        difference  {:+.2} ms, {:+.1} %",
        scheduled.median - direct.median,
        (scheduled.median / direct.median - 1.0) * 100.0
    );
    println!("one client          {one:.1} lookups/s");
    println!("{clients} clients          {many:.1} lookups/s");
    println!("ratio               {:.2}", many / one);
    println!("queries a pass      passes");
    for (queries, count) in passes {
        println!("{queries:>14}      {count}");
    }
    Ok(())
}

fn milliseconds(spread: Spread) -> String {
    let Spread { median, min, max } = spread;
    format!("{median:.2} ms ({min:.2}–{max:.2})")
}
