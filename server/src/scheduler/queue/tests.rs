use super::*;

/// Never asked anything.
struct Idle;

impl Engine for Idle {
    type Query = u32;
    type Answer = ();

    fn answer(&self, _: Vec<u32>) -> Option<Vec<()>> {
        None
    }
}

/// A queue whose queries nobody gives up unless the test drops their receivers.
struct Bench {
    queue: Queue<Idle>,
    engines: [Arc<Idle>; 2],
    receivers: Vec<oneshot::Receiver<Result<(), ScheduleError>>>,
}

impl Bench {
    fn new(total: usize, per_account: usize) -> Self {
        Self::with_bounds(Bounds {
            total,
            per_account,
            per_sender: per_account,
        })
    }

    fn with_bounds(bounds: Bounds) -> Self {
        Self {
            queue: Queue::new(bounds),
            engines: [Arc::new(Idle), Arc::new(Idle)],
            receivers: Vec::new(),
        }
    }

    /// Adds a query of an account's only sender; gives the refused one and why.
    fn push(&mut self, account: u32, query: u32) -> Option<(u32, Bound)> {
        self.push_for(0, account, query)
    }

    fn push_for(&mut self, engine: usize, account: u32, query: u32) -> Option<(u32, Bound)> {
        self.push_of(engine, (account, 0), query)
    }

    fn push_of(
        &mut self,
        engine: usize,
        (account, sender): (u32, u64),
        query: u32,
    ) -> Option<(u32, Bound)> {
        let account = Account::Known(account.into());
        self.push_by(engine, Requester { account, sender }, query)
    }

    fn push_as(&mut self, requester: Requester, query: u32) -> Option<(u32, Bound)> {
        self.push_by(0, requester, query)
    }

    fn push_by(&mut self, engine: usize, requester: Requester, query: u32) -> Option<(u32, Bound)> {
        let (reply, receiver) = oneshot::channel();
        self.receivers.push(receiver);
        let refused = self.queue.push(Job {
            requester,
            engine: Arc::clone(&self.engines[engine]),
            query,
            since: Instant::now(),
            reply,
        });
        refused.map(|refused| (refused.job.query, refused.bound))
    }

    fn take(&mut self, most: usize) -> Vec<u32> {
        let batch = self.queue.take(most);
        assert!(
            batch
                .iter()
                .all(|job| Arc::ptr_eq(&job.engine, &batch[0].engine))
        );
        batch.iter().map(|job| job.query).collect()
    }
}

#[test]
fn one_sender_is_served_in_its_order() {
    let mut bench = Bench::new(10, 10);
    (0..5).for_each(|query| assert_eq!(bench.push(0, query), None));
    assert_eq!(bench.take(3), [0, 1, 2]);
    assert_eq!(bench.push(0, 5), None);
    assert_eq!(bench.take(9), [3, 4, 5]);
    assert!(bench.take(9).is_empty());
    assert_eq!(bench.queue.len(), 0);
}

#[test]
fn who_pays_with_tokens_is_not_one_sender() {
    let mut bench = Bench::with_bounds(Bounds {
        total: 10,
        per_account: 5,
        per_sender: 3,
    });
    (0..3).for_each(|query| assert_eq!(bench.push(0, query), None));
    let known = Requester {
        account: Account::Known(0.into()),
        sender: 0,
    };
    let tokens = Requester {
        account: Account::Tokens,
        sender: 0,
    };
    assert_eq!(bench.queue.refuses(known), Some(Bound::PerSender));
    for query in 10..15 {
        assert_eq!(bench.queue.refuses(tokens), None);
        assert_eq!(bench.push_as(tokens, query), None);
    }
    assert_eq!(bench.queue.refuses(tokens), Some(Bound::PerAccount));
    // Those that were given up make room.
    bench.receivers.clear();
    assert_eq!(bench.queue.refuses(known), None);
    assert_eq!(bench.queue.refuses(tokens), None);
}

#[test]
fn a_flood_does_not_keep_another_sender_waiting() {
    let mut bench = Bench::new(200, 200);
    (0..100).for_each(|query| assert_eq!(bench.push(0, query), None));
    assert_eq!(bench.push(1, 1000), None);
    assert!(bench.take(16).contains(&1000));
}

#[test]
fn passes_go_on_with_the_sender_after_the_last() {
    let mut bench = Bench::new(100, 100);
    for sender in 0..3 {
        for query in 0..4 {
            bench.push(sender, sender * 100 + query);
        }
    }
    assert_eq!(bench.take(2), [0, 100]);
    assert_eq!(bench.take(2), [200, 1]);
    assert_eq!(bench.take(2), [101, 201]);
    // Who comes new waits for one of each that waited already.
    bench.push(3, 300);
    assert_eq!(bench.take(4), [2, 102, 202, 300]);
    // Who comes back too, however quickly.
    bench.push(3, 301);
    assert_eq!(bench.take(4), [3, 103, 203, 301]);
}

#[test]
fn every_sender_gets_as_much_as_any_other() {
    let (senders, batch) = (5, 3);
    let mut bench = Bench::new(1000, 100);
    for sender in 0..senders {
        // One greedier than the other.
        for _ in 0..20 * (sender + 1) {
            bench.push(sender, sender);
        }
    }
    let mut served = [0; 5];
    for _ in 0..10 * senders {
        for sender in bench.take(batch) {
            served[sender as usize] += 1;
        }
        let with_more = served.iter().filter(|count| **count < 20);
        let (least, most) = with_more.fold((20, 0), |(least, most), count| {
            (least.min(*count), most.max(*count))
        });
        assert!(most <= least + 1, "{served:?}");
    }
}

#[test]
fn no_engines_queries_starve_or_share_a_pass() {
    let mut bench = Bench::new(100, 100);
    // Two senders keep the first engine busy; one of them has a query for the
    // other.
    for query in 0..4 {
        bench.push(0, query);
        bench.push(1, 100 + query);
    }
    bench.push_for(1, 0, 7);
    let mut passes = 0;
    loop {
        passes += 1;
        let batch = bench.take(2);
        if batch == [7] {
            break;
        }
        assert!(passes < 10, "the other engine's query starves");
        bench.push(0, 50);
        bench.push(1, 150);
    }
    // Its pass came when it was the oldest.
    assert_eq!(passes, 5);
    // The sender that had no part in that pass keeps its turn.
    assert_eq!(bench.take(1), [150]);
}

#[test]
fn a_sender_has_a_bound_of_its_own() {
    let mut bench = Bench::new(10, 2);
    assert_eq!(bench.push(0, 0), None);
    assert_eq!(bench.push(0, 1), None);
    assert_eq!(bench.push(0, 2), Some((2, Bound::PerSender)));
    assert_eq!(bench.push(1, 100), None);
    assert_eq!(bench.queue.len(), 3);
    assert_eq!(bench.take(1), [0]);
    assert_eq!(bench.push(0, 3), None);
}

#[test]
fn in_a_full_queue_the_newest_of_the_sender_with_most_gives_way() {
    let mut bench = Bench::new(4, 4);
    (0..4).for_each(|query| assert_eq!(bench.push(0, query), None));
    assert_eq!(bench.push(1, 100), Some((3, Bound::Total)));
    assert_eq!(bench.push(1, 101), Some((2, Bound::Total)));
    // They have as many now: whoever comes next is refused.
    assert_eq!(bench.push(1, 102), Some((102, Bound::Total)));
    assert_eq!(bench.push(0, 4), Some((4, Bound::Total)));
    // A third one has fewer than either.
    let (displaced, bound) = bench.push(2, 200).unwrap();
    assert!([1, 101].contains(&displaced) && bound == Bound::Total);
    // With one more the displaced and the displacing would only swap places.
    assert_eq!(bench.push(2, 201), Some((201, Bound::Total)));
    assert_eq!(bench.queue.len(), 4);
}

#[test]
fn those_given_up_make_room_and_take_no_place_in_a_pass() {
    let mut bench = Bench::new(3, 2);
    bench.push(0, 0);
    bench.push(0, 1);
    bench.push(1, 100);
    drop(bench.receivers.remove(1));
    // Room under the sender's own bound.
    assert_eq!(bench.push(0, 2), None);
    drop(bench.receivers.remove(1));
    // Room in the whole queue: nobody is displaced.
    assert_eq!(bench.push(2, 200), None);
    drop(bench.receivers.remove(0));
    assert_eq!(bench.take(9), [2, 200]);
    assert!(bench.take(9).is_empty());
}

#[test]
fn those_that_waited_too_long_come_out() {
    let mut bench = Bench::new(9, 9);
    bench.push(0, 0);
    bench.push(1, 100);
    assert!(bench.queue.take_late(Duration::from_secs(3600)).is_empty());
    assert_eq!(bench.queue.len(), 2);
    let late = bench.queue.take_late(Duration::ZERO);
    assert_eq!(late.len(), 2);
    assert_eq!(bench.queue.len(), 0);
    assert!(bench.take(9).is_empty());
}

#[test]
fn senders_of_an_account_are_served_in_turn_and_give_others_no_more() {
    let mut bench = Bench::new(200, 100);
    for query in 0..50 {
        bench.push_of(0, (0, 1), query);
    }
    bench.push_of(0, (0, 2), 100);
    bench.push_of(0, (0, 3), 200);
    // Three senders of one account have no more turns than one of another.
    for query in 300..305 {
        bench.push_of(0, (1, 9), query);
    }
    assert_eq!(bench.take(6), [0, 300, 100, 301, 200, 302]);
    assert_eq!(bench.take(4), [1, 303, 2, 304]);
    assert_eq!(bench.take(2), [3, 4]);
}

#[test]
fn a_sender_is_bounded_within_its_account() {
    let mut bench = Bench::with_bounds(Bounds {
        total: 100,
        per_account: 4,
        per_sender: 3,
    });
    for query in 0..3 {
        assert_eq!(bench.push_of(0, (0, 1), query), None);
    }
    assert_eq!(bench.push_of(0, (0, 1), 3), Some((3, Bound::PerSender)));
    assert_eq!(bench.push_of(0, (0, 2), 100), None);
    // The account is full: whoever has fewer takes the place of the greedy one.
    assert_eq!(bench.push_of(0, (0, 3), 200), Some((2, Bound::PerAccount)));
    assert_eq!(
        bench.push_of(0, (0, 3), 201),
        Some((201, Bound::PerAccount))
    );
    assert_eq!(bench.push_of(0, (0, 1), 4), Some((4, Bound::PerAccount)));
    // Another account doesn't notice.
    assert_eq!(bench.push_of(0, (1, 1), 300), None);
    assert_eq!(bench.queue.len(), 5);
    assert_eq!(bench.take(9), [0, 300, 100, 200, 1]);
    assert_eq!(bench.queue.len(), 0);
}

#[test]
fn in_a_full_queue_a_greedy_sender_gives_way_to_one_of_its_own_account() {
    let mut bench = Bench::with_bounds(Bounds {
        total: 4,
        per_account: 9,
        per_sender: 9,
    });
    (0..4).for_each(|query| assert_eq!(bench.push_of(0, (0, 1), query), None));
    assert_eq!(bench.push_of(0, (0, 2), 100), Some((3, Bound::Total)));
    assert_eq!(bench.push_of(0, (0, 2), 101), Some((2, Bound::Total)));
    assert_eq!(bench.push_of(0, (0, 2), 102), Some((102, Bound::Total)));
    assert_eq!(bench.take(9), [0, 100, 1, 101]);
}

#[test]
fn those_who_pay_with_tokens_share_a_turn() {
    let mut bench = Bench::new(20, 20);
    bench.push(0, 0);
    bench.push(0, 1);
    for (sender, query) in (0..3u64).zip(100..) {
        let (reply, receiver) = oneshot::channel();
        bench.receivers.push(receiver);
        let refused = bench.queue.push(Job {
            requester: Requester {
                account: Account::Tokens,
                sender,
            },
            engine: Arc::clone(&bench.engines[0]),
            query,
            since: Instant::now(),
            reply,
        });
        assert!(refused.is_none());
    }
    assert_eq!(bench.take(5), [0, 100, 1, 101, 102]);
}
