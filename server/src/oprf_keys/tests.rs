use std::fs;
use std::path::Path;

use protocol::audit::Head;
use protocol::bucket::FillerSeed;
use protocol::cose::SigningKey;
use protocol::csi::Csi;
use protocol::manifest::{Artifact, BuildId, PirShape, SnapshotId};
use protocol::merkle::Hash;
use protocol::oprf::OprfShare;

use super::*;
use crate::keys::{self, KeyKind, PassphraseSource, Protection};

const LIFETIME_SECS: u64 = 3600;

/// A directory of keys, and one for second shares.
struct Keys {
    root: tempfile::TempDir,
    now: UnixTime,
}

impl Keys {
    /// With the key of the first epoch.
    fn new() -> Self {
        let keys = Self::empty();
        assert_eq!(keys.dir().rotate(None, keys.now, false).unwrap(), 1);
        keys
    }

    fn empty() -> Self {
        let root = tempfile::tempdir().unwrap();
        for name in ["keys", "second"] {
            fs::create_dir(root.path().join(name)).unwrap();
        }
        let now = UnixTime::from_secs(1_800_000_000);
        Self { root, now }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn dir(&self) -> OprfKeyDir {
        self.open(None, PassphraseSource::default())
    }

    fn split_dir(&self) -> OprfKeyDir {
        self.open(Some(self.path("second")), PassphraseSource::default())
    }

    fn open(&self, second: Option<PathBuf>, passphrases: PassphraseSource) -> OprfKeyDir {
        OprfKeyDir::open(&self.path("keys"), second, passphrases).unwrap()
    }

    fn after(&self, secs: u64) -> UnixTime {
        self.now.saturating_add(secs)
    }

    /// A manifest under the newest key, valid for an hour from now.
    fn manifest(&self) -> Manifest {
        self.manifest_of(&self.dir().load().unwrap().newest)
    }

    fn manifest_of(&self, key: &EpochKey) -> Manifest {
        let artifact = Artifact {
            digest: Hash::of(b"artifact"),
            bytes: 1,
        };
        Manifest {
            sequence: 1,
            snapshot: SnapshotId::from_bytes([1; 32]),
            build_id: BuildId([2; 16]),
            published_at: self.now,
            expires_at: self.after(LIFETIME_SECS),
            pir: PirShape {
                parameter_set: "test".to_owned(),
                columns: 2048,
                bucket_bytes: 2048,
                query_bits: 56,
                mask_bits: 28,
                body_bits: 20,
                failure_log2: -45,
            },
            crs_epoch: 1,
            dp_key: SigningKey::from_seed(&[3; 32]).verifying_key(),
            oprf_key: key.public_key(),
            oprf_epoch: key.epoch,
            records: 0,
            groups: 0,
            filler_seed: FillerSeed([4; 32]),
            merkle_root: Hash::of(b"root"),
            database: artifact,
            hint: artifact,
            trust_list: Hash::of(b"trust list"),
            audit: Head {
                entries: 0,
                hash: Hash::of(b"audit"),
            },
            blocked: 0,
            previous: None,
            token_keys: None,
            filter: None,
        }
    }

    fn files(&self, name: &str) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.path(name))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn public(dir: &OprfKeyDir) -> OprfPublicKey {
    dir.load().unwrap().newest.public_key()
}

#[test]
fn a_rotation_from_its_beginning_to_its_end() {
    let keys = Keys::new();
    let dir = keys.dir();
    let first = keys.manifest();
    assert!(dir.is_settled(1, keys.now).unwrap());
    assert_eq!(dir.rotate(Some(&first), keys.after(10), false).unwrap(), 2);

    // Nothing is published under the new key: both evaluate, without an end.
    let ring = dir.load().unwrap();
    assert_ne!(ring.newest.public_key(), first.oprf_key);
    for at in [keys.now, keys.after(1_000_000)] {
        assert!(ring.live(1, at).is_some() && ring.live(2, at).is_some());
        assert!(ring.live(0, at).is_none() && ring.live(3, at).is_none());
    }
    assert!(ring.serves(&first) && ring.serves(&keys.manifest()));
    let mut foreign = keys.manifest();
    foreign.oprf_key = first.oprf_key;
    assert!(!ring.serves(&foreign));
    let refusal = |retire, at| dir.rotate(Some(&first), keys.after(at), retire);
    for retire in [false, true] {
        assert!(matches!(
            refusal(retire, 1_000_000),
            Err(OprfKeysError::Unpublished { epoch: 2 })
        ));
    }

    // Published: the former key ends with the last manifest of its time.
    let second = keys.manifest();
    assert!(!dir.is_settled(2, keys.after(20)).unwrap());
    let ring = dir
        .settle(ring, Some(&first), &second, LIFETIME_SECS, keys.after(20))
        .unwrap();
    assert!(dir.is_settled(2, keys.after(20)).unwrap());
    assert!(ring.live(1, keys.after(LIFETIME_SECS - 1)).is_some());
    assert!(ring.live(1, keys.after(LIFETIME_SECS)).is_none());
    assert!(matches!(
        dir.rotate(Some(&second), keys.after(30), false),
        Err(OprfKeysError::Live { former: 1, retires: Some(at) }) if at == keys.after(LIFETIME_SECS)
    ));
    assert_eq!(keys.files("keys/oprf"), ["1.key", "2.key", "epochs.toml"]);

    // Over: its file goes.
    let end = keys.after(LIFETIME_SECS);
    assert!(!dir.is_settled(2, end).unwrap());
    let ring = dir
        .settle(ring, Some(&second), &second, LIFETIME_SECS, end)
        .unwrap();
    assert!(ring.former.is_none());
    assert_eq!(keys.files("keys/oprf"), ["2.key", "epochs.toml"]);
    assert!(dir.is_settled(2, end).unwrap());
    assert_eq!(dir.rotate(Some(&second), end, false).unwrap(), 3);
    assert_eq!(dir.load().unwrap().former.unwrap().key.epoch, 2);
}

#[test]
fn a_former_key_can_be_ended_at_once() {
    let keys = Keys::new();
    let dir = keys.dir();
    let first = keys.manifest();
    dir.rotate(Some(&first), keys.now, false).unwrap();
    let second = keys.manifest();
    dir.settle(
        dir.load().unwrap(),
        Some(&first),
        &second,
        LIFETIME_SECS,
        keys.now,
    )
    .unwrap();
    assert_eq!(dir.rotate(Some(&second), keys.after(1), true).unwrap(), 3);
    assert_eq!(keys.files("keys/oprf"), ["2.key", "3.key", "epochs.toml"]);
    let ring = dir.load().unwrap();
    assert!(ring.serves(&second) && !ring.serves(&first));
}

/// What a crash leaves between two steps of a rotation.
#[test]
fn an_interrupted_rotation_goes_on() {
    let keys = Keys::new();
    let dir = keys.dir();
    let first = keys.manifest();
    let epochs = keys.path("keys/oprf/epochs.toml");
    let before = fs::read(&epochs).unwrap();
    dir.rotate(Some(&first), keys.after(10), false).unwrap();
    // Between the key and the note on it, and while a file is written.
    fs::write(&epochs, before).unwrap();
    fs::write(keys.path("keys/oprf/.3.key.77.abc.tmp"), "sotto-").unwrap();
    let ring = dir.load().unwrap();
    assert!(ring.live(1, keys.now).is_some() && ring.newest.epoch == 2);
    assert!(!dir.rotation_is_due(1, keys.after(1_000_000)).unwrap());

    // Between the snapshot and the note: the manifest before is not known then,
    // so that the former key stays for a lifetime from now.
    let second = keys.manifest();
    assert!(!dir.is_settled(2, keys.after(50)).unwrap());
    let ring = dir
        .settle(ring, Some(&second), &second, LIFETIME_SECS, keys.after(50))
        .unwrap();
    assert!(ring.live(1, keys.after(50 + LIFETIME_SECS - 1)).is_some());
    assert!(ring.live(1, keys.after(50 + LIFETIME_SECS)).is_none());

    // Between the former key's end and the note on that.
    fs::remove_file(keys.path("keys/oprf/1.key")).unwrap();
    let ring = dir.load().unwrap();
    assert!(ring.former.is_none());
    dir.settle(ring, None, &second, LIFETIME_SECS, keys.after(60))
        .unwrap();
    assert!(dir.is_settled(2, keys.after(1_000_000)).unwrap());

    // Without notes, times are counted from now.
    fs::remove_file(&epochs).unwrap();
    assert!(!dir.is_settled(2, keys.after(70)).unwrap());
    let ring = dir.load().unwrap();
    dir.settle(ring, None, &second, LIFETIME_SECS, keys.after(70))
        .unwrap();
    assert_eq!(dir.status().unwrap()[0].made, Some(keys.after(70)));
}

#[test]
fn keys_rotate_by_their_age() {
    const DAY: u64 = 24 * 3600;
    let keys = Keys::new();
    let dir = keys.dir();
    let due = |days, secs| dir.rotation_is_due(days, keys.after(secs)).unwrap();
    assert!(!due(0, 10_000 * DAY));
    assert!(!due(30, 30 * DAY - 1));
    assert!(due(30, 30 * DAY));
    dir.rotate(Some(&keys.manifest()), keys.after(30 * DAY), false)
        .unwrap();
    // The former key comes to its end first.
    assert!(!due(30, 100 * DAY));
}

#[test]
fn the_key_of_the_time_before_epochs_is_that_of_the_first() {
    let keys = Keys::empty();
    let old = keys.path("keys/oprf.key");
    let key = OprfKey::generate(&mut rand::rng());
    keys::create(&old, KeyKind::Oprf, &key.to_bytes(), None).unwrap();
    let first = keys.path("keys/oprf/1.key");
    // In one go, and after a crash that left both names.
    for crashed in [false, true] {
        let ring = keys.dir().load().unwrap();
        assert_eq!(
            (ring.newest.epoch, &ring.newest.public_key()),
            (1, &key.public_key())
        );
        assert!(first.exists() && !old.exists());
        if !crashed {
            fs::hard_link(&first, &old).unwrap();
        }
    }
    // Another one is not thrown away.
    let other = OprfKey::generate(&mut rand::rng());
    keys::create(&old, KeyKind::Oprf, &other.to_bytes(), None).unwrap();
    let refused = OprfKeyDir::open(&keys.path("keys"), None, PassphraseSource::default());
    assert!(matches!(refused, Err(OprfKeysError::Ambiguous { .. })));
    assert!(first.exists() && old.exists());
}

#[test]
fn a_lost_key_is_followed_by_the_next_epoch() {
    let keys = Keys::new();
    let published = Manifest {
        oprf_epoch: 7,
        ..keys.manifest()
    };
    fs::remove_file(keys.path("keys/oprf/1.key")).unwrap();
    let dir = keys.dir();
    let error = dir.load().unwrap_err();
    assert!(error.to_string().contains("oprf rotate"), "{error}");
    assert_eq!(dir.rotate(Some(&published), keys.now, false).unwrap(), 8);
    assert_eq!(dir.load().unwrap().newest.epoch, 8);
}

#[test]
fn split_keys_need_both_shares() {
    let keys = Keys::new();
    let dir = keys.split_dir();
    dir.rotate(Some(&keys.manifest()), keys.now, false).unwrap();
    let whole = dir.load().unwrap();
    assert!(matches!(
        dir.split(&keys.path("keys/oprf")),
        Err(OprfKeysError::SamePlace { .. })
    ));
    assert_eq!(dir.split(&keys.path("second")).unwrap(), [1, 2]);
    assert!(matches!(
        dir.split(&keys.path("second")),
        Err(OprfKeysError::Split)
    ));
    assert_eq!(
        keys.files("keys/oprf"),
        ["1.share", "2.share", "epochs.toml"]
    );
    assert_eq!(keys.files("second"), ["1.share", "2.share"]);
    let split = dir.load().unwrap();
    for (left, right) in whole.all().zip(split.all()) {
        assert_eq!(left.public_key(), right.public_key());
    }
    let forms: Vec<Form> = dir.status().unwrap().iter().map(|s| s.form).collect();
    assert_eq!(forms, [Form::Split(Protection::Plain); 2]);

    // Either alone is refused, and says what is missing.
    let error = keys.dir().load().unwrap_err().to_string();
    assert!(
        error.contains("one of two shares") && error.contains("oprf.second_shares"),
        "{error}"
    );
    let (second, aside) = (keys.path("second/2.share"), keys.path("aside"));
    fs::rename(&second, &aside).unwrap();
    let error = dir.load().unwrap_err().to_string();
    assert!(
        error.contains("not at") && error.contains("second/2.share"),
        "{error}"
    );
    // A share is no key, whatever it is called.
    fs::copy(&aside, keys.path("keys/oprf/3.key")).unwrap();
    assert!(matches!(
        dir.load(),
        Err(OprfKeysError::Key(KeyError::Malformed { .. }))
    ));
    fs::remove_file(keys.path("keys/oprf/3.key")).unwrap();
    // Another key's share, or the same one twice.
    for wrong in ["second/1.share", "keys/oprf/2.share"] {
        fs::copy(keys.path(wrong), &second).unwrap();
        assert!(
            matches!(dir.load(), Err(OprfKeysError::Shares { .. })),
            "{wrong}"
        );
    }
    fs::copy(&aside, &second).unwrap();
    assert_eq!(public(&dir), whole.newest.public_key());
    assert_lone_share_is_another_key(&second, &whole.newest);
}

/// Whoever takes one share for the key evaluates to something else.
fn assert_lone_share_is_another_key(path: &Path, whole: &EpochKey) {
    let bytes = keys::read(path, KeyKind::OprfShare, &PassphraseSource::default()).unwrap();
    assert_eq!(
        OprfShare::from_bytes(&bytes).unwrap().public_key(),
        whole.public_key()
    );
    let alone = OprfKey::from_bytes(bytes[..32].try_into().unwrap()).unwrap();
    assert_ne!(alone.public_key(), whole.public_key());
    let csi = &Csi::parse("user@example.org").unwrap();
    assert_ne!(
        alone.evaluate(csi).unwrap().as_bytes(),
        whole.key.evaluate(csi).unwrap().as_bytes()
    );
}

#[test]
fn an_interrupted_split_leaves_the_whole_key_in_use() {
    let keys = Keys::new();
    let dir = keys.split_dir();
    let key = dir.load().unwrap().newest;
    let second = keys.path("second");
    // After the second share; after both; and after the whole key went.
    let whole = fs::read(keys.path("keys/oprf/1.key")).unwrap();
    dir.split(&second).unwrap();
    for left in [
        &["second/1.share"][..],
        &["second/1.share", "keys/oprf/1.share"],
    ] {
        for path in ["keys/oprf/1.share", "second/1.share"] {
            if !left.contains(&path) {
                fs::remove_file(keys.path(path)).unwrap();
            }
        }
        crate::durable::create(&keys.path("keys/oprf/1.key"), 0o600, &whole).unwrap();
        assert_eq!(public(&dir), key.public_key());
        assert_eq!(public(&keys.dir()), key.public_key());
        assert_eq!(dir.split(&second).unwrap(), [1]);
        assert_eq!(public(&dir), key.public_key());
        assert!(!keys.path("keys/oprf/1.key").exists());
    }
}

#[test]
fn a_share_of_another_key_is_never_overwritten() {
    let (keys, other) = (Keys::new(), Keys::new());
    other.dir().split(&keys.path("second")).unwrap();
    let before = fs::read(keys.path("second/1.share")).unwrap();
    assert!(matches!(
        keys.split_dir().split(&keys.path("second")),
        Err(OprfKeysError::Occupied { .. })
    ));
    assert_eq!(fs::read(keys.path("second/1.share")).unwrap(), before);
    keys.split_dir().load().unwrap();
}

/// The share elsewhere is written first.
#[test]
fn an_interrupted_rotation_of_split_keys_goes_on() {
    let keys = Keys::new();
    let dir = keys.split_dir();
    let first = keys.manifest();
    dir.split(&keys.path("second")).unwrap();
    dir.rotate(Some(&first), keys.now, false).unwrap();
    fs::remove_file(keys.path("keys/oprf/2.share")).unwrap();
    assert_eq!(dir.load().unwrap().newest.epoch, 1);
    assert_eq!(dir.rotate(Some(&first), keys.now, false).unwrap(), 2);
    assert_eq!(dir.load().unwrap().newest.epoch, 2);
}

#[test]
fn new_keys_are_kept_as_the_newest_is() {
    let keys = Keys::new();
    let passphrase = keys.path("passphrase");
    crate::durable::create(&passphrase, 0o600, b"correct horse").unwrap();
    let source = PassphraseSource::new(Some(passphrase));
    let dir = keys.open(Some(keys.path("second")), source.clone());
    // A passphrase alone changes nothing.
    let first = keys.manifest();
    dir.rotate(Some(&first), keys.now, false).unwrap();
    let protection = |file: &str| keys::protection(&keys.path(file)).unwrap();
    assert_eq!(protection("keys/oprf/2.key"), Protection::Plain);
    let settle = |before: &Manifest| {
        let ring = dir.load().unwrap();
        let published = keys.manifest_of(ring.newest());
        dir.settle(ring, Some(before), &published, LIFETIME_SECS, keys.now)
            .unwrap();
        published
    };
    let second = settle(&first);

    for path in keys::files(&keys.path("keys")).unwrap() {
        keys::encrypt(&path, &source.require().unwrap()).unwrap();
    }
    assert_eq!(dir.rotate(Some(&second), keys.now, true).unwrap(), 3);
    assert_eq!(protection("keys/oprf/3.key"), Protection::Encrypted);
    assert!(matches!(
        keys.dir().load(),
        Err(OprfKeysError::Key(KeyError::Locked { .. }))
    ));
    let third = settle(&second);

    dir.split(&keys.path("second")).unwrap();
    dir.rotate(Some(&third), keys.now, true).unwrap();
    for share in ["3.share", "4.share"] {
        for place in ["keys/oprf", "second"] {
            let file = format!("{place}/{share}");
            assert_eq!(protection(&file), Protection::Encrypted, "{file}");
        }
    }
    assert_eq!(
        keys.files("keys/oprf"),
        ["3.share", "4.share", "epochs.toml"]
    );
    assert_eq!(keys.files("second"), ["3.share", "4.share"]);
}

#[test]
fn nothing_shows_a_key() {
    let keys = Keys::new();
    let ring = keys.dir().load().unwrap();
    let text = fs::read_to_string(keys.path("keys/oprf/1.key")).unwrap();
    let secret = text.trim().split(':').nth(1).unwrap();
    let shown = format!("{ring:?} {:?}", keys.dir());
    assert!(
        shown.contains("redacted") && !shown.contains(secret),
        "{shown}"
    );
}
