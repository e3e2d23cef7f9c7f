//! The end of the snapshot before the served one.

use protocol::manifest::SnapshotId;
use tokio::task::{JoinError, JoinHandle, spawn_blocking};
use tokio::time::Instant;

use super::Rebuilder;
use super::schedule::{Schedule, at};

/// When the snapshot before is served no more, whatever else goes on.
#[derive(Debug)]
pub(super) struct Retirement<'a> {
    rebuilder: &'a Rebuilder,
    schedule: Schedule,
    /// A snapshot of before the start is alone.
    next: Option<(Instant, SnapshotId)>,
}

impl<'a> Retirement<'a> {
    pub(super) fn new(rebuilder: &'a Rebuilder, schedule: Schedule) -> Self {
        Self {
            rebuilder,
            schedule,
            next: None,
        }
    }

    /// Counts from now, when another one is served.
    pub(super) fn begin(&mut self) {
        let before = self.rebuilder.state.snapshot_before();
        self.next = before.map(|before| (Instant::now() + self.schedule.before(), before.id()));
    }

    /// Waits until it is due, and retires that snapshot. Nothing is lost if it is not
    /// waited for to the end.
    pub(super) async fn due(&mut self) {
        at(self.next.map(|(then, _)| then)).await;
        let Some((_, id)) = self.next.take() else {
            return;
        };
        let rebuilder = self.rebuilder.clone();
        let retire = move || {
            // Work that ended meanwhile may have made another one the one before.
            let before = rebuilder.state.snapshot_before();
            if before.is_some_and(|before| before.id() == id) {
                rebuilder.retire_before();
            }
        };
        let _ = spawn_blocking(retire).await;
    }

    /// Waits for work that may take longer than that.
    pub(super) async fn beside<T>(&mut self, mut work: JoinHandle<T>) -> Result<T, JoinError> {
        loop {
            tokio::select! {
                ended = &mut work => return ended,
                () = self.due() => {}
            }
        }
    }
}
