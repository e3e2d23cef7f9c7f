//! How much may be evaluated: by one end sender, by one account with all of its
//! senders, and by everybody together.

use serde::{Deserialize, Serialize};

use crate::ledger::{Level, Quota};

/// Most that any number of a quota may be.
pub const QUOTA_MAX: u32 = 1_000_000_000;

/// The quotas of every level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "QuotaTables")]
pub struct Quotas {
    /// Of each end sender of an account.
    pub sender: Quota,
    /// Of each account.
    pub account: Quota,
    /// Of all together.
    pub global: Quota,
}

/// Those numbers of a quota that are set; the others are the usual ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QuotaChange {
    /// What the bucket holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
    /// What comes back in an hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refill_per_hour: Option<u32>,
    /// Most of a day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_day: Option<u32>,
}

/// What is different for one account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccountQuotas {
    /// For each of its senders.
    #[serde(skip_serializing_if = "QuotaChange::is_empty")]
    pub sender: QuotaChange,
    /// For all of them together.
    #[serde(skip_serializing_if = "QuotaChange::is_empty")]
    pub account: QuotaChange,
}

/// `[quota.…]` of the configuration.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct QuotaTables {
    sender: QuotaChange,
    account: QuotaChange,
    global: QuotaChange,
}

impl Quotas {
    /// What is in force unless configured. A sender can synchronise an address
    /// book of 1000 at once, and goes on with what changes in it; an account has
    /// some thousands of such senders. `sotto-server quota` shows what an attacker
    /// can do with it.
    pub const DEFAULT: Self = Self {
        sender: Quota {
            burst: 1024,
            refill_per_hour: 50,
            per_day: 2048,
        },
        account: Quota {
            burst: 50_000,
            refill_per_hour: 10_000,
            per_day: 250_000,
        },
        global: Quota {
            burst: 500_000,
            refill_per_hour: 100_000,
            per_day: 2_500_000,
        },
    };

    /// What nobody uses up: for measurements, where the server is alone with
    /// those who measure.
    pub const WIDE: Self = {
        let quota = Quota {
            burst: QUOTA_MAX,
            refill_per_hour: QUOTA_MAX,
            per_day: QUOTA_MAX,
        };
        Self {
            sender: quota,
            account: quota,
            global: quota,
        }
    };

    /// Those of an account.
    #[must_use]
    pub fn of(&self, account: &AccountQuotas) -> Self {
        Self {
            sender: account.sender.apply(self.sender),
            account: account.account.apply(self.account),
            global: self.global,
        }
    }

    /// Every level's.
    pub fn levels(&self) -> [(Level, Quota); 3] {
        [
            (Level::Sender, self.sender),
            (Level::Account, self.account),
            (Level::Global, self.global),
        ]
    }
}

impl Default for Quotas {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl From<QuotaTables> for Quotas {
    fn from(tables: QuotaTables) -> Self {
        let usual = Self::DEFAULT;
        Self {
            sender: tables.sender.apply(usual.sender),
            account: tables.account.apply(usual.account),
            global: tables.global.apply(usual.global),
        }
    }
}

impl QuotaChange {
    /// The quota with what is set here.
    #[must_use]
    pub fn apply(&self, usual: Quota) -> Quota {
        Quota {
            burst: self.burst.unwrap_or(usual.burst),
            refill_per_hour: self.refill_per_hour.unwrap_or(usual.refill_per_hour),
            per_day: self.per_day.unwrap_or(usual.per_day),
        }
    }

    /// What is set here or, where nothing is, there.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            burst: self.burst.or(other.burst),
            refill_per_hour: self.refill_per_hour.or(other.refill_per_hour),
            per_day: self.per_day.or(other.per_day),
        }
    }

    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether all that is set is 1 to [`QUOTA_MAX`].
    pub fn is_in_range(&self) -> bool {
        [self.burst, self.refill_per_hour, self.per_day]
            .into_iter()
            .flatten()
            .all(|number| (1..=QUOTA_MAX).contains(&number))
    }
}

impl AccountQuotas {
    /// Whether nothing is different.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether all that is set is in range.
    pub fn is_in_range(&self) -> bool {
        self.sender.is_in_range() && self.account.is_in_range()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_in_force_and_the_rest_as_usual() {
        let text = "[sender]\nburst = 5\n[global]\nper_day = 7";
        let quotas: Quotas = toml::from_str(text).unwrap();
        assert_eq!(quotas.sender.burst, 5);
        assert_eq!(quotas.sender.per_day, Quotas::DEFAULT.sender.per_day);
        assert_eq!(quotas.account, Quotas::DEFAULT.account);
        assert_eq!(quotas.global.per_day, 7);
        let text = "[sender]\nper_day = 9\n[account]\nburst = 11";
        let account: AccountQuotas = toml::from_str(text).unwrap();
        let own = quotas.of(&account);
        assert_eq!((own.sender.burst, own.sender.per_day), (5, 9));
        assert_eq!(own.account.burst, 11);
        assert_eq!(own.global, quotas.global);
        assert_eq!(quotas.of(&AccountQuotas::default()), quotas);
        for bad in ["[sender]\nburts = 1", "[msp]\nburst = 1", "burst = 1"] {
            assert!(toml::from_str::<Quotas>(bad).is_err(), "{bad}");
        }
    }
}
