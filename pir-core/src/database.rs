//! The database as the server reads it, and its layout in memory.
//!
//! A matrix of `rows × columns` bytes is stored block by block: a block is d
//! neighbouring columns, and within it row follows row. Byte r of bucket c is
//! at `(c / d)·rows·d + r·d + c mod d`. So a block's share of a query stays in
//! the first-level cache while the scan streams the block, and a row of a
//! block is the polynomial that set-up transforms.

use rayon::prelude::*;

use crate::Error;
use crate::params::Params;
use crate::ring::DEGREE;

/// A database to read; bytes are digits in [-128, 127].
#[derive(Clone, Copy, Debug)]
pub struct DatabaseView<'a> {
    params: Params,
    bytes: &'a [u8],
}

impl<'a> DatabaseView<'a> {
    /// A view of `bytes` with the shape of `params`.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] if the lengths differ.
    pub fn new(params: &Params, bytes: &'a [u8]) -> Result<Self, Error> {
        check_length("database", params.database_bytes(), bytes.len())?;
        Ok(Self {
            params: *params,
            bytes,
        })
    }

    /// Shape and widths.
    #[must_use]
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Bucket `column`, `rows` bytes.
    ///
    /// # Errors
    ///
    /// [`Error::ColumnOutOfRange`] if there is no such column.
    pub fn column(&self, column: usize) -> Result<Vec<u8>, Error> {
        check_column(&self.params, column)?;
        let block = self.block_rows(column / DEGREE, 0, self.params.rows());
        Ok(block
            .iter()
            .skip(column % DEGREE)
            .step_by(DEGREE)
            .copied()
            .collect())
    }

    /// Rows `first .. first + count` of a block, `count·d` bytes.
    pub(crate) fn block_rows(&self, block: usize, first: usize, count: usize) -> &'a [u8] {
        let start = (block * self.params.rows() + first) * DEGREE;
        &self.bytes[start..start + count * DEGREE]
    }
}

/// Writes whole buckets as neighbouring columns from `first` on.
///
/// `database` has the layout of [`DatabaseView`]; `buckets` holds `rows` bytes
/// a bucket, one after the other. Runs on the current rayon pool.
///
/// # Errors
///
/// [`Error::Length`] if `database` is of another shape or `buckets` isn't
/// whole buckets; [`Error::ColumnOutOfRange`] if there are too many.
pub fn write_columns(
    params: &Params,
    database: &mut [u8],
    first: usize,
    buckets: &[u8],
) -> Result<(), Error> {
    write_column_tails(params, database, first, buckets, params.rows())
}

/// Writes the last `length` bytes of neighbouring columns from `first` on, as
/// [`write_columns`] does with whole ones: `tails` holds `length` bytes a
/// column.
///
/// # Errors
///
/// Those of [`write_columns`].
pub fn write_column_tails(
    params: &Params,
    database: &mut [u8],
    first: usize,
    tails: &[u8],
    length: usize,
) -> Result<(), Error> {
    /// Rows that a task writes: a line of every source bucket.
    const TASK_ROWS: usize = 64;

    check_length("database", params.database_bytes(), database.len())?;
    let rows = params.rows();
    if length == 0 || length > rows {
        return check_length("column", rows, length);
    }
    let count = tails.len() / length;
    check_length("columns", count * length, tails.len())?;
    if count == 0 {
        return Ok(());
    }
    check_column(params, first.saturating_add(count - 1))?;
    for (block, database) in database.chunks_exact_mut(rows * DEGREE).enumerate() {
        let (from, to) = (
            first.max(block * DEGREE),
            (first + count).min((block + 1) * DEGREE),
        );
        if from >= to {
            continue;
        }
        let written = &mut database[(rows - length) * DEGREE..];
        written
            .par_chunks_mut(TASK_ROWS * DEGREE)
            .enumerate()
            .for_each(|(task, database)| {
                for column in from..to {
                    let tail = &tails[(column - first) * length..][..length];
                    let bytes = &tail[task * TASK_ROWS..];
                    let targets = database.iter_mut().skip(column % DEGREE).step_by(DEGREE);
                    for (target, &byte) in targets.zip(bytes) {
                        *target = byte;
                    }
                }
            });
    }
    Ok(())
}

fn check_length(what: &'static str, expected: usize, found: usize) -> Result<(), Error> {
    if expected == found {
        Ok(())
    } else {
        Err(Error::Length {
            what,
            expected,
            found,
        })
    }
}

fn check_column(params: &Params, column: usize) -> Result<(), Error> {
    if column < params.columns() {
        Ok(())
    } else {
        Err(Error::ColumnOutOfRange {
            columns: params.columns(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_written_are_read_back_across_blocks() {
        let params = Params::new(2 * DEGREE, DEGREE).unwrap();
        let mut database = vec![0; params.database_bytes()];
        let byte = |column: usize, row: usize| (column * 31 + row * 7 + row / 256) as u8;
        let first = DEGREE - 3;
        let buckets: Vec<u8> = (first..first + 5)
            .flat_map(|c| (0..DEGREE).map(move |r| byte(c, r)))
            .collect();
        write_columns(&params, &mut database, first, &buckets).unwrap();
        write_column_tails(&params, &mut database, first + 1, &[1, 2, 3, 4, 5, 6], 3).unwrap();
        let view = DatabaseView::new(&params, &database).unwrap();
        for column in first..first + 5 {
            let mut expected: Vec<u8> = (0..DEGREE).map(|r| byte(column, r)).collect();
            if column == first + 1 {
                expected[DEGREE - 3..].copy_from_slice(&[1, 2, 3]);
            }
            if column == first + 2 {
                expected[DEGREE - 3..].copy_from_slice(&[4, 5, 6]);
            }
            assert_eq!(view.column(column).unwrap(), expected);
        }
        assert!(view.column(first - 1).unwrap().iter().all(|&b| b == 0));
        assert_eq!(database[first % DEGREE + DEGREE], byte(first, 1));
    }

    #[test]
    fn wrong_lengths_and_columns_are_refused() {
        let params = Params::new(DEGREE, DEGREE).unwrap();
        let mut database = vec![0; params.database_bytes()];
        assert!(DatabaseView::new(&params, &database[1..]).is_err());
        assert!(write_columns(&params, &mut database, 0, &[0; 100]).is_err());
        let two = vec![0; 2 * DEGREE];
        assert!(write_columns(&params, &mut database, DEGREE - 1, &two).is_err());
        assert!(write_column_tails(&params, &mut database, 0, &two, 0).is_err());
        assert!(write_column_tails(&params, &mut database, 0, &two, DEGREE + 1).is_err());
        assert!(write_columns(&params, &mut database[1..], 0, &two).is_err());
    }
}
