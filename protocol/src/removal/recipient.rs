//! Removals by the recipient.

use std::fmt;

use super::{RemovalError, check_issued, check_range, check_size};
use crate::cbor::{self, Field, MapReader, Value};
use crate::cose::{ContentType, Sign1, SigningKey, sign1};
use crate::credential::Credential;
use crate::csi::Csi;
use crate::mapping::{Mapping, MappingId};
use crate::precedence::{Revision, Version};
use crate::time::UnixTime;

const SUBJECT: Field = 1;
/// Absent if all mappings are removed.
const MAPPING_ID: Field = 2;
const SEQ: Field = 3;
const ISSUED_AT: Field = 4;
const ASSIGNMENT: Field = 5;

/// A recipient's withdrawal of mappings.
///
/// Its payload is a map `{1: subject, 2: mapping id (absent for all), 3: seq,
/// 4: issued at, 5: assignment}`, signed by the key that the credential names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    /// The identifier.
    pub subject: Csi,
    /// What is removed.
    pub target: RemovalTarget,
    /// Counts with the `seq` of mappings: what it removes has at most this one.
    pub seq: u64,
    /// When it was signed.
    pub issued_at: UnixTime,
    /// The assignment of the credential that it stands on.
    pub assignment: u64,
}

/// What a [`Removal`] removes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RemovalTarget {
    /// Every mapping of the CSI.
    All,
    /// One mapping.
    Mapping(MappingId),
}

impl Removal {
    /// Signs the removal with the holder's key.
    ///
    /// # Errors
    /// [`RemovalError::IssuedAt`], [`RemovalError::TooLarge`].
    pub fn sign(&self, key: &SigningKey) -> Result<SignedRemoval, RemovalError> {
        let mut fields = vec![
            (SUBJECT, Value::Text(self.subject.canonical().to_owned())),
            (SEQ, Value::Integer(self.seq.into())),
            (ISSUED_AT, Value::Integer(self.issued_at.as_secs().into())),
            (ASSIGNMENT, Value::Integer(self.assignment.into())),
        ];
        if let RemovalTarget::Mapping(id) = self.target {
            fields.push((MAPPING_ID, Value::Bytes(id.0.to_vec())));
        }
        let fields = fields
            .into_iter()
            .map(|(field, value)| (Value::Integer(field.into()), value));
        let payload = cbor::encode(&Value::Map(fields.collect()))?;
        SignedRemoval::from_bytes(&sign1(key, ContentType::Removal, &payload))
    }

    /// Its place in the history of the CSI.
    pub const fn version(&self) -> Version {
        Version {
            assignment: self.assignment,
            seq: self.seq,
        }
    }

    /// Whether it takes `mapping` away: its target, and not newer than itself.
    pub fn removes(&self, mapping: &Mapping) -> bool {
        let targeted = match self.target {
            RemovalTarget::All => true,
            RemovalTarget::Mapping(id) => id == mapping.id,
        };
        targeted && self.subject == mapping.subject && mapping.version() <= self.version()
    }

    fn from_payload(payload: &[u8]) -> Result<Self, RemovalError> {
        let mut fields = MapReader::new(cbor::decode(payload)?)?;
        let target = match fields.optional_byte_array(MAPPING_ID)? {
            Some(id) => RemovalTarget::Mapping(MappingId(id)),
            None => RemovalTarget::All,
        };
        let removal = Self {
            subject: Csi::from_canonical(&fields.text(SUBJECT)?)?,
            target,
            seq: fields.unsigned(SEQ)?,
            issued_at: UnixTime::from_secs(fields.unsigned(ISSUED_AT)?),
            assignment: fields.unsigned(ASSIGNMENT)?,
        };
        fields.finish()?;
        check_range(removal.issued_at)?;
        Ok(removal)
    }
}

/// An encoded removal whose form is in order; its signature is not yet checked.
#[derive(Clone)]
pub struct SignedRemoval {
    object: Sign1,
    removal: Removal,
}

impl SignedRemoval {
    /// Decodes a removal strictly.
    ///
    /// # Errors
    /// [`RemovalError`], by what is wrong with its form.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RemovalError> {
        check_size(bytes)?;
        let object = Sign1::decode(bytes, ContentType::Removal)?;
        let removal = Removal::from_payload(object.unverified_payload())?;
        Ok(Self { object, removal })
    }

    /// The encoded removal.
    pub fn as_bytes(&self) -> &[u8] {
        self.object.as_bytes()
    }

    /// What it states, true or not.
    pub fn unverified(&self) -> &Removal {
        &self.removal
    }

    /// Its content for the conflict rule.
    pub fn revision(&self) -> Revision<'_> {
        Revision {
            version: self.removal.version(),
            payload: self.object.unverified_payload(),
        }
    }

    /// What it states, if the holder of `credential` signed it under the
    /// credential's assignment, not after `now`. The credential must have been
    /// verified.
    ///
    /// # Errors
    /// [`RemovalError::Cose`], [`RemovalError::SubjectMismatch`],
    /// [`RemovalError::AssignmentMismatch`], [`RemovalError::NotYetValid`].
    pub fn verify(&self, credential: &Credential, now: UnixTime) -> Result<Removal, RemovalError> {
        self.object.verify(&credential.holder)?;
        if self.removal.subject != credential.subject {
            return Err(RemovalError::SubjectMismatch);
        }
        let (expected, found) = (credential.assignment, self.removal.assignment);
        if expected != found {
            return Err(RemovalError::AssignmentMismatch { expected, found });
        }
        check_issued(self.removal.issued_at, now)?;
        Ok(self.removal.clone())
    }
}

impl fmt::Debug for SignedRemoval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignedRemoval({} bytes)", self.as_bytes().len())
    }
}
