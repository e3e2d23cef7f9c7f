//! Names of CSIPs.

use std::fmt;

use serde::Serialize;

/// The name of a CSIP, as in `iss`: 1 to 255 printable ASCII characters
/// without spaces, by convention a domain name or an `https` URI.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Issuer(String);

impl Issuer {
    /// Most characters.
    pub const MAX_LEN: usize = 255;

    /// Checks a name.
    ///
    /// # Errors
    /// [`IssuerError`] if it is empty, too long or has other characters.
    pub fn new(name: &str) -> Result<Self, IssuerError> {
        if name.is_empty() || name.len() > Self::MAX_LEN {
            return Err(IssuerError::Length { found: name.len() });
        }
        if !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(IssuerError::Character);
        }
        Ok(Self(name.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is no [`Issuer`].
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssuerError {
    /// Empty or too long.
    #[error("{found} bytes, expected 1 to {max}", max = Issuer::MAX_LEN)]
    Length {
        /// Its length in bytes.
        found: usize,
    },
    /// Not printable ASCII, or a space.
    #[error("expected printable ASCII without spaces")]
    Character,
}
