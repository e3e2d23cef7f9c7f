//! The figures of a report, their units, and the files that keep them.

use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;
use server::durable;

use super::machine::Machine;
use super::published::Published;
use super::{plots, table};
use crate::spread::Spread;

/// Everything that a run has measured.
#[derive(Debug, Serialize)]
pub struct Report {
    /// When the run began, RFC 3339.
    pub date: String,
    /// What was measured, as the caller states it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Where.
    pub machine: Machine,
    /// The kernels' instruction set.
    pub backend: String,
    /// Named parameter set.
    pub parameter_set: &'static str,
    /// Bits of security of the set.
    pub security_bits: u32,
    /// Runs of each measurement.
    pub rounds: usize,
    /// By size of the database.
    pub sizes: Vec<SizeReport>,
    /// What others have published, not measured here.
    pub published: Vec<Published>,
}

/// One size of the database.
#[derive(Debug, Serialize)]
pub struct SizeReport {
    /// Bytes of the database, in MiB.
    pub database_mib: u64,
    /// Buckets.
    pub columns: usize,
    /// Bytes of a bucket.
    pub rows: usize,
    /// Bits of a query element, a mask element and an answer element.
    pub query_mask_body_bits: [u32; 3],
    /// Bytes of the packing matrices.
    pub packing_bytes: usize,
    /// Bytes of a query.
    pub upload_bytes: usize,
    /// Bytes of an answer.
    pub answer_bytes: usize,
    /// Bytes of the hint, downloaded once for each state of the database.
    pub hint_bytes: usize,
    /// log2 of the bound on the probability that a lookup goes wrong.
    pub failure_log2: f64,
    /// Set-up on one thread.
    pub setup: Setup,
    /// Set-up again after a small change, on one thread.
    pub update: Update,
    /// Preparing a query, ms on one thread.
    pub query_ms: Spread,
    /// Decrypting an answer, ms on one thread.
    pub decrypt_ms: Spread,
    /// What lookups cost.
    pub cost: Cost,
    /// Passes, by number of threads and queries.
    pub passes: Vec<Pass>,
}

/// Set-up of a database on one thread.
#[derive(Debug, Serialize)]
pub struct Setup {
    /// Row masks, of up to three groups scaled to all, seconds.
    pub row_masks_s: f64,
    /// Aggregation and collapse, of up to three groups scaled to all, seconds.
    pub aggregation_and_collapse_s: f64,
    /// All of one run, derivation of the CRS and allocation included, seconds.
    pub total_s: f64,
    /// Database over `total_s`.
    pub mib_per_core_s: f64,
    /// Largest resident set, database included.
    pub peak_rss_bytes: u64,
    /// The same over what is served: database and packing matrices.
    pub peak_rss_to_served: f64,
}

/// Set-up of a database in which one bucket in a thousand changed, from that of
/// the database before.
#[derive(Debug, Serialize)]
pub struct Update {
    /// Buckets whose whole content changed.
    pub buckets: usize,
    /// Bytes that changed.
    pub digits: usize,
    /// Finding them, making the earlier database's bytes again included, seconds.
    pub compare_s: f64,
    /// The update, seconds.
    pub update_s: f64,
    /// How many updates take as long as a full set-up.
    pub to_full: f64,
}

/// What lookups cost at the best of the measured batch sizes.
#[derive(Debug, Serialize)]
pub struct Cost {
    /// Threads of the cheapest pass.
    pub threads: usize,
    /// Queries of the cheapest pass.
    pub batch: usize,
    /// threads · pass / queries.
    pub core_seconds_per_lookup: f64,
    /// The same · 10^6 / 3600.
    pub core_hours_per_million: f64,
    /// (upload + answer) · 10^6, GB (10^9 bytes).
    pub traffic_gb_per_million: f64,
}

/// Passes with one number of threads and of queries.
///
/// *Effective* rates count the matrix once for each query; ratios are to
/// `read_gbps`.
#[derive(Debug, Serialize)]
pub struct Pass {
    /// Threads.
    pub threads: usize,
    /// Queries that share the pass.
    pub batch: usize,
    /// Read bandwidth: the better of one measurement just before these passes
    /// and one just after, GB/s (10^9 bytes).
    pub read_gbps: f64,
    /// The scan, effective GB/s.
    pub scan_gbps: Spread,
    /// Its median to the read bandwidth.
    pub scan_to_read: f64,
    /// What multiplications and additions alone allow the scan, measured next to
    /// it, effective GB/s.
    pub limit_gbps: Option<f64>,
    /// The scan's median to that.
    pub scan_to_limit: Option<f64>,
    /// Packing, effective GB/s.
    pub packing_gbps: Spread,
    /// Its median to the read bandwidth.
    pub packing_to_read: f64,
    /// The whole pass, from queries to answers, ms.
    pub pass_ms: Spread,
    /// The whole pass over database and packing matrices, effective GB/s.
    pub pass_gbps: Spread,
    /// Its median to the read bandwidth.
    pub pass_to_read: f64,
    /// Answers a second.
    pub queries_per_s: Spread,
}

impl SizeReport {
    /// Bytes that a lookup sends and receives.
    #[must_use]
    pub fn lookup_bytes(&self) -> usize {
        self.upload_bytes + self.answer_bytes
    }

    /// The size as people say it.
    #[must_use]
    pub fn label(&self) -> String {
        mib_label(self.database_mib)
    }
}

/// MiB as people say it: `256 MiB`, `8 GiB`.
#[must_use]
pub fn mib_label(mib: u64) -> String {
    if mib >= 1024 && mib.is_multiple_of(1024) {
        format!("{} GiB", mib / 1024)
    } else {
        format!("{mib} MiB")
    }
}

impl Report {
    /// The report as Markdown.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        table::markdown(self)
    }

    /// Writes `report.json`, `report.md` and the plots into a directory, each
    /// whole or not at all.
    ///
    /// # Errors
    ///
    /// If a file can't be written or a plot can't be drawn.
    pub fn write(&self, directory: &Path) -> Result<()> {
        std::fs::create_dir_all(directory)
            .with_context(|| format!("can't create {}", directory.display()))?;
        let files = [
            ("report.json", serde_json::to_string_pretty(self)? + "\n"),
            ("report.md", self.to_markdown()),
            ("throughput-size.svg", plots::throughput_by_size(self)?),
            ("throughput-batch.svg", plots::throughput_by_batch(self)?),
            ("communication.svg", plots::communication(self)?),
        ];
        for (name, content) in files {
            durable::replace(&directory.join(name), durable::PUBLIC, content.as_bytes())?;
        }
        Ok(())
    }
}
