//! The service over HTTP. Paths, media types and messages are
//! [`protocol::wire`]'s, errors are [`protocol::problem`] documents.

mod access;
mod auth;
mod body;
mod error;
mod handlers;
mod listen;
mod patience;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::middleware::from_fn;
use axum::routing::{get, post};
use protocol::oprf::OprfKey;
use protocol::wire;
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;

pub use error::Error;
pub use listen::{ListenLimits, serve};

use crate::config::{Config, LogFormat};
use crate::data_dir::{DataDir, DataDirError};
use crate::memory::Memory;
use crate::progress::Progress;
use crate::scheduler::{Limits, Scheduler};
use crate::senders::Senders;
use crate::snapshot::build::OPRF_EPOCH;
use crate::snapshot::{Snapshot, SnapshotError, current};

/// Request bodies in memory at a time: of a quarter of a megabyte at most.
const BODIES_MAX: usize = 256;

/// What every request may use.
pub struct AppState {
    snapshot: ArcSwap<Snapshot>,
    oprf: OprfKey,
    oprf_epoch: u64,
    senders: Senders,
    scheduler: Scheduler<Snapshot>,
    /// Whether new requests are welcome.
    ready: AtomicBool,
    body_timeout: Duration,
    bodies: Semaphore,
    /// One permit a core: OPRF evaluations take long.
    evaluations: Semaphore,
}

/// What a service is made of.
pub struct Parts {
    /// What is served.
    pub snapshot: Snapshot,
    /// Evaluates.
    pub oprf: OprfKey,
    /// Who may ask.
    pub senders: Senders,
    /// The queue's limits.
    pub limits: Limits,
    /// Threads that answer queries; 0 for one a core.
    pub threads: usize,
    /// For a request's body.
    pub body_timeout: Duration,
}

/// Why the service can't start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The data directory.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The snapshot.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The snapshot was built under another OPRF key.
    #[error(
        "the snapshot belongs to another OPRF key than keys/oprf.key: run `sotto-server snapshot build`"
    )]
    OprfKey,
    /// Not a backend of this machine.
    #[error("queries.backend: {0}")]
    Backend(#[source] pir_core::Error),
    /// No thread for the queue.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
}

impl AppState {
    /// The state for the published snapshot of a data directory.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn open(data: &DataDir, config: &Config) -> Result<Arc<Self>, StartError> {
        let directory = data.snapshots();
        let backend = config.queries.backend().map_err(StartError::Backend)?;
        // For a person who waits; elsewhere the log has nothing but its own lines.
        let progress = match (config.log.format, Progress::detect()) {
            (LogFormat::Text, Progress::Bar) => Progress::Bar,
            _ => Progress::Silent,
        };
        let snapshot = Snapshot::load(
            &directory,
            current::read(&directory)?,
            &data.provider_public_key()?,
            Memory::OfSystem,
            progress,
        )?
        .with_backend(backend);
        Self::start(Parts {
            snapshot,
            oprf: data.oprf_key()?,
            senders: data.senders()?,
            limits: Limits {
                max_batch: config.queries.max_batch,
                queue_length: config.queries.queue_length,
                per_sender: config.queries.per_sender,
                deadline: config.queries.deadline(),
            },
            threads: config.queries.threads,
            body_timeout: Duration::from_millis(config.timeouts.body_ms),
        })
    }

    /// The state of a service, ready at once.
    ///
    /// # Errors
    /// [`StartError::OprfKey`], [`StartError::Thread`].
    pub fn start(parts: Parts) -> Result<Arc<Self>, StartError> {
        if parts.snapshot.manifest().oprf_key != parts.oprf.public_key() {
            return Err(StartError::OprfKey);
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Arc::new(Self {
            snapshot: ArcSwap::from_pointee(parts.snapshot),
            oprf: parts.oprf,
            oprf_epoch: OPRF_EPOCH,
            senders: parts.senders,
            scheduler: Scheduler::start(parts.limits, parts.threads)?,
            ready: AtomicBool::new(true),
            body_timeout: parts.body_timeout,
            bodies: Semaphore::new(BODIES_MAX),
            evaluations: Semaphore::new(cores),
        }))
    }

    /// The snapshot that is served.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Says from now on that no requests are welcome; those that come are
    /// answered all the same.
    pub fn drain(&self) {
        self.ready.store(false, Ordering::Relaxed);
    }

    fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }
}

impl std::fmt::Debug for AppState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AppState")
            .field("snapshot", &self.snapshot().id())
            .finish_non_exhaustive()
    }
}

/// All routes, with access log and problem documents for every error.
pub fn app(state: Arc<AppState>) -> Router {
    Router::new()
        .route(wire::MANIFEST_PATH, get(handlers::manifest))
        .route(wire::HINT_ROUTE, get(handlers::hint))
        .route(wire::OPRF_PATH, post(handlers::oprf))
        .route(wire::QUERY_ROUTE, post(handlers::query))
        .route(wire::LIVE_PATH, get(handlers::live))
        .route(wire::READY_PATH, get(handlers::ready))
        .fallback(async || Error::NotFound)
        .method_not_allowed_fallback(async || Error::MethodNotAllowed)
        .with_state(state)
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(from_fn(access::log))
}

#[cfg(test)]
mod tests;
