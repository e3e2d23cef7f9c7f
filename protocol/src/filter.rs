//! Which OPRF outputs certainly have no record: a Golomb-coded set, which a
//! client may download and ask instead of the PIR.
//!
//! As BIP 158 with constants of its own. A record's 64-bit
//! [label](OprfOutput::filter_label) is mapped to the range `0..count · RATE`,
//! as the upper 64 bits of its product with the range; the sorted values'
//! differences are Golomb-Rice coded: the part above [`RICE_BITS`] in unary
//! (ones, then a zero), the rest in binary, bits from the most significant on.
//!
//! ```text
//! "SOTTOGC1" ‖ count u32 (big-endian) ‖ coded differences, zeros to the full byte
//! ```
//!
//! What is in the set is always found; anything else is with probability 1 in
//! [`RATE`]. Labels follow from OPRF outputs, so the set can't be tried without
//! an evaluation for each identifier tried.

use crate::derivation::FilterLabel;
#[cfg(doc)]
use crate::oprf::OprfOutput;

/// One of so many labels that are not in the set seems to be.
pub const RATE: u64 = 1497;

/// Bits of a difference that are coded in binary: the optimum for [`RATE`],
/// log2(ln 2 · 1497) rounded.
pub const RICE_BITS: u32 = 10;

const MAGIC: [u8; 8] = *b"SOTTOGC1";
const HEADER_BYTES: usize = MAGIC.len() + 4;

/// Fewest bits of a difference.
const LEAST_BITS: u64 = RICE_BITS as u64 + 1;

/// The labels of a snapshot's records and of the identifiers that it withholds.
/// Its digest is in the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MembershipFilter {
    /// Ascending, all below the range of their number.
    values: Vec<u64>,
}

/// Why bytes are not a filter, or there can be none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FilterError {
    /// More labels than the header can count.
    #[error("a membership filter of {found} labels, expected at most {}", u32::MAX)]
    Count {
        /// Labels given.
        found: usize,
    },
    /// The bytes don't start as a filter of this version does.
    #[error("not a membership filter of a known version")]
    Magic,
    /// The bytes end before the last value.
    #[error("a membership filter of {count} values that ends too early")]
    Truncated {
        /// Values by the header.
        count: u32,
    },
    /// There is something behind the last value.
    #[error("a membership filter with bytes behind its last value")]
    Trailing,
    /// A value is not below the range.
    #[error("a membership filter with a value out of its range")]
    Range,
}

impl MembershipFilter {
    /// The set of these labels, in any order.
    ///
    /// # Errors
    /// [`FilterError::Count`].
    pub fn new(labels: impl IntoIterator<Item = FilterLabel>) -> Result<Self, FilterError> {
        let mut values: Vec<u64> = labels.into_iter().map(FilterLabel::as_u64).collect();
        let found = values.len();
        let count = u32::try_from(found).map_err(|_| FilterError::Count { found })?;
        for value in &mut values {
            *value = mapped(FilterLabel::new(*value), count);
        }
        values.sort_unstable();
        Ok(Self { values })
    }

    /// Number of labels.
    pub fn count(&self) -> u32 {
        // Both constructors have at most `u32::MAX`.
        self.values.len() as u32
    }

    /// Whether a label may be in the set; if not, it certainly is not.
    pub fn may_contain(&self, label: FilterLabel) -> bool {
        self.values
            .binary_search(&mapped(label, self.count()))
            .is_ok()
    }

    /// Most bytes of the encoding of so many labels.
    pub const fn encoded_bytes_max(count: u32) -> u64 {
        // The unary parts together count at most the range in units of 2^RICE_BITS.
        let count = count as u64;
        let bits = count * LEAST_BITS + ((count * RATE) >> RICE_BITS);
        HEADER_BYTES as u64 + bits.div_ceil(8)
    }

    /// The encoding that is published.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::encoded_bytes_max(self.count()) as usize);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&self.count().to_be_bytes());
        let mut bits = BitWriter { out, free: 0 };
        let mut before = 0;
        for value in &self.values {
            let difference = value - before;
            for _ in 0..difference >> RICE_BITS {
                bits.push(true);
            }
            bits.push(false);
            for at in (0..RICE_BITS).rev() {
                bits.push(difference >> at & 1 == 1);
            }
            before = *value;
        }
        bits.out
    }

    /// Decodes exactly what [`encode`](Self::encode) produces. At most six
    /// bytes are allocated for each byte given.
    ///
    /// # Errors
    /// [`FilterError`], by what is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, FilterError> {
        let Some((magic, rest)) = bytes.split_first_chunk() else {
            return Err(FilterError::Magic);
        };
        if *magic != MAGIC {
            return Err(FilterError::Magic);
        }
        let (count, coded) = rest
            .split_first_chunk()
            .ok_or(FilterError::Truncated { count: 0 })?;
        let count = u32::from_be_bytes(*count);
        let truncated = FilterError::Truncated { count };
        if (coded.len() as u64).saturating_mul(8) < u64::from(count) * LEAST_BITS {
            return Err(truncated);
        }
        let mut values = Vec::with_capacity(count as usize);
        let mut bits = BitReader { coded, at: 0 };
        let (mut value, range) = (0, range(count));
        for _ in 0..count {
            let mut quotient = 0u64;
            while bits.next().ok_or(truncated)? {
                quotient += 1;
            }
            let mut difference = quotient;
            for _ in 0..RICE_BITS {
                difference = difference << 1 | u64::from(bits.next().ok_or(truncated)?);
            }
            // Below 2^32 · 8 · 2^10 for any length of input: no overflow.
            value += difference;
            if value >= range {
                return Err(FilterError::Range);
            }
            values.push(value);
        }
        if bits.is_at_end() {
            Ok(Self { values })
        } else {
            Err(FilterError::Trailing)
        }
    }
}

const fn range(count: u32) -> u64 {
    // Below 2^43.
    count as u64 * RATE
}

/// Uniform below the range if the label is over all `u64`.
const fn mapped(label: FilterLabel, count: u32) -> u64 {
    ((label.as_u64() as u128 * range(count) as u128) >> 64) as u64
}

struct BitWriter {
    out: Vec<u8>,
    /// Bits of the last byte that are not used yet.
    free: u32,
}

impl BitWriter {
    fn push(&mut self, bit: bool) {
        if self.free == 0 {
            self.out.push(0);
            self.free = 8;
        }
        self.free -= 1;
        if let Some(last) = self.out.last_mut() {
            *last |= u8::from(bit) << self.free;
        }
    }
}

struct BitReader<'a> {
    coded: &'a [u8],
    /// Bits read.
    at: usize,
}

impl BitReader<'_> {
    fn next(&mut self) -> Option<bool> {
        let byte = self.coded.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(bit == 1)
    }

    /// Whether nothing is left but zeros to the full byte.
    fn is_at_end(&mut self) -> bool {
        if self.at.div_ceil(8) != self.coded.len() {
            return false;
        }
        std::iter::from_fn(|| self.next()).all(|bit| !bit)
    }
}

#[cfg(test)]
mod tests;
