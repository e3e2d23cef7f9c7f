//! Results as text for people.

use std::fmt::Write as _;

use client::Found;
use protocol::csi::Csi;
use protocol::lookup::Lookup;
use protocol::resolve::{Context, Objection, Offer, Resolution, resolve};

/// What was found and the routes that it gives the sender, without the end of
/// its last line.
pub(super) fn found(csi: &Csi, found: &Found, sender: &Context) -> String {
    let mut text = csi.canonical().to_owned();
    let has_mappings = !found.candidates().is_empty();
    // That nothing is public goes without saying if there is something else.
    if !(has_mappings && found.public == Lookup::NoMapping) {
        write_outcome(&mut text, "", &found.public);
    }
    for audience in &found.audiences {
        // Someone else may have chosen the label: nothing that moves a cursor.
        let label = audience.label.as_str().escape_debug();
        write_outcome(
            &mut text,
            &format!("audience \"{label}\": "),
            &audience.lookup,
        );
    }
    if has_mappings {
        text += &routes(&resolve(found.candidates(), sender));
    }
    text
}

/// A line for an outcome without mappings.
fn write_outcome(text: &mut String, whose: &str, lookup: &Lookup) {
    let outcome = match lookup {
        Lookup::NoMapping => "no mapping",
        Lookup::OptedOut => "opted out",
        Lookup::Blocked => "withheld by the provider",
        Lookup::Unverifiable(why) => {
            // Writing to a string can't fail.
            let _ = write!(text, "\n  {whose}unverifiable: {why}");
            return;
        }
        Lookup::Mappings(_) => return,
    };
    let _ = write!(text, "\n  {whose}{outcome}");
}

/// A lookup that failed, or a text that is no identifier.
pub(super) fn failed(identifier: &str, error: &str) -> String {
    format!("{}\n  error: {error}", identifier.escape_debug())
}

fn routes(resolution: &Resolution<'_>) -> String {
    let routes = resolution.routes.iter().map(|route| &route.offer);
    let aside = resolution.set_aside.iter().map(|aside| &aside.offer);
    let names = routes.chain(aside).map(|offer| offer.entry.msp.as_str());
    let width = names.map(str::len).max().unwrap_or(0);
    let mut text = String::new();
    // Writing to a string can't fail.
    for (at, route) in resolution.routes.iter().enumerate() {
        let place = if at == 0 { "route" } else { "otherwise" };
        let reasons: Vec<String> = route.reasons.iter().map(ToString::to_string).collect();
        let msp = route.offer.entry.msp.as_str();
        let _ = write!(text, "\n  {place:9}  {msp:width$}  {}", reasons.join(", "));
        write_terms(&mut text, &route.offer);
    }
    if resolution.routes.is_empty() {
        text.push_str("\n  no route");
        let mut aside = resolution.set_aside.iter();
        if aside.any(|aside| aside.why == Objection::SameAppOnly) {
            text.push_str(": --app names an application that you use");
        }
    }
    for aside in &resolution.set_aside {
        let msp = aside.offer.entry.msp.as_str();
        let _ = write!(text, "\n  set aside  {msp:width$}  {}", aside.why);
        write_terms(&mut text, &aside.offer);
    }
    text
}

/// What else an entry says: its tags, and until when it holds.
fn write_terms(text: &mut String, offer: &Offer<'_>) {
    for (at, tag) in offer.entry.tags().iter().enumerate() {
        text.push_str(if at == 0 { "; tags " } else { ", " });
        // A tag is of the recipient's making: nothing that moves a cursor.
        let _ = write!(text, "\"{}\"", tag.as_str().escape_debug());
    }
    let _ = write!(text, "; until {}", offer.mapping.expires);
}

#[cfg(test)]
mod tests {
    use client::AudienceFound;
    use protocol::audience::AudienceLabel;
    use protocol::lookup::Unverifiable;
    use protocol::mapping::{
        Entry, Exclusivity, Mapping, MappingId, MspDomain, Policy, Preference, Reach, Replaces, Tag,
    };
    use protocol::time::UnixTime;

    use super::*;

    fn entry(msp: &str, tags: &[&str], priority: u8, preference: Preference) -> Entry {
        let tags = tags.iter().map(|tag| Tag::new(tag).unwrap()).collect();
        Entry::new(MspDomain::parse(msp).unwrap(), tags, priority, preference).unwrap()
    }

    fn csi() -> Csi {
        Csi::parse("someone@example.org").unwrap()
    }

    fn lookup(reach: Reach) -> Lookup {
        Lookup::Mappings(vec![Mapping {
            subject: csi(),
            id: MappingId([1; 16]),
            seq: 1,
            not_before: UnixTime::from_secs(0),
            expires: UnixTime::from_secs(1_795_392_000),
            assignment: 1,
            replaces: Replaces::SameId,
            policy: Policy {
                exclusivity: Exclusivity::Exclusive,
                reach,
            },
            entries: vec![
                entry(
                    "b.example",
                    &["on\u{202e}call", "family"],
                    0,
                    Preference::Ordinary,
                ),
                entry("longer.example", &[], 1, Preference::Default),
            ],
        }])
    }

    fn public(lookup: Lookup) -> Found {
        Found {
            public: lookup,
            holder: None,
            audiences: Vec::new(),
            not_asked: 0,
        }
    }

    #[test]
    fn what_audiences_are_told_comes_first_and_is_named() {
        let audience = |label, lookup| AudienceFound {
            label: AudienceLabel::new(label).unwrap(),
            lookup,
        };
        let shown = |audiences| {
            let found = Found {
                audiences,
                ..public(Lookup::NoMapping)
            };
            super::found(&csi(), &found, &Context::default())
        };
        assert_eq!(
            shown(vec![audience("a \u{202e}b", Lookup::OptedOut)]),
            "mailto:someone@example.org\n  no mapping\n  audience \"a \\u{202e}b\": opted out"
        );
        let text = shown(vec![audience("family", lookup(Reach::AnyApp))]);
        assert!(
            text.starts_with("mailto:someone@example.org\n  route      longer.example"),
            "{text}"
        );
        assert!(text.contains("family"), "{text}");
    }

    #[test]
    fn routes_are_shown_in_order_with_their_reasons() {
        let shown = |sender: &Context| found(&csi(), &public(lookup(Reach::AnyApp)), sender);
        assert_eq!(
            shown(&Context::default()),
            "mailto:someone@example.org\n  \
             route      longer.example  exclusive, the recipient's default, for every purpose, \
             priority 1; until 2026-11-23T00:00:00Z\n  \
             otherwise  b.example       exclusive, priority 0; tags \"family\", \
             \"on\\u{202e}call\"; until 2026-11-23T00:00:00Z"
        );
        let business = Context {
            tags: vec![Tag::new("business").unwrap()],
            apps: vec![],
        };
        assert!(
            shown(&business).contains("\n  set aside  b.example       for another purpose; tags ")
        );
    }

    #[test]
    fn who_lacks_the_application_is_told_so() {
        let shown = |sender: &Context| found(&csi(), &public(lookup(Reach::SameAppOnly)), sender);
        assert_eq!(
            shown(&Context::default()),
            "mailto:someone@example.org\n  \
             no route: --app names an application that you use\n  \
             set aside  longer.example  only for users of its own app; \
             until 2026-11-23T00:00:00Z\n  \
             set aside  b.example       only for users of its own app; tags \"family\", \
             \"on\\u{202e}call\"; until 2026-11-23T00:00:00Z"
        );
        let own = Context {
            apps: vec![MspDomain::parse("b.example").unwrap()],
            tags: vec![],
        };
        assert!(shown(&own).contains(
            "\n  route      b.example       exclusive, for users of its own app, priority 0, \
             you use its app; tags"
        ));
    }

    #[test]
    fn results_without_routes_are_shown() {
        let shown = |lookup| found(&csi(), &public(lookup), &Context::default());
        assert_eq!(
            shown(Lookup::NoMapping),
            "mailto:someone@example.org\n  no mapping"
        );
        assert_eq!(
            shown(Lookup::OptedOut),
            "mailto:someone@example.org\n  opted out"
        );
        assert_eq!(
            shown(Lookup::Unverifiable(Unverifiable::MappingExpired)),
            "mailto:someone@example.org\n  unverifiable: a mapping has expired"
        );
        assert_eq!(failed("\u{1b}[2J", "no"), "\\u{1b}[2J\n  error: no");
    }
}
