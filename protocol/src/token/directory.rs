//! An issuer's keys, as it publishes them.

use serde::{Deserialize, Serialize};

use super::{IssuerPublicKey, TokenError, TokenKeyId, TokenType};
use crate::merkle::Hash;
use crate::time::UnixTime;

/// Most bytes of a directory that a client reads.
pub const DIRECTORY_BYTES_MAX: usize = 64 * 1024;

/// Most keys of a directory.
const KEYS_MAX: usize = 64;

/// An issuer's directory (RFC 9578 §4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct IssuerDirectory {
    /// Where requests for tokens go; relative to the directory, or a URL.
    pub issuer_request_uri: String,
    /// The issuer's name in challenges: a member of our own, so that nobody
    /// guesses it.
    #[serde(
        default,
        rename = "sotto-issuer-name",
        skip_serializing_if = "Option::is_none"
    )]
    pub issuer_name: Option<String>,
    /// The keys, the preferred one first.
    pub token_keys: Vec<DirectoryKey>,
}

/// One key of a directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DirectoryKey {
    /// The number of its type, which may be one that isn't known here.
    pub token_type: u16,
    #[serde(with = "padded")]
    token_key: Vec<u8>,
    /// From when on it issues, in seconds of UNIX time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<u64>,
    /// Until when the DP takes its tokens, in seconds of UNIX time: a member of
    /// our own.
    #[serde(
        default,
        rename = "sotto-not-after",
        skip_serializing_if = "Option::is_none"
    )]
    pub not_after: Option<u64>,
}

impl IssuerDirectory {
    /// The JSON that is published.
    pub fn to_json(&self) -> Vec<u8> {
        // Texts and integers under distinct keys always serialise.
        serde_json::to_vec(self).expect("a directory serialises")
    }

    /// Reads a directory; members that aren't known are ignored.
    ///
    /// # Errors
    /// [`TokenError::Directory`].
    pub fn from_json(json: &[u8]) -> Result<Self, TokenError> {
        if json.len() > DIRECTORY_BYTES_MAX {
            return Err(TokenError::Directory);
        }
        let directory: Self = serde_json::from_slice(json).map_err(|_| TokenError::Directory)?;
        if directory.token_keys.len() > KEYS_MAX {
            return Err(TokenError::Directory);
        }
        Ok(directory)
    }

    /// SHA3-256 of a directory as it is published, which the manifest has.
    pub fn digest(json: &[u8]) -> Hash {
        Hash::of(json)
    }

    /// The key that issues tokens of type 0x0001 now: the first that has begun
    /// (RFC 9578 §4), and hasn't ended.
    pub fn issuing(&self, now: UnixTime) -> Option<(IssuerPublicKey, &DirectoryKey)> {
        self.token_keys
            .iter()
            .filter(|key| key.is_current(now))
            .find_map(|key| Some((key.voprf()?, key)))
    }

    /// The key of type 0x0002 that issues now.
    pub fn issuing_rsa(&self, now: UnixTime) -> Option<(super::RsaTokenKey, &DirectoryKey)> {
        self.token_keys
            .iter()
            .filter(|key| key.is_current(now) && key.token_type == TokenType::BlindRsa.number())
            .find_map(|key| Some((super::RsaTokenKey::from_spki(&key.token_key).ok()?, key)))
    }

    /// The key with this id.
    pub fn find(&self, id: &TokenKeyId) -> Option<&DirectoryKey> {
        self.token_keys
            .iter()
            .find(|key| TokenKeyId::of(&key.token_key) == *id)
    }
}

impl DirectoryKey {
    /// An entry.
    pub fn new(token_type: TokenType, token_key: &[u8], not_before: UnixTime) -> Self {
        Self {
            token_type: token_type.number(),
            token_key: token_key.to_vec(),
            not_before: Some(not_before.as_secs()),
            not_after: None,
        }
    }

    /// The same, taken until `not_after`.
    #[must_use]
    pub fn until(mut self, not_after: UnixTime) -> Self {
        self.not_after = Some(not_after.as_secs());
        self
    }

    /// The public key's encoding.
    pub fn token_key(&self) -> &[u8] {
        &self.token_key
    }

    /// Whether it has begun and not ended.
    pub fn is_current(&self, now: UnixTime) -> bool {
        let now = now.as_secs();
        self.not_before.is_none_or(|begin| begin <= now)
            && self.not_after.is_none_or(|end| now < end)
    }

    fn voprf(&self) -> Option<IssuerPublicKey> {
        if self.token_type != TokenType::Voprf.number() {
            return None;
        }
        IssuerPublicKey::from_bytes(self.token_key[..].try_into().ok()?).ok()
    }
}

mod padded {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(key: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&URL_SAFE.encode(key))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        URL_SAFE
            .decode(text)
            .map_err(|_| D::Error::custom("expected padded base64url"))
    }
}
