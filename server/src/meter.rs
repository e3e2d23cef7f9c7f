//! Spends: one thread, many at a time.
//!
//! A durable commit takes as long for one spend as for hundreds, so those that
//! arrive while one commits share the next. What can't be written down is not
//! spent, and nothing is given out for it.

use std::sync::Arc;
use std::thread;

use protocol::time::UnixTime;
use tokio::sync::{mpsc, oneshot};

use crate::ledger::{Ledger, LedgerError, Outcome, Spend};

/// Most spends of one commit.
const BATCH_MAX: usize = 256;

/// Most spends that wait.
const WAITING_MAX: usize = 1024;

/// Why nothing may be given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MeterError {
    /// Too many are waiting; nothing was spent.
    #[error("too many requests wait for their quota")]
    Busy,
    /// The ledger failed, and the log of the server says why.
    #[error("quotas can't be read or written now")]
    Ledger,
    /// The meter has ended.
    #[error("the server is stopping")]
    Stopped,
}

/// Hands spends to the thread that writes them down; it ends when the last handle
/// goes.
#[derive(Clone)]
pub struct Meter {
    queue: mpsc::Sender<Job>,
}

struct Job {
    spend: Spend,
    reply: oneshot::Sender<Result<Outcome, MeterError>>,
}

impl Meter {
    /// Starts the thread; `clock` says when it is.
    ///
    /// # Errors
    /// No thread.
    pub fn start(ledger: Arc<dyn Ledger>, clock: fn() -> UnixTime) -> std::io::Result<Self> {
        let (queue, jobs) = mpsc::channel(WAITING_MAX);
        thread::Builder::new()
            .name("meter".to_owned())
            .spawn(move || run(&*ledger, clock, jobs))?;
        Ok(Self { queue })
    }

    /// Spends, and says what came of it once that is durable. A spend whose caller
    /// no longer waits may be dropped.
    ///
    /// # Errors
    /// [`MeterError`]; after [`MeterError::Ledger`] and [`MeterError::Stopped`] it
    /// may be spent or not.
    pub async fn spend(&self, spend: Spend) -> Result<Outcome, MeterError> {
        let (reply, replied) = oneshot::channel();
        let job = Job { spend, reply };
        self.queue.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => MeterError::Busy,
            mpsc::error::TrySendError::Closed(_) => MeterError::Stopped,
        })?;
        replied.await.unwrap_or(Err(MeterError::Stopped))
    }
}

impl std::fmt::Debug for Meter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meter(..)")
    }
}

fn run(ledger: &dyn Ledger, clock: fn() -> UnixTime, mut jobs: mpsc::Receiver<Job>) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while jobs.blocking_recv_many(&mut batch, BATCH_MAX) > 0 {
        let (spends, replies): (Vec<Spend>, Vec<_>) = batch
            .drain(..)
            .filter(|job| !job.reply.is_closed())
            .map(|job| (job.spend, job.reply))
            .unzip();
        if spends.is_empty() {
            continue;
        }
        let mut outcomes = match ledger.spend(&spends, clock()) {
            Ok(outcomes) => outcomes.into_iter(),
            Err(error) => {
                report(&error, spends.len());
                Vec::new().into_iter()
            }
        };
        for reply in replies {
            let outcome = outcomes.next().ok_or(MeterError::Ledger);
            // Whoever no longer waits has spent all the same.
            let _ = reply.send(outcome);
        }
    }
}

fn report(error: &LedgerError, spends: usize) {
    tracing::error!(%error, spends, "the ledger failed: nothing is evaluated for these");
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;
    use crate::ledger::embedded::EmbeddedLedger;
    use crate::ledger::{Charge, LedgerKeys, Level, MeterId, Quota, Remaining};

    const QUOTA: Quota = Quota {
        burst: 100,
        refill_per_hour: 1,
        per_day: 100,
    };

    fn now() -> UnixTime {
        UnixTime::from_secs(1_795_392_000)
    }

    fn charge(amount: u32) -> Spend {
        Spend {
            charges: vec![Charge {
                meter: MeterId([1; 32]),
                quota: QUOTA,
                amount,
                level: Level::Account,
            }],
            tokens: Vec::new(),
        }
    }

    /// A real ledger whose calls can be held and made to fail.
    struct Gate {
        inner: EmbeddedLedger,
        calls: AtomicUsize,
        fails: AtomicBool,
        /// Says that a call has come, and waits until it may go on.
        held: Option<(Sender<()>, Mutex<Receiver<()>>)>,
    }

    impl Ledger for Gate {
        fn spend(&self, spends: &[Spend], now: UnixTime) -> Result<Vec<Outcome>, LedgerError> {
            self.calls.fetch_add(1, Ordering::Relaxed);
            if let Some((come, go)) = &self.held {
                come.send(()).unwrap();
                go.lock().unwrap().recv().unwrap();
            }
            if self.fails.load(Ordering::Relaxed) {
                return Err(LedgerError::Corrupt);
            }
            self.inner.spend(spends, now)
        }

        fn remaining(
            &self,
            meters: &[(MeterId, Level, Quota)],
            now: UnixTime,
        ) -> Result<Vec<Remaining>, LedgerError> {
            self.inner.remaining(meters, now)
        }

        fn forget(&self, now: UnixTime) -> Result<u64, LedgerError> {
            self.inner.forget(now)
        }

        fn spent_tokens(&self) -> Result<u64, LedgerError> {
            self.inner.spent_tokens()
        }

        fn meters(&self) -> Result<u64, LedgerError> {
            self.inner.meters()
        }
    }

    type Holder = (Receiver<()>, Sender<()>);

    fn gate(directory: &std::path::Path, held: bool) -> (Arc<Gate>, Option<Holder>) {
        let path = directory.join("ledger.redb");
        let inner = EmbeddedLedger::open(&path, &LedgerKeys::derive(&[1; 32])).unwrap();
        let (come, came) = channel();
        let (go, gone) = channel();
        let gate = Gate {
            inner,
            calls: AtomicUsize::new(0),
            fails: AtomicBool::new(false),
            held: held.then(|| (come, Mutex::new(gone))),
        };
        (Arc::new(gate), held.then_some((came, go)))
    }

    fn left(gate: &Gate) -> u32 {
        let meter = (MeterId([1; 32]), Level::Account, QUOTA);
        gate.remaining(&[meter], now()).unwrap()[0].elements()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn those_that_wait_share_a_commit_and_what_nobody_waits_for_is_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let (gate, holder) = gate(directory.path(), true);
        let (came, go) = holder.unwrap();
        let meter = Meter::start(Arc::clone(&gate) as Arc<dyn Ledger>, now).unwrap();
        let spend = |amount| {
            let meter = meter.clone();
            tokio::spawn(async move { meter.spend(charge(amount)).await })
        };
        let first = spend(1);
        came.recv().unwrap();
        let waiting: Vec<_> = (0..5).map(|_| spend(2)).collect();
        let given_up = spend(50);
        while meter.queue.capacity() > WAITING_MAX - 6 {
            tokio::task::yield_now().await;
        }
        given_up.abort();
        assert!(given_up.await.unwrap_err().is_cancelled());
        go.send(()).unwrap();
        go.send(()).unwrap();
        for spent in waiting.into_iter().chain([first]) {
            let outcome = spent.await.unwrap().unwrap();
            assert!(matches!(outcome, Outcome::Spent { .. }), "{outcome:?}");
        }
        assert_eq!(gate.calls.load(Ordering::Relaxed), 2);
        assert_eq!(left(&gate), 100 - 1 - 5 * 2);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_full_queue_is_refused_and_spends_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let (gate, holder) = gate(directory.path(), true);
        let (came, go) = holder.unwrap();
        let meter = Meter::start(Arc::clone(&gate) as Arc<dyn Ledger>, now).unwrap();
        let of_task = meter.clone();
        let first = tokio::spawn(async move { of_task.spend(charge(1)).await });
        came.recv().unwrap();
        let mut waiting = Vec::new();
        for _ in 0..WAITING_MAX {
            let (reply, replied) = oneshot::channel();
            let spend = charge(0);
            assert!(meter.queue.try_send(Job { spend, reply }).is_ok());
            waiting.push(replied);
        }
        assert_eq!(meter.spend(charge(1)).await, Err(MeterError::Busy));
        drop(waiting);
        go.send(()).unwrap();
        assert!(first.await.unwrap().is_ok());
        assert_eq!(left(&gate), 99);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_ledger_that_fails_gives_nothing_out_and_heals() {
        let directory = tempfile::tempdir().unwrap();
        let (gate, _) = gate(directory.path(), false);
        let meter = Meter::start(Arc::clone(&gate) as Arc<dyn Ledger>, now).unwrap();
        gate.fails.store(true, Ordering::Relaxed);
        assert_eq!(meter.spend(charge(1)).await, Err(MeterError::Ledger));
        gate.fails.store(false, Ordering::Relaxed);
        let outcome = meter.spend(charge(1)).await.unwrap();
        assert!(matches!(outcome, Outcome::Spent { .. }), "{outcome:?}");
        assert_eq!(left(&gate), 99);
    }
}
