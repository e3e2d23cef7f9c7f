use std::sync::Arc;

use protocol::bucket::FillerSeed;
use protocol::cose::SigningKey;
use protocol::log::{LogHash, Part, SignedCheckpoint, TileId, Tree, bundle, prove_consistency};
use protocol::log::{verify_consistency, verify_inclusion};
use protocol::manifest::{Artifact, BuildId, Manifest, PirShape, SignedManifest, SnapshotId};
use protocol::oprf::OprfKey;
use protocol::placement::group_count;
use protocol::time::UnixTime;

use super::*;

fn key() -> SigningKey {
    SigningKey::from_seed(&[1; 32])
}

/// A manifest after another; `build` tells those with the same place apart.
fn manifest(previous: Option<&SignedManifest>, build: u8) -> SignedManifest {
    let artifact = Artifact {
        digest: Hash::of(b"artifact"),
        bytes: 8,
    };
    let pir = PirShape {
        parameter_set: "set".to_owned(),
        columns: 2048,
        bucket_bytes: 2048,
        query_bits: 32,
        mask_bits: 20,
        body_bits: 20,
        failure_log2: -40,
    };
    let now = UnixTime::parse_rfc3339("2026-11-25T12:00:00Z").unwrap();
    let manifest = Manifest {
        sequence: previous.map_or(0, |previous| previous.unverified().sequence) + 1,
        snapshot: SnapshotId::compute(&artifact.digest, &artifact.digest, &pir, 1),
        build_id: BuildId([build; 16]),
        published_at: now,
        expires_at: now.saturating_add(3600),
        pir,
        crs_epoch: 1,
        dp_key: key().verifying_key(),
        oprf_key: OprfKey::derive(&[2; 32], b"log").unwrap().public_key(),
        oprf_epoch: 1,
        records: 1,
        groups: group_count(1) as u64,
        filler_seed: FillerSeed([0; 32]),
        merkle_root: Hash::of(b"root"),
        database: artifact,
        hint: artifact,
        trust_list: Hash::of(b"trust"),
        audit: protocol::audit::Head::EMPTY,
        blocked: 0,
        previous: previous.map(SignedManifest::digest),
        token_keys: None,
        filter: None,
    };
    manifest.sign(&key()).unwrap()
}

fn chain(length: usize) -> Vec<SignedManifest> {
    let mut chain: Vec<SignedManifest> = Vec::new();
    for _ in 0..length {
        chain.push(manifest(chain.last(), 0));
    }
    chain
}

fn publish(objects: &Arc<dyn Objects>, chain: &[SignedManifest]) {
    let mut previous = None;
    for manifest in chain {
        extend(objects, previous, manifest, &key()).unwrap();
        previous = Some(manifest);
    }
}

fn objects(directory: &tempfile::TempDir) -> Arc<dyn Objects> {
    Arc::new(Directory::new(directory.path()))
}

#[test]
fn the_log_grows_over_bundles_and_proves_itself() {
    let directory = tempfile::tempdir().unwrap();
    let (objects, chain) = (objects(&directory), chain(259));
    publish(&objects, &chain);
    let log = PublishedLog::open(Arc::clone(&objects), &chain[258]).unwrap();
    let head = log.head();
    assert_eq!(head.size, 259);
    let checkpoint = log.checkpoint().unwrap();
    let checkpoint = SignedCheckpoint::open(&checkpoint, &key().verifying_key()).unwrap();
    assert_eq!(checkpoint.head(), head);

    // What is served has all entries, and their hashes lead to the root.
    let mut entries = Vec::new();
    for (index, width) in [(0, 256), (1, 3)] {
        let part = Part::Entries { index, width };
        let bytes = log.part(&part).unwrap().unwrap();
        for entry in bundle::decode(&bytes, width).unwrap() {
            entries.push(entry.to_vec());
        }
    }
    let published = chain.iter().map(|manifest| manifest.as_bytes());
    assert!(published.eq(entries.iter().map(Vec::as_slice)));
    let tree: Tree = entries
        .iter()
        .map(|entry| LogHash::of_leaf(entry))
        .collect();
    assert_eq!(tree.head(259), Some(head));
    let proof = protocol::log::prove_inclusion(258, 259, log.tree()).unwrap();
    let leaf = LogHash::of_leaf(chain[258].as_bytes());
    assert_eq!(verify_inclusion(&leaf, 258, &head, &proof), Ok(()));
    for earlier in [1, 255, 256, 257] {
        let proof = prove_consistency(earlier, 259, log.tree()).unwrap();
        let earlier = tree.head(earlier).unwrap();
        assert_eq!(verify_consistency(&earlier, &head, &proof), Ok(()));
    }

    // Narrower parts, of ends of the log before; nothing beyond.
    let narrow = log.part(&Part::Entries { index: 1, width: 2 }).unwrap();
    assert!(bundle::decode(&narrow.unwrap(), 2).is_ok());
    for part in [
        Part::Entries { index: 1, width: 4 },
        Part::Entries { index: 2, width: 1 },
        Part::Entries {
            index: u64::MAX,
            width: 1,
        },
        Part::Tile(TileId {
            level: 1,
            index: 0,
            width: 2,
        }),
        Part::Tile(TileId {
            level: 7,
            index: 0,
            width: 1,
        }),
    ] {
        assert_eq!(log.part(&part).unwrap(), None, "{part}");
    }

    // Ends that nobody serves any more are gone, the bundles are not.
    let names = |part: &str| {
        let entries = std::fs::read_dir(directory.path().join(part)).unwrap();
        entries.count()
    };
    assert_eq!(names("log/1"), 3);
    assert!(names("log/0") < 10);
    assert!(names("log") < 12);
}

#[test]
fn publishers_who_race_leave_one_history() {
    let directory = tempfile::tempdir().unwrap();
    let (objects, chain) = (objects(&directory), chain(3));
    publish(&objects, &chain[..2]);
    // Both write; then one of them moves the pointer.
    let (one, other) = (manifest(chain.get(1), 1), manifest(chain.get(1), 2));
    extend(&objects, chain.get(1), &one, &key()).unwrap();
    extend(&objects, chain.get(1), &other, &key()).unwrap();
    for won in [&one, &other] {
        let log = PublishedLog::open(Arc::clone(&objects), won).unwrap();
        assert_eq!(log.digest_of(3), Some(won.digest()));
        let checkpoint = log.checkpoint().unwrap();
        let checkpoint = SignedCheckpoint::open(&checkpoint, &key().verifying_key()).unwrap();
        assert_eq!(checkpoint.head(), log.head());
    }
    // And the one before is still whole, as if neither had been.
    assert!(PublishedLog::open(objects, &chain[1]).is_ok());
}

#[test]
fn what_is_missing_or_damaged_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let (objects, chain) = (objects(&directory), chain(2));
    publish(&objects, &chain);
    let name = bundle_name(2, &chain[1].digest());
    let good = objects.get(&name).unwrap().unwrap();
    for (at, byte) in good.iter().enumerate().step_by(97) {
        let mut bad = good.clone();
        bad[at] = byte ^ 1;
        objects.put(&name, &bad).unwrap();
        let error = PublishedLog::open(Arc::clone(&objects), &chain[1]).unwrap_err();
        assert!(error.to_string().contains(&name), "{error}");
    }
    objects.forget(&name).unwrap();
    let missing = PublishedLog::open(Arc::clone(&objects), &chain[1]).unwrap_err();
    assert!(matches!(missing, LogStorageError::Missing { .. }));
    objects.put(&name, &good).unwrap();
    // A checkpoint that clients would take for a trick.
    let name = checkpoint_name(&chain[1].digest());
    let good = objects.get(&name).unwrap().unwrap();
    let other = SignedCheckpoint::open(&good, &key().verifying_key()).unwrap();
    let mut other = other.head();
    other.size += 1;
    let other = SignedCheckpoint::sign(other, &key()).unwrap().encode();
    for bad in [&good[..good.len() - 1], b"", &other] {
        objects.put(&name, bad).unwrap();
        let error = PublishedLog::open(Arc::clone(&objects), &chain[1]).unwrap_err();
        assert!(error.to_string().contains(&name), "{error}");
    }
    objects.forget(&name).unwrap();
    let missing = PublishedLog::open(objects, &chain[1]).unwrap_err();
    assert!(matches!(missing, LogStorageError::Missing { .. }));
}

#[test]
fn a_chain_without_a_log_is_entered_while_all_of_it_is_known() {
    let chain = chain(3);
    let directory = tempfile::tempdir().unwrap();
    let first = objects(&directory);
    extend(&first, Some(&chain[0]), &chain[1], &key()).unwrap();
    let log = PublishedLog::open(first, &chain[1]).unwrap();
    assert_eq!(log.head().size, 2);

    let directory = tempfile::tempdir().unwrap();
    let later = extend(&objects(&directory), Some(&chain[1]), &chain[2], &key());
    let unlogged = matches!(later, Err(LogStorageError::Unlogged { sequence: 2 }));
    assert!(unlogged, "{later:?}");
}

#[test]
fn a_mirror_has_what_is_published() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (from, to, chain) = (objects(&from), objects(&to), chain(258));
    publish(&from, &chain);
    mirror(&*from, &*to, &chain[257]).unwrap();
    let log = PublishedLog::open(to, &chain[257]).unwrap();
    assert_eq!(log.head().size, 258);
}

#[test]
fn a_mirror_takes_nothing_that_is_damaged() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (from, to, chain) = (objects(&from), objects(&to), chain(2));
    publish(&from, &chain);
    let bundle = bundle_name(2, &chain[1].digest());
    let checkpoint = checkpoint_name(&chain[1].digest());
    for name in [&bundle, &checkpoint] {
        let good = from.get(name).unwrap().unwrap();
        let mut bad = good.clone();
        bad[good.len() / 2] ^= 1;
        from.put(name, &bad).unwrap();
        let error = mirror(&*from, &*to, &chain[1]).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
        assert_eq!(to.get(name).unwrap(), None, "{name}");
        from.put(name, &good).unwrap();
        // What is damaged here already is fetched anew.
        to.put(name, &bad).unwrap();
        mirror(&*from, &*to, &chain[1]).unwrap();
        let log = PublishedLog::open(Arc::clone(&to), &chain[1]).unwrap();
        assert_eq!(log.head().size, 2);
        to.forget(&bundle).unwrap();
        to.forget(&checkpoint).unwrap();
    }
}
