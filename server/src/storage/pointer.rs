//! Which snapshot is published.

use protocol::manifest::{SignedManifest, SnapshotId};
use protocol::merkle::Hash;
use serde::{Deserialize, Serialize};

/// Names a published snapshot by its manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer {
    /// The manifest's place in the chain.
    pub sequence: u64,
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// Digest of the manifest.
    pub manifest: Hash,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    sequence: u64,
    snapshot: String,
    manifest: String,
}

impl Pointer {
    /// To a manifest's snapshot.
    #[must_use]
    pub fn to(manifest: &SignedManifest) -> Self {
        Self {
            sequence: manifest.unverified().sequence,
            snapshot: manifest.unverified().snapshot,
            manifest: manifest.digest(),
        }
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        let text = Text {
            sequence: self.sequence,
            snapshot: self.snapshot.to_string(),
            manifest: self.manifest.to_string(),
        };
        // Text and an integer can always be encoded.
        serde_json::to_vec(&text).unwrap_or_default()
    }

    pub(super) fn from_json(json: &[u8]) -> Option<Self> {
        let text: Text = serde_json::from_slice(json).ok()?;
        let mut digest = [0; 32];
        hex::decode_to_slice(text.manifest, &mut digest).ok()?;
        Some(Self {
            sequence: text.sequence,
            snapshot: text.snapshot.parse().ok()?,
            manifest: Hash::from_bytes(digest),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_comes_back_and_nothing_else_is_one() {
        let pointer = Pointer {
            sequence: 7,
            snapshot: SnapshotId::from_bytes([1; 32]),
            manifest: Hash::from_bytes([2; 32]),
        };
        let json = pointer.to_json();
        assert_eq!(Pointer::from_json(&json), Some(pointer));
        for length in 0..json.len() {
            assert_eq!(Pointer::from_json(&json[..length]), None);
        }
        assert_eq!(Pointer::from_json(b"{}"), None);
    }
}
