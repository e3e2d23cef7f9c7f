use crate::params::ParamsError;

/// What `pir-core` refuses, with what was expected and what was found.
///
/// No variant carries query, secret, column or database content.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The parameters don't fit together or aren't safe.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// A buffer is not of the length that the parameters give.
    #[error("{what}: expected {expected} bytes, found {found}")]
    Length {
        /// Which buffer.
        what: &'static str,
        /// Bytes that the parameters give.
        expected: usize,
        /// Bytes that came.
        found: usize,
    },
    /// A wire form starts with the wrong magic bytes.
    #[error("{what}: not this kind of object or another version of it")]
    Magic {
        /// Which wire form.
        what: &'static str,
    },
    /// A wire form was made for another parameter set or shape.
    #[error("{what}: made for other parameters")]
    ParameterMismatch {
        /// Which wire form.
        what: &'static str,
    },
    /// A residue is not below its modulus, or a padding bit is set.
    #[error("{what}: not in canonical form")]
    NonCanonical {
        /// Which wire form.
        what: &'static str,
    },
    /// A column index is not below the number of columns.
    #[error("column out of range: the database has {columns} columns")]
    ColumnOutOfRange {
        /// Columns of the database.
        columns: usize,
    },
    /// A database row is too far from uniform for the stated failure bound.
    #[error(
        "row {row}: mean square digit {found:.0} above {limit:.0}, the failure bound would not \
         hold; whiten the database with a public pseudorandom stream"
    )]
    RowNorm {
        /// Row of the database.
        row: usize,
        /// Mean of the squared centred digits.
        found: f64,
        /// What the bound allows.
        limit: f64,
    },
    /// A batch has no query or more than one pass takes.
    #[error("a pass takes 1 to {limit} queries, found {found}")]
    BatchSize {
        /// Most queries a pass takes.
        limit: usize,
        /// Queries that came.
        found: usize,
    },
    /// A pass computed something else than its matrices say.
    #[error(
        "the {what} failed its check: the machine's memory or a processor is faulty, or something \
         overwrites memory"
    )]
    Fault {
        /// Which product.
        what: &'static str,
    },
    /// This machine lacks a backend's instructions, or there is no such backend.
    #[error("no such backend on this machine; it has: {available}")]
    Backend {
        /// The backends that there are, by name.
        available: String,
    },
    /// The operating system gave no randomness.
    #[error("the operating system's random generator failed")]
    Randomness,
}
