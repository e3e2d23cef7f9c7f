//! Mappings as people write them.

use protocol::csi::Csi;
use protocol::mapping::{
    Entry, EntryError, Exclusivity, Mapping, MappingId, MspDomain, Policy, Preference, Reach,
    Replaces, Tag,
};
use protocol::precedence::Version;
use protocol::time::UnixTime;
use serde::Deserialize;

/// How long a mapping holds if nothing else is said, in seconds: 90 days, as
/// long as a credential can.
pub const DEFAULT_VALIDITY_SECS: u64 = 90 * DAY_SECS;

const DAY_SECS: u64 = 24 * 60 * 60;

/// Longest validity in words: `36500d`.
const DAYS_MAX: u64 = 36_500;

/// A mapping without what its signing decides: identifier, number and times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The mapping that it is a new edition of; `None` for another one.
    pub id: Option<MappingId>,
    /// What it takes the place of.
    pub replaces: Replaces,
    /// What is asked of senders.
    pub policy: Policy,
    /// Until when it holds.
    pub expires: Expiry,
    /// The MSPs; none is the opt-out.
    pub entries: Vec<Entry>,
}

/// Until when a mapping holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// So many seconds after it is signed.
    After(u64),
    /// Until then.
    At(UnixTime),
}

impl Draft {
    /// The statement that the identifier is not to be found; it takes the place
    /// of all mappings.
    pub const OPT_OUT: Self = Self {
        id: None,
        replaces: Replaces::All,
        policy: Policy::OPEN,
        expires: Expiry::After(DEFAULT_VALIDITY_SECS),
        entries: Vec::new(),
    };

    /// Reads a mapping file. All keys are optional but `domain`; unknown ones
    /// are refused.
    ///
    /// # Errors
    /// [`DraftError`], by what is wrong.
    pub fn from_toml(text: &str) -> Result<Self, DraftError> {
        let file: MappingFile = toml::from_str(text).map_err(|error| DraftError::Toml {
            line: error
                .span()
                .map(|span| text[..span.start].matches('\n').count() + 1),
            message: error.message().to_owned(),
        })?;
        let entries = file.msp.into_iter().enumerate().map(|(at, msp)| {
            let number = at + 1;
            msp.entry(at)
                .map_err(|source| DraftError::Entry { number, source })
        });
        Ok(Self {
            id: file.id.as_deref().map(mapping_id).transpose()?,
            replaces: replaces(file.replaces_all),
            policy: policy(file.exclusive, file.same_app_only),
            expires: match file.expires {
                Some(text) => text.parse()?,
                None => Expiry::After(DEFAULT_VALIDITY_SECS),
            },
            entries: entries.collect::<Result<_, _>>()?,
        })
    }

    /// The mapping that it becomes for `subject`; `fresh` is its id if it is
    /// another one.
    #[must_use]
    pub fn into_mapping(
        self,
        subject: Csi,
        version: Version,
        fresh: MappingId,
        now: UnixTime,
    ) -> Mapping {
        Mapping {
            subject,
            id: self.id.unwrap_or(fresh),
            seq: version.seq,
            not_before: now,
            expires: match self.expires {
                Expiry::After(secs) => now.saturating_add(secs),
                Expiry::At(time) => time,
            },
            assignment: version.assignment,
            replaces: self.replaces,
            policy: self.policy,
            entries: self.entries,
        }
    }
}

/// `90d`, `12h` or an RFC 3339 time.
impl std::str::FromStr for Expiry {
    type Err = DraftError;

    fn from_str(text: &str) -> Result<Self, DraftError> {
        let counted = |unit: char, secs: u64| {
            let digits = text.strip_suffix(unit)?;
            let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            let count: u64 = plain.then(|| digits.parse().ok())??;
            let secs = count.checked_mul(secs)?;
            (0 < secs && secs <= DAYS_MAX * DAY_SECS).then_some(Self::After(secs))
        };
        if let Some(after) = counted('d', DAY_SECS).or_else(|| counted('h', 60 * 60)) {
            return Ok(after);
        }
        let at = UnixTime::parse_rfc3339(text).map_err(|_| DraftError::Expiry)?;
        Ok(Self::At(at))
    }
}

/// The id in 32 hexadecimal digits.
///
/// # Errors
/// [`DraftError::Id`].
pub fn mapping_id(text: &str) -> Result<MappingId, DraftError> {
    let mut id = [0; 16];
    hex::decode_to_slice(text, &mut id).map_err(|_| DraftError::Id)?;
    Ok(MappingId(id))
}

/// Why a mapping file or a part of one was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DraftError {
    /// Not TOML of this form.
    #[error("{}{message}", place(*.line))]
    Toml {
        /// In which line, counted from 1.
        line: Option<usize>,
        /// What is wrong.
        message: String,
    },
    /// An MSP breaks a rule.
    #[error("msp {number}: {source}")]
    Entry {
        /// Which, counted from 1.
        number: usize,
        /// What is wrong.
        source: EntryError,
    },
    /// Not the id of a mapping.
    #[error("expected the id of a mapping: 32 hexadecimal digits, as `sotto mappings` shows it")]
    Id,
    /// Not an end of validity.
    #[error(
        "expected until when the mapping holds: days as 90d, hours as 12h, or a time such as \
         2026-11-23T00:00:00Z"
    )]
    Expiry,
}

fn place(line: Option<usize>) -> String {
    line.map_or_else(String::new, |line| format!("line {line}: "))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MappingFile {
    id: Option<String>,
    expires: Option<String>,
    #[serde(default)]
    replaces_all: bool,
    #[serde(default)]
    exclusive: bool,
    #[serde(default)]
    same_app_only: bool,
    #[serde(default)]
    msp: Vec<Msp>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Msp {
    domain: String,
    #[serde(default)]
    tags: Vec<String>,
    priority: Option<u8>,
    #[serde(default)]
    default: bool,
}

impl Msp {
    /// The entry; without a priority, its place decides.
    fn entry(self, place: usize) -> Result<Entry, EntryError> {
        let tags = self.tags.iter().map(|tag| Tag::new(tag));
        let place = u8::try_from(place).unwrap_or(u8::MAX);
        let preference = if self.default {
            Preference::Default
        } else {
            Preference::Ordinary
        };
        Entry::new(
            MspDomain::parse(&self.domain)?,
            tags.collect::<Result<_, _>>()?,
            self.priority.unwrap_or(place),
            preference,
        )
    }
}

const fn replaces(all: bool) -> Replaces {
    if all { Replaces::All } else { Replaces::SameId }
}

const fn policy(exclusive: bool, same_app_only: bool) -> Policy {
    Policy {
        exclusivity: if exclusive {
            Exclusivity::Exclusive
        } else {
            Exclusivity::Shared
        },
        reach: if same_app_only {
            Reach::SameAppOnly
        } else {
            Reach::AnyApp
        },
    }
}

#[cfg(test)]
mod tests;
