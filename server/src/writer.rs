//! Puts submissions into the store: one thread, many at a time.
//!
//! A durable commit takes as long for one submission as for hundreds, so those
//! that arrive while one commits share the next. A submission is answered after
//! the commit that holds it, never before.

pub mod contention;

use std::sync::Arc;
use std::thread;

use protocol::audit::Head;
use protocol::csi::Csi;
use protocol::time::UnixTime;
use tokio::sync::{mpsc, oneshot};

use crate::accept::{self, AudienceLimits, Journal, Outcome, Refusal, Submission};
use crate::store::{Store, StoreError};

/// Most submissions of one commit.
const BATCH_MAX: usize = 256;

/// Most submissions that wait.
const WAITING_MAX: usize = 1024;

/// What a submission came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// What it did.
    pub outcome: Outcome,
    /// Where the audit log ends with it.
    pub head: Head,
}

/// Why a submission was not written.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// It breaks a rule; nothing has changed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Too many are waiting.
    #[error("too many submissions are waiting")]
    Busy,
    /// The store failed, and the log of the server says why.
    #[error("the store is not available")]
    Store,
    /// The writer has ended.
    #[error("the server is stopping")]
    Stopped,
}

/// Hands submissions to the thread that writes; it ends when the last handle
/// goes, after what waits is written.
#[derive(Clone)]
pub struct Writer {
    queue: mpsc::Sender<Job>,
}

struct Job {
    submission: Submission,
    reply: oneshot::Sender<Result<Written, WriteError>>,
}

impl Writer {
    /// Starts the thread; `clock` says when it is.
    ///
    /// # Errors
    /// No thread.
    pub fn start(
        store: Arc<dyn Store>,
        limits: AudienceLimits,
        clock: fn() -> UnixTime,
    ) -> std::io::Result<Self> {
        let (queue, jobs) = mpsc::channel(WAITING_MAX);
        thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || run(&*store, &limits, clock, jobs))?;
        Ok(Self { queue })
    }

    /// Writes a submission and says what came of it once that is durable.
    ///
    /// # Errors
    /// [`WriteError`]; after [`WriteError::Store`] and [`WriteError::Stopped`]
    /// it may have been written or not: submitting it again is harmless.
    pub async fn submit(&self, submission: Submission) -> Result<Written, WriteError> {
        let (reply, replied) = oneshot::channel();
        let job = Job { submission, reply };
        self.queue.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => WriteError::Busy,
            mpsc::error::TrySendError::Closed(_) => WriteError::Stopped,
        })?;
        replied.await.unwrap_or(Err(WriteError::Stopped))
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Writer(..)")
    }
}

fn run(
    store: &dyn Store,
    limits: &AudienceLimits,
    clock: fn() -> UnixTime,
    mut jobs: mpsc::Receiver<Job>,
) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while jobs.blocking_recv_many(&mut batch, BATCH_MAX) > 0 {
        let now = clock();
        let written = match write(store, limits, &batch, now) {
            // One row that can't be read must not fail everybody's submission.
            Err(StoreError::Corrupt) if batch.len() > 1 => Ok(batch
                .iter()
                .map(|job| write_alone(store, limits, job, now))
                .collect()),
            written => written,
        };
        if let Err(error) = &written {
            tracing::error!(%error, submissions = batch.len(), "the store failed");
        }
        let mut results = written.unwrap_or_default().into_iter();
        for job in batch.drain(..) {
            let result = results.next().unwrap_or(Err(WriteError::Store));
            // Whoever no longer waits has submitted all the same.
            let _ = job.reply.send(result);
        }
    }
}

fn write_alone(
    store: &dyn Store,
    limits: &AudienceLimits,
    job: &Job,
    now: UnixTime,
) -> Result<Written, WriteError> {
    match write(store, limits, std::slice::from_ref(job), now) {
        Ok(mut results) => results.pop().unwrap_or(Err(WriteError::Store)),
        Err(error) => {
            tracing::error!(%error, "the store failed");
            Err(WriteError::Store)
        }
    }
}

fn write(
    store: &dyn Store,
    limits: &AudienceLimits,
    batch: &[Job],
    now: UnixTime,
) -> Result<Vec<Result<Written, WriteError>>, StoreError> {
    let mut results = Vec::with_capacity(batch.len());
    store.update(&mut |update| {
        results.clear();
        let subjects: Vec<&Csi> = batch
            .iter()
            .filter_map(|job| job.submission.subject())
            .collect();
        update.prefetch(&subjects)?;
        let mut journal = Journal::open(update)?;
        for job in batch {
            let applied = accept::apply(update, &mut journal, &job.submission, limits, now)?;
            let head = journal.head();
            results.push(match applied {
                Ok(outcome) => Ok(Written { outcome, head }),
                Err(refusal) => Err(WriteError::Refused(refusal)),
            });
        }
        journal.close(update).map(drop)
    })?;
    for refusal in results.iter().filter_map(|result| match result {
        Err(WriteError::Refused(refusal)) if refusal.is_equivocation() => Some(refusal),
        _ => None,
    }) {
        tracing::warn!(%refusal, "a signer contradicts itself");
    }
    Ok(results)
}

#[cfg(test)]
mod tests;
