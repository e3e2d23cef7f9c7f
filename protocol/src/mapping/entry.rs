//! One MSP of a mapping.

use std::fmt;

use serde::Serialize;
use unicode_normalization::is_nfc;

use crate::csi::domain;

/// Most tags of an entry.
pub const MAX_TAGS: usize = 16;

/// An MSP at which the recipient can be reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The MSP.
    pub msp: MspDomain,
    tags: Vec<Tag>,
    /// The lower, the sooner to be tried.
    pub priority: u8,
    /// Whether the recipient prefers it to all others.
    pub preference: Preference,
}

impl Entry {
    /// An entry with its tags in any order.
    ///
    /// # Errors
    /// [`EntryError::TooManyTags`], [`EntryError::DuplicateTag`].
    pub fn new(
        msp: MspDomain,
        mut tags: Vec<Tag>,
        priority: u8,
        preference: Preference,
    ) -> Result<Self, EntryError> {
        if tags.len() > MAX_TAGS {
            return Err(EntryError::TooManyTags { found: tags.len() });
        }
        tags.sort();
        if tags.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(EntryError::DuplicateTag);
        }
        Ok(Self {
            msp,
            tags,
            priority,
            preference,
        })
    }

    /// What the recipient uses the MSP for, sorted, each once.
    pub fn tags(&self) -> &[Tag] {
        &self.tags
    }
}

/// Whether an entry is the one to use when nothing else decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preference {
    /// It is; at most one entry of a mapping.
    Default,
    /// It isn't.
    Ordinary,
}

/// An MSP, named by a domain: lower-case A-labels, two at least.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct MspDomain(String);

impl MspDomain {
    /// Normalises a domain name.
    ///
    /// # Errors
    /// [`EntryError::Msp`] if it is none.
    pub fn parse(name: &str) -> Result<Self, EntryError> {
        domain::to_ascii(name)
            .map(Self)
            .map_err(|_| EntryError::Msp)
    }

    /// Accepts the normal form alone.
    ///
    /// # Errors
    /// [`EntryError::Msp`] for anything else.
    pub fn from_canonical(name: &str) -> Result<Self, EntryError> {
        if domain::is_canonical(name) {
            Ok(Self(name.to_owned()))
        } else {
            Err(EntryError::Msp)
        }
    }

    /// The domain name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MspDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a recipient uses an MSP for: a registered word or a free string, 1 to
/// 32 bytes, NFC, without control characters or white space at its ends.
/// Compared exactly.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Tag(String);

impl Tag {
    /// Most bytes.
    pub const MAX_LEN: usize = 32;

    /// The words with a meaning that all clients share.
    pub const REGISTERED: [&str; 5] = ["business", "family", "friends", "group", "personal"];

    /// Checks a tag.
    ///
    /// # Errors
    /// [`EntryError::TagLength`], [`EntryError::TagText`].
    pub fn new(text: &str) -> Result<Self, EntryError> {
        if text.is_empty() || text.len() > Self::MAX_LEN {
            return Err(EntryError::TagLength { found: text.len() });
        }
        if text.chars().any(char::is_control) || text.trim() != text || !is_nfc(text) {
            return Err(EntryError::TagText);
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is one of [`Tag::REGISTERED`].
    pub fn is_registered(&self) -> bool {
        Self::REGISTERED.contains(&self.as_str())
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why an entry was refused.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// The MSP is no domain name in normal form.
    #[error("MSP is not a domain name of lower-case A-labels")]
    Msp,
    /// A tag is empty or too long.
    #[error("tag of {found} bytes, expected 1 to {max}", max = Tag::MAX_LEN)]
    TagLength {
        /// Its length in bytes.
        found: usize,
    },
    /// A tag is not NFC, or holds control characters or outer white space.
    #[error("tag is not NFC, or holds control characters or outer white space")]
    TagText,
    /// More than [`MAX_TAGS`].
    #[error("{found} tags, expected at most {MAX_TAGS}")]
    TooManyTags {
        /// How many.
        found: usize,
    },
    /// A tag twice in one entry.
    #[error("a tag is repeated")]
    DuplicateTag,
    /// Encoded tags out of bytewise order, or repeated.
    #[error("tags are not in strictly ascending order")]
    TagOrder,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_checked() {
        let tag = |text: &str| Tag::new(text).unwrap_err();
        assert_eq!(tag(""), EntryError::TagLength { found: 0 });
        assert_eq!(tag(&"a".repeat(33)), EntryError::TagLength { found: 33 });
        for text in [" a", "a ", "a\nb", "\u{7f}", "e\u{301}"] {
            assert_eq!(tag(text), EntryError::TagText, "{text:?}");
        }
        assert!(Tag::new("business").unwrap().is_registered());
        assert!(!Tag::new("Basketball Friends").unwrap().is_registered());
        assert_eq!(
            MspDomain::parse("MSP.Bücher.example").unwrap().as_str(),
            "msp.xn--bcher-kva.example"
        );
        for name in [
            "",
            "localhost",
            "a..b",
            "a_b.example",
            "https://a.example",
            "10.0.0.1",
        ] {
            assert_eq!(MspDomain::parse(name), Err(EntryError::Msp), "{name}");
        }
        assert_eq!(MspDomain::from_canonical("A.example"), Err(EntryError::Msp));
        let msp = || MspDomain::parse("a.example").unwrap();
        let tags = |count| {
            (0..count)
                .map(|n: u32| Tag::new(&n.to_string()).unwrap())
                .collect::<Vec<_>>()
        };
        let new = |tags| Entry::new(msp(), tags, 0, Preference::Ordinary).map(drop);
        assert_eq!(new(tags(17)), Err(EntryError::TooManyTags { found: 17 }));
        assert_eq!(
            new([tags(2), tags(1)].concat()),
            Err(EntryError::DuplicateTag)
        );
        assert_eq!(new(tags(16)), Ok(()));
    }
}
