//! The Sotto discovery provider: it keeps what recipients publish of
//! themselves, publishes snapshots of it, and answers private lookups.
//!
//! | what | where |
//! |---|---|
//! | files: data directory, keys, configuration, senders | [`data_dir`], [`keys`], [`oprf_keys`], [`config`], [`senders`], [`durable`] |
//! | the truth: rows, encrypted | [`store`] |
//! | backups, and restores that publish nothing that was removed | [`backup`] |
//! | what is accepted, and what it does to the truth | [`accept`] |
//! | submissions that share commits | [`writer`] |
//! | from a file of credentials and mappings into the store | [`import`] |
//! | from the store to a published snapshot | [`snapshot`] |
//! | a new snapshot while one is served; what others publish | [`rebuild`], [`storage`] |
//! | the log of manifests; witnesses that cosign where it ends | [`log`], [`witness`] |
//! | what follows a pass that failed its check | [`guard`] |
//! | queries that share passes over the database | [`scheduler`] |
//! | how much senders may evaluate, what they have spent, what that is worth | [`quotas`], [`ledger`], [`meter`], [`enumeration`] |
//! | what the operator may count | [`metrics`] |
//! | HTTP over TLS | [`http`], [`tls`] |
//!
//! The binary `sotto-server` is [`cli`].

pub mod accept;
pub mod background;
pub mod backup;
pub mod cli;
pub mod config;
pub mod data_dir;
pub mod digest;
pub mod durable;
pub mod enumeration;
#[cfg(test)]
pub(crate) mod fixture;
pub mod freshness;
pub mod guard;
pub mod http;
pub mod import;
pub mod keys;
pub mod ledger;
pub mod loaded;
pub mod log;
pub mod memory;
pub mod meter;
pub mod metrics;
pub mod oprf_keys;
pub mod progress;
pub mod quotas;
pub mod rebuild;
pub mod sample;
pub mod scheduler;
pub mod senders;
pub mod snapshot;
pub mod storage;
pub mod store;
pub mod tls;
pub mod tokens;
pub mod witness;
pub mod writer;
