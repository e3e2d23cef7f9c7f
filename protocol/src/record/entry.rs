//! The bytes of one sealed record: tag (8) ‖ salt (16) ‖ units of ciphertext
//! as u16 BE ‖ ciphertext (units × 32).

use super::{ENTRY_HEADER_BYTES, RecordError, SealedRecord, UNIT_BYTES, UNITS_MAX};
use crate::derivation::{Salt, Tag};

/// A sealed record inside the bytes it was read from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SealedRef<'a> {
    pub(crate) tag: Tag,
    salt: Salt,
    ciphertext: &'a [u8],
}

impl SealedRecord {
    /// Appends the record's [`entry_len`](Self::entry_len) bytes to `out`.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.tag.as_bytes());
        out.extend_from_slice(self.salt.as_bytes());
        // `UNITS_MAX` fits 16 bits.
        out.extend_from_slice(&((self.ciphertext.len() / UNIT_BYTES) as u16).to_be_bytes());
        out.extend_from_slice(&self.ciphertext);
    }

    /// The record that is exactly these bytes.
    ///
    /// # Errors
    /// [`RecordError::Truncated`], [`RecordError::Units`],
    /// [`RecordError::TrailingBytes`].
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let (record, rest) = SealedRef::split_from(bytes)?;
        if rest.is_empty() {
            Ok(record.to_owned())
        } else {
            Err(RecordError::TrailingBytes { found: rest.len() })
        }
    }
}

impl<'a> SealedRef<'a> {
    /// The record that `bytes` start with, and what follows it.
    pub(crate) fn split_from(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), RecordError> {
        let truncated = |expected| RecordError::Truncated {
            expected,
            found: bytes.len(),
        };
        let short = || truncated(ENTRY_HEADER_BYTES + UNIT_BYTES);
        let (tag, rest) = bytes.split_first_chunk().ok_or_else(short)?;
        let (salt, rest) = rest.split_first_chunk().ok_or_else(short)?;
        let (units, rest) = rest.split_first_chunk().ok_or_else(short)?;
        let units = usize::from(u16::from_be_bytes(*units));
        if units == 0 || units > UNITS_MAX {
            return Err(RecordError::Units { found: units });
        }
        let ciphertext_bytes = units * UNIT_BYTES;
        let (ciphertext, rest) = rest
            .split_at_checked(ciphertext_bytes)
            .ok_or_else(|| truncated(ENTRY_HEADER_BYTES + ciphertext_bytes))?;
        let record = Self {
            tag: Tag::from_bytes(*tag),
            salt: Salt::from_bytes(*salt),
            ciphertext,
        };
        Ok((record, rest))
    }

    pub(crate) fn to_owned(self) -> SealedRecord {
        SealedRecord {
            tag: self.tag,
            salt: self.salt,
            ciphertext: self.ciphertext.to_vec(),
        }
    }
}
