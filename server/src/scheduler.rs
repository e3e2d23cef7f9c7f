//! Queries wait here for a pass over the database.
//!
//! One thread runs the passes, on a rayon pool of its own. A query starts a pass
//! at once if none runs; those that arrive meanwhile share the next, up to the
//! batch size, so that under load one reading of the database serves many. The
//! queue is bounded and fair between accounts and between the senders of each,
//! and a query waits no longer than its deadline: what can't be served in time is
//! refused at once.

mod queue;
mod worker;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::metrics::Passes;
use crate::senders::SenderIndex;
use queue::{Bound, Bounds, Job, Queue};

/// What answers queries: a loaded snapshot, or a test's stand-in.
pub trait Engine: Send + Sync + 'static {
    /// A decoded query.
    type Query: Send + 'static;
    /// Its answer.
    type Answer: Send + 'static;

    /// Answers a batch with one pass, in order, on the current rayon pool; `None`
    /// if it can't.
    fn answer(&self, queries: Vec<Self::Query>) -> Option<Vec<Self::Answer>>;
}

/// Whose query it is: queries of different accounts, and of different senders of
/// one account, are served in turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requester {
    /// Which account answers for it.
    pub account: Account,
    /// Tells the senders of an account apart, and says nothing else of them.
    pub sender: u64,
}

/// Who answers for a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Account {
    /// A sender's account.
    Known(SenderIndex),
    /// Nobody known: tokens were paid. All of these share one turn.
    Tokens,
}

/// How long the queue may grow and queries may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Queries a pass.
    pub max_batch: usize,
    /// Queries that wait.
    pub queue_length: usize,
    /// Queries of one account that wait.
    pub per_account: usize,
    /// Queries of one sender of an account that wait.
    pub per_sender: usize,
    /// How long one waits.
    pub deadline: Duration,
}

/// Why a query was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// Too many wait already, and not so many of another sender that this one
    /// could take the place of one of those; or another took this one's.
    #[error("{queue_length} queries wait already")]
    Full {
        /// How many may wait.
        queue_length: usize,
        /// When to try again.
        retry_after: Duration,
    },
    /// Too many of this account wait already, and not so many of another of its
    /// senders that this one could take the place of one of those.
    #[error("{per_account} queries of this account wait already")]
    AccountFull {
        /// How many of one account may wait.
        per_account: usize,
        /// When to try again.
        retry_after: Duration,
    },
    /// Too many of this sender wait already.
    #[error("{per_sender} queries of this sender wait already")]
    SenderFull {
        /// How many of one sender may wait.
        per_sender: usize,
        /// When to try again.
        retry_after: Duration,
    },
    /// It waited too long.
    #[error("the query waited longer than {deadline:?}")]
    Deadline {
        /// How long it may wait.
        deadline: Duration,
        /// When to try again.
        retry_after: Duration,
    },
    /// The pass failed.
    #[error("the pass over the database failed")]
    Failed,
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopping,
}

/// The queue and its thread. Dropped, it finishes what waits.
pub struct Scheduler<E: Engine> {
    shared: Arc<Shared<E>>,
    worker: Option<JoinHandle<()>>,
}

struct Shared<E: Engine> {
    limits: Limits,
    state: Mutex<State<E>>,
    arrived: Condvar,
}

struct State<E: Engine> {
    queue: Queue<E>,
    stopping: bool,
    /// How long the last pass took.
    pass: Duration,
}

impl<E: Engine> Scheduler<E> {
    /// Starts the thread that runs the passes and `threads` - 1 others that help
    /// it, 0 meaning one a core in all. `passes` counts the passes.
    ///
    /// # Errors
    /// What the operating system says if there can be no thread.
    pub fn start(limits: Limits, threads: usize, passes: Passes) -> std::io::Result<Self> {
        let state = State {
            queue: Queue::new(Bounds {
                total: limits.queue_length,
                per_account: limits.per_account,
                per_sender: limits.per_sender,
            }),
            stopping: false,
            pass: Duration::ZERO,
        };
        let shared = Arc::new(Shared {
            limits,
            state: Mutex::new(state),
            arrived: Condvar::new(),
        });
        let worker = worker::start(Arc::clone(&shared), threads, passes)?;
        Ok(Self {
            shared,
            worker: Some(worker),
        })
    }

    /// Waits for the answer to a query. Dropping the future gives the query up.
    ///
    /// # Errors
    /// [`ScheduleError`].
    pub async fn answer(
        &self,
        requester: Requester,
        engine: Arc<E>,
        query: E::Query,
    ) -> Result<E::Answer, ScheduleError> {
        let receiver = self.shared.enqueue(requester, engine, query)?;
        let deadline = self.shared.limits.deadline;
        match tokio::time::timeout(deadline, receiver).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(ScheduleError::Stopping),
            Err(_) => Err(ScheduleError::Deadline {
                deadline,
                retry_after: self.shared.lock().retry_after(self.shared.limits),
            }),
        }
    }

    /// Whether there is room for a query now; another one may take it.
    ///
    /// # Errors
    /// Those of [`answer`](Self::answer) for want of room.
    pub fn admits(&self, requester: Requester) -> Result<(), ScheduleError> {
        let mut state = self.shared.lock();
        match state.queue.refuses(requester) {
            None => Ok(()),
            Some(bound) => Err(state.refusal(self.shared.limits, bound)),
        }
    }

    /// Queries that wait now.
    pub fn waiting(&self) -> usize {
        self.shared.lock().queue.len()
    }
}

impl<E: Engine> Shared<E> {
    fn enqueue(
        &self,
        requester: Requester,
        engine: Arc<E>,
        query: E::Query,
    ) -> Result<oneshot::Receiver<Result<E::Answer, ScheduleError>>, ScheduleError> {
        let mut state = self.lock();
        if state.stopping {
            return Err(ScheduleError::Stopping);
        }
        let (reply, receiver) = oneshot::channel();
        let refused = state.queue.push(Job {
            requester,
            engine,
            query,
            since: Instant::now(),
            reply,
        });
        if let Some(refused) = refused {
            // It may be this query or another one.
            let error = state.refusal(self.limits, refused.bound);
            let _ = refused.job.reply.send(Err(error));
        }
        drop(state);
        self.arrived.notify_one();
        Ok(receiver)
    }

    fn lock(&self) -> MutexGuard<'_, State<E>> {
        // Every change of the state is complete before anything can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<E: Engine> State<E> {
    fn refusal(&self, limits: Limits, bound: Bound) -> ScheduleError {
        let retry_after = self.retry_after(limits);
        match bound {
            Bound::Total => ScheduleError::Full {
                queue_length: limits.queue_length,
                retry_after,
            },
            Bound::PerAccount => ScheduleError::AccountFull {
                per_account: limits.per_account,
                retry_after,
            },
            Bound::PerSender => ScheduleError::SenderFull {
                per_sender: limits.per_sender,
                retry_after,
            },
        }
    }

    /// How long those that wait will take, at least a second.
    fn retry_after(&self, limits: Limits) -> Duration {
        let passes = self.queue.len().div_ceil(limits.max_batch.max(1)) as u32 + 1;
        (self.pass * passes).max(Duration::from_secs(1))
    }
}

impl<E: Engine> Drop for Scheduler<E> {
    fn drop(&mut self) {
        self.shared.lock().stopping = true;
        self.shared.arrived.notify_all();
        if let Some(worker) = self.worker.take() {
            // It catches the panics of passes and has no others.
            let _ = worker.join();
        }
    }
}

impl<E: Engine> std::fmt::Debug for Scheduler<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scheduler")
            .field("limits", &self.shared.limits)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
