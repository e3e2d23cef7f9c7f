//! What a recipient finds when they look themselves up.
//!
//! The comparison is of what was published from here, as the
//! [identity](crate::identity) remembers it, with what everybody else is shown.
//! The lookup is an ordinary one: the provider can't tell who watches whom.

mod watch;

use protocol::lookup::{Lookup, Unverifiable};
use protocol::mapping::{Mapping, MappingId};
use protocol::precedence::delists;
use protocol::time::UnixTime;
use serde::Serialize;

pub use watch::{Look, Watch};

/// What is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "finding", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Finding {
    /// A mapping that was published is not found.
    Missing {
        /// Its id.
        id: MappingId,
    },
    /// An earlier version of a mapping is found.
    Stale {
        /// Its id.
        id: MappingId,
    },
    /// A mapping is found that says something else than the one with its number
    /// that was published.
    Altered {
        /// Its id.
        id: MappingId,
    },
    /// A mapping is found that was not published from here: by another device of
    /// yours, or by somebody whom a CSIP gave a credential for your identifier.
    Unknown {
        /// Its id.
        id: MappingId,
    },
    /// The record is under a credential for a key that is not yours: somebody else
    /// may hold your identifier.
    ForeignCredential,
    /// It says that you are not to be found, which you have not said.
    OptedOut,
    /// The provider withholds your record.
    Withheld,
    /// What is found can't be believed.
    Unverifiable {
        /// Why.
        reason: Unverifiable,
    },
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing { id } => write!(
                f,
                "mapping {id} is missing: publish it again, or complain to the provider"
            ),
            Self::Stale { id } => write!(
                f,
                "mapping {id} is found in an earlier version than you have published"
            ),
            Self::Altered { id } => write!(
                f,
                "mapping {id} says something else than you have published"
            ),
            Self::Unknown { id } => write!(
                f,
                "mapping {id} was not published from here: if it is not your other device's, somebody holds a credential for your identifier; ask your CSIP"
            ),
            Self::ForeignCredential => f.write_str(
                "the record is under a credential for another key: somebody else may hold your identifier; ask your CSIP",
            ),
            Self::OptedOut => {
                f.write_str("you are shown as opted out, which was not published from here")
            }
            Self::Withheld => f.write_str("the provider withholds your record"),
            Self::Unverifiable { reason } => write!(f, "what is found can't be believed: {reason}"),
        }
    }
}

/// What is expected of a lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Publication {
    /// The snapshot has all that was published.
    Complete,
    /// Something was accepted after the snapshot was built.
    Pending,
}

impl Publication {
    /// Seconds after which what was accepted must be in the snapshot: two daily builds.
    pub const PENDING_SECS: u64 = 48 * 3600;

    /// What is to be expected if something is [awaited](crate::identity::Awaited) since
    /// then.
    #[must_use]
    pub fn awaited_since(since: Option<UnixTime>, now: UnixTime) -> Self {
        match since {
            // Whoever withholds something for ever must not be believed for ever.
            Some(since) if now < since.saturating_add(Self::PENDING_SECS) => Self::Pending,
            _ => Self::Complete,
        }
    }
}

/// Compares what was published with what is found at a time.
#[must_use]
pub fn compare(
    published: &[Mapping],
    found: &Lookup,
    publication: Publication,
    now: UnixTime,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let valid = |mapping: &&Mapping| mapping.not_before <= now && now < mapping.expires;
    let expected: Vec<&Mapping> = published.iter().filter(valid).collect();
    let opted_out = expected.iter().any(|mapping| mapping.entries.is_empty());
    match found {
        Lookup::Blocked => return vec![Finding::Withheld],
        Lookup::Unverifiable(reason) => {
            let reason = *reason;
            return vec![Finding::Unverifiable { reason }];
        }
        Lookup::OptedOut if opted_out => return findings,
        Lookup::OptedOut if publication == Publication::Complete => {
            findings.push(Finding::OptedOut);
        }
        // Or mappings have just taken its place.
        Lookup::OptedOut => {}
        Lookup::NoMapping | Lookup::Mappings(_) => {}
    }
    for mapping in found.mappings() {
        findings.extend(judge(mapping, published, publication));
    }
    let shown = |mine: &Mapping| {
        let mut successors = found.mappings().iter();
        successors.any(|found| {
            found.id == mine.id || found.version() >= mine.version() && delists(found, mine)
        })
    };
    if publication == Publication::Complete && *found != Lookup::OptedOut {
        let missing = expected.into_iter().filter(|mine| !shown(mine));
        findings.extend(missing.map(|mine| Finding::Missing { id: mine.id }));
    }
    findings
}

/// What is to be said of a mapping that was found.
fn judge(found: &Mapping, published: &[Mapping], publication: Publication) -> Option<Finding> {
    let id = found.id;
    let Some(mine) = published.iter().find(|mine| mine.id == id) else {
        // It may be one whose removal is under way.
        return (publication == Publication::Complete).then_some(Finding::Unknown { id });
    };
    if mine == found {
        return None;
    }
    match found.version().cmp(&mine.version()) {
        std::cmp::Ordering::Equal => Some(Finding::Altered { id }),
        std::cmp::Ordering::Greater => Some(Finding::Unknown { id }),
        std::cmp::Ordering::Less if publication == Publication::Complete => {
            Some(Finding::Stale { id })
        }
        std::cmp::Ordering::Less => None,
    }
}

#[cfg(test)]
mod tests;
