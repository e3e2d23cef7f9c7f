//! What people call an audience.

use std::fmt;

use serde::Serialize;
use unicode_normalization::is_nfc;

/// A member's name for an audience: 1 to 64 bytes, NFC, without control
/// characters or white space at its ends. It is never sent to a DP.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct AudienceLabel(String);

impl AudienceLabel {
    /// Most bytes.
    pub const MAX_LEN: usize = 64;

    /// Checks a label.
    ///
    /// # Errors
    /// [`LabelError`].
    pub fn new(text: &str) -> Result<Self, LabelError> {
        if text.is_empty() || text.len() > Self::MAX_LEN {
            return Err(LabelError::Length { found: text.len() });
        }
        if text.chars().any(char::is_control) || text.trim() != text || !is_nfc(text) {
            return Err(LabelError::Text);
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AudienceLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is no label.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// Empty or too long.
    #[error("audience label of {found} bytes, expected 1 to {max}", max = AudienceLabel::MAX_LEN)]
    Length {
        /// Its length in bytes.
        found: usize,
    },
    /// Control characters, white space at an end, or not NFC.
    #[error("audience label with control characters or outer white space, or not in NFC")]
    Text,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_short_and_printable() {
        for text in ["a", "Family & friends", "Läufer", &"x".repeat(64)] {
            assert_eq!(AudienceLabel::new(text).unwrap().as_str(), text);
        }
        for text in ["", &"x".repeat(65)] {
            let found = text.len();
            assert_eq!(AudienceLabel::new(text), Err(LabelError::Length { found }));
        }
        for text in ["a\nb", "\u{1b}[2J", " a", "a\u{a0}", "a\u{308}"] {
            assert_eq!(AudienceLabel::new(text), Err(LabelError::Text), "{text:?}");
        }
    }
}
