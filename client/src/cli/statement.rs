//! A mapping as its recipient sees it.

use std::fmt::Write as _;

use protocol::mapping::{Entry, Exclusivity, Mapping, Preference, Reach};

/// The mapping in lines that each begin with two spaces, without the end of the
/// last one.
pub(super) fn describe(mapping: &Mapping) -> String {
    let mut text = format!("  mapping {}, until {}", mapping.id, mapping.expires);
    let properties = [
        (mapping.replaces.all(), ", replaces all older ones"),
        (
            mapping.policy.exclusivity == Exclusivity::Exclusive,
            ", exclusive",
        ),
        (
            mapping.policy.reach == Reach::SameAppOnly,
            ", for users of the same app only",
        ),
        (mapping.is_opt_out(), "\n    not to be found"),
    ];
    for (_, words) in properties.into_iter().filter(|(holds, _)| *holds) {
        text.push_str(words);
    }
    let width = mapping.entries.iter().map(|entry| entry.msp.as_str().len());
    let width = width.max().unwrap_or(0);
    let mut entries: Vec<&Entry> = mapping.entries.iter().collect();
    entries.sort_by_key(|entry| entry.priority);
    for entry in entries {
        let msp = entry.msp.as_str();
        // Writing to a string can't fail.
        let _ = write!(text, "\n    {msp:width$}  priority {}", entry.priority);
        if entry.preference == Preference::Default {
            text.push_str(", default");
        }
        for tag in entry.tags() {
            // Nothing that moves a cursor.
            let _ = write!(text, ", \"{}\"", tag.as_str().escape_debug());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use protocol::csi::Csi;
    use protocol::mapping::{MappingId, MspDomain, Policy, Replaces, Tag};
    use protocol::time::UnixTime;

    use super::*;

    #[test]
    fn mappings_are_described_without_their_identifier() {
        let entry = |msp, tags: &[&str], priority, preference| {
            let tags = tags.iter().map(|tag| Tag::new(tag).unwrap()).collect();
            Entry::new(MspDomain::parse(msp).unwrap(), tags, priority, preference).unwrap()
        };
        let mapping = Mapping {
            subject: Csi::parse("someone@example.org").unwrap(),
            id: MappingId([1; 16]),
            seq: 1,
            not_before: UnixTime::from_secs(0),
            expires: UnixTime::from_secs(1_795_392_000),
            assignment: 1,
            replaces: Replaces::All,
            policy: Policy {
                exclusivity: Exclusivity::Exclusive,
                reach: Reach::SameAppOnly,
            },
            entries: vec![
                entry("longer.example", &[], 1, Preference::Default),
                entry("b.example", &["on\u{202e}call"], 0, Preference::Ordinary),
            ],
        };
        assert_eq!(
            describe(&mapping),
            "  mapping 01010101010101010101010101010101, until 2026-11-23T00:00:00Z, replaces all \
             older ones, exclusive, for users of the same app only\n    \
             b.example       priority 0, \"on\\u{202e}call\"\n    \
             longer.example  priority 1, default"
        );
        let out = Mapping {
            replaces: Replaces::SameId,
            policy: Policy::OPEN,
            entries: Vec::new(),
            ..mapping
        };
        assert_eq!(
            describe(&out),
            "  mapping 01010101010101010101010101010101, until 2026-11-23T00:00:00Z\n    not to be \
             found"
        );
    }
}
