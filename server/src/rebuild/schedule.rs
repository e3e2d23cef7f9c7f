//! When snapshots are built, and when the one before is retired.

use std::time::Duration;

use rand::RngExt as _;
use tokio::signal::unix::Signal;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::{Instant, sleep_until};

use super::retirement::Retirement;
use super::{RebuildError, Rebuilder, Rebuilt, When};
use crate::config::Config;
use crate::metrics::{Metrics, PANICKED, SERVED};

/// How often it is looked whether enough has changed.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Time from a build that failed to the next, unless the interval is over before.
const AFTER_FAILURE: Duration = Duration::from_secs(60);

/// For how long the snapshot before is served where none is built by itself.
const BEFORE_WITHOUT_INTERVAL: Duration = Duration::from_secs(900);

/// When to build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Time from the beginning of a build to the next; `None` for builds on SIGHUP
    /// alone.
    pub every: Option<Duration>,
    /// Changes that are not waited with; 0 for any number.
    pub after_changes: u64,
}

impl Schedule {
    /// What a configuration says.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        Self {
            every: config.snapshot.interval(),
            after_changes: config.snapshot.after_changes,
        }
    }

    /// How long the snapshot before is served: an interval less than two are over
    /// then since the first removal that it doesn't have, if a build takes no
    /// longer than the half of one.
    pub(super) fn before(&self) -> Duration {
        self.every
            .map_or(BEFORE_WITHOUT_INTERVAL, |every| every / 2)
    }

    /// When the build after one that began then begins, however long that one takes: a
    /// little early, so that servers that were started together don't build together.
    fn next(&self, begun: Instant) -> Option<Instant> {
        let every = self.every?;
        Some(begun + every.mul_f64(rand::rng().random_range(0.9..=1.0)))
    }
}

/// Builds when it is due, and on SIGHUP after reading trust list, senders and
/// quotas again.
pub async fn keep_fresh(rebuilder: Rebuilder, schedule: Schedule, mut hangup: Signal) {
    let mut when = When::Due;
    let mut retirement = Retirement::new(&rebuilder, schedule);
    loop {
        let begun = Instant::now();
        let mut next = schedule.next(begun);
        let of_task = rebuilder.clone();
        let ended = retirement.beside(spawn_blocking(move || of_task.run(when)));
        let ended = ended.await;
        let told = tell(rebuilder.state.metrics(), ended, begun);
        let mut changes_from = Instant::now();
        match told {
            Told::Served => retirement.begin(),
            Told::Nothing => {}
            Told::Failed => {
                changes_from += AFTER_FAILURE;
                next = Some(next.map_or(changes_from, |next| next.min(changes_from)));
            }
        }
        when = loop {
            tokio::select! {
                () = at(next) => break When::Due,
                () = retirement.due() => {}
                () = enough(&rebuilder, schedule.after_changes, changes_from) => break When::Due,
                _ = hangup.recv() => {
                    rebuilder.reload_and_tell();
                    break When::Now;
                }
            }
        };
    }
}

/// Waits until then, or for ever.
pub(super) async fn at(then: Option<Instant>) {
    match then {
        Some(then) => sleep_until(then).await,
        None => std::future::pending().await,
    }
}

/// Waits until so much has changed since the served snapshot was built, without
/// looking before `from`.
async fn enough(rebuilder: &Rebuilder, changes: u64, from: Instant) {
    if changes == 0 {
        return std::future::pending().await;
    }
    sleep_until(from).await;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let of_task = rebuilder.clone();
        match spawn_blocking(move || of_task.changes()).await {
            Ok(Ok(found)) if found >= changes => return,
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::error!(%error, "how much has changed is not known"),
            Err(_) => tracing::error!("looking at the store panicked"),
        }
    }
}

/// What was told of a rebuild.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// There is another snapshot now.
    Served,
    Nothing,
    Failed,
}

/// Logs and counts what it came to.
pub(super) fn tell(
    metrics: &Metrics,
    ended: Result<Result<Rebuilt, RebuildError>, JoinError>,
    begun: Instant,
) -> Told {
    match ended {
        Ok(Ok(Rebuilt::Served(id))) => {
            let milliseconds = begun.elapsed().as_millis() as u64;
            tracing::info!(snapshot = %id, milliseconds, "serving a new snapshot");
            metrics.rebuilt(SERVED);
            Told::Served
        }
        Ok(Ok(Rebuilt::UpToDate | Rebuilt::Empty)) => Told::Nothing,
        Ok(Err(error)) => {
            tracing::error!(%error, "no new snapshot");
            metrics.rebuilt(error.kind());
            Told::Failed
        }
        Err(_) => {
            tracing::error!("the build panicked");
            metrics.rebuilt(PANICKED);
            Told::Failed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_build_begins_an_interval_after_the_last_began_or_up_to_a_tenth_earlier() {
        let every = Duration::from_secs(1000);
        let schedule = Schedule {
            every: Some(every),
            after_changes: 0,
        };
        let begun = Instant::now();
        let waits = (0..2000).filter_map(|_| schedule.next(begun));
        let waits: Vec<Duration> = waits.map(|next| next - begun).collect();
        assert_eq!(waits.len(), 2000);
        let least = waits.iter().min().unwrap();
        let most = waits.iter().max().unwrap();
        assert!(*least >= every * 9 / 10 && *most <= every);
        // And spread over all of that.
        assert!(*least < every * 92 / 100 && *most > every * 98 / 100);
        assert_eq!(schedule.before(), every / 2);
    }

    #[test]
    fn without_an_interval_no_build_is_due_by_itself() {
        let schedule = Schedule {
            every: None,
            after_changes: 5,
        };
        assert_eq!(schedule.next(Instant::now()), None);
        assert_eq!(schedule.before(), BEFORE_WITHOUT_INTERVAL);
        let mut config = Config::default();
        config.snapshot.interval_secs = 7;
        config.snapshot.after_changes = 5;
        let expected = Schedule {
            every: Some(Duration::from_secs(7)),
            ..schedule
        };
        assert_eq!(Schedule::of(&config), expected);
        config.snapshot.interval_secs = 0;
        assert_eq!(Schedule::of(&config), schedule);
    }
}
