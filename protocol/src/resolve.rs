//! From what a lookup found to where a message goes: the sender's choice.
//!
//! The journeys CUJ1 to CUJ4 of draft-ietf-mimi-discovery-requirements
//! ("Recipient's Critical User Journeys") are about this choice: the recipient
//! decides, no pick is random, and a message goes to one MSP and not to all.
//! `docs/resolution.md` works them through; `tests/vectors/v1/resolve.json`
//! holds a case for every rule.

mod rank;
mod reason;

use std::collections::HashSet;

use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};

pub use reason::{Objection, Reason};

use crate::mapping::{Entry, Exclusivity, Mapping, MspDomain, Reach, Tag};
use rank::{Fit, Rank, identity};

/// Ranks the MSPs that `candidates` name for a sender of whom `context` is
/// known. The candidates are what one or several verified lookups of one CSI
/// gave; their order, and that of entries and wanted tags, changes nothing.
///
/// 1. **Reach.** An entry of a mapping that is `same_app_only` is for senders
///    who use that very MSP's own application, entry by entry. For others it is
///    set aside ([`Objection::SameAppOnly`]).
/// 2. **Exclusive.** Of the `exclusive` mappings that rule 1 leaves an entry of,
///    the one with the newest version binds (of equals the one with the lowest
///    id): entries of other mappings are set aside ([`Objection::Excluded`]). One
///    made for an audience binds before a public one, and hides everything
///    else; a public one hides the public ones only, since what the recipient
///    told an audience was told to fewer, and by that more precisely. An
///    exclusive mapping that isn't for this sender hides nothing. Tags play no
///    part: the recipient's policy comes before the sender's wishes.
/// 3. **Tags.** If the sender wants tags, an entry with one of them is wanted,
///    one without tags is for every purpose, and one with other tags only is set
///    aside ([`Objection::OtherTags`]), unless nothing else is left: then all
///    such are ranked ([`Reason::LastResort`]), since a recipient who can be
///    reached is better reached for another purpose than not at all. Tags are
///    compared exactly, as [`Tag`] is.
/// 4. **Rank.** What is left is sorted by, in this order: mappings made for an
///    audience first, since the recipient had this sender in mind; wanted
///    entries before those for every purpose; the recipient's default; entries
///    without tags before those with (which decides only if the sender wants
///    none: an unstated purpose is not a special one); priority, the lowest
///    number first; the sender's own applications, in the sender's order; the
///    MSP's name, bytewise; the mapping's id; and then whatever else differs.
/// 5. **Once.** Each MSP is one route: a further entry for it is set aside
///    ([`Objection::SameMsp`]).
///
/// The first route is the one to use. The others are for when it can't be used
/// and the user wants another: a message is never sent to several. Nothing here
/// depends on time or chance, so the choice stays until the recipient publishes
/// something else or the sender asks for something else.
///
/// Total: any input has a result, and every entry is in it exactly once.
pub fn resolve<'a, C>(candidates: impl IntoIterator<Item = C>, context: &Context) -> Resolution<'a>
where
    C: Into<Candidate<'a>>,
{
    let mut aside = Vec::new();
    let mut left: Vec<Offer<'a>> = candidates
        .into_iter()
        .flat_map(|candidate| Offer::all_of(candidate.into()))
        .collect();
    left.retain(|offer| {
        keep(offer, &mut aside, || {
            (!offer.is_for(context)).then_some(Objection::SameAppOnly)
        })
    });
    if let Some(binding) = binding(&left) {
        left.retain(|offer| {
            keep(offer, &mut aside, || {
                let by = binding.mapping.id;
                binding.hides(offer).then_some(Objection::Excluded { by })
            })
        });
    }
    let foreign = |offer: &Offer<'_>| Fit::of(offer.entry, context) == Fit::Foreign;
    if !left.iter().all(foreign) {
        left.retain(|offer| {
            keep(offer, &mut aside, || {
                foreign(offer).then_some(Objection::OtherTags)
            })
        });
    }
    left.sort_by_cached_key(|offer| Rank::of(offer, context));
    let mut seen = HashSet::new();
    left.retain(|offer| {
        keep(offer, &mut aside, || {
            (!seen.insert(&offer.entry.msp)).then_some(Objection::SameMsp)
        })
    });
    aside.sort_by_cached_key(|aside| (aside.why, Rank::of(&aside.offer, context)));
    Resolution {
        routes: routes(&left, context),
        set_aside: aside,
    }
}

/// What a sender knows of itself. Empty: a sender of whom nothing is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// The MSPs whose own application the sender uses, preferred ones first.
    pub apps: Vec<MspDomain>,
    /// What the sender wants to reach the recipient for, in any order.
    pub tags: Vec<Tag>,
}

/// A verified mapping, and how the sender came by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// The mapping, one of those that [`evaluate`](crate::bundle::evaluate) gave.
    pub mapping: &'a Mapping,
    /// Where it was found.
    pub source: Source<'a>,
}

/// A mapping of the public record.
impl<'a> From<&'a Mapping> for Candidate<'a> {
    fn from(mapping: &'a Mapping) -> Self {
        let source = Source::Public;
        Self { mapping, source }
    }
}

/// Where a mapping was found, the more particular one first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source<'a> {
    /// In a record for an audience that the sender belongs to, by the sender's
    /// name for it.
    Audience(&'a str),
    /// In the record that every sender finds.
    Public,
}

impl Source<'_> {
    /// Whether it is [`Source::Public`].
    pub const fn is_public(self) -> bool {
        matches!(self, Self::Public)
    }
}

/// Where a sender reaches the recipient. In JSON
/// `{"routes": [route, ..], "set_aside": [aside, ..]}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Resolution<'a> {
    /// Best first, each MSP once; empty if no entry is for this sender.
    pub routes: Vec<Route<'a>>,
    /// The other entries, by reason and then as they would rank.
    pub set_aside: Vec<Aside<'a>>,
}

impl<'a> Resolution<'a> {
    /// The route to use.
    pub fn route(&self) -> Option<&Route<'a>> {
        self.routes.first()
    }
}

/// One entry of a candidate. In JSON its `msp`, its `tags`, the id of its
/// `mapping`, and its `source`: `"public"` or `{"audience": label}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer<'a> {
    /// The mapping that it stems from.
    pub mapping: &'a Mapping,
    /// The entry.
    pub entry: &'a Entry,
    /// Where the mapping was found.
    pub source: Source<'a>,
}

impl<'a> Offer<'a> {
    fn all_of(candidate: Candidate<'a>) -> impl Iterator<Item = Self> {
        let Candidate { mapping, source } = candidate;
        let offer = move |entry| Self {
            mapping,
            entry,
            source,
        };
        mapping.entries.iter().map(offer)
    }

    /// Rule 1: whether it is for the sender.
    fn is_for(&self, context: &Context) -> bool {
        match self.mapping.policy.reach {
            Reach::AnyApp => true,
            Reach::SameAppOnly => context.apps.contains(&self.entry.msp),
        }
    }

    /// Rule 2: whether the policy of this one's mapping, which binds, keeps
    /// `other` from being used.
    fn hides(&self, other: &Offer<'_>) -> bool {
        let another = identity(self.mapping) != identity(other.mapping);
        another && (!self.source.is_public() || other.source.is_public())
    }
}

impl Serialize for Offer<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Offer", 4)?;
        object.serialize_field("msp", &self.entry.msp)?;
        object.serialize_field("tags", self.entry.tags())?;
        object.serialize_field("mapping", &self.mapping.id)?;
        object.serialize_field("source", &self.source)?;
        object.end()
    }
}

/// An MSP that the sender may use. In JSON its offer's members and `reasons`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Route<'a> {
    /// The entry that names the MSP.
    #[serde(flatten)]
    pub offer: Offer<'a>,
    /// What speaks for it: all that is true of it, weightiest first.
    pub reasons: Vec<Reason<'a>>,
}

/// An entry that the sender doesn't use. In JSON its offer's members and `why`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Aside<'a> {
    /// The entry.
    #[serde(flatten)]
    pub offer: Offer<'a>,
    /// The first rule that it fell under.
    pub why: Objection,
}

/// Whether `offer` stays; if there is an objection, it goes to `aside`.
fn keep<'a>(
    offer: &Offer<'a>,
    aside: &mut Vec<Aside<'a>>,
    objection: impl FnOnce() -> Option<Objection>,
) -> bool {
    let objection = objection();
    aside.extend(objection.map(|why| Aside { offer: *offer, why }));
    objection.is_none()
}

/// Rule 2: an entry of the exclusive mapping that binds.
fn binding<'a>(left: &[Offer<'a>]) -> Option<Offer<'a>> {
    left.iter()
        .filter(|offer| offer.mapping.policy.exclusivity == Exclusivity::Exclusive)
        .min_by_key(|offer| {
            let newest = std::cmp::Reverse(offer.mapping.version());
            (offer.source.is_public(), newest, identity(offer.mapping))
        })
        .copied()
}

fn routes<'a>(sorted: &[Offer<'a>], context: &Context) -> Vec<Route<'a>> {
    let route = |(at, offer): (usize, &Offer<'a>)| Route {
        offer: *offer,
        reasons: reason::of(offer, sorted.get(at + 1), context),
    };
    sorted.iter().enumerate().map(route).collect()
}
