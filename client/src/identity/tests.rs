use std::os::unix::fs::PermissionsExt as _;

use protocol::audit::Head;
use protocol::cose::KeyId;
use protocol::merkle::Hash;
use protocol::precedence::Version;
use protocol::time::UnixTime;
use protocol::wire::Holdings;

use super::*;
use crate::fixture::party::Party;

const PROVIDER: KeyId = KeyId::from_bytes([8; 32]);

struct Place {
    root: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            root: tempfile::tempdir().unwrap(),
        }
    }

    fn directory(&self) -> PathBuf {
        self.root.path().join("sotto").join("identity")
    }

    /// An identity with the key of `party`.
    fn identity(&self, party: &Party) -> Identity {
        Identity::create(self.directory(), &party.key, &passphrase()).unwrap()
    }
}

fn passphrase() -> Passphrase {
    Passphrase::new("correct horse")
}

fn other() -> SigningKey {
    SigningKey::from_seed(&[5; 32])
}

/// The permissions of everything below a directory.
fn modes(directory: &Path) -> Vec<(String, u32)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        let name = entry.file_name().into_string().unwrap();
        if entry.path().is_dir() {
            found.extend(modes(&entry.path()));
        }
        found.push((name, mode));
    }
    found
}

#[test]
fn a_key_is_made_once_and_only_its_owner_reads_it() {
    let place = Place::new();
    let party = Party::new("a");
    assert!(matches!(
        Identity::open(place.directory()),
        Err(IdentityError::Missing { .. })
    ));
    let identity = place.identity(&party);
    assert_eq!(identity, Identity::open(place.directory()).unwrap());
    let public = party.key.verifying_key();
    assert_eq!(identity.public_key().unwrap().as_ref(), Some(&public));
    assert_eq!(identity.key(&passphrase()).unwrap().verifying_key(), public);
    let again = Identity::create(place.directory(), &other(), &passphrase());
    assert!(matches!(again, Err(IdentityError::Exists { .. })));
    assert!(matches!(
        identity.key(&Passphrase::new("wrong horse")),
        Err(IdentityError::KeyFile(KeyFileError::Passphrase { .. }))
    ));
    identity.add_credential(&party.credential).unwrap();
    let holdings = Holdings {
        floor: Version {
            assignment: 1,
            seq: 2,
        },
        bundle: None,
    };
    identity
        .set_published(PROVIDER, &party.csi(), &holdings)
        .unwrap();
    let head = Head {
        entries: 1,
        hash: Hash::from_bytes([1; 32]),
    };
    identity.add_receipt(PROVIDER, head).unwrap();
    identity
        .set_awaited(PROVIDER, &party.csi(), &Awaited::default())
        .unwrap();
    for (name, mode) in modes(place.root.path()) {
        let directory = !name.contains('.');
        let expected = match name.as_str() {
            "key.pub" => 0o644,
            _ if directory => 0o700,
            _ => 0o600,
        };
        assert_eq!(mode, expected, "{name}");
    }
}

#[test]
fn a_public_key_that_is_missing_or_another_is_written_again() {
    let place = Place::new();
    let party = Party::new("a");
    let identity = place.identity(&party);
    let path = place.directory().join("key.pub");
    let public = party.key.verifying_key();
    fs::remove_file(&path).unwrap();
    assert_eq!(identity.public_key().unwrap(), None);
    identity.key(&passphrase()).unwrap();
    assert_eq!(identity.public_key().unwrap().as_ref(), Some(&public));
    for text in [other().verifying_key().to_text(), "damaged".to_owned()] {
        fs::write(&path, text).unwrap();
        identity.key(&passphrase()).unwrap();
        assert_eq!(identity.public_key().unwrap().as_ref(), Some(&public));
    }
    fs::write(&path, "damaged").unwrap();
    assert!(matches!(
        identity.public_key(),
        Err(IdentityError::PublicKey { .. })
    ));
}

#[test]
fn credentials_are_kept_by_identifier_and_the_newest_counts() {
    let place = Place::new();
    let key = || SigningKey::from_seed(&[6; 32]);
    let first = Party::with("a", key(), 7200, 1);
    let newer = Party::with("a", key(), 3600, 1);
    let second = Party::with("b", key(), 3600, 1);
    let identity = place.identity(&first);
    let held = || -> Vec<Vec<u8>> {
        let credentials = identity.credentials().unwrap();
        credentials
            .iter()
            .map(|credential| credential.as_bytes().to_vec())
            .collect()
    };
    assert!(held().is_empty());
    assert!(matches!(
        identity.credential(&first.csi()),
        Err(IdentityError::NoCredential)
    ));
    for party in [&first, &second, &first] {
        identity.add_credential(&party.credential).unwrap();
    }
    assert_eq!(
        held(),
        [first.credential.as_bytes(), second.credential.as_bytes()]
    );
    identity.add_credential(&newer.credential).unwrap();
    assert_eq!(
        held(),
        [newer.credential.as_bytes(), second.credential.as_bytes()]
    );
    let files = fs::read_dir(place.directory().join("credentials")).unwrap();
    assert_eq!(files.count(), 2);
    assert!(matches!(
        identity.add_credential(&first.credential),
        Err(IdentityError::OlderCredential)
    ));
    let strangers = Party::with("c", other(), 60, 1);
    assert!(matches!(
        identity.add_credential(&strangers.credential),
        Err(IdentityError::NotHolder)
    ));
    // Both of one identifier, as a crash between writing and removing leaves
    // them.
    let left = place.directory().join("credentials").join("left.cose");
    fs::write(&left, first.credential.as_bytes()).unwrap();
    assert_eq!(
        held(),
        [newer.credential.as_bytes(), second.credential.as_bytes()]
    );
    fs::write(&left, b"damaged").unwrap();
    assert!(matches!(
        identity.credentials(),
        Err(IdentityError::Credential { path, .. }) if path == left
    ));
}

#[test]
fn a_new_key_leaves_the_old_one_to_its_credentials() {
    let place = Place::new();
    let (old, new) = (Party::new("a"), Party::with("a", other(), 60, 1));
    let identity = place.identity(&old);
    identity.add_credential(&old.credential).unwrap();
    identity.rotate(&new.key, &passphrase()).unwrap();
    let signs_for = |party: &Party| {
        let claims = party.credential.unverified();
        identity
            .key_of(claims, &passphrase())
            .map(|key| key.verifying_key() == party.key.verifying_key())
    };
    assert_eq!(
        identity.key(&passphrase()).unwrap().verifying_key(),
        new.key.verifying_key()
    );
    assert!(signs_for(&old).unwrap());
    assert!(signs_for(&new).unwrap());
    identity.add_credential(&new.credential).unwrap();
    let current = identity.credential(&old.csi()).unwrap();
    assert_eq!(current.as_bytes(), new.credential.as_bytes());
    let stranger = Party::with("a", SigningKey::from_seed(&[1; 32]), 60, 1);
    assert!(matches!(
        signs_for(&stranger),
        Err(IdentityError::NotHolder)
    ));
    let wrong = Passphrase::new("wrong horse");
    assert!(identity.rotate(&other(), &wrong).is_err());
    // A rotation that stopped half-way is done again.
    fs::write(place.directory().join("next.pem"), b"left").unwrap();
    let third = SigningKey::generate_p256(&mut rand::rng());
    identity.rotate(&third, &passphrase()).unwrap();
    assert!(signs_for(&old).unwrap());
    assert!(signs_for(&new).unwrap());
    assert!(!place.directory().join("next.pem").exists());
}

#[test]
fn a_passphrase_is_changed_for_every_key_and_can_be_resumed() {
    let place = Place::new();
    let (old, new) = (Party::new("a"), Party::with("a", other(), 60, 1));
    let identity = place.identity(&old);
    identity.rotate(&new.key, &passphrase()).unwrap();
    let fresh = Passphrase::new("battery staple");
    // Interrupted after the earlier key.
    let earlier = identity.earlier_files().unwrap();
    KeyFile::new(&earlier[0])
        .change_passphrase(&passphrase(), &fresh)
        .unwrap();
    identity.change_passphrase(&passphrase(), &fresh).unwrap();
    for party in [&old, &new] {
        let claims = party.credential.unverified();
        assert!(identity.key_of(claims, &fresh).is_ok());
        assert!(identity.key_of(claims, &passphrase()).is_err());
    }
    let wrong = identity.change_passphrase(&passphrase(), &Passphrase::new("something else"));
    assert!(matches!(
        wrong,
        Err(IdentityError::KeyFile(KeyFileError::Passphrase { .. }))
    ));
}

#[test]
fn what_providers_accepted_is_remembered_apart() {
    let place = Place::new();
    let (party, second) = (Party::new("a"), Party::new("b"));
    let identity = place.identity(&party);
    let elsewhere = KeyId::from_bytes([9; 32]);
    let holdings = Holdings {
        floor: Version {
            assignment: 1,
            seq: 2,
        },
        bundle: Some(party.bundle(&[party.mapping(1, 5, &["a.example"])])),
    };
    assert!(
        identity
            .published(PROVIDER, &party.csi())
            .unwrap()
            .is_none()
    );
    identity
        .set_published(PROVIDER, &party.csi(), &holdings)
        .unwrap();
    let known = identity.published(PROVIDER, &party.csi()).unwrap().unwrap();
    assert_eq!(known.encode(), holdings.encode());
    for (provider, csi) in [(elsewhere, party.csi()), (PROVIDER, second.csi())] {
        assert!(identity.published(provider, &csi).unwrap().is_none());
    }
    let head = |entries| Head {
        entries,
        hash: Hash::from_bytes([entries as u8; 32]),
    };
    assert_eq!(identity.receipt(PROVIDER).unwrap(), None);
    for entries in [3, 5, 4] {
        identity.add_receipt(PROVIDER, head(entries)).unwrap();
    }
    assert_eq!(identity.receipt(PROVIDER).unwrap(), Some(head(5)));
    assert_eq!(identity.receipt(elsewhere).unwrap(), None);
    // As earlier versions wrote it.
    let receipts = place.directory().join("receipts");
    let file = fs::read_dir(receipts).unwrap().next().unwrap().unwrap();
    let text = format!("5 {} 1795392000\n", head(5).hash);
    fs::write(file.path(), text).unwrap();
    assert_eq!(identity.receipt(PROVIDER).unwrap(), Some(head(5)));
    // Nothing is awaited of what they published.
    let awaited = |party: &Party| identity.awaited(PROVIDER, &party.csi());
    assert_eq!(awaited(&party).unwrap(), Awaited::default());
    let mut waiting = Awaited::default();
    waiting.accept(5, UnixTime::from_secs(1_795_392_000));
    identity
        .set_awaited(PROVIDER, &party.csi(), &waiting)
        .unwrap();
    assert_eq!(awaited(&party).unwrap(), waiting);
    assert_eq!(awaited(&second).unwrap(), Awaited::default());
    for directory in ["published", "awaited", "receipts"] {
        for entry in fs::read_dir(place.directory().join(directory)).unwrap() {
            fs::write(entry.unwrap().path(), b"5 damaged").unwrap();
        }
    }
    assert!(matches!(
        identity.published(PROVIDER, &party.csi()),
        Err(IdentityError::Ledger { .. })
    ));
    assert!(matches!(
        identity.receipt(PROVIDER),
        Err(IdentityError::Ledger { .. })
    ));
    assert!(matches!(awaited(&party), Err(IdentityError::Ledger { .. })));
}
