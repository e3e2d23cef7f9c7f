use std::sync::mpsc;

use super::*;
use crate::metrics::Passes;

/// Doubles numbers; each pass waits to be let through and notes its size.
struct Gate {
    passes: mpsc::Sender<Vec<u32>>,
    open: Mutex<mpsc::Receiver<()>>,
}

impl Engine for Gate {
    type Query = u32;
    type Answer = u32;

    fn answer(&self, queries: Vec<u32>) -> Option<Vec<u32>> {
        self.passes.send(queries.clone()).unwrap();
        self.open.lock().unwrap().recv().ok()?;
        assert!(!queries.contains(&13), "a query that panics");
        Some(queries.iter().map(|query| query * 2).collect())
    }
}

struct Bench {
    engine: Arc<Gate>,
    passes: mpsc::Receiver<Vec<u32>>,
    open: mpsc::Sender<()>,
    scheduler: Arc<Scheduler<Gate>>,
}

/// The only sender of an account.
fn of(account: u32) -> Requester {
    Requester {
        account: Account::Known(account.into()),
        sender: 0,
    }
}

type Task = tokio::task::JoinHandle<Result<u32, ScheduleError>>;

impl Bench {
    fn new(max_batch: usize, queue_length: usize, deadline: Duration) -> Self {
        Self::with_limits(Limits {
            max_batch,
            queue_length,
            per_account: usize::MAX,
            per_sender: usize::MAX,
            deadline,
        })
    }

    fn with_limits(limits: Limits) -> Self {
        let (sender, passes) = mpsc::channel();
        let (open, receiver) = mpsc::channel();
        let engine = Arc::new(Gate {
            passes: sender,
            open: Mutex::new(receiver),
        });
        Self {
            engine,
            passes,
            open,
            scheduler: Arc::new(Scheduler::start(limits, 1, Passes::default()).unwrap()),
        }
    }

    /// Asks, and waits until the query is in the queue.
    async fn ask(&self, query: u32) -> Task {
        self.ask_of(&self.engine, SENDER, query).await
    }

    async fn ask_of(&self, engine: &Arc<Gate>, sender: u32, query: u32) -> Task {
        let before = self.scheduler.waiting();
        let task = self.spawn(engine, sender, query);
        while self.scheduler.waiting() == before {
            tokio::task::yield_now().await;
        }
        task
    }

    /// Asks without waiting for anything.
    fn ask_freely(&self, query: u32) -> Task {
        self.spawn(&self.engine, SENDER, query)
    }

    fn spawn(&self, engine: &Arc<Gate>, sender: u32, query: u32) -> Task {
        let (scheduler, engine) = (Arc::clone(&self.scheduler), Arc::clone(engine));
        tokio::spawn(async move { scheduler.answer(of(sender), engine, query).await })
    }

    /// Occupies the worker with a pass of its own.
    async fn occupy(&self) -> Task {
        let task = self.ask_freely(0);
        let begun = tokio::task::block_in_place(|| self.passes.recv().unwrap());
        assert_eq!(begun, [0]);
        task
    }

    fn let_through(&self) {
        self.open.send(()).unwrap();
    }

    fn next_pass(&self) -> Vec<u32> {
        tokio::task::block_in_place(|| self.passes.recv().unwrap())
    }
}

const LONG: Duration = Duration::from_secs(60);

const SENDER: u32 = 0;

#[tokio::test(flavor = "multi_thread")]
async fn those_that_wait_share_a_pass_in_their_order() {
    let bench = Bench::new(3, 10, LONG);
    let first = bench.occupy().await;
    let mut waiting = Vec::new();
    for query in 1..=5 {
        waiting.push(bench.ask(query).await);
    }
    (0..3).for_each(|_| bench.let_through());
    assert_eq!(bench.next_pass(), [1, 2, 3]);
    assert_eq!(bench.next_pass(), [4, 5]);
    assert_eq!(first.await.unwrap(), Ok(0));
    for (task, query) in waiting.into_iter().zip(1..) {
        assert_eq!(task.await.unwrap(), Ok(query * 2));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_of_another_database_wait_for_their_own_pass() {
    let bench = Bench::new(4, 10, LONG);
    let first = bench.occupy().await;
    let one = bench.ask(1).await;
    let other = Bench::new(4, 10, LONG);
    let foreign = bench.ask_of(&other.engine, SENDER, 2).await;
    let three = bench.ask(3).await;
    (0..2).for_each(|_| bench.let_through());
    other.let_through();
    assert_eq!(bench.next_pass(), [1, 3]);
    assert_eq!(other.next_pass(), [2]);
    for (task, expected) in [(first, 0), (one, 2), (foreign, 4), (three, 6)] {
        assert_eq!(task.await.unwrap(), Ok(expected));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lone_query_starts_a_pass_although_a_batch_has_room() {
    let bench = Bench::new(16, 64, LONG);
    for query in 1..=3 {
        let task = bench.ask_freely(query);
        assert_eq!(bench.next_pass(), [query]);
        bench.let_through();
        assert_eq!(task.await.unwrap(), Ok(query * 2));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_another_sender_is_in_the_next_pass() {
    let bench = Bench::new(4, 100, LONG);
    let first = bench.occupy().await;
    let mut flood = Vec::new();
    for query in 100..200 {
        flood.push(bench.ask(query).await);
    }
    // The queue is full: it takes the place of the flood's last.
    let other = bench.spawn(&bench.engine, SENDER + 1, 1);
    let displaced = flood.pop().unwrap().await.unwrap();
    assert!(
        matches!(
            displaced,
            Err(ScheduleError::Full {
                queue_length: 100,
                ..
            })
        ),
        "{displaced:?}"
    );
    (0..2).for_each(|_| bench.let_through());
    assert_eq!(bench.next_pass(), [100, 1, 101, 102]);
    assert_eq!(first.await.unwrap(), Ok(0));
    assert_eq!(other.await.unwrap(), Ok(2));
    flood.iter().for_each(Task::abort);
    (0..25).for_each(|_| bench.let_through());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_with_too_many_hears_it_at_once() {
    let limits = Limits {
        max_batch: 4,
        queue_length: 10,
        per_account: 2,
        per_sender: 2,
        deadline: LONG,
    };
    let bench = Bench::with_limits(limits);
    let first = bench.occupy().await;
    let waiting = [bench.ask(1).await, bench.ask(2).await];
    match bench.ask_freely(3).await.unwrap() {
        Err(ScheduleError::SenderFull {
            per_sender: 2,
            retry_after,
        }) => assert!(retry_after >= Duration::from_secs(1)),
        other => panic!("{other:?}"),
    }
    let other = bench.ask_of(&bench.engine, SENDER + 1, 4).await;
    (0..2).for_each(|_| bench.let_through());
    assert_eq!(bench.next_pass(), [1, 4, 2]);
    assert_eq!(first.await.unwrap(), Ok(0));
    for (task, expected) in waiting.into_iter().chain([other]).zip([2, 4, 8]) {
        assert_eq!(task.await.unwrap(), Ok(expected));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses_at_once_and_room_is_made_by_those_who_leave() {
    let bench = Bench::new(2, 2, LONG);
    let first = bench.occupy().await;
    let kept = bench.ask(1).await;
    let left = bench.ask(2).await;
    match bench.ask_freely(3).await.unwrap() {
        Err(ScheduleError::Full {
            queue_length: 2,
            retry_after,
        }) => {
            assert!(retry_after >= Duration::from_secs(1));
        }
        other => panic!("{other:?}"),
    }
    left.abort();
    assert!(left.await.unwrap_err().is_cancelled());
    let late = bench.ask_freely(4);
    // The one that left is dropped when the other comes: as many wait as before.
    tokio::time::sleep(Duration::from_millis(50)).await;
    (0..2).for_each(|_| bench.let_through());
    assert_eq!(bench.next_pass(), [1, 4]);
    for (task, expected) in [(first, 0), (kept, 2), (late, 8)] {
        assert_eq!(task.await.unwrap(), Ok(expected));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_left_is_skipped() {
    let bench = Bench::new(4, 4, LONG);
    let first = bench.occupy().await;
    let left = bench.ask(1).await;
    let kept = bench.ask(2).await;
    left.abort();
    assert!(left.await.unwrap_err().is_cancelled());
    (0..2).for_each(|_| bench.let_through());
    assert_eq!(bench.next_pass(), [2]);
    assert_eq!((first.await.unwrap(), kept.await.unwrap()), (Ok(0), Ok(4)));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_too_long_hears_it() {
    let deadline = Duration::from_millis(50);
    let bench = Bench::new(4, 4, deadline);
    let first = bench.occupy().await;
    let late = bench.ask(1).await;
    match late.await.unwrap() {
        Err(ScheduleError::Deadline {
            deadline: found, ..
        }) => assert_eq!(found, deadline),
        other => panic!("{other:?}"),
    }
    bench.let_through();
    assert!(matches!(
        first.await.unwrap(),
        Err(ScheduleError::Deadline { .. })
    ));
    // No pass was spent on the late one, and the next is answered.
    let next = bench.ask_freely(3);
    bench.let_through();
    assert_eq!(bench.next_pass(), [3]);
    assert_eq!(next.await.unwrap(), Ok(6));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_fails_its_pass_and_no_other() {
    let bench = Bench::new(2, 8, LONG);
    let first = bench.occupy().await;
    let (bad, beside) = (bench.ask(13).await, bench.ask(1).await);
    let after = bench.ask(2).await;
    (0..3).for_each(|_| bench.let_through());
    assert_eq!(first.await.unwrap(), Ok(0));
    assert_eq!(bad.await.unwrap(), Err(ScheduleError::Failed));
    assert_eq!(beside.await.unwrap(), Err(ScheduleError::Failed));
    assert_eq!(after.await.unwrap(), Ok(4));
}

/// Says on which thread of how large a pool it answers.
struct Pool;

impl Engine for Pool {
    type Query = ();
    type Answer = (Option<usize>, usize);

    fn answer(&self, queries: Vec<()>) -> Option<Vec<(Option<usize>, usize)>> {
        let here = (rayon::current_thread_index(), rayon::current_num_threads());
        Some(vec![here; queries.len()])
    }
}

#[tokio::test]
async fn passes_run_on_a_member_of_a_pool_of_their_own() {
    let limits = Limits {
        max_batch: 1,
        queue_length: 1,
        per_account: 1,
        per_sender: 1,
        deadline: LONG,
    };
    for threads in [1, 3] {
        let scheduler = Scheduler::start(limits, threads, Passes::default()).unwrap();
        let answer = scheduler.answer(of(SENDER), Arc::new(Pool), ()).await;
        assert_eq!(answer, Ok((Some(0), threads)));
    }
    let scheduler = Scheduler::start(limits, 0, Passes::default()).unwrap();
    let answer = scheduler.answer(of(SENDER), Arc::new(Pool), ()).await;
    assert!(matches!(answer, Ok((Some(0), 1..))));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_waits_for_those_that_wait() {
    let bench = Bench::new(1, 8, LONG);
    let first = bench.occupy().await;
    let second = bench.ask(1).await;
    (0..2).for_each(|_| bench.let_through());
    assert_eq!(
        (first.await.unwrap(), second.await.unwrap()),
        (Ok(0), Ok(2))
    );
    let Bench {
        scheduler, engine, ..
    } = bench;
    scheduler.shared.lock().stopping = true;
    assert_eq!(
        scheduler.answer(of(SENDER), engine, 5).await,
        Err(ScheduleError::Stopping)
    );
    tokio::task::block_in_place(|| drop(scheduler));
}
