//! The DP's signed description of a snapshot.
//!
//! A CBOR map with integer keys, deterministically encoded, in a COSE_Sign1 by
//! the DP. Clients pin the DP's key and take everything else about a snapshot
//! from here: nothing that the DP serves is used before it was compared with a
//! digest, key or root of the manifest.

mod chain;
mod encoding;
mod error;
mod signed;
mod snapshot;

pub use chain::{ManifestPin, Succession};
pub use error::{Inconsistency, ManifestError};
pub use signed::{CLOCK_TOLERANCE_SECS, SignedManifest};
pub use snapshot::{SnapshotId, SnapshotIdError};

use crate::audit;
use crate::bucket::{BucketLayout, FillerSeed};
use crate::cose::VerifyingKey;
use crate::merkle::Hash;
use crate::oprf::OprfPublicKey;
use crate::placement::group_count;
use crate::time::UnixTime;

/// Most bytes in the name of a parameter set.
pub const PARAMETER_SET_MAX: usize = 64;

/// A snapshot, its parameters and its place in the chain of snapshots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Position in the chain: 1 for a DP's first snapshot, then one more each.
    pub sequence: u64,
    /// Names the snapshot in URLs; follows from the digests and parameters.
    pub snapshot: SnapshotId,
    /// Names the run of the builder, for operators.
    pub build_id: BuildId,
    /// When the snapshot was published.
    pub published_at: UnixTime,
    /// From when on clients refuse it.
    pub expires_at: UnixTime,
    /// Parameters and shape of the PIR.
    pub pir: PirShape,
    /// Raised when the CRS changes; the CRS itself is recomputed by clients.
    pub crs_epoch: u64,
    /// The key that signs this manifest, and that the CRS depends on.
    pub dp_key: VerifyingKey,
    /// The key that OPRF proofs are verified under.
    pub oprf_key: OprfPublicKey,
    /// Raised when the OPRF key changes: cached outputs are of one epoch.
    pub oprf_epoch: u64,
    /// Number of records.
    pub records: u64,
    /// Number of groups, and so of pilots in the hint.
    pub groups: u64,
    /// What the masks of the buckets are derived from.
    pub filler_seed: FillerSeed,
    /// Root of the tree over the buckets.
    pub merkle_root: Hash,
    /// The database as the server scans it. It is large, so its digest is
    /// `SHA3-256("sotto/v1/chunked" ‖ bytes as u64 BE ‖ SHA3-256 of each MiB)`.
    pub database: Artifact,
    /// The hint, as in [`SnapshotHint`](crate::hint::SnapshotHint).
    pub hint: Artifact,
    /// Digest of the trust list that the DP accepted records by.
    pub trust_list: Hash,
    /// Where the DP's audit log ended when the snapshot was built: everything in
    /// it is taken into account.
    pub audit: audit::Head,
    /// Number of records that the DP withholds; the hint has their tags.
    pub blocked: u32,
    /// Digest of the manifest before this one; `None` exactly for the first.
    pub previous: Option<Hash>,
    /// Digest of the directory of token keys; `None` if the DP takes no tokens.
    pub token_keys: Option<Hash>,
    /// The membership filter, if the DP publishes one.
    pub filter: Option<Artifact>,
}

/// Parameters and shape of a snapshot's PIR, for the client to validate against
/// the parameter sets it knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PirShape {
    /// Name of the parameter set: 1 to 64 of `a`–`z`, `0`–`9`, `-`, `.`, `_`.
    pub parameter_set: String,
    /// Number of buckets, which are the database's columns.
    pub columns: u32,
    /// Bytes of a bucket, footer included.
    pub bucket_bytes: u32,
    /// Bits of a coefficient of a query (log2 of its modulus, rounded up).
    pub query_bits: u8,
    /// Bits of a coefficient of the published mask (`q_a`).
    pub mask_bits: u8,
    /// Bits of a coefficient of an answer's body (`q_b`).
    pub body_bits: u8,
    /// Binary logarithm of the bound on the probability that a lookup fails,
    /// rounded up: negative.
    pub failure_log2: i16,
}

/// Names a run of the builder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuildId(pub [u8; 16]);

/// A published file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Artifact {
    /// SHA3-256 of the whole file, unless its field says how else.
    pub digest: Hash,
    /// Its length in bytes.
    pub bytes: u64,
}

impl Manifest {
    /// The layout of the snapshot's buckets.
    ///
    /// # Errors
    /// [`Inconsistency::Layout`] if there is none of that shape; never for a
    /// manifest that was signed or decoded.
    pub fn bucket_layout(&self) -> Result<BucketLayout, Inconsistency> {
        BucketLayout::new(self.pir.bucket_bytes as usize, self.pir.columns)
            .map_err(Inconsistency::Layout)
    }

    /// Checks what must hold between the fields of every manifest.
    ///
    /// # Errors
    /// [`Inconsistency`], by the first rule that is broken.
    pub fn check(&self) -> Result<(), Inconsistency> {
        if self.published_at >= self.expires_at || self.expires_at > UnixTime::MAX {
            return Err(Inconsistency::Lifetime);
        }
        if (self.sequence == 1) != self.previous.is_none() || self.sequence == 0 {
            return Err(Inconsistency::Chain);
        }
        self.pir.check_name()?;
        if self.pir.failure_log2 >= 0 {
            return Err(Inconsistency::FailureBound {
                found: self.pir.failure_log2,
            });
        }
        self.bucket_layout()?;
        let expected = usize::try_from(self.records).map_or(u64::MAX, |r| group_count(r) as u64);
        if self.groups != expected {
            return Err(Inconsistency::Groups {
                expected,
                found: self.groups,
            });
        }
        if self.snapshot != self.computed_snapshot_id() {
            return Err(Inconsistency::Snapshot);
        }
        Ok(())
    }

    /// The id that follows from the manifest's digests and parameters.
    pub fn computed_snapshot_id(&self) -> SnapshotId {
        SnapshotId::compute(
            &self.database.digest,
            &self.hint.digest,
            &self.pir,
            self.crs_epoch,
        )
    }
}

impl PirShape {
    fn check_name(&self) -> Result<(), Inconsistency> {
        let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_');
        let name = self.parameter_set.as_bytes();
        if name.is_empty() || name.len() > PARAMETER_SET_MAX || !name.iter().copied().all(allowed) {
            return Err(Inconsistency::ParameterSetName);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
