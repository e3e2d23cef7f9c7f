//! Measures the PIR core on databases of uniform bytes, beside the machine's
//! own read bandwidth, in one run; writes tables, JSON and plots.

use std::path::PathBuf;

use anyhow::Result;
use benches::report::{self, Report, machine::Machine, published};
use clap::Parser;
use pir_core::query::MAX_BATCH;
use pir_core::{Backend, params};

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
    after_help = "Examples:\n  \
        report                                        a quick look: 256 MiB and 1 GiB\n  \
        report --sizes 64 --batches 1,4 --rounds 3    seconds, to see that it works\n  \
        report --sizes 256,1024,4096,8192 --commit HASH --out benches/record/DATE\n                                                \
        everything, for the record"
)]
struct Args {
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

fn main() -> Result<()> {
    let args = Args::parse();
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
