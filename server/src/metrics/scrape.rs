//! What is looked up when the text is asked for.

use std::sync::{Arc, Mutex, TryLockError};
use std::time::Duration;

use prometheus_client::encoding::text;
use prometheus_client::registry::{Registry, Unit};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::waiting::Waiting;
use super::{Metrics, Whole, plain, seconds};
use crate::http::AppState;
use crate::memory;
use crate::store::StoreError;

/// How long the store has to say what is waiting: less than a scraper waits.
const STORE_PATIENCE: Duration = Duration::from_secs(2);

/// Those that are set when the text is asked for.
#[derive(Debug)]
pub(super) struct Gauges {
    ready: Whole,
    queue_length: Whole,
    snapshots_served: Whole,
    sequence: Whole,
    published: Whole,
    expires: Whole,
    changes_waiting: Whole,
    removal_waiting_since: Whole,
    store_up: Whole,
    resident: Whole,
    waiting: Arc<Mutex<Waiting>>,
}

/// What the store has that isn't served.
struct Unserved {
    changes: u64,
    removal_since_secs: u64,
}

impl Gauges {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let resident = Whole::default();
        // The name that others' programs have for it.
        registry.register_with_unit(
            "process_resident_memory",
            "Memory that the process has",
            Unit::Bytes,
            resident.clone(),
        );
        let sotto = registry.sub_registry_with_prefix("sotto");
        let new = Whole::default;
        Self {
            ready: plain(sotto, "ready", "1 if requests are welcome", new()),
            queue_length: plain(sotto, "queue_length", "Queries that wait for a pass", new()),
            snapshots_served: plain(
                sotto,
                "snapshots_served",
                "Snapshots that are served: the newest and for a time the one before",
                new(),
            ),
            sequence: plain(
                sotto,
                "snapshot_sequence",
                "Sequence number of the newest served snapshot, 0 if there is none",
                new(),
            ),
            published: seconds(
                sotto,
                "snapshot_published_timestamp",
                "When it was built, 0 if there is none",
                new(),
            ),
            expires: seconds(
                sotto,
                "snapshot_expires_timestamp",
                "When clients begin to refuse it, 0 if there is none",
                new(),
            ),
            changes_waiting: plain(
                sotto,
                "changes_waiting",
                "Accepted changes that the newest served snapshot doesn't have",
                new(),
            ),
            removal_waiting_since: seconds(
                sotto,
                "removal_waiting_since_timestamp",
                "When the first removal was accepted that something served doesn't have, 0 if none",
                new(),
            ),
            store_up: plain(
                sotto,
                "store_up",
                "1 if the store was read for this text; what waits is of an earlier one if not",
                new(),
            ),
            resident,
            waiting: Arc::default(),
        }
    }
}

impl Metrics {
    /// All of it now, as OpenMetrics text 1.0; `None` for a fault of the program.
    pub(super) async fn text(&self, state: &Arc<AppState>) -> Option<String> {
        let gauges = &self.gauges;
        let newest = state.snapshot();
        let manifest = newest.as_ref().map(|newest| newest.manifest());
        let of = |value: Option<u64>| value.unwrap_or_default();
        gauges.ready.set(state.is_ready().into());
        gauges.queue_length.set(state.waiting_queries() as u64);
        let before = state.snapshot_before();
        let served = [newest.is_some(), before.is_some()];
        gauges
            .snapshots_served
            .set(served.map(u64::from).iter().sum());
        gauges
            .sequence
            .set(of(manifest.map(|manifest| manifest.sequence)));
        let published = manifest.map(|manifest| manifest.published_at.as_secs());
        gauges.published.set(of(published));
        let expires = manifest.map(|manifest| manifest.expires_at.as_secs());
        gauges.expires.set(of(expires));
        gauges.resident.set(memory::resident());

        let (of_task, waiting) = (Arc::clone(state), Arc::clone(&gauges.waiting));
        let look = spawn_blocking(move || unserved(&of_task, &waiting));
        if let Ok(Ok(Some(unserved))) = timeout(STORE_PATIENCE, look).await {
            gauges.store_up.set(1);
            gauges.changes_waiting.set(unserved.changes);
            let since = unserved.removal_since_secs;
            gauges.removal_waiting_since.set(since);
        } else {
            gauges.store_up.set(0);
        }

        let mut written = String::new();
        text::encode(&mut written, &self.registry).ok()?;
        Some(written)
    }
}

/// `None` if the store fails, or has not answered an earlier look yet.
fn unserved(state: &AppState, waiting: &Mutex<Waiting>) -> Option<Unserved> {
    let mut waiting = match waiting.try_lock() {
        Ok(waiting) => waiting,
        // What it remembers is whole at every time.
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) => return None,
    };
    match look(state, &mut waiting) {
        Ok(unserved) => Some(unserved),
        Err(error) => {
            tracing::error!(%error, "what is not served yet is not known");
            None
        }
    }
}

fn look(state: &AppState, waiting: &mut Waiting) -> Result<Unserved, StoreError> {
    // The oldest first: one that comes between has more.
    let before = state.snapshot_before();
    let newest = state.snapshot();
    let view = state.store().view()?;
    let entries = view.audit_head()?.entries;
    let of_newest = newest
        .as_ref()
        .map_or(0, |newest| newest.manifest().audit.entries);
    let oldest = before.as_ref().or(newest.as_ref());
    let oldest = oldest.map(|oldest| oldest.manifest().audit.entries);
    Ok(Unserved {
        changes: entries.saturating_sub(of_newest),
        removal_since_secs: match oldest {
            Some(oldest) => waiting
                .since(&*view, oldest, entries)?
                .map_or(0, |since| since.as_secs()),
            // Nothing is served that has what was removed.
            None => 0,
        },
    })
}
