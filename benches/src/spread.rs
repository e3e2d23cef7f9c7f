//! Repeated measurements: the median counts, the extremes are shown with it.

use std::time::Instant;

use serde::Serialize;

/// Median, least and greatest of several measurements of one thing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The middle one, or the mean of the two in the middle.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
}

impl Spread {
    /// Seconds of `rounds` runs, of one if `rounds` is 0.
    pub fn seconds<T>(rounds: usize, mut run: impl FnMut() -> T) -> Self {
        let timed = (0..rounds.max(1)).map(|_| {
            let start = Instant::now();
            std::hint::black_box(run());
            start.elapsed().as_secs_f64()
        });
        Self::of(timed.collect())
    }

    /// Of given values; all 0 if there are none.
    #[must_use]
    pub fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or_default();
        let last = values.len().saturating_sub(1);
        Self {
            median: (at(last / 2) + at(last.div_ceil(2))) / 2.0,
            min: at(0),
            max: at(last),
        }
    }

    /// In another unit.
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        Self {
            median: self.median * factor,
            min: self.min * factor,
            max: self.max * factor,
        }
    }

    /// Of seconds, the rate at which `amount` was done.
    #[must_use]
    pub fn rate(self, amount: f64) -> Self {
        Self {
            median: amount / self.median,
            min: amount / self.max,
            max: amount / self.min,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_is_in_the_middle() {
        let spread = |median, min, max| Spread { median, min, max };
        assert_eq!(Spread::of(vec![]), spread(0.0, 0.0, 0.0));
        assert_eq!(Spread::of(vec![3.0]), spread(3.0, 3.0, 3.0));
        assert_eq!(Spread::of(vec![4.0, 1.0]), spread(2.5, 1.0, 4.0));
        assert_eq!(Spread::of(vec![9.0, 1.0, 2.0]), spread(2.0, 1.0, 9.0));
        let rate = Spread::of(vec![1.0, 2.0, 4.0]).rate(8.0);
        assert_eq!(rate, spread(4.0, 2.0, 8.0));
    }
}
