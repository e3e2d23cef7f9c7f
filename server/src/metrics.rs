//! Counters and gauges for the operator, as OpenMetrics text.
//!
//! Each place that has something to tell calls a method here, so that this file and
//! `scrape` are all there is to read to know what is told. A label is a route, a
//! method, a kind of outcome or a stage: never a sender, and nothing that depends on
//! what a request holds.

mod endpoint;
mod passes;
mod scrape;
mod waiting;

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use axum::http::Method;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry, Unit};
use protocol::problem::ProblemType;
use protocol::time::UnixTime;

pub use endpoint::serve;
pub use passes::Passes;

use crate::rebuild::RebuildError;
use scrape::Gauges;

/// A gauge of whole numbers.
type Whole = Gauge<u64, AtomicU64>;

/// What each URN of a problem begins with.
const URN: &str = "urn:sotto:problem:";

/// A method or route that there is none of here.
const OTHER: &str = "other";

/// The outcome of a rebuild whose snapshot is served.
pub const SERVED: &str = "served";

/// The outcome of a rebuild that panicked.
pub const PANICKED: &str = "panicked";

/// The interval for the sizes of removals' buckets where there is none.
const USUAL_INTERVAL: Duration = Duration::from_secs(3600);

/// All that is counted and measured of a server that runs.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<Request, Counter>,
    evaluations: Counter,
    passes: Passes,
    removals: Histogram,
    rebuilds: Family<Outcome, Counter>,
    rebuilding: Whole,
    stages: Family<StageLabel, Gauge<f64, AtomicU64>>,
    faults: Counter,
    served_since: Whole,
    gauges: Gauges,
}

/// A stage of a rebuild.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Building from the store, writing, and publishing to the storage.
    Build,
    /// Reading, verifying and trying, until it is served.
    Load,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    method: &'static str,
    route: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StageLabel {
    stage: &'static str,
}

/// A rebuild that runs until this is dropped.
#[derive(Debug)]
pub struct Rebuilding(Whole);

impl Metrics {
    /// For a server that builds every `interval`, if it does: removals have twice that
    /// to leave what is served.
    #[must_use]
    pub fn new(interval: Option<Duration>) -> Self {
        let mut registry = Registry::default();
        let gauges = Gauges::register(&mut registry);
        let sotto = registry.sub_registry_with_prefix("sotto");
        if let Some(interval) = interval {
            let bound = seconds(
                sotto,
                "removal_bound",
                "What a removal takes at most: two intervals",
                Gauge::<f64, AtomicU64>::default(),
            );
            bound.set(2.0 * interval.as_secs_f64());
        }
        Self {
            removals: seconds(
                sotto,
                "removal",
                "From the acceptance of a removal until nothing that is served has what it removed",
                removal_buckets(interval.unwrap_or(USUAL_INTERVAL)),
            ),
            requests: plain(
                sotto,
                "requests",
                "Requests that were answered, by outcome: ok or the type of problem",
                Family::default(),
            ),
            evaluations: plain(
                sotto,
                "oprf_evaluations",
                "Elements that the OPRF evaluated",
                Counter::default(),
            ),
            passes: Passes::register(sotto),
            faults: plain(
                sotto,
                "faults",
                "Queries that were not answered because their pass failed its check",
                Counter::default(),
            ),
            rebuilds: plain(
                sotto,
                "rebuilds",
                "Snapshots that were built or taken over, and failures to, by kind",
                rebuild_outcomes(),
            ),
            rebuilding: plain(
                sotto,
                "rebuild_running",
                "1 while a snapshot is built or taken over",
                Whole::default(),
            ),
            stages: seconds(
                sotto,
                "rebuild_stage",
                "How long each stage of the last rebuild took",
                Family::default(),
            ),
            served_since: seconds(
                sotto,
                "snapshot_served_since_timestamp",
                "When the newest served snapshot began to be served, 0 if none did",
                Whole::default(),
            ),
            gauges,
            registry,
        }
    }

    /// A request was answered. `route` is the pattern that it matched, never its path.
    pub fn answered(&self, method: &Method, route: Option<&str>, problem: Option<ProblemType>) {
        let request = Request {
            method: match *method {
                Method::GET => "GET",
                Method::HEAD => "HEAD",
                Method::POST => "POST",
                Method::PUT => "PUT",
                Method::DELETE => "DELETE",
                _ => OTHER,
            },
            route: route.unwrap_or(OTHER).to_owned(),
            outcome: problem.map_or("ok", |problem| problem.urn().trim_start_matches(URN)),
        };
        self.requests.get_or_create(&request).inc();
    }

    /// So many elements were evaluated.
    pub fn evaluated(&self, elements: usize) {
        self.evaluations.inc_by(elements as u64);
    }

    /// Where the passes over the database are counted.
    pub fn passes(&self) -> Passes {
        self.passes.clone()
    }

    /// A query was not answered because its pass failed its check.
    pub fn fault(&self) {
        self.faults.inc();
    }

    /// A removal has left everything that is served, so long after it was accepted.
    pub fn removed(&self, secs: u64) {
        self.removals.observe(secs as f64);
    }

    /// Another snapshot is served from now on.
    pub fn swapped(&self, now: UnixTime) {
        self.served_since.set(now.as_secs());
    }

    /// A rebuild begins.
    #[must_use]
    pub fn rebuilding(&self) -> Rebuilding {
        self.rebuilding.set(1);
        Rebuilding(self.rebuilding.clone())
    }

    /// A stage of a rebuild is over.
    pub fn stage(&self, stage: Stage, took: Duration) {
        let stage = StageLabel {
            stage: match stage {
                Stage::Build => "build",
                Stage::Load => "load",
            },
        };
        self.stages.get_or_create(&stage).set(took.as_secs_f64());
    }

    /// A rebuild came to this: [`SERVED`], [`PANICKED`] or one of
    /// [`RebuildError::KINDS`].
    pub fn rebuilt(&self, outcome: &'static str) {
        self.rebuilds.get_or_create(&Outcome { outcome }).inc();
    }
}

impl Drop for Rebuilding {
    fn drop(&mut self) {
        self.0.set(0);
    }
}

/// Registers a metric under its name.
fn plain<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}

/// Registers a metric of seconds; its name gets that at its end.
fn seconds<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register_with_unit(name, help, Unit::Seconds, metric.clone());
    metric
}

/// One bucket ends at the bound, two intervals, to the second.
fn removal_buckets(interval: Duration) -> Histogram {
    let interval = interval.as_secs_f64();
    let intervals = [0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 3.0, 4.0, 8.0];
    Histogram::new(intervals.map(|intervals| intervals * interval))
}

/// All from zero, so that the first failure is an increase.
fn rebuild_outcomes() -> Family<Outcome, Counter> {
    let outcomes = Family::<Outcome, Counter>::default();
    for outcome in [SERVED, PANICKED].into_iter().chain(RebuildError::KINDS) {
        drop(outcomes.get_or_create(&Outcome { outcome }));
    }
    outcomes
}

#[cfg(test)]
mod tests;
