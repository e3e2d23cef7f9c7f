use super::*;

fn name(name: &str) -> SenderName {
    SenderName::new(name).unwrap()
}

#[test]
fn each_key_is_its_senders_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("senders.toml");
    let mut senders = Senders::read(&path).unwrap();
    assert_eq!(senders.authenticate(b""), None);
    let now = UnixTime::from_secs(1_795_392_000);
    let keys =
        ["one", "two", "three"].map(|n| senders.add(name(n), now, &mut rand::rng()).unwrap());
    senders.write(&path).unwrap();
    let mut senders = Senders::read(&path).unwrap();
    for ((key, expected), index) in keys.iter().zip(["one", "two", "three"]).zip(0..) {
        assert_eq!(
            senders.authenticate(key.as_str().as_bytes()),
            Some((SenderIndex::from(index), &name(expected)))
        );
        assert_eq!(senders.authenticate(&key.as_str().as_bytes()[1..]), None);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            !text.contains(&key.as_str()[6..]),
            "the key itself is not kept"
        );
    }
    senders.remove(&name("two")).unwrap();
    assert_eq!(senders.authenticate(keys[1].as_str().as_bytes()), None);
    assert_eq!(
        senders.authenticate(keys[2].as_str().as_bytes()),
        Some((SenderIndex::from(1), &name("three")))
    );
    assert!(matches!(
        senders.remove(&name("two")),
        Err(SenderError::Unknown { .. })
    ));
    let again = senders.add(name("one"), now, &mut rand::rng());
    assert!(matches!(again, Err(SenderError::Exists { .. })));
    assert_eq!(format!("{:?}", keys[0]), "ApiKey(redacted)");
}

#[test]
fn a_certificate_is_one_senders() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("senders.toml");
    let now = UnixTime::from_secs(1_795_392_000);
    let [one, two] = [b"one", b"two"].map(|der| CertificateDigest::of(der));
    let mut senders = Senders::default();
    senders.add(name("key"), now, &mut rand::rng()).unwrap();
    senders.add_with_certificate(name("a"), now, one).unwrap();
    let taken = senders.add_with_certificate(name("b"), now, one);
    assert!(matches!(taken, Err(SenderError::CertificateTaken { name }) if name == "a"));
    let exists = senders.add_with_certificate(name("a"), now, two);
    assert!(matches!(exists, Err(SenderError::Exists { .. })));
    senders.write(&path).unwrap();
    let senders = Senders::read(&path).unwrap();
    let found = Some((SenderIndex(1), &name("a")));
    assert_eq!(senders.with_certificate(&one), found);
    assert_eq!(senders.with_certificate(&two), None);
    // The digest of a certificate is no key.
    assert_eq!(senders.authenticate(b"one"), None);
}

#[test]
fn quotas_of_an_account_are_kept_and_checked() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("senders.toml");
    let now = UnixTime::from_secs(1_795_392_000);
    let mut senders = Senders::default();
    senders.add(name("a"), now, &mut rand::rng()).unwrap();
    senders.add(name("b"), now, &mut rand::rng()).unwrap();
    let mut quota = AccountQuotas::default();
    quota.account.per_day = Some(7);
    quota.sender.burst = Some(3);
    senders.set_quota(&name("a"), quota).unwrap();
    senders.write(&path).unwrap();
    let mut senders = Senders::read(&path).unwrap();
    assert_eq!(senders.quota(&name("a")).unwrap(), quota);
    assert!(senders.quota(&name("b")).unwrap().is_empty());
    let unknown = senders.set_quota(&name("c"), quota);
    assert!(matches!(unknown, Err(SenderError::Unknown { .. })));
    quota.sender.burst = Some(0);
    let refused = senders.set_quota(&name("a"), quota);
    assert!(matches!(refused, Err(SenderError::Quota { .. })));
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("burst = 3", "burst = 0")).unwrap();
    let refused = Senders::read(&path);
    assert!(matches!(refused, Err(SenderError::Quota { name }) if name == "a"));
}

#[test]
fn bad_names_and_files_are_refused() {
    for bad in ["", "A", "a b", "a/b", "é", &"a".repeat(65)] {
        assert!(
            matches!(SenderName::new(bad), Err(SenderError::Name)),
            "{bad}"
        );
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("senders.toml");
    let digest = "00".repeat(32);
    let entry = format!("[[sender]]\nname = \"a\"\nsince = \"now\"\nkey_sha3_256 = \"{digest}\"\n");
    std::fs::write(&path, &entry).unwrap();
    assert_eq!(Senders::read(&path).unwrap().all().len(), 1);
    std::fs::write(&path, entry.repeat(2)).unwrap();
    assert!(matches!(
        Senders::read(&path),
        Err(SenderError::Exists { .. })
    ));
    std::fs::write(&path, entry.replace("key_sha3_256", "# ")).unwrap();
    assert!(matches!(
        Senders::read(&path),
        Err(SenderError::Anonymous { .. })
    ));
    for bad in [
        entry.replace("00", "0"),
        entry.replace("\"a\"", "\"A\""),
        format!("{entry}admin = true\n"),
    ] {
        std::fs::write(&path, &bad).unwrap();
        assert!(
            matches!(Senders::read(&path), Err(SenderError::Toml { .. })),
            "{bad}"
        );
    }
}
