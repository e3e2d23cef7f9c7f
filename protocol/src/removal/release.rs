//! Releases by the CSIP.

use std::fmt;

use super::{RemovalError, check_issued, check_range, check_size};
use crate::cbor::{self, Field, MapReader, Value};
use crate::cose::{ContentType, Sign1, SigningKey, sign1};
use crate::credential::Issuer;
use crate::csi::Csi;
use crate::precedence::{Revision, Version};
use crate::time::UnixTime;
use crate::trust::TrustList;

const ISSUER: Field = 1;
const SUBJECT: Field = 2;
const ASSIGNMENT: Field = 3;
const ISSUED_AT: Field = 4;
const REASON: Field = 5;

/// A CSIP's statement that an assignment has ended: every mapping of it or of
/// an earlier one is void.
///
/// Its payload is a map `{1: issuer, 2: subject, 3: assignment, 4: issued at,
/// 5: reason}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// The CSIP.
    pub issuer: Issuer,
    /// The identifier.
    pub subject: Csi,
    /// The last assignment that has ended.
    pub assignment: u64,
    /// When it was signed.
    pub issued_at: UnixTime,
    /// Why it has ended.
    pub reason: ReleaseReason,
}

/// Why an assignment has ended, with its number in the payload.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReleaseReason {
    /// 1: the holder gave the identifier up.
    GivenUp,
    /// 2: the identifier was given to someone else.
    Reassigned,
    /// 3: the identifier moved to another CSIP.
    Ported,
    /// 4: the assignment should never have been made.
    Fraud,
}

impl ReleaseReason {
    const ALL: [Self; 4] = [Self::GivenUp, Self::Reassigned, Self::Ported, Self::Fraud];

    const fn number(self) -> u64 {
        match self {
            Self::GivenUp => 1,
            Self::Reassigned => 2,
            Self::Ported => 3,
            Self::Fraud => 4,
        }
    }

    fn from_number(found: u64) -> Result<Self, RemovalError> {
        let known = Self::ALL
            .into_iter()
            .find(|reason| reason.number() == found);
        known.ok_or(RemovalError::UnknownReason { found })
    }
}

impl Release {
    /// Signs the release with a key of the CSIP.
    ///
    /// # Errors
    /// [`RemovalError::IssuedAt`], [`RemovalError::TooLarge`].
    pub fn sign(&self, key: &SigningKey) -> Result<SignedRelease, RemovalError> {
        let fields = [
            (ISSUER, Value::Text(self.issuer.as_str().to_owned())),
            (SUBJECT, Value::Text(self.subject.canonical().to_owned())),
            (ASSIGNMENT, Value::Integer(self.assignment.into())),
            (ISSUED_AT, Value::Integer(self.issued_at.as_secs().into())),
            (REASON, Value::Integer(self.reason.number().into())),
        ];
        let fields = fields.map(|(field, value)| (Value::Integer(field.into()), value));
        let payload = cbor::encode(&Value::Map(fields.to_vec()))?;
        SignedRelease::from_bytes(&sign1(key, ContentType::Release, &payload))
    }

    /// Whether it voids mappings and credentials of `assignment`.
    pub const fn voids(&self, assignment: u64) -> bool {
        assignment <= self.assignment
    }

    fn from_payload(payload: &[u8]) -> Result<Self, RemovalError> {
        let mut fields = MapReader::new(cbor::decode(payload)?)?;
        let release = Self {
            issuer: Issuer::new(&fields.text(ISSUER)?)?,
            subject: Csi::from_canonical(&fields.text(SUBJECT)?)?,
            assignment: fields.unsigned(ASSIGNMENT)?,
            issued_at: UnixTime::from_secs(fields.unsigned(ISSUED_AT)?),
            reason: ReleaseReason::from_number(fields.unsigned(REASON)?)?,
        };
        fields.finish()?;
        check_range(release.issued_at)?;
        Ok(release)
    }
}

/// An encoded release whose form is in order; its signature is not yet checked.
#[derive(Clone)]
pub struct SignedRelease {
    object: Sign1,
    release: Release,
}

impl SignedRelease {
    /// Decodes a release strictly.
    ///
    /// # Errors
    /// [`RemovalError`], by what is wrong with its form.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RemovalError> {
        check_size(bytes)?;
        let object = Sign1::decode(bytes, ContentType::Release)?;
        let release = Release::from_payload(object.unverified_payload())?;
        Ok(Self { object, release })
    }

    /// The encoded release.
    pub fn as_bytes(&self) -> &[u8] {
        self.object.as_bytes()
    }

    /// What it states, true or not.
    pub fn unverified(&self) -> &Release {
        &self.release
    }

    /// Its content for the conflict rule, with `issued_at` as `seq`.
    pub fn revision(&self) -> Revision<'_> {
        let seq = self.release.issued_at.as_secs();
        let version = Version {
            assignment: self.release.assignment,
            seq,
        };
        Revision {
            version,
            payload: self.object.unverified_payload(),
        }
    }

    /// What it states, if a CSIP that `trust` lists for the subject signed it,
    /// not after `now`.
    ///
    /// # Errors
    /// [`RemovalError::Untrusted`], [`RemovalError::Cose`] if the signature
    /// doesn't verify, [`RemovalError::NotYetValid`].
    pub fn verify(&self, trust: &TrustList, now: UnixTime) -> Result<Release, RemovalError> {
        let release = &self.release;
        let key = trust.authorise(&release.issuer, self.object.key_id(), &release.subject, now)?;
        self.object.verify(key)?;
        check_issued(release.issued_at, now)?;
        Ok(release.clone())
    }
}

impl fmt::Debug for SignedRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignedRelease({} bytes)", self.as_bytes().len())
    }
}
