//! Sets of identifiers that a CSIP may speak for.

use std::fmt;
use std::str::FromStr;

use crate::csi::{Csi, CsiKind, domain};

/// A set of identifiers: `tel:*`, `tel:+44` (all numbers with these leading
/// digits), `mailto:*`, or `mailto:*@example.com` (this domain exactly, not its
/// subdomains).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Every phone number.
    AnyPhone,
    /// Phone numbers whose E.164 digits begin with these.
    PhonePrefix(PhonePrefix),
    /// Every e-mail address.
    AnyMail,
    /// Addresses of one domain.
    MailDomain(MailDomain),
}

/// 1 to 15 digits, the first not 0.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PhonePrefix(String);

/// A domain name as lower-case A-labels.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailDomain(String);

impl Scope {
    /// Whether the identifier belongs to the set.
    pub fn covers(&self, csi: &Csi) -> bool {
        match self {
            Self::AnyPhone => csi.kind() == CsiKind::Phone,
            Self::PhonePrefix(PhonePrefix(prefix)) => csi
                .phone_digits()
                .is_some_and(|digits| digits.starts_with(prefix.as_str())),
            Self::AnyMail => csi.kind() == CsiKind::Mail,
            Self::MailDomain(MailDomain(domain)) => csi.mail_domain() == Some(domain),
        }
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        if text == "tel:*" {
            return Ok(Self::AnyPhone);
        }
        if text == "mailto:*" {
            return Ok(Self::AnyMail);
        }
        if let Some(prefix) = text.strip_prefix("tel:+") {
            let digits = prefix.bytes().all(|byte| byte.is_ascii_digit());
            if !digits || prefix.is_empty() || prefix.len() > 15 || prefix.starts_with('0') {
                return Err(ScopeError::PhonePrefix);
            }
            return Ok(Self::PhonePrefix(PhonePrefix(prefix.to_owned())));
        }
        if let Some(name) = text.strip_prefix("mailto:*@") {
            let name = domain::to_ascii(name).map_err(|_| ScopeError::MailDomain)?;
            return Ok(Self::MailDomain(MailDomain(name)));
        }
        Err(ScopeError::Form)
    }
}

/// The canonical form.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AnyPhone => f.write_str("tel:*"),
            Self::PhonePrefix(PhonePrefix(prefix)) => write!(f, "tel:+{prefix}"),
            Self::AnyMail => f.write_str("mailto:*"),
            Self::MailDomain(MailDomain(domain)) => write!(f, "mailto:*@{domain}"),
        }
    }
}

/// Why a text is no [`Scope`].
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// None of the four forms.
    #[error("expected tel:*, tel:+<digits>, mailto:* or mailto:*@<domain>")]
    Form,
    /// Not the beginning of an E.164 number.
    #[error("expected 1 to 15 digits after tel:+, the first not 0")]
    PhonePrefix,
    /// Not a domain name.
    #[error("expected a domain name after mailto:*@")]
    MailDomain,
}
