//! Measures the PIR core on databases of uniform bytes, beside the machine's
//! own read bandwidth, in one run; or snapshots, from a store to what is served.
//! Writes tables, JSON and plots.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use benches::report::{self, Report, machine::Machine, published};
use benches::snapshots::{self, SnapshotsReport, Stages};
use clap::{Parser, Subcommand};
use pir_core::query::MAX_BATCH;
use pir_core::{Backend, params};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Measure set-up, passes and the client of the PIR core.
///
/// For each size the database is filled with uniform bytes and set up, answers
/// are checked byte by byte, and only then passes are timed. The read bandwidth
/// is measured before and after the passes of each batch size, and ratios use
/// the better of the two. Needs the sum of database and packing matrices in
/// memory (1.25 GiB for 1 GiB, 8.5 GiB for 8 GiB), and an idle machine for
/// figures worth keeping.
#[derive(Parser)]
#[command(
    version,
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  \
        report                                        a quick look: 256 MiB and 1 GiB\n  \
        report --sizes 64 --batches 1,4 --rounds 3    seconds, to see that it works\n  \
        report --sizes 256,1024,4096,8192 --commit HASH --out benches/record/DATE\n                                                \
        everything, for the record\n  \
        report snapshots --recipients 1000000         the stages of building and serving"
)]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Sizes of the database in MiB, comma-separated; the planner rounds up.
    #[arg(long, value_delimiter = ',', default_values_t = [256, 1024],
          value_name = "MIB", value_parser = clap::value_parser!(u64).range(16..=16384))]
    sizes: Vec<u64>,
    /// Queries that share a pass, comma-separated.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2, 4, 8, 16],
          value_name = "QUERIES", value_parser = clap::value_parser!(u64).range(1..=MAX_BATCH as u64))]
    batches: Vec<u64>,
    /// Threads of the passes, comma-separated; set-up and client always run on
    /// one.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2],
          value_name = "THREADS", value_parser = clap::value_parser!(u64).range(1..=1024))]
    threads: Vec<u64>,
    /// Runs of each measurement; the median counts, the extremes are shown.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=1000))]
    rounds: u64,
    /// Directory for report.json, report.md, throughput-size.svg,
    /// throughput-batch.svg and communication.svg; made if it isn't there.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The commit that is measured, for the record.
    #[arg(long, value_name = "HASH")]
    commit: Option<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Measure snapshots: built from a store, loaded, and swapped under load.
    ///
    /// A store is filled with sample recipients, whose signatures are not verified
    /// here. Then a snapshot is built from it, by stage, and others after one
    /// recipient in a thousand has changed. They are served over TLS in this
    /// process to senders who look identifiers up at a fixed rate, while a server
    /// takes the snapshots over as one that follows a publisher, and while it
    /// builds its own. Every answer is compared; one that is wrong or doesn't come
    /// ends the run. A lookup's time counts from when it was due.
    Snapshots(SnapshotsArgs),
}

#[derive(clap::Args)]
struct SnapshotsArgs {
    /// Recipients in the store, comma-separated.
    #[arg(long, value_delimiter = ',', default_values_t = [100_000],
          value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1000..=100_000_000))]
    recipients: Vec<u64>,
    /// Snapshots that are built and swapped after the first; 0 to leave serving
    /// out.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(0..=100))]
    swaps: u64,
    /// Seconds for each swap at least, and for lookups without any.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    period: u64,
    /// Senders.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=1000))]
    clients: u64,
    /// Milliseconds from one lookup of a sender to the next.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    every: u64,
    /// Directory for snapshots.json and snapshots.md; made if it isn't there.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The commit that is measured, for the record.
    #[arg(long, value_name = "HASH")]
    commit: Option<String>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    match args.command {
        Some(Command::Snapshots(args)) => of_snapshots(args),
        None => of_core(args),
    }
}

#[tokio::main]
async fn of_snapshots(args: SnapshotsArgs) -> Result<()> {
    let stages = Stages::default();
    tracing_subscriber::registry().with(stages.clone()).init();
    let options = snapshots::Options {
        swaps: args.swaps as usize,
        period: Duration::from_secs(args.period),
        clients: args.clients as usize,
        every: Duration::from_millis(args.every),
    };
    let mut report = SnapshotsReport {
        date: jiff::Timestamp::now().to_string(),
        commit: args.commit,
        machine: Machine::detect(),
        sizes: Vec::new(),
    };
    for recipients in in_order(&args.recipients) {
        let size = snapshots::measure(recipients as u64, &options, &stages).await?;
        report.sizes.push(size);
        if let Some(out) = &args.out {
            report.write(out)?;
        }
    }
    print!("{}", report.to_markdown());
    Ok(())
}

fn of_core(args: Args) -> Result<()> {
    let options = report::Options {
        batches: in_order(&args.batches),
        threads: in_order(&args.threads),
        rounds: args.rounds as usize,
    };
    let mut report = Report {
        date: jiff::Timestamp::now().to_string(),
        commit: args.commit,
        machine: Machine::detect(),
        backend: Backend::detect().to_string(),
        parameter_set: params::SET.name,
        security_bits: params::SET.security_bits(),
        rounds: options.rounds,
        sizes: Vec::new(),
        published: published::POINTS.to_vec(),
    };
    for mib in in_order(&args.sizes) {
        report.sizes.push(report::measure(mib as u64, &options)?);
        // After every size, so that a long run that ends early leaves what it
        // has measured.
        if let Some(out) = &args.out {
            report.write(out)?;
        }
    }
    print!("{}", report.to_markdown());
    Ok(())
}

/// Ascending, each once.
fn in_order(values: &[u64]) -> Vec<usize> {
    let mut values: Vec<usize> = values.iter().map(|&value| value as usize).collect();
    values.sort_unstable();
    values.dedup();
    values
}
