//! Connections on a runtime of their own, used from threads that wait.

use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{PgPool, Postgres};
use tokio::runtime::Runtime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::PostgresError;

/// A statement with its values.
pub(crate) type Statement = Query<'static, Postgres, PgArguments>;

pub(crate) struct Engine {
    pub(crate) pool: PgPool,
    /// Server and database, for errors.
    pub(crate) place: PathBuf,
    views: Arc<Semaphore>,
    acquire: Duration,
    /// For an answer: longer than PostgreSQL itself waits, so that its own error
    /// comes first where it can still speak.
    patience: Duration,
    /// There until the engine is dropped.
    runtime: Option<Runtime>,
}

impl Engine {
    pub(crate) fn new(
        runtime: Runtime,
        pool: PgPool,
        place: PathBuf,
        acquire: Duration,
        statement: Duration,
    ) -> Self {
        let views = pool.options().get_max_connections().saturating_sub(1) as usize;
        Self {
            pool,
            place,
            views: Arc::new(Semaphore::new(views)),
            acquire,
            patience: statement + Duration::from_secs(2),
            runtime: Some(runtime),
        }
    }

    /// Runs something on the runtime and waits for it. Not by `block_on`, which
    /// panics on the threads of a runtime.
    pub(crate) fn wait<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, PostgresError>> + Send + 'static,
    ) -> Result<T, PostgresError> {
        let runtime = self.runtime.as_ref().ok_or(PostgresError::Ended)?;
        let (give, take) = mpsc::sync_channel(1);
        runtime.spawn(async move {
            // Nobody takes it only if the waiting thread panicked.
            let _ = give.send(work.await);
        });
        take.recv().map_err(|_| PostgresError::Ended)?
    }

    /// How long to wait for an answer.
    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    /// The right to hold one of the connections that are for views.
    pub(crate) fn view_permit(&self) -> Result<OwnedSemaphorePermit, PostgresError> {
        let (views, acquire) = (Arc::clone(&self.views), self.acquire);
        self.wait(async move {
            match tokio::time::timeout(acquire, views.acquire_owned()).await {
                Ok(Ok(permit)) => Ok(permit),
                Ok(Err(_)) => Err(PostgresError::Ended),
                Err(_) => Err(PostgresError::Busy),
            }
        })
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Dropping it would wait, which an asynchronous thread mustn't.
            runtime.shutdown_background();
        }
    }
}

/// A transaction on a connection of its own. The connection goes back to the
/// pool when the transaction has certainly ended; after any failure it is closed,
/// which makes PostgreSQL roll back.
pub(crate) struct Session<'a> {
    engine: &'a Engine,
    connection: Option<PoolConnection<Postgres>>,
}

impl<'a> Session<'a> {
    /// Begins a transaction by these statements.
    pub(crate) fn begin(engine: &'a Engine, begin: &'static str) -> Result<Self, PostgresError> {
        let pool = engine.pool.clone();
        let connection = engine.wait(async move { Ok(pool.acquire().await?) })?;
        let mut session = Self {
            engine,
            connection: Some(connection),
        };
        session.run(begin)?;
        Ok(session)
    }

    /// Server and database, for errors.
    pub(crate) fn place(&self) -> &PathBuf {
        &self.engine.place
    }

    /// Rows that a statement gives.
    pub(crate) fn fetch(&mut self, statement: Statement) -> Result<Vec<PgRow>, PostgresError> {
        let mut connection = self.connection.take().ok_or(PostgresError::Ended)?;
        let patience = self.engine.patience;
        let (connection, rows) = self.engine.wait(async move {
            let fetching = statement.fetch_all(&mut *connection);
            match tokio::time::timeout(patience, fetching).await {
                Ok(Ok(rows)) => Ok((connection, rows)),
                Ok(Err(error)) => Err(discard(connection, error.into())),
                Err(_) => Err(discard(connection, PostgresError::Slow)),
            }
        })?;
        self.connection = Some(connection);
        Ok(rows)
    }

    /// Ends the transaction so that what it did stays.
    pub(crate) fn commit(mut self) -> Result<(), PostgresError> {
        self.run("COMMIT")?;
        // Back to the pool, which is only possible inside the runtime.
        let _inside = self.engine.runtime.as_ref().map(Runtime::enter);
        self.connection = None;
        Ok(())
    }

    /// Runs statements that have no values and give no rows.
    fn run(&mut self, statements: &'static str) -> Result<(), PostgresError> {
        let mut connection = self.connection.take().ok_or(PostgresError::Ended)?;
        let patience = self.engine.patience;
        let connection = self.engine.wait(async move {
            match tokio::time::timeout(patience, execute(&mut connection, statements)).await {
                Ok(Ok(())) => Ok(connection),
                Ok(Err(error)) => Err(discard(connection, error.into())),
                Err(_) => Err(discard(connection, PostgresError::Slow)),
            }
        })?;
        self.connection = Some(connection);
        Ok(())
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        let (Some(mut connection), Some(runtime)) = (self.connection.take(), &self.engine.runtime)
        else {
            return;
        };
        let patience = self.engine.patience;
        runtime.spawn(async move {
            let ended = tokio::time::timeout(patience, execute(&mut connection, "ROLLBACK")).await;
            if !matches!(ended, Ok(Ok(()))) {
                discard(connection, PostgresError::Ended);
            }
        });
    }
}

async fn execute(
    connection: &mut PoolConnection<Postgres>,
    statements: &'static str,
) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(statements).execute(&mut **connection).await?;
    Ok(())
}

/// Closes a connection on which something failed; passes the error on.
fn discard(connection: PoolConnection<Postgres>, error: PostgresError) -> PostgresError {
    drop(connection.detach());
    error
}
