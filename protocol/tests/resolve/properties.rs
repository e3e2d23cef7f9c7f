//! What holds for any input.

use std::collections::BTreeSet;

use proptest::prelude::*;
use protocol::csi::Csi;
use protocol::mapping::{
    Entry, Exclusivity, Mapping, MappingId, MspDomain, Preference, Reach, Replaces, Tag,
};
use protocol::resolve::{
    Candidate, Context, Objection, Offer, Reason, Resolution, Route, Source, resolve,
};
use protocol::time::UnixTime;

use super::{entry, policy, source_of};

/// What resolution is given, from few names, so that much coincides.
#[derive(Clone, Debug)]
struct Input {
    found: Vec<(Mapping, Option<&'static str>)>,
    context: Context,
}

impl Input {
    fn resolve(&self) -> Resolution<'_> {
        let candidates = self.found.iter().map(|(mapping, audience)| Candidate {
            mapping,
            source: source_of(*audience),
        });
        resolve(candidates, &self.context)
    }
}

fn msp(n: u8) -> String {
    format!("msp{n}.example")
}

fn some_tags(most: usize) -> impl Strategy<Value = Vec<Tag>> {
    let words =
        prop::sample::subsequence(vec!["business", "family", "Basketball Friends"], 0..=most);
    words.prop_map(|words| {
        words
            .into_iter()
            .map(|word| Tag::new(word).unwrap())
            .collect()
    })
}

fn some_entry() -> impl Strategy<Value = Entry> {
    (0..4_u8, some_tags(2), 0..3_u8, any::<bool>())
        .prop_map(|(n, tags, priority, default)| entry(&msp(n), tags, priority, default))
}

fn some_mapping() -> impl Strategy<Value = Mapping> {
    let entries = prop::collection::vec(some_entry(), 0..4);
    let version = (0..3_u8, 0..3_u64, 0..2_u64, 1..3_u64);
    (version, any::<(bool, bool, bool)>(), entries).prop_map(
        |((id, seq, assignment, secs), (all, exclusive, same_app_only), entries)| Mapping {
            subject: Csi::from_canonical("tel:+442079460000").unwrap(),
            id: MappingId([id; 16]),
            seq,
            not_before: UnixTime::from_secs(0),
            expires: UnixTime::from_secs(secs),
            assignment,
            replaces: if all { Replaces::All } else { Replaces::SameId },
            policy: policy(exclusive, same_app_only),
            entries,
        },
    )
}

fn some_input() -> impl Strategy<Value = Input> {
    let audience = prop::sample::select(vec![None, None, Some("Carol"), Some("Soccer parents")]);
    let found = prop::collection::vec((some_mapping(), audience), 0..6);
    let apps = prop::collection::vec(0..4_u8, 0..3);
    (found, apps, some_tags(2)).prop_map(|(found, apps, tags)| Input {
        found,
        context: Context {
            apps: apps
                .into_iter()
                .map(|n| MspDomain::from_canonical(&msp(n)).unwrap())
                .collect(),
            tags,
        },
    })
}

/// The same with everything whose order means nothing in another order.
fn some_permutation() -> impl Strategy<Value = (Input, Input)> {
    some_input().prop_flat_map(|input| {
        let entries = input
            .found
            .iter()
            .map(|(mapping, _)| Just(mapping.entries.clone()).prop_shuffle())
            .collect::<Vec<_>>();
        let tags = Just(input.context.tags.clone()).prop_shuffle();
        let places = Just((0..input.found.len()).collect::<Vec<_>>()).prop_shuffle();
        (Just(input), entries, tags, places).prop_map(|(input, entries, tags, places)| {
            let mut other = input.clone();
            for ((mapping, _), entries) in other.found.iter_mut().zip(entries) {
                mapping.entries = entries;
            }
            other.context.tags = tags;
            other.found = places.iter().map(|at| other.found[*at].clone()).collect();
            (input, other)
        })
    })
}

/// An offer as its recipient made it, whatever the order of entries.
fn shown(offer: &Offer<'_>) -> String {
    let Offer {
        mapping,
        entry,
        source,
    } = offer;
    format!(
        "{:?} {entry:?} {source:?} {:?} {:?} {:?} {:?}",
        mapping.id,
        mapping.version(),
        mapping.policy,
        mapping.replaces,
        mapping.expires
    )
}

fn is_exclusive(offer: &Offer<'_>) -> bool {
    offer.mapping.policy.exclusivity == Exclusivity::Exclusive
}

fn is_own(offer: &Offer<'_>, context: &Context) -> bool {
    context.apps.contains(&offer.entry.msp)
}

fn is_for(offer: &Offer<'_>, context: &Context) -> bool {
    offer.mapping.policy.reach == Reach::AnyApp || is_own(offer, context)
}

fn wants(offer: &Offer<'_>, context: &Context) -> bool {
    offer
        .entry
        .tags()
        .iter()
        .any(|tag| context.tags.contains(tag))
}

fn is_foreign(offer: &Offer<'_>, context: &Context) -> bool {
    !context.tags.is_empty() && !offer.entry.tags().is_empty() && !wants(offer, context)
}

/// What a person would weigh, in words of the rules.
fn merit(offer: &Offer<'_>, context: &Context) -> (bool, bool, bool, bool, u8, usize) {
    let place = context.apps.iter().position(|app| *app == offer.entry.msp);
    (
        offer.source == Source::Public,
        !wants(offer, context),
        offer.entry.preference == Preference::Ordinary,
        !offer.entry.tags().is_empty(),
        offer.entry.priority,
        place.unwrap_or(usize::MAX),
    )
}

fn is_true(reason: Reason<'_>, route: &Route<'_>, next: Option<&Route<'_>>, input: &Input) -> bool {
    let (offer, context) = (&route.offer, &input.context);
    let Offer {
        mapping,
        entry,
        source,
    } = offer;
    match reason {
        Reason::Audience(label) => *source == Source::Audience(label),
        Reason::Exclusive => is_exclusive(offer),
        Reason::SameApp => mapping.policy.reach == Reach::SameAppOnly && is_own(offer, context),
        Reason::WantedTag(tag) => entry.tags().contains(tag) && context.tags.contains(tag),
        Reason::LastResort => is_foreign(offer, context),
        Reason::Default => entry.preference == Preference::Default,
        Reason::AnyPurpose => entry.tags().is_empty(),
        Reason::Priority(priority) => entry.priority == priority,
        Reason::OwnApp => is_own(offer, context),
        Reason::Name => next.is_some_and(|next| {
            merit(&next.offer, context) == merit(offer, context)
                && offer.entry.msp < next.offer.entry.msp
        }),
        other => panic!("{other:?} is not known to this test"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn every_entry_is_ranked_or_set_aside_once(input in some_input()) {
        let resolution = input.resolve();
        let mut given: Vec<String> = input
            .found
            .iter()
            .flat_map(|(mapping, audience)| {
                let source = source_of(*audience);
                mapping.entries.iter().map(move |entry| shown(&Offer { mapping, entry, source }))
            })
            .collect();
        let routes = resolution.routes.iter().map(|route| shown(&route.offer));
        let aside = resolution.set_aside.iter().map(|aside| shown(&aside.offer));
        let mut found: Vec<String> = routes.chain(aside).collect();
        given.sort();
        found.sort();
        prop_assert_eq!(found, given);
        let msps: BTreeSet<&MspDomain> =
            resolution.routes.iter().map(|route| &route.offer.entry.msp).collect();
        prop_assert_eq!(msps.len(), resolution.routes.len());
        prop_assert_eq!(resolution.route(), resolution.routes.first());
    }

    #[test]
    fn no_order_of_the_input_matters((one, other) in some_permutation()) {
        let (one, other) = (one.resolve(), other.resolve());
        let routes = |resolution: &Resolution<'_>| -> Vec<String> {
            let route = |route: &Route<'_>| format!("{} {:?}", shown(&route.offer), route.reasons);
            resolution.routes.iter().map(route).collect()
        };
        let aside = |resolution: &Resolution<'_>| -> Vec<String> {
            let aside = resolution.set_aside.iter();
            aside.map(|aside| format!("{} {:?}", shown(&aside.offer), aside.why)).collect()
        };
        prop_assert_eq!(routes(&one), routes(&other));
        prop_assert_eq!(aside(&one), aside(&other));
    }

    #[test]
    fn every_reason_is_true_and_none_is_missing(input in some_input()) {
        let resolution = input.resolve();
        for (at, route) in resolution.routes.iter().enumerate() {
            let next = resolution.routes.get(at + 1);
            let mut all = vec![
                Reason::Exclusive,
                Reason::SameApp,
                Reason::LastResort,
                Reason::Default,
                Reason::AnyPurpose,
                Reason::Priority(route.offer.entry.priority),
                Reason::OwnApp,
                Reason::Name,
            ];
            if let Source::Audience(label) = route.offer.source {
                all.push(Reason::Audience(label));
            }
            all.extend(route.offer.entry.tags().iter().map(Reason::WantedTag));
            for reason in all {
                let given = route.reasons.iter().filter(|given| **given == reason).count();
                let expected = usize::from(is_true(reason, route, next, &input));
                prop_assert_eq!(given, expected, "{:?} of {:?}", reason, route);
            }
            for reason in &route.reasons {
                prop_assert!(is_true(*reason, route, next, &input), "{:?} of {:?}", reason, route);
            }
        }
    }

    #[test]
    fn routes_are_in_order_and_open_to_the_sender(input in some_input()) {
        let (resolution, context) = (input.resolve(), &input.context);
        let routes = &resolution.routes;
        for pair in routes.windows(2) {
            prop_assert!(merit(&pair[0].offer, context) <= merit(&pair[1].offer, context));
        }
        prop_assert!(routes.iter().all(|route| is_for(&route.offer, context)));
        let foreign = routes.iter().filter(|route| is_foreign(&route.offer, context)).count();
        prop_assert!(foreign == 0 || foreign == routes.len());
    }

    #[test]
    fn every_objection_holds(input in some_input()) {
        let (resolution, context) = (input.resolve(), &input.context);
        for aside in &resolution.set_aside {
            let offer = &aside.offer;
            prop_assert_eq!(aside.why == Objection::SameAppOnly, !is_for(offer, context));
            let holds = match aside.why {
                Objection::SameAppOnly => !is_for(offer, context),
                Objection::Excluded { by } => input.found.iter().any(|(mapping, audience)| {
                    let source = source_of(*audience);
                    let entries = mapping.entries.iter();
                    let binds = |entry| {
                        let other = Offer { mapping, entry, source };
                        is_exclusive(&other) && is_for(&other, context)
                    };
                    mapping.id == by && entries.clone().any(binds)
                        && (audience.is_some() || offer.source == Source::Public)
                }),
                Objection::OtherTags => is_foreign(offer, context) && !resolution.routes.is_empty(),
                Objection::SameMsp => resolution.routes.iter().any(|route| {
                    route.offer.entry.msp == offer.entry.msp
                        && merit(&route.offer, context) <= merit(offer, context)
                }),
                other => panic!("{other:?} is not known to this test"),
            };
            prop_assert!(holds, "{:?}", aside);
        }
    }

    #[test]
    fn what_binds_is_the_only_one_used(input in some_input()) {
        let resolution = input.resolve();
        let used = |public: bool| resolution
            .routes
            .iter()
            .filter(move |route| (route.offer.source == Source::Public) == public)
            .map(|route| &route.offer)
            .collect::<Vec<_>>();
        for public in [true, false] {
            let used = used(public);
            if used.iter().any(|offer| is_exclusive(offer)) {
                prop_assert!(used.iter().all(|offer| offer.mapping.id == used[0].mapping.id));
            }
        }
        if used(false).iter().any(|offer| is_exclusive(offer)) {
            prop_assert!(used(true).is_empty());
        }
    }
}
