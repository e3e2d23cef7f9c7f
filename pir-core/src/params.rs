//! Parameter sets, shapes and what they promise.
//!
//! A *set* fixes the ring and the moduli and states its security; [`Params`]
//! adds the shape of a database and the widths of what travels, and states the
//! probability that a lookup decrypts wrongly. Both are validated when made.

pub mod noise;
pub mod plan;

use sha3::{Digest, Sha3_256};

use crate::ring::{DEGREE, PackPrime, Prime, ScanPrime, SpecialPrime};
use noise::Noise;

/// Plaintext modulus p: one database byte.
pub const PLAINTEXT: u32 = 256;

/// Most columns of a database.
pub const MAX_COLUMNS: usize = 1 << 20;

/// Most rows of a database.
pub const MAX_ROWS: usize = 1 << 20;

/// Largest accepted failure bound, log2, per lookup.
pub const FAILURE_LOG2_LIMIT: f64 = -40.0;

/// Fewest bits of security that a set may have.
pub const SECURITY_LIMIT: u32 = 128;

/// The set in use.
///
/// Its failure bound depends on the shape ([`Params::failure_log2`]) and is never
/// above [`FAILURE_LOG2_LIMIT`]. For what the planner takes:
///
/// | database | columns × rows | k, log2 q_a, log2 q_b | bound per lookup |
/// |---|---|---|---|
/// | 64 MiB | 16384 × 4096 | 24, 18, 11 | 2^-46.9 |
/// | 256 MiB | 32768 × 8192 | 25, 17, 10 | 2^-44.5 |
/// | 1 GiB | 65536 × 16384 | 25, 18, 11 | 2^-40.7 |
/// | 4 GiB | 131072 × 32768 | 26, 18, 10 | 2^-41.9 |
/// | 8 GiB | 131072 × 65536 | 26, 18, 10 | 2^-40.9 |
pub const SET: ParameterSet = ParameterSet {
    name: "sotto-2048-30-23-27",
    query_security_bits: 239,
    key_security_bits: 137,
    estimator: "lattice-estimator 27a581b, classical, least of usvp, bdd, dual_hybrid",
};

// A set below the limit doesn't compile.
const _: () = assert!(SET.security_bits() >= SECURITY_LIMIT);

/// A named choice of ring, moduli and distributions.
///
/// d = 2048, q = 1073692673 (30 bits), Q = 8380417 (23 bits), P = 134176769
/// (27 bits), p = 256, ternary secrets, Gaussian errors with σ = 3.2.
#[derive(Clone, Copy, Debug)]
pub struct ParameterSet {
    /// The name by which manifests and wire forms refer to the set.
    pub name: &'static str,
    /// Estimated bits of security of a query: RLWE modulo q.
    pub query_security_bits: u32,
    /// Estimated bits of security of the packing keys: RLWE modulo QP.
    pub key_security_bits: u32,
    /// Tool and commit that the estimates come from.
    pub estimator: &'static str,
}

impl ParameterSet {
    /// Bits of security of the weakest part.
    #[must_use]
    pub const fn security_bits(&self) -> u32 {
        if self.query_security_bits < self.key_security_bits {
            self.query_security_bits
        } else {
            self.key_security_bits
        }
    }

    /// The set of that name.
    ///
    /// # Errors
    ///
    /// [`ParamsError::UnknownSet`] if this version knows none.
    pub fn named(name: &str) -> Result<Self, ParamsError> {
        if name == SET.name {
            Ok(SET)
        } else {
            Err(ParamsError::UnknownSet)
        }
    }
}

/// Why parameters are refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParamsError {
    /// No such named set in this version.
    #[error("unknown parameter set; this version knows {}", SET.name)]
    UnknownSet,
    /// The number of columns is not usable.
    #[error("{found} columns: expected a multiple of {DEGREE} up to {MAX_COLUMNS}")]
    Columns {
        /// Columns asked for.
        found: usize,
    },
    /// The number of rows is not usable.
    #[error("{found} rows: expected a multiple of {DEGREE} up to {MAX_ROWS}")]
    Rows {
        /// Rows asked for.
        found: usize,
    },
    /// A width of what travels is out of its range.
    #[error("{what} of {found} bits: expected {least} to {most}")]
    Width {
        /// Which width.
        what: &'static str,
        /// Bits asked for.
        found: u32,
        /// Fewest bits.
        least: u32,
        /// Most bits.
        most: u32,
    },
    /// A lookup would go wrong too often.
    #[error("failure bound 2^{found:.1} per lookup: at most 2^{FAILURE_LOG2_LIMIT} is accepted")]
    FailureBound {
        /// log2 of the bound.
        found: f64,
    },
    /// No shape within the limits holds that much.
    #[error("{bytes} bytes fit no database of at most {MAX_COLUMNS} columns and {MAX_ROWS} rows")]
    TooLarge {
        /// Bytes asked for.
        bytes: u64,
    },
}

/// Bits of what travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Widths {
    /// k: bits of a query element, 24 to 30.
    pub query: u32,
    /// log2 q_a: bits of a published mask element, 16 to 18. (A client multiplies
    /// masks by its secret modulo q: 2^17·d < q/2.)
    pub mask: u32,
    /// log2 q_b: bits of an answer element, 10 to 16.
    pub body: u32,
}

/// A validated shape: `rows × columns` bytes and the widths of what travels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Params {
    columns: usize,
    rows: usize,
    widths: Widths,
    failure_log2: f64,
}

impl Params {
    /// The cheapest widths for a shape that keep the failure bound.
    ///
    /// `columns` (C) and `rows` (Rw) are multiples of d = 2048.
    ///
    /// # Errors
    ///
    /// [`ParamsError::Columns`], [`ParamsError::Rows`] for a bad shape,
    /// [`ParamsError::FailureBound`] if no widths keep the bound.
    pub fn new(columns: usize, rows: usize) -> Result<Self, ParamsError> {
        check_shape(columns, rows)?;
        plan::cheapest_widths(columns, rows)
    }

    /// A shape with given widths, as a manifest states them.
    ///
    /// # Errors
    ///
    /// Those of [`Params::new`], and [`ParamsError::Width`].
    pub fn with_widths(columns: usize, rows: usize, widths: Widths) -> Result<Self, ParamsError> {
        check_shape(columns, rows)?;
        check_width("query element", widths.query, 24, 30)?;
        check_width("mask element", widths.mask, 16, 18)?;
        check_width("answer element", widths.body, 10, 16)?;
        let failure_log2 = Noise::of(columns, widths).failure_log2(rows);
        if failure_log2 > FAILURE_LOG2_LIMIT {
            return Err(ParamsError::FailureBound {
                found: failure_log2,
            });
        }
        Ok(Self {
            columns,
            rows,
            widths,
            failure_log2,
        })
    }

    /// Columns C of the database: buckets.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Rows Rw of the database: bytes of a bucket.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Groups of d rows, which are packed into one ring element each.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.rows / DEGREE
    }

    /// Bytes of the database.
    #[must_use]
    pub fn database_bytes(&self) -> usize {
        self.columns * self.rows
    }

    /// Widths of what travels.
    #[must_use]
    pub fn widths(&self) -> Widths {
        self.widths
    }

    /// log2 of the bound on the probability that a lookup decrypts wrongly.
    #[must_use]
    pub fn failure_log2(&self) -> f64 {
        self.failure_log2
    }

    /// Standard deviations of the noise terms.
    #[must_use]
    pub fn noise(&self) -> Noise {
        Noise::of(self.columns, self.widths)
    }

    /// Twelve bytes that differ for different parameters; every wire form
    /// carries them.
    #[must_use]
    pub(crate) fn fingerprint(&self) -> [u8; 12] {
        let mut hash = Sha3_256::new();
        hash.update(SET.name.as_bytes());
        for value in [
            self.columns,
            self.rows,
            self.widths.query as usize,
            self.widths.mask as usize,
            self.widths.body as usize,
        ] {
            hash.update((value as u64).to_be_bytes());
        }
        let mut fingerprint = [0; 12];
        fingerprint.copy_from_slice(&hash.finalize()[..12]);
        fingerprint
    }
}

fn check_shape(columns: usize, rows: usize) -> Result<(), ParamsError> {
    if columns == 0 || !columns.is_multiple_of(DEGREE) || columns > MAX_COLUMNS {
        return Err(ParamsError::Columns { found: columns });
    }
    if rows == 0 || !rows.is_multiple_of(DEGREE) || rows > MAX_ROWS {
        return Err(ParamsError::Rows { found: rows });
    }
    Ok(())
}

fn check_width(what: &'static str, found: u32, least: u32, most: u32) -> Result<(), ParamsError> {
    if (least..=most).contains(&found) {
        Ok(())
    } else {
        Err(ParamsError::Width {
            what,
            found,
            least,
            most,
        })
    }
}

/// Moduli as floating-point numbers, for bounds.
pub(crate) const SCAN_MODULUS: f64 = ScanPrime::MODULUS as f64;
pub(crate) const PACK_MODULUS: f64 = PackPrime::MODULUS as f64;
pub(crate) const SPECIAL_MODULUS: f64 = SpecialPrime::MODULUS as f64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_validated() {
        for (columns, rows) in [
            (0, 2048),
            (2047, 2048),
            (2048, 0),
            (2048, 100),
            (1 << 21, 2048),
        ] {
            assert!(Params::new(columns, rows).is_err(), "{columns} × {rows}");
        }
        let params = Params::new(1 << 16, 1 << 14).unwrap();
        assert!(params.failure_log2() <= FAILURE_LOG2_LIMIT);
        assert_eq!(params.widths().query, 25);
        assert_eq!(params.groups(), 8);
    }

    #[test]
    fn weak_widths_are_refused() {
        let mut widths = Params::new(1 << 16, 1 << 14).unwrap().widths();
        assert!(Params::with_widths(1 << 16, 1 << 14, widths).is_ok());
        widths.query = 24;
        assert!(matches!(
            Params::with_widths(1 << 16, 1 << 14, widths),
            Err(ParamsError::FailureBound { .. })
        ));
        widths.query = 31;
        assert!(matches!(
            Params::with_widths(1 << 16, 1 << 14, widths),
            Err(ParamsError::Width { found: 31, .. })
        ));
    }

    #[test]
    fn unknown_sets_are_refused() {
        assert_eq!(ParameterSet::named(SET.name).unwrap().security_bits(), 137);
        assert_eq!(
            ParameterSet::named("other").unwrap_err(),
            ParamsError::UnknownSet
        );
    }
}
