//! Why a route ranks where it does, and why others are none.

use std::fmt;

use serde::Serialize;

use super::rank::{Fit, Merit};
use super::{Context, Offer, Source};
use crate::mapping::{Exclusivity, MappingId, Preference, Reach, Tag};

/// What speaks for a route. In JSON the name in kebab case, as in
/// `"default"`, with what belongs to it as in `{"wanted-tag": "business"}`.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason<'a> {
    /// Its mapping was made for an audience of which the sender is one.
    Audience(&'a str),
    /// Its mapping alone is to be used.
    Exclusive,
    /// Its mapping is for users of the MSP's own application, such as the sender.
    SameApp,
    /// It has this tag, which the sender wants.
    WantedTag(&'a Tag),
    /// It is for other purposes than the sender's, but nothing else is left.
    LastResort,
    /// It is the recipient's default.
    Default,
    /// It is for every purpose: it has no tags.
    AnyPurpose,
    /// The recipient's priority for it.
    Priority(u8),
    /// The sender uses the MSP's own application.
    OwnApp,
    /// Nothing but its name, or its mapping's id, puts it before the next.
    Name,
}

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Labels and tags are others' words: nothing that moves a cursor.
            Self::Audience(label) => write!(f, "for \"{}\"", label.escape_debug()),
            Self::Exclusive => f.write_str("exclusive"),
            Self::SameApp => f.write_str("for users of its own app"),
            Self::WantedTag(tag) => write!(f, "for \"{}\"", tag.as_str().escape_debug()),
            Self::LastResort => f.write_str("for another purpose, but nothing else is left"),
            Self::Default => f.write_str("the recipient's default"),
            Self::AnyPurpose => f.write_str("for every purpose"),
            Self::Priority(priority) => write!(f, "priority {priority}"),
            Self::OwnApp => f.write_str("you use its app"),
            Self::Name => f.write_str("before the next by name"),
        }
    }
}

/// Why an entry is no route. In JSON the name in kebab case, as in
/// `"same-app-only"`, with what belongs to it as in `{"excluded": {"by": id}}`.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Objection {
    /// It is for users of the MSP's own application, and the sender is none.
    SameAppOnly,
    /// The recipient wants an exclusive mapping to be used alone.
    Excluded {
        /// That mapping.
        by: MappingId,
    },
    /// It is for other purposes than the sender's.
    OtherTags,
    /// Its MSP is a route already, by a better entry.
    SameMsp,
}

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SameAppOnly => f.write_str("only for users of its own app"),
            Self::Excluded { by } => write!(f, "excluded by the exclusive mapping {by}"),
            Self::OtherTags => f.write_str("for another purpose"),
            Self::SameMsp => f.write_str("the same MSP, listed above already"),
        }
    }
}

/// What speaks for `offer`, with `next` the one that ranks after it.
pub(super) fn of<'a>(
    offer: &Offer<'a>,
    next: Option<&Offer<'_>>,
    context: &Context,
) -> Vec<Reason<'a>> {
    let Offer {
        mapping,
        entry,
        source,
    } = *offer;
    let mut reasons = Vec::new();
    if let Source::Audience(label) = source {
        reasons.push(Reason::Audience(label));
    }
    if mapping.policy.exclusivity == Exclusivity::Exclusive {
        reasons.push(Reason::Exclusive);
    }
    if mapping.policy.reach == Reach::SameAppOnly {
        reasons.push(Reason::SameApp);
    }
    let wanted = entry.tags().iter().filter(|tag| context.tags.contains(tag));
    reasons.extend(wanted.map(Reason::WantedTag));
    if Fit::of(entry, context) == Fit::Foreign {
        reasons.push(Reason::LastResort);
    }
    if entry.preference == Preference::Default {
        reasons.push(Reason::Default);
    }
    if entry.tags().is_empty() {
        reasons.push(Reason::AnyPurpose);
    }
    reasons.push(Reason::Priority(entry.priority));
    if context.apps.contains(&entry.msp) {
        reasons.push(Reason::OwnApp);
    }
    let merit = |offer: &Offer<'_>| Merit::of(offer, context);
    if next.is_some_and(|next| merit(next) == merit(offer)) {
        reasons.push(Reason::Name);
    }
    reasons
}
