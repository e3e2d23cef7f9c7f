//! Identifiers, signed objects, OPRF, snapshot format and wire messages of the
//! Sotto discovery provider.
//!
//! The words are those of draft-ietf-mimi-discovery-requirements: a *CSI* is a
//! person's cross-service identifier, a *CSIP* vouches for who holds it, an
//! *MSP* is a messaging provider, a *DP* is the discovery provider.
//!
//! This crate does no I/O and knows nothing of the PIR scheme: hints, queries
//! and answers of `pir-core` pass through it as opaque bytes.

pub mod audience;
pub mod audit;
pub mod bucket;
pub mod bundle;
pub mod cbor;
pub mod cose;
pub mod credential;
pub mod csi;
pub mod derivation;
pub mod filter;
pub mod hint;
pub mod inquiry;
pub mod log;
pub mod lookup;
pub mod manifest;
pub mod mapping;
pub mod merkle;
pub mod oprf;
pub mod passphrase;
pub mod placement;
pub mod precedence;
pub mod problem;
pub mod pseudonym;
pub mod record;
pub mod removal;
pub mod resolve;
pub mod time;
pub mod token;
pub mod trust;
pub mod wire;
