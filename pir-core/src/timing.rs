//! What handles secrets, callable with chosen ones: for the statistical timing
//! test in `benches/timing.rs` alone.
//!
//! Only with feature `timing`. A secret that is chosen or repeated protects
//! nothing, so no program that talks to a server may use this module.

use crate::Error;
use crate::client::{Client, ColumnIndex, PendingAnswer, PreparedQuery};
use crate::params::Params;
use crate::ring::DEGREE;
use crate::sample::{self, SecretRng, SmallSecret};

/// A coefficient of χ_s, in {-1, 0, 1}, from a given word.
// Not inlined, since a caller's loop over words would be vectorised, which the
// generator prevents where secrets are drawn.
#[inline(never)]
#[must_use]
pub fn ternary(word: u64) -> i8 {
    sample::ternary(word)
}

/// A coefficient of χ_e, in [-29, 29], from a given word.
#[inline(never)]
#[must_use]
pub fn gaussian(word: u64) -> i8 {
    sample::gaussian(word)
}

/// [`Client::prepare`] with all randomness from a given seed.
///
/// # Errors
///
/// [`Error::ColumnOutOfRange`] if there is no such column.
pub fn prepare(
    client: &Client,
    column: ColumnIndex,
    seed: [u8; 32],
) -> Result<PreparedQuery, Error> {
    client.prepare_with(column, &mut SecretRng::from_seed(seed))
}

/// What [`PendingAnswer::decrypt`] takes, with given coefficients of the
/// secret, each in {-1, 0, 1}.
#[must_use]
pub fn pending(params: &Params, secret: &[i8; DEGREE]) -> PendingAnswer {
    PendingAnswer::with_secret(params, SmallSecret::from_coefficients(secret))
}
