//! The store in a PostgreSQL database, which several servers may share.
//!
//! An update locks the one row of `sotto.meta` first: updates of all servers
//! take effect one after another, each sees what those before it did, and none
//! needs to be tried again but for conflicts that somebody else's statements
//! cause. What an update reads it remembers and what it writes it keeps until
//! its end, so that a group of submissions costs a handful of round trips.
//!
//! The store's calls block their thread, and the connections live on a runtime
//! of its own: they work on any thread, a worker of another runtime's too, which
//! they hold up; give them a thread that may wait (`spawn_blocking`).

mod audience;
pub(crate) mod connect;
mod error;
pub(crate) mod session;
mod update;
mod view;

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sqlx::postgres::PgRow;
use sqlx::{Postgres, Row as _};
use zeroize::Zeroizing;

pub use error::PostgresError;

use super::{Store, StoreError, StoreKeys, Update, View};
use session::Engine;
use update::PostgresUpdate;
use view::PostgresView;

/// The version of the tables' meaning.
const VERSION: u64 = 1;

/// How often an update is begun before a conflict is reported.
const ATTEMPTS: usize = 5;

/// Where the database is and how long to wait for it.
pub struct PostgresOptions {
    /// `postgres://user:password@host:port/database?sslmode=…`; a host that
    /// begins with `/` (or `?host=/directory`) is a local socket's directory.
    /// Unless it says `sslmode`, a connection by TCP must be TLS with a
    /// certificate for that host.
    pub url: Zeroizing<String>,
    /// Certificates (PEM) to trust beside the public ones.
    pub ca: Option<PathBuf>,
    /// Connections at most: one for updates, the others for views. At least 2.
    pub connections: u32,
    /// How long to wait for a connection.
    pub acquire: Duration,
    /// How long to wait for a statement.
    pub statement: Duration,
}

/// A store in a PostgreSQL database.
pub struct PostgresStore {
    engine: Engine,
    keys: StoreKeys,
    /// One update at a time takes a connection; PostgreSQL orders those of
    /// other servers.
    updates: Mutex<()>,
}

impl PostgresStore {
    /// Opens the store; makes the tables if there are none.
    ///
    /// # Errors
    /// [`StoreError::Postgres`], [`StoreError::Version`],
    /// [`StoreError::ForeignKey`].
    pub fn open(options: &PostgresOptions, keys: StoreKeys) -> Result<Self, StoreError> {
        let engine = connect::engine(options)?;
        connect::migrate(&engine, &keys)?;
        Ok(Self {
            engine,
            keys,
            updates: Mutex::new(()),
        })
    }

    fn attempt(
        &self,
        change: &mut dyn FnMut(&mut dyn Update) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        // Dropped without a commit, the transaction is rolled back.
        let mut update = PostgresUpdate::begin(&self.engine, &self.keys)?;
        change(&mut update)?;
        update.commit()
    }
}

impl Store for PostgresStore {
    fn view(&self) -> Result<Box<dyn View + '_>, StoreError> {
        Ok(Box::new(PostgresView::begin(&self.engine, &self.keys)?))
    }

    fn update(
        &self,
        change: &mut dyn FnMut(&mut dyn Update) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        // It guards nothing that a panic could leave half done.
        let _one = self.updates.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 1..ATTEMPTS {
            match self.attempt(change) {
                Err(StoreError::Postgres(error)) if error.is_conflict() => {}
                ended => return ended,
            }
        }
        self.attempt(change)
    }
}

/// A column of a row.
fn column<'r, T>(row: &'r PgRow, index: usize) -> Result<T, StoreError>
where
    T: sqlx::Decode<'r, Postgres> + sqlx::Type<Postgres>,
{
    Ok(value(row, index)?)
}

/// The same for those whose errors are their own.
pub(crate) fn value<'r, T>(row: &'r PgRow, index: usize) -> Result<T, PostgresError>
where
    T: sqlx::Decode<'r, Postgres> + sqlx::Type<Postgres>,
{
    Ok(row.try_get(index)?)
}

impl std::fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PostgresOptions(redacted)")
    }
}

impl std::fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PostgresStore(..)")
    }
}
