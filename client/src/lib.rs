//! Looks identifiers up at a discovery provider (DP) without telling it which.
//!
//! A [`Client`] trusts nothing that the DP serves before it has compared it:
//! the manifest with the pinned key, the hint with the manifest, OPRF
//! evaluations with the published key, each bucket with the Merkle root, and
//! the objects in it with the client's own trust list of CSIPs. So absence is
//! proven as well as presence.
//!
//! What goes over the wire depends on the number of identifiers alone, and on
//! the fixed number of [slots](SlotCount) of each: one OPRF request for up to
//! 1024 slots and one PIR query for each slot, all of the same size. Nothing is
//! checked or retried in between by what an answer says. A [`Cache`] lets a client
//! leave out what it has asked for before, and a [membership filter](FilterUse)
//! what is certainly absent; docs/bulk.md says what each reveals.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use client::{ApiKey, Client, ClientConfig};
//! use protocol::{cose::VerifyingKey, csi::Csi, trust::TrustList};
//!
//! let key = VerifyingKey::from_text("ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")?;
//! let trust = TrustList::from_toml(&std::fs::read_to_string("trust.toml")?)?;
//! let config = ClientConfig::new("https://dp.example:8443", key, trust)
//!     .with_api_key(ApiKey::new("sotto_...")?);
//! let client = Client::connect(config).await?;
//! let lookup = client.lookup(&Csi::parse("+44 20 7946 0000")?).await?;
//! # Ok(())
//! # }
//! ```

pub mod audit;
#[cfg(feature = "blind-rsa")]
pub mod blind_rsa;
mod bulk;
mod cache;
mod client;
mod config;
pub mod csip;
pub mod durable;
mod error;
#[cfg(test)]
mod fixture;
mod found;
pub mod identity;
mod key_file;
mod keyring;
mod log;
pub mod monitor;
mod patience;
pub mod recipient;
mod slots;
mod snapshot;
mod transport;
mod wallet;

pub use bulk::Progress;
pub use cache::{Cache, CacheError};
pub use client::Client;
pub use config::{
    ApiKey, ApiKeyError, ClientCertificate, ClientConfig, FilterUse, Reuse, TlsRoots,
};
pub use error::ClientError;
pub use found::{AudienceFound, Found};
pub use key_file::{KeyFile, KeyFileError, Passphrase};
pub use keyring::{
    Keyring, KeyringError, KeyringFile, KeyringFileError, LineError, MAX_MEMBERSHIPS, Membership,
};
pub use log::{LogRefusal, WitnessError, Witnesses};
pub use slots::{SlotCount, SlotCountError};
pub use snapshot::SnapshotView;
pub use transport::Traffic;
pub use wallet::{Wallet, WalletError, WalletLine, WalletSummary};
