//! What a token is asked for.

use sha2::{Digest as _, Sha256};

use super::structure::Reader;
use super::{ServerName, TokenError, TokenType};

/// What a token is good for; its digest is in the token (RFC 9577 §2.1.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenChallenge {
    /// How the token is issued.
    pub token_type: TokenType,
    /// By whom.
    pub issuer_name: ServerName,
    /// 32 bytes of the origin's choice, or none: then tokens can be fetched
    /// ahead.
    pub redemption_context: Option<[u8; Self::CONTEXT_BYTES]>,
    /// Where it may be redeemed; anywhere if empty.
    pub origin_info: Vec<ServerName>,
}

impl TokenChallenge {
    /// Bytes of a redemption context.
    pub const CONTEXT_BYTES: usize = 32;

    /// Most origins that a challenge names.
    const ORIGINS_MAX: usize = 64;

    /// The challenge for tokens that are fetched ahead and redeemed at one
    /// origin.
    pub fn for_origin(token_type: TokenType, issuer: ServerName, origin: ServerName) -> Self {
        Self {
            token_type,
            issuer_name: issuer,
            redemption_context: None,
            origin_info: vec![origin],
        }
    }

    /// The structure.
    pub fn encode(&self) -> Vec<u8> {
        let origins: Vec<&str> = self.origin_info.iter().map(ServerName::as_str).collect();
        let mut bytes = self.token_type.number().to_be_bytes().to_vec();
        put_short(&mut bytes, self.issuer_name.as_str());
        let context = self.redemption_context.as_ref();
        let context = context.map_or(&[][..], |context| context);
        // 0 or 32.
        bytes.push(context.len() as u8);
        bytes.extend_from_slice(context);
        put_short(&mut bytes, &origins.join(","));
        bytes
    }

    /// Decodes exactly what [`encode`](Self::encode) produces.
    ///
    /// # Errors
    /// [`TokenError::Type`], [`TokenError::Name`], [`TokenError::Structure`].
    pub fn decode(bytes: &[u8]) -> Result<Self, TokenError> {
        let mut reader = Reader::new(bytes);
        let token_type = reader.token_type()?;
        let length = reader.u16()?;
        let issuer_name = server_name(reader.take(length.into())?)?;
        let length = usize::from(reader.u8()?);
        let redemption_context = match reader.take(length)? {
            [] => None,
            context => Some(context.try_into().map_err(|_| TokenError::Structure)?),
        };
        let length = reader.u16()?;
        let origins = reader.take(length.into())?;
        reader.end()?;
        let mut origin_info = Vec::new();
        if !origins.is_empty() {
            for origin in origins.split(|byte| *byte == b',') {
                if origin_info.len() == Self::ORIGINS_MAX {
                    return Err(TokenError::Structure);
                }
                origin_info.push(server_name(origin)?);
            }
        }
        Ok(Self {
            token_type,
            issuer_name,
            redemption_context,
            origin_info,
        })
    }

    /// SHA-256 of the structure, which tokens hold.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.encode()).into()
    }
}

fn server_name(bytes: &[u8]) -> Result<ServerName, TokenError> {
    ServerName::new(std::str::from_utf8(bytes).map_err(|_| TokenError::Name)?)
}

/// Names are short and at most `ORIGINS_MAX` of them in a decoded challenge:
/// below 2^16 bytes.
fn put_short(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend_from_slice(&(text.len() as u16).to_be_bytes());
    bytes.extend_from_slice(text.as_bytes());
}
