use std::os::unix::fs::PermissionsExt as _;

use super::*;

#[test]
fn a_fresh_directory_is_whole_private_and_never_made_twice() {
    let parent = tempfile::tempdir().unwrap();
    let root = parent.path().join("data");
    assert!(matches!(
        DataDir::open(&root),
        Err(DataDirError::NotInitialised { .. })
    ));
    let listen = Some("127.0.0.1:0".parse().unwrap());
    let directory = DataDir::init(
        &root,
        &InitOptions {
            trust: None,
            listen,
        },
    )
    .unwrap();
    assert_eq!(Some(directory.config().unwrap().listen), listen);
    assert!(directory.trust().unwrap().is_empty());
    assert!(directory.senders().unwrap().all().is_empty());
    let key = directory.provider_key().unwrap();
    assert_eq!(
        key.verifying_key(),
        directory.provider_public_key().unwrap()
    );
    directory.oprf_key().unwrap();
    directory.tls(&Config::default()).unwrap();
    assert_eq!(
        fs::metadata(&root).unwrap().permissions().mode() & 0o777,
        0o700
    );
    for secret in [
        "keys/dp.key",
        "keys/oprf/1.key",
        "keys/store.key",
        "tls/key.pem",
        "senders.toml",
    ] {
        assert_eq!(
            fs::metadata(root.join(secret))
                .unwrap()
                .permissions()
                .mode()
                & 0o777,
            0o600
        );
    }
    let again = DataDir::init(&root, &InitOptions::default());
    assert!(matches!(again, Err(DataDirError::Initialised { .. })));
    assert_eq!(
        key.verifying_key(),
        DataDir::open(&root).unwrap().provider_public_key().unwrap()
    );
}

#[test]
fn foreign_directories_and_bad_trust_lists_are_left_alone() {
    let parent = tempfile::tempdir().unwrap();
    fs::write(parent.path().join("precious"), b"x").unwrap();
    let mixed = DataDir::init(parent.path(), &InitOptions::default());
    assert!(matches!(mixed, Err(DataDirError::NotEmpty { .. })));
    let root = parent.path().join("data");
    let options = InitOptions {
        trust: Some("[[csip]]".to_owned()),
        listen: None,
    };
    assert!(matches!(
        DataDir::init(&root, &options),
        Err(DataDirError::Trust { .. })
    ));
    assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1);
}

#[test]
fn one_command_writes_at_a_time() {
    let parent = tempfile::tempdir().unwrap();
    let directory = DataDir::init(&parent.path().join("data"), &InitOptions::default()).unwrap();
    let held = directory.lock().unwrap();
    assert!(matches!(directory.lock(), Err(DataDirError::Locked { .. })));
    drop(held);
    directory.lock().unwrap();
}
