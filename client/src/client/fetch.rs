//! What a batch of lookups sends: one OPRF request, then one PIR query each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use pir_core::client::{ColumnIndex, PendingAnswer};
use protocol::oprf::{BlindedBatch, OprfOutput};
use protocol::placement::BucketIndex;
use protocol::wire::{self, OprfRequest, OprfResponse, media};
use tokio::task::{JoinSet, spawn_blocking};

use super::Shared;
use crate::error::ClientError;
use crate::patience::Patience;
use crate::slots::Question;
use crate::snapshot::SnapshotView;
use crate::transport::Exchange;

/// What came back for one slot, not looked at yet.
pub(super) struct Fetched {
    pub(super) output: OprfOutput,
    pub(super) pending: PendingAnswer,
    pub(super) answer: Vec<u8>,
}

/// Sends everything for up to 1024 slots in one snapshot, and gives what came
/// back slot by slot. A query that fails for itself is an error of its slot
/// alone.
///
/// # Errors
/// [`ClientError`] if the OPRF request fails or the snapshot is gone.
pub(super) async fn fetch(
    shared: &Arc<Shared>,
    view: &Arc<SnapshotView>,
    questions: &Arc<Vec<Question>>,
) -> Result<Vec<Result<Fetched, ClientError>>, ClientError> {
    let outputs = evaluate(shared, view, questions).await?;
    let buckets = outputs
        .iter()
        .map(|output| view.bucket_of(&output.locator()))
        .collect();
    let answers = query_all(shared, view, buckets).await?;
    let fetched = outputs.into_iter().zip(answers).map(|(output, answer)| {
        answer.map(|(pending, answer)| Fetched {
            output,
            pending,
            answer,
        })
    });
    Ok(fetched.collect())
}

/// The OPRF outputs, their proof verified.
async fn evaluate(
    shared: &Shared,
    view: &SnapshotView,
    questions: &Arc<Vec<Question>>,
) -> Result<Vec<OprfOutput>, ClientError> {
    let expected = view.manifest().oprf_epoch;
    let mut patience = Patience::new(shared.config.busy_retries);
    let (batch, answer) = loop {
        let questions = Arc::clone(questions);
        let batch = spawn_blocking(move || {
            let inputs = questions.iter().flat_map(Question::inputs);
            BlindedBatch::blind(inputs, &mut rand::rng())
        });
        let batch = batch.await.map_err(|_| ClientError::Interrupted)??;
        let request = OprfRequest {
            epoch: expected,
            elements: batch.elements().to_vec(),
        };
        let exchange = Exchange {
            step: "OPRF",
            path: wire::OPRF_PATH,
            accept: media::CBOR,
            max_bytes: OprfResponse::BYTES_MAX,
        };
        match shared
            .transport
            .post(exchange, media::CBOR, request.encode())
            .await
        {
            Err(error) => patience.wait(error).await?,
            Ok(answer) => break (batch, answer),
        }
    };
    let key = view.manifest().oprf_key;
    let outputs = spawn_blocking(move || {
        let response = OprfResponse::decode(&answer)?;
        if response.epoch != expected {
            return Err(ClientError::OprfEpoch {
                expected,
                found: response.epoch,
            });
        }
        Ok(batch.finalize(&response.evaluation, &key)?)
    });
    outputs.await.map_err(|_| ClientError::Interrupted)?
}

pub(super) type Answered = Result<(PendingAnswer, Vec<u8>), ClientError>;

/// One query for each bucket, a bounded number at a time, answers in order.
pub(super) async fn query_all(
    shared: &Arc<Shared>,
    view: &Arc<SnapshotView>,
    buckets: Vec<BucketIndex>,
) -> Result<Vec<Answered>, ClientError> {
    let count = buckets.len();
    let queue = Arc::new(Queue {
        buckets,
        next: AtomicUsize::new(0),
        stale: AtomicBool::new(false),
    });
    let mut workers = JoinSet::new();
    for _ in 0..shared.config.concurrency.clamp(1, count) {
        workers.spawn(work(
            Arc::clone(shared),
            Arc::clone(view),
            Arc::clone(&queue),
        ));
    }
    let mut answers: Vec<Answered> = (0..count).map(|_| Err(ClientError::Interrupted)).collect();
    while let Some(finished) = workers.join_next().await {
        for (at, answer) in finished.map_err(|_| ClientError::Interrupted)? {
            match answer {
                Err(error) if error.is_stale() => return Err(error),
                answer => answers[at] = answer,
            }
        }
    }
    Ok(answers)
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
) -> Vec<(usize, Answered)> {
    let mut answers = Vec::new();
    while !queue.stale.load(Ordering::Relaxed) {
        let at = queue.next.fetch_add(1, Ordering::Relaxed);
        let Some(bucket) = queue.buckets.get(at) else {
            break;
        };
        let answer = query(&shared, &view, *bucket).await;
        if answer.as_ref().is_err_and(ClientError::is_stale) {
            queue.stale.store(true, Ordering::Relaxed);
        }
        answers.push((at, answer));
    }
    answers
}

/// One query, made anew with a fresh secret each time that the server is busy.
async fn query(shared: &Shared, view: &Arc<SnapshotView>, bucket: BucketIndex) -> Answered {
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
        match shared
            .transport
            .post(exchange, media::QUERY, query.into_bytes())
            .await
        {
            Err(error) => patience.wait(error).await?,
            Ok(answer) => return Ok((pending, answer)),
        }
    }
}
