//! What a client downloads once per snapshot, besides the manifest: the PIR
//! hint, the top of the hash tree, the pilots and the block list.
//!
//! ```text
//! "SOTTOHT2" ‖ leaves u32 ‖ groups u32 ‖ blocked u32 ‖ bytes of PIR hint u64   (big-endian)
//! cap nodes, 32 bytes each; their number follows from the leaves
//! pilots, one byte a group
//! tags of the records that the DP withholds, 8 bytes each, strictly ascending
//! PIR hint
//! ```
//!
//! A tag follows from the OPRF output of its identifier: who pays for an
//! evaluation learns whether that identifier is blocked, and nobody else does.

use crate::derivation::Tag;
use crate::merkle::{Cap, HASH_BYTES, Hash, MerkleError};
use crate::placement::{PilotTable, PlacementError};

const MAGIC: [u8; 8] = *b"SOTTOHT2";
const HEADER_BYTES: usize = MAGIC.len() + 4 + 4 + 4 + 8;

/// Most tags of the block list.
pub const BLOCKED_MAX: u32 = 1 << 20;

/// The hint of a snapshot. Its digest is in the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotHint {
    /// The PIR scheme's hint, opaque here.
    pub pir_hint: Vec<u8>,
    /// The top of the tree over the buckets.
    pub cap: Cap,
    /// The pilot of every group.
    pub pilots: PilotTable,
    /// Tags of the records that the DP withholds.
    pub blocked: BlockList,
}

/// Tags of the records that a DP withholds, sorted, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlockList(Vec<Tag>);

impl BlockList {
    /// A list of tags in any order.
    ///
    /// # Errors
    /// [`HintError::Blocked`] for more than [`BLOCKED_MAX`].
    pub fn new(mut tags: Vec<Tag>) -> Result<Self, HintError> {
        tags.sort_unstable();
        tags.dedup();
        match u32::try_from(tags.len()) {
            Ok(count) if count <= BLOCKED_MAX => Ok(Self(tags)),
            _ => Err(HintError::Blocked),
        }
    }

    /// Number of tags.
    pub const fn count(&self) -> u32 {
        // At most `BLOCKED_MAX`.
        self.0.len() as u32
    }

    /// Whether the record with this tag is withheld.
    pub fn contains(&self, tag: &Tag) -> bool {
        self.0.binary_search(tag).is_ok()
    }
}

/// Why bytes are not a hint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HintError {
    /// The bytes don't start as a hint of this version does.
    #[error("not a snapshot hint of a known version")]
    Magic,
    /// The length is not the one that the header states.
    #[error("a hint of {expected} bytes, found {found}")]
    Length {
        /// Bytes by the header, or of a header; saturating.
        expected: u64,
        /// Bytes given.
        found: u64,
    },
    /// The number of leaves is not one that a tree can have.
    #[error(transparent)]
    Cap(#[from] MerkleError),
    /// The number of pilots is out of range.
    #[error(transparent)]
    Pilots(#[from] PlacementError),
    /// The block list is too long, or not in strictly ascending order.
    #[error("a block list of at most {BLOCKED_MAX} tags in ascending order is expected")]
    Blocked,
}

impl SnapshotHint {
    /// The encoding that is published.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.encoded_len());
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&self.cap.leaves().to_be_bytes());
        // `PilotTable` has at most 2^26 pilots.
        out.extend_from_slice(&(self.pilots.groups() as u32).to_be_bytes());
        out.extend_from_slice(&self.blocked.count().to_be_bytes());
        out.extend_from_slice(&(self.pir_hint.len() as u64).to_be_bytes());
        for node in self.cap.nodes() {
            out.extend_from_slice(node.as_bytes());
        }
        out.extend_from_slice(self.pilots.as_bytes());
        for tag in &self.blocked.0 {
            out.extend_from_slice(tag.as_bytes());
        }
        out.extend_from_slice(&self.pir_hint);
        out
    }

    /// Bytes of the encoding.
    pub fn encoded_len(&self) -> usize {
        let cap_bytes = self.cap.nodes().len() * HASH_BYTES;
        let blocked_bytes = self.blocked.0.len() * Tag::BYTES;
        HEADER_BYTES + cap_bytes + self.pilots.groups() + blocked_bytes + self.pir_hint.len()
    }

    /// Decodes exactly what [`encode`](Self::encode) produces. The length is
    /// checked before anything is allocated.
    ///
    /// # Errors
    /// [`HintError`], by what is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, HintError> {
        let found = bytes.len() as u64;
        let shorter_than_header = HintError::Length {
            expected: HEADER_BYTES as u64,
            found,
        };
        let (magic, rest) = bytes.split_first_chunk().ok_or(shorter_than_header)?;
        if *magic != MAGIC {
            return Err(HintError::Magic);
        }
        let (leaves, rest) = rest.split_first_chunk().ok_or(shorter_than_header)?;
        let (groups, rest) = rest.split_first_chunk().ok_or(shorter_than_header)?;
        let (blocked, rest) = rest.split_first_chunk().ok_or(shorter_than_header)?;
        let (pir_bytes, rest) = rest.split_first_chunk().ok_or(shorter_than_header)?;
        let leaves = u32::from_be_bytes(*leaves);
        let cap_bytes = Cap::nodes_for(leaves)? * HASH_BYTES;
        let (groups, pir_bytes) = (u32::from_be_bytes(*groups), u64::from_be_bytes(*pir_bytes));
        let blocked = u32::from_be_bytes(*blocked);
        if blocked > BLOCKED_MAX {
            return Err(HintError::Blocked);
        }
        let blocked_bytes = blocked as usize * Tag::BYTES;
        let length = HintError::Length {
            expected: pir_bytes.saturating_add(
                (HEADER_BYTES + cap_bytes + blocked_bytes) as u64 + u64::from(groups),
            ),
            found,
        };
        let (cap, rest) = rest.split_at_checked(cap_bytes).ok_or(length)?;
        let (pilots, rest) = rest.split_at_checked(groups as usize).ok_or(length)?;
        let (blocked, pir_hint) = rest.split_at_checked(blocked_bytes).ok_or(length)?;
        if pir_hint.len() as u64 != pir_bytes {
            return Err(length);
        }
        let (nodes, _) = cap.as_chunks::<HASH_BYTES>();
        let (tags, _) = blocked.as_chunks::<{ Tag::BYTES }>();
        let tags: Vec<Tag> = tags.iter().copied().map(Tag::from_bytes).collect();
        if tags.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(HintError::Blocked);
        }
        Ok(Self {
            cap: Cap::new(
                leaves,
                nodes.iter().copied().map(Hash::from_bytes).collect(),
            )?,
            pilots: PilotTable::new(pilots.to_vec())?,
            blocked: BlockList(tags),
            pir_hint: pir_hint.to_vec(),
        })
    }

    /// SHA3-256 of the encoding: [`Hash::of`] the published bytes.
    pub fn digest(&self) -> Hash {
        Hash::of(&self.encode())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::merkle::{LEAVES_MAX, Tree, leaf};

    fn hint(leaves: u32, groups: usize, blocked: u8, pir_hint: Vec<u8>) -> SnapshotHint {
        let hashes = (0..leaves).map(|index| leaf(index, b"content")).collect();
        SnapshotHint {
            pir_hint,
            cap: Tree::build(hashes).unwrap().cap(),
            pilots: PilotTable::new(vec![7; groups]).unwrap(),
            blocked: BlockList::new(
                (0..blocked)
                    .rev()
                    .map(|n| Tag::from_bytes([n; 8]))
                    .collect(),
            )
            .unwrap(),
        }
    }

    #[test]
    fn known_encoding() {
        let hint = hint(1, 2, 2, vec![0xaa; 3]);
        let expected = [
            &b"SOTTOHT2"[..],
            &[0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3],
            leaf(0, b"content").as_bytes(),
            &[7, 7],
            &[0; 8],
            &[1; 8],
            &[0xaa, 0xaa, 0xaa],
        ]
        .concat();
        assert_eq!(hint.encode(), expected);
        assert_eq!(hint.digest(), Hash::of(&expected));
    }

    #[test]
    fn refusals() {
        let good = hint(3, 5, 2, vec![1; 10]).encode();
        let with = |at: usize, bytes: &[u8]| {
            let mut changed = good.clone();
            changed[at..at + bytes.len()].copy_from_slice(bytes);
            SnapshotHint::decode(&changed)
        };
        let length = |expected| {
            Err(HintError::Length {
                expected,
                found: good.len() as u64,
            })
        };
        assert_eq!(with(7, b"1"), Err(HintError::Magic));
        assert_eq!(
            with(8, &[0; 4]),
            Err(HintError::Cap(MerkleError::LeafCount { found: 0 }))
        );
        assert_eq!(
            with(8, &[0xff; 4]),
            Err(HintError::Cap(MerkleError::LeafCount {
                found: u64::from(u32::MAX)
            }))
        );
        assert_eq!(
            with(8, &LEAVES_MAX.to_be_bytes()),
            length(28 + 256 * 32 + 5 + 16 + 10)
        );
        assert_eq!(
            with(12, &[0xff; 4]),
            length(28 + 128 + u64::from(u32::MAX) + 16 + 10)
        );
        assert_eq!(with(16, &[0xff; 4]), Err(HintError::Blocked));
        assert_eq!(with(20, &[0xff; 8]), length(u64::MAX));
        assert_eq!(with(27, &[9]), length(28 + 128 + 5 + 16 + 9));
        // The tags, equal and out of order.
        assert_eq!(with(28 + 128 + 5 + 8, &[0; 8]), Err(HintError::Blocked));
        assert_eq!(with(28 + 128 + 5, &[9; 8]), Err(HintError::Blocked));
        // No pilots, and as many more bytes of PIR hint.
        let mut no_pilots = hint(3, 5, 0, vec![1; 10]).encode();
        no_pilots[15] = 0;
        no_pilots[27] = 15;
        assert_eq!(
            SnapshotHint::decode(&no_pilots),
            Err(HintError::Pilots(PlacementError::PilotCount { found: 0 }))
        );
    }

    proptest! {
        #[test]
        fn round_trips(
            leaves in 1u32..600,
            groups in 1usize..300,
            blocked: u8,
            pir_hint in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let hint = hint(leaves, groups, blocked, pir_hint);
            for n in 0..=u8::MAX {
                prop_assert_eq!(hint.blocked.contains(&Tag::from_bytes([n; 8])), n < blocked);
            }
            let bytes = hint.encode();
            prop_assert_eq!(bytes.len(), hint.encoded_len());
            prop_assert_eq!(SnapshotHint::decode(&bytes), Ok(hint));
        }

        #[test]
        fn truncated_and_extended_are_refused(cut in any::<usize>()) {
            let mut bytes = hint(3, 5, 1, vec![1; 10]).encode();
            bytes.push(0);
            let extended = matches!(SnapshotHint::decode(&bytes), Err(HintError::Length { .. }));
            prop_assert!(extended);
            bytes.truncate(cut % (bytes.len() - 1));
            let truncated = matches!(SnapshotHint::decode(&bytes), Err(HintError::Length { .. }));
            prop_assert!(truncated);
        }

        #[test]
        fn random_bytes_decode_to_themselves_or_are_refused(
            body in proptest::collection::vec(any::<u8>(), 0..200),
            leaves in 0u32..3,
            groups in 0u32..200,
            blocked in 0u32..3,
        ) {
            let mut bytes = MAGIC.to_vec();
            bytes.extend_from_slice(&leaves.to_be_bytes());
            bytes.extend_from_slice(&groups.to_be_bytes());
            bytes.extend_from_slice(&blocked.to_be_bytes());
            bytes.extend_from_slice(&100u64.to_be_bytes());
            bytes.extend_from_slice(&body);
            if let Ok(hint) = SnapshotHint::decode(&bytes) {
                prop_assert_eq!(hint.encode(), bytes);
            }
        }
    }
}
