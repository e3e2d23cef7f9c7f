//! Privacy Pass: tokens that pay for an evaluation or a query without saying
//! who pays (RFC 9576, 9577, 9578).
//!
//! An issuer signs what a client has blinded, after it has charged the client's
//! quota; the client unblinds, and redeems each [`Token`] once, in a header of
//! a request that says nothing else about it. Two kinds are known:
//!
//! * [`TokenType::Voprf`] (0x0001): a VOPRF over P-384 under the DP's own key
//!   ([`IssuerKey`]), many at a time with one proof (RFC 9578 §5,
//!   draft-ietf-privacypass-batched-tokens §5). The client checks the proof
//!   ([`PendingTokens`]), so that an issuer that uses a key for few is found
//!   out: the directory of keys is in the manifest.
//! * [`TokenType::BlindRsa`] (0x0002): a blind RSA signature, so that somebody
//!   else can be the issuer (RFC 9578 §6). Here are its structures only.
//!
//! Everything that is redeemed is redacted in `Debug`.

mod challenge;
mod client;
mod directory;
mod element;
mod issuer;
mod message;
mod name;
mod private_token;
mod rsa;
mod structure;

use std::fmt;

use p384::NistP384;
use sha2::{Digest as _, Sha256};

pub use challenge::TokenChallenge;
pub use client::PendingTokens;
pub use directory::{DIRECTORY_BYTES_MAX, DirectoryKey, IssuerDirectory};
pub use element::{BlindedElement, EvaluatedElement, Proof};
pub use issuer::{IssuerKey, IssuerPublicKey};
pub use message::{BatchTokenRequest, BatchTokenResponse, TokenRequest, TokenResponse};
pub use name::ServerName;
pub use private_token::{Challenge, Credentials, SCHEME, challenges};
pub use rsa::{RSA_BYTES, RsaTokenKey, RsaTokenRequest};
pub use structure::{Token, TokenInput};

/// Most tokens in one request for type 0x0001.
pub const BATCH_MAX: usize = 256;

/// Bytes of a token's nonce.
pub const NONCE_BYTES: usize = 32;

type Suite = NistP384;

/// How a token is issued and verified (RFC 9578 §8.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenType {
    /// 0x0001: VOPRF (P-384, SHA-384), verified with the issuer's secret key.
    Voprf,
    /// 0x0002: blind RSA (2048 bits), verified with the issuer's public key.
    BlindRsa,
}

impl TokenType {
    /// Its number in the registry.
    pub const fn number(self) -> u16 {
        match self {
            Self::Voprf => 1,
            Self::BlindRsa => 2,
        }
    }

    /// Bytes of an authenticator (`Nk`).
    pub const fn authenticator_bytes(self) -> usize {
        match self {
            Self::Voprf => 48,
            Self::BlindRsa => RSA_BYTES,
        }
    }
}

impl TryFrom<u16> for TokenType {
    type Error = TokenError;

    fn try_from(number: u16) -> Result<Self, TokenError> {
        match number {
            1 => Ok(Self::Voprf),
            2 => Ok(Self::BlindRsa),
            found => Err(TokenError::Type { found }),
        }
    }
}

/// Names a token key: SHA-256 of its public key's encoding (RFC 9578 §5.5 and
/// §6.5).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenKeyId([u8; Self::BYTES]);

impl TokenKeyId {
    /// Bytes of an id.
    pub const BYTES: usize = 32;

    /// The id of the public key with this encoding.
    pub fn of(public_key: &[u8]) -> Self {
        Self(Sha256::digest(public_key).into())
    }

    /// The id with these bytes.
    pub const fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// The last byte, which is all that a request says of it.
    pub const fn truncated(&self) -> u8 {
        self.0[Self::BYTES - 1]
    }
}

impl fmt::Debug for TokenKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenKeyId({})", hex::encode(self.0))
    }
}

/// Why something of the tokens was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// Too short, too long, or with other lengths inside than it must have.
    #[error("not the encoding of this structure of Privacy Pass")]
    Structure,
    /// Neither type is meant.
    #[error("token type {found:#06x} is not known here")]
    Type {
        /// The number given.
        found: u16,
    },
    /// Not a server's name.
    #[error("expected a server's name: a host of letters, digits, '-' and '.', and a port or none")]
    Name,
    /// A batch has 1 to [`BATCH_MAX`] elements.
    #[error("a request is for 1 to {BATCH_MAX} tokens, not {found}")]
    BatchSize {
        /// Elements given.
        found: usize,
    },
    /// The issuer answered another number of elements than was asked.
    #[error("{expected} tokens were asked for, {found} came back")]
    ElementCount {
        /// Elements sent.
        expected: usize,
        /// Elements received.
        found: usize,
    },
    /// Not the compressed encoding of a point other than the identity.
    #[error("not a compressed point of P-384, or the identity")]
    InvalidElement,
    /// Not the encoding of two scalars other than zero.
    #[error("not a DLEQ proof over P-384")]
    InvalidProof,
    /// Not the encoding of a scalar other than zero.
    #[error("not a token issuer's secret key")]
    InvalidKey,
    /// Not a public key of 2048 bits in the encoding of RFC 9578 §8.2.2.
    #[error("not an RSASSA-PSS public key of 2048 bits with SHA-384 and a salt of 48 bytes")]
    InvalidRsaKey,
    /// The tokens were not made with the key that was asked for.
    #[error("the issuer's proof does not verify under its published key")]
    ProofVerification,
    /// The protocol's failure case, with probability 2^-384.
    #[error("there is no token for this nonce")]
    NoOutput,
    /// Not an HTTP field of the scheme, or with a parameter twice.
    #[error("not a field of the PrivateToken scheme with padded base64url values")]
    Field,
    /// Not the JSON of an issuer's directory.
    #[error("not an issuer's directory")]
    Directory,
}

fn check_batch_size(found: usize) -> Result<(), TokenError> {
    if found == 0 || found > BATCH_MAX {
        return Err(TokenError::BatchSize { found });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
