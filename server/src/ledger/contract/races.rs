//! Several who spend at once: threads on one ledger and, where it can be shared,
//! on ledgers of their own.

use std::sync::Barrier;
use std::thread;

use super::{Fresh, NOON, charge, charges, is_spent, left, one, token, tokens};
use crate::ledger::{Ledger, Spend};

const THREADS: usize = 8;
const ROUNDS: u32 = 12;

pub(super) fn check(fresh: Fresh<'_>) {
    let bench = fresh();
    let shared = bench.open();
    race(&[&*shared; THREADS]);
    drop(shared);
    let bench = fresh();
    if bench.is_shared() {
        let own: Vec<Box<dyn Ledger>> = (0..THREADS).map(|_| bench.open()).collect();
        let own: Vec<&dyn Ledger> = own.iter().map(|ledger| &**ledger).collect();
        race(&own);
    }
}

/// Each round everybody tries the same token, and then the same quota, which has
/// enough for fewer than there are.
fn race(ledgers: &[&dyn Ledger]) {
    for round in 0..ROUNDS {
        let winners = all_at_once(ledgers, &tokens(&[token(round)]));
        assert_eq!(winners, 1, "one spends the token");
        let meter = u8::try_from(round).expect("few rounds") + 1;
        let winners = all_at_once(ledgers, &charges(&[charge(meter, 4)]));
        assert_eq!(winners, 2, "of ten, four are spent twice");
        assert_eq!(left(ledgers[0], meter, NOON), 2);
        let both = Spend {
            charges: vec![charge(meter, 1)],
            tokens: vec![token(1000 + round)],
        };
        assert_eq!(all_at_once(ledgers, &both), 1);
        assert_eq!(left(ledgers[0], meter, NOON), 1);
    }
}

/// How many of those that try at once succeed.
fn all_at_once(ledgers: &[&dyn Ledger], spend: &Spend) -> usize {
    let start = Barrier::new(ledgers.len());
    thread::scope(|scope| {
        let tries: Vec<_> = ledgers
            .iter()
            .map(|ledger| {
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    is_spent(&one(*ledger, spend, NOON))
                })
            })
            .collect();
        let won = tries.into_iter().map(|each| each.join().expect("no panic"));
        won.filter(|won| *won).count()
    })
}
