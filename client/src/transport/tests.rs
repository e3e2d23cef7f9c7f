use protocol::cose::SigningKey;
use protocol::trust::TrustList;

use super::*;
use crate::config::ClientConfig;

fn config(server: &str) -> ClientConfig {
    let key = SigningKey::from_seed(&[1; 32]).verifying_key();
    ClientConfig::new(server, key, TrustList::new(Vec::new()).unwrap())
}

fn transport(config: &ClientConfig) -> Result<Transport, ClientError> {
    Transport::new(config.endpoint(), config.api_key.as_ref())
}

#[test]
fn only_plain_https_addresses_are_accepted() {
    for server in [
        "https://dp.example",
        "https://127.0.0.1:8443/",
        "https://dp.example/sotto/",
    ] {
        assert!(transport(&config(server)).is_ok(), "{server}");
    }
    for server in [
        "",
        "dp.example",
        "http://dp.example",
        "https://user@dp.example",
        "https://:secret@dp.example",
        "https://dp.example?x",
        "https://dp.example#x",
        "ftp://dp.example",
    ] {
        assert!(
            matches!(transport(&config(server)), Err(ClientError::ServerUrl)),
            "{server}"
        );
    }
}

#[test]
fn paths_are_below_the_address() {
    let url = |server| {
        let transport = transport(&config(server)).unwrap();
        transport.url("/v1/manifest").to_string()
    };
    assert_eq!(
        url("https://dp.example:1234"),
        "https://dp.example:1234/v1/manifest"
    );
    assert_eq!(
        url("https://dp.example/sotto/"),
        "https://dp.example/sotto/v1/manifest"
    );
    let transport = transport(&config("https://dp.example/sotto")).unwrap();
    assert_eq!(
        transport.url("/v1/audit?from=7").as_str(),
        "https://dp.example/sotto/v1/audit?from=7"
    );
}

#[test]
fn certificates_must_be_some() {
    for pem in [
        "",
        "no certificate",
        "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
    ] {
        let config = config("https://dp.example").with_tls_roots(pem);
        assert!(
            matches!(transport(&config), Err(ClientError::TlsRoots)),
            "{pem}"
        );
    }
}

#[test]
fn a_client_certificate_has_a_key() {
    for pem in [
        "",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        let config = config("https://dp.example")
            .with_certificate(crate::config::ClientCertificate::from_pem(pem));
        assert!(
            matches!(transport(&config), Err(ClientError::ClientCertificate)),
            "{pem}"
        );
    }
}

#[test]
fn the_api_key_is_marked_as_secret() {
    let value = bearer(&ApiKey::new("sotto_x").unwrap()).unwrap();
    assert!(value.is_sensitive());
    assert_eq!(value.to_str().unwrap(), "Bearer sotto_x");
}
