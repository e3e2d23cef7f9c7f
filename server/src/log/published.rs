//! The log as it was published with a snapshot.

use std::fmt;
use std::sync::Arc;

use protocol::log::{LogHash, Part, SignedCheckpoint, TILE_WIDTH, TileId, Tree, TreeHead, bundle};
use protocol::manifest::SignedManifest;
use protocol::merkle::Hash;

use super::{LogStorageError, Objects, bundle_name, bundle_of, checkpoint_name};

/// The log up to one manifest: its hashes in memory, its entries where they are
/// kept.
pub struct PublishedLog {
    objects: Arc<dyn Objects>,
    /// Of the manifests, from the first.
    digests: Vec<Hash>,
    tree: Tree,
}

impl PublishedLog {
    /// The log before the first manifest.
    pub(crate) fn empty(objects: Arc<dyn Objects>) -> Self {
        Self {
            objects,
            digests: Vec::new(),
            tree: Tree::default(),
        }
    }

    /// Reads the log that ends with this manifest, whose signature was verified,
    /// and checks that each of its entries is named by the next, and that the
    /// checkpoint is of all of them.
    ///
    /// # Errors
    /// [`LogStorageError`], also if a part is missing.
    pub fn open(
        objects: Arc<dyn Objects>,
        manifest: &SignedManifest,
    ) -> Result<Self, LogStorageError> {
        let mut bundles = Vec::new();
        let mut last = Some((manifest.unverified().sequence, manifest.digest()));
        while let Some((sequence, digest)) = last {
            let read = ReadBundle::read(&*objects, sequence, digest)?;
            last = read.before;
            bundles.push(read);
        }
        let mut log = Self::empty(objects);
        for (leaf, digest) in bundles.into_iter().rev().flat_map(|read| read.entries) {
            log.append(leaf, digest);
        }
        let name = checkpoint_name(&manifest.digest());
        require_checkpoint(&log.checkpoint()?, &name, manifest, &log.tree)?;
        Ok(log)
    }

    pub(super) fn append(&mut self, leaf: LogHash, digest: Hash) {
        self.tree.append(leaf);
        self.digests.push(digest);
    }

    /// Where the log ends.
    ///
    /// # Panics
    /// Never: a tree has a head of its own size.
    pub fn head(&self) -> TreeHead {
        let head = self.tree.head(self.tree.size());
        head.expect("a tree has its own head")
    }

    pub(super) fn objects(&self) -> &dyn Objects {
        &*self.objects
    }

    /// The hashes.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The digest of the manifest with this sequence.
    pub fn digest_of(&self, sequence: u64) -> Option<Hash> {
        let index = usize::try_from(sequence.checked_sub(1)?).ok()?;
        self.digests.get(index).copied()
    }

    /// The signed checkpoint, with the cosignatures that it has by now.
    ///
    /// # Errors
    /// [`LogStorageError`].
    pub fn checkpoint(&self) -> Result<Vec<u8>, LogStorageError> {
        let last = self.digests.last();
        let name = checkpoint_name(last.unwrap_or(&Hash::from_bytes([0; 32])));
        let checkpoint = self.objects.get(&name)?;
        checkpoint.ok_or(LogStorageError::Missing { name })
    }

    /// A tile's or a bundle's bytes; `None` if the log does not reach so far.
    ///
    /// # Errors
    /// [`LogStorageError`].
    pub fn part(&self, part: &Part) -> Result<Option<Vec<u8>>, LogStorageError> {
        match part {
            Part::Tile(tile) => Ok(self.tree.tile(tile).map(|hashes| TileId::encode(&hashes))),
            Part::Entries { index, width } => self.entries(*index, *width),
        }
    }

    fn entries(&self, index: u64, width: u16) -> Result<Option<Vec<u8>>, LogStorageError> {
        let first = index.checked_mul(TILE_WIDTH as u64);
        let wanted = first.and_then(|first| first.checked_add(width.into()));
        let size = self.tree.size();
        if wanted.is_none_or(|wanted| wanted > size) {
            return Ok(None);
        }
        let last = size.min((index + 1) * TILE_WIDTH as u64);
        let Some(digest) = self.digest_of(last) else {
            return Ok(None);
        };
        let name = bundle_name(last, &digest);
        let bytes = self.objects.get(&name)?;
        let bytes = bytes.ok_or_else(|| LogStorageError::Missing { name: name.clone() })?;
        let prefix = bundle::prefix(&bytes, width);
        let prefix = prefix.map_err(|_| LogStorageError::Damaged { name })?;
        Ok(Some(prefix.to_vec()))
    }
}

/// Refuses a checkpoint that the provider has not signed, or of another end of the
/// log than that of these hashes, which is this manifest.
pub(super) fn require_checkpoint(
    bytes: &[u8],
    name: &str,
    manifest: &SignedManifest,
    tree: &Tree,
) -> Result<(), LogStorageError> {
    let signed = SignedCheckpoint::open(bytes, &manifest.unverified().dp_key);
    let head = signed.ok().map(|signed| signed.head());
    if head.is_some() && head == tree.head(tree.size()) {
        return Ok(());
    }
    Err(LogStorageError::Damaged {
        name: name.to_owned(),
    })
}

/// A bundle's leaf hashes and digests, and the last manifest before it.
pub(super) struct ReadBundle {
    pub(super) entries: Vec<(LogHash, Hash)>,
    pub(super) before: Option<(u64, Hash)>,
}

impl ReadBundle {
    /// Reads the bundle that ends with the manifest of this sequence and digest.
    fn read(objects: &dyn Objects, sequence: u64, digest: Hash) -> Result<Self, LogStorageError> {
        let name = bundle_name(sequence, &digest);
        let Some(bytes) = objects.get(&name)? else {
            return Err(LogStorageError::Missing { name });
        };
        Self::parse(&bytes, sequence, digest)
    }

    /// The same, from its bytes.
    pub(super) fn parse(
        bytes: &[u8],
        sequence: u64,
        digest: Hash,
    ) -> Result<Self, LogStorageError> {
        let damaged = || LogStorageError::Damaged {
            name: bundle_name(sequence, &digest),
        };
        let first = bundle_of(sequence - 1) * TILE_WIDTH as u64 + 1;
        let width = (sequence - first + 1) as u16;
        let entries = bundle::decode(bytes, width).map_err(|_| damaged())?;
        let mut named = Some(digest);
        let mut read = Vec::with_capacity(entries.len());
        for (entry, sequence) in entries.iter().rev().zip((first..=sequence).rev()) {
            let digest = Hash::of(entry);
            if named != Some(digest) {
                return Err(damaged());
            }
            let manifest = SignedManifest::from_bytes(entry)?;
            if manifest.unverified().sequence != sequence {
                return Err(damaged());
            }
            named = manifest.unverified().previous;
            read.push((LogHash::of_leaf(entry), digest));
        }
        read.reverse();
        Ok(Self {
            entries: read,
            before: named.map(|digest| (first - 1, digest)),
        })
    }
}

impl fmt::Debug for PublishedLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublishedLog")
            .field("size", &self.tree.size())
            .finish_non_exhaustive()
    }
}
