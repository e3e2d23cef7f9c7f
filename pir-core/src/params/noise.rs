//! Noise of a lookup and the probability that it decrypts wrongly.
//!
//! Every term is a standard deviation on the torus (a fraction of the modulus),
//! under the independence heuristic of the papers. A digit is decrypted wrongly
//! if the noise exceeds 1/(2p).

use super::{PACK_MODULUS, PLAINTEXT, SCAN_MODULUS, SPECIAL_MODULUS, Widths};
use crate::ring::DEGREE;
use crate::sample::SIGMA;

/// Mean of the squared centred digits of uniform bytes: (2·Σ_{1}^{127} n² + 128²)/256.
pub const UNIFORM_MEAN_SQUARE: f64 = 5461.5;

/// Largest mean square of a row's digits that the bound covers: a tenth more
/// than uniform bytes have, or 7.5 standard deviations of it if that is more.
#[must_use]
pub fn mean_square_limit(columns: usize) -> f64 {
    // A squared digit's deviation is 0.894 of its mean.
    let slack = (6.7 / (columns as f64).sqrt()).max(0.1);
    (1.0 + slack) * UNIFORM_MEAN_SQUARE
}

/// Variance of a ternary secret's coefficient.
const SECRET_VARIANCE: f64 = 2.0 / 3.0;

/// Variance of a rounding error: uniform on an interval of length 1.
const ROUNDING_VARIANCE: f64 = 1.0 / 12.0;

/// Standard deviations of the terms, and the worst-case rounding of the answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noise {
    /// Query errors and dropped query bits, times a row of the database.
    pub scan: f64,
    /// Switch of the scan's result and mask from q to Q.
    pub switch: f64,
    /// Key switches: key errors and rounding of d - 1 of them.
    pub packing: f64,
    /// Rounding of the published mask to q_a, times the secret.
    pub mask: f64,
    /// Rounding of the answer to q_b and of ⌊q/p⌋: a bound, not a deviation.
    pub rounding_bound: f64,
}

impl Noise {
    /// The noise for `columns` columns and the given widths.
    #[must_use]
    pub fn of(columns: usize, widths: Widths) -> Self {
        let d = DEGREE as f64;
        let dropped = SCAN_MODULUS / f64::from(widths.query).exp2();
        let element = SIGMA * SIGMA + dropped * dropped * ROUNDING_VARIANCE;
        let secret_rounding = d * SECRET_VARIANCE * ROUNDING_VARIANCE;
        let key_error = d * (PACK_MODULUS * PACK_MODULUS * ROUNDING_VARIANCE) * (SIGMA * SIGMA)
            / (SPECIAL_MODULUS * SPECIAL_MODULUS);
        Self {
            scan: (element * columns as f64 * mean_square_limit(columns)).sqrt() / SCAN_MODULUS,
            switch: (secret_rounding + ROUNDING_VARIANCE).sqrt() / PACK_MODULUS,
            packing: ((d - 1.0) * (key_error + secret_rounding)).sqrt() / PACK_MODULUS,
            mask: secret_rounding.sqrt() / f64::from(widths.mask).exp2(),
            rounding_bound: 0.5 / f64::from(widths.body).exp2()
                + f64::from(PLAINTEXT) / SCAN_MODULUS,
        }
    }

    /// Standard deviation of the sum.
    #[must_use]
    pub fn total(&self) -> f64 {
        [self.scan, self.switch, self.packing, self.mask]
            .iter()
            .map(|x| x * x)
            .sum::<f64>()
            .sqrt()
    }

    /// log2 of 2·rows·exp(-T²/2S²): the bound on the probability that any of
    /// a column's `rows` digits is wrong.
    #[must_use]
    pub fn failure_log2(&self, rows: usize) -> f64 {
        let budget = 0.5 / f64::from(PLAINTEXT) - self.rounding_bound;
        if budget <= 0.0 {
            return 0.0;
        }
        let ratio = budget / self.total();
        (2.0 * rows as f64).log2() - ratio * ratio / 2.0 * std::f64::consts::LOG2_E
    }
}
