//! Runs `tests/vectors/v1/objects.json`: every object is rebuilt from its
//! fields, compared with its bytes, decoded from them and verified.

use protocol::bundle::{Bundle, evaluate};
use protocol::cose::{SigningKey, VerifyingKey};
use protocol::credential::{Credential, Issuer, SignedCredential};
use protocol::csi::Csi;
use protocol::mapping::{
    Entry, Exclusivity, Mapping, MappingId, MspDomain, Policy, Preference, Reach, Replaces,
    SignedMapping, Tag,
};
use protocol::removal::{
    Release, ReleaseReason, Removal, RemovalTarget, SignedRelease, SignedRemoval,
};
use protocol::time::UnixTime;
use protocol::trust::TrustList;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vectors {
    csip: Key,
    holder: Key,
    now: String,
    trust_list: String,
    trust_list_digest: String,
    credential: CredentialVector,
    mappings: Vec<MappingVector>,
    removals: Vec<RemovalVector>,
    releases: Vec<ReleaseVector>,
    bundles: Vec<BundleVector>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    seed: String,
    text: String,
    cose_key: String,
    key_id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CredentialVector {
    issuer: String,
    subject: String,
    issued_at: String,
    expires: String,
    assignment: u64,
    hex: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MappingVector {
    name: String,
    subject: String,
    id: String,
    seq: u64,
    not_before: String,
    expires: String,
    assignment: u64,
    replaces_all: bool,
    exclusive: bool,
    same_app_only: bool,
    entries: Vec<EntryVector>,
    hex: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryVector {
    msp: String,
    tags: Vec<String>,
    priority: u8,
    default: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RemovalVector {
    subject: String,
    mapping_id: Option<String>,
    seq: u64,
    issued_at: String,
    assignment: u64,
    hex: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReleaseVector {
    issuer: String,
    subject: String,
    assignment: u64,
    issued_at: String,
    reason: String,
    hex: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BundleVector {
    mappings: Vec<String>,
    hex: String,
    lookup: serde_json::Value,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../../tests/vectors/v1/objects.json")).unwrap()
}

fn time(text: &str) -> UnixTime {
    UnixTime::parse_rfc3339(text).unwrap()
}

fn csi(text: &str) -> Csi {
    Csi::from_canonical(text).unwrap()
}

fn array<const N: usize>(text: &str) -> [u8; N] {
    hex::decode(text).unwrap().try_into().unwrap()
}

fn key(vector: &Key) -> SigningKey {
    SigningKey::from_seed(&array(&vector.seed))
}

/// The bytes as made here and as in the vector, which must be equal.
fn agreed<'a>(made: &[u8], vector: &'a str) -> &'a str {
    assert_eq!(hex::encode(made), vector);
    vector
}

fn credential(vectors: &Vectors) -> Credential {
    let vector = &vectors.credential;
    Credential {
        issuer: Issuer::new(&vector.issuer).unwrap(),
        subject: csi(&vector.subject),
        holder: key(&vectors.holder).verifying_key(),
        issued_at: time(&vector.issued_at),
        expires: time(&vector.expires),
        assignment: vector.assignment,
    }
}

fn mapping(vector: &MappingVector) -> Mapping {
    let entries = vector.entries.iter().map(|entry| {
        let tags = entry
            .tags
            .iter()
            .map(|tag| Tag::new(tag).unwrap())
            .collect();
        let preference = if entry.default {
            Preference::Default
        } else {
            Preference::Ordinary
        };
        Entry::new(
            MspDomain::parse(&entry.msp).unwrap(),
            tags,
            entry.priority,
            preference,
        )
        .unwrap()
    });
    Mapping {
        subject: csi(&vector.subject),
        id: MappingId(array(&vector.id)),
        seq: vector.seq,
        not_before: time(&vector.not_before),
        expires: time(&vector.expires),
        assignment: vector.assignment,
        replaces: if vector.replaces_all {
            Replaces::All
        } else {
            Replaces::SameId
        },
        policy: Policy {
            exclusivity: if vector.exclusive {
                Exclusivity::Exclusive
            } else {
                Exclusivity::Shared
            },
            reach: if vector.same_app_only {
                Reach::SameAppOnly
            } else {
                Reach::AnyApp
            },
        },
        entries: entries.collect(),
    }
}

#[test]
fn keys_have_these_forms() {
    let vectors = vectors();
    for vector in [&vectors.csip, &vectors.holder] {
        let key = key(vector).verifying_key();
        assert_eq!(key.to_text(), vector.text);
        assert_eq!(hex::encode(key.to_cose_key()), vector.cose_key);
        assert_eq!(hex::encode(key.key_id().as_bytes()), vector.key_id);
        assert_eq!(
            VerifyingKey::from_cose_key(&hex::decode(&vector.cose_key).unwrap()),
            Ok(key)
        );
    }
}

#[test]
fn the_trust_list_has_this_digest() {
    let vectors = vectors();
    let trust = TrustList::from_toml(&vectors.trust_list).unwrap();
    assert_eq!(hex::encode(trust.digest()), vectors.trust_list_digest);
}

#[test]
fn the_credential_has_these_bytes() {
    let vectors = vectors();
    let made = credential(&vectors).issue(&key(&vectors.csip)).unwrap();
    let bytes = hex::decode(agreed(made.as_bytes(), &vectors.credential.hex)).unwrap();
    let trust = TrustList::from_toml(&vectors.trust_list).unwrap();
    let verified = SignedCredential::from_bytes(&bytes)
        .unwrap()
        .verify(&trust, time(&vectors.now));
    assert_eq!(verified, Ok(credential(&vectors)));
}

#[test]
fn the_mappings_have_these_bytes() {
    let vectors = vectors();
    for vector in &vectors.mappings {
        let made = mapping(vector).sign(&key(&vectors.holder)).unwrap();
        let bytes = hex::decode(agreed(made.as_bytes(), &vector.hex)).unwrap();
        let decoded = SignedMapping::from_bytes(&bytes).unwrap();
        assert_eq!(
            decoded.verify(&credential(&vectors), time(&vectors.now)),
            Ok(mapping(vector))
        );
    }
}

#[test]
fn the_removals_and_releases_have_these_bytes() {
    let vectors = vectors();
    let now = time(&vectors.now);
    for vector in &vectors.removals {
        let id = vector.mapping_id.as_deref().map(|id| MappingId(array(id)));
        let removal = Removal {
            subject: csi(&vector.subject),
            target: id.map_or(RemovalTarget::All, RemovalTarget::Mapping),
            seq: vector.seq,
            issued_at: time(&vector.issued_at),
            assignment: vector.assignment,
        };
        let made = removal.sign(&key(&vectors.holder)).unwrap();
        let bytes = hex::decode(agreed(made.as_bytes(), &vector.hex)).unwrap();
        let decoded = SignedRemoval::from_bytes(&bytes).unwrap();
        assert_eq!(decoded.verify(&credential(&vectors), now), Ok(removal));
    }
    let trust = TrustList::from_toml(&vectors.trust_list).unwrap();
    for vector in &vectors.releases {
        let release = Release {
            issuer: Issuer::new(&vector.issuer).unwrap(),
            subject: csi(&vector.subject),
            assignment: vector.assignment,
            issued_at: time(&vector.issued_at),
            reason: match vector.reason.as_str() {
                "given-up" => ReleaseReason::GivenUp,
                "reassigned" => ReleaseReason::Reassigned,
                "ported" => ReleaseReason::Ported,
                "fraud" => ReleaseReason::Fraud,
                other => panic!("unknown reason {other}"),
            },
        };
        let made = release.sign(&key(&vectors.csip)).unwrap();
        let bytes = hex::decode(agreed(made.as_bytes(), &vector.hex)).unwrap();
        assert_eq!(
            SignedRelease::from_bytes(&bytes)
                .unwrap()
                .verify(&trust, now),
            Ok(release)
        );
    }
}

#[test]
fn the_bundles_have_these_bytes_and_results() {
    let vectors = vectors();
    let trust = TrustList::from_toml(&vectors.trust_list).unwrap();
    for vector in &vectors.bundles {
        let mappings = vector.mappings.iter().map(|name| {
            let found = vectors
                .mappings
                .iter()
                .find(|mapping| mapping.name == *name)
                .unwrap();
            mapping(found).sign(&key(&vectors.holder)).unwrap()
        });
        let credential = credential(&vectors);
        let signed = credential.clone().issue(&key(&vectors.csip)).unwrap();
        let made = Bundle::new(signed, mappings.collect()).unwrap();
        let bytes = hex::decode(agreed(made.encode(), &vector.hex)).unwrap();
        let bundle = Bundle::decode(&bytes).unwrap();
        let lookup = evaluate(
            Some(&bundle),
            &credential.subject,
            &trust,
            time(&vectors.now),
        );
        assert_eq!(serde_json::to_value(lookup).unwrap(), vector.lookup);
    }
}
