//! The thread that runs one pass after another.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use super::queue::Job;
use super::{Engine, ScheduleError, Shared};

/// Runs passes until the scheduler stops and none waits.
pub(super) fn run<E: Engine>(shared: &Shared<E>) {
    while let Some(batch) = next_batch(shared) {
        let begun = Instant::now();
        pass(batch);
        shared.lock().pass = begun.elapsed();
    }
}

/// Waits for queries and takes those of one pass; `None` at the end.
fn next_batch<E: Engine>(shared: &Shared<E>) -> Option<Vec<Job<E>>> {
    let limits = shared.limits;
    let mut state = shared.lock();
    loop {
        let retry_after = state.retry_after(limits);
        for late in state.queue.take_late(limits.deadline) {
            // Whoever gave up doesn't hear it.
            let _ = late.reply.send(Err(ScheduleError::Deadline {
                deadline: limits.deadline,
                retry_after,
            }));
        }
        let batch = state.queue.take(limits.max_batch);
        if !batch.is_empty() {
            return Some(batch);
        }
        if state.stopping {
            return None;
        }
        let waited = shared.arrived.wait(state);
        state = waited.unwrap_or_else(PoisonError::into_inner);
    }
}

/// Answers queries that are all for one engine.
fn pass<E: Engine>(batch: Vec<Job<E>>) {
    let Some(engine) = batch.first().map(|job| Arc::clone(&job.engine)) else {
        return;
    };
    let (queries, replies): (Vec<_>, Vec<_>) =
        batch.into_iter().map(|job| (job.query, job.reply)).unzip();
    // A panic of one pass must not end all later ones.
    let answers = catch_unwind(AssertUnwindSafe(|| engine.answer(queries)));
    match answers.ok().flatten() {
        Some(answers) if answers.len() == replies.len() => {
            for (reply, answer) in replies.into_iter().zip(answers) {
                let _ = reply.send(Ok(answer));
            }
        }
        _ => {
            tracing::error!("a pass over the database failed");
            for reply in replies {
                let _ = reply.send(Err(ScheduleError::Failed));
            }
        }
    }
}
