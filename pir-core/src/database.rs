//! The database as the server reads it.

use crate::Error;
use crate::params::Params;

/// A matrix of `rows × columns` bytes, row by row: byte r of bucket c is at
/// `r·columns + c`. Bytes are read as digits in [-128, 127].
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
        if bytes.len() != params.database_bytes() {
            return Err(Error::Length {
                what: "database",
                expected: params.database_bytes(),
                found: bytes.len(),
            });
        }
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

    /// Rows `first .. first + count`, `count·columns` bytes.
    pub(crate) fn rows(&self, first: usize, count: usize) -> &'a [u8] {
        let columns = self.params.columns();
        &self.bytes[first * columns..(first + count) * columns]
    }
}
