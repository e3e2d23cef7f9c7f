//! Tokens, and what their authenticators are made over.

use std::fmt;

use rand::CryptoRng;
use sha3::{Digest as _, Sha3_256};
use zeroize::Zeroizing;

use super::{NONCE_BYTES, TokenChallenge, TokenError, TokenKeyId, TokenType};

const DIGEST_AT: usize = 2 + NONCE_BYTES;
const KEY_ID_AT: usize = DIGEST_AT + 32;

const SPENT_LABEL: &[u8] = b"sotto/v1/spent-token";

/// What an authenticator is made over: type, nonce, digest of the challenge,
/// id of the key (RFC 9577 §2.2.1).
///
/// Zeroised on drop, `Debug` is redacted.
#[derive(Clone)]
pub struct TokenInput {
    token_type: TokenType,
    bytes: Zeroizing<Vec<u8>>,
}

/// A token: whoever has it may redeem it, once.
///
/// Zeroised on drop, `Debug` is redacted, no equality.
#[derive(Clone)]
pub struct Token {
    token_type: TokenType,
    bytes: Zeroizing<Vec<u8>>,
}

impl TokenInput {
    /// Bytes of every input.
    pub const BYTES: usize = KEY_ID_AT + TokenKeyId::BYTES;

    /// The input for a fresh nonce.
    pub fn draw<R: CryptoRng + ?Sized>(
        challenge: &TokenChallenge,
        key: &TokenKeyId,
        rng: &mut R,
    ) -> Self {
        let mut nonce = Zeroizing::new([0; NONCE_BYTES]);
        rng.fill_bytes(&mut *nonce);
        Self::with_nonce(challenge, key, &nonce)
    }

    /// The input for this nonce, which must be used for nothing else.
    pub fn with_nonce(
        challenge: &TokenChallenge,
        key: &TokenKeyId,
        nonce: &[u8; NONCE_BYTES],
    ) -> Self {
        let token_type = challenge.token_type;
        let mut bytes = Zeroizing::new(Vec::with_capacity(Self::BYTES));
        bytes.extend_from_slice(&token_type.number().to_be_bytes());
        bytes.extend_from_slice(nonce);
        bytes.extend_from_slice(&challenge.digest());
        bytes.extend_from_slice(key.as_bytes());
        Self { token_type, bytes }
    }

    /// The input with these bytes.
    ///
    /// # Errors
    /// [`TokenError::Type`], [`TokenError::Structure`].
    pub fn decode(bytes: &[u8]) -> Result<Self, TokenError> {
        let token_type = Reader::new(bytes).token_type()?;
        if bytes.len() != Self::BYTES {
            return Err(TokenError::Structure);
        }
        Ok(Self {
            token_type,
            bytes: Zeroizing::new(bytes.to_vec()),
        })
    }

    /// What is signed.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The token with this authenticator, which is not verified.
    ///
    /// # Errors
    /// [`TokenError::Structure`] for one of another length than the type's.
    pub fn into_token(self, authenticator: &[u8]) -> Result<Token, TokenError> {
        if authenticator.len() != self.token_type.authenticator_bytes() {
            return Err(TokenError::Structure);
        }
        let both = [self.as_bytes(), authenticator].concat();
        Ok(Token {
            token_type: self.token_type,
            bytes: Zeroizing::new(both),
        })
    }
}

impl Token {
    /// Bytes of the longest token.
    pub const BYTES_MAX: usize = TokenInput::BYTES + super::RSA_BYTES;

    /// The token with this encoding; it may be nobody's.
    ///
    /// # Errors
    /// [`TokenError::Type`], [`TokenError::Structure`].
    pub fn decode(bytes: &[u8]) -> Result<Self, TokenError> {
        let mut reader = Reader::new(bytes);
        let token_type = reader.token_type()?;
        if bytes.len() != TokenInput::BYTES + token_type.authenticator_bytes() {
            return Err(TokenError::Structure);
        }
        Ok(Self {
            token_type,
            bytes: Zeroizing::new(bytes.to_vec()),
        })
    }

    /// The structure (RFC 9577 §2.2.1).
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How it was issued.
    pub const fn token_type(&self) -> TokenType {
        self.token_type
    }

    /// SHA-256 of the challenge that it is for.
    pub fn challenge_digest(&self) -> &[u8] {
        &self.bytes[DIGEST_AT..KEY_ID_AT]
    }

    /// The key that it claims to be made with.
    pub fn key_id(&self) -> TokenKeyId {
        let mut id = [0; TokenKeyId::BYTES];
        id.copy_from_slice(&self.bytes[KEY_ID_AT..TokenInput::BYTES]);
        TokenKeyId::from_bytes(id)
    }

    /// What its authenticator must be made over.
    pub fn input(&self) -> &[u8] {
        &self.bytes[..TokenInput::BYTES]
    }

    /// The VOPRF's output or the signature.
    pub fn authenticator(&self) -> &[u8] {
        &self.bytes[TokenInput::BYTES..]
    }

    /// What is remembered of a token that was redeemed:
    /// `SHA3-256("sotto/v1/spent-token" ‖ token without authenticator)`. The
    /// authenticator is left out, since a signature may have more than one form.
    pub fn spent_id(&self) -> [u8; 32] {
        Sha3_256::new_with_prefix(SPENT_LABEL)
            .chain_update(self.input())
            .finalize()
            .into()
    }
}

impl fmt::Debug for TokenInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenInput(redacted)")
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(redacted)")
    }
}

/// Reads a structure of the TLS presentation language (RFC 8446 §3) from front
/// to end.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], TokenError> {
        let (head, rest) = self
            .0
            .split_at_checked(length)
            .ok_or(TokenError::Structure)?;
        self.0 = rest;
        Ok(head)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], TokenError> {
        let bytes = self.take(N)?;
        bytes.try_into().map_err(|_| TokenError::Structure)
    }

    pub(super) fn u8(&mut self) -> Result<u8, TokenError> {
        self.array::<1>().map(|[byte]| *byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16, TokenError> {
        self.array().map(|bytes| u16::from_be_bytes(*bytes))
    }

    pub(super) fn token_type(&mut self) -> Result<TokenType, TokenError> {
        TokenType::try_from(self.u16()?)
    }

    /// A length in as few bytes as possible (RFC 9000 §16, with the minimal
    /// encoding that draft-ietf-privacypass-batched-tokens §4.2 requires),
    /// below 2^30.
    pub(super) fn length(&mut self) -> Result<usize, TokenError> {
        let first = self.u8()?;
        let (rest, least) = match first >> 6 {
            0 => (0, 0),
            1 => (1, 1 << 6),
            2 => (3, 1 << 14),
            _ => return Err(TokenError::Structure),
        };
        let head = usize::from(first & 0x3f);
        let length = self
            .take(rest)?
            .iter()
            .fold(head, |length, byte| length << 8 | usize::from(*byte));
        if length < least {
            return Err(TokenError::Structure);
        }
        Ok(length)
    }

    pub(super) fn end(self) -> Result<(), TokenError> {
        match self.0 {
            [] => Ok(()),
            _ => Err(TokenError::Structure),
        }
    }
}

/// Writes a length of at most 2^14 - 1 as [`Reader::length`] reads it.
pub(super) fn put_length(bytes: &mut Vec<u8>, length: usize) {
    debug_assert!(length < 1 << 14);
    match length {
        0..64 => bytes.push(length as u8),
        _ => bytes.extend_from_slice(&(length as u16 | 1 << 14).to_be_bytes()),
    }
}
