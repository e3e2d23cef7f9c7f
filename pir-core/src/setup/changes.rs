//! In which digits two databases of one shape differ.

use rayon::prelude::*;

use super::update::DIGITS_PER_BLOCK;
use crate::Error;
use crate::database::DatabaseView;
use crate::params::Params;
use crate::ring::DEGREE;

/// One digit in so many may differ: a quarter of where the transform of a block
/// of d digits costs about as much as the changes do one by one.
const MOST: usize = 4 * DEGREE / DIGITS_PER_BLOCK;

/// The digits of a database that differ from those of an earlier one, by row.
#[derive(Debug)]
pub struct Changes {
    params: Params,
    /// Where the changes of each row begin, and after the last row their end.
    starts: Vec<usize>,
    changes: Vec<Change>,
}

/// New digit less old one, at a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) column: u32,
    pub(super) difference: i16,
}

impl Changes {
    /// Compares `database` with an earlier one, whose bytes `earlier` gives
    /// piece by piece in the order of [`crate::database`]; a piece is a whole
    /// number of rows of a block, d bytes each.
    ///
    /// `None` if more than one digit in 512 differs: an update then gains
    /// little. Runs on the current rayon pool; needs about 36 bytes of memory for
    /// each digit that differs, so at most a fourteenth of the database.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] if a piece is of another length or the pieces aren't
    /// the whole database; errors of `earlier`.
    pub fn since<P: AsRef<[u8]>, E: From<Error>>(
        database: &DatabaseView<'_>,
        earlier: impl IntoIterator<Item = Result<P, E>>,
    ) -> Result<Option<Self>, E> {
        let most = database.params().database_bytes() / MOST;
        let rows = database.params().rows();
        let mut found: Vec<(u32, Change)> = Vec::new();
        let mut done = 0;
        for piece in earlier {
            let piece = piece?;
            let piece = piece.as_ref();
            let (old, rest) = piece.as_chunks::<DEGREE>();
            if !rest.is_empty() || done + piece.len() > database.params().database_bytes() {
                return Err(wrong_length(database, done + piece.len()).into());
            }
            let first = done / DEGREE;
            let changed = |(index, old): (usize, &[u8; DEGREE])| {
                let (block, row) = ((first + index) / rows, (first + index) % rows);
                let new = database.block_rows(block, row, 1);
                differences(new, old).count()
            };
            // Counted before any is kept.
            let count: usize = old.par_iter().enumerate().map(changed).sum();
            if found.len() + count > most {
                return Ok(None);
            }
            found.par_extend(old.par_iter().enumerate().flat_map_iter(|(index, old)| {
                let (block, row) = ((first + index) / rows, (first + index) % rows);
                let new = database.block_rows(block, row, 1);
                differences(new, old).map(move |(offset, difference)| {
                    let column = (block * DEGREE + offset) as u32;
                    (row as u32, Change { column, difference })
                })
            }));
            done += piece.len();
        }
        if done != database.params().database_bytes() {
            return Err(wrong_length(database, done).into());
        }
        Ok(Some(Self::by_row(*database.params(), found)))
    }

    fn by_row(params: Params, mut found: Vec<(u32, Change)>) -> Self {
        found.par_sort_unstable_by_key(|(row, change)| (*row, change.column));
        let rows = params.rows();
        let mut starts = vec![0; rows + 1];
        for (row, _) in &found {
            starts[*row as usize + 1] += 1;
        }
        for row in 0..rows {
            starts[row + 1] += starts[row];
        }
        Self {
            params,
            starts,
            changes: found.into_iter().map(|(_, change)| change).collect(),
        }
    }

    /// Digits that differ.
    #[must_use]
    pub fn digits(&self) -> usize {
        self.changes.len()
    }

    /// Parameters of the databases.
    pub(super) fn params(&self) -> &Params {
        &self.params
    }

    /// Whether rows `first .. first + count` have any.
    pub(super) fn any(&self, first: usize, count: usize) -> bool {
        self.starts[first] != self.starts[first + count]
    }

    /// Those of a row, by column.
    pub(super) fn of(&self, row: usize) -> &[Change] {
        &self.changes[self.starts[row]..self.starts[row + 1]]
    }
}

fn wrong_length(database: &DatabaseView<'_>, found: usize) -> Error {
    Error::Length {
        what: "earlier database",
        expected: database.params().database_bytes(),
        found,
    }
}

/// Offset and difference of the bytes that differ.
fn differences<'a>(
    new: &'a [u8],
    old: &'a [u8; DEGREE],
) -> impl Iterator<Item = (usize, i16)> + 'a {
    /// Bytes compared at a time.
    const WORD: usize = 64;
    let words = new.chunks_exact(WORD).zip(old.chunks_exact(WORD));
    words
        .enumerate()
        .filter(|(_, (new, old))| new != old)
        .flat_map(|(index, (new, old))| {
            let bytes = new.iter().zip(old).enumerate();
            bytes
                .filter(|(_, (new, old))| new != old)
                .map(move |(offset, (&new, &old))| {
                    let difference = i16::from(new as i8) - i16::from(old as i8);
                    (index * WORD + offset, difference)
                })
        })
}
