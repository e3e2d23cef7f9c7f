use proptest::prelude::*;
use protocol::mapping::Mapping;

use super::*;

const SAMPLE: &str = include_str!("../../../../docs/mapping.toml");

fn refused(text: &str, part: &str) {
    let error = Draft::from_toml(text).unwrap_err().to_string();
    assert!(error.contains(part), "{error} names {part}");
}

#[test]
fn the_sample_is_parsed_and_shows_the_defaults() {
    let sample = Draft::from_toml(SAMPLE).unwrap();
    assert_eq!(
        sample.id.unwrap().to_string(),
        "00112233445566778899aabbccddeeff"
    );
    let short = "[[msp]]\ndomain = 'MSP.example'\ntags = ['friends', 'family']\ndefault = true\n\
                 [[msp]]\ndomain = 'work.example'\ntags = ['business']\n";
    let short = Draft::from_toml(short).unwrap();
    assert_eq!(short, Draft { id: None, ..sample });
    assert_eq!(short.replaces, Replaces::SameId);
    assert_eq!(short.policy, Policy::OPEN);
    assert_eq!(short.expires, Expiry::After(DEFAULT_VALIDITY_SECS));
}

#[test]
fn what_is_wrong_is_named() {
    refused("exclusiv = true", "exclusiv");
    refused("\n\nexclusive = 1", "line 3");
    refused("[[msp]]\ntags = []", "domain");
    refused("[[msp]]\ndomain = 'localhost'", "msp 1");
    refused(
        "[[msp]]\ndomain = 'a.example'\n[[msp]]\ndomain = 'a.example'\ntags = ['']",
        "msp 2",
    );
    refused("[[msp]]\ndomain = 'a.example'\npriority = 256", "256");
    refused("[[msp]]\ndomain = 'a.example'\nweight = 1", "weight");
    refused("id = '00'", "32 hexadecimal digits");
    refused("expires = '90'", "90d");
}

#[test]
fn ends_of_validity_are_counted_or_named() {
    let parse = |text: &str| text.parse::<Expiry>();
    assert_eq!(parse("90d"), Ok(Expiry::After(DEFAULT_VALIDITY_SECS)));
    assert_eq!(parse("1h"), Ok(Expiry::After(3600)));
    assert_eq!(
        parse("2026-11-23T00:00:00Z"),
        Ok(Expiry::At(UnixTime::from_secs(1_795_392_000)))
    );
    for text in [
        "",
        "d",
        "0d",
        "-1d",
        "+1d",
        "1 d",
        "1.5d",
        "36501d",
        "99999999999999999999d",
        "1w",
        "tomorrow",
    ] {
        assert_eq!(parse(text), Err(DraftError::Expiry), "{text}");
    }
}

#[test]
fn a_draft_becomes_a_mapping_of_its_own_or_of_the_same_id() {
    let version = Version {
        assignment: 3,
        seq: 9,
    };
    let now = UnixTime::from_secs(1_795_392_000);
    let subject = Csi::parse("someone@example.org").unwrap();
    let fresh = MappingId([5; 16]);
    let mapping = |draft: Draft| draft.into_mapping(subject.clone(), version, fresh, now);
    let sample = Draft::from_toml(SAMPLE).unwrap();
    let same = mapping(sample.clone());
    assert_eq!(same.id, sample.id.unwrap());
    assert_eq!((same.assignment, same.seq), (3, 9));
    assert_eq!(same.not_before, now);
    assert_eq!(same.expires, now.saturating_add(DEFAULT_VALIDITY_SECS));
    let out: Mapping = mapping(Draft::OPT_OUT);
    assert_eq!(out.id, fresh);
    assert!(out.is_opt_out());
    assert_eq!(out.replaces, Replaces::All);
    let at = UnixTime::from_secs(1_800_000_000);
    let named = Draft {
        expires: Expiry::At(at),
        ..sample
    };
    assert_eq!(mapping(named).expires, at);
}

/// The file that a draft comes from.
fn toml_of(draft: &Draft) -> String {
    let expires = match draft.expires {
        Expiry::After(secs) => format!("{}h", secs / 3600),
        Expiry::At(time) => time.to_string(),
    };
    let mut text = format!("expires = '{expires}'\n");
    if let Some(id) = draft.id {
        text += &format!("id = '{id}'\n");
    }
    text += &format!(
        "replaces_all = {}\nexclusive = {}\nsame_app_only = {}\n",
        draft.replaces.all(),
        draft.policy.exclusivity == Exclusivity::Exclusive,
        draft.policy.reach == Reach::SameAppOnly
    );
    for entry in &draft.entries {
        let tags: Vec<toml::Value> = entry
            .tags()
            .iter()
            .map(|tag| toml::Value::String(tag.to_string()))
            .collect();
        text += &format!(
            "[[msp]]\ndomain = '{}'\ntags = {}\npriority = {}\ndefault = {}\n",
            entry.msp,
            toml::Value::Array(tags),
            entry.priority,
            entry.preference == Preference::Default
        );
    }
    text
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let entry = (
        "[a-z][a-z0-9]{0,9}",
        prop::collection::btree_set("[a-zA-Z\"'\\\\]{1,10}( [a-z]{1,5})?", 0..4),
        any::<u8>(),
        any::<bool>(),
    );
    let entry = entry.prop_map(|(name, tags, priority, default)| {
        let tags = tags.iter().map(|tag| Tag::new(tag).unwrap()).collect();
        let preference = if default {
            Preference::Default
        } else {
            Preference::Ordinary
        };
        let msp = MspDomain::parse(&format!("{name}.example")).unwrap();
        Entry::new(msp, tags, priority, preference).unwrap()
    });
    prop::collection::vec(entry, 0..5)
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        entries in entries(),
        id in any::<Option<[u8; 16]>>(),
        hours in 1_u64..10_000,
        at in any::<Option<u32>>(),
        flags: [bool; 3],
    ) {
        let draft = Draft {
            id: id.map(MappingId),
            replaces: replaces(flags[0]),
            policy: policy(flags[1], flags[2]),
            expires: match at {
                Some(secs) => Expiry::At(UnixTime::from_secs(secs.into())),
                None => Expiry::After(hours * 3600),
            },
            entries,
        };
        prop_assert_eq!(Draft::from_toml(&toml_of(&draft)), Ok(draft));
    }

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        let _ = Draft::from_toml(&text);
    }

    #[test]
    fn any_key_is_known_or_refused(key in "[a-z_]{1,16}") {
        let known = ["id", "expires", "replaces_all", "exclusive", "same_app_only", "msp"];
        prop_assume!(!known.contains(&key.as_str()));
        let text = format!("{key} = true\n");
        prop_assert!(Draft::from_toml(&text).is_err());
    }
}
