//! The whole tree, for those who keep the log.

use super::{LogHash, Node, Nodes, TILE_HEIGHT, TILE_WIDTH, TileId, TreeHead, range_hash};

/// The hashes of all complete subtrees: about two for each entry.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// By height, from the leaves.
    levels: Vec<Vec<LogHash>>,
}

impl Tree {
    /// Number of entries.
    pub fn size(&self) -> u64 {
        self.levels.first().map_or(0, |leaves| leaves.len() as u64)
    }

    /// Adds an entry by its leaf hash.
    pub fn append(&mut self, leaf: LogHash) {
        let mut hash = leaf;
        for height in 0.. {
            if self.levels.len() == height {
                self.levels.push(Vec::new());
            }
            let level = &mut self.levels[height];
            level.push(hash);
            if !level.len().is_multiple_of(2) {
                return;
            }
            hash = LogHash::of_node(&level[level.len() - 2], &level[level.len() - 1]);
        }
    }

    /// The end of the log after its first `size` entries; `None` if it has fewer.
    pub fn head(&self, size: u64) -> Option<TreeHead> {
        if size > self.size() {
            return None;
        }
        let root = match size {
            0 => LogHash::of_empty_tree(),
            _ => range_hash(&(0..size), self).ok()?,
        };
        Some(TreeHead { size, root })
    }

    /// The hashes of a tile; `None` if the log does not reach so far.
    pub fn tile(&self, tile: &TileId) -> Option<Vec<LogHash>> {
        let level = self
            .levels
            .get(tile.level as usize * TILE_HEIGHT as usize)?;
        let start = usize::try_from(tile.index).ok()?.checked_mul(TILE_WIDTH)?;
        let end = start.checked_add(tile.width as usize)?;
        level.get(start..end).map(<[LogHash]>::to_vec)
    }
}

impl Nodes for Tree {
    fn node(&self, node: Node) -> Option<LogHash> {
        let level = self.levels.get(node.height as usize)?;
        level.get(usize::try_from(node.index).ok()?).copied()
    }
}

impl FromIterator<LogHash> for Tree {
    fn from_iter<I: IntoIterator<Item = LogHash>>(leaves: I) -> Self {
        let mut tree = Self::default();
        leaves.into_iter().for_each(|leaf| tree.append(leaf));
        tree
    }
}
