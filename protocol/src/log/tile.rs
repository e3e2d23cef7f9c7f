//! Tiles: 256 hashes, eight levels of the tree, under one path.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use super::{LogError, LogHash, Node, Nodes, subtrees};

/// Levels of the tree that a tile spans.
pub const TILE_HEIGHT: u32 = 8;

/// Hashes of a whole tile, and entries of a whole bundle.
pub const TILE_WIDTH: usize = 1 << TILE_HEIGHT;

/// Highest level that is read: a tree of 2^64 entries has no more.
const LEVEL_MAX: u8 = 7;

/// A tile of hashes, whole or as wide as the tree was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileId {
    /// Its hashes are of `256^level` entries each.
    pub level: u8,
    /// Its place among those of its level.
    pub index: u64,
    /// Hashes in it, 1 to 256.
    pub width: u16,
}

/// What a path below `tile/` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// `<L>/<N>[.p/<W>]`.
    Tile(TileId),
    /// `entries/<N>[.p/<W>]`: the entries of the tile of level 0 in its place.
    Entries {
        /// Which bundle.
        index: u64,
        /// Entries in it, 1 to 256.
        width: u16,
    },
}

impl TileId {
    /// The tile that a subtree's hash is computed from, in a tree of `size`
    /// entries.
    pub fn of(node: Node, size: u64) -> Self {
        let level = node.height / TILE_HEIGHT;
        let index = (node.index << (node.height % TILE_HEIGHT)) >> TILE_HEIGHT;
        Self {
            // A subtree has at most 2^63 entries.
            level: level as u8,
            index,
            width: width_of(size >> (level * TILE_HEIGHT), index),
        }
    }

    /// The tile's bytes: its hashes one after the other.
    pub fn encode(hashes: &[LogHash]) -> Vec<u8> {
        hashes.iter().flat_map(|hash| *hash.as_bytes()).collect()
    }

    /// Reads the tile's bytes.
    ///
    /// # Errors
    /// [`LogError::Tile`] for another length.
    pub fn decode(&self, bytes: &[u8]) -> Result<Vec<LogHash>, LogError> {
        let (hashes, rest) = bytes.as_chunks::<{ LogHash::BYTES }>();
        if !rest.is_empty() || hashes.len() != self.width as usize {
            return Err(LogError::Tile);
        }
        Ok(hashes.iter().copied().map(LogHash::from_bytes).collect())
    }
}

impl Part {
    /// The bundle with this index of a log of `size` entries.
    pub fn bundle(index: u64, size: u64) -> Self {
        let width = width_of(size, index);
        Self::Entries { index, width }
    }
}

/// Width of the tile at `index` of a level of so many hashes.
fn width_of(hashes: u64, index: u64) -> u16 {
    let left = hashes.saturating_sub(index.saturating_mul(TILE_WIDTH as u64));
    // At most 256.
    left.min(TILE_WIDTH as u64) as u16
}

impl fmt::Display for Part {
    /// The path below `tile/`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (index, width) = match self {
            Self::Tile(tile) => {
                write!(f, "{}/", tile.level)?;
                (tile.index, tile.width)
            }
            Self::Entries { index, width } => {
                f.write_str("entries/")?;
                (*index, *width)
            }
        };
        let mut groups = vec![index % 1000];
        let mut rest = index / 1000;
        while rest > 0 {
            groups.push(rest % 1000);
            rest /= 1000;
        }
        for group in groups.iter().skip(1).rev() {
            write!(f, "x{group:03}/")?;
        }
        write!(f, "{:03}", groups[0])?;
        if width as usize == TILE_WIDTH {
            Ok(())
        } else {
            write!(f, ".p/{width}")
        }
    }
}

impl FromStr for Part {
    type Err = LogError;

    fn from_str(path: &str) -> Result<Self, LogError> {
        let (kind, rest) = path.split_once('/').ok_or(LogError::Path)?;
        let (index, width) = match rest.split_once(".p/") {
            None => (rest, TILE_WIDTH as u16),
            Some((index, width)) => {
                let width: u16 = width.parse().map_err(|_| LogError::Path)?;
                if usize::from(width) >= TILE_WIDTH || width == 0 {
                    return Err(LogError::Path);
                }
                (index, width)
            }
        };
        let index = read_index(index)?;
        let part = match kind {
            "entries" => Self::Entries { index, width },
            level => {
                let level: u8 = level.parse().map_err(|_| LogError::Path)?;
                if level > LEVEL_MAX {
                    return Err(LogError::Path);
                }
                Self::Tile(TileId {
                    level,
                    index,
                    width,
                })
            }
        };
        // Zeros too many and signs have another path.
        if part.to_string() == path {
            Ok(part)
        } else {
            Err(LogError::Path)
        }
    }
}

fn read_index(text: &str) -> Result<u64, LogError> {
    text.split('/').try_fold(0_u64, |index, group| {
        let digits = group.strip_prefix('x').unwrap_or(group);
        let group: u64 = digits.parse().map_err(|_| LogError::Path)?;
        let index = index.checked_mul(1000).ok_or(LogError::Path)?;
        index.checked_add(group).ok_or(LogError::Path)
    })
}

/// Tiles that were fetched, to take the hashes of proofs from.
#[derive(Clone, Debug, Default)]
pub struct TileSet(HashMap<(u8, u64), Vec<LogHash>>);

impl TileSet {
    /// The tiles that the hashes of these ranges are computed from, in a tree of
    /// `size` entries.
    pub fn needed<'a>(
        ranges: impl IntoIterator<Item = &'a Range<u64>>,
        size: u64,
    ) -> BTreeSet<TileId> {
        let nodes = ranges.into_iter().flat_map(subtrees);
        nodes.map(|node| TileId::of(node, size)).collect()
    }

    /// Adds a tile.
    pub fn insert(&mut self, tile: &TileId, hashes: Vec<LogHash>) {
        self.0.insert((tile.level, tile.index), hashes);
    }
}

impl Nodes for TileSet {
    fn node(&self, node: Node) -> Option<LogHash> {
        let tile = TileId::of(node, u64::MAX);
        let below = node.height % TILE_HEIGHT;
        let start = (node.index << below) as usize % TILE_WIDTH;
        let hashes = self.0.get(&(tile.level, tile.index))?;
        let mut hashes = hashes.get(start..start + (1 << below))?.to_vec();
        while hashes.len() > 1 {
            let pairs = hashes.as_chunks::<2>().0;
            hashes = pairs
                .iter()
                .map(|[left, right]| LogHash::of_node(left, right))
                .collect();
        }
        hashes.first().copied()
    }
}
