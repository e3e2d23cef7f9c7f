//! The cheapest shape that the records fit.

use pir_core::params::{MAX_COLUMNS, MAX_ROWS, Params, ParamsError};
use pir_core::ring::DEGREE;
use protocol::bucket::BucketLayout;
use protocol::placement::{Placement, PlacementError, columns_for, place};

use super::BuildError;
use super::records::Records;

/// Per cent of columns by which a shape grows that the records didn't fit.
const GROWTH_PERCENT: usize = 4;

/// A shape and where each record is in it.
pub(super) struct Plan {
    pub(super) params: Params,
    pub(super) layout: BucketLayout,
    pub(super) placement: Placement,
}

/// A length of buckets, not yet tried.
struct Candidate {
    rows: usize,
    /// The fewest columns that could hold the records.
    columns: usize,
    /// What a lookup costs at least.
    weight: u64,
}

/// Weighs every length of buckets: short ones cost little, but fill badly when
/// records are long beside them. How well they fill is found by trying, the
/// most promising first, with ever more columns until the records fit or
/// another length is cheaper. No record is ever left out.
pub(super) fn plan(records: &Records) -> Result<Plan, BuildError> {
    let mut candidates = candidates(records);
    candidates.sort_by_key(|candidate| candidate.weight);
    let mut best: Option<(u64, Plan)> = None;
    for Candidate {
        rows,
        mut columns,
        weight,
    } in candidates
    {
        if best.as_ref().is_some_and(|(least, _)| weight >= *least) {
            break;
        }
        while let Some((params, layout)) = shape(columns, rows, records) {
            let weight = params.costs().weight();
            if best.as_ref().is_some_and(|(least, _)| weight >= *least) {
                break;
            }
            match place(
                records.located(),
                layout.columns(),
                layout.capacity() as u32,
            ) {
                Ok(placement) => {
                    best = Some((
                        weight,
                        Plan {
                            params,
                            layout,
                            placement,
                        },
                    ));
                    break;
                }
                Err(PlacementError::DoesNotFit { .. }) => {
                    columns =
                        (columns + columns * GROWTH_PERCENT / 100 + 1).next_multiple_of(DEGREE);
                }
                Err(other) => return Err(other.into()),
            }
        }
    }
    best.map(|(_, plan)| plan).ok_or(
        ParamsError::TooLarge {
            bytes: records.bytes(),
        }
        .into(),
    )
}

fn candidates(records: &Records) -> Vec<Candidate> {
    let lengths = (DEGREE.ilog2()..=MAX_ROWS.ilog2()).map(|bits| 1 << bits);
    let candidate = |rows| {
        // A footer's length follows from the number of columns: with the longest.
        let (_, smallest) =
            shape(MAX_COLUMNS, rows, records).or_else(|| shape(DEGREE, rows, records))?;
        let columns = columns_for(records.bytes(), smallest.capacity() as u32);
        let columns = usize::try_from(columns)
            .ok()?
            .checked_next_multiple_of(DEGREE)?;
        let (params, _) = shape(columns, rows, records)?;
        Some(Candidate {
            rows,
            columns,
            weight: params.costs().weight(),
        })
    };
    lengths.filter_map(candidate).collect()
}

/// A valid shape whose buckets hold the longest record.
fn shape(columns: usize, rows: usize, records: &Records) -> Option<(Params, BucketLayout)> {
    let params = Params::new(columns, rows).ok()?;
    let layout = BucketLayout::new(rows, u32::try_from(columns).ok()?).ok()?;
    (layout.capacity() >= records.longest()).then_some((params, layout))
}
