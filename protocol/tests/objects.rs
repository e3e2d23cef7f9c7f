//! Runs `tests/vectors/v1/objects.json`: every object is rebuilt from its
//! fields, compared with its bytes, decoded from them and verified.

use std::collections::BTreeMap;

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
    by_algorithm: ByAlgorithm,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ByAlgorithm {
    csips: BTreeMap<String, Key>,
    holders: BTreeMap<String, Key>,
    trust_list: String,
    trust_list_digest: String,
    sets: Vec<Set>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Set {
    csip: String,
    holder: String,
    credential: CredentialVector,
    mapping: MappingVector,
    removal: RemovalVector,
    release: ReleaseVector,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    seed: Option<String>,
    pkcs8: String,
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
    SigningKey::from_pkcs8_der(&hex::decode(&vector.pkcs8).unwrap()).unwrap()
}

/// The bytes as made here and as in the vector, which must be equal.
fn agreed<'a>(made: &[u8], vector: &'a str) -> &'a str {
    assert_eq!(hex::encode(made), vector);
    vector
}

fn credential(vector: &CredentialVector, holder: &SigningKey) -> Credential {
    Credential {
        issuer: Issuer::new(&vector.issuer).unwrap(),
        subject: csi(&vector.subject),
        holder: holder.verifying_key(),
        issued_at: time(&vector.issued_at),
        expires: time(&vector.expires),
        assignment: vector.assignment,
    }
}

fn removal(vector: &RemovalVector) -> Removal {
    let id = vector.mapping_id.as_deref().map(|id| MappingId(array(id)));
    Removal {
        subject: csi(&vector.subject),
        target: id.map_or(RemovalTarget::All, RemovalTarget::Mapping),
        seq: vector.seq,
        issued_at: time(&vector.issued_at),
        assignment: vector.assignment,
    }
}

fn release(vector: &ReleaseVector) -> Release {
    Release {
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

/// Who signs, and whom a sender trusts when.
struct Parties {
    csip: SigningKey,
    holder: SigningKey,
    trust: TrustList,
    now: UnixTime,
}

impl Parties {
    fn of(vectors: &Vectors) -> Self {
        Self {
            csip: key(&vectors.csip),
            holder: key(&vectors.holder),
            trust: TrustList::from_toml(&vectors.trust_list).unwrap(),
            now: time(&vectors.now),
        }
    }

    fn credential(&self, vector: &CredentialVector) -> Credential {
        let expected = credential(vector, &self.holder);
        let made = expected.clone().issue(&self.csip).unwrap();
        let bytes = hex::decode(agreed(made.as_bytes(), &vector.hex)).unwrap();
        let decoded = SignedCredential::from_bytes(&bytes).unwrap();
        let verified = decoded.verify(&self.trust, self.now);
        assert_eq!(verified.as_ref(), Ok(&expected));
        expected
    }

    fn mapping(&self, vector: &MappingVector, credential: &Credential) {
        let expected = mapping(vector);
        let made = expected.sign(&self.holder).unwrap();
        let bytes = hex::decode(agreed(made.as_bytes(), &vector.hex)).unwrap();
        let decoded = SignedMapping::from_bytes(&bytes).unwrap();
        assert_eq!(decoded.verify(credential, self.now), Ok(expected));
    }

    fn removal(&self, vector: &RemovalVector, credential: &Credential) {
        let expected = removal(vector);
        let made = expected.sign(&self.holder).unwrap();
        let bytes = hex::decode(agreed(made.as_bytes(), &vector.hex)).unwrap();
        let decoded = SignedRemoval::from_bytes(&bytes).unwrap();
        assert_eq!(decoded.verify(credential, self.now), Ok(expected));
    }

    fn release(&self, vector: &ReleaseVector) {
        let expected = release(vector);
        let made = expected.sign(&self.csip).unwrap();
        let bytes = hex::decode(agreed(made.as_bytes(), &vector.hex)).unwrap();
        let decoded = SignedRelease::from_bytes(&bytes).unwrap();
        assert_eq!(decoded.verify(&self.trust, self.now), Ok(expected));
    }
}

#[test]
fn keys_have_these_forms() {
    let vectors = vectors();
    let more = &vectors.by_algorithm;
    let keys = [&vectors.csip, &vectors.holder].into_iter();
    for vector in keys.chain(more.csips.values()).chain(more.holders.values()) {
        let secret = key(vector);
        assert_eq!(hex::encode(secret.to_pkcs8_der()), vector.pkcs8);
        assert_eq!(
            secret.seed().map(|seed| hex::encode(seed.as_ref())),
            vector.seed
        );
        let key = secret.verifying_key();
        assert_eq!(key.to_text(), vector.text);
        assert_eq!(VerifyingKey::from_text(&vector.text), Ok(key.clone()));
        assert_eq!(hex::encode(key.to_cose_key()), vector.cose_key);
        assert_eq!(hex::encode(key.key_id().as_bytes()), vector.key_id);
        assert_eq!(
            VerifyingKey::from_cose_key(&hex::decode(&vector.cose_key).unwrap()),
            Ok(key)
        );
    }
}

#[test]
fn the_trust_lists_have_these_digests() {
    let vectors = vectors();
    let more = &vectors.by_algorithm;
    for (text, digest) in [
        (&vectors.trust_list, &vectors.trust_list_digest),
        (&more.trust_list, &more.trust_list_digest),
    ] {
        let trust = TrustList::from_toml(text).unwrap();
        assert_eq!(hex::encode(trust.digest()), *digest);
    }
}

#[test]
fn the_objects_have_these_bytes() {
    let vectors = vectors();
    let parties = Parties::of(&vectors);
    let credential = parties.credential(&vectors.credential);
    for vector in &vectors.mappings {
        parties.mapping(vector, &credential);
    }
    for vector in &vectors.removals {
        parties.removal(vector, &credential);
    }
    for vector in &vectors.releases {
        parties.release(vector);
    }
}

#[test]
fn the_objects_of_each_algorithm_have_these_bytes() {
    let vectors = vectors();
    let more = &vectors.by_algorithm;
    assert_eq!(more.sets.len(), 3);
    for set in &more.sets {
        let parties = Parties {
            csip: key(&more.csips[&set.csip]),
            holder: key(&more.holders[&set.holder]),
            trust: TrustList::from_toml(&more.trust_list).unwrap(),
            now: time(&vectors.now),
        };
        let credential = parties.credential(&set.credential);
        parties.mapping(&set.mapping, &credential);
        parties.removal(&set.removal, &credential);
        parties.release(&set.release);
    }
}

#[test]
fn the_bundles_have_these_bytes_and_results() {
    let vectors = vectors();
    let parties = Parties::of(&vectors);
    let credential = parties.credential(&vectors.credential);
    for vector in &vectors.bundles {
        let mappings = vector.mappings.iter().map(|name| {
            let found = vectors
                .mappings
                .iter()
                .find(|mapping| mapping.name == *name)
                .unwrap();
            mapping(found).sign(&parties.holder).unwrap()
        });
        let signed = credential.clone().issue(&parties.csip).unwrap();
        let made = Bundle::new(signed, mappings.collect()).unwrap();
        let bytes = hex::decode(agreed(made.encode(), &vector.hex)).unwrap();
        let bundle = Bundle::decode(&bytes).unwrap();
        let lookup = evaluate(
            Some(&bundle),
            &credential.subject,
            &parties.trust,
            parties.now,
        );
        assert_eq!(serde_json::to_value(lookup).unwrap(), vector.lookup);
    }
}
