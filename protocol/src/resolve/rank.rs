//! The order of what may be used (rule 4).

use std::cmp::Reverse;

use super::{Context, Offer, Source};
use crate::mapping::{Entry, Exclusivity, Mapping, MappingId, MspDomain, Preference, Reach, Tag};
use crate::precedence::Version;
use crate::time::UnixTime;

/// How an entry's tags fit what the sender wants, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    /// It has a tag that the sender wants.
    Wanted,
    /// It has no tags, or the sender wants none.
    Open,
    /// It has tags, and the sender wants others.
    Foreign,
}

impl Fit {
    pub(super) fn of(entry: &Entry, context: &Context) -> Self {
        if entry.tags().iter().any(|tag| context.tags.contains(tag)) {
            Self::Wanted
        } else if entry.tags().is_empty() || context.tags.is_empty() {
            Self::Open
        } else {
            Self::Foreign
        }
    }
}

/// What decides before names do; the lesser ranks first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Merit {
    public: bool,
    fit: Fit,
    ordinary: bool,
    tagged: bool,
    priority: u8,
    /// Place among the sender's applications, past their end if it is none.
    app: usize,
}

impl Merit {
    pub(super) fn of(offer: &Offer<'_>, context: &Context) -> Self {
        let Offer { entry, source, .. } = *offer;
        let place = context.apps.iter().position(|app| *app == entry.msp);
        Self {
            public: source.is_public(),
            fit: Fit::of(entry, context),
            ordinary: entry.preference != Preference::Default,
            tagged: !entry.tags().is_empty(),
            priority: entry.priority,
            app: place.unwrap_or(context.apps.len()),
        }
    }
}

/// The whole order. Offers that compare equal are of equal mappings and
/// entries, found in the same place: which of them is first can't be seen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank<'a> {
    merit: Merit,
    msp: &'a MspDomain,
    mapping: Identity<'a>,
    entry: EntryKey<'a>,
    source: Source<'a>,
}

impl<'a> Rank<'a> {
    pub(super) fn of(offer: &Offer<'a>, context: &Context) -> Self {
        Self {
            merit: Merit::of(offer, context),
            msp: &offer.entry.msp,
            mapping: identity(offer.mapping),
            entry: entry_key(offer.entry),
            source: offer.source,
        }
    }
}

/// All that tells mappings of one CSI apart, the id first. Only mappings that
/// contradict each other have an id and version in common.
type Identity<'a> = (MappingId, Reverse<Version>, Vec<EntryKey<'a>>, Terms);

/// Begin, end, whether it replaces all, is exclusive, is for the same app only.
type Terms = (UnixTime, UnixTime, bool, bool, bool);

type EntryKey<'a> = (&'a MspDomain, &'a [Tag], u8, bool);

pub(super) fn identity(mapping: &Mapping) -> Identity<'_> {
    let mut entries: Vec<EntryKey<'_>> = mapping.entries.iter().map(entry_key).collect();
    entries.sort_unstable();
    let terms = (
        mapping.not_before,
        mapping.expires,
        mapping.replaces.all(),
        mapping.policy.exclusivity == Exclusivity::Exclusive,
        mapping.policy.reach == Reach::SameAppOnly,
    );
    (mapping.id, Reverse(mapping.version()), entries, terms)
}

fn entry_key(entry: &Entry) -> EntryKey<'_> {
    let default = entry.preference == Preference::Default;
    (&entry.msp, entry.tags(), entry.priority, default)
}
