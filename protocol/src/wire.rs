//! The HTTP API of the DP: paths, media types and messages.
//!
//! Queries and answers of the PIR are `pir-core`'s own encodings and pass as
//! opaque bodies.

pub mod csip;
mod holder;
mod oprf;
mod paid;

pub use holder::{
    HOLDER_SCHEME, HolderMessageError, HolderProof, Holdings, Receipt, RemovalRequest,
};
pub use oprf::{OprfRequest, OprfResponse, WireError};
pub use paid::PaidOprfRequest;

use crate::log::Part;
use crate::manifest::SnapshotId;

/// The newest manifest: `GET`, [`media::COSE`].
pub const MANIFEST_PATH: &str = "/v1/manifest";

/// OPRF evaluation: `POST` of an [`OprfRequest`], [`media::CBOR`] both ways.
pub const OPRF_PATH: &str = "/v1/oprf";

/// The header that names the end sender an MSP asks for, by a
/// [`Pseudonym`](crate::pseudonym::Pseudonym).
pub const SENDER_HEADER: &str = "sotto-sender";

/// The DP's directory of token keys (RFC 9578 §4): `GET`,
/// [`media::TOKEN_DIRECTORY`].
pub const TOKEN_DIRECTORY_PATH: &str = "/.well-known/private-token-issuer-directory";

/// Tokens, charged to an account: `POST` of a
/// [`TokenRequest`](crate::token::TokenRequest), [`media::TOKEN_REQUEST`] to
/// [`media::TOKEN_RESPONSE`], or of a
/// [`BatchTokenRequest`](crate::token::BatchTokenRequest),
/// [`media::TOKEN_BATCH_REQUEST`] to [`media::TOKEN_BATCH_RESPONSE`].
pub const TOKENS_PATH: &str = "/v1/tokens";

/// Mappings of one recipient: `PUT` a [`Bundle`](crate::bundle::Bundle),
/// `DELETE` with a [`RemovalRequest`], both [`media::CBOR`] to a [`Receipt`];
/// `GET` with a [`HolderProof`] for [`Holdings`].
pub const MAPPINGS_PATH: &str = "/v1/mappings";

/// Releases: `PUT` a [`SignedRelease`](crate::removal::SignedRelease),
/// [`media::COSE`], for a [`Receipt`].
pub const RELEASES_PATH: &str = "/v1/releases";

/// Audience records: `PUT` one, [`media::COSE`], with an API key, for a
/// [`Receipt`].
pub const AUDIENCE_RECORDS_PATH: &str = "/v1/audience-records";

/// The audit log: `GET`, `?from=` the first index, for
/// [`AUDIT_ENTRIES_MAX`] [`Entry`](crate::audit::Entry)s at most, one after the
/// other, as [`media::CBOR_SEQUENCE`].
pub const AUDIT_PATH: &str = "/v1/audit";

/// Most entries of the audit log in one answer.
pub const AUDIT_ENTRIES_MAX: usize = 1024;

/// Where the log of manifests ends: `GET`, [`media::TEXT`], a
/// [`SignedCheckpoint`](crate::log::SignedCheckpoint).
pub const LOG_CHECKPOINT_PATH: &str = "/v1/log/checkpoint";

/// Route template of [`log_tile_path`], with what is below as `{path}`.
pub const LOG_TILE_ROUTE: &str = "/v1/log/tile/{*path}";

/// 200 while the process runs: `GET`.
pub const LIVE_PATH: &str = "/v1/health/live";

/// 200 while a snapshot is served and the process isn't draining: `GET`.
pub const READY_PATH: &str = "/v1/health/ready";

/// Route template of [`hint_path`], with the snapshot id as `{id}`.
pub const HINT_ROUTE: &str = "/v1/snapshots/{id}/hint";

/// Route template of [`filter_path`], with the snapshot id as `{id}`.
pub const FILTER_ROUTE: &str = "/v1/snapshots/{id}/filter";

/// Route template of [`database_path`], with the snapshot id as `{id}`.
pub const DATABASE_ROUTE: &str = "/v1/snapshots/{id}/database";

/// Route template of [`query_path`], with the snapshot id as `{id}`.
pub const QUERY_ROUTE: &str = "/v1/snapshots/{id}/query";

/// The hint of a snapshot: `GET`, [`media::HINT`].
pub fn hint_path(snapshot: &SnapshotId) -> String {
    HINT_ROUTE.replace("{id}", &snapshot.to_string())
}

/// The membership filter of a snapshot that has one: `GET`, [`media::FILTER`].
pub fn filter_path(snapshot: &SnapshotId) -> String {
    FILTER_ROUTE.replace("{id}", &snapshot.to_string())
}

/// The database of a snapshot, for audits: `GET` with an API key or a client
/// certificate, [`media::OCTETS`].
pub fn database_path(snapshot: &SnapshotId) -> String {
    DATABASE_ROUTE.replace("{id}", &snapshot.to_string())
}

/// Hashes or entries of the log of manifests: `GET`, [`media::OCTETS`].
pub fn log_tile_path(part: &Part) -> String {
    LOG_TILE_ROUTE.replace("{*path}", &part.to_string())
}

/// A PIR query of a snapshot: `POST`, [`media::QUERY`] to [`media::ANSWER`].
pub fn query_path(snapshot: &SnapshotId) -> String {
    QUERY_ROUTE.replace("{id}", &snapshot.to_string())
}

/// Media types of requests and responses.
pub mod media {
    /// A COSE_Sign1 (RFC 9052 §11.3): the manifest, releases, audience records.
    pub const COSE: &str = "application/cose";
    /// A [`SnapshotHint`](crate::hint::SnapshotHint).
    pub const HINT: &str = "application/sotto-hint";
    /// A [`MembershipFilter`](crate::filter::MembershipFilter).
    pub const FILTER: &str = "application/sotto-filter";
    /// A checkpoint of the log.
    pub const TEXT: &str = "text/plain; charset=utf-8";
    /// Tiles and bundles of the log, and a snapshot's database.
    pub const OCTETS: &str = "application/octet-stream";
    /// A PIR query.
    pub const QUERY: &str = "application/sotto-query";
    /// A PIR answer.
    pub const ANSWER: &str = "application/sotto-answer";
    /// CBOR (RFC 8949 §9.2): messages.
    pub const CBOR: &str = "application/cbor";
    /// Several CBOR items, one after the other (RFC 8742 §6.1).
    pub const CBOR_SEQUENCE: &str = "application/cbor-seq";
    /// An issuer's directory (RFC 9578 §8.3.1).
    pub const TOKEN_DIRECTORY: &str = "application/private-token-issuer-directory";
    /// A request for one token (RFC 9578 §8.3.2).
    pub const TOKEN_REQUEST: &str = "application/private-token-request";
    /// Its answer (RFC 9578 §8.3.3).
    pub const TOKEN_RESPONSE: &str = "application/private-token-response";
    /// A request for several tokens (draft-ietf-privacypass-batched-tokens §5.1).
    pub const TOKEN_BATCH_REQUEST: &str = "application/private-token-amortized-batch-request";
    /// Its answer (draft-ietf-privacypass-batched-tokens §5.2).
    pub const TOKEN_BATCH_RESPONSE: &str = "application/private-token-amortized-batch-response";
    /// JSON (RFC 8259 §11): receipts.
    pub const JSON: &str = "application/json";
    /// A [`Problem`](crate::problem::Problem) (RFC 9457 §6.1).
    pub const PROBLEM: &str = "application/problem+json";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_the_snapshot() {
        let id = SnapshotId::from_bytes([0xab; 32]);
        let digits = "ab".repeat(32);
        assert_eq!(hint_path(&id), format!("/v1/snapshots/{digits}/hint"));
        assert_eq!(filter_path(&id), format!("/v1/snapshots/{digits}/filter"));
        assert_eq!(query_path(&id), format!("/v1/snapshots/{digits}/query"));
    }
}
