//! One manifest more.

use std::sync::Arc;

use protocol::cose::SigningKey;
use protocol::log::{LogHash, SignedCheckpoint, TILE_WIDTH, Tree, bundle};
use protocol::manifest::SignedManifest;
use protocol::merkle::Hash;

use super::published::{ReadBundle, require_checkpoint};
use super::{LogStorageError, Objects, PublishedLog, bundle_name, checkpoint_name};

/// How many of the last ends of the log are kept, for servers that still serve
/// them.
const ENDS_KEPT: u64 = 8;

/// Enters a manifest that is about to be published after `previous`: writes the
/// bundle and the checkpoint. Nothing that was published changes, and the manifest
/// counts only once the pointer names its snapshot.
///
/// # Errors
/// [`LogStorageError`]; what is published still is.
pub fn extend(
    objects: &Arc<dyn Objects>,
    previous: Option<&SignedManifest>,
    manifest: &SignedManifest,
    key: &SigningKey,
) -> Result<(), LogStorageError> {
    let mut log = match previous {
        None => PublishedLog::empty(Arc::clone(objects)),
        Some(previous) => before(objects, previous, key)?,
    };
    let sequence = manifest.unverified().sequence;
    let mut bytes = match previous {
        // The bundle goes on.
        Some(previous) if !log.tree().size().is_multiple_of(TILE_WIDTH as u64) => {
            let name = bundle_name(previous.unverified().sequence, &previous.digest());
            let bytes = objects.get(&name)?;
            bytes.ok_or(LogStorageError::Missing { name })?
        }
        _ => Vec::new(),
    };
    bytes.extend(bundle::encode(&[manifest.as_bytes()])?);
    let digest = manifest.digest();
    log.append(LogHash::of_leaf(manifest.as_bytes()), digest);
    objects.put(&bundle_name(sequence, &digest), &bytes)?;
    let checkpoint = SignedCheckpoint::sign(log.head(), key)?;
    objects.put(&checkpoint_name(&digest), &checkpoint.encode())?;
    let old = sequence.saturating_sub(ENDS_KEPT);
    match log.digest_of(old) {
        Some(digest) => forget(&**objects, old, &digest),
        None => Ok(()),
    }
}

/// The log up to the published manifest. If it was published before there was a
/// log and is the first, the log begins with it.
fn before(
    objects: &Arc<dyn Objects>,
    previous: &SignedManifest,
    key: &SigningKey,
) -> Result<PublishedLog, LogStorageError> {
    let sequence = previous.unverified().sequence;
    let logged = objects.get(&bundle_name(sequence, &previous.digest()))?;
    match (logged, sequence) {
        (Some(_), _) => {}
        (None, 1) => extend(objects, None, previous, key)?,
        (None, _) => return Err(LogStorageError::Unlogged { sequence }),
    }
    PublishedLog::open(Arc::clone(objects), previous)
}

/// Gives back the space of an end of the log that nobody serves any more.
fn forget(objects: &dyn Objects, sequence: u64, digest: &Hash) -> Result<(), LogStorageError> {
    objects.forget(&checkpoint_name(digest))?;
    // Whole bundles are kept.
    if sequence.is_multiple_of(TILE_WIDTH as u64) {
        return Ok(());
    }
    objects.forget(&bundle_name(sequence, digest))
}

/// Gives back the space of copied ends of a log before the manifest with this
/// sequence, the oldest that is served.
///
/// # Errors
/// [`LogStorageError`].
pub fn forget_before(log: &PublishedLog, sequence: u64) -> Result<(), LogStorageError> {
    // A server that looks seldom has copied few of them.
    for old in sequence.saturating_sub(TILE_WIDTH as u64)..sequence {
        if let Some(digest) = log.digest_of(old) {
            forget(log.objects(), old, &digest)?;
        }
    }
    Ok(())
}

/// Copies what is missing of the log that ends with this manifest, whose signature
/// was verified, for a server that serves what another one publishes; the
/// checkpoint each time, for the sake of its cosignatures. Nothing takes its place
/// before it was found to be what its name says.
///
/// # Errors
/// [`LogStorageError`].
pub fn mirror(
    from: &dyn Objects,
    to: &dyn Objects,
    manifest: &SignedManifest,
) -> Result<(), LogStorageError> {
    let fetch = |name: &str| -> Result<Vec<u8>, LogStorageError> {
        let missing = || LogStorageError::Missing {
            name: name.to_owned(),
        };
        from.get(name)?.ok_or_else(missing)
    };
    let mut tree = Vec::new();
    let mut last = Some((manifest.unverified().sequence, manifest.digest()));
    while let Some((sequence, digest)) = last {
        let name = bundle_name(sequence, &digest);
        let here = to.get(&name)?;
        let here = here.and_then(|bytes| ReadBundle::parse(&bytes, sequence, digest).ok());
        let read = match here {
            Some(read) => read,
            None => {
                let bytes = fetch(&name)?;
                let read = ReadBundle::parse(&bytes, sequence, digest)?;
                to.put(&name, &bytes)?;
                read
            }
        };
        last = read.before;
        tree.push(read);
    }
    let leaves = tree.into_iter().rev().flat_map(|read| read.entries);
    let tree: Tree = leaves.map(|(leaf, _)| leaf).collect();
    let name = checkpoint_name(&manifest.digest());
    let bytes = fetch(&name)?;
    require_checkpoint(&bytes, &name, manifest, &tree)?;
    to.put(&name, &bytes)
}
