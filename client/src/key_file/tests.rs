use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use pkcs8::LineEnding;

use super::*;

fn passphrase() -> Passphrase {
    Passphrase::new("correct horse battery")
}

fn keys() -> [SigningKey; 2] {
    [
        SigningKey::from_seed(&[7; 32]),
        SigningKey::generate_p256(&mut rand::rng()),
    ]
}

fn public(key: &SigningKey) -> String {
    key.verifying_key().to_text()
}

#[test]
fn keys_of_both_kinds_round_trip_and_are_never_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    for (at, key) in keys().iter().enumerate() {
        let file = KeyFile::new(directory.path().join(at.to_string()));
        file.create(key, &passphrase()).unwrap();
        assert_eq!(public(&file.read(&passphrase()).unwrap()), public(key));
        let mode = fs::metadata(file.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);

        let other = SigningKey::from_seed(&[8; 32]);
        match file.create(&other, &passphrase()) {
            Err(KeyFileError::File(error)) => {
                assert_eq!(error.source.kind(), ErrorKind::AlreadyExists)
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(public(&file.read(&passphrase()).unwrap()), public(key));
    }
}

#[test]
fn the_passphrase_can_be_changed_and_the_former_one_is_of_no_use() {
    let directory = tempfile::tempdir().unwrap();
    let file = KeyFile::new(directory.path().join("key.pem"));
    let [key, _] = keys();
    file.create(&key, &passphrase()).unwrap();
    let new = Passphrase::new("another passphrase\r\n");
    assert!(matches!(
        file.change_passphrase(&new, &new),
        Err(KeyFileError::Passphrase { .. })
    ));
    file.change_passphrase(&passphrase(), &new).unwrap();
    assert!(matches!(
        file.read(&passphrase()),
        Err(KeyFileError::Passphrase { .. })
    ));
    let read = file.read(&Passphrase::new("another passphrase")).unwrap();
    assert_eq!(public(&read), public(&key));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn short_passphrases_encrypt_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let file = KeyFile::new(directory.path().join("key.pem"));
    let [key, _] = keys();
    let short = Passphrase::new("seven77\n");
    assert!(matches!(
        file.create(&key, &short),
        Err(KeyFileError::WeakPassphrase { found: 7 })
    ));
    assert!(!file.path().exists());
    file.create(&key, &passphrase()).unwrap();
    assert!(matches!(
        file.change_passphrase(&passphrase(), &short),
        Err(KeyFileError::WeakPassphrase { found: 7 })
    ));
    assert!(file.read(&passphrase()).is_ok());
}

#[test]
fn nothing_of_key_and_passphrase_is_shown() {
    let directory = tempfile::tempdir().unwrap();
    let file = KeyFile::new(directory.path().join("key.pem"));
    let [key, _] = keys();
    file.create(&key, &passphrase()).unwrap();
    let text = fs::read_to_string(file.path()).unwrap();
    assert!(text.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));
    let error = file.read(&Passphrase::new("wrong passphrase")).unwrap_err();
    let shown = format!("{error} {error:?} {:?}", passphrase());
    assert!(
        !shown.contains("wrong passphrase\"") && !shown.contains("horse"),
        "{shown}"
    );
}

#[test]
fn what_is_exposed_or_no_encrypted_key_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = KeyFile::new(directory.path().join("key.pem"));
    let [key, _] = keys();
    file.create(&key, &passphrase()).unwrap();
    fs::set_permissions(file.path(), fs::Permissions::from_mode(0o640)).unwrap();
    let error = file.read(&passphrase()).unwrap_err();
    assert!(error.to_string().contains("chmod 600"), "{error}");
    fs::set_permissions(file.path(), fs::Permissions::from_mode(0o600)).unwrap();

    let whole = fs::read_to_string(file.path()).unwrap();
    let plain = SecretDocument::try_from(key.to_pkcs8_der().to_vec())
        .unwrap()
        .to_pem("PRIVATE KEY", LineEnding::LF)
        .unwrap();
    for text in [
        "",
        "nothing",
        &whole[..whole.len() / 2],
        &plain,
        &plain.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"),
    ] {
        fs::write(file.path(), text).unwrap();
        assert!(
            matches!(
                file.read(&passphrase()),
                Err(KeyFileError::Malformed { .. })
            ),
            "{} bytes",
            text.len()
        );
    }
    fs::remove_file(file.path()).unwrap();
    assert!(matches!(
        file.read(&passphrase()),
        Err(KeyFileError::File(_))
    ));
}

#[test]
fn openssl_reads_what_is_written_here_and_the_other_way_round() {
    let directory = tempfile::tempdir().unwrap();
    for (at, key) in keys().iter().enumerate() {
        let ours = KeyFile::new(directory.path().join(format!("ours-{at}")));
        ours.create(key, &passphrase()).unwrap();
        let theirs = KeyFile::new(directory.path().join(format!("theirs-{at}")));
        let status = Command::new("openssl")
            .args(["pkcs8", "-topk8", "-scrypt", "-passin", "env:PASS"])
            .args(["-passout", "env:PASS"])
            .env("PASS", "correct horse battery")
            .arg("-in")
            .arg(ours.path())
            .arg("-out")
            .arg(theirs.path())
            .status();
        // Not every machine has it.
        let Ok(status) = status else { return };
        assert!(status.success());
        fs::set_permissions(theirs.path(), fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(public(&theirs.read(&passphrase()).unwrap()), public(key));
    }
}
