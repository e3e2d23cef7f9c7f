use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use protocol::audience::AudienceSecret;
use protocol::cose::SigningKey;
use protocol::manifest::SignedManifest;

use super::*;
use crate::fixture::{Snapshot, bundle, csi, oprf_key, provider_key};

fn provider() -> VerifyingKey {
    provider_key().verifying_key()
}

/// Manifests that follow one another, of the same records.
fn manifests(count: usize) -> Vec<SignedManifest> {
    let records = [bundle("someone", &["a.example"])];
    let mut snapshots: Vec<Snapshot> = Vec::new();
    for _ in 0..count {
        snapshots.push(Snapshot::build(&records, &[], snapshots.last()));
    }
    let signed = snapshots.iter().map(|snapshot| &snapshot.published);
    signed
        .map(|published| SignedManifest::from_bytes(published).unwrap())
        .collect()
}

fn accept(cache: &Cache, signed: &SignedManifest) {
    cache.accept(signed.unverified(), signed.pin()).unwrap();
}

fn output(name: &str) -> OprfOutput {
    oprf_key().evaluate(&csi(name)).unwrap()
}

fn evaluated(name: &str, slots: u8) -> Evaluated {
    let slot = |fill| {
        let secret = AudienceSecret::from_bytes([fill; 32]);
        (secret, OprfOutput::from_bytes([fill; 64]))
    };
    Evaluated {
        public: output(name),
        audiences: (1..slots).map(slot).collect(),
    }
}

fn keep(cache: &Cache, scope: Scope, name: &str) {
    let rows = [(&csi(name), evaluated(name, 4))];
    cache.keep_evaluations(scope, rows.into_iter()).unwrap();
}

fn recalled(cache: &Cache, scope: Scope, name: &str) -> Option<Evaluated> {
    let mut rows = cache.evaluations(scope, [csi(name)].iter()).unwrap();
    rows.pop().unwrap()
}

fn bucket(cache: &Cache, id: &SnapshotId, name: &str) -> Option<Vec<u8>> {
    cache
        .buckets(id, [output(name)].iter())
        .unwrap()
        .pop()
        .unwrap()
}

#[test]
fn files_are_the_owners_alone_and_name_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cache");
    let manifest = &manifests(1)[0];
    let scope = Scope::of(manifest.unverified());
    let id = manifest.unverified().snapshot;
    let cache = Cache::open(&path, &provider()).unwrap();
    accept(&cache, manifest);
    keep(&cache, scope, "someone");
    let column = b"the bucket of someone".as_slice();
    let rows = [(&output("someone"), column)];
    cache.keep_buckets(&id, rows.into_iter()).unwrap();

    // What was kept is there for the next process.
    let again = Cache::open(&path, &provider()).unwrap();
    let found = recalled(&again, scope, "someone").unwrap();
    let expected = evaluated("someone", 4);
    assert_eq!(*found.encode(), *expected.encode());
    assert_eq!(bucket(&again, &id, "someone").unwrap(), column);
    assert!(recalled(&again, scope, "someone.else").is_none());
    assert_eq!(again.manifest_pin().unwrap(), Some(manifest.pin()));

    for name in ["cache", "cache.key"] {
        let path = directory.path().join(name);
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{name}");
        let bytes = fs::read(&path).unwrap();
        let has = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
        assert!(!has(b"someone") && !has(output("someone").as_bytes()));
        assert!(!has(&[1; 32]), "{name} has an audience's secret");
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
}

#[test]
fn others_files_and_keys_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cache");
    let key = directory.path().join("cache.key");
    Cache::open(&path, &provider()).unwrap();
    let refused = |provider: &VerifyingKey| Cache::open(&path, provider).unwrap_err();
    let stranger = SigningKey::from_seed(&[8; 32]).verifying_key();
    assert!(matches!(refused(&stranger), CacheError::OtherProvider));

    let set_mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    for path in [&path, &key] {
        set_mode(path, 0o640);
        assert!(matches!(refused(&provider()), CacheError::Exposed { .. }));
        set_mode(path, 0o600);
    }
    let honest = fs::read(&key).unwrap();
    fs::write(&key, "sotto-cache:AAAA\n").unwrap();
    assert!(matches!(refused(&provider()), CacheError::Key { .. }));
    fs::remove_file(&key).unwrap();
    assert!(matches!(refused(&provider()), CacheError::Key { .. }));
    let other = directory.path().join("other");
    Cache::open(&other, &provider()).unwrap();
    fs::copy(directory.path().join("other.key"), &key).unwrap();
    assert!(matches!(refused(&provider()), CacheError::OtherKey));
    fs::write(&key, honest).unwrap();
    Cache::open(&path, &provider()).unwrap();
    fs::write(&path, [0x5a; 4096]).unwrap();
    assert!(matches!(refused(&provider()), CacheError::Engine(_)));
}

#[test]
fn evaluations_are_of_one_key_and_buckets_of_one_snapshot() {
    let directory = tempfile::tempdir().unwrap();
    let [first, second, third] = manifests(3).try_into().unwrap();
    let file = Cache::open(directory.path().join("cache"), &provider()).unwrap();
    for cache in [file, Cache::in_memory(&provider()).unwrap()] {
        let scope = Scope::of(first.unverified());
        // Nothing before a manifest was accepted.
        keep(&cache, scope, "early");
        accept(&cache, &first);
        assert!(recalled(&cache, scope, "early").is_none());
        keep(&cache, scope, "someone");
        let old = first.unverified().snapshot;
        let rows = [(&output("someone"), b"bucket".as_slice())];
        cache.keep_buckets(&old, rows.into_iter()).unwrap();

        // A newer snapshot under the same key.
        accept(&cache, &second);
        let new = second.unverified().snapshot;
        assert_ne!(new, old);
        assert!(recalled(&cache, scope, "someone").is_some());
        assert!(bucket(&cache, &old, "someone").is_none());
        assert!(bucket(&cache, &new, "someone").is_none());
        cache.keep_buckets(&old, rows.into_iter()).unwrap();
        assert!(bucket(&cache, &old, "someone").is_none());

        // A process that is behind changes nothing.
        accept(&cache, &first);
        assert_eq!(cache.manifest_pin().unwrap(), Some(second.pin()));

        // Another epoch, another key.
        let mut manifest = third.unverified().clone();
        manifest.oprf_epoch += 1;
        cache.accept(&manifest, third.pin()).unwrap();
        assert!(recalled(&cache, scope, "someone").is_none());
        let rotated = Scope::of(&manifest);
        assert!(recalled(&cache, rotated, "someone").is_none());
        keep(&cache, scope, "someone");
        assert!(recalled(&cache, scope, "someone").is_none());
        keep(&cache, rotated, "someone");
        assert!(recalled(&cache, rotated, "someone").is_some());
    }
}

#[test]
fn rows_are_bound_to_their_place() {
    let keys = CacheKeys::generate();
    let sealed = keys
        .seal(Kind::Bucket, &[1; 32], b"here", b"content")
        .unwrap();
    let open = |kind, name: u8, context: &[u8]| keys.open(kind, &[name; 32], context, &sealed);
    assert_eq!(**open(Kind::Bucket, 1, b"here").unwrap(), *b"content");
    assert!(open(Kind::Evaluations, 1, b"here").is_err());
    assert!(open(Kind::Bucket, 2, b"here").is_err());
    assert!(open(Kind::Bucket, 1, b"there").is_err());
    assert!(
        keys.open(Kind::Bucket, &[1; 32], b"here", b"short")
            .is_err()
    );
}

#[test]
fn rows_and_pins_round_trip() {
    for slots in [1, 2, 16] {
        let plain = evaluated("someone", slots).encode();
        assert_eq!(*Evaluated::decode(&plain).unwrap().encode(), *plain);
        assert!(Evaluated::decode(&plain[1..]).is_none());
    }
    assert!(Evaluated::decode(&[]).is_none());
    let pin = manifests(1)[0].pin();
    let bytes = row::encode_pin(&pin);
    assert_eq!(row::decode_pin(&bytes), Some(pin));
    assert_eq!(row::decode_pin(&bytes[1..]), None);
}

#[test]
fn several_may_use_a_file_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cache");
    let manifest = &manifests(1)[0];
    let scope = Scope::of(manifest.unverified());
    let caches: Vec<Arc<Cache>> = (0..4)
        .map(|_| Arc::new(Cache::open(&path, &provider()).unwrap()))
        .collect();
    accept(&caches[0], manifest);
    std::thread::scope(|threads| {
        for (at, cache) in caches.iter().enumerate() {
            threads.spawn(move || {
                for n in 0..4 {
                    keep(cache, scope, &format!("someone{at}.{n}"));
                }
            });
        }
    });
    for at in 0..4 {
        for n in 0..4 {
            assert!(recalled(&caches[3 - at], scope, &format!("someone{at}.{n}")).is_some());
        }
    }
}
