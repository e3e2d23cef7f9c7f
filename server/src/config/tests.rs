use super::*;

fn read(text: &str) -> Result<Config, ConfigError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.toml");
    std::fs::write(&path, text).unwrap();
    Config::read(&path)
}

#[test]
fn the_shipped_file_states_the_defaults() {
    assert_eq!(read(SHIPPED).unwrap(), Config::default());
    assert_eq!(read("").unwrap(), Config::default());
    // It states all of them.
    let table: toml::Table = SHIPPED.parse().unwrap();
    let keys = table
        .values()
        .map(|value| value.as_table().map_or(1, toml::Table::len));
    assert_eq!(keys.sum::<usize>(), 50);
}

#[test]
fn every_number_of_the_shipped_quotas_is_stated() {
    let table: toml::Table = SHIPPED.parse().unwrap();
    let quota = table["quota"].as_table().unwrap();
    assert_eq!(quota.len(), 3);
    assert!(
        quota
            .values()
            .all(|level| level.as_table().unwrap().len() == 3)
    );
}

#[test]
fn the_address_is_put_into_the_shipped_file() {
    let listen = "[::1]:9000".parse().unwrap();
    let config = read(&shipped_listening_on(listen)).unwrap();
    assert_eq!(
        config,
        Config {
            listen,
            ..Config::default()
        }
    );
}

#[test]
fn every_backend_of_this_machine_may_be_chosen_and_no_other() {
    let chosen = |name: &str| {
        let config = read(&format!("[queries]\nbackend = \"{name}\"")).unwrap();
        config.queries.backend()
    };
    assert_eq!(chosen(AUTO).unwrap(), Backend::detect());
    for backend in Backend::available() {
        assert_eq!(chosen(&backend.to_string()).unwrap(), backend);
    }
    for name in ["", "AUTO", "abacus"] {
        let refusal = chosen(name).unwrap_err().to_string();
        for backend in Backend::available() {
            assert!(refusal.contains(&backend.to_string()), "{refusal}");
        }
    }
}

#[test]
fn what_is_unknown_or_out_of_range_is_refused() {
    for text in [
        "lissten = \"127.0.0.1:1\"",
        "[tls]\nciphers = 1",
        "listen = 3",
        "[log]\nformat = \"xml\"",
        "[quota.msp]\nburst = 1",
        "[ledger]\nkind = \"memory\"",
        "[metrics]\nlisten = \"localhost\"",
    ] {
        assert!(
            matches!(read(text), Err(ConfigError::Toml { .. })),
            "{text}"
        );
    }
    for (text, expected) in [
        ("[queries]\nmax_batch = 17", "queries.max_batch"),
        ("[queries]\nmax_batch = 0", "queries.max_batch"),
        ("[queries]\nqueue_length = 0", "queries.queue_length"),
        ("[queries]\nper_account = 0", "queries.per_account"),
        ("[queries]\nper_sender = 0", "queries.per_sender"),
        ("[queries]\nthreads = 1025", "queries.threads"),
        ("[snapshot]\nlifetime_hours = 0", "snapshot.lifetime_hours"),
        ("[timeouts]\nbody_ms = 0", "timeouts.body_ms"),
        ("[store]\nconnections = 1", "store.connections"),
        ("[store]\nstatement_ms = 0", "store.statement_ms"),
        ("max_connections = 0", "max_connections"),
        ("[quota.sender]\nburst = 0", "quota.sender.burst"),
        (
            "[quota.global]\nper_day = 2000000000",
            "quota.global.per_day",
        ),
    ] {
        match read(text) {
            Err(ConfigError::Range { key, .. }) => assert_eq!(key, expected),
            other => panic!("{text}: {other:?}"),
        }
    }
    let missing = Config::read(Path::new("/nonexistent/config.toml"));
    assert!(matches!(missing, Err(ConfigError::File(_))));
}

#[test]
fn metrics_are_for_this_machine_alone() {
    let listen = |address: &str| read(&format!("[metrics]\nlisten = \"{address}\""));
    assert_eq!(listen("").unwrap().metrics.listen, None);
    for address in ["127.0.0.1:9464", "127.9.0.1:0", "[::1]:9464"] {
        let listen = listen(address).unwrap().metrics.listen;
        assert_eq!(listen, Some(address.parse().unwrap()));
    }
    for address in ["0.0.0.0:9464", "[::]:9464", "10.0.0.1:9464", "[fe80::1]:1"] {
        let refusal = listen(address).unwrap_err().to_string();
        assert!(refusal.contains(address), "{refusal}");
        assert!(refusal.contains("loopback"), "{refusal}");
    }
}
