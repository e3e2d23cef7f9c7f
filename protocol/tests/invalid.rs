//! Runs `tests/vectors/v1/invalid.json`: every object is refused, and with
//! exactly the stated error.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use protocol::bundle::Bundle;
use protocol::cose::VerifyingKey;
use protocol::credential::{Credential, SignedCredential};
use protocol::manifest::SignedManifest;
use protocol::mapping::SignedMapping;
use protocol::removal::{SignedRelease, SignedRemoval};
use protocol::time::UnixTime;
use protocol::trust::TrustList;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vectors {
    verify_at: String,
    trust_list: String,
    dp_key: String,
    credentials: BTreeMap<String, String>,
    manifest: String,
    invalid: Vec<Invalid>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Invalid {
    name: String,
    kind: String,
    hex: String,
    /// The rule that it breaks, with its source.
    rule: String,
    /// The error: names of variants from the outermost in.
    error: String,
    /// Whose credential a mapping or removal is checked with.
    credential: Option<String>,
}

/// What objects are verified against.
struct Verifier {
    now: UnixTime,
    trust: TrustList,
    dp_key: VerifyingKey,
    credentials: BTreeMap<String, Credential>,
}

impl Verifier {
    fn new(vectors: &Vectors) -> Self {
        let now = UnixTime::parse_rfc3339(&vectors.verify_at).unwrap();
        let trust = TrustList::from_toml(&vectors.trust_list).unwrap();
        let credential = |(name, text): (&String, &String)| {
            let signed = SignedCredential::from_bytes(&hex::decode(text).unwrap()).unwrap();
            (name.clone(), signed.verify(&trust, now).unwrap())
        };
        Self {
            now,
            credentials: vectors.credentials.iter().map(credential).collect(),
            dp_key: VerifyingKey::from_text(&vectors.dp_key).unwrap(),
            trust,
        }
    }

    /// The error that an object is refused with.
    fn refusal(&self, vector: &Invalid) -> Option<String> {
        let bytes = hex::decode(&vector.hex).unwrap();
        let credential = || &self.credentials[vector.credential.as_ref().unwrap()];
        match vector.kind.as_str() {
            "credential" => words(
                SignedCredential::from_bytes(&bytes)
                    .and_then(|signed| signed.verify(&self.trust, self.now)),
            ),
            "mapping" => words(
                SignedMapping::from_bytes(&bytes)
                    .and_then(|signed| signed.verify(credential(), self.now)),
            ),
            "removal" => words(
                SignedRemoval::from_bytes(&bytes)
                    .and_then(|signed| signed.verify(credential(), self.now)),
            ),
            "release" => words(
                SignedRelease::from_bytes(&bytes)
                    .and_then(|signed| signed.verify(&self.trust, self.now)),
            ),
            "manifest" => words(
                SignedManifest::from_bytes(&bytes)
                    .and_then(|signed| signed.verify(&self.dp_key, self.now).cloned()),
            ),
            "bundle" => words(Bundle::decode(&bytes)),
            other => panic!("unknown kind {other}"),
        }
    }
}

/// The names of an error's variants from the outermost in, such as
/// `Cose.Cbor.TrailingBytes`; `None` if there is no error.
fn words<T, E: Debug>(found: Result<T, E>) -> Option<String> {
    let error = format!("{:?}", found.err()?);
    let mut words = Vec::new();
    let mut rest = error.as_str();
    loop {
        let end = rest
            .find(|c: char| !c.is_ascii_alphanumeric())
            .unwrap_or(rest.len());
        words.push(&rest[..end]);
        // An inner error is the only field, or one called `source`.
        rest = match rest[end..].strip_prefix('(') {
            Some(inner) => inner,
            None => match rest[end..].split_once("source: ") {
                Some((_, inner)) => inner,
                None => return Some(words.join(".")),
            },
        };
    }
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../../tests/vectors/v1/invalid.json")).unwrap()
}

#[test]
fn every_object_is_refused_with_its_error() {
    let vectors = vectors();
    let verifier = Verifier::new(&vectors);
    let mut wrong = Vec::new();
    for vector in &vectors.invalid {
        let found = verifier.refusal(vector);
        if found.as_ref() != Some(&vector.error) {
            let Invalid {
                name, rule, error, ..
            } = vector;
            wrong.push(format!("{name} ({rule}): {found:?}, expected {error}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_manifest_that_the_others_differ_from_is_accepted() {
    let vectors = vectors();
    let verifier = Verifier::new(&vectors);
    let manifest = SignedManifest::from_bytes(&hex::decode(&vectors.manifest).unwrap()).unwrap();
    assert!(manifest.verify(&verifier.dp_key, verifier.now).is_ok());
}

#[test]
fn the_vectors_are_distinct() {
    let vectors = vectors().invalid;
    let names: BTreeSet<_> = vectors.iter().map(|vector| &vector.name).collect();
    let objects: BTreeSet<_> = vectors
        .iter()
        .map(|vector| (&vector.kind, &vector.hex, &vector.credential))
        .collect();
    assert_eq!(names.len(), vectors.len());
    assert_eq!(objects.len(), vectors.len());
    assert!(vectors.len() > 300);
}
