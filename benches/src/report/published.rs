//! What the authors of other schemes have published for a database of 1 GiB
//! and one thread of a 2.6 GHz Xeon (ePrint 2025/1352 and the papers it
//! compares itself with): not measured here, and on another machine.

use serde::Serialize;

/// One published point.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Published {
    /// Name of the scheme.
    pub scheme: &'static str,
    /// Bytes of database.
    pub database_mib: u64,
    /// Upload and answer of a lookup, kB (1000 bytes).
    pub communication_kb: f64,
    /// Server time of a lookup on one thread, ms.
    pub server_ms: f64,
    /// Downloaded once for each state of the database, kB (1000 bytes).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint_kb: Option<f64>,
    /// Where the numbers come from.
    pub source: &'static str,
}

/// The points that ours are drawn beside.
pub const POINTS: [Published; 5] = [
    published("InsPIRe", 236.0, 650.0),
    published("InsPIRe", 628.0, 210.0),
    published("YPIR+SP", 802.0, 600.0),
    published("HintlessPIR", 2236.0, 750.0),
    Published {
        hint_kb: Some(121_000.0),
        source: "published; time from its throughput of about 10 GB/s",
        ..published("SimplePIR", 240.0, 107.0)
    },
];

const fn published(scheme: &'static str, communication_kb: f64, server_ms: f64) -> Published {
    Published {
        scheme,
        database_mib: 1024,
        communication_kb,
        server_ms,
        hint_kb: None,
        source: "published",
    }
}
