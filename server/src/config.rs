//! The configuration file.

mod keys;
mod ledger;
mod metrics;
mod storage;
mod store;
mod tokens;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pir_core::Backend;
use serde::Deserialize;

pub use keys::{Keys, Oprf};
pub use ledger::Ledger;
pub use metrics::Metrics;
pub use storage::{Role, Storage, StorageKind};
pub use store::{STORE_URL, Store, StoreKind};
pub use tokens::Tokens;

use crate::durable::FileError;
use crate::quotas::Quotas;
use crate::snapshot::build::FilterPolicy;

/// The commented file that `init` writes. Its values are the defaults.
pub const SHIPPED: &str = include_str!("../config.toml");

/// The best backend of the machine.
pub const AUTO: &str = "auto";

/// Most connections that may be configured.
const CONNECTIONS_MAX: usize = 1 << 20;

/// Longest queue that may be configured.
const QUEUE_MAX: usize = 1 << 16;

/// Most threads for queries that may be configured.
const THREADS_MAX: usize = 1024;

/// Most audience records that may be configured.
const AUDIENCE_MAX: u64 = 1 << 24;

/// Longest lifetime of a snapshot: a year.
const LIFETIME_HOURS_MAX: u64 = 365 * 24;

/// What the operator decides. See `config.toml` for what each value means.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Connections served at a time.
    pub max_connections: usize,
    /// Certificate and key.
    pub tls: Tls,
    /// Where credentials and mappings are kept.
    pub store: Store,
    /// Where it is kept what senders have spent.
    pub ledger: Ledger,
    /// How much they may evaluate.
    pub quota: Quotas,
    /// Snapshots.
    pub snapshot: Snapshot,
    /// Where they are published for other servers.
    pub storage: Storage,
    /// Secret keys.
    pub keys: Keys,
    /// The OPRF's keys.
    pub oprf: Oprf,
    /// Tokens.
    pub tokens: Tokens,
    /// Audience records.
    pub audience: Audience,
    /// The queue of PIR queries.
    pub queries: Queries,
    /// Patience.
    pub timeouts: Timeouts,
    /// Metrics.
    pub metrics: Metrics,
    /// Logging.
    pub log: Log,
}

/// Certificate and key, relative to the data directory.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// Certificate chain, PEM.
    pub certificate: PathBuf,
    /// Private key, PEM.
    pub key: PathBuf,
    /// Certificates of those who issue clients' certificates, PEM; empty for none.
    pub client_authorities: PathBuf,
}

/// How snapshots are published.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Snapshot {
    /// Hours until clients refuse a snapshot.
    pub lifetime_hours: u64,
    /// Seconds between two builds of a server that runs; 0 for builds on
    /// SIGHUP alone.
    pub interval_secs: u64,
    /// Changes after which the next build doesn't wait for the interval; 0 for
    /// any number.
    pub after_changes: u64,
    /// Whether a membership filter is published with each.
    pub filter: bool,
}

/// How many audience records are kept.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Audience {
    /// Of one sender's account.
    pub per_sender: u64,
    /// Of all.
    pub total: u64,
}

/// The queue of PIR queries.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Queries {
    /// Queries a pass, 1 to [`pir_core::query::MAX_BATCH`].
    pub max_batch: usize,
    /// Queries that wait.
    pub queue_length: usize,
    /// Queries of one account that wait.
    pub per_account: usize,
    /// Queries of one sender of an account that wait.
    pub per_sender: usize,
    /// Milliseconds that one waits.
    pub deadline_ms: u64,
    /// Threads that answer them; 0 for one a core.
    pub threads: usize,
    /// The kernels that answer them: [`AUTO`] or the name of one of
    /// [`pir_core`]'s. Whether this machine has it, [`Queries::backend`] says.
    pub backend: String,
}

/// Patience, in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timeouts {
    /// For a TLS handshake.
    pub handshake_ms: u64,
    /// For the headers of a request.
    pub header_ms: u64,
    /// For the body of a request.
    pub body_ms: u64,
    /// For requests under way at the end.
    pub drain_ms: u64,
}

/// Logging.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// How lines look.
    pub format: LogFormat,
    /// Least severity.
    pub level: LogLevel,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Least severity that is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// What failed.
    Error,
    /// And what looks wrong.
    Warn,
    /// And what happened, with the access log.
    Info,
    /// And more.
    Debug,
    /// Everything.
    Trace,
}

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file can't be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// Not TOML, or a key is unknown or of the wrong type.
    #[error("{path}: {source}", path = .path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// Where and what.
        source: Box<toml::de::Error>,
    },
    /// `store.url` and `store.url_file` are both given.
    #[error("configuration: store.url and store.url_file are both set: keep one")]
    StoreUrlTwice,
    /// Snapshots are to be published in a bucket that isn't named.
    #[error("configuration: storage.kind is \"s3\", but storage.bucket isn't set")]
    BucketMissing,
    /// The file with the storage's credentials isn't one.
    #[error(
        "{path}: expected the two lines access_key_id = \"…\" and secret_access_key = \"…\"",
        path = .path.display()
    )]
    Credentials {
        /// The file.
        path: PathBuf,
    },
    /// The store is PostgreSQL's, wherever that is.
    #[error(
        "configuration: store.kind or ledger.kind is \"postgres\", but there is no URL: set store.url or store.url_file, or {STORE_URL} in the environment"
    )]
    StoreUrlMissing,
    /// `store.url` has a password, which whoever reads the file would learn.
    #[error(
        "configuration: store.url has a password: put the URL into a file of mode 0600 and name that by store.url_file"
    )]
    StorePassword,
    /// Metrics would be served to other machines, in plain HTTP.
    #[error(
        "configuration: metrics.listen is {found}, expected a loopback address such as 127.0.0.1:9464: metrics are plain HTTP for this machine alone"
    )]
    MetricsAddress {
        /// What it is.
        found: SocketAddr,
    },
    /// A value is out of its range.
    #[error("configuration: {key} is {found}, expected {least} to {most}")]
    Range {
        /// Which value.
        key: &'static str,
        /// The least accepted.
        least: u64,
        /// The most accepted.
        most: u64,
        /// What it is.
        found: u64,
    },
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(FileError::new("read", path))?;
        let config: Self = toml::from_str(&text).map_err(|source| ConfigError::Toml {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let batch = pir_core::query::MAX_BATCH as u64;
        let an_hour_ms = 3_600_000;
        for (key, found, least, most) in [
            (
                "max_connections",
                self.max_connections as u64,
                1,
                CONNECTIONS_MAX as u64,
            ),
            (
                "snapshot.lifetime_hours",
                self.snapshot.lifetime_hours,
                1,
                LIFETIME_HOURS_MAX,
            ),
            (
                "snapshot.interval_secs",
                self.snapshot.interval_secs,
                0,
                LIFETIME_HOURS_MAX * 3600,
            ),
            ("storage.follow_secs", self.storage.follow_secs, 1, 3600),
            ("tokens.key_days", self.tokens.key_days.into(), 1, 365),
            (
                "audience.per_sender",
                self.audience.per_sender,
                0,
                AUDIENCE_MAX,
            ),
            (
                "oprf.rotate_days",
                self.oprf.rotate_days,
                0,
                keys::ROTATE_DAYS_MAX,
            ),
            ("audience.total", self.audience.total, 0, AUDIENCE_MAX),
            ("queries.max_batch", self.queries.max_batch as u64, 1, batch),
            (
                "queries.queue_length",
                self.queries.queue_length as u64,
                1,
                QUEUE_MAX as u64,
            ),
            (
                "queries.per_account",
                self.queries.per_account as u64,
                1,
                QUEUE_MAX as u64,
            ),
            (
                "queries.per_sender",
                self.queries.per_sender as u64,
                1,
                QUEUE_MAX as u64,
            ),
            (
                "queries.deadline_ms",
                self.queries.deadline_ms,
                1,
                an_hour_ms,
            ),
            (
                "queries.threads",
                self.queries.threads as u64,
                0,
                THREADS_MAX as u64,
            ),
            (
                "timeouts.handshake_ms",
                self.timeouts.handshake_ms,
                1,
                an_hour_ms,
            ),
            ("timeouts.header_ms", self.timeouts.header_ms, 1, an_hour_ms),
            ("timeouts.body_ms", self.timeouts.body_ms, 1, an_hour_ms),
            ("timeouts.drain_ms", self.timeouts.drain_ms, 1, an_hour_ms),
            (
                "store.connections",
                self.store.connections.into(),
                2,
                store::CONNECTIONS_MAX,
            ),
            ("store.acquire_ms", self.store.acquire_ms, 1, an_hour_ms),
            ("store.statement_ms", self.store.statement_ms, 1, an_hour_ms),
        ] {
            if !(least..=most).contains(&found) {
                return Err(ConfigError::Range {
                    key,
                    least,
                    most,
                    found,
                });
            }
        }
        ledger::check(&self.quota)?;
        self.storage.check()?;
        self.metrics.check()?;
        self.store.check()
    }
}

impl Snapshot {
    /// Time between two builds, if there is one.
    pub fn interval(&self) -> Option<Duration> {
        (self.interval_secs > 0).then(|| Duration::from_secs(self.interval_secs))
    }

    /// Whether a membership filter is published with each.
    pub fn filter_policy(&self) -> FilterPolicy {
        if self.filter {
            FilterPolicy::Publish
        } else {
            FilterPolicy::Omit
        }
    }
}

impl Queries {
    /// How long a query waits.
    pub fn deadline(&self) -> Duration {
        Duration::from_millis(self.deadline_ms)
    }

    /// The kernels that answer them.
    ///
    /// # Errors
    /// [`pir_core::Error`], which names those that this machine has.
    pub fn backend(&self) -> Result<Backend, pir_core::Error> {
        if self.backend == AUTO {
            Ok(Backend::detect())
        } else {
            self.backend.parse()
        }
    }
}

/// The shipped file with another address to listen on.
pub fn shipped_listening_on(listen: SocketAddr) -> String {
    let line = format!("listen = \"{}\"", Config::default().listen);
    SHIPPED.replacen(&line, &format!("listen = \"{listen}\""), 1)
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8443)),
            max_connections: 1024,
            tls: Tls::default(),
            store: Store::default(),
            ledger: Ledger::default(),
            quota: Quotas::default(),
            snapshot: Snapshot::default(),
            storage: Storage::default(),
            keys: Keys::default(),
            oprf: Oprf::default(),
            tokens: Tokens::default(),
            audience: Audience::default(),
            queries: Queries::default(),
            timeouts: Timeouts::default(),
            metrics: Metrics::default(),
            log: Log::default(),
        }
    }
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            certificate: "tls/cert.pem".into(),
            key: "tls/key.pem".into(),
            client_authorities: PathBuf::new(),
        }
    }
}

impl Default for Snapshot {
    fn default() -> Self {
        Self {
            lifetime_hours: 7 * 24,
            interval_secs: 3600,
            after_changes: 0,
            filter: false,
        }
    }
}

impl Default for Audience {
    fn default() -> Self {
        Self {
            per_sender: 1000,
            total: 100_000,
        }
    }
}

impl Default for Queries {
    fn default() -> Self {
        Self {
            max_batch: pir_core::query::MAX_BATCH,
            queue_length: 64,
            per_account: 48,
            per_sender: 32,
            deadline_ms: 10_000,
            threads: 0,
            backend: AUTO.to_owned(),
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            handshake_ms: 10_000,
            header_ms: 15_000,
            body_ms: 20_000,
            drain_ms: 20_000,
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            level: LogLevel::Info,
        }
    }
}

#[cfg(test)]
mod tests;
