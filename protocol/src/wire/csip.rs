//! The HTTP API of a CSIP that issues credentials: paths and messages.
//!
//! ```text
//! POST /v1/verifications        request (application/cose)  -> 202 {"id", "expires_in_seconds", "attempts"}
//! POST /v1/verifications/{id}   {"code": "12345678"}        -> 200 credential (application/cose)
//! ```

use std::fmt;
use std::str::FromStr;

use rand::{CryptoRng, RngExt as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Starts a verification: `POST` of a
/// [`SignedCredentialRequest`](crate::credential::SignedCredentialRequest), for
/// a [`VerificationStarted`] with status 202.
pub const VERIFICATIONS_PATH: &str = "/v1/verifications";

/// Route template of [`verification_path`], with the id as `{id}`.
pub const VERIFICATION_ROUTE: &str = "/v1/verifications/{id}";

/// Ends a verification: `POST` of a [`Code`], for a
/// [`SignedCredential`](crate::credential::SignedCredential).
pub fn verification_path(id: &VerificationId) -> String {
    VERIFICATION_ROUTE.replace("{id}", &id.to_string())
}

/// Most bytes of either JSON message.
pub const MESSAGE_BYTES_MAX: usize = 256;

/// Names a verification: 128 random bits, that nobody guesses.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct VerificationId([u8; 16]);

impl VerificationId {
    /// A fresh one.
    pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        Self(rng.random())
    }
}

/// 32 hexadecimal digits.
impl fmt::Display for VerificationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// Redacted: whoever knows it may use up the attempts.
impl fmt::Debug for VerificationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VerificationId(..)")
    }
}

impl FromStr for VerificationId {
    type Err = CsipMessageError;

    /// Reads 32 lower-case hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, CsipMessageError> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| CsipMessageError::Id)?;
        let id = Self(bytes);
        if id.to_string() == text {
            Ok(id)
        } else {
            Err(CsipMessageError::Id)
        }
    }
}

impl Serialize for VerificationId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for VerificationId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A code was sent to the identifier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerificationStarted {
    /// Where the code goes.
    pub id: VerificationId,
    /// How long it is good.
    pub expires_in_seconds: u64,
    /// How often one may be tried.
    pub attempts: u32,
}

impl VerificationStarted {
    /// The message's JSON.
    pub fn encode(&self) -> Vec<u8> {
        // Strings and integers under distinct text keys always serialise.
        serde_json::to_vec(self).expect("a plain message serialises")
    }

    /// Reads a message strictly.
    ///
    /// # Errors
    /// [`CsipMessageError`].
    pub fn decode(json: &[u8]) -> Result<Self, CsipMessageError> {
        check_size(json)?;
        serde_json::from_slice(json).map_err(|_| CsipMessageError::Malformed)
    }
}

/// A one-time code: eight decimal digits, 26.5 bits. `Debug` is redacted,
/// compared in constant time, wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Code([u8; Code::DIGITS]);

impl Code {
    /// Its length.
    pub const DIGITS: usize = 8;

    /// A random one, all equally likely.
    pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        let mut digits = [0; Self::DIGITS];
        for digit in &mut digits {
            *digit = rng.random_range(b'0'..=b'9');
        }
        Self(digits)
    }

    /// Reads what a person typed: eight digits, with spaces and hyphens where
    /// they like.
    ///
    /// # Errors
    /// [`CsipMessageError::Code`].
    pub fn parse(text: &str) -> Result<Self, CsipMessageError> {
        let mut code = Self([0; Self::DIGITS]);
        let mut digits = text
            .bytes()
            .filter(|byte| !byte.is_ascii_whitespace() && *byte != b'-');
        for place in &mut code.0 {
            *place = digits
                .next()
                .filter(u8::is_ascii_digit)
                .ok_or(CsipMessageError::Code)?;
        }
        match digits.next() {
            None => Ok(code),
            Some(_) => Err(CsipMessageError::Code),
        }
    }

    /// The digits, for whoever delivers them.
    pub fn as_str(&self) -> &str {
        // Every constructor lets digits alone through.
        std::str::from_utf8(&self.0).expect("ASCII digits")
    }

    /// Whether both are the same, in a time that doesn't tell how far.
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    /// The JSON message with the code.
    pub fn encode(&self) -> Vec<u8> {
        format!("{{\"code\":\"{}\"}}", self.as_str()).into_bytes()
    }

    /// Reads the message strictly: digits alone.
    ///
    /// # Errors
    /// [`CsipMessageError`].
    pub fn decode(json: &[u8]) -> Result<Self, CsipMessageError> {
        check_size(json)?;
        let message: CodeMessage<'_> =
            serde_json::from_slice(json).map_err(|_| CsipMessageError::Malformed)?;
        if message.code.len() != Self::DIGITS {
            return Err(CsipMessageError::Code);
        }
        Self::parse(message.code)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(redacted)")
    }
}

/// Borrowed, so that no copy is left behind.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CodeMessage<'a> {
    code: &'a str,
}

/// Why bytes are not a message of this API. Holds nothing of them.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CsipMessageError {
    /// Longer than [`MESSAGE_BYTES_MAX`].
    #[error("message of {found} bytes, expected at most {MESSAGE_BYTES_MAX}")]
    TooLong {
        /// Its length in bytes.
        found: usize,
    },
    /// Not JSON, or not these members.
    #[error("not the JSON of this message")]
    Malformed,
    /// Not a verification's id.
    #[error("expected 32 lower-case hexadecimal digits")]
    Id,
    /// Not a code.
    #[error("expected {digits} decimal digits", digits = Code::DIGITS)]
    Code,
}

fn check_size(json: &[u8]) -> Result<(), CsipMessageError> {
    match json.len() {
        found if found > MESSAGE_BYTES_MAX => Err(CsipMessageError::TooLong { found }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_messages() {
        let id: VerificationId = "0123456789abcdef0123456789abcdef".parse().unwrap();
        assert_eq!(
            verification_path(&id),
            "/v1/verifications/0123456789abcdef0123456789abcdef"
        );
        let started = VerificationStarted {
            id,
            expires_in_seconds: 600,
            attempts: 5,
        };
        let json =
            br#"{"id":"0123456789abcdef0123456789abcdef","expires_in_seconds":600,"attempts":5}"#;
        assert_eq!(started.encode(), json);
        assert_eq!(VerificationStarted::decode(json), Ok(started));
        let code = Code::parse(" 0123-4567 ").unwrap();
        assert_eq!(code.encode(), br#"{"code":"01234567"}"#);
        assert!(Code::decode(&code.encode()).unwrap().matches(&code));
        assert!(!Code::parse("01234568").unwrap().matches(&code));
    }

    #[test]
    fn other_messages_are_refused() {
        for text in ["", "1234567", "123456789", "1234567a", "１２３４５６７８"] {
            assert!(Code::parse(text).is_err(), "{text}");
        }
        for json in [
            "",
            "{}",
            r#"{"code":12345678}"#,
            r#"{"code":"1234-5678"}"#,
            r#"{"code":"12345678","x":1}"#,
        ] {
            assert!(Code::decode(json.as_bytes()).is_err(), "{json}");
        }
        for text in ["", "0123", "0123456789ABCDEF0123456789abcdef"] {
            assert_eq!(text.parse::<VerificationId>(), Err(CsipMessageError::Id));
        }
        let long = vec![b' '; MESSAGE_BYTES_MAX + 1];
        let too_long = CsipMessageError::TooLong { found: long.len() };
        assert_eq!(Code::decode(&long).map(drop), Err(too_long));
        assert_eq!(VerificationStarted::decode(&long), Err(too_long));
    }

    #[test]
    fn codes_and_ids_are_random_and_not_shown() {
        let mut rng = rand::rng();
        let codes: std::collections::HashSet<String> = (0..100)
            .map(|_| Code::generate(&mut rng).as_str().to_owned())
            .collect();
        // Two of a hundred are equal once in 20000 runs, ten pairs never.
        assert!(codes.len() > 90);
        let code = Code::generate(&mut rng);
        assert!(!format!("{code:?}").contains(code.as_str()));
        let id = VerificationId::generate(&mut rng);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!(!format!("{id:?}").contains(&id.to_string()[..4]));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in any::<Vec<u8>>(), text in any::<String>()) {
            let _ = Code::decode(&bytes);
            let _ = VerificationStarted::decode(&bytes);
            let _ = Code::parse(&text);
            let _ = text.parse::<VerificationId>();
        }
    }
}
