//! Results as text for people.

use std::fmt::Write as _;

use protocol::csi::Csi;
use protocol::lookup::Lookup;
use protocol::mapping::{Entry, Exclusivity, Mapping, Preference, Reach};

/// A result, without the end of its last line.
pub(super) fn found(csi: &Csi, lookup: &Lookup) -> String {
    let identifier = csi.canonical();
    match lookup {
        Lookup::NoMapping => format!("{identifier}\n  no mapping"),
        Lookup::OptedOut => format!("{identifier}\n  opted out"),
        Lookup::Unverifiable(why) => format!("{identifier}\n  unverifiable: {why}"),
        Lookup::Mappings(mappings) => {
            let mut text = identifier.to_owned();
            for mapping in mappings {
                write_mapping(&mut text, mapping);
            }
            text
        }
    }
}

/// A lookup that failed, or a text that is no identifier.
pub(super) fn failed(identifier: &str, error: &str) -> String {
    format!("{}\n  error: {error}", identifier.escape_debug())
}

fn write_mapping(text: &mut String, mapping: &Mapping) {
    // Writing to a string can't fail.
    let _ = write!(text, "\n  until {}", mapping.expires);
    if mapping.policy.exclusivity == Exclusivity::Exclusive {
        text.push_str(", exclusive");
    }
    if mapping.policy.reach == Reach::SameAppOnly {
        text.push_str(", same app only");
    }
    let width = mapping
        .entries
        .iter()
        .map(|entry| entry.msp.as_str().len())
        .max()
        .unwrap_or(0);
    let mut entries: Vec<&Entry> = mapping.entries.iter().collect();
    entries.sort_by_key(|entry| (entry.preference != Preference::Default, entry.priority));
    for entry in entries {
        let msp = entry.msp.as_str();
        let _ = write!(text, "\n    {msp:width$}  priority {}", entry.priority);
        if entry.preference == Preference::Default {
            text.push_str(", default");
        }
        for tag in entry.tags() {
            // A tag is of the recipient's making: nothing that moves a cursor.
            let _ = write!(text, ", \"{}\"", tag.as_str().escape_debug());
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::lookup::Unverifiable;
    use protocol::mapping::{MappingId, MspDomain, Policy, Replaces, Tag};
    use protocol::time::UnixTime;

    use super::*;

    fn entry(msp: &str, tags: &[&str], priority: u8, preference: Preference) -> Entry {
        let tags = tags.iter().map(|tag| Tag::new(tag).unwrap()).collect();
        Entry::new(MspDomain::parse(msp).unwrap(), tags, priority, preference).unwrap()
    }

    #[test]
    fn results_are_shown() {
        let csi = Csi::parse("someone@example.org").unwrap();
        let mapping = Mapping {
            subject: csi.clone(),
            id: MappingId([1; 16]),
            seq: 1,
            not_before: UnixTime::from_secs(0),
            expires: UnixTime::from_secs(1_795_392_000),
            assignment: 1,
            replaces: Replaces::SameId,
            policy: Policy {
                exclusivity: Exclusivity::Exclusive,
                reach: Reach::SameAppOnly,
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
        };
        assert_eq!(
            found(&csi, &Lookup::Mappings(vec![mapping])),
            "mailto:someone@example.org\n  until 2026-11-23T00:00:00Z, exclusive, same app only\n    \
             longer.example  priority 1, default\n    \
             b.example       priority 0, \"family\", \"on\\u{202e}call\""
        );
        assert_eq!(
            found(&csi, &Lookup::NoMapping),
            "mailto:someone@example.org\n  no mapping"
        );
        assert_eq!(
            found(&csi, &Lookup::OptedOut),
            "mailto:someone@example.org\n  opted out"
        );
        assert_eq!(
            found(&csi, &Lookup::Unverifiable(Unverifiable::MappingExpired)),
            "mailto:someone@example.org\n  unverifiable: a mapping has expired"
        );
        assert_eq!(failed("\u{1b}[2J", "no"), "\\u{1b}[2J\n  error: no");
    }
}
