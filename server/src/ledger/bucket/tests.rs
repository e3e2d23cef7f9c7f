use proptest::prelude::*;

use super::*;

const QUOTA: Quota = Quota {
    burst: 10,
    refill_per_hour: 7,
    per_day: 50,
};

fn at(secs: u64) -> UnixTime {
    UnixTime::from_secs(secs)
}

/// Settles and takes; whether it was taken.
fn take(balance: &mut Balance, quota: &Quota, amount: u32, now: u64) -> bool {
    *balance = balance.settled(quota, at(now));
    balance.take(quota, amount, at(now)).is_ok()
}

#[test]
fn refills_evenly_and_without_drift_however_often_it_is_read() {
    let day = 20_000 * DAY;
    let mut often = Balance::full(&QUOTA, at(day));
    assert!(take(&mut often, &QUOTA, 10, day));
    let once = often;
    for second in 0..5000 {
        often = often.settled(&QUOTA, at(day + second));
        // 7 elements an hour: the first after 514.3 seconds.
        assert_eq!(u64::from(often.bucket()), second * 7 / 3600, "{second}");
    }
    assert_eq!(often, once.settled(&QUOTA, at(day + 4999)));
    assert_eq!(once.full_in(&QUOTA), (10u64 * 3600).div_ceil(7));
    let full = once.settled(&QUOTA, at(day + once.full_in(&QUOTA)));
    assert_eq!(full.bucket(), 10);
    assert_eq!(full.full_in(&QUOTA), 0);
}

#[test]
fn says_how_long_to_wait_and_no_longer() {
    let day = 20_000 * DAY;
    let mut balance = Balance::full(&QUOTA, at(day));
    assert!(take(&mut balance, &QUOTA, 8, day));
    let refused = balance.take(&QUOTA, 5, at(day));
    // Three elements at 7 an hour.
    let secs = (3u64 * 3600).div_ceil(7);
    assert_eq!(refused, Err(Refusal::After { secs }));
    assert!(!take(&mut { balance }, &QUOTA, 5, day + secs - 1));
    assert!(take(&mut balance, &QUOTA, 5, day + secs));
    assert_eq!(balance.take(&QUOTA, 11, at(day)), Err(Refusal::TooMuch));
    let small_day = Quota {
        per_day: 4,
        ..QUOTA
    };
    let mut balance = Balance::full(&small_day, at(day));
    assert_eq!(balance.take(&small_day, 5, at(day)), Err(Refusal::TooMuch));
    let no_refill = Quota {
        refill_per_hour: 0,
        ..QUOTA
    };
    let mut balance = Balance::full(&no_refill, at(day));
    assert!(take(&mut balance, &no_refill, 10, day));
    let never = Err(Refusal::After { secs: u64::MAX });
    assert_eq!(balance.take(&no_refill, 1, at(day)), never);
}

#[test]
fn the_day_ends_at_midnight_of_utc() {
    let quota = Quota {
        burst: 10,
        refill_per_hour: 36_000,
        per_day: 15,
    };
    let midnight = 20_001 * DAY;
    let mut balance = Balance::full(&quota, at(midnight - 100));
    assert!(take(&mut balance, &quota, 10, midnight - 100));
    assert!(take(&mut balance, &quota, 5, midnight - 50));
    assert_eq!(balance.today(&quota), 0);
    let refused = balance
        .settled(&quota, at(midnight - 1))
        .take(&quota, 1, at(midnight - 1));
    assert_eq!(refused, Err(Refusal::After { secs: 1 }));
    assert!(take(&mut balance, &quota, 1, midnight));
    assert_eq!(balance.today(&quota), 14);
    // The clock goes back over midnight: the new day's cap goes on.
    balance = balance.settled(&quota, at(midnight - 10));
    assert_eq!(balance.today(&quota), 14);
    assert_eq!(balance.at, midnight);
}

#[test]
fn a_clock_that_was_far_ahead_doesnt_stop_a_meter_for_years() {
    let now = 20_000 * DAY;
    let mut balance = Balance::full(&QUOTA, at(now));
    assert!(take(&mut balance, &QUOTA, 10, now + 3650 * DAY));
    let spent = balance.spent;
    balance = balance.settled(&QUOTA, at(now));
    assert_eq!((balance.at, balance.bucket()), (now, 0));
    assert_eq!(balance.spent, spent, "nothing comes back by it");
    assert!(take(&mut balance, &QUOTA, 7, now + 3600));
}

#[test]
fn a_smaller_quota_counts_at_once() {
    let balance = Balance::full(&QUOTA, at(0));
    let smaller = Quota { burst: 3, ..QUOTA };
    assert_eq!(balance.settled(&smaller, at(1)).bucket(), 3);
}

fn quotas() -> impl Strategy<Value = Quota> {
    let small = (1u32..50, 0u32..5000, 1u32..200);
    let any = (any::<u32>(), any::<u32>(), any::<u32>());
    prop_oneof![small, any].prop_map(|(burst, refill_per_hour, per_day)| Quota {
        burst,
        refill_per_hour,
        per_day,
    })
}

proptest! {
    /// However requests come, no window of time gives more than the bucket and
    /// what came back in it, and no day more than its cap.
    #[test]
    fn never_more_than_the_quota(
        quota in quotas(),
        start in 0u64..4_000_000_000,
        requests in prop::collection::vec((0u64..40_000, 0u32..60), 1..80),
    ) {
        let mut balance = Balance::full(&quota, at(start));
        let mut now = start;
        let mut taken: Vec<(u64, u128)> = Vec::new();
        for (pause, amount) in requests {
            now += pause;
            if take(&mut balance, &quota, amount, now) {
                taken.push((now, amount.into()));
            }
        }
        for first in 0..taken.len() {
            let mut sum = 0;
            for (time, amount) in &taken[first..] {
                sum += amount;
                let elapsed = u128::from(time - taken[first].0);
                let most = u128::from(quota.burst) * 3600
                    + elapsed * u128::from(quota.refill_per_hour);
                prop_assert!(sum * 3600 <= most);
            }
        }
        let days: std::collections::BTreeSet<u64> = taken.iter().map(|(t, _)| t / DAY).collect();
        for day in days {
            let of_day = taken.iter().filter(|(time, _)| time / DAY == day);
            let sum: u128 = of_day.map(|(_, amount)| amount).sum();
            prop_assert!(sum <= quota.per_day.into());
        }
    }

    /// A request that is refused fits after the time that was said, and not a
    /// second earlier.
    #[test]
    fn waiting_is_exact(
        quota in quotas(),
        start in 0u64..4_000_000_000,
        first in 0u32..60,
        second in 1u32..60,
    ) {
        let mut balance = Balance::full(&quota, at(start));
        take(&mut balance, &quota, first, start);
        if let Err(Refusal::After { secs }) = balance.take(&quota, second, at(start)) {
            prop_assert!(secs >= 1);
            let early = start.saturating_add(secs - 1);
            let mut of_early = balance;
            prop_assert!(!take(&mut of_early, &quota, second, early));
            if secs < u64::MAX {
                prop_assert!(take(&mut balance, &quota, second, start + secs));
            }
        }
    }

    /// Whatever the clock shows, going back gives nothing and nothing panics.
    #[test]
    fn clocks_that_go_back_give_nothing(
        quota in quotas(),
        times in prop::collection::vec(any::<u64>(), 1..40),
        amount in 0u32..60,
    ) {
        let mut balance = Balance::full(&quota, at(times[0]));
        for time in times {
            let before = balance;
            balance = balance.settled(&quota, at(time));
            if time <= before.at {
                prop_assert!(balance.parts <= before.parts);
                prop_assert!(balance.spent >= before.spent);
            }
            let settled = balance;
            let _ = balance.take(&quota, amount, at(time));
            prop_assert!(balance.parts <= settled.parts);
            prop_assert!(balance.forgettable_at(&quota) >= balance.at);
            let (day, full) = (balance.day_ends_in(), balance.full_in(&quota));
            prop_assert!((1..=DAY).contains(&day) && (full > 0) == (balance.parts < capacity(&quota)));
        }
    }

    /// What is forgotten was the same as a fresh one.
    #[test]
    fn forgotten_is_fresh(quota in quotas(), start in 0u64..4_000_000_000, amount in 0u32..60) {
        let mut balance = Balance::full(&quota, at(start));
        take(&mut balance, &quota, amount, start);
        let when = balance.forgettable_at(&quota);
        if when < u64::MAX {
            prop_assert_eq!(
                balance.settled(&quota, at(when)),
                Balance::full(&quota, at(when))
            );
        }
    }
}
