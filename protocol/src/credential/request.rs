//! Requests for credentials, signed by the key that asks.
//!
//! A CBOR map in a COSE_Sign1 by the holder's key: `{1: subject, 2: issuer,
//! 3: COSE_Key, 4: issued at}`. The signature proves possession of the key. It
//! names the CSIP, so that one CSIP can't use it at another, and is good for
//! minutes only.

use std::fmt;

use super::{Issuer, IssuerError};
use crate::cbor::{self, CborError, Field, MapReader, Value};
use crate::cose::{ContentType, CoseError, Sign1, SigningKey, VerifyingKey, sign1};
use crate::csi::{Csi, CsiError};
use crate::time::UnixTime;

const SUBJECT: Field = 1;
const ISSUER: Field = 2;
const HOLDER: Field = 3;
const ISSUED_AT: Field = 4;

/// A holder's wish to have its key vouched for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialRequest {
    /// The identifier.
    pub subject: Csi,
    /// The CSIP that is asked.
    pub issuer: Issuer,
    /// The key that shall hold the identifier, and signs the request.
    pub holder: VerifyingKey,
    /// When it was signed.
    pub issued_at: UnixTime,
}

impl CredentialRequest {
    /// Most bytes of an encoded request.
    pub const BYTES_MAX: usize = 1024;

    /// Seconds before and after `issued_at` in which a request is good.
    pub const FRESHNESS_SECS: u64 = 300;

    /// Signs a request for `key`.
    ///
    /// # Errors
    /// [`CredentialRequestError::IssuedAt`].
    pub fn sign(
        subject: &Csi,
        issuer: &Issuer,
        key: &SigningKey,
        issued_at: UnixTime,
    ) -> Result<SignedCredentialRequest, CredentialRequestError> {
        let fields = [
            (SUBJECT, Value::Text(subject.canonical().to_owned())),
            (ISSUER, Value::Text(issuer.as_str().to_owned())),
            (HOLDER, key.verifying_key().to_cose_key_value()),
            (ISSUED_AT, Value::Integer(issued_at.as_secs().into())),
        ];
        let fields = fields.map(|(field, value)| (Value::Integer(field.into()), value));
        let payload = cbor::encode(&Value::Map(fields.to_vec()))?;
        SignedCredentialRequest::from_bytes(&sign1(key, ContentType::CredentialRequest, &payload))
    }

    fn from_payload(payload: &[u8]) -> Result<Self, CredentialRequestError> {
        let mut fields = MapReader::new(cbor::decode(payload)?)?;
        let request = Self {
            subject: Csi::from_canonical(&fields.text(SUBJECT)?)?,
            issuer: Issuer::new(&fields.text(ISSUER)?)?,
            holder: VerifyingKey::from_cose_key_value(fields.required(HOLDER)?)
                .map_err(CredentialRequestError::HolderKey)?,
            issued_at: UnixTime::from_secs(fields.unsigned(ISSUED_AT)?),
        };
        fields.finish()?;
        if request.issued_at > UnixTime::MAX {
            return Err(CredentialRequestError::IssuedAt {
                issued_at: request.issued_at,
            });
        }
        Ok(request)
    }
}

/// An encoded request whose form is in order; its signature is not yet checked.
#[derive(Clone)]
pub struct SignedCredentialRequest {
    object: Sign1,
    request: CredentialRequest,
}

impl SignedCredentialRequest {
    /// Decodes a request strictly.
    ///
    /// # Errors
    /// [`CredentialRequestError`], by what is wrong with its form.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CredentialRequestError> {
        if bytes.len() > CredentialRequest::BYTES_MAX {
            return Err(CredentialRequestError::TooLarge { found: bytes.len() });
        }
        let object = Sign1::decode(bytes, ContentType::CredentialRequest)?;
        let request = CredentialRequest::from_payload(object.unverified_payload())?;
        Ok(Self { object, request })
    }

    /// The encoded request.
    pub fn as_bytes(&self) -> &[u8] {
        self.object.as_bytes()
    }

    /// What is signed: the same for every encoding of a request whose signature
    /// scheme is not deterministic.
    pub fn payload(&self) -> &[u8] {
        self.object.unverified_payload()
    }

    /// What it asks, true or not.
    pub fn unverified(&self) -> &CredentialRequest {
        &self.request
    }

    /// What it asks, if the key in it signed it, for `issuer`, within
    /// [`CredentialRequest::FRESHNESS_SECS`] of `now`.
    ///
    /// # Errors
    /// [`CredentialRequestError::Cose`], [`CredentialRequestError::OtherIssuer`],
    /// [`CredentialRequestError::Stale`].
    pub fn verify(
        &self,
        issuer: &Issuer,
        now: UnixTime,
    ) -> Result<&CredentialRequest, CredentialRequestError> {
        let request = &self.request;
        self.object.verify(&request.holder)?;
        if request.issuer != *issuer {
            return Err(CredentialRequestError::OtherIssuer);
        }
        let issued_at = request.issued_at;
        let apart = now.secs_since(issued_at).max(issued_at.secs_since(now));
        if apart > CredentialRequest::FRESHNESS_SECS {
            return Err(CredentialRequestError::Stale { issued_at });
        }
        Ok(request)
    }
}

impl fmt::Debug for SignedCredentialRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "SignedCredentialRequest({} bytes)",
            self.as_bytes().len()
        )
    }
}

/// Why a request was refused.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialRequestError {
    /// Longer than [`CredentialRequest::BYTES_MAX`].
    #[error("request of {found} bytes, expected at most {max}", max = CredentialRequest::BYTES_MAX)]
    TooLarge {
        /// Its length in bytes.
        found: usize,
    },
    /// Not a COSE_Sign1 of the accepted form, or its signature doesn't verify.
    #[error("request: {0}")]
    Cose(#[from] CoseError),
    /// Its fields are not in the accepted form.
    #[error("request fields: {0}")]
    Fields(#[from] CborError),
    /// The subject is not a canonical identifier.
    #[error("request subject: {0}")]
    Subject(#[from] CsiError),
    /// The issuer is not in the accepted form.
    #[error("request issuer: {0}")]
    Issuer(#[from] IssuerError),
    /// The key is not in the accepted form, or not usable.
    #[error("request key: {0}")]
    HolderKey(#[source] CoseError),
    /// Issued past [`UnixTime::MAX`].
    #[error("request issued at {issued_at}, expected at most {max}", max = UnixTime::MAX)]
    IssuedAt {
        /// When.
        issued_at: UnixTime,
    },
    /// It is for another CSIP.
    #[error("request is for another issuer")]
    OtherIssuer,
    /// It was signed too long ago, or in the future.
    #[error("request of {issued_at} is not fresh: check the clock and ask again")]
    Stale {
        /// When.
        issued_at: UnixTime,
    },
}

#[cfg(test)]
mod tests;
