//! Measures one size of the database.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use pir_core::Backend;
use pir_core::answer::Answer;
use pir_core::client::{Client, ColumnIndex};
use pir_core::database::DatabaseView;
use pir_core::packing::{self, PackingView};
use pir_core::params::{Params, plan};
use pir_core::query::{Batch, Query};
use pir_core::ring::DEGREE;
use pir_core::server::{Server, Workspace};
use pir_core::setup::{self, Changes, Preprocessed};
use pir_core::{Error, database, scan};
use rayon::ThreadPool;

use super::machine;
use super::record::{Cost, Pass, Setup, SizeReport, Update};
use crate::spread::Spread;
use crate::{arithmetic, bandwidth, fixture};

/// What is measured at each size.
#[derive(Clone, Debug)]
pub struct Options {
    /// Queries a pass.
    pub batches: Vec<usize>,
    /// Threads of the passes; everything else runs on one.
    pub threads: Vec<usize>,
    /// Runs of each measurement.
    pub rounds: usize,
}

/// Reads of the buffer for each bandwidth: the best counts, so few will do.
const READS: usize = 3;

/// Groups that the stages of set-up are measured on.
const STAGE_GROUPS: usize = 3;

/// Sets a database of `mib` MiB up, checks answers of every batch size on
/// every number of threads, then times passes and the client.
///
/// # Errors
///
/// Those of `pir_core`, a wrong answer, too little memory, nothing to measure.
pub fn measure(mib: u64, options: &Options) -> Result<SizeReport> {
    ensure!(!options.batches.is_empty(), "no batch size to measure");
    ensure!(
        !options.threads.is_empty(),
        "no number of threads to measure"
    );
    let params = plan::plan(mib << 20, 1)?;
    let one_thread = pool(1)?;

    machine::reset_peak_rss()?;
    let mut bytes = fixture::uniform_bytes(params.database_bytes())?;
    let database = DatabaseView::new(&params, &bytes)?;
    eprintln!("{mib} MiB: set-up");
    let (preprocessed, setup) = one_thread.install(|| set_up(database))?;
    // Read in place of those of set-up, as the server does: in huge pages.
    let packing = fixture::in_huge_pages(&preprocessed.packing)?;
    let bench = Bench {
        database,
        bytes: &bytes,
        packing: bytemuck::cast_slice(&packing),
        preprocessed: &preprocessed,
        options,
    };
    let mut passes = Vec::new();
    for &threads in &options.threads {
        pool(threads)?.install(|| bench.passes(threads, &mut passes))?;
    }
    eprintln!("{mib} MiB: client");
    let (query_ms, decrypt_ms) = one_thread.install(|| bench.client())?;
    eprintln!("{mib} MiB: update");
    drop(packing);
    let update = one_thread.install(|| update(&params, &mut bytes, preprocessed))?;

    let (costs, widths) = (params.costs(), params.widths());
    Ok(SizeReport {
        database_mib: (params.database_bytes() >> 20) as u64,
        columns: params.columns(),
        rows: params.rows(),
        query_mask_body_bits: [widths.query, widths.mask, widths.body],
        packing_bytes: costs.packing_bytes,
        upload_bytes: costs.upload_bytes,
        answer_bytes: costs.answer_bytes,
        hint_bytes: costs.hint_bytes,
        failure_log2: params.failure_log2(),
        update: Update {
            to_full: setup.total_s / update.update_s,
            ..update
        },
        setup,
        query_ms,
        decrypt_ms,
        cost: cost(&params, &passes),
        passes,
    })
}

fn pool(threads: usize) -> Result<ThreadPool> {
    Ok(rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()?)
}

/// Sets the database up on the current pool.
fn set_up(database: DatabaseView<'_>) -> Result<(Preprocessed, Setup)> {
    let params = database.params();
    let start = Instant::now();
    let preprocessed = setup::preprocess(&database, &fixture::crs_seed(), &|_| ())?;
    let total_s = start.elapsed().as_secs_f64();
    let peak_rss_bytes = machine::peak_rss_bytes()?;
    let served = params.database_bytes() + params.costs().packing_bytes;
    let (row_masks_s, aggregation_and_collapse_s) = stages(database)?;
    let setup = Setup {
        row_masks_s,
        aggregation_and_collapse_s,
        total_s,
        mib_per_core_s: params.database_bytes() as f64 / f64::from(1 << 20) / total_s,
        peak_rss_bytes,
        peak_rss_to_served: peak_rss_bytes as f64 / served as f64,
    };
    Ok((preprocessed, setup))
}

/// Seconds of the two stages of set-up for all groups.
fn stages(database: DatabaseView<'_>) -> Result<(f64, f64)> {
    let params = database.params();
    let setup = setup::Setup::new(database, &fixture::crs_seed());
    let mut workspace = setup::Workspace::new();
    let mut kept = vec![[0; DEGREE]; DEGREE];
    let share = params.costs().packing_bytes / params.groups() / size_of::<u32>();
    let mut packing = vec![0; share];
    let (mut row_masks, mut collapse) = (Vec::new(), Vec::new());
    for group in 0..params.groups().min(STAGE_GROUPS) {
        let start = Instant::now();
        setup.row_masks(group, &mut kept, &mut workspace)?;
        row_masks.push(start.elapsed().as_secs_f64());
        let start = Instant::now();
        std::hint::black_box(setup.collapse(&mut workspace, &mut packing));
        collapse.push(start.elapsed().as_secs_f64());
    }
    let all = |groups| Spread::of(groups).median * params.groups() as f64;
    Ok((all(row_masks), all(collapse)))
}

/// Gives one bucket in a thousand another content and brings the set-up up to
/// date; checks an answer from a bucket that changed and one that didn't.
fn update(params: &Params, bytes: &mut [u8], earlier: Preprocessed) -> Result<Update> {
    let changed = (params.columns() / 1000).max(1);
    for index in 0..changed {
        let column = index * params.columns() / changed;
        let start = column * params.rows() % (bytes.len() - params.rows());
        // Bytes of somewhere else in the database, so uniform ones.
        let content = bytes[start..start + params.rows()].to_vec();
        database::write_columns(params, bytes, column, &content)?;
    }
    let view = DatabaseView::new(params, bytes)?;
    let start = Instant::now();
    let pieces = fixture::pieces(params.database_bytes());
    let changes = Changes::since(&view, pieces)?.context("too many changes")?;
    let compare_s = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let updated = setup::update(earlier, &changes, &view, &fixture::crs_seed(), &|_| ())?;
    let update_s = start.elapsed().as_secs_f64();
    fixture::check(view, &updated, &[0, 1, params.columns() as u32 - 1])?;
    Ok(Update {
        buckets: changed,
        digits: changes.digits(),
        compare_s,
        update_s,
        to_full: f64::NAN,
    })
}

/// A database that has been set up.
struct Bench<'a> {
    database: DatabaseView<'a>,
    bytes: &'a [u8],
    packing: &'a [u32],
    preprocessed: &'a Preprocessed,
    options: &'a Options,
}

impl Bench<'_> {
    /// Checks, then times all batch sizes on the current pool.
    fn passes(&self, threads: usize, passes: &mut Vec<Pass>) -> Result<()> {
        let params = self.database.params();
        let label = format!("{} MiB, threads: {threads}", params.database_bytes() >> 20);
        eprintln!("{label}: checking answers");
        for &batch in &self.options.batches {
            fixture::check(self.database, self.preprocessed, &self.columns(batch))?;
        }
        let mut before = bandwidth::read_bytes_per_second(self.bytes, READS);
        for &batch in &self.options.batches {
            eprintln!("{label}, queries a pass: {batch}");
            let (queries, _) = fixture::queries(params, &self.columns(batch))?;
            let times = self.times(&queries)?;
            let after = bandwidth::read_bytes_per_second(self.bytes, READS);
            passes.push(times.pass(params, threads, batch, before.max(after)));
            before = after;
        }
        Ok(())
    }

    /// Columns that are looked up, from first to last.
    fn columns(&self, count: usize) -> Vec<u32> {
        let last = self.database.params().columns() - 1;
        let steps = count.saturating_sub(1).max(1);
        (0..count).map(|i| (i * last / steps) as u32).collect()
    }

    fn times(&self, queries: &[Query]) -> Result<Times> {
        let params = self.database.params();
        let (backend, rounds) = (Backend::detect(), self.options.rounds);
        let matrices = PackingView::new(params, self.packing)?;
        let server = Server::new(self.database, self.packing)?;
        let batch = Batch::new(params, queries)?;
        let mut workspace = Workspace::default();
        server.answer_with(&mut workspace, queries)?;
        Ok(Times {
            limit: arithmetic::limit_bytes_per_second(READS),
            scan: Spread::seconds(rounds, || scan::scan(backend, &self.database, batch)),
            packing: Spread::seconds(rounds, || packing::pack(backend, matrices, batch)),
            pass: Spread::seconds(rounds, || {
                server.answer_with(&mut workspace, queries).map(<[_]>::len)
            }),
        })
    }

    /// Milliseconds to prepare a query and to decrypt an answer.
    fn client(&self) -> Result<(Spread, Spread)> {
        let params = self.database.params();
        let column = params.columns() as u32 - 1;
        let client = Client::new(params, &fixture::crs_seed());
        let mut prepared = Vec::new();
        let query = Spread::seconds(self.options.rounds, || {
            prepared.push(client.prepare(ColumnIndex::from(column)));
        });
        // All are timed on the answer to one: decryption takes the same time
        // whether it has the right secret or not.
        let (queries, _) = fixture::queries(params, &[column])?;
        let server = Server::new(self.database, self.preprocessed.packing.as_slice())?;
        let answer = server.answer(&queries)?.remove(0).encode();
        let mut pending = Vec::new();
        for query in prepared {
            pending.push(query?.send().1);
        }
        let mut pending = pending.into_iter();
        let mut failed: Option<Error> = None;
        let decrypt = Spread::seconds(self.options.rounds, || {
            let decrypted = Answer::decode(params, &answer).and_then(|answer| {
                pending
                    .next()
                    .map(|pending| pending.decrypt(&self.preprocessed.hint, &answer))
                    .transpose()
            });
            failed = decrypted.err();
        });
        match failed {
            Some(error) => Err(error.into()),
            None => Ok((query.times(1e3), decrypt.times(1e3))),
        }
    }
}

/// Seconds of passes with one number of queries.
struct Times {
    /// The scan's arithmetic limit, bytes a second.
    limit: Option<f64>,
    scan: Spread,
    packing: Spread,
    pass: Spread,
}

impl Times {
    fn pass(&self, params: &Params, threads: usize, batch: usize, read: f64) -> Pass {
        let database = params.database_bytes() as f64;
        let packing = params.costs().packing_bytes as f64;
        let effective = |seconds: Spread, bytes: f64| seconds.rate(bytes * batch as f64 / 1e9);
        let read_gbps = read / 1e9;
        let scan_gbps = effective(self.scan, database);
        let packing_gbps = effective(self.packing, packing);
        let pass_gbps = effective(self.pass, database + packing);
        Pass {
            threads,
            batch,
            read_gbps,
            scan_gbps,
            scan_to_read: scan_gbps.median / read_gbps,
            limit_gbps: self.limit.map(|limit| limit / 1e9),
            scan_to_limit: self.limit.map(|limit| scan_gbps.median * 1e9 / limit),
            packing_gbps,
            packing_to_read: packing_gbps.median / read_gbps,
            pass_ms: self.pass.times(1e3),
            pass_gbps,
            pass_to_read: pass_gbps.median / read_gbps,
            queries_per_s: self.pass.rate(batch as f64),
        }
    }
}

/// The cost at the cheapest pass.
fn cost(params: &Params, passes: &[Pass]) -> Cost {
    let core_seconds =
        |pass: &Pass| pass.threads as f64 * pass.pass_ms.median / 1e3 / pass.batch as f64;
    let cheapest = passes
        .iter()
        .min_by(|a, b| core_seconds(a).total_cmp(&core_seconds(b)));
    let core_seconds_per_lookup = cheapest.map_or(f64::NAN, core_seconds);
    let costs = params.costs();
    Cost {
        threads: cheapest.map_or(0, |pass| pass.threads),
        batch: cheapest.map_or(0, |pass| pass.batch),
        core_seconds_per_lookup,
        core_hours_per_million: core_seconds_per_lookup * 1e6 / 3600.0,
        traffic_gb_per_million: (costs.upload_bytes + costs.answer_bytes) as f64 * 1e6 / 1e9,
    }
}
