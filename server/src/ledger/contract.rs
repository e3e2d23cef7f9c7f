//! What every ledger must do: the suite that each implementation runs.
//!
//! ```text
//! contract::check(&|| Box::new(MyBench::fresh()));
//! ```

mod races;

use protocol::time::UnixTime;

use super::bucket::DAY;
use super::{Charge, Ledger, Level, MeterId, Outcome, Quota, Spend, SpentToken};

/// A place for one ledger, empty at first and removed when dropped.
pub trait Bench {
    /// Opens the ledger there; where it can be shared, also while others are
    /// open.
    fn open(&self) -> Box<dyn Ledger>;

    /// Whether several may be open at a time.
    fn is_shared(&self) -> bool {
        false
    }
}

/// Makes fresh benches.
pub type Fresh<'a> = &'a dyn Fn() -> Box<dyn Bench>;

/// Noon of a day.
const NOON: u64 = 20_000 * DAY + DAY / 2;

const QUOTA: Quota = Quota {
    burst: 10,
    refill_per_hour: 6,
    per_day: 25,
};

/// Runs the whole contract.
///
/// # Panics
/// If the implementation breaks it, by the first promise that it breaks.
pub fn check(fresh: Fresh<'_>) {
    spends_take_effect_in_order(fresh);
    a_spend_is_whole_or_not_at_all(fresh);
    tokens_are_spent_once_and_only_alive(fresh);
    quotas_refill_and_days_end(fresh);
    clocks_that_go_back_give_nothing(fresh);
    what_is_spent_stays_spent(fresh);
    what_has_expired_or_is_full_is_forgotten(fresh);
    what_was_forgotten_stays_spent(fresh);
    much_is_forgotten(fresh);
    large_numbers_are_kept(fresh);
    races::check(fresh);
}

fn at(secs: u64) -> UnixTime {
    UnixTime::from_secs(secs)
}

fn charge(meter: u8, amount: u32) -> Charge {
    Charge {
        meter: MeterId([meter; 32]),
        quota: QUOTA,
        amount,
        level: Level::Sender,
    }
}

fn token(number: u32) -> SpentToken {
    let mut id = [0; 32];
    id[..4].copy_from_slice(&number.to_be_bytes());
    SpentToken {
        id,
        expires: at(NOON + 2 * DAY),
    }
}

fn charges(charges: &[Charge]) -> Spend {
    Spend {
        charges: charges.to_vec(),
        tokens: Vec::new(),
    }
}

fn tokens(tokens: &[SpentToken]) -> Spend {
    Spend {
        charges: Vec::new(),
        tokens: tokens.to_vec(),
    }
}

fn spend(ledger: &dyn Ledger, spends: &[Spend], now: u64) -> Vec<Outcome> {
    let outcomes = ledger.spend(spends, at(now)).expect("a ledger that works");
    assert_eq!(outcomes.len(), spends.len());
    outcomes
}

fn one(ledger: &dyn Ledger, of: &Spend, now: u64) -> Outcome {
    spend(ledger, std::slice::from_ref(of), now).remove(0)
}

fn is_spent(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Spent { .. })
}

/// Elements that a meter has.
fn left(ledger: &dyn Ledger, meter: u8, now: u64) -> u32 {
    let meter = (MeterId([meter; 32]), Level::Sender, QUOTA);
    let remaining = ledger.remaining(&[meter], at(now)).expect("what is left");
    remaining[0].elements()
}

fn spends_take_effect_in_order(fresh: Fresh<'_>) {
    let bench = fresh();
    let ledger = bench.open();
    assert_eq!(spend(&*ledger, &[], NOON), []);
    assert!(is_spent(&one(&*ledger, &Spend::default(), NOON)));
    let outcomes = spend(
        &*ledger,
        &[
            charges(&[charge(1, 6)]),
            charges(&[charge(1, 6)]),
            charges(&[charge(1, 4)]),
            charges(&[charge(1, 1)]),
            charges(&[charge(2, 10)]),
        ],
        NOON,
    );
    let left_then: Vec<Option<u32>> = outcomes
        .iter()
        .map(|outcome| match outcome {
            Outcome::Spent { remaining } => Some(remaining[0].elements()),
            _ => None,
        })
        .collect();
    assert_eq!(left_then, [Some(4), None, Some(0), None, Some(0)]);
    let Outcome::Exhausted {
        retry_after_secs,
        remaining,
        ..
    } = &outcomes[1]
    else {
        panic!("{:?}", outcomes[1]);
    };
    // Two elements at six an hour.
    assert_eq!((*retry_after_secs, remaining[0].elements()), (1200, 4));
    assert_eq!(remaining[0].full_in_secs, 3600);
    assert_eq!(u64::from(remaining[0].day_ends_in_secs), DAY / 2);
}

fn a_spend_is_whole_or_not_at_all(fresh: Fresh<'_>) {
    let bench = fresh();
    let ledger = bench.open();
    // One meter without so much, one token twice, one amount too large.
    assert!(is_spent(&one(&*ledger, &charges(&[charge(3, 8)]), NOON)));
    let account = Charge {
        level: Level::Account,
        ..charge(3, 5)
    };
    let mut refused = charges(&[charge(1, 5), charge(2, 5), account]);
    refused.tokens = vec![token(1)];
    let outcome = one(&*ledger, &refused, NOON);
    let exhausted = |outcome: &Outcome| {
        matches!(
            outcome,
            Outcome::Exhausted {
                level: Level::Account,
                retry_after_secs: 1800,
                remaining,
            } if remaining.len() == 3
        )
    };
    assert!(exhausted(&outcome), "{outcome:?}");
    let twice = Spend {
        charges: vec![charge(1, 5)],
        tokens: vec![token(1), token(2), token(1)],
    };
    assert_eq!(one(&*ledger, &twice, NOON), Outcome::Replayed);
    let outcome = one(&*ledger, &charges(&[charge(1, 1), charge(2, 11)]), NOON);
    let too_much = matches!(outcome, Outcome::TooMuch { most: 10, .. });
    assert!(too_much, "{outcome:?}");
    // Twice on one meter, together more than it has.
    let outcome = one(&*ledger, &charges(&[charge(1, 6), charge(1, 6)]), NOON);
    assert!(matches!(outcome, Outcome::Exhausted { .. }), "{outcome:?}");
    assert_eq!(left(&*ledger, 1, NOON), 10);
    assert_eq!(left(&*ledger, 2, NOON), 10);
    assert_eq!(ledger.spent_tokens().expect("a count"), 0);
    let whole = Spend {
        charges: vec![charge(1, 5), charge(2, 6)],
        tokens: vec![token(1), token(2)],
    };
    assert!(is_spent(&one(&*ledger, &whole, NOON)));
    assert_eq!(left(&*ledger, 1, NOON), 5);
    assert_eq!(left(&*ledger, 2, NOON), 4);
    assert_eq!(ledger.spent_tokens().expect("a count"), 2);
    // A token that was spent keeps the charge beside it from being made.
    assert_eq!(one(&*ledger, &whole, NOON + 1), Outcome::Replayed);
    assert_eq!(left(&*ledger, 1, NOON), 5);
}

fn tokens_are_spent_once_and_only_alive(fresh: Fresh<'_>) {
    let bench = fresh();
    let ledger = bench.open();
    let outcomes = spend(
        &*ledger,
        &[
            tokens(&[token(1)]),
            tokens(&[token(2), token(1)]),
            tokens(&[token(2)]),
            tokens(&[token(2)]),
        ],
        NOON,
    );
    let spent: Vec<bool> = outcomes.iter().map(is_spent).collect();
    assert_eq!(spent, [true, false, true, false]);
    assert_eq!(one(&*ledger, &tokens(&[token(1)]), NOON), Outcome::Replayed);
    // The same token is not spent again because somebody says it lives longer.
    let longer = SpentToken {
        expires: at(NOON + 9 * DAY),
        ..token(1)
    };
    assert_eq!(one(&*ledger, &tokens(&[longer]), NOON), Outcome::Replayed);
    let expires = token(3).expires.as_secs();
    let late = one(&*ledger, &tokens(&[token(3)]), expires);
    assert_eq!(late, Outcome::Replayed);
    assert!(is_spent(&one(&*ledger, &tokens(&[token(3)]), expires - 1)));
}

fn quotas_refill_and_days_end(fresh: Fresh<'_>) {
    let bench = fresh();
    let ledger = bench.open();
    assert!(is_spent(&one(&*ledger, &charges(&[charge(1, 10)]), NOON)));
    assert_eq!(left(&*ledger, 1, NOON + 599), 0);
    assert_eq!(left(&*ledger, 1, NOON + 600), 1);
    assert_eq!(left(&*ledger, 1, NOON + 6000), 10);
    assert!(is_spent(&one(
        &*ledger,
        &charges(&[charge(1, 10)]),
        NOON + 6000
    )));
    // 20 of the day's 25 are spent.
    let evening = NOON + 12_000;
    assert_eq!(left(&*ledger, 1, evening), 5);
    let outcome = one(&*ledger, &charges(&[charge(1, 6)]), evening);
    let until_midnight = u32::try_from(DAY / 2 - 12_000).expect("a day");
    let waits = matches!(
        outcome,
        Outcome::Exhausted { retry_after_secs, .. } if retry_after_secs == until_midnight
    );
    assert!(waits, "{outcome:?}");
    let midnight = NOON + DAY / 2;
    assert_eq!(left(&*ledger, 1, midnight - 1), 5);
    assert!(is_spent(&one(
        &*ledger,
        &charges(&[charge(1, 6)]),
        midnight
    )));
    assert_eq!(left(&*ledger, 1, midnight), 4);
}

fn clocks_that_go_back_give_nothing(fresh: Fresh<'_>) {
    let bench = fresh();
    let ledger = bench.open();
    let all = charges(&[charge(1, 10)]);
    assert!(is_spent(&one(&*ledger, &all, NOON)));
    for back in [1, 3600, DAY, 2 * DAY, NOON] {
        assert_eq!(left(&*ledger, 1, NOON - back), 0, "{back}");
        let outcome = one(&*ledger, &charges(&[charge(1, 1)]), NOON - back);
        let waits = matches!(
            outcome,
            Outcome::Exhausted { retry_after_secs, .. } if retry_after_secs >= 600
        );
        assert!(waits, "{outcome:?}");
    }
    assert_eq!(left(&*ledger, 1, NOON + 600), 1);
}

fn what_is_spent_stays_spent(fresh: Fresh<'_>) {
    let bench = fresh();
    let whole = Spend {
        charges: vec![charge(1, 10)],
        tokens: vec![token(1)],
    };
    assert!(is_spent(&one(&*bench.open(), &whole, NOON)));
    let ledger = bench.open();
    assert_eq!(left(&*ledger, 1, NOON), 0);
    assert_eq!(one(&*ledger, &tokens(&[token(1)]), NOON), Outcome::Replayed);
}

/// A clock that was ahead has had tokens forgotten, and has gone back.
fn what_was_forgotten_stays_spent(fresh: Fresh<'_>) {
    let bench = fresh();
    let ledger = bench.open();
    assert!(is_spent(&one(&*ledger, &tokens(&[token(1)]), NOON)));
    let ahead = token(1).expires;
    assert_eq!(ledger.forget(ahead).unwrap(), 1);
    assert_eq!(ledger.forget(at(NOON)).unwrap(), 0);
    drop(ledger);
    let ledger = bench.open();
    assert_eq!(one(&*ledger, &tokens(&[token(1)]), NOON), Outcome::Replayed);
    // Those that live longer than the clock was ahead are not affected.
    let longer = SpentToken {
        expires: ahead.saturating_add(1),
        ..token(2)
    };
    assert!(is_spent(&one(&*ledger, &tokens(&[longer]), NOON)));
}

fn what_has_expired_or_is_full_is_forgotten(fresh: Fresh<'_>) {
    let bench = fresh();
    let ledger = bench.open();
    let mut early = token(1);
    early.expires = at(NOON + 10);
    let whole = Spend {
        charges: vec![charge(1, 1), charge(2, 10)],
        tokens: vec![early, token(2)],
    };
    assert!(is_spent(&one(&*ledger, &whole, NOON)));
    let counts = || {
        let tokens = ledger.spent_tokens().expect("a count");
        (tokens, ledger.meters().expect("a count"))
    };
    assert_eq!(counts(), (2, 2));
    assert_eq!(ledger.forget(at(NOON + 9)).expect("to forget"), 0);
    assert_eq!(counts(), (2, 2));
    assert_eq!(ledger.forget(at(NOON + 10)).expect("to forget"), 1);
    assert_eq!(counts(), (1, 2));
    // Full after 600 and 6000 seconds, but some of the day is spent.
    assert_eq!(ledger.forget(at(NOON + 7000)).expect("to forget"), 0);
    assert_eq!(counts(), (1, 2));
    assert_eq!(ledger.forget(at(NOON + DAY / 2)).expect("to forget"), 0);
    assert_eq!(counts(), (1, 0));
    assert_eq!(left(&*ledger, 2, NOON + DAY / 2), 10);
    assert_eq!(
        one(&*ledger, &tokens(&[token(2)]), NOON + DAY),
        Outcome::Replayed
    );
    // What was forgotten is not spent again.
    assert_eq!(
        one(&*ledger, &tokens(&[early]), NOON + DAY),
        Outcome::Replayed
    );
    assert_eq!(ledger.forget(at(u64::MAX)).expect("to forget"), 1);
    assert_eq!(counts(), (0, 0));
}

fn much_is_forgotten(fresh: Fresh<'_>) {
    const MANY: u32 = 9000;
    let bench = fresh();
    let ledger = bench.open();
    let many: Vec<SpentToken> = (0..MANY).map(token).collect();
    assert!(is_spent(&one(&*ledger, &tokens(&many), NOON)));
    assert_eq!(ledger.spent_tokens().expect("a count"), u64::from(MANY));
    let forgotten = ledger.forget(token(0).expires).expect("to forget");
    assert_eq!(forgotten, u64::from(MANY));
    assert_eq!(ledger.spent_tokens().expect("a count"), 0);
}

fn large_numbers_are_kept(fresh: Fresh<'_>) {
    let bench = fresh();
    let ledger = bench.open();
    let largest = Charge {
        quota: Quota {
            burst: u32::MAX,
            refill_per_hour: u32::MAX,
            per_day: u32::MAX,
        },
        ..charge(1, u32::MAX)
    };
    let eternal = SpentToken {
        expires: at(u64::MAX),
        ..token(1)
    };
    let whole = Spend {
        charges: vec![largest],
        tokens: vec![eternal],
    };
    assert!(is_spent(&one(&*ledger, &whole, NOON)));
    assert_eq!(one(&*ledger, &whole, NOON), Outcome::Replayed);
    let never = Charge {
        quota: Quota {
            refill_per_hour: 0,
            ..QUOTA
        },
        ..charge(2, 10)
    };
    assert!(is_spent(&one(&*ledger, &charges(&[never]), NOON)));
    let outcome = one(&*ledger, &charges(&[never]), NOON);
    let waits = matches!(
        outcome,
        Outcome::Exhausted {
            retry_after_secs: u32::MAX,
            ..
        }
    );
    assert!(waits, "{outcome:?}");
    ledger.forget(at(NOON + 400 * DAY)).expect("to forget");
    assert_eq!(ledger.meters().expect("a count"), 1);
}
