//! Where it is kept what senders have spent, and how much they may.

use serde::Deserialize;

use super::{ConfigError, StoreKind};
use crate::quotas::{QUOTA_MAX, Quotas};

/// Where it is kept what senders have spent.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ledger {
    /// Which one; PostgreSQL is where `[store]` says.
    pub kind: StoreKind,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            kind: StoreKind::Embedded,
        }
    }
}

pub(super) fn check(quotas: &Quotas) -> Result<(), ConfigError> {
    let (sender, account, global) = (quotas.sender, quotas.account, quotas.global);
    for (key, found) in [
        ("quota.sender.burst", sender.burst),
        ("quota.sender.refill_per_hour", sender.refill_per_hour),
        ("quota.sender.per_day", sender.per_day),
        ("quota.account.burst", account.burst),
        ("quota.account.refill_per_hour", account.refill_per_hour),
        ("quota.account.per_day", account.per_day),
        ("quota.global.burst", global.burst),
        ("quota.global.refill_per_hour", global.refill_per_hour),
        ("quota.global.per_day", global.per_day),
    ] {
        if !(1..=QUOTA_MAX).contains(&found) {
            return Err(ConfigError::Range {
                key,
                least: 1,
                most: QUOTA_MAX.into(),
                found: found.into(),
            });
        }
    }
    Ok(())
}
