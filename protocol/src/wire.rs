//! The HTTP API of the DP: paths, media types and the OPRF messages.
//!
//! Queries and answers of the PIR are `pir-core`'s own encodings and pass as
//! opaque bodies.

mod oprf;

pub use oprf::{OprfRequest, OprfResponse, WireError};

use crate::manifest::SnapshotId;

/// The newest manifest: `GET`, [`media::COSE`].
pub const MANIFEST_PATH: &str = "/v1/manifest";

/// OPRF evaluation: `POST` of an [`OprfRequest`], [`media::CBOR`] both ways.
pub const OPRF_PATH: &str = "/v1/oprf";

/// 200 while the process runs: `GET`.
pub const LIVE_PATH: &str = "/v1/health/live";

/// 200 while a snapshot is served and the process isn't draining: `GET`.
pub const READY_PATH: &str = "/v1/health/ready";

/// Route template of [`hint_path`], with the snapshot id as `{id}`.
pub const HINT_ROUTE: &str = "/v1/snapshots/{id}/hint";

/// Route template of [`query_path`], with the snapshot id as `{id}`.
pub const QUERY_ROUTE: &str = "/v1/snapshots/{id}/query";

/// The hint of a snapshot: `GET`, [`media::HINT`].
pub fn hint_path(snapshot: &SnapshotId) -> String {
    HINT_ROUTE.replace("{id}", &snapshot.to_string())
}

/// A PIR query of a snapshot: `POST`, [`media::QUERY`] to [`media::ANSWER`].
pub fn query_path(snapshot: &SnapshotId) -> String {
    QUERY_ROUTE.replace("{id}", &snapshot.to_string())
}

/// Media types of requests and responses.
pub mod media {
    /// A COSE_Sign1 (RFC 9052 §11.3): the manifest.
    pub const COSE: &str = "application/cose";
    /// A [`SnapshotHint`](crate::hint::SnapshotHint).
    pub const HINT: &str = "application/sotto-hint";
    /// A PIR query.
    pub const QUERY: &str = "application/sotto-query";
    /// A PIR answer.
    pub const ANSWER: &str = "application/sotto-answer";
    /// CBOR (RFC 8949 §9.2): the OPRF messages.
    pub const CBOR: &str = "application/cbor";
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
        assert_eq!(query_path(&id), format!("/v1/snapshots/{digits}/query"));
    }
}
