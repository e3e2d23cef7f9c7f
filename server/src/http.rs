//! The service over HTTP. Paths, media types and messages are
//! [`protocol::wire`]'s, errors are [`protocol::problem`] documents.

mod access;
mod auth;
mod body;
mod downloads;
mod error;
mod evaluations;
mod handlers;
mod listen;
mod log;
mod patience;
mod places;
mod publishing;
mod quota;
mod redeem;
mod served;
mod tokens;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post, put};
use protocol::cose::KeyId;
use protocol::manifest::SnapshotId;
use protocol::merkle::Hash;
use protocol::time::UnixTime;
use protocol::trust::TrustList;
use protocol::wire;
use tokio::sync::{Notify, Semaphore};
use tower_http::catch_panic::CatchPanicLayer;

use downloads::{Downloads, PACE_EVERY};
pub use error::Error;
use evaluations::Evaluator;
pub use listen::{ListenLimits, serve};
use places::Places;
use served::Served;

use crate::accept::AudienceLimits;
use crate::config::{Config, LogFormat, StorageKind};
use crate::data_dir::{DataDir, DataDirError};
use crate::ledger::{Ledger, LedgerError, LedgerKeys};
use crate::memory::Memory;
use crate::meter::Meter;
use crate::metrics::Metrics;
use crate::oprf_keys::OprfKeyRing;
use crate::progress::Progress;
use crate::quotas::Quotas;
use crate::scheduler::{Limits, Scheduler};
use crate::senders::Senders;
use crate::snapshot::build::manifest_of;
use crate::snapshot::{Snapshot, SnapshotError, current};
use crate::storage::known;
use crate::store::Store;
use crate::tokens::Tokens;
use crate::writer::Writer;

/// Bodies of submissions in memory at a time: of 16 KiB at most.
const SUBMISSIONS_MAX: usize = 256;

/// Submissions that are verified, and reads of the store, at a time: a thread of
/// the blocking pool each, a few of its 512.
const VERIFICATIONS_MAX: usize = 64;

/// How far the clocks of servers that share a ledger may be apart.
const SKEW_SECS: u64 = 3600;

/// What every request may use.
pub struct AppState {
    /// What is served; nothing before the first build.
    served: ArcSwap<Served>,
    evaluator: Evaluator,
    /// The key by which recipients name this provider.
    provider: KeyId,
    senders: ArcSwap<Senders>,
    trust: ArcSwap<TrustList>,
    tokens: ArcSwap<Tokens>,
    store: Arc<dyn Store>,
    writer: Writer,
    ledger: Arc<dyn Ledger>,
    meter: Meter,
    /// Names meters.
    meters: LedgerKeys,
    quotas: ArcSwap<Quotas>,
    clock: fn() -> UnixTime,
    scheduler: Scheduler<Snapshot>,
    /// Whether new requests are welcome.
    ready: AtomicBool,
    /// Tells of passes that failed their check.
    faults: Notify,
    metrics: Metrics,
    body_timeout: Duration,
    bodies: Places,
    /// Places for the bodies of recipients and CSIPs, who need no account.
    submissions: Semaphore,
    /// One permit a core: OPRF evaluations take long.
    evaluations: Arc<Semaphore>,
    /// Half as many for tokens that are still to be verified: whoever sends bad
    /// ones keeps nobody from what was paid for.
    verifying_tokens: Arc<Semaphore>,
    /// For signatures of submissions, and for reading the store.
    verifications: Arc<Semaphore>,
    downloads: Downloads,
}

/// What a service is made of.
pub struct Parts {
    /// What is served, if anything was published.
    pub snapshot: Option<Snapshot>,
    /// Evaluate.
    pub oprf: OprfKeyRing,
    /// The key that signs manifests.
    pub provider: KeyId,
    /// Who may ask.
    pub senders: Senders,
    /// Who may speak for which identifiers.
    pub trust: TrustList,
    /// Which tokens are issued and taken.
    pub tokens: Tokens,
    /// Where what is published is kept.
    pub store: Arc<dyn Store>,
    /// How many audience records are kept.
    pub audience: AudienceLimits,
    /// Where it is kept what senders have spent.
    pub ledger: Arc<dyn Ledger>,
    /// The keys that name meters there.
    pub ledger_keys: LedgerKeys,
    /// How much senders may evaluate.
    pub quotas: Quotas,
    /// The queue's limits.
    pub limits: Limits,
    /// Threads that answer queries; 0 for one a core.
    pub threads: usize,
    /// What is counted.
    pub metrics: Metrics,
    /// For a request's body.
    pub body_timeout: Duration,
    /// Says when it is, which decides what is valid.
    pub clock: fn() -> UnixTime,
}

/// Why the service can't start, or a snapshot can't be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The data directory.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The snapshot.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The snapshot was built under an OPRF key that isn't there.
    #[error("the snapshot belongs to no OPRF key in keys/oprf: run `sotto-server snapshot build`")]
    OprfKey,
    /// The published snapshot is older than what was served.
    #[error(
        "the manifest {found} is published, and {known} was served: an older pointer or a backup was put back; nothing older is served"
    )]
    Older {
        /// What was served last.
        known: u64,
        /// What is published.
        found: u64,
    },
    /// Two manifests have one place in the chain.
    #[error(
        "another manifest {sequence} is published than the one that was served: look for a second publisher with this key, or a backup that was restored; nothing else is served until a later one is published"
    )]
    Equivocation {
        /// Their place in the chain.
        sequence: u64,
    },
    /// This machine isn't trusted any more.
    #[error(
        "three passes have failed their check: test this machine's memory and processors, and start the server again"
    )]
    Condemned,
    /// Not a backend of this machine.
    #[error("queries.backend: {0}")]
    Backend(#[source] pir_core::Error),
    /// No thread for the queue.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
}

impl AppState {
    /// The state for a data directory, with its published snapshot if there is
    /// one.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn open(
        data: &DataDir,
        config: &Config,
        store: Arc<dyn Store>,
        ledger: Arc<dyn Ledger>,
    ) -> Result<Arc<Self>, StartError> {
        let provider = data.provider_public_key()?;
        let snapshot = published(data, config)?;
        let digest = snapshot
            .as_ref()
            .and_then(|snapshot| snapshot.manifest().token_keys);
        Self::start(Parts {
            tokens: Tokens::open(data, digest.as_ref())?,
            snapshot,
            oprf: data.oprf_keys()?,
            provider: provider.key_id(),
            senders: data.senders()?,
            trust: data.trust()?,
            store,
            audience: AudienceLimits {
                per_sender: config.audience.per_sender,
                total: config.audience.total,
            },
            ledger,
            ledger_keys: data.ledger_keys()?,
            quotas: config.quota,
            limits: Limits {
                max_batch: config.queries.max_batch,
                queue_length: config.queries.queue_length,
                per_account: config.queries.per_account,
                per_sender: config.queries.per_sender,
                deadline: config.queries.deadline(),
            },
            threads: config.queries.threads,
            metrics: Metrics::new(config.snapshot.interval()),
            body_timeout: Duration::from_millis(config.timeouts.body_ms),
            clock: UnixTime::now,
        })
    }

    /// The state of a service, ready at once if there is a snapshot.
    ///
    /// # Errors
    /// [`StartError::OprfKey`], [`StartError::Thread`].
    pub fn start(parts: Parts) -> Result<Arc<Self>, StartError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let state = Self {
            served: ArcSwap::default(),
            evaluator: Evaluator::start(parts.oprf)?,
            provider: parts.provider,
            senders: ArcSwap::from_pointee(parts.senders),
            trust: ArcSwap::from_pointee(parts.trust),
            tokens: ArcSwap::from_pointee(parts.tokens),
            writer: Writer::start(Arc::clone(&parts.store), parts.audience, parts.clock)?,
            meter: Meter::start(Arc::clone(&parts.ledger), parts.clock)?,
            ledger: parts.ledger,
            meters: parts.ledger_keys,
            quotas: ArcSwap::from_pointee(parts.quotas),
            clock: parts.clock,
            store: parts.store,
            scheduler: Scheduler::start(parts.limits, parts.threads, parts.metrics.passes())?,
            ready: AtomicBool::new(true),
            faults: Notify::new(),
            metrics: parts.metrics,
            body_timeout: parts.body_timeout,
            bodies: Places::new(),
            submissions: Semaphore::new(SUBMISSIONS_MAX),
            evaluations: Arc::new(Semaphore::new(cores)),
            verifying_tokens: Arc::new(Semaphore::new(cores.div_ceil(2))),
            verifications: Arc::new(Semaphore::new(VERIFICATIONS_MAX)),
            downloads: Downloads::new(PACE_EVERY),
        };
        if let Some(snapshot) = parts.snapshot {
            state.replace_snapshot(snapshot)?;
        }
        Ok(Arc::new(state))
    }

    /// The snapshot that is served, if one was published.
    pub fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.served.load().newest().cloned()
    }

    /// The snapshot before it, as long as that is served too.
    pub fn snapshot_before(&self) -> Option<Arc<Snapshot>> {
        self.served.load().before().cloned()
    }

    /// The snapshot with this name, if it is served.
    fn snapshot_named(&self, id: &SnapshotId) -> Option<Arc<Snapshot>> {
        self.served.load().named(id).cloned()
    }

    /// Serves another snapshot from now on, and the one before beside it until it
    /// is [retired](Self::retire_snapshot_before).
    ///
    /// # Errors
    /// [`StartError::OprfKey`], and as [`require_later`](Self::require_later); the one
    /// before stays.
    pub fn replace_snapshot(&self, snapshot: Snapshot) -> Result<(), StartError> {
        self.require_key_of(&snapshot)?;
        let snapshot = Arc::new(snapshot);
        let before = self.served.rcu(|served| served.with(Arc::clone(&snapshot)));
        before.require_successor(snapshot.signed_manifest())?;
        self.metrics.swapped((self.clock)());
        Ok(())
    }

    /// That a snapshot with this manifest may be served after what was served last.
    ///
    /// # Errors
    /// [`StartError::Older`], [`StartError::Equivocation`], [`StartError::Condemned`].
    pub fn require_later(&self, sequence: u64, manifest: &Hash) -> Result<(), StartError> {
        self.served.load().require_later(sequence, manifest)
    }

    /// That this machine may serve.
    ///
    /// # Errors
    /// [`StartError::Condemned`].
    pub fn require_trusted(&self) -> Result<(), StartError> {
        match self.served.load().is_condemned() {
            true => Err(StartError::Condemned),
            false => Ok(()),
        }
    }

    /// That the key which a snapshot was built under evaluates.
    ///
    /// # Errors
    /// [`StartError::OprfKey`].
    pub fn require_key_of(&self, snapshot: &Snapshot) -> Result<(), StartError> {
        match self.evaluator.keys().serves(snapshot.manifest()) {
            true => Ok(()),
            false => Err(StartError::OprfKey),
        }
    }

    /// The keys that evaluate.
    pub fn oprf_keys(&self) -> Arc<OprfKeyRing> {
        self.evaluator.keys()
    }

    /// Evaluates under other keys from now on: before a snapshot is published
    /// that needs them, and when one has retired.
    pub fn replace_oprf_keys(&self, keys: OprfKeyRing) {
        self.evaluator.replace(keys);
    }

    /// Whether the keys that issue tokens end soon.
    pub fn tokens_run_out(&self, now: UnixTime) -> bool {
        self.tokens.load().run_out(now)
    }

    /// Issues and takes these tokens from now on.
    pub fn replace_tokens(&self, tokens: Tokens) {
        self.tokens.store(Arc::new(tokens));
    }

    /// Who may speak for which identifiers.
    pub fn trust(&self) -> Arc<TrustList> {
        self.trust.load_full()
    }

    /// Where what is published is kept.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Forgets what need not be known of spending any more: tokens whose key has
    /// expired, and meters that are full again. Gives the number of tokens. Takes
    /// as long as the ledger does: call it from a thread that may block.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn forget_spent(&self) -> Result<u64, LedgerError> {
        // Servers' clocks differ: a token that another one still accepts must not
        // be forgotten by this one.
        self.ledger.forget((self.clock)().saturating_sub(SKEW_SECS))
    }

    /// Reads the trust list, the senders and the quotas again.
    ///
    /// # Errors
    /// [`DataDirError`]; what was in force stays.
    pub fn reload(&self, data: &DataDir) -> Result<(), DataDirError> {
        let (trust, senders) = (data.trust()?, data.senders()?);
        let quotas = data.config()?.quota;
        let digest = self
            .snapshot()
            .and_then(|snapshot| snapshot.manifest().token_keys);
        let tokens = Tokens::open(data, digest.as_ref())?;
        self.trust.store(Arc::new(trust));
        self.replace_tokens(tokens);
        self.senders.store(Arc::new(senders));
        self.quotas.store(Arc::new(quotas));
        Ok(())
    }

    /// Says from now on that no requests are welcome; those that come are
    /// answered all the same.
    pub fn drain(&self) {
        self.ready.store(false, Ordering::Relaxed);
    }

    /// Serves no snapshot from now on, until there is [another
    /// one](Self::replace_snapshot).
    pub fn withdraw_snapshots(&self) {
        self.served.rcu(|served| served.withdrawn(false));
    }

    /// Serves no snapshot any more, whatever is published, and is not ready.
    pub fn condemn(&self) {
        self.drain();
        self.served.rcu(|served| served.withdrawn(true));
    }

    /// The same for those alone of which a pass has failed its check; gives the
    /// newest, if it is one of them.
    pub fn withdraw_faulty_snapshots(&self) -> Option<Arc<Snapshot>> {
        let served = self.served.rcu(|served| served.without_faulty());
        let newest = served.newest().cloned();
        newest.filter(|newest| newest.is_faulty())
    }

    /// Serves the newest snapshot alone from now on: who asks for the one before is
    /// told that it has gone. Queries that were accepted are answered from the one
    /// they are for. Gives the one before.
    pub fn retire_snapshot_before(&self) -> Option<Arc<Snapshot>> {
        let served = self.served.rcu(|served| served.without_before());
        served.before().cloned()
    }

    /// Waits until a pass has failed its check.
    pub async fn fault(&self) {
        self.faults.notified().await;
    }

    /// What is counted.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Queries that wait for a pass now.
    pub(crate) fn waiting_queries(&self) -> usize {
        self.scheduler.waiting()
    }

    pub(crate) fn is_ready(&self) -> bool {
        let sound = |snapshot: &Arc<Snapshot>| !snapshot.is_faulty();
        self.ready.load(Ordering::Relaxed) && self.served.load().newest().is_some_and(sound)
    }
}

/// The published snapshot of a data directory, loaded, verified and tried; `None`
/// if none was built, or if there is a storage and it isn't known to be published
/// there.
///
/// # Errors
/// [`StartError`].
pub fn published(data: &DataDir, config: &Config) -> Result<Option<Snapshot>, StartError> {
    let directory = data.snapshots();
    let id = match current::read(&directory) {
        Err(SnapshotError::None { .. }) => return Ok(None),
        id => id?,
    };
    if config.storage.kind == StorageKind::S3 {
        let path = current::snapshot_path(&directory, id);
        let manifest = manifest_of(&path, &data.provider_public_key()?)?.digest();
        if !known::is_noted(&directory, &manifest).map_err(SnapshotError::from)? {
            tracing::warn!(
                snapshot = %id,
                "the snapshot here may not be the one that the storage publishes: nothing is served until the storage was asked"
            );
            return Ok(None);
        }
    }
    load(data, config, id).map(Some)
}

/// A snapshot in a data directory, loaded, verified and tried.
///
/// # Errors
/// [`StartError`].
pub fn load(data: &DataDir, config: &Config, id: SnapshotId) -> Result<Snapshot, StartError> {
    load_from(
        current::snapshot_path(&data.snapshots(), id),
        data,
        config,
        id,
    )
}

/// The same of a file that isn't in its place yet.
///
/// # Errors
/// [`StartError`].
pub fn load_from(
    path: PathBuf,
    data: &DataDir,
    config: &Config,
    id: SnapshotId,
) -> Result<Snapshot, StartError> {
    let directory = data.snapshots();
    let backend = config.queries.backend().map_err(StartError::Backend)?;
    // For a person who waits; elsewhere the log has nothing but its own lines.
    let progress = match (config.log.format, Progress::detect()) {
        (LogFormat::Text, Progress::Bar) => Progress::Bar,
        _ => Progress::Logged,
    };
    let provider = data.provider_public_key()?;
    let memory = Memory::OfSystem;
    let snapshot = Snapshot::load_from(path, &directory, id, &provider, memory, progress)?;
    let snapshot = snapshot.with_backend(backend);
    let stage = progress.stage("look up", 0);
    match snapshot.try_out() {
        Ok(()) => {
            stage.finish("answers rightly");
            Ok(snapshot)
        }
        Err(fault) => Err(SnapshotError::Unusable {
            path: snapshot.path().to_owned(),
            fault,
        }
        .into()),
    }
}

impl std::fmt::Debug for AppState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AppState")
            .field("snapshot", &self.snapshot().map(|snapshot| snapshot.id()))
            .finish_non_exhaustive()
    }
}

/// All routes, with access log and problem documents for every error.
pub fn app(state: Arc<AppState>) -> Router {
    let of_log = Arc::clone(&state);
    // Who is refused there is told how to pay instead.
    let paid = Router::new()
        .route(wire::OPRF_PATH, post(handlers::oprf))
        .route(wire::QUERY_ROUTE, post(handlers::query))
        .route_layer(from_fn_with_state(Arc::clone(&state), tokens::challenge));
    Router::new()
        .merge(paid)
        .route(wire::MANIFEST_PATH, get(handlers::manifest))
        .route(wire::HINT_ROUTE, get(handlers::hint))
        .route(wire::FILTER_ROUTE, get(handlers::filter))
        .route(wire::DATABASE_ROUTE, get(log::database))
        .route(wire::LOG_CHECKPOINT_PATH, get(log::checkpoint))
        .route(wire::LOG_TILE_ROUTE, get(log::tile))
        .route(wire::TOKEN_DIRECTORY_PATH, get(tokens::directory))
        .route(wire::TOKENS_PATH, post(tokens::issue))
        .route(
            wire::MAPPINGS_PATH,
            put(publishing::publish)
                .delete(publishing::remove)
                .get(publishing::holdings),
        )
        .route(wire::RELEASES_PATH, put(publishing::release))
        .route(
            wire::AUDIENCE_RECORDS_PATH,
            put(publishing::audience_record),
        )
        .route(wire::AUDIT_PATH, get(publishing::audit))
        .route(wire::LIVE_PATH, get(handlers::live))
        .route(wire::READY_PATH, get(handlers::ready))
        .fallback(async || Error::NotFound)
        .method_not_allowed_fallback(async || Error::MethodNotAllowed)
        .with_state(state)
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(from_fn_with_state(of_log, access::log))
}

#[cfg(test)]
mod tests;
