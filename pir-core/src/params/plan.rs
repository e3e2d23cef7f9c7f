//! The planner: from the size of a database to its shape and widths.

use super::{FAILURE_LOG2_LIMIT, MAX_COLUMNS, MAX_ROWS, Params, ParamsError, Widths};
use crate::params::noise::Noise;
use crate::ring::DEGREE;
use crate::{answer, hint, query};

/// What a byte sent counts for, in bytes that the server reads: at 14.5 GB/s of
/// memory bandwidth it makes a second of a core worth about 7 MB of traffic.
const BYTES_READ_PER_BYTE_SENT: u64 = 2048;

/// Bytes of one lookup and of one database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Costs {
    /// Query: sent by the client, per lookup.
    pub upload_bytes: usize,
    /// Answer: sent by the server, per lookup.
    pub answer_bytes: usize,
    /// Hint: fetched once per database.
    pub hint_bytes: usize,
    /// Packing matrices: kept by the server beside the database.
    pub packing_bytes: usize,
    /// Row masks: kept by the builder for the next set-up.
    pub row_mask_bytes: usize,
    /// Database and packing matrices: read by the server for a pass.
    pub streamed_bytes: usize,
}

impl Costs {
    /// What a lookup costs in one figure: the bytes that the server reads, and
    /// those that are sent, each counted as 2048 of them.
    #[must_use]
    pub fn weight(&self) -> u64 {
        let sent = (self.upload_bytes + self.answer_bytes) as u64;
        self.streamed_bytes as u64 + sent * BYTES_READ_PER_BYTE_SENT
    }
}

impl Params {
    /// What lookups with these parameters cost.
    #[must_use]
    pub fn costs(&self) -> Costs {
        let packing_bytes = crate::packing::matrix_bytes(self);
        Costs {
            upload_bytes: query::encoded_bytes(self),
            answer_bytes: answer::encoded_bytes(self),
            hint_bytes: hint::encoded_bytes(self),
            packing_bytes,
            row_mask_bytes: self.rows() * DEGREE * size_of::<u32>(),
            streamed_bytes: self.database_bytes() + packing_bytes,
        }
    }
}

/// The cheapest parameters for a database of at least `database_bytes` bytes
/// whose columns hold at least `least_rows` bytes.
///
/// Tries every power of two of rows with the fewest columns that suffice, and
/// weighs the bytes that a lookup sends against those it makes the server read.
///
/// # Errors
///
/// [`ParamsError::TooLarge`] if nothing within the limits holds that much.
pub fn plan(database_bytes: u64, least_rows: usize) -> Result<Params, ParamsError> {
    let mut rows = DEGREE;
    let mut best: Option<(u64, Params)> = None;
    while rows <= MAX_ROWS {
        let columns = database_bytes
            .div_ceil(rows as u64)
            .max(1)
            .next_multiple_of(DEGREE as u64);
        if rows >= least_rows
            && columns <= MAX_COLUMNS as u64
            && let Ok(params) = Params::new(columns as usize, rows)
        {
            let weight = params.costs().weight();
            if best.is_none_or(|(least, _)| weight < least) {
                best = Some((weight, params));
            }
        }
        rows *= 2;
    }
    best.map(|(_, params)| params).ok_or(ParamsError::TooLarge {
        bytes: database_bytes,
    })
}

/// The widths of least traffic that keep the failure bound for a shape; the
/// mask counts a hundredth, since it is fetched once per database.
pub(super) fn cheapest_widths(columns: usize, rows: usize) -> Result<Params, ParamsError> {
    let mut best: Option<(usize, Params)> = None;
    let mut least_failure = f64::INFINITY;
    for query in 24..=30 {
        for mask in 16..=18 {
            for body in 10..=16 {
                let widths = Widths { query, mask, body };
                let failure = Noise::of(columns, widths).failure_log2(rows);
                least_failure = least_failure.min(failure);
                if failure > FAILURE_LOG2_LIMIT {
                    continue;
                }
                let bits =
                    columns * query as usize + rows * body as usize + rows * mask as usize / 100;
                if best.is_none_or(|(least, _)| bits < least) {
                    best = Some((bits, Params::with_widths(columns, rows, widths)?));
                }
            }
        }
    }
    best.map(|(_, params)| params)
        .ok_or(ParamsError::FailureBound {
            found: least_failure,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_hold_what_was_asked_and_keep_the_bound() {
        for bytes in [1, 1 << 20, 100 << 20, 1 << 30, (4 << 30) + 1, 8 << 30] {
            let params = plan(bytes, 4096).unwrap();
            assert!(params.database_bytes() as u64 >= bytes);
            assert!(params.rows() >= 4096);
            assert!(params.failure_log2() <= FAILURE_LOG2_LIMIT);
        }
    }

    /// Upload and answer in bytes, and GiB read, of the design for three sizes.
    #[test]
    fn plans_cost_no_more_than_the_design_says() {
        for (gib, upload, answer, read) in [
            (1, 231_000, 22_600, 1.25),
            (4, 452_000, 45_100, 4.5),
            (8, 452_000, 90_200, 9.0),
        ] {
            let costs = plan(gib << 30, DEGREE).unwrap().costs();
            assert!(costs.upload_bytes <= upload, "{gib} GiB: {costs:?}");
            assert!(costs.answer_bytes <= answer, "{gib} GiB: {costs:?}");
            let streamed = costs.streamed_bytes as f64 / f64::from(1 << 30);
            assert!(streamed <= read, "{gib} GiB: {costs:?}");
        }
    }

    /// The table of [`crate::params::SET`].
    #[test]
    fn plans_have_the_failure_bounds_of_their_documentation() {
        let bounds = [
            (64, -46.9),
            (256, -44.5),
            (1024, -40.7),
            (4096, -41.9),
            (8192, -40.9),
        ];
        for (mib, bound) in bounds {
            let params = plan(mib << 20, DEGREE).unwrap();
            assert!(
                (params.failure_log2() - bound).abs() < 0.06,
                "{mib} MiB: {params:?}"
            );
        }
    }

    #[test]
    fn what_fits_nowhere_is_refused() {
        assert!(matches!(
            plan(1 << 50, DEGREE),
            Err(ParamsError::TooLarge { .. })
        ));
    }
}
