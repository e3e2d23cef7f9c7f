//! The HTTP authentication scheme `PrivateToken` (RFC 9577 §2).

mod scan;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use zeroize::Zeroizing;

use super::{Token, TokenChallenge, TokenError};
use scan::{Item, Scanner};

/// The scheme's name.
pub const SCHEME: &str = "PrivateToken";

/// Most bytes of a field that is read.
const FIELD_BYTES_MAX: usize = 16 * 1024;

/// What an `Authorization` field of the scheme holds (RFC 9577 §2.2.2).
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The token that is redeemed.
    pub token: Token,
}

/// A challenge of a `WWW-Authenticate` field (RFC 9577 §2.1.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// What tokens must be for.
    pub challenge: TokenChallenge,
    /// The issuer's public key, in the encoding of the token's type.
    pub token_key: Option<Vec<u8>>,
    /// Seconds for which the challenge is good.
    pub max_age: Option<u64>,
}

impl Credentials {
    /// The field's value: `PrivateToken token="…"`.
    pub fn to_field(&self) -> Zeroizing<String> {
        let token = Zeroizing::new(URL_SAFE.encode(self.token.as_bytes()));
        Zeroizing::new(format!("{SCHEME} token=\"{}\"", *token))
    }

    /// Whether a field is of this scheme.
    pub fn is_scheme_of(field: &[u8]) -> bool {
        field
            .split(|byte| *byte == b' ')
            .next()
            .is_some_and(|scheme| scheme.eq_ignore_ascii_case(SCHEME.as_bytes()))
    }

    /// Reads a field. Parameters but `token` are ignored.
    ///
    /// # Errors
    /// [`TokenError::Field`], [`TokenError::Type`], [`TokenError::Structure`].
    pub fn from_field(field: &[u8]) -> Result<Self, TokenError> {
        if field.len() > FIELD_BYTES_MAX {
            return Err(TokenError::Field);
        }
        let mut scanner = Scanner::new(field);
        match scanner.item()? {
            Some(Item::Scheme(scheme)) if scheme.eq_ignore_ascii_case(SCHEME) => {}
            _ => return Err(TokenError::Field),
        }
        let mut token = None;
        while let Some(item) = scanner.item()? {
            let Item::Parameter(name, value) = item else {
                return Err(TokenError::Field);
            };
            if name.eq_ignore_ascii_case("token") && token.replace(value).is_some() {
                return Err(TokenError::Field);
            }
        }
        let bytes = Zeroizing::new(base64(&token.ok_or(TokenError::Field)?)?);
        Ok(Self {
            token: Token::decode(&bytes)?,
        })
    }
}

impl Challenge {
    /// The field's value: `PrivateToken challenge="…", token-key="…"`.
    pub fn to_field(&self) -> String {
        let mut field = format!(
            "{SCHEME} challenge=\"{}\"",
            URL_SAFE.encode(self.challenge.encode())
        );
        if let Some(key) = &self.token_key {
            field += &format!(", token-key=\"{}\"", URL_SAFE.encode(key));
        }
        if let Some(seconds) = self.max_age {
            field += &format!(", max-age={seconds}");
        }
        field
    }

    /// `None` for a challenge that isn't of a known form, which a client ignores
    /// (RFC 9577 §2.1.1).
    fn from_parameters(parameters: &[(String, String)]) -> Result<Option<Self>, TokenError> {
        let find = |wanted: &str| {
            let mut found = parameters
                .iter()
                .filter(|(name, _)| name.eq_ignore_ascii_case(wanted))
                .map(|(_, value)| value);
            match (found.next(), found.next()) {
                (value, None) => Ok(value),
                _ => Err(TokenError::Field),
            }
        };
        let challenge = find("challenge")?.ok_or(TokenError::Field)?;
        let Ok(challenge) = TokenChallenge::decode(&base64(challenge)?) else {
            return Ok(None);
        };
        let token_key = find("token-key")?.map(|key| base64(key)).transpose()?;
        let max_age = find("max-age")?
            .map(|seconds| seconds.parse().map_err(|_| TokenError::Field))
            .transpose()?;
        Ok(Some(Self {
            challenge,
            token_key,
            max_age,
        }))
    }
}

/// The challenges of the scheme in a `WWW-Authenticate` field. Other schemes,
/// and tokens of unknown types, are left out.
///
/// # Errors
/// [`TokenError::Field`].
pub fn challenges(field: &[u8]) -> Result<Vec<Challenge>, TokenError> {
    if field.len() > FIELD_BYTES_MAX {
        return Err(TokenError::Field);
    }
    let mut scanner = Scanner::new(field);
    let mut schemes: Vec<(String, Vec<(String, String)>)> = Vec::new();
    while let Some(item) = scanner.item()? {
        match (item, schemes.last_mut()) {
            (Item::Scheme(scheme), _) => schemes.push((scheme, Vec::new())),
            (Item::Parameter(name, value), Some((_, parameters))) => {
                parameters.push((name, (*value).clone()));
            }
            (Item::Parameter(..), None) => return Err(TokenError::Field),
        }
    }
    schemes
        .iter()
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case(SCHEME))
        .filter_map(|(_, parameters)| Challenge::from_parameters(parameters).transpose())
        .collect()
}

/// With the padding that RFC 9577 requires.
fn base64(text: &str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE.decode(text).map_err(|_| TokenError::Field)
}
