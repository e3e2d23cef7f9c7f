//! Credentials: a CSIP's statement that a key holds a CSI.
//!
//! A CWT (RFC 8392) in a COSE_Sign1 by the CSIP. Claims: `iss` (1) the CSIP,
//! `sub` (2) the canonical CSI, `exp` (4), `iat` (6), `cnf` (8, RFC 8747 §3.1)
//! the holder's COSE_Key, and the private claim [`ASSIGNMENT_CLAIM`]. No others.

mod issuer;
mod request;

use std::fmt;

use coset::iana::CwtClaimName;

pub use issuer::{Issuer, IssuerError};
pub use request::{CredentialRequest, CredentialRequestError, SignedCredentialRequest};

use crate::cbor::{self, CborError, Field, MapReader, Value};
use crate::cose::{ContentType, CoseError, KeyId, Sign1, SigningKey, VerifyingKey, sign1};
use crate::csi::{Csi, CsiError};
use crate::precedence::{Revision, Version};
use crate::time::UnixTime;
use crate::trust::{TrustError, TrustList};

/// Longest validity of a credential, in seconds: 90 days.
pub const MAX_VALIDITY_SECS: u64 = 90 * 24 * 60 * 60;

/// Most bytes of an encoded credential.
pub const MAX_CREDENTIAL_BYTES: usize = 2048;

/// The private-use claim (RFC 8392 §9.1) that holds the assignment.
pub const ASSIGNMENT_CLAIM: i64 = -65_537;

const ISS: Field = CwtClaimName::Iss as Field;
const SUB: Field = CwtClaimName::Sub as Field;
const EXP: Field = CwtClaimName::Exp as Field;
const IAT: Field = CwtClaimName::Iat as Field;
const CNF: Field = CwtClaimName::Cnf as Field;

/// The member of `cnf` that holds a COSE_Key (RFC 8747 §3.2).
const CNF_COSE_KEY: Field = 1;

/// What a CSIP states: until `expires`, `holder` speaks for `subject`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// The CSIP.
    pub issuer: Issuer,
    /// The identifier.
    pub subject: Csi,
    /// The key that may sign mappings and removals for it.
    pub holder: VerifyingKey,
    /// When it was issued; it is not valid earlier.
    pub issued_at: UnixTime,
    /// When it ends (exclusive), at most [`MAX_VALIDITY_SECS`] after `issued_at`.
    pub expires: UnixTime,
    /// Rises each time the identifier is given to someone else.
    pub assignment: u64,
}

impl Credential {
    /// Signs the credential with a key of the CSIP.
    ///
    /// # Errors
    /// [`CredentialError::Validity`] if it would end before it begins, be valid
    /// for too long, or name a time past [`UnixTime::MAX`].
    pub fn issue(self, key: &SigningKey) -> Result<SignedCredential, CredentialError> {
        self.check()?;
        let integer = |n: u64| Value::Integer(n.into());
        let field = |field: Field| Value::Integer(field.into());
        let claims = Value::Map(vec![
            (field(ISS), Value::Text(self.issuer.as_str().to_owned())),
            (field(SUB), Value::Text(self.subject.canonical().to_owned())),
            (field(EXP), integer(self.expires.as_secs())),
            (field(IAT), integer(self.issued_at.as_secs())),
            (
                field(CNF),
                Value::Map(vec![(field(CNF_COSE_KEY), self.holder.to_cose_key_value())]),
            ),
            (field(ASSIGNMENT_CLAIM), integer(self.assignment)),
        ]);
        let bytes = sign1(key, ContentType::Credential, &cbor::encode(&claims)?);
        SignedCredential::from_bytes(&bytes)
    }

    /// Whether `now` lies within its validity.
    ///
    /// # Errors
    /// [`CredentialError::NotYetValid`], [`CredentialError::Expired`].
    pub fn check_time(&self, now: UnixTime) -> Result<(), CredentialError> {
        if now < self.issued_at {
            return Err(CredentialError::NotYetValid {
                issued_at: self.issued_at,
            });
        }
        if now >= self.expires {
            return Err(CredentialError::Expired {
                expires: self.expires,
            });
        }
        Ok(())
    }

    fn check(&self) -> Result<(), CredentialError> {
        let (issued_at, expires) = (self.issued_at, self.expires);
        let fits = issued_at < expires
            && expires.secs_since(issued_at) <= MAX_VALIDITY_SECS
            && expires <= UnixTime::MAX;
        if fits {
            Ok(())
        } else {
            Err(CredentialError::Validity { issued_at, expires })
        }
    }

    fn from_claims(payload: &[u8]) -> Result<Self, CredentialError> {
        let mut claims = MapReader::new(cbor::decode(payload)?)?;
        let issuer = Issuer::new(&claims.text(ISS)?)?;
        let subject = Csi::from_canonical(&claims.text(SUB)?)?;
        let expires = UnixTime::from_secs(claims.unsigned(EXP)?);
        let issued_at = UnixTime::from_secs(claims.unsigned(IAT)?);
        let mut confirmation = MapReader::within(CNF, claims.required(CNF)?)?;
        let holder = VerifyingKey::from_cose_key_value(confirmation.required(CNF_COSE_KEY)?)
            .map_err(CredentialError::HolderKey)?;
        confirmation.finish()?;
        let assignment = claims.unsigned(ASSIGNMENT_CLAIM)?;
        claims.finish()?;
        let credential = Self {
            issuer,
            subject,
            holder,
            issued_at,
            expires,
            assignment,
        };
        credential.check()?;
        Ok(credential)
    }
}

/// An encoded credential whose form and claims are in order; its signature is
/// not yet checked.
#[derive(Clone)]
pub struct SignedCredential {
    object: Sign1,
    claims: Credential,
}

impl SignedCredential {
    /// Decodes a credential strictly.
    ///
    /// # Errors
    /// [`CredentialError`], by what is wrong with its form.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CredentialError> {
        if bytes.len() > MAX_CREDENTIAL_BYTES {
            return Err(CredentialError::TooLarge { found: bytes.len() });
        }
        let object = Sign1::decode(bytes, ContentType::Credential)?;
        let claims = Credential::from_claims(object.unverified_payload())?;
        Ok(Self { object, claims })
    }

    /// The encoded credential.
    pub fn as_bytes(&self) -> &[u8] {
        self.object.as_bytes()
    }

    /// The key that it says it is signed by.
    pub fn key_id(&self) -> KeyId {
        self.object.key_id()
    }

    /// What it states, true or not.
    pub fn unverified(&self) -> &Credential {
        &self.claims
    }

    /// Its content for the conflict rule, with `iat` as `seq`.
    pub fn revision(&self) -> Revision<'_> {
        let version = Version {
            assignment: self.claims.assignment,
            seq: self.claims.issued_at.as_secs(),
        };
        Revision {
            version,
            payload: self.object.unverified_payload(),
        }
    }

    /// What it states, if a CSIP that `trust` lists for the subject signed it
    /// and it is valid at `now`.
    ///
    /// # Errors
    /// [`CredentialError::Untrusted`], [`CredentialError::Cose`] if the signature
    /// doesn't verify, [`CredentialError::NotYetValid`],
    /// [`CredentialError::Expired`].
    pub fn verify(&self, trust: &TrustList, now: UnixTime) -> Result<Credential, CredentialError> {
        let claims = &self.claims;
        let key = trust.authorise(&claims.issuer, self.object.key_id(), &claims.subject, now)?;
        self.object.verify(key)?;
        claims.check_time(now)?;
        Ok(claims.clone())
    }
}

impl fmt::Debug for SignedCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignedCredential({} bytes)", self.as_bytes().len())
    }
}

/// Why a credential was refused.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// Longer than [`MAX_CREDENTIAL_BYTES`].
    #[error("credential of {found} bytes, expected at most {max}", max = MAX_CREDENTIAL_BYTES)]
    TooLarge {
        /// Its length in bytes.
        found: usize,
    },
    /// Not a COSE_Sign1 of the accepted form, or its signature doesn't verify.
    #[error("credential: {0}")]
    Cose(#[from] CoseError),
    /// Its claims are not in the accepted form.
    #[error("credential claims: {0}")]
    Claims(#[from] CborError),
    /// The issuer is not in the accepted form.
    #[error("credential issuer: {0}")]
    Issuer(#[from] IssuerError),
    /// The subject is not a canonical identifier.
    #[error("credential subject: {0}")]
    Subject(#[from] CsiError),
    /// The holder's key is not in the accepted form, or not usable.
    #[error("credential holder: {0}")]
    HolderKey(#[source] CoseError),
    /// It ends before it begins, after more than [`MAX_VALIDITY_SECS`], or past
    /// [`UnixTime::MAX`].
    #[error("credential from {issued_at} to {expires}, expected 1 s to 90 days")]
    Validity {
        /// Its begin.
        issued_at: UnixTime,
        /// Its end.
        expires: UnixTime,
    },
    /// Nobody trusted signed it for this subject.
    #[error(transparent)]
    Untrusted(#[from] TrustError),
    /// Not valid yet.
    #[error("credential is not valid before {issued_at}")]
    NotYetValid {
        /// Its begin.
        issued_at: UnixTime,
    },
    /// No longer valid.
    #[error("credential expired at {expires}")]
    Expired {
        /// Its end.
        expires: UnixTime,
    },
}

#[cfg(test)]
pub(crate) mod tests;
