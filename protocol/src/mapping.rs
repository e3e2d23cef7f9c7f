//! Mappings: a recipient's statement of where a CSI can be reached.
//!
//! A CBOR map in a COSE_Sign1 by the key that the credential names. Fields:
//!
//! | key | field | type |
//! |---|---|---|
//! | 1 | subject | canonical CSI, text |
//! | 2 | id | 16 bytes |
//! | 3 | seq | unsigned |
//! | 4 | not before | seconds |
//! | 5 | expires | seconds |
//! | 6 | assignment | unsigned |
//! | 7 | replaces all | boolean |
//! | 8 | exclusive | boolean |
//! | 9 | same app only | boolean |
//! | 10 | entries | array of maps `{1: MSP, 2: [tag, ..], 3: priority, 4: default}` |
//!
//! No entries at all is the explicit opt-out.

mod claims;
mod entry;
mod readers;

use std::fmt;

use serde::{Serialize, Serializer};

pub use readers::Readers;

pub use entry::{Entry, EntryError, MAX_TAGS, MspDomain, Preference, Tag};

use crate::cbor::CborError;
use crate::cose::{ContentType, CoseError, Sign1, SigningKey, sign1_bound};
use crate::credential::Credential;
use crate::csi::{Csi, CsiError};
use crate::precedence::{Revision, Version};
use crate::time::UnixTime;

/// Most entries of a mapping.
pub const MAX_ENTRIES: usize = 16;

/// Most bytes of an encoded mapping.
pub const MAX_MAPPING_BYTES: usize = 2048;

/// Names one of a recipient's mappings, at random.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MappingId(pub [u8; 16]);

impl fmt::Display for MappingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for MappingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MappingId({self})")
    }
}

impl Serialize for MappingId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Which older mappings of the CSI a mapping takes the place of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Replaces {
    /// Those of the same id.
    SameId,
    /// All of them (the draft's "new" bit).
    All,
}

impl Replaces {
    /// Whether it is [`Replaces::All`].
    pub const fn all(self) -> bool {
        matches!(self, Self::All)
    }
}

/// What the recipient asks of senders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Policy {
    /// Whether other mappings may be used beside this one.
    pub exclusivity: Exclusivity,
    /// Which senders the mapping is for.
    pub reach: Reach,
}

impl Policy {
    /// Neither restriction.
    pub const OPEN: Self = Self {
        exclusivity: Exclusivity::Shared,
        reach: Reach::AnyApp,
    };
}

/// Whether other mappings may be used beside this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exclusivity {
    /// They may.
    Shared,
    /// This mapping alone is to be used.
    Exclusive,
}

/// Which senders a mapping is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// Users of any application.
    AnyApp,
    /// Users of the MSP's own application.
    SameAppOnly,
}

/// Where and how a CSI can be reached. Serialised without its subject, which
/// whoever asked knows already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mapping {
    /// The identifier.
    #[serde(skip)]
    pub subject: Csi,
    /// Which of the recipient's mappings this is.
    pub id: MappingId,
    /// Rises with each statement under this assignment.
    pub seq: u64,
    /// From when on it holds.
    pub not_before: UnixTime,
    /// Until when it holds (exclusive).
    pub expires: UnixTime,
    /// The assignment of the credential that it stands on.
    pub assignment: u64,
    /// What it takes the place of.
    pub replaces: Replaces,
    /// What is asked of senders.
    pub policy: Policy,
    /// The MSPs, at most [`MAX_ENTRIES`]; none is the opt-out.
    pub entries: Vec<Entry>,
}

impl Mapping {
    /// Signs the mapping with the holder's key.
    ///
    /// # Errors
    /// [`MappingError`] if it breaks a rule of form or size.
    pub fn sign(&self, key: &SigningKey) -> Result<SignedMapping, MappingError> {
        self.sign_for(key, Readers::Everyone)
    }

    /// As [`sign`](Self::sign), for these readers alone.
    ///
    /// # Errors
    /// As [`sign`](Self::sign).
    pub fn sign_for(
        &self,
        key: &SigningKey,
        readers: Readers<'_>,
    ) -> Result<SignedMapping, MappingError> {
        self.check()?;
        let (payload, aad) = (self.to_payload()?, readers.external_aad());
        SignedMapping::from_bytes(&sign1_bound(key, ContentType::Mapping, &payload, &aad))
    }

    /// Its place in the history of the CSI.
    pub const fn version(&self) -> Version {
        Version {
            assignment: self.assignment,
            seq: self.seq,
        }
    }

    /// Whether it says that the recipient is not to be found.
    pub fn is_opt_out(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether `now` lies within its validity.
    ///
    /// # Errors
    /// [`MappingError::NotYetValid`], [`MappingError::Expired`].
    pub fn check_time(&self, now: UnixTime) -> Result<(), MappingError> {
        if now < self.not_before {
            return Err(MappingError::NotYetValid {
                not_before: self.not_before,
            });
        }
        if now >= self.expires {
            return Err(MappingError::Expired {
                expires: self.expires,
            });
        }
        Ok(())
    }

    /// Checks the rules that bind the fields together.
    fn check(&self) -> Result<(), MappingError> {
        let (not_before, expires) = (self.not_before, self.expires);
        if not_before >= expires || expires > UnixTime::MAX {
            return Err(MappingError::Validity {
                not_before,
                expires,
            });
        }
        if self.entries.len() > MAX_ENTRIES {
            return Err(MappingError::TooManyEntries {
                found: self.entries.len(),
            });
        }
        let defaults = self
            .entries
            .iter()
            .filter(|entry| entry.preference == Preference::Default);
        let found = defaults.count();
        if found > 1 {
            return Err(MappingError::SeveralDefaults { found });
        }
        for (at, entry) in self.entries.iter().enumerate() {
            let same = |other: &Entry| other.msp == entry.msp && other.tags() == entry.tags();
            if self.entries[..at].iter().any(same) {
                return Err(MappingError::DuplicateEntry { number: at + 1 });
            }
        }
        Ok(())
    }
}

/// An encoded mapping whose form is in order; its signature is not yet checked.
#[derive(Clone)]
pub struct SignedMapping {
    object: Sign1,
    mapping: Mapping,
}

impl SignedMapping {
    /// Decodes a mapping strictly.
    ///
    /// # Errors
    /// [`MappingError`], by what is wrong with its form.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MappingError> {
        if bytes.len() > MAX_MAPPING_BYTES {
            return Err(MappingError::TooLarge { found: bytes.len() });
        }
        let object = Sign1::decode(bytes, ContentType::Mapping)?;
        let mapping = Mapping::from_payload(object.unverified_payload())?;
        Ok(Self { object, mapping })
    }

    /// The encoded mapping.
    pub fn as_bytes(&self) -> &[u8] {
        self.object.as_bytes()
    }

    /// What it states, true or not.
    pub fn unverified(&self) -> &Mapping {
        &self.mapping
    }

    /// Its content for the conflict rule.
    pub fn revision(&self) -> Revision<'_> {
        Revision {
            version: self.mapping.version(),
            payload: self.object.unverified_payload(),
        }
    }

    /// What it states, if the holder of `credential` signed it for the
    /// credential's subject. The credential must have been verified; assignment
    /// and time are not looked at.
    ///
    /// # Errors
    /// [`MappingError::Cose`], [`MappingError::SubjectMismatch`].
    pub fn authenticate(&self, credential: &Credential) -> Result<&Mapping, MappingError> {
        self.authenticate_for(credential, Readers::Everyone)
    }

    /// As [`authenticate`](Self::authenticate), if it was signed for these
    /// readers.
    ///
    /// # Errors
    /// As [`authenticate`](Self::authenticate).
    pub fn authenticate_for(
        &self,
        credential: &Credential,
        readers: Readers<'_>,
    ) -> Result<&Mapping, MappingError> {
        self.object
            .verify_bound(&credential.holder, &readers.external_aad())?;
        if self.mapping.subject != credential.subject {
            return Err(MappingError::SubjectMismatch);
        }
        Ok(&self.mapping)
    }

    /// What it states, if the holder of `credential` signed it under the
    /// credential's assignment and it is valid at `now`. The credential must
    /// have been verified.
    ///
    /// # Errors
    /// As [`authenticate`](Self::authenticate), and
    /// [`MappingError::AssignmentMismatch`], [`MappingError::NotYetValid`],
    /// [`MappingError::Expired`].
    pub fn verify(&self, credential: &Credential, now: UnixTime) -> Result<Mapping, MappingError> {
        let mapping = self.authenticate(credential)?;
        let (expected, found) = (credential.assignment, mapping.assignment);
        if expected != found {
            return Err(MappingError::AssignmentMismatch { expected, found });
        }
        mapping.check_time(now)?;
        Ok(mapping.clone())
    }
}

impl fmt::Debug for SignedMapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignedMapping({} bytes)", self.as_bytes().len())
    }
}

/// Why a mapping was refused.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    /// Longer than [`MAX_MAPPING_BYTES`].
    #[error("mapping of {found} bytes, expected at most {max}", max = MAX_MAPPING_BYTES)]
    TooLarge {
        /// Its length in bytes.
        found: usize,
    },
    /// Not a COSE_Sign1 of the accepted form, or its signature doesn't verify.
    #[error("mapping: {0}")]
    Cose(#[from] CoseError),
    /// Its fields are not in the accepted form.
    #[error("mapping fields: {0}")]
    Fields(#[from] CborError),
    /// The subject is not a canonical identifier.
    #[error("mapping subject: {0}")]
    Subject(#[from] CsiError),
    /// An entry breaks a rule.
    #[error("mapping entry {number}: {source}")]
    Entry {
        /// Which entry, counted from 1.
        number: usize,
        /// What is wrong.
        source: EntryError,
    },
    /// More than [`MAX_ENTRIES`].
    #[error("mapping of {found} entries, expected at most {max}", max = MAX_ENTRIES)]
    TooManyEntries {
        /// How many.
        found: usize,
    },
    /// More than one default.
    #[error("mapping with {found} default entries, expected at most 1")]
    SeveralDefaults {
        /// How many.
        found: usize,
    },
    /// The same MSP with the same tags as an earlier entry.
    #[error("mapping entry {number} repeats an earlier one")]
    DuplicateEntry {
        /// Which entry, counted from 1.
        number: usize,
    },
    /// It ends before it begins, or past [`UnixTime::MAX`].
    #[error("mapping from {not_before} to {expires}")]
    Validity {
        /// Its begin.
        not_before: UnixTime,
        /// Its end.
        expires: UnixTime,
    },
    /// It is for another identifier than the credential.
    #[error("mapping and credential are for different identifiers")]
    SubjectMismatch,
    /// It is of another assignment than the credential.
    #[error("mapping of assignment {found}, credential of {expected}")]
    AssignmentMismatch {
        /// The credential's.
        expected: u64,
        /// The mapping's.
        found: u64,
    },
    /// Not valid yet.
    #[error("mapping is not valid before {not_before}")]
    NotYetValid {
        /// Its begin.
        not_before: UnixTime,
    },
    /// No longer valid.
    #[error("mapping expired at {expires}")]
    Expired {
        /// Its end.
        expires: UnixTime,
    },
}

#[cfg(test)]
pub(crate) mod tests;
