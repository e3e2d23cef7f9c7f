//! Other issuers: `issuers.toml`, for tokens of type 0x0002.
//!
//! ```toml
//! [[issuer]]
//! name = "tokens.msp.example"            # as in its challenges
//! public_key = "<padded base64url>"      # as in its directory
//! not_before = "2026-11-25T00:00:00Z"
//! not_after = "2026-12-25T00:00:00Z"
//! per_day = 100000                       # tokens taken in a day of UTC
//! ```

use std::path::Path;

use aws_lc_rs::signature::{RSA_PSS_2048_8192_SHA384, RsaPublicKeyComponents};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use protocol::time::UnixTime;
use protocol::token::{RsaTokenKey, ServerName, Token, TokenKeyId, TokenType};
use serde::Deserialize;

use super::TokensError;
use crate::durable::FileError;

/// Issuers whose tokens are taken.
#[derive(Clone, Debug, Default)]
pub struct Issuers(Vec<Issuer>);

/// One issuer's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// The name in its challenges.
    pub name: ServerName,
    /// The key.
    pub key: RsaTokenKey,
    /// From when on tokens are taken.
    pub not_before: UnixTime,
    /// Until when tokens are taken.
    pub not_after: UnixTime,
    /// Tokens that are taken in a day.
    pub per_day: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    issuer: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    public_key: String,
    not_before: String,
    not_after: String,
    per_day: u32,
}

impl Issuers {
    /// Reads the file; none is the same as an empty one.
    ///
    /// # Errors
    /// [`TokensError::File`], [`TokensError::Issuers`].
    pub fn read(path: &Path) -> Result<Self, TokensError> {
        let text = match std::fs::read_to_string(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            text => text.map_err(FileError::new("read", path))?,
        };
        Self::from_toml(&text).map_err(|message| TokensError::Issuers {
            path: path.display().to_string(),
            message,
        })
    }

    fn from_toml(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        let mut issuers: Vec<Issuer> = Vec::new();
        for entry in file.issuer {
            let issuer = Issuer::new(&entry)
                .map_err(|message| format!("issuer {}: {message}", entry.name))?;
            if issuers.iter().any(|other| other.key == issuer.key) {
                return Err(format!("issuer {}: the key is there twice", entry.name));
            }
            issuers.push(issuer);
        }
        Ok(Self(issuers))
    }

    /// The issuer whose key that is, if it is in force.
    pub fn find(&self, id: &TokenKeyId, now: UnixTime) -> Option<&Issuer> {
        self.in_force(now).find(|issuer| issuer.key.id() == *id)
    }

    /// All of them, in force or not.
    pub fn all(&self) -> &[Issuer] {
        &self.0
    }

    /// Those in force.
    pub fn in_force(&self, now: UnixTime) -> impl Iterator<Item = &Issuer> {
        self.0
            .iter()
            .filter(move |issuer| issuer.not_before <= now && now < issuer.not_after)
    }
}

impl Issuer {
    fn new(entry: &Entry) -> Result<Self, String> {
        let text = |error: &dyn std::error::Error| error.to_string();
        let spki = URL_SAFE
            .decode(&entry.public_key)
            .map_err(|_| "public_key: expected padded base64url".to_owned())?;
        let time = |name: &str, value: &str| {
            UnixTime::parse_rfc3339(value).map_err(|error| format!("{name}: {error}"))
        };
        let issuer = Self {
            name: ServerName::new(&entry.name).map_err(|error| text(&error))?,
            key: RsaTokenKey::from_spki(&spki).map_err(|error| text(&error))?,
            not_before: time("not_before", &entry.not_before)?,
            not_after: time("not_after", &entry.not_after)?,
            per_day: entry.per_day,
        };
        if issuer.not_after <= issuer.not_before {
            return Err("not_after is not later than not_before".to_owned());
        }
        Ok(issuer)
    }

    /// Whether its key signed the token: RSASSA-PSS with SHA-384 and a salt of
    /// 48 bytes (RFC 9578 §6.4).
    pub fn verifies(&self, token: &Token) -> bool {
        let key = RsaPublicKeyComponents {
            n: &self.key.modulus()[..],
            e: &RsaTokenKey::EXPONENT[..],
        };
        token.token_type() == TokenType::BlindRsa
            && token.key_id() == self.key.id()
            && key
                .verify(
                    &RSA_PSS_2048_8192_SHA384,
                    token.input(),
                    token.authenticator(),
                )
                .is_ok()
    }
}
