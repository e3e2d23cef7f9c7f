//! Inquiries: a recipient asks a DP what it holds about a CSI.
//!
//! A CBOR map in a COSE_Sign1 by the key that the credential names: `{1:
//! subject, 2: thumbprint of the DP's key, 3: issued at}`. It names the DP, so
//! that one DP can't use it at another, and is good for minutes only.

use std::fmt;

use crate::cbor::{self, CborError, Field, MapReader, Value};
use crate::cose::{ContentType, CoseError, KeyId, Sign1, SigningKey, sign1};
use crate::credential::Credential;
use crate::csi::{Csi, CsiError};
use crate::time::UnixTime;

/// Most bytes of an encoded inquiry.
pub const MAX_INQUIRY_BYTES: usize = 1024;

/// Seconds before and after `issued at` in which an inquiry is good.
pub const FRESHNESS_SECS: u64 = 300;

const SUBJECT: Field = 1;
const PROVIDER: Field = 2;
const ISSUED_AT: Field = 3;

/// A recipient's question to one DP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inquiry {
    /// The identifier.
    pub subject: Csi,
    /// The key of the DP that is asked.
    pub provider: KeyId,
    /// When it was signed.
    pub issued_at: UnixTime,
}

impl Inquiry {
    /// Signs the inquiry with the holder's key.
    ///
    /// # Errors
    /// [`InquiryError::IssuedAt`].
    pub fn sign(&self, key: &SigningKey) -> Result<SignedInquiry, InquiryError> {
        let fields = [
            (SUBJECT, Value::Text(self.subject.canonical().to_owned())),
            (PROVIDER, Value::Bytes(self.provider.as_bytes().to_vec())),
            (ISSUED_AT, Value::Integer(self.issued_at.as_secs().into())),
        ];
        let fields = fields.map(|(field, value)| (Value::Integer(field.into()), value));
        let payload = cbor::encode(&Value::Map(fields.to_vec()))?;
        SignedInquiry::from_bytes(&sign1(key, ContentType::Inquiry, &payload))
    }

    fn from_payload(payload: &[u8]) -> Result<Self, InquiryError> {
        let mut fields = MapReader::new(cbor::decode(payload)?)?;
        let inquiry = Self {
            subject: Csi::from_canonical(&fields.text(SUBJECT)?)?,
            provider: KeyId::from_bytes(fields.byte_array(PROVIDER)?),
            issued_at: UnixTime::from_secs(fields.unsigned(ISSUED_AT)?),
        };
        fields.finish()?;
        if inquiry.issued_at > UnixTime::MAX {
            return Err(InquiryError::IssuedAt {
                issued_at: inquiry.issued_at,
            });
        }
        Ok(inquiry)
    }
}

/// An encoded inquiry whose form is in order; its signature is not yet checked.
#[derive(Clone)]
pub struct SignedInquiry {
    object: Sign1,
    inquiry: Inquiry,
}

impl SignedInquiry {
    /// Decodes an inquiry strictly.
    ///
    /// # Errors
    /// [`InquiryError`], by what is wrong with its form.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InquiryError> {
        if bytes.len() > MAX_INQUIRY_BYTES {
            return Err(InquiryError::TooLarge { found: bytes.len() });
        }
        let object = Sign1::decode(bytes, ContentType::Inquiry)?;
        let inquiry = Inquiry::from_payload(object.unverified_payload())?;
        Ok(Self { object, inquiry })
    }

    /// The encoded inquiry.
    pub fn as_bytes(&self) -> &[u8] {
        self.object.as_bytes()
    }

    /// What it asks, if the holder of `credential` signed it for this DP within
    /// [`FRESHNESS_SECS`] of `now`. The credential must have been verified.
    ///
    /// # Errors
    /// [`InquiryError::Cose`], [`InquiryError::SubjectMismatch`],
    /// [`InquiryError::Provider`], [`InquiryError::Stale`].
    pub fn verify(
        &self,
        credential: &Credential,
        provider: KeyId,
        now: UnixTime,
    ) -> Result<&Inquiry, InquiryError> {
        self.object.verify(&credential.holder)?;
        let inquiry = &self.inquiry;
        if inquiry.subject != credential.subject {
            return Err(InquiryError::SubjectMismatch);
        }
        if inquiry.provider != provider {
            return Err(InquiryError::Provider);
        }
        let issued_at = inquiry.issued_at;
        let apart = now.secs_since(issued_at).max(issued_at.secs_since(now));
        if apart > FRESHNESS_SECS {
            return Err(InquiryError::Stale { issued_at });
        }
        Ok(inquiry)
    }
}

impl fmt::Debug for SignedInquiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignedInquiry({} bytes)", self.as_bytes().len())
    }
}

/// Why an inquiry was refused.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InquiryError {
    /// Longer than [`MAX_INQUIRY_BYTES`].
    #[error("inquiry of {found} bytes, expected at most {max}", max = MAX_INQUIRY_BYTES)]
    TooLarge {
        /// Its length in bytes.
        found: usize,
    },
    /// Not a COSE_Sign1 of the accepted form, or its signature doesn't verify.
    #[error("inquiry: {0}")]
    Cose(#[from] CoseError),
    /// Its fields are not in the accepted form.
    #[error("inquiry fields: {0}")]
    Fields(#[from] CborError),
    /// The subject is not a canonical identifier.
    #[error("inquiry subject: {0}")]
    Subject(#[from] CsiError),
    /// Issued past [`UnixTime::MAX`].
    #[error("inquiry issued at {issued_at}, expected at most {max}", max = UnixTime::MAX)]
    IssuedAt {
        /// When.
        issued_at: UnixTime,
    },
    /// It is for another identifier than the credential.
    #[error("inquiry and credential are for different identifiers")]
    SubjectMismatch,
    /// It is for another DP.
    #[error("inquiry is for another discovery provider")]
    Provider,
    /// It was signed too long ago, or in the future.
    #[error("inquiry of {issued_at} is not fresh: check the clock and ask again")]
    Stale {
        /// When.
        issued_at: UnixTime,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::tests::{ISSUED, SUBJECT, example as credential, holder, stranger};

    fn inquiry() -> Inquiry {
        Inquiry {
            subject: Csi::parse(SUBJECT).unwrap(),
            provider: stranger().verifying_key().key_id(),
            issued_at: ISSUED,
        }
    }

    #[test]
    fn the_holder_asks_one_provider_and_soon() {
        let provider = stranger().verifying_key().key_id();
        let signed = inquiry().sign(&holder()).unwrap();
        let signed = SignedInquiry::from_bytes(signed.as_bytes()).unwrap();
        let verify = |now| signed.verify(&credential(), provider, now).map(drop);
        for now in [
            ISSUED,
            ISSUED.saturating_add(FRESHNESS_SECS),
            ISSUED.saturating_sub(FRESHNESS_SECS),
        ] {
            assert_eq!(verify(now), Ok(()));
        }
        for now in [
            ISSUED.saturating_add(FRESHNESS_SECS + 1),
            ISSUED.saturating_sub(FRESHNESS_SECS + 1),
        ] {
            assert_eq!(verify(now), Err(InquiryError::Stale { issued_at: ISSUED }));
        }
        let elsewhere = holder().verifying_key().key_id();
        assert_eq!(
            signed.verify(&credential(), elsewhere, ISSUED).map(drop),
            Err(InquiryError::Provider)
        );
        let forged = inquiry().sign(&stranger()).unwrap();
        assert_eq!(
            forged.verify(&credential(), provider, ISSUED).map(drop),
            Err(InquiryError::Cose(CoseError::WrongKey))
        );
        let other = Inquiry {
            subject: Csi::parse("someone@example.org").unwrap(),
            ..inquiry()
        };
        let other = other.sign(&holder()).unwrap();
        assert_eq!(
            other.verify(&credential(), provider, ISSUED).map(drop),
            Err(InquiryError::SubjectMismatch)
        );
    }

    #[test]
    fn malformed_inquiries_are_refused() {
        let signed = inquiry().sign(&holder()).unwrap();
        let bytes = signed.as_bytes();
        for end in 0..bytes.len() {
            assert!(SignedInquiry::from_bytes(&bytes[..end]).is_err(), "{end}");
        }
        assert_eq!(
            SignedInquiry::from_bytes(&[0; MAX_INQUIRY_BYTES + 1]).map(drop),
            Err(InquiryError::TooLarge {
                found: MAX_INQUIRY_BYTES + 1
            })
        );
        let late = Inquiry {
            issued_at: UnixTime::MAX.saturating_add(1),
            ..inquiry()
        };
        assert!(matches!(
            late.sign(&holder()),
            Err(InquiryError::IssuedAt { .. })
        ));
    }
}
