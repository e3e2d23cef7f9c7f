use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use protocol::audience::AudienceLabel;

use super::*;
use crate::keyring::tests::membership;

fn file(directory: &tempfile::TempDir) -> KeyringFile {
    KeyringFile::new(directory.path().join("made").join("keyring"))
}

fn add(file: &KeyringFile, label: &str, fill: u8, csi: Option<&str>) {
    file.update(|keyring| {
        keyring.add(membership(label, fill, csi)).unwrap();
        Ok::<_, KeyringFileError>(())
    })
    .unwrap();
}

#[test]
fn a_keyring_is_read_as_it_was_written() {
    let directory = tempfile::tempdir().unwrap();
    let file = file(&directory);
    let Err(KeyringFileError::File(missing)) = file.read() else {
        panic!("no file yet")
    };
    assert_eq!(missing.source.kind(), io::ErrorKind::NotFound);
    add(&file, "Family & friends", 1, None);
    add(&file, "ü", 2, Some("+442079460000"));
    let public = file
        .update(|keyring| {
            let key = keyring.pairing_key_or_new(&mut rand::rng());
            Ok::<_, KeyringFileError>(key.public_key())
        })
        .unwrap();
    let keyring = file.read().unwrap();
    assert_eq!(keyring.pairing_key().unwrap().public_key(), public);
    let read: Vec<_> = keyring
        .memberships()
        .iter()
        .map(|known| (known.label.as_str(), known.secret.as_bytes()[0], &known.csi))
        .collect();
    let csi = membership("x", 0, Some("+442079460000")).csi;
    assert_eq!(read, [("Family & friends", 1, &None), ("ü", 2, &csi)]);
    assert_eq!(durable::exposure(file.path()).unwrap(), None);
    assert_eq!(
        durable::exposure(file.path().parent().unwrap()).unwrap(),
        None
    );
}

#[test]
fn a_change_that_fails_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let file = file(&directory);
    add(&file, "family", 1, None);
    let before = fs::read(file.path()).unwrap();
    let result = file.update(|keyring| {
        keyring
            .remove(&AudienceLabel::new("family").unwrap())
            .unwrap();
        Err::<(), _>(KeyringFileError::TooLarge {
            path: PathBuf::new(),
            found: 0,
        })
    });
    assert!(result.is_err());
    assert_eq!(fs::read(file.path()).unwrap(), before);
}

#[test]
fn changes_at_the_same_time_are_all_made() {
    let directory = tempfile::tempdir().unwrap();
    let file = file(&directory);
    std::thread::scope(|scope| {
        for number in 0..8 {
            let file = &file;
            scope.spawn(move || add(file, &number.to_string(), number, None));
        }
    });
    assert_eq!(file.read().unwrap().memberships().len(), 8);
}

#[test]
fn a_file_that_others_may_read_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = file(&directory);
    add(&file, "family", 1, None);
    for mode in [0o640, 0o604] {
        fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).unwrap();
        assert!(matches!(
            file.read(),
            Err(KeyringFileError::Exposed { mode: found, .. }) if found == mode
        ));
        let changed = file.update(|_| Ok::<_, KeyringFileError>(()));
        assert!(matches!(changed, Err(KeyringFileError::Exposed { .. })));
    }
}

#[test]
fn lines_are_strict_and_not_shown() {
    let good = to_text(&{
        let mut keyring = Keyring::default();
        keyring.add(membership("family", 1, None)).unwrap();
        keyring.pairing_key_or_new(&mut rand::rng());
        keyring
    });
    let lines: Vec<&str> = good.lines().collect();
    let [_, pairing, invitation] = lines[..] else {
        panic!("{} lines", lines.len())
    };
    let refused = |text: &str| parse(text).unwrap_err();
    assert!(parse(&format!("# mine\n\n{invitation}\n{pairing}")).is_ok());
    assert_eq!(
        refused(&format!("{invitation}\n{invitation}\n")),
        (2, LineError::Keyring(KeyringError::DuplicateLabel))
    );
    assert_eq!(
        refused(&format!("\n{pairing}\n{pairing}\n")),
        (3, LineError::SecondPairingKey)
    );
    for line in [&pairing[..30], &format!("{pairing}="), PAIRING] {
        assert_eq!(refused(line), (1, LineError::PairingKey));
    }
    let (_, error) = refused(&format!("{invitation} "));
    assert!(matches!(error, LineError::Invitation(_)));
    assert!(!error.to_string().contains("AQEB"), "{error}");
}

#[test]
fn a_file_that_is_too_long_is_not_read() {
    let directory = tempfile::tempdir().unwrap();
    let file = file(&directory);
    add(&file, "family", 1, None);
    let long = OpenOptions::new().write(true).open(file.path()).unwrap();
    long.set_len(FILE_BYTES_MAX + 1).unwrap();
    assert!(matches!(
        file.read(),
        Err(KeyringFileError::TooLarge { found, .. }) if found == FILE_BYTES_MAX + 1
    ));
}
