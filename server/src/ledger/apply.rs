//! What a group of spends does to the meters and tokens that it names.

use std::collections::{BTreeSet, HashMap, HashSet};

use protocol::time::UnixTime;

use super::bucket::{Balance, Refusal};
use super::{Charge, Level, MeterId, Outcome, Quota, Remaining, Spend, SpentToken};

/// What an implementation has read for a group, and what it is to write.
pub(super) struct Group {
    /// Meters that aren't full.
    balances: HashMap<MeterId, Balance>,
    spent: HashSet<[u8; 32]>,
    /// Tokens that expired until then may have been forgotten.
    forgotten: UnixTime,
    changed: HashMap<MeterId, Quota>,
    added: Vec<SpentToken>,
}

/// A meter to be written.
pub(super) struct Changed {
    pub(super) meter: MeterId,
    pub(super) balance: Balance,
    /// From when on it may be forgotten, in seconds.
    pub(super) full_at: u64,
}

/// The meters that spends name, each once, in order.
pub(super) fn meters(spends: &[Spend]) -> BTreeSet<MeterId> {
    let charges = spends.iter().flat_map(|spend| &spend.charges);
    charges.map(|charge| charge.meter).collect()
}

/// The tokens that spends name, each once, in order.
pub(super) fn tokens(spends: &[Spend]) -> BTreeSet<[u8; 32]> {
    let tokens = spends.iter().flat_map(|spend| &spend.tokens);
    tokens.map(|token| token.id).collect()
}

impl Group {
    pub(super) fn new(
        balances: HashMap<MeterId, Balance>,
        spent: HashSet<[u8; 32]>,
        forgotten: UnixTime,
    ) -> Self {
        Self {
            balances,
            spent,
            forgotten,
            changed: HashMap::new(),
            added: Vec::new(),
        }
    }

    /// Spends in order.
    pub(super) fn apply(&mut self, spends: &[Spend], now: UnixTime) -> Vec<Outcome> {
        spends.iter().map(|spend| self.one(spend, now)).collect()
    }

    /// The meters to be written, in order of their names so that those who lock
    /// them do so in one order.
    pub(super) fn changed(&self) -> Vec<Changed> {
        let meters: BTreeSet<MeterId> = self.changed.keys().copied().collect();
        let changed = meters.into_iter().filter_map(|meter| {
            let (balance, quota) = (self.balances.get(&meter)?, self.changed.get(&meter)?);
            Some(Changed {
                meter,
                balance: *balance,
                full_at: balance.forgettable_at(quota),
            })
        });
        changed.collect()
    }

    /// The tokens to be written.
    pub(super) fn added(&self) -> &[SpentToken] {
        &self.added
    }

    fn one(&mut self, spend: &Spend, now: UnixTime) -> Outcome {
        let mut seen = HashSet::new();
        // One that has expired may have been forgotten, also by a clock that has
        // gone back since.
        let expired = self.forgotten.max(now);
        let replayed = |token: &SpentToken| {
            token.expires <= expired || self.spent.contains(&token.id) || !seen.insert(token.id)
        };
        if spend.tokens.iter().any(replayed) {
            return Outcome::Replayed;
        }
        let mut trial: HashMap<MeterId, Balance> = HashMap::new();
        let mut refusal: Option<(Level, Refusal, u32)> = None;
        for charge in &spend.charges {
            let balance = trial.entry(charge.meter).or_insert_with(|| {
                self.balances
                    .get(&charge.meter)
                    .copied()
                    .unwrap_or_else(|| Balance::full(&charge.quota, now))
            });
            *balance = balance.settled(&charge.quota, now);
            if let Err(found) = balance.take(&charge.quota, charge.amount, now) {
                refusal = Some(worse(refusal, (charge.level, found, charge.quota.most())));
            }
        }
        match refusal {
            None => {
                self.balances.extend(trial);
                let changed = spend.charges.iter().filter(|charge| charge.amount > 0);
                self.changed
                    .extend(changed.map(|charge| (charge.meter, charge.quota)));
                self.spent.extend(spend.tokens.iter().map(|token| token.id));
                self.added.extend(&spend.tokens);
                Outcome::Spent {
                    remaining: self.remaining_of(&spend.charges, now),
                }
            }
            Some((level, Refusal::After { secs }, _)) => Outcome::Exhausted {
                level,
                retry_after_secs: clamp(secs),
                remaining: self.remaining_of(&spend.charges, now),
            },
            Some((level, Refusal::TooMuch, most)) => Outcome::TooMuch {
                level,
                most,
                remaining: self.remaining_of(&spend.charges, now),
            },
        }
    }

    fn remaining_of(&self, charges: &[Charge], now: UnixTime) -> Vec<Remaining> {
        let remaining = |charge: &Charge| {
            let balance = self.balances.get(&charge.meter).copied();
            remaining(balance, charge.level, &charge.quota, now)
        };
        charges.iter().map(remaining).collect()
    }
}

/// What is left of a quota whose meter was read.
pub(super) fn remaining(
    balance: Option<Balance>,
    level: Level,
    quota: &Quota,
    now: UnixTime,
) -> Remaining {
    let balance = balance
        .unwrap_or_else(|| Balance::full(quota, now))
        .settled(quota, now);
    let ahead = balance.at.saturating_sub(now.as_secs());
    let full_in = match balance.full_in(quota) {
        0 => 0,
        secs => secs.saturating_add(ahead),
    };
    Remaining {
        level,
        quota: *quota,
        bucket: balance.bucket(),
        full_in_secs: clamp(full_in),
        today: balance.today(quota),
        day_ends_in_secs: clamp(balance.day_ends_in().saturating_add(ahead)),
    }
}

/// The refusal that stands longer.
fn worse(
    one: Option<(Level, Refusal, u32)>,
    other: (Level, Refusal, u32),
) -> (Level, Refusal, u32) {
    let Some(one) = one else {
        return other;
    };
    match (one.1, other.1) {
        (Refusal::TooMuch, Refusal::TooMuch) if other.2 < one.2 => other,
        (Refusal::TooMuch, _) => one,
        (_, Refusal::TooMuch) => other,
        (Refusal::After { secs: first }, Refusal::After { secs: second }) if second > first => {
            other
        }
        _ => one,
    }
}

fn clamp(secs: u64) -> u32 {
    u32::try_from(secs).unwrap_or(u32::MAX)
}
