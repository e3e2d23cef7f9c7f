//! Who may be the database.

use anyhow::Result;
use server::store::postgres::{PostgresError, PostgresStore};
use server::store::{Store as _, StoreError, StoreKeys};
use tests::postgres::{Cluster, ServerCertificate};

use super::{KEY, count, options};

/// A self-signed certificate for a name, and its key.
fn certificate(name: &str) -> Result<(String, String)> {
    let made = rcgen::generate_simple_self_signed([name.to_owned()])?;
    Ok((made.cert.pem(), made.signing_key.serialize_pem()))
}

#[test]
fn the_database_shows_a_certificate_that_is_trusted_for_its_name() -> Result<()> {
    let (certificate_pem, key) = certificate("localhost")?;
    let cluster = Cluster::start(Some(&ServerCertificate {
        certificate: &certificate_pem,
        key: &key,
    }))?;
    let files = tempfile::tempdir()?;
    let (ca, other) = (files.path().join("ca.pem"), files.path().join("other.pem"));
    std::fs::write(&ca, &certificate_pem)?;
    std::fs::write(&other, certificate("localhost")?.0)?;
    let open = |url: String, ca: Option<&std::path::Path>| {
        let mut options = options(url);
        options.ca = ca.map(Into::into);
        PostgresStore::open(&options, StoreKeys::derive(&KEY))
    };
    let url = |parameters| cluster.tcp_url("postgres", cluster.port(), parameters);

    let store = open(url(""), Some(&ca))?;
    store.update(&mut |update| count(update, 0))?;
    let encrypted = cluster.sql(
        "postgres",
        "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
         WHERE application_name = 'sotto-server'",
    )?;
    assert_eq!(encrypted, "t");

    let is_tls =
        |error: &StoreError| matches!(error, StoreError::Postgres(PostgresError::Tls { .. }));
    for (url, ca) in [
        (url(""), Some(other.as_path())),
        (url(""), None),
        (url("?sslmode=verify-full"), Some(other.as_path())),
        // The certificate is for another name.
        (
            url("").replace("localhost", "127.0.0.1"),
            Some(ca.as_path()),
        ),
    ] {
        let error = open(url, ca).expect_err("another certificate");
        assert!(is_tls(&error), "{error}");
        assert!(!error.to_string().contains("of-the-tests"));
    }
    // Whoever asks for less gets it.
    open(url("?sslmode=disable"), None)?;
    Ok(())
}

#[test]
fn plain_tcp_is_refused_unless_it_is_asked_for() -> Result<()> {
    let cluster = Cluster::start(None)?;
    let url = |parameters| cluster.tcp_url("postgres", cluster.port(), parameters);
    let error = super::open(url("")).expect_err("a server without TLS");
    assert!(
        matches!(error, StoreError::Postgres(PostgresError::Tls { .. })),
        "{error}"
    );
    super::open(url("?sslmode=disable"))?;
    let wrong = url("?sslmode=disable").replace("of-the-tests", "secret");
    let error = super::open(wrong).expect_err("another password");
    assert!(
        matches!(&error, StoreError::Postgres(PostgresError::Refused { code, .. }) if code == "28P01"),
        "{error}"
    );
    assert!(!error.to_string().contains("secret"));
    Ok(())
}
