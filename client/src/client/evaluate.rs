//! What is asked for each identifier, and its OPRF outputs: one request for
//! those that the cache doesn't have.

use std::sync::Arc;

use protocol::csi::Csi;
use protocol::oprf::{BlindedBatch, OprfOutput};
use protocol::wire::{self, OprfRequest, OprfResponse, media};
use tokio::task::spawn_blocking;

use super::Shared;
use crate::bulk::Listener;
use crate::cache::{Evaluated, Scope};
use crate::error::ClientError;
use crate::patience::Patience;
use crate::slots::{Question, Slot};
use crate::snapshot::SnapshotView;
use crate::transport::Exchange;

/// An identifier's slots and what the OPRF made of them.
pub(super) struct Asked {
    pub(super) question: Question,
    /// In the order of the slots.
    pub(super) outputs: Vec<OprfOutput>,
}

impl Asked {
    /// What to keep: all slots, dummies included.
    fn evaluated(&self) -> Option<Evaluated> {
        let mut outputs = self.outputs.iter();
        let public = outputs.next()?.clone();
        let slots = self.question.slots.iter().skip(1).zip(outputs);
        let audiences = slots.filter_map(|(slot, output)| match slot {
            Slot::Public => None,
            Slot::Audience(audience) => Some((audience.secret.clone(), output.clone())),
        });
        Some(Evaluated {
            public,
            audiences: audiences.collect(),
        })
    }
}

/// Evaluates up to 1024 slots under the key of a snapshot. What is new is
/// durably in the cache, if there is one, when this returns.
///
/// # Errors
/// [`ClientError`] if the OPRF request fails or its proof doesn't verify.
pub(super) async fn evaluate(
    shared: &Arc<Shared>,
    view: &Arc<SnapshotView>,
    csis: &[Csi],
    listener: &mut Listener<'_>,
) -> Result<Vec<Asked>, ClientError> {
    let scope = Scope::of(view.manifest());
    let (of_task, csis) = (Arc::clone(shared), csis.to_vec());
    let known = spawn_blocking(move || recall(&of_task, scope, &csis));
    let known = known.await.map_err(|_| ClientError::Interrupted)??;
    let of_known =
        |(_, outputs): &(Question, Option<Vec<OprfOutput>>)| outputs.as_ref().map_or(0, Vec::len);
    let recalled = known.iter().map(of_known).sum::<usize>();
    listener.note(|progress| progress.recalled += recalled);

    let new: Vec<bool> = known.iter().map(|(_, outputs)| outputs.is_none()).collect();
    let known = Arc::new(known);
    let mut outputs = if new.contains(&true) {
        request(shared, view, &known).await?
    } else {
        Vec::new()
    }
    .into_iter();
    listener.note(|progress| progress.evaluated += outputs.len());
    let Some(known) = Arc::into_inner(known) else {
        return Err(ClientError::Interrupted);
    };
    let asked = known.into_iter().map(|(question, known)| {
        let slots = question.slots.len();
        let outputs = known.unwrap_or_else(|| outputs.by_ref().take(slots).collect());
        Asked { question, outputs }
    });
    let asked: Vec<Asked> = asked.collect();
    let of_task = Arc::clone(shared);
    let kept = spawn_blocking(move || {
        if let Some(cache) = of_task.cache() {
            let new = asked.iter().zip(new).filter(|(_, new)| *new);
            let rows = new.filter_map(|(asked, _)| Some((&asked.question.csi, asked.evaluated()?)));
            cache.keep_evaluations(scope, rows)?;
        }
        Ok(asked)
    });
    kept.await.map_err(|_| ClientError::Interrupted)?
}

/// What an identifier asks for, and its outputs if they are known.
type Recalled = (Question, Option<Vec<OprfOutput>>);

/// What each identifier asks for, and the outputs if the cache has those of all
/// its slots.
fn recall(shared: &Shared, scope: Scope, csis: &[Csi]) -> Result<Vec<Recalled>, ClientError> {
    let mut cached = match shared.cache() {
        Some(cache) => cache.evaluations(scope, csis.iter())?,
        None => Vec::new(),
    }
    .into_iter();
    let (keyring, count) = (shared.config.keyring.as_deref(), shared.config.slot_count());
    let known = csis.iter().map(|csi| {
        let cached = cached.next().flatten();
        let recalled = cached.and_then(|cached| Question::recall(csi, keyring, count, cached));
        match recalled {
            Some((question, outputs)) => (question, Some(outputs)),
            None => {
                let question = Question::new(csi, keyring, count, &mut rand::rng());
                (question, None)
            }
        }
    });
    Ok(known.collect())
}

/// The outputs of the identifiers that have none yet, their proof verified.
async fn request(
    shared: &Shared,
    view: &SnapshotView,
    known: &Arc<Vec<Recalled>>,
) -> Result<Vec<OprfOutput>, ClientError> {
    let expected = view.manifest().oprf_epoch;
    let mut patience = Patience::new(shared.config.busy_retries);
    let (batch, answer) = loop {
        let known = Arc::clone(known);
        let batch = spawn_blocking(move || {
            let new = known.iter().filter(|(_, outputs)| outputs.is_none());
            let inputs = new.flat_map(|(question, _)| question.inputs());
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
        match shared.post_oprf(exchange, request).await {
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
