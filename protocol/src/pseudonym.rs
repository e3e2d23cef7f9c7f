//! The name of an end sender, given by its MSP.

use std::fmt;

/// Whom an MSP asks for, as far as quotas go: 1 to 64 of
/// `A-Z a-z 0-9 . _ ~ -` (RFC 3986 §2.3, unreserved), chosen by the MSP so that
/// only the MSP knows who it is. `Debug` is redacted.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Pseudonym(String);

/// The text isn't a [`Pseudonym`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a sender's pseudonym is 1 to {} of the characters A-Z a-z 0-9 . _ ~ -",
    Pseudonym::LENGTH_MAX
)]
pub struct PseudonymError;

impl Pseudonym {
    /// Most characters.
    pub const LENGTH_MAX: usize = 64;

    /// Checks a text.
    ///
    /// # Errors
    /// [`PseudonymError`].
    pub fn parse(text: &str) -> Result<Self, PseudonymError> {
        let allowed = |byte: u8| matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'~' | b'-');
        if (1..=Self::LENGTH_MAX).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(PseudonymError)
        }
    }

    /// The text, for the header `Sotto-Sender` only.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pseudonym(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_accepted_by_length_and_character() {
        let longest = "a".repeat(64);
        for good in ["a", "AZaz09._~-", longest.as_str()] {
            assert_eq!(Pseudonym::parse(good).unwrap().as_str(), good);
        }
        let longer = "a".repeat(65);
        for bad in ["", " ", "a b", "a/b", "ü", "a\n", "a,b", longer.as_str()] {
            assert_eq!(Pseudonym::parse(bad), Err(PseudonymError), "{bad:?}");
        }
        let debug = format!("{:?}", Pseudonym::parse("alice").unwrap());
        assert!(!debug.contains("alice"));
    }
}
