//! Runs `tests/vectors/v1/resolve.json`, and holds the choice of a route
//! against what its rules promise for any input.

mod properties;

use std::collections::BTreeSet;

use protocol::csi::Csi;
use protocol::mapping::{
    Entry, Exclusivity, Mapping, MappingId, MspDomain, Policy, Preference, Reach, Replaces, Tag,
};
use protocol::resolve::{Candidate, Context, Source, resolve};
use protocol::time::UnixTime;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vectors {
    #[serde(rename = "about")]
    _about: String,
    version: u32,
    not_before: String,
    expires: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    rule: String,
    mappings: Vec<MappingVector>,
    apps: Vec<String>,
    tags: Vec<String>,
    routes: serde_json::Value,
    set_aside: serde_json::Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MappingVector {
    id: String,
    seq: u64,
    assignment: u64,
    exclusive: bool,
    same_app_only: bool,
    audience: Option<String>,
    entries: Vec<EntryVector>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryVector {
    msp: String,
    tags: Vec<String>,
    priority: u8,
    default: bool,
}

fn tags(texts: &[String]) -> Vec<Tag> {
    texts.iter().map(|text| Tag::new(text).unwrap()).collect()
}

fn policy(exclusive: bool, same_app_only: bool) -> Policy {
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

fn entry(msp: &str, tags: Vec<Tag>, priority: u8, default: bool) -> Entry {
    let preference = if default {
        Preference::Default
    } else {
        Preference::Ordinary
    };
    Entry::new(
        MspDomain::from_canonical(msp).unwrap(),
        tags,
        priority,
        preference,
    )
    .unwrap()
}

fn source_of(audience: Option<&str>) -> Source<'_> {
    audience.map_or(Source::Public, Source::Audience)
}

fn mapping_of(vector: &MappingVector, not_before: UnixTime, expires: UnixTime) -> Mapping {
    let mut id = [0; 16];
    hex::decode_to_slice(&vector.id, &mut id).unwrap();
    let entry =
        |made: &EntryVector| entry(&made.msp, tags(&made.tags), made.priority, made.default);
    Mapping {
        subject: Csi::from_canonical("tel:+442079460000").unwrap(),
        id: MappingId(id),
        seq: vector.seq,
        not_before,
        expires,
        assignment: vector.assignment,
        replaces: Replaces::SameId,
        policy: policy(vector.exclusive, vector.same_app_only),
        entries: vector.entries.iter().map(entry).collect(),
    }
}

#[test]
fn vectors_are_met() {
    let vectors: Vectors =
        serde_json::from_str(include_str!("../../../tests/vectors/v1/resolve.json")).unwrap();
    assert_eq!(vectors.version, 1);
    let time = |text: &str| UnixTime::parse_rfc3339(text).unwrap();
    let (not_before, expires) = (time(&vectors.not_before), time(&vectors.expires));
    let mut rules = BTreeSet::new();
    for case in &vectors.cases {
        let mappings: Vec<Mapping> = case
            .mappings
            .iter()
            .map(|vector| mapping_of(vector, not_before, expires))
            .collect();
        let candidates = mappings
            .iter()
            .zip(&case.mappings)
            .map(|(mapping, vector)| {
                let source = source_of(vector.audience.as_deref());
                Candidate { mapping, source }
            });
        let context = Context {
            apps: case
                .apps
                .iter()
                .map(|app| MspDomain::from_canonical(app).unwrap())
                .collect(),
            tags: tags(&case.tags),
        };
        let found = serde_json::to_value(resolve(candidates, &context)).unwrap();
        assert_eq!(found["routes"], case.routes, "routes of {:?}", case.name);
        assert_eq!(
            found["set_aside"], case.set_aside,
            "set aside in {:?}",
            case.name
        );
        rules.insert(case.rule.as_str());
    }
    assert_eq!(Vec::from_iter(rules), ["1", "2", "3", "4", "5", "total"]);
}
