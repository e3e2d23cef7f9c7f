//! From a URL to connections, and to tables of this version and key.

use std::path::PathBuf;
use std::str::FromStr as _;

use sqlx::ConnectOptions as _;
use sqlx::Row as _;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};

use super::session::{Engine, Session};
use super::{PostgresError, PostgresOptions, VERSION};
use crate::store::{StoreError, StoreKeys};

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// What every connection is set to. A client that has died must not keep its
/// locks for hours, and an acknowledged commit is on disk.
const SETTINGS: [(&str, &str); 4] = [
    ("synchronous_commit", "on"),
    ("tcp_keepalives_idle", "10"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
];

/// Connects to nothing yet.
pub(crate) fn engine(options: &PostgresOptions) -> Result<Engine, PostgresError> {
    let connect = connect_options(options)?;
    let place = place(&connect);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("store")
        .enable_all()
        .build()
        .map_err(|error| PostgresError::Unreachable {
            reason: error.to_string(),
        })?;
    let pool = {
        // The pool starts its housekeeping on the runtime that it is made in.
        let _inside = runtime.enter();
        PgPoolOptions::new()
            .max_connections(options.connections)
            .acquire_timeout(options.acquire)
            .connect_lazy_with(connect)
    };
    Ok(Engine::new(
        runtime,
        pool,
        place,
        options.acquire,
        options.statement,
    ))
}

/// Makes the tables, or sees that they are of this version and under this key.
pub(super) fn migrate(engine: &Engine, keys: &StoreKeys) -> Result<(), StoreError> {
    if let Some(found) = make_tables(engine)? {
        return Err(StoreError::Version {
            path: engine.place.clone(),
            expected: VERSION,
            found,
        });
    }
    let mut session = Session::begin(engine, "BEGIN")?;
    refuse_unsafe(&mut session)?;
    session.fetch(
        sqlx::query(
            "INSERT INTO sotto.meta (version, key_check) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        )
        .bind(VERSION as i64)
        .bind(keys.check().to_vec()),
    )?;
    session.check(keys, Lock::None)?;
    Ok(session.commit()?)
}

/// Makes the tables that aren't there; gives the version of a newer program's, if
/// there are such.
pub(crate) fn make_tables(engine: &Engine) -> Result<Option<u64>, PostgresError> {
    let (pool, patience) = (engine.pool.clone(), engine.patience());
    engine.wait(async move {
        // A handful of statements each, and another server's first.
        match tokio::time::timeout(10 * patience, MIGRATIONS.run(&pool)).await {
            Ok(Ok(())) => Ok(None),
            Ok(Err(MigrateError::VersionMissing(found))) => Ok(Some(found.unsigned_abs())),
            Ok(Err(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _))) => {
                Err(error.into())
            }
            Ok(Err(_)) => Err(PostgresError::Form),
            Err(_) => Err(PostgresError::Slow),
        }
    })
}

/// Refuses a server that may lose what it acknowledges.
pub(crate) fn refuse_unsafe(session: &mut Session<'_>) -> Result<(), PostgresError> {
    let fsync = session.fetch(sqlx::query("SELECT current_setting('fsync')"))?;
    let fsync: String = fsync.first().ok_or(PostgresError::Form)?.try_get(0)?;
    if fsync != "on" {
        return Err(PostgresError::NotDurable { setting: "fsync" });
    }
    Ok(())
}

/// Whether looking at the version keeps other updates waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lock {
    /// No.
    None,
    /// Until the transaction ends.
    Update,
}

impl Session<'_> {
    /// Compares version and key with those of the database.
    pub(super) fn check(&mut self, keys: &StoreKeys, lock: Lock) -> Result<(), StoreError> {
        let rows = self.fetch(sqlx::query(match lock {
            Lock::None => "SELECT version, key_check FROM sotto.meta",
            Lock::Update => "SELECT version, key_check FROM sotto.meta FOR UPDATE",
        }))?;
        let row = rows.first().ok_or(PostgresError::Form)?;
        let version: i64 = row.try_get(0).map_err(PostgresError::from)?;
        let key: Vec<u8> = row.try_get(1).map_err(PostgresError::from)?;
        let path = self.place().clone();
        if version != VERSION as i64 {
            return Err(StoreError::Version {
                path,
                expected: VERSION,
                found: version.unsigned_abs(),
            });
        }
        if key != keys.check() {
            return Err(StoreError::ForeignKey { path });
        }
        Ok(())
    }
}

fn connect_options(options: &PostgresOptions) -> Result<PgConnectOptions, PostgresError> {
    if !["postgres://", "postgresql://"]
        .iter()
        .any(|scheme| options.url.starts_with(scheme))
    {
        return Err(PostgresError::Url);
    }
    let mut connect = PgConnectOptions::from_str(&options.url)?;
    let local = connect.get_socket().is_some() || connect.get_host().starts_with('/');
    if local {
        connect = connect.ssl_mode(PgSslMode::Disable);
    } else if !says_ssl_mode(&options.url) {
        // Whatever PGSSLMODE says.
        connect = connect.ssl_mode(PgSslMode::VerifyFull);
    }
    if let Some(ca) = &options.ca {
        connect = connect.ssl_root_cert(ca);
    }
    let statement = options.statement.as_millis().to_string();
    Ok(connect
        .application_name("sotto-server")
        .options(SETTINGS)
        .options([
            ("statement_timeout", statement.as_str()),
            ("lock_timeout", statement.as_str()),
        ])
        .disable_statement_logging())
}

fn says_ssl_mode(url: &str) -> bool {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    query
        .split('&')
        .any(|pair| pair.starts_with("sslmode=") || pair.starts_with("ssl-mode="))
}

/// Host and database, for messages.
fn place(connect: &PgConnectOptions) -> PathBuf {
    let host = match connect.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => connect.get_host().to_owned(),
    };
    let database = connect.get_database().unwrap_or(connect.get_username());
    format!("PostgreSQL {host}:{}/{database}", connect.get_port()).into()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn connect(url: &str) -> Result<PgConnectOptions, PostgresError> {
        connect_options(&PostgresOptions {
            url: url.to_owned().into(),
            ca: None,
            connections: 2,
            acquire: Duration::from_secs(1),
            statement: Duration::from_secs(1),
        })
    }

    #[test]
    fn tcp_is_tls_unless_the_url_says_otherwise() {
        for (url, expected) in [
            ("postgres://db.example/sotto", PgSslMode::VerifyFull),
            (
                "postgres://u:sslmode=x@localhost/sotto",
                PgSslMode::VerifyFull,
            ),
            ("postgres://db.example/sotto?user=u", PgSslMode::VerifyFull),
            (
                "postgres://db.example/sotto?sslmode=disable",
                PgSslMode::Disable,
            ),
            (
                "postgres://db.example/sotto?a=b&sslmode=require",
                PgSslMode::Require,
            ),
            ("postgres:///sotto?host=/run/postgresql", PgSslMode::Disable),
            ("postgres://%2Frun%2Fpostgresql/sotto", PgSslMode::Disable),
        ] {
            let found = connect(url).unwrap().get_ssl_mode();
            assert_eq!(
                std::mem::discriminant(&found),
                std::mem::discriminant(&expected),
                "{url}: {found:?}"
            );
        }
    }

    #[test]
    fn bad_urls_are_refused_and_never_quoted() {
        for url in [
            "",
            "mysql://secret@host/db",
            "postgres://u:secret@host:port/db",
        ] {
            let error = connect(url).unwrap_err();
            assert_eq!(error, PostgresError::Url, "{url}");
            assert!(!error.to_string().contains("secret"));
        }
        let place = place(&connect("postgres://user:secret@db.example:1/sotto").unwrap());
        assert_eq!(place, PathBuf::from("PostgreSQL db.example:1/sotto"));
    }
}
