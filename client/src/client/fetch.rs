//! The PIR queries of a batch of lookups.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use pir_core::client::ColumnIndex;
use protocol::oprf::OprfOutput;
use protocol::placement::BucketIndex;
use protocol::wire::{self, media};
use rand::RngExt as _;
use rand::seq::SliceRandom as _;
use tokio::sync::mpsc;
use tokio::task::{JoinSet, spawn_blocking};

use super::Shared;
use crate::bulk::{Listener, padded};
use crate::error::ClientError;
use crate::patience::Patience;
use crate::snapshot::SnapshotView;
use crate::transport::Exchange;

/// Answers between two transactions in which buckets are kept. Those for nothing
/// count: when the next queries are sent must not depend on how many these are.
const PAGE: usize = 32;

/// What came back for one slot, not looked at yet.
pub(super) enum Content {
    /// The bytes of its bucket, whether right or wrong.
    Column(Vec<u8>),
    /// The membership filter doesn't have it: nothing was asked for.
    Filtered,
}

pub(super) type Answered<T> = Result<T, ClientError>;

/// One query, for a slot or for nothing.
#[derive(Clone, Copy)]
struct Planned {
    bucket: BucketIndex,
    /// `None` hides how many there are of the others.
    slot: Option<usize>,
}

/// Sends the queries of up to 1024 slots in one snapshot, and gives what came
/// back slot by slot. A query that fails for itself is an error of its slot
/// alone. Buckets are kept in the cache, if there is one, as they come, and those
/// that it has from the same snapshot are not asked for.
///
/// # Errors
/// [`ClientError`] if the snapshot is gone, or the cache fails.
pub(super) async fn fetch(
    shared: &Arc<Shared>,
    view: &Arc<SnapshotView>,
    outputs: Vec<OprfOutput>,
    listener: &mut Listener<'_>,
) -> Result<Vec<Answered<Content>>, ClientError> {
    let outputs = Arc::new(outputs);
    let kept = kept(shared, view, &outputs).await?;
    let before = kept.iter().flatten().count();
    let (plan, filtered) = plan(view, &outputs, &kept);
    listener.note(|progress| {
        progress.fetched_before += before;
        progress.filtered += filtered.iter().filter(|filtered| **filtered).count();
        progress.queries += plan.len();
    });
    let mut contents: Vec<Answered<Content>> = kept
        .into_iter()
        .zip(filtered)
        .map(|(kept, filtered)| match kept {
            Some(column) => Ok(Content::Column(column)),
            None if filtered => Ok(Content::Filtered),
            None => Err(ClientError::Interrupted),
        })
        .collect();
    let (mut page, mut since) = (Vec::with_capacity(PAGE), 0);
    let buckets = plan.iter().map(|planned| planned.bucket).collect();
    let mut answers = Answers::begin(shared, view, buckets);
    while let Some((at, answer)) = answers.next().await {
        listener.note(|progress| progress.answered += 1);
        match (answer, plan[at].slot) {
            (Err(error), _) if error.is_stale() => return Err(error),
            (answer, Some(slot)) => {
                if answer.is_ok() {
                    page.push(slot);
                }
                contents[slot] = answer.map(Content::Column);
            }
            // Whatever came for nothing is dropped.
            (_, None) => {}
        }
        since += 1;
        if since == PAGE {
            since = 0;
            keep(shared, view, &outputs, &contents, std::mem::take(&mut page)).await?;
        }
    }
    keep(shared, view, &outputs, &contents, page).await?;
    Ok(contents)
}

/// The queries to send, and which slots are certainly absent. Without a filter
/// that is one for each slot whose bucket isn't kept; with one, for each of them
/// that the filter has, and further ones for random buckets: their number is a
/// function of [their class](padded) alone. All slots are treated alike.
fn plan(
    view: &SnapshotView,
    outputs: &[OprfOutput],
    kept: &[Option<Vec<u8>>],
) -> (Vec<Planned>, Vec<bool>) {
    let filter = view.filter();
    let filtered: Vec<bool> = outputs
        .iter()
        .zip(kept)
        .map(|(output, kept)| {
            let absent = filter.is_some_and(|filter| !filter.may_contain(output.filter_label()));
            kept.is_none() && absent
        })
        .collect();
    let mut plan: Vec<Planned> = outputs
        .iter()
        .enumerate()
        .filter(|(slot, _)| kept[*slot].is_none() && !filtered[*slot])
        .map(|(slot, output)| Planned {
            bucket: view.bucket_of(&output.locator()),
            slot: Some(slot),
        })
        .collect();
    if filter.is_some() {
        let rng = &mut rand::rng();
        let columns = view.manifest().pir.columns;
        plan.resize_with(padded(plan.len()), || Planned {
            bucket: BucketIndex::new(rng.random_range(0..columns)),
            slot: None,
        });
        // So that those for nothing are not the last ones.
        plan.shuffle(rng);
    }
    (plan, filtered)
}

async fn kept(
    shared: &Arc<Shared>,
    view: &Arc<SnapshotView>,
    outputs: &Arc<Vec<OprfOutput>>,
) -> Result<Vec<Option<Vec<u8>>>, ClientError> {
    let Some(cache) = shared.cache().cloned() else {
        return Ok(vec![None; outputs.len()]);
    };
    let (snapshot, outputs) = (view.manifest().snapshot, Arc::clone(outputs));
    let kept = spawn_blocking(move || cache.buckets(&snapshot, outputs.iter()));
    Ok(kept.await.map_err(|_| ClientError::Interrupted)??)
}

/// Keeps what came for some slots.
async fn keep(
    shared: &Arc<Shared>,
    view: &Arc<SnapshotView>,
    outputs: &Arc<Vec<OprfOutput>>,
    contents: &[Answered<Content>],
    slots: Vec<usize>,
) -> Result<(), ClientError> {
    let Some(cache) = shared.cache().cloned() else {
        return Ok(());
    };
    let column = |slot: usize| match &contents[slot] {
        Ok(Content::Column(column)) => Some((slot, column.clone())),
        _ => None,
    };
    let page: Vec<(usize, Vec<u8>)> = slots.into_iter().filter_map(column).collect();
    let (snapshot, outputs) = (view.manifest().snapshot, Arc::clone(outputs));
    let kept = spawn_blocking(move || {
        let rows = page
            .iter()
            .map(|(slot, column)| (&outputs[*slot], column.as_slice()));
        cache.keep_buckets(&snapshot, rows)
    });
    Ok(kept.await.map_err(|_| ClientError::Interrupted)??)
}

/// Answers as they come, from a bounded number of workers. Dropped, it stops
/// them.
pub(super) struct Answers {
    received: mpsc::Receiver<(usize, Answered<Vec<u8>>)>,
    _workers: JoinSet<()>,
}

impl Answers {
    /// Begins to ask for these buckets.
    pub(super) fn begin(
        shared: &Arc<Shared>,
        view: &Arc<SnapshotView>,
        buckets: Vec<BucketIndex>,
    ) -> Self {
        let count = buckets.len();
        let queue = Arc::new(Queue {
            buckets,
            next: AtomicUsize::new(0),
            stale: AtomicBool::new(false),
        });
        let (answers, received) = mpsc::channel(PAGE);
        let mut workers = JoinSet::new();
        for _ in 0..shared.config.concurrency.max(1).min(count) {
            workers.spawn(work(
                Arc::clone(shared),
                Arc::clone(view),
                Arc::clone(&queue),
                answers.clone(),
            ));
        }
        Self {
            received,
            _workers: workers,
        }
    }

    /// The next answer and which bucket it is for, decrypted; `None` after the
    /// last.
    pub(super) async fn next(&mut self) -> Option<(usize, Answered<Vec<u8>>)> {
        self.received.recv().await
    }
}

/// The buckets that workers still have to ask for.
struct Queue {
    buckets: Vec<BucketIndex>,
    next: AtomicUsize,
    /// Whether the snapshot is gone: no use to go on.
    stale: AtomicBool,
}

async fn work(
    shared: Arc<Shared>,
    view: Arc<SnapshotView>,
    queue: Arc<Queue>,
    answers: mpsc::Sender<(usize, Answered<Vec<u8>>)>,
) {
    while !queue.stale.load(Ordering::Relaxed) {
        let at = queue.next.fetch_add(1, Ordering::Relaxed);
        let Some(bucket) = queue.buckets.get(at) else {
            break;
        };
        let answer = query(&shared, &view, *bucket).await;
        if answer.as_ref().is_err_and(ClientError::is_stale) {
            queue.stale.store(true, Ordering::Relaxed);
        }
        // Whoever doesn't wait any more doesn't hear it.
        let _ = answers.send((at, answer)).await;
    }
}

/// One query, made anew with a fresh secret each time that the server is busy.
/// To decrypt an answer takes the same for all.
async fn query(
    shared: &Shared,
    view: &Arc<SnapshotView>,
    bucket: BucketIndex,
) -> Answered<Vec<u8>> {
    let mut patience = Patience::new(shared.config.busy_retries);
    loop {
        let preparing = Arc::clone(view);
        let prepared =
            spawn_blocking(move || preparing.pir().prepare(ColumnIndex::from(bucket.as_u32())));
        let prepared = prepared
            .await
            .map_err(|_| ClientError::Interrupted)?
            .map_err(ClientError::pir)?;
        let (query, pending) = prepared.send();
        let exchange = Exchange {
            step: "query",
            path: &wire::query_path(&view.manifest().snapshot),
            accept: media::ANSWER,
            max_bytes: pir_core::answer::encoded_bytes(view.params()),
        };
        match shared.post_query(exchange, query.into_bytes()).await {
            Err(error) => patience.wait(error).await?,
            Ok(answer) => {
                let decrypting = Arc::clone(view);
                let column = spawn_blocking(move || decrypting.decrypt(pending, &answer));
                return column.await.map_err(|_| ClientError::Interrupted)?;
            }
        }
    }
}
