//! Queries wait here for a pass over the database.
//!
//! One thread drives the rayon pool. Each pass takes all queries that wait for
//! the same database, up to the batch size, so that under load one reading of
//! the database serves many. The queue is bounded and a query waits no longer
//! than its deadline: what can't be served in time is refused at once.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// What answers queries: a loaded snapshot, or a test's stand-in.
pub trait Engine: Send + Sync + 'static {
    /// A decoded query.
    type Query: Send + 'static;
    /// Its answer.
    type Answer: Send + 'static;

    /// Answers a batch with one pass, in order; `None` if it can't.
    fn answer(&self, queries: Vec<Self::Query>) -> Option<Vec<Self::Answer>>;
}

/// How long the queue may grow and queries may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Queries a pass.
    pub max_batch: usize,
    /// Queries that wait.
    pub queue_length: usize,
    /// How long one waits.
    pub deadline: Duration,
}

/// Why a query was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// Too many wait already.
    #[error("{queue_length} queries wait already")]
    Full {
        /// How many may wait.
        queue_length: usize,
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
    waiting: VecDeque<Job<E>>,
    stopping: bool,
    /// How long the last pass took.
    pass: Duration,
}

struct Job<E: Engine> {
    engine: Arc<E>,
    query: E::Query,
    since: Instant,
    reply: oneshot::Sender<Result<E::Answer, ScheduleError>>,
}

impl<E: Engine> Scheduler<E> {
    /// Starts the thread.
    ///
    /// # Errors
    /// What the operating system says if there can be no thread.
    pub fn start(limits: Limits) -> std::io::Result<Self> {
        let state = State {
            waiting: VecDeque::new(),
            stopping: false,
            pass: Duration::ZERO,
        };
        let shared = Arc::new(Shared {
            limits,
            state: Mutex::new(state),
            arrived: Condvar::new(),
        });
        let of_worker = Arc::clone(&shared);
        let worker = std::thread::Builder::new()
            .name("pir-pass".to_owned())
            .spawn(move || of_worker.work())?;
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
        engine: Arc<E>,
        query: E::Query,
    ) -> Result<E::Answer, ScheduleError> {
        let receiver = self.shared.enqueue(engine, query)?;
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

    /// Queries that wait now.
    pub fn waiting(&self) -> usize {
        self.shared.lock().waiting.len()
    }
}

impl<E: Engine> Shared<E> {
    fn enqueue(
        &self,
        engine: Arc<E>,
        query: E::Query,
    ) -> Result<oneshot::Receiver<Result<E::Answer, ScheduleError>>, ScheduleError> {
        let mut state = self.lock();
        if state.stopping {
            return Err(ScheduleError::Stopping);
        }
        let queue_length = self.limits.queue_length;
        if state.waiting.len() >= queue_length {
            // Those that were given up make room.
            state.waiting.retain(|job| !job.reply.is_closed());
        }
        if state.waiting.len() >= queue_length {
            return Err(ScheduleError::Full {
                queue_length,
                retry_after: state.retry_after(self.limits),
            });
        }
        let (reply, receiver) = oneshot::channel();
        state.waiting.push_back(Job {
            engine,
            query,
            since: Instant::now(),
            reply,
        });
        drop(state);
        self.arrived.notify_one();
        Ok(receiver)
    }

    fn work(&self) {
        while let Some(batch) = self.next_batch() {
            let begun = Instant::now();
            let Some(engine) = batch.first().map(|job| Arc::clone(&job.engine)) else {
                continue;
            };
            let (queries, replies): (Vec<_>, Vec<_>) =
                batch.into_iter().map(|job| (job.query, job.reply)).unzip();
            // A panic of one pass must not end all later ones.
            let answers = catch_unwind(AssertUnwindSafe(|| engine.answer(queries)))
                .ok()
                .flatten();
            match answers {
                Some(answers) if answers.len() == replies.len() => {
                    for (reply, answer) in replies.into_iter().zip(answers) {
                        // Whoever gave up doesn't hear it.
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
            self.lock().pass = begun.elapsed();
        }
    }

    /// Waits for queries and takes those of one pass; `None` at the end.
    fn next_batch(&self) -> Option<Vec<Job<E>>> {
        let mut state = self.lock();
        loop {
            let deadline = self.limits.deadline;
            let retry_after = state.retry_after(self.limits);
            let mut batch: Vec<Job<E>> = Vec::new();
            let mut later = VecDeque::new();
            while let Some(job) = state.waiting.pop_front() {
                if job.reply.is_closed() {
                    continue;
                }
                if job.since.elapsed() >= deadline {
                    let _ = job.reply.send(Err(ScheduleError::Deadline {
                        deadline,
                        retry_after,
                    }));
                } else if batch.len() == self.limits.max_batch {
                    later.push_back(job);
                    break;
                } else if batch
                    .first()
                    .is_none_or(|first| Arc::ptr_eq(&first.engine, &job.engine))
                {
                    batch.push(job);
                } else {
                    later.push_back(job);
                }
            }
            later.append(&mut state.waiting);
            state.waiting = later;
            if !batch.is_empty() {
                return Some(batch);
            }
            if state.stopping {
                return None;
            }
            state = self
                .arrived
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<E>> {
        // Every change of the state is complete before anything can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<E: Engine> State<E> {
    /// How long those that wait will take, at least a second.
    fn retry_after(&self, limits: Limits) -> Duration {
        let passes = self.waiting.len().div_ceil(limits.max_batch.max(1)) as u32 + 1;
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
