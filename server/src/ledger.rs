//! What senders have spent: quotas, and tokens.
//!
//! The right to evaluate is what keeps the directory from being enumerated, so
//! it is kept apart from the store, whose backups would bring it back, and it is
//! durable before anything is evaluated. Meters are named by a keyed hash:
//! neither accounts nor pseudonyms are at rest here.
//!
//! [`bucket`] has the arithmetic, `apply` what both implementations do with it,
//! [`contract`] what they promise.

mod apply;
pub mod bucket;
pub mod contract;
pub mod embedded;
mod error;
mod names;
pub mod postgres;

use std::fmt;

use protocol::time::UnixTime;

pub use error::LedgerError;
pub use names::{Holder, LedgerKeys};

/// A durable record of what was spent.
///
/// What every implementation promises, and `contract` tests:
/// - a spend is whole or not at all: all of its charges and tokens, or none;
/// - those of one call take effect in order, each sees those before it, and all
///   are durable when it returns; if it fails, none was done unless the error
///   is [`LedgerError::Unknown`];
/// - calls take effect one after another, also those of several processes where
///   the ledger can be shared: a token is spent once, a quota never exceeded;
/// - a clock that goes back gives nothing back.
pub trait Ledger: Send + Sync {
    /// Spends in order, and says for each what came of it.
    ///
    /// # Errors
    /// [`LedgerError`]; then nothing may be given out for any of them.
    fn spend(&self, spends: &[Spend], now: UnixTime) -> Result<Vec<Outcome>, LedgerError>;

    /// What is left on these meters, without spending.
    ///
    /// # Errors
    /// [`LedgerError`].
    fn remaining(
        &self,
        meters: &[(MeterId, Level, Quota)],
        now: UnixTime,
    ) -> Result<Vec<Remaining>, LedgerError>;

    /// Forgets tokens that have expired by `now`, and meters that are full again.
    /// Gives the number of tokens forgotten.
    ///
    /// # Errors
    /// [`LedgerError`]; some may have been forgotten.
    fn forget(&self, now: UnixTime) -> Result<u64, LedgerError>;

    /// Number of tokens that are remembered.
    ///
    /// # Errors
    /// [`LedgerError`].
    fn spent_tokens(&self) -> Result<u64, LedgerError>;

    /// Number of meters that are remembered: those not known to be full.
    ///
    /// # Errors
    /// [`LedgerError`].
    fn meters(&self) -> Result<u64, LedgerError>;
}

/// What is to be spent together. `Debug` shows numbers only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Spend {
    /// Of quotas.
    pub charges: Vec<Charge>,
    /// Tokens, verified already.
    pub tokens: Vec<SpentToken>,
}

/// A charge on a meter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    /// Which meter.
    pub meter: MeterId,
    /// What it may hold.
    pub quota: Quota,
    /// Elements.
    pub amount: u32,
    /// Whose it is.
    pub level: Level,
}

/// The name of a meter: a hash under the ledger's key. `Debug` is redacted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MeterId(pub [u8; 32]);

/// Whose quota it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// An end sender's.
    Sender,
    /// An account's, or that of an issuer of tokens.
    Account,
    /// Everybody's together.
    Global,
}

/// A token bucket, and a cap for each day of UTC. All in elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// What the bucket holds.
    pub burst: u32,
    /// What comes back in an hour, evenly.
    pub refill_per_hour: u32,
    /// Most that may be spent from midnight to midnight.
    pub per_day: u32,
}

/// A token that is spent. `Debug` is redacted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SpentToken {
    /// SHA3-256 of `sotto/v1/spent-token` and the token without authenticator.
    pub id: [u8; 32],
    /// From when on its key is no longer accepted, so that it may be forgotten.
    pub expires: UnixTime,
}

/// What came of a [`Spend`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All of it is spent.
    Spent {
        /// What is left, charge by charge.
        remaining: Vec<Remaining>,
    },
    /// Nothing is spent: a quota doesn't have that much now.
    Exhausted {
        /// The quota that takes longest.
        level: Level,
        /// Seconds until all quotas would have it, at least 1.
        retry_after_secs: u32,
        /// What is left, charge by charge.
        remaining: Vec<Remaining>,
    },
    /// Nothing is spent: a quota never has that much.
    TooMuch {
        /// The smallest such quota.
        level: Level,
        /// The most that it ever has.
        most: u32,
        /// What is left, charge by charge.
        remaining: Vec<Remaining>,
    },
    /// Nothing is spent: a token was spent before, or has expired.
    Replayed,
}

/// What is left of a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remaining {
    /// Whose it is.
    pub level: Level,
    /// The quota.
    pub quota: Quota,
    /// Elements in the bucket.
    pub bucket: u32,
    /// Seconds until the bucket is full.
    pub full_in_secs: u32,
    /// Elements of the day.
    pub today: u32,
    /// Seconds until the day ends.
    pub day_ends_in_secs: u32,
}

impl Quota {
    /// The most that it ever gives at a time.
    #[must_use]
    pub fn most(&self) -> u32 {
        self.burst.min(self.per_day)
    }
}

impl Remaining {
    /// Elements that may be spent now.
    #[must_use]
    pub fn elements(&self) -> u32 {
        self.bucket.min(self.today)
    }
}

impl Level {
    /// Its name, as in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sender => "sender",
            Self::Account => "account",
            Self::Global => "global",
        }
    }
}

impl fmt::Debug for MeterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MeterId(redacted)")
    }
}

impl fmt::Debug for SpentToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SpentToken(redacted)")
    }
}

impl fmt::Debug for Spend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spend")
            .field("charges", &self.charges.len())
            .field("tokens", &self.tokens.len())
            .finish()
    }
}
