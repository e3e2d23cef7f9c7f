//! `sotto audit`, `sotto audit chain`, `sotto audit snapshot`.

use std::cmp::Ordering;
use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use client::audit::{Audit, AuditError, AuditProgress, ChainReport, SnapshotReport};
use client::{ClientConfig, TlsRoots};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::cli::settings::{CacheArgs, LagArgs};
use crate::cli::{Connection, Failure, Outcome, watched};

/// Arguments of an audit.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct VerifyArgs {
    /// Another address of the provider, or the same through another network;
    /// may be repeated. It must show the same log, or one that is its beginning or
    /// goes on from it: how much is the same is printed.
    #[arg(long = "also", value_name = "URL")]
    also: Vec<String>,

    /// TLS certificates to believe for the addresses of --also, in PEM; without
    /// it, those for the provider.
    #[arg(long, value_name = "FILE", requires = "also")]
    also_ca: Option<PathBuf>,

    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    cache: CacheArgs,

    #[command(flatten)]
    lag: LagArgs,

    #[command(flatten)]
    connection: Connection,
}

/// What is audited.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// The log of manifests.
    Chain,
    /// The newest snapshot.
    Snapshot,
    /// Both.
    All,
}

/// What `--json` prints.
#[derive(Debug, Default, Serialize)]
struct Printed {
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<PrintedLog>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    also: Vec<PrintedVantage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    snapshot: Option<PrintedSnapshot>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
    passed: bool,
}

#[derive(Debug, Serialize)]
struct PrintedLog {
    size: u64,
    root: String,
    served: u64,
    newest: String,
}

#[derive(Debug, Serialize)]
struct PrintedVantage {
    server: String,
    size: u64,
}

#[derive(Debug, Serialize)]
struct PrintedSnapshot {
    sequence: u64,
    snapshot: String,
    buckets: u32,
    database_bytes: u64,
    records: u64,
    root: String,
}

/// Audits and prints.
///
/// # Errors
/// [`Failure::Evidence`] if the provider does not pass, others if it can't be
/// audited.
pub(super) async fn run(args: &VerifyArgs, scope: Scope) -> Result<Outcome, Failure> {
    if scope == Scope::Snapshot && !args.also.is_empty() {
        return Err(Failure::Usage(anyhow!(
            "--also compares logs, which `audit snapshot` does not read: leave one of them out"
        )));
    }
    let mut settings = args.connection.settings()?;
    args.cache.apply(&mut settings)?;
    args.lag.apply(&mut settings);
    let others = args.others(&settings.client)?;
    let audit = Audit::new(settings.client)?;
    let mut printed = Printed::default();
    let result = perform(&audit, scope, &others, &mut printed).await;
    printed.passed = result.is_ok();
    printed.refused = result.as_ref().err().map(ToString::to_string);
    printed.print(args.json)?;
    match result {
        Ok(()) => Ok(Outcome::Complete),
        Err(error) if error.is_evidence() => Err(Failure::Evidence(error.into())),
        Err(error) => Err(Failure::Run(error.into())),
    }
}

async fn perform(
    audit: &Audit,
    scope: Scope,
    others: &[ClientConfig],
    printed: &mut Printed,
) -> Result<(), AuditError> {
    let bar = Bar::new();
    let tell = |progress| bar.show(progress);
    let mut chain = None;
    if scope != Scope::Snapshot {
        let chain = chain.insert(audit.chain(&tell).await?);
        printed.log = Some(PrintedLog::of(chain));
        for other in others {
            let head = audit.compare(chain, other).await?;
            printed.also.push(PrintedVantage {
                server: other.server.clone(),
                size: head.size,
            });
        }
    }
    if scope != Scope::Chain {
        let snapshot = audit.snapshot(chain.as_ref(), &tell).await?;
        printed.snapshot = Some(PrintedSnapshot::of(&snapshot));
    }
    Ok(())
}

impl VerifyArgs {
    /// Where else the log is read.
    fn others(&self, config: &ClientConfig) -> Result<Vec<ClientConfig>, Failure> {
        let roots = match &self.also_ca {
            None => config.roots.clone(),
            Some(path) => {
                let pem = std::fs::read(path)
                    .with_context(|| format!("cannot read {}", path.display()))
                    .map_err(Failure::Usage)?;
                TlsRoots::Only(pem)
            }
        };
        let other = |server: &String| ClientConfig {
            server: server.clone(),
            roots: roots.clone(),
            ..config.clone()
        };
        Ok(self.also.iter().map(other).collect())
    }
}

impl Printed {
    fn print(&self, json: bool) -> Result<(), Failure> {
        if json {
            let text = serde_json::to_string(self).context("JSON");
            println!("{}", text.map_err(Failure::Run)?);
            return Ok(());
        }
        if let Some(log) = &self.log {
            println!(
                "log       {} manifests, all in order, under the root {}; the provider gives out number {}",
                log.size, log.root, log.served
            );
        }
        for also in &self.also {
            let here = self.log.as_ref().map_or(also.size, |log| log.size);
            println!("also      {} {}", also.server, also.compared(here));
        }
        if let Some(snapshot) = &self.snapshot {
            println!(
                "snapshot  number {}: {} records in {} buckets; root and hint follow from the database",
                snapshot.sequence, snapshot.records, snapshot.buckets
            );
        }
        Ok(())
    }
}

impl PrintedVantage {
    /// What is known of it beside a log of so many manifests here: one of both is the
    /// beginning of the other.
    fn compared(&self, here: u64) -> String {
        let there = self.size;
        match there.cmp(&here) {
            Ordering::Equal => format!("shows the same log, {there} manifests"),
            Ordering::Less => {
                format!("shows the same log as far as it goes, {there} of {here} manifests")
            }
            Ordering::Greater => format!(
                "shows a log that goes on from this one, {there} manifests after {here} here"
            ),
        }
    }
}

impl PrintedLog {
    fn of(report: &ChainReport) -> Self {
        Self {
            size: report.head.size,
            root: report.head.root.to_string(),
            served: report.served,
            newest: report.newest.digest.to_string(),
        }
    }
}

impl PrintedSnapshot {
    fn of(report: &SnapshotReport) -> Self {
        Self {
            sequence: report.sequence,
            snapshot: report.snapshot.to_string(),
            buckets: report.buckets,
            database_bytes: report.database_bytes,
            records: report.records,
            root: report.root.to_string(),
        }
    }
}

/// A bar on a terminal; nothing elsewhere.
struct Bar(Option<ProgressBar>);

impl Bar {
    fn new() -> Self {
        if !watched() {
            return Self(None);
        }
        let bar = ProgressBar::new(0);
        // The template is a constant of the right form; the default is no worse.
        let style = ProgressStyle::with_template("{msg:<10} {wide_bar} {percent}% {eta}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self(Some(bar))
    }

    fn show(&self, progress: AuditProgress) {
        let Some(bar) = &self.0 else { return };
        bar.set_message(progress.step);
        bar.set_length(progress.total);
        bar.set_position(progress.done);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
