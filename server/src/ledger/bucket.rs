//! The arithmetic of quotas: a token bucket and a cap a day, in integers.
//!
//! The bucket counts 3600ths of an element, so that a refill of `r` elements an
//! hour adds exactly `r` of them a second: nothing is rounded, and nothing
//! drifts however often a meter is read.

use protocol::time::UnixTime;

use super::Quota;

/// Parts of an element: seconds of an hour.
const PARTS: u64 = 3600;

/// Seconds of a day of UTC.
pub(crate) const DAY: u64 = 86_400;

/// Further ahead than this is not another server's clock but one that was wrong.
const SKEW_MAX: u64 = DAY;

/// What a meter holds at a point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balance {
    /// 3600ths of elements in the bucket.
    pub(super) parts: u64,
    /// When that was so, in seconds: the latest time that the meter has seen.
    pub(super) at: u64,
    /// Elements spent on the day of `at`.
    pub(super) spent: u64,
}

/// Why an amount can't be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Not yet.
    After {
        /// Seconds, at least 1.
        secs: u64,
    },
    /// Never: the quota doesn't hold so much.
    TooMuch,
}

impl Balance {
    /// A full one.
    pub fn full(quota: &Quota, now: UnixTime) -> Self {
        Self {
            parts: capacity(quota),
            at: now.as_secs(),
            spent: 0,
        }
    }

    /// What it is at `now`. A clock that is behind refills nothing and ends no
    /// day; nor does one that is more than a day behind, but then time is counted
    /// from there, so that a clock that was far ahead once, and put right, doesn't
    /// stop the meter until that time has come.
    #[must_use]
    pub fn settled(mut self, quota: &Quota, now: UnixTime) -> Self {
        let now = now.as_secs();
        if let Some(elapsed) = now.checked_sub(self.at) {
            let refill = elapsed.saturating_mul(quota.refill_per_hour.into());
            self.parts = self.parts.saturating_add(refill);
            if now / DAY > self.at / DAY {
                self.spent = 0;
            }
            self.at = now;
        } else if self.at - now > SKEW_MAX {
            self.at = now;
        }
        // The quota may have become smaller since.
        self.parts = self.parts.min(capacity(quota));
        self
    }

    /// Takes elements from a settled balance.
    ///
    /// # Errors
    /// [`Refusal`]; then nothing was taken.
    pub fn take(&mut self, quota: &Quota, amount: u32, now: UnixTime) -> Result<(), Refusal> {
        if amount > quota.most() {
            return Err(Refusal::TooMuch);
        }
        let parts = u64::from(amount) * PARTS;
        let spent = self.spent.saturating_add(amount.into());
        // How far the meter is ahead of the clock.
        let ahead = self.at.saturating_sub(now.as_secs());
        let mut wait = None;
        if self.parts < parts {
            wait = Some(refilled_in(quota, parts - self.parts).saturating_add(ahead));
        }
        if spent > quota.per_day.into() && amount > 0 {
            wait = wait.max(Some(day_left(self.at).saturating_add(ahead)));
        }
        match wait {
            Some(secs) => Err(Refusal::After { secs: secs.max(1) }),
            None => {
                self.parts -= parts;
                self.spent = spent;
                Ok(())
            }
        }
    }

    /// Elements in the bucket.
    pub fn bucket(&self) -> u32 {
        u32::try_from(self.parts / PARTS).unwrap_or(u32::MAX)
    }

    /// Elements that the day still allows.
    pub fn today(&self, quota: &Quota) -> u32 {
        let left = u64::from(quota.per_day).saturating_sub(self.spent);
        u32::try_from(left).unwrap_or(u32::MAX)
    }

    /// Seconds from `at` until the bucket is full.
    pub fn full_in(&self, quota: &Quota) -> u64 {
        refilled_in(quota, capacity(quota).saturating_sub(self.parts))
    }

    /// Seconds from `at` until midnight, at least 1.
    pub fn day_ends_in(&self) -> u64 {
        day_left(self.at)
    }

    /// From when on it is the same as one that was never used.
    pub fn forgettable_at(&self, quota: &Quota) -> u64 {
        let day = if self.spent > 0 { day_left(self.at) } else { 0 };
        self.at.saturating_add(self.full_in(quota).max(day))
    }
}

fn capacity(quota: &Quota) -> u64 {
    u64::from(quota.burst) * PARTS
}

fn refilled_in(quota: &Quota, parts: u64) -> u64 {
    match (parts, u64::from(quota.refill_per_hour)) {
        (0, _) => 0,
        (_, 0) => u64::MAX,
        (parts, rate) => parts.div_ceil(rate),
    }
}

fn day_left(at: u64) -> u64 {
    DAY - at % DAY
}

#[cfg(test)]
mod tests;
