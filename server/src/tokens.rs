//! Privacy Pass at the provider: keys that issue tokens, the directory of them,
//! other issuers, and what a token must be to be taken.
//!
//! A key of the provider's own issues for one period and is taken for one more,
//! so that a token lives at least a period. The key of the next period is made,
//! and published, ahead. The directory is written when a snapshot is built, whose
//! manifest has its digest, and is served as it was written then.

mod issuers;
mod keys;
mod published;
mod terms;

use std::fmt;
use std::sync::Arc;

use protocol::merkle::Hash;
use protocol::time::UnixTime;
use protocol::token::{
    Challenge, DirectoryKey, IssuerDirectory, IssuerKey, ServerName, Token, TokenChallenge,
    TokenError, TokenType,
};
use protocol::wire;

use crate::data_dir::{DataDir, DataDirError};
use crate::durable::FileError;
use crate::keys::KeyError;

pub use issuers::{Issuer, Issuers};
pub use keys::TokenKey;

/// A request may be for a key that begins, or has ended, this much time before
/// or after now: clocks differ.
const SKEW_SECS: u64 = 300;

const DAY_SECS: u64 = 24 * 3600;

/// Keys and issuers in force.
#[derive(Clone)]
pub struct Tokens {
    name: ServerName,
    keys: Vec<TokenKey>,
    issuers: Issuers,
    /// As it was published; nothing before the first snapshot.
    directory: Option<Arc<[u8]>>,
}

/// A token that may be spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Good<'a> {
    /// From when on it isn't taken any more.
    pub expires: UnixTime,
    /// Who issued it; nothing for the provider itself, which charged for it
    /// then.
    pub issuer: Option<&'a Issuer>,
}

/// Why a token is not taken. Says nothing about the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// Not a field or structure of Privacy Pass.
    #[error("token: {0}")]
    Malformed(#[from] TokenError),
    /// Nobody's key, or one that is not yet or no longer in force.
    #[error("the token's key is not in force: fetch the directory, and tokens")]
    Key,
    /// For another challenge, so perhaps for another provider.
    #[error("the token is for another challenge")]
    Challenge,
    /// Not made with the key.
    #[error("the token does not verify")]
    Authenticator,
    /// It was redeemed before.
    #[error("the token was redeemed before")]
    Spent,
}

/// Why tokens can't be issued or taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokensError {
    /// A file can't be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A key's name isn't the times between which it issues.
    #[error("{path}: expected a name such as 1795392000-1795996800.key, in UNIX time")]
    Name {
        /// The file.
        path: String,
    },
    /// A key of another issuer would be in force for longer than before.
    #[error(
        "issuers.toml: the key of {name} was to end at {known}: tokens that were spent are forgotten then, so a later not_after would make them good again; give {name} a new key for the time from then on"
    )]
    Extended {
        /// The issuer.
        name: String,
        /// When its key ends.
        known: UnixTime,
    },
    /// The other issuers.
    #[error("{path}: {message}")]
    Issuers {
        /// The file.
        path: String,
        /// What is wrong with it.
        message: String,
    },
    /// `tokens.issuer` of the configuration.
    #[error("configuration: tokens.issuer: {0}")]
    Issuer(#[source] TokenError),
}

impl Tokens {
    /// No tokens at all.
    #[must_use]
    pub fn none(name: ServerName) -> Self {
        Self {
            name,
            keys: Vec::new(),
            issuers: Issuers::default(),
            directory: None,
        }
    }

    /// Reads keys and issuers, and the directory with this digest.
    ///
    /// # Errors
    /// [`DataDirError`].
    pub fn open(data: &DataDir, digest: Option<&Hash>) -> Result<Self, DataDirError> {
        let config = data.config()?.tokens;
        Ok(Self {
            name: ServerName::new(&config.issuer).map_err(TokensError::Issuer)?,
            keys: keys::read_all(&data.token_keys(), data.passphrases())?,
            issuers: terms::accept(Issuers::read(&data.issuers_path())?, &data.issuer_terms())?,
            directory: digest
                .map(|digest| published::read(&data.token_directories(), digest))
                .transpose()?
                .flatten()
                .map(Arc::from),
        })
    }

    /// Makes the keys that are missing for the time until `now + lifetime_secs`
    /// and the period after, removes those that aren't taken any more, writes the
    /// directory, and gives its digest for the manifest of a snapshot.
    ///
    /// # Errors
    /// [`DataDirError`].
    pub fn prepare(
        data: &DataDir,
        now: UnixTime,
        lifetime_secs: u64,
    ) -> Result<Hash, DataDirError> {
        let config = data.config()?.tokens;
        let period = u64::from(config.key_days) * DAY_SECS;
        keys::renew(
            &data.token_keys(),
            data.passphrases(),
            now,
            period,
            lifetime_secs,
        )?;
        let tokens = Self::open(data, None)?;
        let json = tokens.directory_now().to_json();
        Ok(published::write(&data.token_directories(), &json)?)
    }

    /// Removes the directories of other snapshots than the published one.
    ///
    /// # Errors
    /// [`DataDirError`].
    pub fn forget_directories_but(data: &DataDir, digest: &Hash) -> Result<(), DataDirError> {
        Ok(published::remove_others(&data.token_directories(), digest)?)
    }

    /// What there is to publish: the newest key first, as clients take the first
    /// that has begun (RFC 9578 §4).
    fn directory_now(&self) -> IssuerDirectory {
        let entry = |key: &TokenKey| {
            let public = key.key.public_key().as_bytes();
            DirectoryKey::new(TokenType::Voprf, public, key.begins).until(key.taken_until())
        };
        IssuerDirectory {
            issuer_request_uri: wire::TOKENS_PATH.to_owned(),
            issuer_name: Some(self.name.as_str().to_owned()),
            token_keys: self.keys.iter().rev().map(entry).collect(),
        }
    }

    /// Whether keys must be made, by [`prepare`](Self::prepare), half a period
    /// before there are none.
    pub fn run_out(&self, now: UnixTime) -> bool {
        self.keys.last().is_none_or(|last| {
            let half = last.ends.secs_since(last.begins) / 2;
            last.ends <= now.saturating_add(half)
        })
    }

    /// The directory as it was published with the snapshot.
    pub fn directory(&self) -> Option<&Arc<[u8]>> {
        self.directory.as_ref()
    }

    /// The key that a request for tokens is for, if it issues now.
    pub fn issuing(&self, truncated_key_id: u8, now: UnixTime) -> Option<&IssuerKey> {
        self.keys
            .iter()
            .find(|key| {
                key.key.public_key().id().truncated() == truncated_key_id
                    && key.begins <= now.saturating_add(SKEW_SECS)
                    && now < key.ends.saturating_add(SKEW_SECS)
            })
            .map(|key| &key.key)
    }

    /// Whether a token may be spent: for the right challenge, under a key in
    /// force, with a good authenticator. One to two milliseconds for one of the
    /// provider's own.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn verify(&self, token: &Token, now: UnixTime) -> Result<Good<'_>, Refused> {
        match token.token_type() {
            TokenType::Voprf => {
                let id = token.key_id();
                let in_force = |key: &&TokenKey| {
                    key.begins <= now.saturating_add(SKEW_SECS) && now < key.taken_until()
                };
                let key = self
                    .keys
                    .iter()
                    .filter(in_force)
                    .find(|key| key.key.public_key().id() == id)
                    .ok_or(Refused::Key)?;
                self.check_challenge(token, &self.name)?;
                if !key.key.verify(token) {
                    return Err(Refused::Authenticator);
                }
                Ok(Good {
                    expires: key.taken_until(),
                    issuer: None,
                })
            }
            TokenType::BlindRsa => {
                let issuer = self
                    .issuers
                    .find(&token.key_id(), now)
                    .ok_or(Refused::Key)?;
                self.check_challenge(token, &issuer.name)?;
                if !issuer.verifies(token) {
                    return Err(Refused::Authenticator);
                }
                Ok(Good {
                    expires: issuer.not_after,
                    issuer: Some(issuer),
                })
            }
        }
    }

    /// What a client without token is told: a challenge for each issuer, the
    /// provider first.
    pub fn challenges(&self, now: UnixTime) -> Vec<Challenge> {
        let own = self
            .keys
            .iter()
            .rev()
            .find(|key| key.begins <= now && now < key.ends)
            .map(|key| Challenge {
                challenge: self.challenge(TokenType::Voprf, &self.name),
                token_key: Some(key.key.public_key().as_bytes().to_vec()),
                max_age: None,
            });
        let others = self.issuers.in_force(now).map(|issuer| Challenge {
            challenge: self.challenge(TokenType::BlindRsa, &issuer.name),
            token_key: Some(issuer.key.to_spki()),
            max_age: None,
        });
        own.into_iter().chain(others).collect()
    }

    fn challenge(&self, token_type: TokenType, issuer: &ServerName) -> TokenChallenge {
        TokenChallenge::for_origin(token_type, issuer.clone(), self.name.clone())
    }

    fn check_challenge(&self, token: &Token, issuer: &ServerName) -> Result<(), Refused> {
        let expected = self.challenge(token.token_type(), issuer).digest();
        if token.challenge_digest() == expected {
            Ok(())
        } else {
            Err(Refused::Challenge)
        }
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("name", &self.name)
            .field("keys", &self.keys.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
