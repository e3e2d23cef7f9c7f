//! Inclusion and consistency (RFC 6962 §2.1, RFC 9162 §2.1.3 and §2.1.4).
//!
//! A proof is a list of hashes of ranges of entries. Which ranges follows from
//! the sizes alone; their hashes come from a tree or from [tiles](super::TileSet),
//! which need not be believed: the verifiers decide.

use std::ops::Range;

use super::{LogHash, ProofError, TreeHead};

/// A subtree of `2^height` entries, the `index`-th of its height.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    /// Binary logarithm of the number of entries below it.
    pub height: u32,
    /// Its place among those of its height.
    pub index: u64,
}

/// Where the hashes of complete subtrees come from.
pub trait Nodes {
    /// The hash of a subtree; `None` if it is not known here.
    fn node(&self, node: Node) -> Option<LogHash>;
}

/// The ranges whose hashes prove that entry `index` is in a tree of `size`
/// entries, from the leaf's sibling upwards (RFC 6962 §2.1.1).
///
/// # Errors
/// [`ProofError::Range`].
pub fn inclusion_ranges(index: u64, size: u64) -> Result<Vec<Range<u64>>, ProofError> {
    if index >= size {
        return Err(ProofError::Range);
    }
    let mut ranges = Vec::new();
    let mut tree = 0..size;
    while tree.end - tree.start > 1 {
        let middle = tree.start + split(tree.end - tree.start);
        if index < middle {
            ranges.push(middle..tree.end);
            tree.end = middle;
        } else {
            ranges.push(tree.start..middle);
            tree.start = middle;
        }
    }
    ranges.reverse();
    Ok(ranges)
}

/// The ranges whose hashes prove that a tree of `size` entries begins with the
/// first `earlier` of them (RFC 6962 §2.1.2). None for the same size, and for an
/// empty earlier tree.
///
/// # Errors
/// [`ProofError::Range`].
pub fn consistency_ranges(earlier: u64, size: u64) -> Result<Vec<Range<u64>>, ProofError> {
    if earlier > size {
        return Err(ProofError::Range);
    }
    let mut ranges = Vec::new();
    if earlier == 0 {
        return Ok(ranges);
    }
    let mut tree = 0..size;
    let mut whole = true;
    while tree.end != earlier {
        let middle = tree.start + split(tree.end - tree.start);
        if earlier <= middle {
            ranges.push(middle..tree.end);
            tree.end = middle;
        } else {
            ranges.push(tree.start..middle);
            tree.start = middle;
            whole = false;
        }
    }
    if !whole {
        ranges.push(tree);
    }
    ranges.reverse();
    Ok(ranges)
}

/// The complete subtrees that a range of a proof consists of, from the left.
pub fn subtrees(range: &Range<u64>) -> Vec<Node> {
    let mut nodes = Vec::new();
    let mut start = range.start;
    while start < range.end {
        let left = range.end - start;
        let entries = if left.is_power_of_two() {
            left
        } else {
            split(left)
        };
        nodes.push(Node {
            height: entries.ilog2(),
            index: start / entries,
        });
        start += entries;
    }
    nodes
}

/// The hash of a range of a proof.
///
/// # Errors
/// [`ProofError::Missing`], [`ProofError::Range`] for an empty one.
pub fn range_hash(range: &Range<u64>, nodes: &dyn Nodes) -> Result<LogHash, ProofError> {
    let mut hash = None;
    // The larger subtrees are on the left: those on the right join first.
    for node in subtrees(range).into_iter().rev() {
        let left = nodes.node(node).ok_or(ProofError::Missing)?;
        hash = Some(match hash {
            None => left,
            Some(right) => LogHash::of_node(&left, &right),
        });
    }
    hash.ok_or(ProofError::Range)
}

/// The hashes that prove an entry's inclusion.
///
/// # Errors
/// [`ProofError::Range`], [`ProofError::Missing`].
pub fn prove_inclusion(
    index: u64,
    size: u64,
    nodes: &dyn Nodes,
) -> Result<Vec<LogHash>, ProofError> {
    let ranges = inclusion_ranges(index, size)?;
    ranges
        .iter()
        .map(|range| range_hash(range, nodes))
        .collect()
}

/// The hashes that prove the consistency of two trees.
///
/// # Errors
/// [`ProofError::Range`], [`ProofError::Missing`].
pub fn prove_consistency(
    earlier: u64,
    size: u64,
    nodes: &dyn Nodes,
) -> Result<Vec<LogHash>, ProofError> {
    let ranges = consistency_ranges(earlier, size)?;
    ranges
        .iter()
        .map(|range| range_hash(range, nodes))
        .collect()
}

/// Checks that the entry with this leaf hash is in the tree (RFC 9162 §2.1.3.2).
///
/// # Errors
/// [`ProofError`].
pub fn verify_inclusion(
    leaf: &LogHash,
    index: u64,
    head: &TreeHead,
    proof: &[LogHash],
) -> Result<(), ProofError> {
    if index >= head.size {
        return Err(ProofError::Range);
    }
    let (mut at, mut last, mut hash) = (index, head.size - 1, *leaf);
    for sibling in proof {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if at & 1 == 1 || at == last {
            hash = LogHash::of_node(sibling, &hash);
            (at, last) = climb(at, last);
        } else {
            hash = LogHash::of_node(&hash, sibling);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    match (last, hash == head.root) {
        (0, true) => Ok(()),
        (0, false) => Err(ProofError::Root),
        _ => Err(ProofError::Length),
    }
}

/// Checks that the tree begins with the earlier one (RFC 9162 §2.1.4.2).
///
/// # Errors
/// [`ProofError`].
pub fn verify_consistency(
    earlier: &TreeHead,
    head: &TreeHead,
    proof: &[LogHash],
) -> Result<(), ProofError> {
    if earlier.size > head.size {
        return Err(ProofError::Range);
    }
    let same = earlier.size == head.size;
    if earlier.size == 0 || same {
        let holds = if same {
            earlier.root == head.root
        } else {
            earlier.root == LogHash::of_empty_tree()
        };
        return match (proof.is_empty(), holds) {
            (true, true) => Ok(()),
            (true, false) => Err(ProofError::Root),
            (false, _) => Err(ProofError::Length),
        };
    }
    let (mut at, mut last) = (earlier.size - 1, head.size - 1);
    while at & 1 == 1 {
        (at, last) = (at >> 1, last >> 1);
    }
    // A whole subtree is its own beginning.
    let (first, rest) = if earlier.size.is_power_of_two() {
        (earlier.root, proof)
    } else {
        let (first, rest) = proof.split_first().ok_or(ProofError::Length)?;
        (*first, rest)
    };
    let (mut old, mut new) = (first, first);
    for hash in rest {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if at & 1 == 1 || at == last {
            old = LogHash::of_node(hash, &old);
            new = LogHash::of_node(hash, &new);
            (at, last) = climb(at, last);
        } else {
            new = LogHash::of_node(&new, hash);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    match (last, old == earlier.root && new == head.root) {
        (0, true) => Ok(()),
        (0, false) => Err(ProofError::Root),
        _ => Err(ProofError::Length),
    }
}

/// To where the path is next a right child, or the leftmost.
fn climb(mut at: u64, mut last: u64) -> (u64, u64) {
    while at & 1 == 0 && at != 0 {
        (at, last) = (at >> 1, last >> 1);
    }
    (at, last)
}

/// The largest power of two below `entries`, which are at least 2.
fn split(entries: u64) -> u64 {
    1 << (entries - 1).ilog2()
}

#[cfg(test)]
mod tests;
