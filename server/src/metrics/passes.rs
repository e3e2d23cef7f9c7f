//! Passes over the database.

use std::time::Duration;

use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::{plain, seconds};

/// How long passes take, and how many queries share one.
#[derive(Clone, Debug)]
pub struct Passes {
    seconds: Histogram,
    queries: Histogram,
}

impl Passes {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let passes = Self::default();
        Self {
            seconds: seconds(
                registry,
                "pass",
                "How long passes over the database take",
                passes.seconds,
            ),
            queries: plain(
                registry,
                "pass_queries",
                "Queries that a pass over the database answers",
                passes.queries,
            ),
        }
    }

    /// A pass for so many queries has ended.
    pub fn ended(&self, queries: usize, took: Duration) {
        self.seconds.observe(took.as_secs_f64());
        self.queries.observe(queries as f64);
    }
}

impl Default for Passes {
    fn default() -> Self {
        let seconds = [
            0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
        ];
        Self {
            seconds: Histogram::new(seconds),
            queries: Histogram::new([1.0, 2.0, 4.0, 8.0, 16.0]),
        }
    }
}
