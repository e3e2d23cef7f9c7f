//! The builder's whole tree.

use rayon::prelude::*;

use super::{Cap, Hash, MerkleError, depth, node, padding_leaf, path_len};

/// A hash tree with all its nodes: 64 bytes a leaf.
#[derive(Debug, Clone)]
pub struct Tree {
    leaves: u32,
    /// `levels[0]` are the leaves with their padding, the last level the root.
    levels: Vec<Vec<Hash>>,
}

impl Tree {
    /// The tree over these leaf hashes, computed on all threads of the rayon
    /// pool.
    ///
    /// # Errors
    /// [`MerkleError::LeafCount`].
    pub fn build(mut leaves: Vec<Hash>) -> Result<Self, MerkleError> {
        let depth = depth(leaves.len() as u64)?;
        let count = leaves.len() as u32; // `depth` bounds it by `LEAVES_MAX`
        leaves.resize(1 << depth, padding_leaf());
        let mut levels = vec![leaves];
        for level in 0..depth as usize {
            let parents = levels[level]
                .par_chunks_exact(2)
                .with_min_len(256)
                .map(|pair| node(&pair[0], &pair[1]))
                .collect();
            levels.push(parents);
        }
        Ok(Self {
            leaves: count,
            levels,
        })
    }

    /// Number of leaves, without the padding.
    pub fn leaves(&self) -> u32 {
        self.leaves
    }

    /// The sibling hashes from leaf `index` up to below the cap.
    ///
    /// # Errors
    /// [`MerkleError::Index`] if there is no such leaf.
    pub fn lower_path(&self, index: u32) -> Result<Vec<Hash>, MerkleError> {
        if index >= self.leaves {
            return Err(MerkleError::Index {
                leaves: self.leaves,
                found: index,
            });
        }
        let lower = &self.levels[..path_len(self.leaves)?];
        Ok(lower
            .iter()
            .enumerate()
            .map(|(height, level)| level[(index as usize >> height) ^ 1])
            .collect())
    }

    /// The tree's top.
    pub fn cap(&self) -> Cap {
        let cap_height = self
            .levels
            .len()
            .saturating_sub(1 + super::CAP_LEVEL as usize);
        Cap {
            leaves: self.leaves,
            nodes: self.levels[cap_height].clone(),
        }
    }

    /// The tree's root.
    pub fn root(&self) -> Hash {
        // `build` made at least one level and the last one has one node.
        self.levels[self.levels.len() - 1][0]
    }
}
