//! What it costs to try every number: what quotas are worth.
//!
//! Whoever wants to know all registered numbers has to have each number that
//! there could be evaluated, and pays one element for each. This says for how long
//! somebody who spends all that a quota gives, from a full bucket on, is at it.

use std::fmt::Write as _;

use serde::Serialize;

use crate::ledger::{Level, Quota};
use crate::quotas::Quotas;

/// Numbers to be tried: 10^7 has a small country, 10^10 all of the world's mobile
/// numbers in use.
pub const NUMBERS: [u64; 4] = [10_000_000, 100_000_000, 1_000_000_000, 10_000_000_000];

/// The days in which an attacker wants to be done, where the number of senders or
/// accounts is asked for.
pub const DAYS: u64 = 30;

/// What it costs to try so many numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// How many numbers.
    pub numbers: u64,
    /// Days for one sender; `None` for ever.
    pub sender_days: Option<u64>,
    /// Senders that do it in [`DAYS`].
    pub senders: u64,
    /// Days for one account with as many senders as it likes.
    pub account_days: Option<u64>,
    /// Accounts that do it in [`DAYS`].
    pub accounts: u64,
    /// Days for everybody together: no number of accounts is faster.
    pub global_days: Option<u64>,
}

/// The table, one row each of [`NUMBERS`].
#[must_use]
pub fn table(quotas: &Quotas) -> [Cost; 4] {
    NUMBERS.map(|numbers| Cost {
        numbers,
        sender_days: days(&quotas.sender, numbers),
        senders: holders(&quotas.sender, numbers),
        account_days: days(&quotas.account, numbers),
        accounts: holders(&quotas.account, numbers),
        global_days: days(&quotas.global, numbers),
    })
}

/// Whole days in which a quota gives so much; `None` if never.
#[must_use]
pub fn days(quota: &Quota, numbers: u64) -> Option<u64> {
    if numbers == 0 {
        return Some(0);
    }
    if quota.per_day == 0 {
        return None;
    }
    let by_cap = numbers.div_ceil(quota.per_day.into());
    let beyond = numbers.saturating_sub(quota.burst.into());
    let by_refill = match (beyond, refill_a_day(quota)) {
        (0, _) => 1,
        (_, 0) => return None,
        (beyond, refill) => beyond.div_ceil(refill),
    };
    Some(by_cap.max(by_refill))
}

/// What a quota gives in so many days.
#[must_use]
pub fn given_in(quota: &Quota, days: u64) -> u64 {
    let by_cap = days.saturating_mul(quota.per_day.into());
    let by_refill = days
        .saturating_mul(refill_a_day(quota))
        .saturating_add(quota.burst.into());
    by_cap.min(if days == 0 { 0 } else { by_refill })
}

fn refill_a_day(quota: &Quota) -> u64 {
    24 * u64::from(quota.refill_per_hour)
}

fn holders(quota: &Quota, numbers: u64) -> u64 {
    numbers.div_ceil(given_in(quota, DAYS).max(1))
}

/// Quotas and table in Markdown, as docs/security.md has them.
#[must_use]
pub fn markdown(quotas: &Quotas) -> String {
    let mut text = String::from(
        "| quota of | at once | refill an hour | at most a day |\n|---|---|---|---|\n",
    );
    for (level, quota) in quotas.levels() {
        // Writing to a string can't fail.
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            whose(level),
            grouped(quota.burst.into()),
            grouped(quota.refill_per_hour.into()),
            grouped(quota.per_day.into()),
        );
    }
    let _ = write!(
        text,
        "\n| numbers tried | one sender | senders for {DAYS} days | one account | accounts for {DAYS} days | everybody together |\n|---|---|---|---|---|---|\n"
    );
    for cells in cells(quotas) {
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    text
}

/// Quotas and table for a terminal.
#[must_use]
pub fn plain(quotas: &Quotas) -> String {
    let mut text = format!(
        "{:<22} {:>14} {:>14} {:>14}\n",
        "evaluations of", "at once", "an hour", "a day"
    );
    for (level, quota) in quotas.levels() {
        let _ = writeln!(
            text,
            "{:<22} {:>14} {:>14} {:>14}",
            whose(level),
            grouped(quota.burst.into()),
            grouped(quota.refill_per_hour.into()),
            grouped(quota.per_day.into()),
        );
    }
    let heads = [
        "numbers tried".to_owned(),
        "one sender".to_owned(),
        format!("senders, {DAYS} d"),
        "one account".to_owned(),
        format!("accounts, {DAYS} d"),
        "all together".to_owned(),
    ];
    text.push('\n');
    for cells in std::iter::once(heads).chain(cells(quotas)) {
        let [numbers, rest @ ..] = cells;
        let _ = write!(text, "{numbers:<14}");
        for cell in rest {
            let _ = write!(text, " {cell:>15}");
        }
        text.push('\n');
    }
    text
}

fn cells(quotas: &Quotas) -> [[String; 6]; 4] {
    table(quotas).map(|cost| {
        [
            format!("10^{}", cost.numbers.ilog10()),
            duration(cost.sender_days),
            grouped(cost.senders),
            duration(cost.account_days),
            grouped(cost.accounts),
            duration(cost.global_days),
        ]
    })
}

fn whose(level: Level) -> &'static str {
    match level {
        Level::Sender => "each sender",
        Level::Account => "each account",
        Level::Global => "everybody together",
    }
}

/// Days up to two years, then years of 365.25 days, rounded down.
fn duration(days: Option<u64>) -> String {
    match days {
        None => "for ever".to_owned(),
        Some(1) => "1 day".to_owned(),
        Some(days) if days <= 730 => format!("{days} days"),
        Some(days) => {
            // Tenths of years below a hundred of them.
            let tenths = days.saturating_mul(40) / 1461;
            if tenths < 1000 {
                format!("{}.{} years", tenths / 10, tenths % 10)
            } else {
                format!("{} years", grouped(tenths / 10))
            }
        }
    }
}

/// With a space between groups of three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use protocol::time::UnixTime;

    use super::*;
    use crate::ledger::bucket::{Balance, DAY};

    #[test]
    fn the_documentation_has_the_defaults() {
        let documented = include_str!("../../docs/security.md");
        let expected = markdown(&Quotas::DEFAULT);
        assert!(documented.contains(&expected), "{expected}");
    }

    /// What somebody gets out of the real bucket who asks for one element after
    /// the other as soon as there is one.
    fn greedy_days(quota: &Quota, numbers: u64) -> u64 {
        let start = 20_000 * DAY;
        let mut balance = Balance::full(quota, UnixTime::from_secs(start));
        let mut taken = 0;
        let mut now = start;
        while taken < numbers {
            balance = balance.settled(quota, UnixTime::from_secs(now));
            if balance.take(quota, 1, UnixTime::from_secs(now)).is_ok() {
                taken += 1;
            } else {
                now += 30;
            }
        }
        (now - start) / DAY + 1
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        /// The formula is what the bucket really gives, but for the last minutes
        /// of a day.
        #[test]
        fn the_formula_is_the_buckets(
            burst in 1u32..300,
            refill_per_hour in 1u32..20,
            per_day in 1u32..400,
            numbers in 1u64..3000,
        ) {
            let quota = Quota { burst, refill_per_hour, per_day };
            let expected = days(&quota, numbers).unwrap();
            let found = greedy_days(&quota, numbers);
            prop_assert!(found == expected || found == expected + 1, "{} {}", found, expected);
            prop_assert!(given_in(&quota, expected) >= numbers);
            prop_assert!(given_in(&quota, expected - 1) < numbers);
        }
    }

    #[test]
    fn quotas_that_end_are_for_ever() {
        let ends = Quota {
            burst: 10,
            refill_per_hour: 0,
            per_day: 5,
        };
        assert_eq!(days(&ends, 10), Some(2));
        assert_eq!(days(&ends, 11), None);
        assert_eq!(given_in(&ends, 1000), 10);
        assert_eq!(given_in(&ends, 0), 0);
    }

    #[test]
    fn the_table_of_the_defaults_is_as_computed_by_hand() {
        let [small, .., large] = table(&Quotas::DEFAULT);
        // 1200 a day; 30 days give 37 024.
        assert_eq!(small.sender_days, Some(8333));
        assert_eq!(small.senders, 271);
        // 240 000 a day; everybody 2 400 000.
        assert_eq!(small.account_days, Some(42));
        assert_eq!(small.accounts, 2);
        assert_eq!(small.global_days, Some(4));
        assert_eq!(large.global_days, Some(4167));
        let markdown = markdown(&Quotas::DEFAULT);
        assert!(
            markdown.contains("| 10^7 | 22.8 years | 271 | 42 days | 2 | 4 days |"),
            "{markdown}"
        );
        assert!(
            markdown.contains("| each account | 50 000 | 10 000 | 250 000 |"),
            "{markdown}"
        );
        let plain = plain(&Quotas::DEFAULT);
        assert!(plain.lines().all(|line| line.len() <= 95), "{plain}");
    }

    #[test]
    fn numbers_are_readable() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1 000"),
            (1_234_567, "1 234 567"),
        ] {
            assert_eq!(grouped(number), text);
        }
        assert_eq!(duration(Some(730)), "730 days");
        assert_eq!(duration(Some(731)), "2.0 years");
        assert_eq!(duration(Some(4_000_000)), "10 951 years");
    }
}
