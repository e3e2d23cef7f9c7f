//! The senders that may look identifiers up, known by an API key or by a TLS
//! certificate.
//!
//! Only the SHA3-256 of either is kept; a key has 256 random bits, so that its
//! hash gives nothing away.

use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use protocol::time::UnixTime;
use rand::CryptoRng;
use serde::{Deserialize, Serialize};
use sha3::{Digest as _, Sha3_256};
use subtle::{ConditionallySelectable as _, ConstantTimeEq as _};
use zeroize::{Zeroize as _, Zeroizing};

use crate::durable::{self, FileError, PRIVATE};
use crate::quotas::{AccountQuotas, QUOTA_MAX};

const NAME_MAX: usize = 64;
const KEY_PREFIX: &str = "sotto_";
const HEADER: &str = "# Senders and the SHA3-256 of their API keys or certificates.\n# Use `sotto-server sender add`.\n\n";

/// A secret that authenticates a sender: `sotto_` and 256 bits in base64url.
/// Wiped when dropped, `Debug` is redacted.
pub struct ApiKey(Zeroizing<String>);

/// A sender's name, which logs may show: 1 to 64 of `a-z 0-9 . _ -`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SenderName(String);

/// A sender's place among those of its provider: enough to tell senders apart
/// while the server runs, and nothing that says who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SenderIndex(u32);

/// The senders of one provider.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Senders {
    #[serde(default, rename = "sender", skip_serializing_if = "Vec::is_empty")]
    senders: Vec<Sender>,
}

/// One sender.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sender {
    /// Who.
    pub name: SenderName,
    /// Since when, RFC 3339.
    pub since: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_sha3_256: Option<Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate_sha3_256: Option<Digest>,
    /// What is different from the usual quotas.
    #[serde(default, skip_serializing_if = "AccountQuotas::is_empty")]
    pub quota: AccountQuotas,
}

/// The SHA3-256 of a TLS certificate in DER, whose key its peer holds and which a
/// configured authority has issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CertificateDigest(Digest);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Digest([u8; 32]);

/// Why senders could not be read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SenderError {
    /// The file can't be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Not TOML of the accepted form.
    #[error("{path}: {source}", path = .path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// Where and what.
        source: Box<toml::de::Error>,
    },
    /// Not a usable name.
    #[error("a sender's name is 1 to {NAME_MAX} of a-z, 0-9, '.', '_' and '-'")]
    Name,
    /// Not a SHA3-256 digest.
    #[error("expected the 64 hexadecimal digits of a SHA3-256 digest")]
    Digest,
    /// The name is taken.
    #[error("there is a sender {name} already: remove it first to give it another key")]
    Exists {
        /// The name.
        name: String,
    },
    /// The certificate is another sender's.
    #[error("the certificate is the one of sender {name}: each has its own")]
    CertificateTaken {
        /// Whose it is.
        name: String,
    },
    /// A sender that can't be known by anything.
    #[error("sender {name} has neither key_sha3_256 nor certificate_sha3_256")]
    Anonymous {
        /// The name.
        name: String,
    },
    /// A quota out of its range.
    #[error("a quota of sender {name} is not 1 to {QUOTA_MAX}")]
    Quota {
        /// The name.
        name: String,
    },
    /// Nobody has that name.
    #[error("there is no sender {name}: `sotto-server sender list` shows all")]
    Unknown {
        /// The name.
        name: String,
    },
}

impl Senders {
    /// Reads the file; none is the same as an empty one.
    ///
    /// # Errors
    /// [`SenderError::File`], [`SenderError::Toml`], [`SenderError::Exists`] for
    /// a name that is there twice.
    pub fn read(path: &Path) -> Result<Self, SenderError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => return Err(FileError::new("read", path)(error).into()),
        };
        let senders: Self = toml::from_str(&text).map_err(|source| SenderError::Toml {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        let mut read = Self::default();
        for sender in senders.senders {
            if sender.key_sha3_256.is_none() && sender.certificate_sha3_256.is_none() {
                return Err(SenderError::Anonymous {
                    name: sender.name.0,
                });
            }
            if !sender.quota.is_in_range() {
                return Err(SenderError::Quota {
                    name: sender.name.0,
                });
            }
            read.push(sender)?;
        }
        Ok(read)
    }

    /// Replaces the file.
    ///
    /// # Errors
    /// [`SenderError::File`].
    pub fn write(&self, path: &Path) -> Result<(), SenderError> {
        // Texts in tables: there is nothing that TOML can't say.
        let body = toml::to_string(self).unwrap_or_default();
        Ok(durable::replace(
            path,
            PRIVATE,
            format!("{HEADER}{body}").as_bytes(),
        )?)
    }

    /// Adds a sender and gives its key, which is kept nowhere.
    ///
    /// # Errors
    /// [`SenderError::Exists`].
    pub fn add<R: CryptoRng + ?Sized>(
        &mut self,
        name: SenderName,
        now: UnixTime,
        rng: &mut R,
    ) -> Result<ApiKey, SenderError> {
        let key = ApiKey::generate(rng);
        self.push(Sender {
            name,
            since: now.to_string(),
            key_sha3_256: Some(Digest::of(key.as_str().as_bytes())),
            certificate_sha3_256: None,
            quota: AccountQuotas::default(),
        })?;
        Ok(key)
    }

    /// Adds a sender that is known by a certificate alone.
    ///
    /// # Errors
    /// [`SenderError::Exists`], [`SenderError::CertificateTaken`].
    pub fn add_with_certificate(
        &mut self,
        name: SenderName,
        now: UnixTime,
        certificate: CertificateDigest,
    ) -> Result<(), SenderError> {
        self.push(Sender {
            name,
            since: now.to_string(),
            key_sha3_256: None,
            certificate_sha3_256: Some(certificate.0),
            quota: AccountQuotas::default(),
        })
    }

    fn push(&mut self, sender: Sender) -> Result<(), SenderError> {
        for other in &self.senders {
            if other.name == sender.name {
                return Err(SenderError::Exists {
                    name: sender.name.0,
                });
            }
            if sender.certificate_sha3_256.is_some()
                && other.certificate_sha3_256 == sender.certificate_sha3_256
            {
                return Err(SenderError::CertificateTaken {
                    name: other.name.0.clone(),
                });
            }
        }
        self.senders.push(sender);
        Ok(())
    }

    /// Removes a sender.
    ///
    /// # Errors
    /// [`SenderError::Unknown`].
    pub fn remove(&mut self, name: &SenderName) -> Result<(), SenderError> {
        let before = self.senders.len();
        self.senders.retain(|sender| sender.name != *name);
        if self.senders.len() == before {
            return Err(SenderError::Unknown {
                name: name.0.clone(),
            });
        }
        Ok(())
    }

    /// The quotas of a sender that differ from the usual ones.
    ///
    /// # Errors
    /// [`SenderError::Unknown`].
    pub fn quota(&self, name: &SenderName) -> Result<AccountQuotas, SenderError> {
        let found = self.senders.iter().find(|sender| sender.name == *name);
        let sender = found.ok_or_else(|| SenderError::Unknown {
            name: name.0.clone(),
        })?;
        Ok(sender.quota)
    }

    /// Sets them.
    ///
    /// # Errors
    /// [`SenderError::Unknown`], [`SenderError::Quota`].
    pub fn set_quota(
        &mut self,
        name: &SenderName,
        quota: AccountQuotas,
    ) -> Result<(), SenderError> {
        let name_of = || name.0.clone();
        if !quota.is_in_range() {
            return Err(SenderError::Quota { name: name_of() });
        }
        let found = self.senders.iter_mut().find(|sender| sender.name == *name);
        found
            .ok_or_else(|| SenderError::Unknown { name: name_of() })?
            .quota = quota;
        Ok(())
    }

    /// One of them.
    pub fn at(&self, index: SenderIndex) -> Option<&Sender> {
        self.senders.get(index.0 as usize)
    }

    /// All of them, in the order they came.
    pub fn all(&self) -> &[Sender] {
        &self.senders
    }

    /// Whose key this is. Takes as long for any key.
    pub fn authenticate(&self, key: &[u8]) -> Option<(SenderIndex, &SenderName)> {
        let digest = Digest::of(key);
        let mut found = u32::MAX;
        for (at, sender) in (0u32..).zip(&self.senders) {
            if let Some(known) = &sender.key_sha3_256 {
                found.conditional_assign(&at, digest.0.ct_eq(&known.0));
            }
        }
        let sender = self.senders.get(found as usize)?;
        Some((SenderIndex(found), &sender.name))
    }

    /// Whose certificate this is.
    pub fn with_certificate(
        &self,
        certificate: &CertificateDigest,
    ) -> Option<(SenderIndex, &SenderName)> {
        let mut senders = (0u32..).zip(&self.senders);
        let (at, sender) =
            senders.find(|(_, sender)| sender.certificate_sha3_256 == Some(certificate.0))?;
        Some((SenderIndex(at), &sender.name))
    }
}

impl CertificateDigest {
    /// Of a certificate in DER.
    pub fn of(certificate: &[u8]) -> Self {
        Self(Digest::of(certificate))
    }
}

impl From<u32> for SenderIndex {
    fn from(index: u32) -> Self {
        Self(index)
    }
}

impl SenderName {
    /// Checks a name.
    ///
    /// # Errors
    /// [`SenderError::Name`].
    pub fn new(name: &str) -> Result<Self, SenderError> {
        let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
        if name.is_empty() || name.len() > NAME_MAX || !name.bytes().all(allowed) {
            return Err(SenderError::Name);
        }
        Ok(Self(name.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for SenderName {
    type Error = SenderError;

    fn try_from(name: String) -> Result<Self, SenderError> {
        Self::new(&name)
    }
}

impl From<SenderName> for String {
    fn from(name: SenderName) -> Self {
        name.0
    }
}

impl fmt::Display for SenderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl ApiKey {
    fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        let encoded = Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes));
        bytes.zeroize();
        Self(Zeroizing::new(format!("{KEY_PREFIX}{}", *encoded)))
    }

    /// The key, to be handed to the sender.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(redacted)")
    }
}

impl Digest {
    fn of(bytes: &[u8]) -> Self {
        Self(Sha3_256::digest(bytes).into())
    }
}

impl TryFrom<String> for Digest {
    type Error = SenderError;

    fn try_from(text: String) -> Result<Self, SenderError> {
        let mut digest = [0; 32];
        hex::decode_to_slice(text, &mut digest).map_err(|_| SenderError::Digest)?;
        Ok(Self(digest))
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        hex::encode(digest.0)
    }
}

#[cfg(test)]
mod tests;
