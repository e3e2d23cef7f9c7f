use super::*;

fn plain() -> PassphraseSource {
    PassphraseSource::default()
}

/// A source that reads this text from a file.
fn source(directory: &Path, text: &str) -> PassphraseSource {
    let path = directory.join("passphrase");
    durable::replace(&path, PRIVATE, text.as_bytes()).unwrap();
    PassphraseSource::new(Some(path))
}

#[test]
fn keys_round_trip_and_are_never_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    for kind in [KeyKind::Provider, KeyKind::Oprf, KeyKind::Store] {
        let path = directory.path().join(kind.label());
        let key = generate(&mut rand::rng());
        create(&path, kind, &key, None).unwrap();
        assert_eq!(*read(&path, kind, &plain()).unwrap(), *key);
        assert!(create(&path, kind, &[0; KEY_BYTES], None).is_err());
        assert_eq!(*read(&path, kind, &plain()).unwrap(), *key);
    }
    let path = directory.path().join("share");
    create(&path, KeyKind::OprfShare, &[7; 64], None).unwrap();
    assert_eq!(*read(&path, KeyKind::OprfShare, &plain()).unwrap(), [7; 64]);
}

#[test]
fn files_of_another_kind_length_or_permission_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    let refusal = |kind| read::<KEY_BYTES>(&path, kind, &plain()).unwrap_err();
    create(&path, KeyKind::Oprf, &[7; KEY_BYTES], None).unwrap();
    assert!(matches!(
        refusal(KeyKind::Store),
        KeyError::Malformed { .. }
    ));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let error = refusal(KeyKind::Oprf);
    assert!(error.to_string().contains("chmod 600"), "{error}");
    for text in [
        "",
        "sotto-store",
        "sotto-store:",
        "sotto-store:AAAA",
        "sotto-store:!",
    ] {
        durable::replace(&path, PRIVATE, text.as_bytes()).unwrap();
        assert!(
            matches!(refusal(KeyKind::Store), KeyError::Malformed { .. }),
            "{text}"
        );
    }
    fs::remove_file(&path).unwrap();
    assert!(matches!(refusal(KeyKind::Store), KeyError::File(_)));
}

#[test]
fn an_encrypted_key_needs_its_passphrase() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    let key = generate(&mut rand::rng());
    let good = source(directory.path(), "correct horse\nand what follows\n");
    let passphrase = good.require().unwrap();
    create(&path, KeyKind::Store, &key, Some(&passphrase)).unwrap();
    assert_eq!(protection(&path).unwrap(), Protection::Encrypted);
    let content = fs::read_to_string(&path).unwrap();
    assert!(!content.contains(&URL_SAFE_NO_PAD.encode(*key)));
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        PRIVATE
    );
    assert_eq!(*read(&path, KeyKind::Store, &good).unwrap(), *key);
    // Kept: the file may go, as a credential that can be read once does.
    fs::remove_file(directory.path().join("passphrase")).unwrap();
    assert_eq!(*read(&path, KeyKind::Store, &good.clone()).unwrap(), *key);

    let wrong = source(directory.path(), "battery staple");
    let error = read::<KEY_BYTES>(&path, KeyKind::Store, &wrong).unwrap_err();
    assert!(matches!(error, KeyError::Passphrase { .. }));
    let shown = format!("{error} {error:?}");
    assert!(
        shown.contains("wrong passphrase") && !shown.contains("battery"),
        "{shown}"
    );
    assert!(matches!(
        read::<KEY_BYTES>(&path, KeyKind::Oprf, &good),
        Err(KeyError::Malformed { .. })
    ));
    let damaged = content.replacen(&content[60..64], "AAAA", 1);
    durable::replace(&path, PRIVATE, damaged.as_bytes()).unwrap();
    assert!(read::<KEY_BYTES>(&path, KeyKind::Store, &good).is_err());
}

#[test]
fn passphrase_files_that_others_may_read_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let source = source(directory.path(), "correct horse");
    let path = directory.path().join("passphrase");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(source.find(), Err(KeyError::Exposed { .. })));
}

#[test]
fn files_are_encrypted_and_decrypted_in_their_place() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    create(&path, KeyKind::Oprf, &[7; KEY_BYTES], None).unwrap();
    let before = fs::read(&path).unwrap();
    let passphrase = Passphrase::new("correct horse");
    assert!(matches!(
        encrypt(&path, &Passphrase::new("short")),
        Err(KeyError::WeakPassphrase { found: 5 })
    ));
    assert_eq!(fs::read(&path).unwrap(), before);
    assert!(encrypt(&path, &passphrase).unwrap());
    assert!(!encrypt(&path, &passphrase).unwrap());
    let encrypted = fs::read(&path).unwrap();
    assert!(matches!(
        decrypt(&path, &Passphrase::new("battery staple")),
        Err(KeyError::Passphrase { .. })
    ));
    assert_eq!(fs::read(&path).unwrap(), encrypted);
    assert!(decrypt(&path, &passphrase).unwrap());
    assert!(!decrypt(&path, &passphrase).unwrap());
    assert_eq!(fs::read(&path).unwrap(), before);

    fs::write(&path, "a letter").unwrap();
    assert!(matches!(
        encrypt(&path, &passphrase),
        Err(KeyError::NoKey { .. })
    ));
    assert!(matches!(
        decrypt(&path, &passphrase),
        Err(KeyError::NoKey { .. })
    ));
    assert_eq!(fs::read(&path).unwrap(), b"a letter");
}

#[test]
fn key_files_are_found_in_all_directories() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    fs::create_dir(root.join("oprf")).unwrap();
    for name in [
        "b.key",
        "oprf/1.key",
        "oprf/2.share",
        "oprf/epochs.toml",
        "notes",
    ] {
        fs::write(root.join(name), "").unwrap();
    }
    let expected = ["b.key", "oprf/1.key", "oprf/2.share"].map(|name| root.join(name));
    assert_eq!(files(root).unwrap(), expected);
}
