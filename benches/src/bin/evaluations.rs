//! Measures the OPRF: evaluations of a batch beside the multiplications that it
//! can't do without, turn by turn, and what a rotation costs a provider.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use benches::oprf::{Batch, identifiers};
use benches::report::machine::Machine;
use benches::spread::Spread;
use clap::Parser;
use protocol::manifest::BuildId;
use protocol::time::UnixTime;
use rayon::ThreadPoolBuilder;
use serde::Serialize;
use server::data_dir::{DataDir, InitOptions};
use server::import::{self, ImportOptions};
use server::memory::Memory;
use server::oprf_keys::EpochKey;
use server::progress::Progress;
use server::sample::{self, SampleArgs};
use server::snapshot::build::{self, BuildOptions, Clock, FilterPolicy};
use server::store::Store;

/// Evaluate batches, then build a store's snapshots before and after a rotation.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Elements in a batch.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=1024))]
    batch: u64,
    /// Rounds, in each of which everything is done once.
    #[arg(long, default_value_t = 31, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    rounds: u64,
    /// Records in the store; 0 to leave it out.
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u64).range(0..=10_000_000))]
    records: u64,
    /// The commit that is measured.
    #[arg(long, default_value = "unknown")]
    commit: String,
    /// Where to write the figures as JSON too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Serialize)]
struct Report {
    commit: String,
    machine: Machine,
    batch: usize,
    rounds: usize,
    evaluations: Vec<Evaluations>,
    /// Microseconds for each element, on one thread.
    parts: Vec<(&'static str, Spread)>,
    rotation: Option<Rotation>,
}

/// On so many threads, a second.
#[derive(Serialize)]
struct Evaluations {
    threads: usize,
    multiplications: Spread,
    evaluations: Spread,
    requests: Spread,
    /// Of each round.
    evaluations_to_multiplications: Spread,
    requests_to_multiplications: Spread,
}

/// Seconds.
#[derive(Serialize)]
struct Rotation {
    records: usize,
    /// The first snapshot.
    first_build: f64,
    /// The same again under the same key, from the set-up before.
    same_key: f64,
    /// Under the next key.
    next_key: f64,
    /// Of which the evaluation of all identifiers is.
    evaluation: f64,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let (count, rounds) = (usize::try_from(args.batch)?, usize::try_from(args.rounds)?);
    let batch = Batch::new(count)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut report = Report {
        commit: args.commit.clone(),
        machine: Machine::detect(),
        batch: count,
        rounds,
        evaluations: Vec::new(),
        parts: parts(&batch, rounds)?,
        rotation: None,
    };
    for threads in [1, cores] {
        report
            .evaluations
            .push(evaluations(&batch, threads, rounds)?);
    }
    if args.records > 0 {
        report.rotation = Some(rotation(usize::try_from(args.records)?)?);
    }
    print!("{}", table(&report)?);
    if let Some(path) = &args.json {
        std::fs::write(path, serde_json::to_string_pretty(&report)?)?;
    }
    Ok(())
}

/// Seconds that something takes.
fn seconds<T>(run: impl FnOnce() -> T) -> f64 {
    let begun = Instant::now();
    std::hint::black_box(run());
    begun.elapsed().as_secs_f64()
}

fn evaluations(batch: &Batch, threads: usize, rounds: usize) -> Result<Evaluations> {
    let pool = ThreadPoolBuilder::new().num_threads(threads).build()?;
    let mut rates = [const { Vec::new() }; 5];
    for _ in 0..rounds {
        let of = |seconds: f64| batch.count() as f64 / seconds;
        let multiplications = of(seconds(|| pool.install(|| batch.multiply())));
        let evaluations = of(seconds(|| pool.install(|| batch.evaluate())));
        let requests = of(seconds(|| pool.install(|| batch.respond())));
        let round = [
            multiplications,
            evaluations,
            requests,
            evaluations / multiplications,
            requests / multiplications,
        ];
        for (rates, rate) in rates.iter_mut().zip(round) {
            rates.push(rate);
        }
    }
    let [multiplications, evaluations, requests, to, requests_to] = rates.map(Spread::of);
    Ok(Evaluations {
        threads,
        multiplications,
        evaluations,
        requests,
        evaluations_to_multiplications: to,
        requests_to_multiplications: requests_to,
    })
}

/// What the parts take, each alone.
fn parts(batch: &Batch, rounds: usize) -> Result<Vec<(&'static str, Spread)>> {
    let pool = ThreadPoolBuilder::new().num_threads(1).build()?;
    let csis = identifiers(batch.count())?;
    let each = |run: &(dyn Fn() + Sync)| {
        let timed = (0..rounds).map(|_| {
            let seconds = seconds(|| pool.install(run));
            seconds * 1e6 / batch.count() as f64
        });
        Spread::of(timed.collect())
    };
    let drop = |_: &dyn std::any::Any| {};
    Ok(vec![
        ("multiplication", each(&|| drop(&batch.multiply()))),
        ("evaluation and proof", each(&|| drop(&batch.evaluate()))),
        ("  encoding", each(&|| drop(&batch.encode()))),
        ("  term of the sum", each(&|| drop(&batch.sum()))),
        ("decoding", each(&|| drop(&batch.decode()))),
        ("voprf-ng's", each(&|| drop(&batch.evaluate_by_library()))),
        ("record derived anew", each(&|| drop(&batch.derive(&csis)))),
    ])
}

/// A store of so many records, built under a key, again, and under the next.
fn rotation(records: usize) -> Result<Rotation> {
    let root = tempfile::tempdir()?;
    let (file, trust) = (
        root.path().join("sample.jsonl"),
        root.path().join("trust.toml"),
    );
    let now = UnixTime::now();
    sample::run(&SampleArgs {
        count: records,
        seed: 7,
        out: file.clone(),
        trust: Some(trust.clone()),
        answers: None,
        answers_count: 0,
        now: Some(now),
    })?;
    let options = InitOptions {
        trust: Some(std::fs::read_to_string(trust)?),
        listen: None,
    };
    let data = DataDir::init(&root.path().join("data"), &options)?;
    let store = data.store()?;
    let options = ImportOptions {
        trust: &data.trust()?,
        now,
        progress: Progress::Logged,
        report: &mut Vec::new(),
    };
    import::run(&store, &file, options)?;
    let build = |oprf: &EpochKey| -> Result<f64> {
        let options = BuildOptions {
            provider: &data.provider_key()?,
            oprf,
            trust: &data.trust()?,
            filter: FilterPolicy::Omit,
            token_keys: None,
            lifetime_secs: 3600,
            now,
            clock: Clock::Trusted,
            build_id: BuildId(rand::random()),
            progress: Progress::Lines,
            memory: Memory::OfSystem,
        };
        let begun = Instant::now();
        build::run(&store, &data.snapshots(), &options)?;
        Ok(begun.elapsed().as_secs_f64())
    };
    let first = data.oprf_key()?;
    let (first_build, same_key) = (build(&first)?, build(&first)?);
    data.oprf_key_dir(&data.config()?)?
        .rotate(None, now, false)?;
    let next = data.oprf_key()?;
    let next_key = build(&next)?;
    Ok(Rotation {
        records,
        first_build,
        same_key,
        next_key,
        evaluation: derivation(&store, &next)?,
    })
}

/// Reads and evaluates every identifier, as a build does.
fn derivation(store: &dyn Store, key: &EpochKey) -> Result<f64> {
    use rayon::prelude::*;
    let view = store.view()?;
    let ids = view.row_ids()?;
    let begun = Instant::now();
    let mut evaluated = 0;
    for chunk in ids.chunks(4096) {
        let rows = view.rows(chunk)?;
        let of_row = |row: &server::store::Row| -> Result<usize> {
            let content = row.content.as_ref().context("a record")?;
            std::hint::black_box(key.key.evaluate(&content.csi)?.locator());
            Ok(1)
        };
        evaluated += rows.par_iter().map(of_row).sum::<Result<usize>>()?;
    }
    ensure!(evaluated == ids.len());
    Ok(begun.elapsed().as_secs_f64())
}

fn table(report: &Report) -> Result<String> {
    let mut text = String::new();
    let spread = |spread: &Spread, digits: usize| {
        format!(
            "{:.digits$} ({:.digits$}–{:.digits$})",
            spread.median, spread.min, spread.max
        )
    };
    let machine = &report.machine;
    writeln!(text, "- commit: {}", report.commit)?;
    writeln!(
        text,
        "- machine: {}, {} threads, load before the run: {:.2}",
        machine.processor, machine.threads, machine.load
    )?;
    writeln!(
        text,
        "- batches of {}, medians of {} rounds, least to greatest in brackets\n",
        report.batch, report.rounds
    )?;
    writeln!(
        text,
        "| threads | multiplications/s | evaluations/s | ratio | from request to response/s | ratio |"
    )?;
    writeln!(text, "|--:|--:|--:|--:|--:|--:|")?;
    for row in &report.evaluations {
        writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} |",
            row.threads,
            spread(&row.multiplications, 0),
            spread(&row.evaluations, 0),
            spread(&row.evaluations_to_multiplications, 2),
            spread(&row.requests, 0),
            spread(&row.requests_to_multiplications, 2)
        )?;
    }
    writeln!(text, "\n| one thread | µs each |\n|---|--:|")?;
    for (part, micros) in &report.parts {
        writeln!(text, "| {part} | {} |", spread(micros, 2))?;
    }
    if let Some(rotation) = &report.rotation {
        writeln!(
            text,
            "\n{} records: first build {:.1} s, again under the same key {:.1} s, under the next key {:.1} s, \
             of which reading and evaluating all identifiers takes {:.1} s ({:.0} µs a record on {} threads)",
            rotation.records,
            rotation.first_build,
            rotation.same_key,
            rotation.next_key,
            rotation.evaluation,
            rotation.evaluation * 1e6 / rotation.records as f64,
            machine.threads
        )?;
    }
    Ok(text)
}
