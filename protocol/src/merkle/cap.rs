//! The top of the tree, which clients hold.

use super::{CAP_LEVEL, Hash, MerkleError, depth, leaf, node, path_len};

/// The nodes of a tree at the level where there are at most
/// [`CAP_NODES`](super::CAP_NODES) of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cap {
    pub(super) leaves: u32,
    pub(super) nodes: Vec<Hash>,
}

impl Cap {
    /// The cap of a tree of `leaves` leaves with these nodes, left to right.
    ///
    /// # Errors
    /// [`MerkleError::LeafCount`]; [`MerkleError::CapNodes`] if such a tree has
    /// a cap of another size.
    pub fn new(leaves: u32, nodes: Vec<Hash>) -> Result<Self, MerkleError> {
        let expected = Self::nodes_for(leaves)?;
        if nodes.len() != expected {
            return Err(MerkleError::CapNodes {
                expected,
                found: nodes.len(),
            });
        }
        Ok(Self { leaves, nodes })
    }

    /// Number of nodes in the cap of a tree of `leaves` leaves: a power of two,
    /// at most [`CAP_NODES`](super::CAP_NODES).
    ///
    /// # Errors
    /// [`MerkleError::LeafCount`].
    pub fn nodes_for(leaves: u32) -> Result<usize, MerkleError> {
        Ok(1 << depth(u64::from(leaves))?.min(CAP_LEVEL))
    }

    /// Number of leaves of the tree, without its padding.
    pub fn leaves(&self) -> u32 {
        self.leaves
    }

    /// The nodes, left to right.
    pub fn nodes(&self) -> &[Hash] {
        &self.nodes
    }

    /// The root of the tree that this is the top of.
    pub fn root(&self) -> Hash {
        let mut level = self.nodes.clone();
        while level.len() > 1 {
            level = level
                .chunks_exact(2)
                .map(|pair| node(&pair[0], &pair[1]))
                .collect();
        }
        level[0] // every constructor makes at least one node
    }

    /// Checks that `content` is the content of the bucket at `index`, by its
    /// path below the cap.
    ///
    /// # Errors
    /// [`MerkleError::Index`], [`MerkleError::PathLength`],
    /// [`MerkleError::NotUnderRoot`].
    pub fn verify(&self, index: u32, content: &[u8], path: &[Hash]) -> Result<(), MerkleError> {
        if index >= self.leaves {
            return Err(MerkleError::Index {
                leaves: self.leaves,
                found: index,
            });
        }
        let expected = path_len(self.leaves)?;
        if path.len() != expected {
            return Err(MerkleError::PathLength {
                expected,
                found: path.len(),
            });
        }
        let top = path
            .iter()
            .enumerate()
            .fold(leaf(index, content), |below, (height, sibling)| {
                if (index >> height) & 1 == 0 {
                    node(&below, sibling)
                } else {
                    node(sibling, &below)
                }
            });
        if self.nodes[index as usize >> expected] == top {
            Ok(())
        } else {
            Err(MerkleError::NotUnderRoot)
        }
    }
}
