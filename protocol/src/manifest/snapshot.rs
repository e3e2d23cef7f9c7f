//! The name of a snapshot.

use std::fmt;
use std::str::FromStr;

use sha3::{Digest, Sha3_256};

use super::{PirShape, encoding};
use crate::merkle::Hash;

const LABEL: &[u8] = b"sotto/v1/snapshot";

/// Names a snapshot by what it is:
/// `SHA3-256("sotto/v1/snapshot" ‖ database digest ‖ hint digest ‖ CRS epoch as
/// u64 BE ‖ deterministic CBOR of the PIR shape)`.
///
/// `Display` and `FromStr` are 64 lower-case hexadecimal digits, as in URLs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotId(Hash);

/// The text is not a snapshot id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a snapshot id is 64 lower-case hexadecimal digits")]
pub struct SnapshotIdError;

impl SnapshotId {
    /// The id of the snapshot with these digests and parameters.
    pub fn compute(database: &Hash, hint: &Hash, pir: &PirShape, crs_epoch: u64) -> Self {
        let hash = Sha3_256::new()
            .chain_update(LABEL)
            .chain_update(database.as_bytes())
            .chain_update(hint.as_bytes())
            .chain_update(crs_epoch.to_be_bytes())
            .chain_update(encoding::shape_bytes(pir))
            .finalize();
        Self(Hash::from_bytes(hash.into()))
    }

    /// The id with these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Hash::from_bytes(bytes))
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for SnapshotId {
    type Err = SnapshotIdError;

    fn from_str(text: &str) -> Result<Self, SnapshotIdError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| SnapshotIdError)?;
        let id = Self::from_bytes(bytes);
        if id.to_string() == text {
            Ok(id)
        } else {
            Err(SnapshotIdError)
        }
    }
}
