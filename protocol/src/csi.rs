//! Cross-service identifiers in canonical form, profile 1.
//!
//! A [`Csi`] is made by normalising, never otherwise, so equal identifiers have
//! equal bytes wherever they are hashed, signed or looked up:
//!
//! - `tel:+<digits>`: E.164 by the rules of libphonenumber, of a possible length
//!   for its region, without extension;
//! - `mailto:<local>@<domain>`: the local part in NFC and case-folded, with its
//!   dots and `+tag` kept; the domain as lower-case A-labels (IDNA).
//!
//! These are identifiers and not URIs: nothing is percent-decoded, and
//! parameters or header fields are refused.

pub(crate) mod domain;
mod mail;
mod phone;

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

/// Version of the normalisation rules. A change of rules that changes any
/// canonical form is another profile.
pub const PROFILE: u8 = 1;

/// Release of libphonenumber's metadata behind profile 1, as built into the
/// pinned `rlibphonenumber`.
pub const PHONE_METADATA: &str = "v9.0.42";

/// Most bytes of a canonical identifier: `mailto:` and 254 bytes of address.
pub const MAX_CANONICAL_BYTES: usize = 7 + mail::MAX_ADDRESS_BYTES;

/// Most bytes of text that is looked at.
const MAX_INPUT_BYTES: usize = 1024;

const TEL: &str = "tel:";
const MAILTO: &str = "mailto:";

/// A canonical cross-service identifier.
///
/// Neither `Debug` nor `Display` show it; [`canonical`](Self::canonical) does.
/// Wiped when dropped.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Zeroize, ZeroizeOnDrop)]
pub struct Csi(String);

/// What a [`Csi`] identifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CsiKind {
    /// A telephone number.
    Phone,
    /// An e-mail address.
    Mail,
}

impl Csi {
    /// Normalises a phone number in international form or an e-mail address,
    /// with or without its scheme: `+44 20 7946 0000`, `tel:+442079460000`,
    /// `Someone@Example.org`, `mailto:someone@example.org`.
    ///
    /// # Errors
    /// [`CsiError`], by what is wrong.
    pub fn parse(text: &str) -> Result<Self, CsiError> {
        Self::normalise(text, None)
    }

    /// As [`parse`](Self::parse), and reads a number without country code as
    /// dialled in `region`, an ISO 3166-1 alpha-2 code such as `GB`.
    ///
    /// # Errors
    /// [`CsiError`], by what is wrong.
    pub fn parse_in_region(text: &str, region: &str) -> Result<Self, CsiError> {
        Self::normalise(text, Some(phone::region(region)?))
    }

    /// Accepts canonical form alone, as read from signed objects and records.
    ///
    /// # Errors
    /// [`CsiError::NotCanonical`] for another spelling of an identifier, else
    /// as [`parse`](Self::parse).
    pub fn from_canonical(text: &str) -> Result<Self, CsiError> {
        let csi = Self::parse(text)?;
        if csi.canonical() == text {
            Ok(csi)
        } else {
            Err(CsiError::NotCanonical)
        }
    }

    /// The canonical form. Whoever asks for it answers for where it goes.
    pub fn canonical(&self) -> &str {
        &self.0
    }

    /// What it identifies.
    pub fn kind(&self) -> CsiKind {
        if self.0.starts_with(TEL) {
            CsiKind::Phone
        } else {
            CsiKind::Mail
        }
    }

    /// The digits after `tel:+`, if a phone number.
    pub(crate) fn phone_digits(&self) -> Option<&str> {
        self.0.strip_prefix(TEL)?.strip_prefix('+')
    }

    /// The A-label domain, if an e-mail address.
    pub(crate) fn mail_domain(&self) -> Option<&str> {
        self.0
            .strip_prefix(MAILTO)?
            .rsplit_once('@')
            .map(|(_, domain)| domain)
    }

    fn normalise(text: &str, region: Option<phone::Region>) -> Result<Self, CsiError> {
        if text.len() > MAX_INPUT_BYTES {
            return Err(CsiError::TooLong {
                max: MAX_INPUT_BYTES,
            });
        }
        let text = text.trim();
        if text.is_empty() {
            return Err(CsiError::Empty);
        }
        let mut canonical = if let Some(number) = without_scheme(text, TEL) {
            phone::canonical(number, region)?
        } else if let Some(address) = without_scheme(text, MAILTO) {
            mail::canonical(address)?
        } else if text.contains('@') {
            mail::canonical(text)?
        } else {
            phone::canonical(text, region)?
        };
        Ok(Self(std::mem::take(&mut canonical)))
    }
}

/// What follows the scheme, which is matched in any case (RFC 3986 §3.1).
fn without_scheme<'a>(text: &'a str, scheme: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(scheme.len())?;
    head.eq_ignore_ascii_case(scheme).then_some(rest)
}

impl fmt::Debug for Csi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Csi({self})")
    }
}

/// The kind alone.
impl fmt::Display for Csi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind() {
            CsiKind::Phone => "tel:…",
            CsiKind::Mail => "mailto:…",
        })
    }
}

/// Why a text is no identifier. Holds no part of the text.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CsiError {
    /// Nothing but white space.
    #[error("empty identifier")]
    Empty,
    /// Too long to be one.
    #[error("identifier of more than {max} bytes")]
    TooLong {
        /// Most bytes that part may have.
        max: usize,
    },
    /// An identifier in another than its canonical form.
    #[error("identifier is not in canonical form")]
    NotCanonical,
    /// Neither a phone number nor an e-mail address.
    #[error("expected a phone number or an e-mail address")]
    NotAnIdentifier,
    /// A phone number without country code, and no region was given.
    #[error("phone number without country code: write it as +<country code>…, or name a region")]
    NoCountryCode,
    /// No country has the number's country code.
    #[error("unknown country code")]
    UnknownCountryCode,
    /// Not an ISO 3166-1 alpha-2 code with a numbering plan.
    #[error("unknown region: expected an ISO 3166-1 alpha-2 code such as GB")]
    UnknownRegion,
    /// A phone number with an extension or another parameter.
    #[error("phone number with an extension or parameter")]
    Extension,
    /// Too short, too long, or only dialable locally.
    #[error("phone number of an impossible length for its country")]
    ImpossibleNumber,
    /// The address's local part is not an RFC 6531 dot-atom.
    #[error("malformed local part of an e-mail address")]
    LocalPart,
    /// The domain is no valid host name of two labels or more.
    #[error("malformed domain name")]
    Domain,
}

#[cfg(test)]
mod tests;
