//! The thread that runs one pass after another.
//!
//! It is a member of a rayon pool of its own: a pass begins on it at once,
//! rather than being handed to another thread, and shares the pool with no other
//! work.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::queue::Job;
use super::{Engine, ScheduleError, Shared};
use crate::metrics::Passes;

/// Starts the thread and `threads` - 1 others, 0 meaning one a core in all.
pub(super) fn start<E: Engine>(
    shared: Arc<Shared<E>>,
    threads: usize,
    passes: Passes,
) -> io::Result<JoinHandle<()>> {
    let (report, built) = mpsc::channel();
    let name = "pir-pass".to_owned();
    let worker = thread::Builder::new().name(name).spawn(move || {
        // A pool takes the thread in that builds it.
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|index| format!("pir-pass-{index}"))
            .use_current_thread()
            .build();
        match pool {
            Ok(pool) => {
                // The one who started it waits for this.
                let _ = report.send(Ok(()));
                run(&shared, &pool, &passes);
            }
            Err(error) => {
                let _ = report.send(Err(io::Error::other(error)));
            }
        }
    })?;
    built.recv().map_err(io::Error::other)??;
    Ok(worker)
}

/// Runs passes until the scheduler stops and none waits.
fn run<E: Engine>(shared: &Shared<E>, pool: &ThreadPool, passes: &Passes) {
    while let Some(batch) = next_batch(shared) {
        let (begun, queries) = (Instant::now(), batch.len());
        pass(batch, pool);
        let took = begun.elapsed();
        passes.ended(queries, took);
        shared.lock().pass = took;
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
fn pass<E: Engine>(batch: Vec<Job<E>>, pool: &ThreadPool) {
    let Some(engine) = batch.first().map(|job| Arc::clone(&job.engine)) else {
        return;
    };
    let (queries, replies): (Vec<_>, Vec<_>) =
        batch.into_iter().map(|job| (job.query, job.reply)).unzip();
    // A panic of one pass must not end all later ones.
    let answers = catch_unwind(AssertUnwindSafe(|| pool.install(|| engine.answer(queries))));
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
