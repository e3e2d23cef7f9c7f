//! A record sealed under a key that only its identifier's OPRF output gives.
//!
//! Plaintext: length as u16 BE, content, zeros. It is padded so that the
//! ciphertext with its authentication tag is a multiple of [`UNIT_BYTES`].
//! ChaCha20-Poly1305 (RFC 8439) with the record's tag as additional data and
//! the nonce 0: the key belongs to one salt and a salt to one message, so no
//! key meets the nonce twice.

mod entry;

use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use zeroize::Zeroizing;

use crate::derivation::{Salt, Tag};
use crate::oprf::OprfOutput;

pub(crate) use entry::SealedRef;

/// Bytes that a ciphertext's length is a multiple of.
pub const UNIT_BYTES: usize = 32;

/// Longest content of a record in bytes.
pub const CONTENT_MAX: usize = 16 * 1024;

/// Bytes of an entry beside its ciphertext: tag, salt, length.
pub const ENTRY_HEADER_BYTES: usize = Tag::BYTES + Salt::BYTES + size_of::<u16>();

const LENGTH_BYTES: usize = size_of::<u16>();
const AEAD_TAG_BYTES: usize = 16;
const UNITS_MAX: usize = ciphertext_len(CONTENT_MAX) / UNIT_BYTES;

/// A record as it lies in a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedRecord {
    tag: Tag,
    salt: Salt,
    /// 1 to `UNITS_MAX` units, authentication tag included.
    ciphertext: Vec<u8>,
}

/// Why a record could not be sealed, decoded or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The content is too long to be sealed.
    #[error("a record's content is at most {CONTENT_MAX} bytes, not {found}")]
    TooLong {
        /// Bytes of content given.
        found: usize,
    },
    /// The encoding ends early.
    #[error("a sealed record needs {expected} bytes, {found} are left")]
    Truncated {
        /// Bytes needed.
        expected: usize,
        /// Bytes left.
        found: usize,
    },
    /// Bytes follow the encoding.
    #[error("{found} bytes follow the sealed record")]
    TrailingBytes {
        /// Bytes too many.
        found: usize,
    },
    /// The ciphertext has no unit or too many.
    #[error("a ciphertext has 1 to {UNITS_MAX} units of {UNIT_BYTES} bytes, not {found}")]
    Units {
        /// Units stated.
        found: usize,
    },
    /// The record is another identifier's.
    #[error("the record's tag is not that of the identifier")]
    ForeignTag,
    /// The record was altered or sealed under another key.
    #[error("the record does not open")]
    Authentication,
    /// The opened plaintext is not in the one form that sealing produces.
    #[error("the record's padding is not canonical")]
    Padding,
}

impl SealedRecord {
    /// Seals `content` for the identifier with this OPRF output. `salt` must
    /// be new unless both output and content are those it was used with.
    ///
    /// # Errors
    /// [`RecordError::TooLong`].
    pub fn seal(output: &OprfOutput, salt: Salt, content: &[u8]) -> Result<Self, RecordError> {
        if content.len() > CONTENT_MAX {
            return Err(RecordError::TooLong {
                found: content.len(),
            });
        }
        let tag = output.locator().tag;
        let sealed_bytes = ciphertext_len(content.len());
        let mut buffer = Vec::with_capacity(sealed_bytes);
        // `CONTENT_MAX` fits the length field.
        buffer.extend_from_slice(&(content.len() as u16).to_be_bytes());
        buffer.extend_from_slice(content);
        buffer.resize(sealed_bytes - AEAD_TAG_BYTES, 0);
        let authenticator = cipher(output, &salt)
            .encrypt_inout_detached(&NONCE, tag.as_bytes(), buffer.as_mut_slice().into())
            // The only failure is more than 2^38 bytes of plaintext.
            .expect("plaintext within the AEAD's limit");
        buffer.extend_from_slice(&authenticator);
        Ok(Self {
            tag,
            salt,
            ciphertext: buffer,
        })
    }

    /// The content, if the record is the one sealed for the identifier with
    /// this OPRF output.
    ///
    /// # Errors
    /// [`RecordError::ForeignTag`], [`RecordError::Authentication`],
    /// [`RecordError::Padding`].
    pub fn open(&self, output: &OprfOutput) -> Result<Zeroizing<Vec<u8>>, RecordError> {
        if output.locator().tag != self.tag {
            return Err(RecordError::ForeignTag);
        }
        // Every constructor makes at least one unit, longer than the tag.
        let (body, authenticator) = self
            .ciphertext
            .split_at(self.ciphertext.len() - AEAD_TAG_BYTES);
        let mut buffer = Zeroizing::new(body.to_vec());
        let authenticator: [u8; AEAD_TAG_BYTES] = authenticator
            .try_into()
            .map_err(|_| RecordError::Authentication)?;
        cipher(output, &self.salt)
            .decrypt_inout_detached(
                &NONCE,
                self.tag.as_bytes(),
                buffer.as_mut_slice().into(),
                &authenticator.into(),
            )
            .map_err(|_| RecordError::Authentication)?;
        unpad(&buffer)
    }

    /// Marks the record in its bucket.
    pub fn tag(&self) -> &Tag {
        &self.tag
    }

    /// What its key was derived with.
    pub fn salt(&self) -> &Salt {
        &self.salt
    }

    /// Bytes it takes in a bucket.
    pub fn entry_len(&self) -> usize {
        ENTRY_HEADER_BYTES + self.ciphertext.len()
    }
}

/// Bytes that a record of `content_len` bytes takes in a bucket.
pub const fn sealed_len(content_len: usize) -> usize {
    ENTRY_HEADER_BYTES + ciphertext_len(content_len)
}

const fn ciphertext_len(content_len: usize) -> usize {
    (LENGTH_BYTES + content_len + AEAD_TAG_BYTES).next_multiple_of(UNIT_BYTES)
}

const NONCE: Nonce = chacha20poly1305::aead::array::Array([0; 12]);

fn cipher(output: &OprfOutput, salt: &Salt) -> ChaCha20Poly1305 {
    ChaCha20Poly1305::new(<&Key>::from(output.record_key(salt).as_bytes()))
}

fn unpad(padded: &[u8]) -> Result<Zeroizing<Vec<u8>>, RecordError> {
    let (prefix, rest) = padded
        .split_first_chunk::<LENGTH_BYTES>()
        .ok_or(RecordError::Padding)?;
    let content_len = usize::from(u16::from_be_bytes(*prefix));
    let (content, zeros) = rest
        .split_at_checked(content_len)
        .ok_or(RecordError::Padding)?;
    let minimal = ciphertext_len(content_len) == padded.len() + AEAD_TAG_BYTES;
    if content_len > CONTENT_MAX || !minimal || zeros.iter().any(|&byte| byte != 0) {
        return Err(RecordError::Padding);
    }
    Ok(Zeroizing::new(content.to_vec()))
}

#[cfg(test)]
mod tests;
