use protocol::cose::{SigningKey, VerifyingKey};

use super::*;

const NONE: Connection = Connection {
    server: None,
    dp_key: None,
    dp_key_file: None,
    trust: None,
    ca: None,
    api_key_file: None,
    client_certificate: None,
    sender: None,
    audiences: AudienceArgs {
        keyring: None,
        slots: None,
    },
    config: None,
};

fn key(seed: u8) -> VerifyingKey {
    SigningKey::from_seed(&[seed; 32]).verifying_key()
}

/// A directory with a configuration file and everything that it names.
fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
    write("trust.toml", "");
    write("dp.pub", &format!("# the provider\n{}\n", key(1).to_text()));
    write("api.key", "sotto_file\n");
    write(
        "client.toml",
        "server = \"https://file.example\"\ndp_key_file = \"dp.pub\"\ntrust = \"trust.toml\"\n\
         api_key_file = \"api.key\"\nregion = \"DE\"\napps = [\"B.example\", \"a.example\"]\n",
    );
    directory
}

fn environment(config: Option<PathBuf>, api_key: Option<&str>) -> Environment {
    Environment {
        api_key: api_key.map(|key| Zeroizing::new(key.to_owned())),
        config,
        keyring: None,
    }
}

#[test]
fn witnesses_come_with_a_quorum_or_all_must_sign() {
    let directory = directory();
    let path = directory.path().join("client.toml");
    let usual = fs::read_to_string(&path).unwrap();
    let witness = |seed| {
        let kind = protocol::log::SignatureKind::Cosignature;
        let name = format!("w.example/{seed}");
        let key = protocol::log::NoteKey::new(name, kind, key(seed)).unwrap();
        key.to_string()
    };
    let keys = [witness(11), witness(12)];
    let listed = format!("witnesses = [{:?}, {:?}]\n", keys[0], keys[1]);
    let settings = |text: &str| {
        fs::write(&path, format!("{usual}{text}")).unwrap();
        let environment = environment(Some(path.clone()), None);
        NONE.settings_in(&environment)
            .map(|settings| settings.client.witnesses)
    };
    assert_eq!(settings("").unwrap(), Witnesses::default());
    let required = |quorum| Witnesses::new(&keys, quorum).unwrap();
    assert_eq!(settings(&listed).unwrap(), required(2));
    let one = format!("{listed}witness_quorum = 1\n");
    assert_eq!(settings(&one).unwrap(), required(1));
    for wrong in [
        format!("{listed}witness_quorum = 3\n"),
        "witnesses = [\"w\"]\n".to_owned(),
    ] {
        let error = settings(&wrong).unwrap_err();
        assert!(format!("{error:#}").starts_with("witnesses: "), "{error:#}");
    }
}

#[test]
fn a_configuration_file_is_enough_and_its_paths_are_its_own() {
    let directory = directory();
    let path = directory.path().join("client.toml");
    let from_flag = Connection {
        config: Some(path.clone()),
        ..NONE
    };
    for (connection, config) in [(from_flag, None), (NONE, Some(path))] {
        let settings = connection.settings_in(&environment(config, None)).unwrap();
        assert_eq!(settings.client.server, "https://file.example");
        assert_eq!(settings.client.dp_key, key(1));
        assert!(settings.client.api_key.is_some());
        assert_eq!(settings.region.as_deref(), Some("DE"));
        let apps: Vec<&str> = settings.apps.iter().map(MspDomain::as_str).collect();
        assert_eq!(apps, ["b.example", "a.example"]);
    }
}

#[test]
fn flags_win() {
    let directory = directory();
    let connection = Connection {
        server: Some("https://flag.example".to_owned()),
        dp_key: Some(key(2).to_text()),
        config: Some(directory.path().join("client.toml")),
        ..NONE
    };
    let settings = connection.settings_in(&environment(None, None)).unwrap();
    assert_eq!(settings.client.server, "https://flag.example");
    assert_eq!(settings.client.dp_key, key(2));
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    let directory = directory();
    let path = |name: &str| Some(directory.path().join(name));
    let complete = Connection {
        server: Some("https://flag.example".to_owned()),
        dp_key_file: path("dp.pub"),
        trust: path("trust.toml"),
        ..NONE
    };
    assert!(
        complete
            .settings_in(&environment(path("none.toml"), None))
            .is_ok()
    );
    let refused = |connection: Connection, part: &str| {
        let error = connection
            .settings_in(&environment(None, None))
            .unwrap_err();
        assert!(
            format!("{error:#}").contains(part),
            "{error:#} names {part}"
        );
    };
    refused(
        Connection {
            server: None,
            ..complete.clone()
        },
        "--server",
    );
    refused(
        Connection {
            dp_key_file: None,
            ..complete.clone()
        },
        "--dp-key",
    );
    refused(
        Connection {
            trust: None,
            ..complete.clone()
        },
        "--trust",
    );
    refused(
        Connection {
            trust: path("none"),
            ..complete.clone()
        },
        "none",
    );
    refused(
        Connection {
            dp_key_file: path("api.key"),
            ..complete.clone()
        },
        "api.key",
    );
    refused(
        Connection {
            config: path("none.toml"),
            ..complete.clone()
        },
        "none.toml",
    );
    refused(
        Connection {
            config: path("dp.pub"),
            ..complete.clone()
        },
        "dp.pub",
    );
    fs::write(directory.path().join("apps.toml"), "apps = [\"localhost\"]").unwrap();
    refused(
        Connection {
            config: path("apps.toml"),
            ..complete.clone()
        },
        "localhost",
    );
    fs::write(directory.path().join("empty.key"), "\n").unwrap();
    refused(
        Connection {
            api_key_file: path("empty.key"),
            ..complete
        },
        "empty.key",
    );
}

#[test]
fn configuration_files_are_strict() {
    assert!(toml::from_str::<ConfigFile>("sever = \"https://dp.example\"").is_err());
    let directory = directory();
    let path = directory.path().join("both.toml");
    fs::write(&path, "dp_key = \"a\"\ndp_key_file = \"b\"\n").unwrap();
    assert!(ConfigFile::read(&path).is_err());
}

#[test]
fn a_wrong_key_of_the_environment_is_not_shown() {
    let directory = directory();
    let connection = Connection {
        server: Some("https://flag.example".to_owned()),
        dp_key: Some(key(1).to_text()),
        trust: Some(directory.path().join("trust.toml")),
        ..NONE
    };
    let error = connection
        .settings_in(&environment(None, Some("not a key")))
        .unwrap_err();
    assert!(!format!("{error:#}").contains("not a key"));
    assert!(format!("{error:#}").contains("SOTTO_API_KEY"));
}
