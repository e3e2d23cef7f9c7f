//! What a recipient publishes for an audience.

use std::fmt;

use super::{
    AudienceCiphertext, AudienceError, AudienceHandle, MAX_AUDIENCE_RECORD_BYTES, MAX_VALIDITY_SECS,
};
use crate::cbor::{self, Field, MapReader, Value};
use crate::cose::{ContentType, Sign1, SigningKey, VerifyingKey, sign1};
use crate::precedence::{Revision, Version};
use crate::time::UnixTime;

const HANDLE: Field = 1;
const WRITE_KEY: Field = 2;
const SEQ: Field = 3;
const ISSUED_AT: Field = 4;
const EXPIRES: Field = 5;
/// Absent if the record is removed.
const CIPHERTEXT: Field = 6;

/// A statement of what a handle stands for.
///
/// Its payload is a map `{1: handle, 2: write key as COSE_Key, 3: seq, 4: issued
/// at, 5: expires, 6: ciphertext (absent for a removal)}`, signed by the write
/// key. The first statement of a handle fixes its write key; later ones count
/// if the same key signs them with a higher `seq`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudienceRecord {
    /// Where it is stored.
    pub handle: AudienceHandle,
    /// Who may replace it; says nothing of who that is.
    pub write_key: VerifyingKey,
    /// Rises with each statement.
    pub seq: u64,
    /// When it was signed.
    pub issued_at: UnixTime,
    /// When a DP forgets it: at most [`MAX_VALIDITY_SECS`] after `issued_at`.
    pub expires: UnixTime,
    /// What it holds.
    pub content: AudienceContent,
}

/// What an [`AudienceRecord`] holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AudienceContent {
    /// A bundle, sealed for the audience.
    Sealed(AudienceCiphertext),
    /// Nothing any more: the record is a mark that keeps older ones away.
    Removed,
}

impl AudienceRecord {
    /// Signs the record.
    ///
    /// # Errors
    /// [`AudienceError::Validity`]; [`AudienceError::Cose`] if `key` is not the
    /// secret half of the write key.
    pub fn sign(&self, key: &SigningKey) -> Result<SignedAudienceRecord, AudienceError> {
        let integer = |value: u64| Value::Integer(value.into());
        let mut fields = vec![
            (HANDLE, Value::Bytes(self.handle.as_bytes().to_vec())),
            (WRITE_KEY, self.write_key.to_cose_key_value()),
            (SEQ, integer(self.seq)),
            (ISSUED_AT, integer(self.issued_at.as_secs())),
            (EXPIRES, integer(self.expires.as_secs())),
        ];
        if let AudienceContent::Sealed(ciphertext) = &self.content {
            fields.push((CIPHERTEXT, Value::Bytes(ciphertext.as_bytes().to_vec())));
        }
        let fields = fields
            .into_iter()
            .map(|(field, value)| (Value::Integer(field.into()), value));
        let payload = cbor::encode(&Value::Map(fields.collect()))?;
        let signed =
            SignedAudienceRecord::from_bytes(&sign1(key, ContentType::AudienceRecord, &payload))?;
        signed.object.verify(&self.write_key)?;
        Ok(signed)
    }

    /// Its place in the history of the handle, which knows no assignments.
    pub const fn version(&self) -> Version {
        Version {
            assignment: 0,
            seq: self.seq,
        }
    }

    fn from_payload(payload: &[u8]) -> Result<Self, AudienceError> {
        let mut fields = MapReader::new(cbor::decode(payload)?)?;
        let handle = AudienceHandle::from_bytes(fields.byte_array(HANDLE)?);
        let write_key = VerifyingKey::from_cose_key_value(fields.required(WRITE_KEY)?)?;
        let content = match fields.optional(CIPHERTEXT) {
            None => AudienceContent::Removed,
            Some(Value::Bytes(bytes)) => {
                AudienceContent::Sealed(AudienceCiphertext::from_bytes(&bytes)?)
            }
            Some(_) => {
                return Err(AudienceError::Fields(cbor::CborError::WrongType {
                    field: CIPHERTEXT,
                    expected: "a byte string",
                }));
            }
        };
        let record = Self {
            handle,
            write_key,
            seq: fields.unsigned(SEQ)?,
            issued_at: UnixTime::from_secs(fields.unsigned(ISSUED_AT)?),
            expires: UnixTime::from_secs(fields.unsigned(EXPIRES)?),
            content,
        };
        fields.finish()?;
        record.check_validity()?;
        Ok(record)
    }

    fn check_validity(&self) -> Result<(), AudienceError> {
        let (issued_at, expires) = (self.issued_at, self.expires);
        let in_order = issued_at < expires && expires <= UnixTime::MAX;
        if in_order && expires.secs_since(issued_at) <= MAX_VALIDITY_SECS {
            Ok(())
        } else {
            Err(AudienceError::Validity { issued_at, expires })
        }
    }
}

/// An encoded audience record whose form is in order; its signature is not yet
/// checked.
#[derive(Clone)]
pub struct SignedAudienceRecord {
    object: Sign1,
    record: AudienceRecord,
}

impl SignedAudienceRecord {
    /// Decodes an audience record strictly.
    ///
    /// # Errors
    /// [`AudienceError`], by what is wrong with its form.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, AudienceError> {
        if bytes.len() > MAX_AUDIENCE_RECORD_BYTES {
            return Err(AudienceError::TooLarge { found: bytes.len() });
        }
        let object = Sign1::decode(bytes, ContentType::AudienceRecord)?;
        let record = AudienceRecord::from_payload(object.unverified_payload())?;
        Ok(Self { object, record })
    }

    /// The encoded record.
    pub fn as_bytes(&self) -> &[u8] {
        self.object.as_bytes()
    }

    /// What it states, true or not.
    pub fn unverified(&self) -> &AudienceRecord {
        &self.record
    }

    /// Its content for the conflict rule, which holds among records of one
    /// write key.
    pub fn revision(&self) -> Revision<'_> {
        Revision {
            version: self.record.version(),
            payload: self.object.unverified_payload(),
        }
    }

    /// What it states, if its own write key signed it and it is valid at `now`
    /// (`issued_at ≤ now < expires`). Whether that key may write to the handle
    /// is for whoever stores it to know.
    ///
    /// # Errors
    /// [`AudienceError::Cose`], [`AudienceError::NotYetValid`],
    /// [`AudienceError::Expired`].
    pub fn verify(&self, now: UnixTime) -> Result<&AudienceRecord, AudienceError> {
        let record = &self.record;
        self.object.verify(&record.write_key)?;
        if record.issued_at > now {
            return Err(AudienceError::NotYetValid {
                issued_at: record.issued_at,
            });
        }
        if record.expires <= now {
            return Err(AudienceError::Expired {
                expires: record.expires,
            });
        }
        Ok(record)
    }
}

impl fmt::Debug for SignedAudienceRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignedAudienceRecord({} bytes)", self.as_bytes().len())
    }
}

#[cfg(test)]
mod tests;
