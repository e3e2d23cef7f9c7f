//! What a snapshot is, for people and for programs.

use pir_core::params::SET;
use protocol::time::UnixTime;
use serde::Serialize;

use super::Snapshot;

/// The facts of a verified snapshot.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Its name.
    pub snapshot: String,
    /// Its place in the chain.
    pub sequence: u64,
    /// When it was published.
    pub published_at: UnixTime,
    /// From when on clients refuse it.
    pub expires_at: UnixTime,
    /// Seconds since it was published.
    pub age_seconds: u64,
    /// Whether clients refuse it now.
    pub expired: bool,
    /// Identifiers in it.
    pub records: u64,
    /// Pilots in its hint.
    pub groups: u64,
    /// Buckets.
    pub columns: u64,
    /// Bytes of a bucket.
    pub bucket_bytes: u64,
    /// Bytes for records in a bucket.
    pub capacity_bytes: u64,
    /// Bytes of the database.
    pub database_bytes: u64,
    /// Bytes of the packing matrices.
    pub packing_bytes: u64,
    /// Bytes of all records.
    pub record_bytes: u64,
    /// Share of the buckets' capacity that records take.
    pub fill_percent: f64,
    /// The bucket with most bytes of records.
    pub fullest_bucket: u64,
    /// Bytes of records in it.
    pub fullest_bytes: u64,
    /// Bytes that clients fetch once.
    pub hint_bytes: u64,
    /// Bytes of a query.
    pub query_bytes: u64,
    /// Bytes of an answer.
    pub answer_bytes: u64,
    /// Bits of an element of a query.
    pub query_bits: u64,
    /// Bits of an element of the published mask.
    pub mask_bits: u64,
    /// Bits of an element of an answer.
    pub body_bits: u64,
    /// Name of the parameter set.
    pub parameter_set: String,
    /// Estimated bits of security of its weakest part.
    pub security_bits: u64,
    /// log2 of the bound on the probability that a lookup fails.
    pub failure_log2: f64,
    /// Epoch of the CRS.
    pub crs_epoch: u64,
    /// Epoch of the OPRF key.
    pub oprf_epoch: u64,
    /// Digest of the database.
    pub database_digest: String,
    /// Digest of the hint.
    pub hint_digest: String,
    /// Root of the tree over the buckets.
    pub merkle_root: String,
    /// Digest of the trust list.
    pub trust_list_digest: String,
    /// Digest of the manifest.
    pub manifest_digest: String,
    /// Digest of the manifest before.
    pub previous_manifest: Option<String>,
    /// The key that signed it.
    pub dp_key: String,
    /// What built it.
    pub builder: String,
}

impl Report {
    /// The facts at `now`.
    pub fn of(snapshot: &Snapshot, now: UnixTime) -> Self {
        let (manifest, facts, params) = (snapshot.manifest(), snapshot.facts(), snapshot.params());
        let (costs, widths) = (params.costs(), params.widths());
        let capacity = u64::from(facts.capacity_bytes) * params.columns() as u64;
        Self {
            snapshot: manifest.snapshot.to_string(),
            sequence: manifest.sequence,
            published_at: manifest.published_at,
            expires_at: manifest.expires_at,
            age_seconds: now.secs_since(manifest.published_at),
            expired: now >= manifest.expires_at,
            records: manifest.records,
            groups: manifest.groups,
            columns: params.columns() as u64,
            bucket_bytes: params.rows() as u64,
            capacity_bytes: u64::from(facts.capacity_bytes),
            database_bytes: params.database_bytes() as u64,
            packing_bytes: costs.packing_bytes as u64,
            record_bytes: facts.record_bytes,
            fill_percent: (facts.record_bytes as f64 / capacity.max(1) as f64 * 10_000.0).round()
                / 100.0,
            fullest_bucket: u64::from(facts.fullest_bucket),
            fullest_bytes: u64::from(facts.fullest_bytes),
            hint_bytes: manifest.hint.bytes,
            query_bytes: costs.upload_bytes as u64,
            answer_bytes: costs.answer_bytes as u64,
            query_bits: u64::from(widths.query),
            mask_bits: u64::from(widths.mask),
            body_bits: u64::from(widths.body),
            parameter_set: manifest.pir.parameter_set.clone(),
            security_bits: u64::from(SET.security_bits()),
            failure_log2: (params.failure_log2() * 100.0).round() / 100.0,
            crs_epoch: manifest.crs_epoch,
            oprf_epoch: manifest.oprf_epoch,
            database_digest: manifest.database.digest.to_string(),
            hint_digest: manifest.hint.digest.to_string(),
            merkle_root: manifest.merkle_root.to_string(),
            trust_list_digest: manifest.trust_list.to_string(),
            manifest_digest: snapshot.signed_manifest().digest().to_string(),
            previous_manifest: manifest.previous.map(|digest| digest.to_string()),
            dp_key: manifest.dp_key.to_text(),
            builder: facts.builder.clone(),
        }
    }

    /// One line of JSON.
    ///
    /// # Errors
    /// Never in practice: numbers and texts.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }

    /// Lines of names and values.
    pub fn to_table(&self) -> String {
        let lines = [
            ("snapshot", self.snapshot.clone()),
            ("sequence", self.sequence.to_string()),
            (
                "published",
                format!("{} ({} s ago)", self.published_at, self.age_seconds),
            ),
            (
                "expires",
                format!(
                    "{}{}",
                    self.expires_at,
                    if self.expired { " (expired)" } else { "" }
                ),
            ),
            (
                "records",
                format!("{}, {} bytes", self.records, self.record_bytes),
            ),
            (
                "shape",
                format!("{} buckets of {} bytes", self.columns, self.bucket_bytes),
            ),
            (
                "fill",
                format!(
                    "{} % of {} bytes a bucket",
                    self.fill_percent, self.capacity_bytes
                ),
            ),
            (
                "fullest bucket",
                format!("{}, {} bytes", self.fullest_bucket, self.fullest_bytes),
            ),
            ("database", format!("{} bytes", self.database_bytes)),
            ("packing matrices", format!("{} bytes", self.packing_bytes)),
            (
                "hint",
                format!("{} bytes, {} pilots", self.hint_bytes, self.groups),
            ),
            (
                "query",
                format!(
                    "{} bytes, {} bits an element",
                    self.query_bytes, self.query_bits
                ),
            ),
            (
                "answer",
                format!(
                    "{} bytes, {} bits an element",
                    self.answer_bytes, self.body_bits
                ),
            ),
            (
                "parameters",
                format!("{}, mask of {} bits", self.parameter_set, self.mask_bits),
            ),
            ("security", format!("{} bits", self.security_bits)),
            ("failure bound", format!("2^{} a lookup", self.failure_log2)),
            (
                "epochs",
                format!("CRS {}, OPRF {}", self.crs_epoch, self.oprf_epoch),
            ),
            ("database digest", self.database_digest.clone()),
            ("hint digest", self.hint_digest.clone()),
            ("Merkle root", self.merkle_root.clone()),
            ("trust list", self.trust_list_digest.clone()),
            ("manifest", self.manifest_digest.clone()),
            (
                "manifest before",
                self.previous_manifest
                    .clone()
                    .unwrap_or_else(|| "none".to_owned()),
            ),
            ("signed by", self.dp_key.clone()),
            ("built by", self.builder.clone()),
        ];
        lines
            .iter()
            .map(|(name, value)| format!("{name:<18} {value}\n"))
            .collect()
    }
}
