//! Measures the PIR core on a database of uniform bytes, beside the machine's
//! own read bandwidth, in one run.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use benches::{bandwidth, fixture};
use clap::Parser;
use pir_core::Backend;
use pir_core::answer::Answer;
use pir_core::client::{Client, ColumnIndex};
use pir_core::database::DatabaseView;
use pir_core::packing::{self, PackingView};
use pir_core::params::{self, plan};
use pir_core::query::Batch;
use pir_core::{scan, setup};
use serde::Serialize;

/// Measure scan, packing, set-up, query and decryption at one database size.
///
/// Every answer is checked before anything is timed. Speeds are medians; the
/// read bandwidth is the best of several plain reads in the same run.
#[derive(Parser)]
struct Args {
    /// Size of the database in MiB.
    #[arg(long, default_value_t = 1024)]
    db_mib: u64,
    /// Where to write the figures as JSON.
    #[arg(long)]
    out: Option<PathBuf>,
    /// The commit that is measured, for the record.
    #[arg(long)]
    commit: Option<String>,
    /// Runs of each measurement; the median counts.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
}

#[derive(Serialize)]
struct Report {
    date: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<String>,
    machine: String,
    backend: String,
    db_mib: u64,
    columns: usize,
    rows: usize,
    query_bits: u32,
    mask_bits: u32,
    body_bits: u32,
    failure_log2: f64,
    security_bits: u32,
    read_gbps_1t: f64,
    scan_1q_gbps_1t: f64,
    scan_1q_to_read: f64,
    scan_4q_effective_gbps_1t: f64,
    scan_8q_effective_gbps_1t: f64,
    packing_gbps_1t: f64,
    packing_8q_effective_gbps_1t: f64,
    row_masks_s_1t: f64,
    aggregation_and_collapse_s_1t: f64,
    setup_s_1t: f64,
    setup_mib_per_core_s: f64,
    query_ms: f64,
    decrypt_ms: f64,
    upload_bytes: usize,
    answer_bytes: usize,
    hint_bytes: usize,
    packing_bytes: usize,
    peak_rss_bytes: u64,
    peak_rss_to_database: f64,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    let report = pool.install(|| measure(&args))?;
    let json = serde_json::to_value(&report)?;
    for (name, value) in json.as_object().into_iter().flatten() {
        match value.as_f64() {
            Some(number) if value.is_f64() => println!("{name:32} {number:>16.3}"),
            _ => println!("{name:32} {:>16}", value.to_string().trim_matches('"')),
        }
    }
    if let Some(out) = &args.out {
        let text = serde_json::to_string_pretty(&json)? + "\n";
        fs::write(out, text).with_context(|| format!("can't write {}", out.display()))?;
    }
    Ok(())
}

fn measure(args: &Args) -> Result<Report> {
    let params = plan::plan(args.db_mib << 20, 1)?;
    let costs = params.costs();
    let seed = fixture::crs_seed();
    let size = params.database_bytes() as f64;
    let backend = Backend::detect();
    eprintln!(
        "database: {} columns of {} bytes",
        params.columns(),
        params.rows()
    );
    let bytes = fixture::uniform_bytes(params.database_bytes());
    let database = DatabaseView::new(&params, &bytes)?;

    eprintln!("set-up");
    let start = Instant::now();
    let preprocessed = setup::preprocess(&database, &seed, &|_| ())?;
    let setup_s = start.elapsed().as_secs_f64();
    let peak_rss_bytes = peak_rss_bytes()?;

    let (row_masks_s, collapse_s) = stages(database, args.rounds)?;

    eprintln!("checking answers");
    let last = params.columns() as u32 - 1;
    fixture::check(database, &preprocessed, &[0, last / 3, last])?;

    eprintln!("scan and packing");
    let read = bandwidth::read_bytes_per_second(&bytes, args.rounds.min(3));
    let columns: Vec<u32> = (0..8).map(|i| i * (last / 8)).collect();
    let (queries, _) = fixture::queries(&params, &columns)?;
    let matrices = PackingView::new(&params, preprocessed.packing.as_slice())?;
    let scanned = |count: usize| -> Result<f64> {
        let batch = Batch::new(&params, &queries[..count])?;
        let seconds = median(args.rounds, || scan::scan(backend, &database, batch));
        Ok(size * count as f64 / seconds / 1e9)
    };
    let packed = |count: usize| -> Result<f64> {
        let batch = Batch::new(&params, &queries[..count])?;
        let seconds = median(args.rounds, || packing::pack(backend, matrices, batch));
        Ok(costs.packing_bytes as f64 * count as f64 / seconds / 1e9)
    };
    let (scan_1q, scan_4q, scan_8q) = (scanned(1)?, scanned(4)?, scanned(8)?);
    let (packing_1q, packing_8q) = (packed(1)?, packed(8)?);
    let read = read.max(bandwidth::read_bytes_per_second(&bytes, args.rounds.min(3))) / 1e9;

    eprintln!("client");
    let client = Client::new(&params, &seed);
    let mut prepared = Vec::new();
    let query_s = median(args.rounds, || {
        prepared.push(client.prepare(ColumnIndex::from(last)));
    });
    let answer = {
        let server = pir_core::server::Server::new(database, preprocessed.packing.as_slice())?;
        server.answer(&queries[..1])?.remove(0).encode()
    };
    let mut prepared = prepared.into_iter();
    let mut failed = None;
    let decrypt_s = median(args.rounds, || {
        let decrypted = prepared.next().transpose().and_then(|query| {
            let answer = Answer::decode(&params, &answer)?;
            query
                .map(|q| q.send().1.decrypt(&preprocessed.hint, &answer))
                .transpose()
        });
        failed = decrypted.err();
    });
    if let Some(error) = failed {
        return Err(error.into());
    }

    let widths = params.widths();
    Ok(Report {
        date: jiff::Timestamp::now().to_string(),
        commit: args.commit.clone(),
        machine: machine(),
        backend: backend.to_string(),
        db_mib: (params.database_bytes() >> 20) as u64,
        columns: params.columns(),
        rows: params.rows(),
        query_bits: widths.query,
        mask_bits: widths.mask,
        body_bits: widths.body,
        failure_log2: params.failure_log2(),
        security_bits: params::SET.security_bits(),
        read_gbps_1t: read,
        scan_1q_gbps_1t: scan_1q,
        scan_1q_to_read: scan_1q / read,
        scan_4q_effective_gbps_1t: scan_4q,
        scan_8q_effective_gbps_1t: scan_8q,
        packing_gbps_1t: packing_1q,
        packing_8q_effective_gbps_1t: packing_8q,
        row_masks_s_1t: row_masks_s * params.groups() as f64,
        aggregation_and_collapse_s_1t: collapse_s * params.groups() as f64,
        setup_s_1t: setup_s,
        setup_mib_per_core_s: size / f64::from(1 << 20) / setup_s,
        query_ms: query_s * 1e3,
        decrypt_ms: decrypt_s * 1e3,
        upload_bytes: costs.upload_bytes,
        answer_bytes: costs.answer_bytes,
        hint_bytes: costs.hint_bytes,
        packing_bytes: costs.packing_bytes,
        peak_rss_bytes,
        peak_rss_to_database: peak_rss_bytes as f64 / size,
    })
}

/// Seconds of the two stages of set-up for one group.
fn stages(database: DatabaseView<'_>, rounds: usize) -> Result<(f64, f64)> {
    let setup = setup::Setup::new(database, &fixture::crs_seed());
    let mut workspace = setup::Workspace::new();
    let mut failed = None;
    let rounds = rounds.min(3);
    let row_masks = median(rounds, || failed = setup.row_masks(0, &mut workspace).err());
    if let Some(error) = failed {
        return Err(error.into());
    }
    let share = database.params().costs().packing_bytes / database.params().groups() / 4;
    let mut packing = vec![0; share];
    // The stage uses its input up, so what it reads from the second round on
    // is not a row mask; its work is the same.
    let collapse = median(rounds, || setup.collapse(&mut workspace, &mut packing));
    Ok((row_masks, collapse))
}

/// Median seconds of `rounds` runs.
fn median<T>(rounds: usize, mut run: impl FnMut() -> T) -> f64 {
    let mut seconds: Vec<f64> = (0..rounds.max(1))
        .map(|_| {
            let start = Instant::now();
            std::hint::black_box(run());
            start.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

/// Largest resident set of this process so far, from the kernel.
fn peak_rss_bytes() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status").context("can't read /proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    let kib: u64 = kib.context("no VmHWM in /proc/self/status")?.parse()?;
    Ok(kib * 1024)
}

/// Processor model and number of threads.
fn machine() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("unknown", |m| m.trim_start_matches([' ', '\t', ':']));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{model}, {threads} threads")
}
