//! The provider's log of manifests, as a client holds it to it.
//!
//! A manifest counts only if it is in the log, and the log only if it goes on from
//! where it was seen before. So a provider that shows somebody another history
//! than everybody else has to keep a second log for them for ever, which shows as
//! soon as two of them, or a witness, compare.

mod chain;
mod error;
mod fetch;
mod witness;

use protocol::cose::VerifyingKey;
use protocol::log::{LogHash, TileSet};
use protocol::log::{
    SignedCheckpoint, TreeHead, consistency_ranges, inclusion_ranges, prove_consistency,
    prove_inclusion, verify_consistency, verify_inclusion,
};
use protocol::manifest::{ManifestPin, SignedManifest, Succession};

pub(crate) use chain::Chain;
pub use error::LogRefusal;
pub(crate) use fetch::LogSource;
pub use witness::{WitnessError, Witnesses};

use crate::error::ClientError;

/// Longest gap whose manifests are all read: two bundles, three at most.
const GAP_READ_MAX: u64 = 512;

/// Checks that a manifest is in the log, and that the log goes on from what was
/// accepted before; gives where it ends. What is asked for depends on the sizes of
/// the log alone.
pub(crate) async fn verify(
    source: &LogSource<'_>,
    dp_key: &VerifyingKey,
    witnesses: &Witnesses,
    manifest: &SignedManifest,
    pins: impl IntoIterator<Item = ManifestPin>,
) -> Result<TreeHead, ClientError> {
    let checkpoint = source.checkpoint(dp_key).await?;
    witnesses.require(&checkpoint)?;
    let head = checkpoint.head();
    let sequence = manifest.unverified().sequence;
    if head.size < sequence {
        let size = head.size;
        return Err(LogRefusal::NotInLog { sequence, size }.into());
    }
    let pins: Vec<ManifestPin> = pins.into_iter().collect();
    let known: Vec<TreeHead> = pins.iter().filter_map(|pin| pin.log).collect();
    let mut ranges = inclusion_ranges(sequence - 1, head.size).map_err(LogRefusal::from)?;
    for known in &known {
        require_growth(known, &head)?;
        ranges.extend(consistency_ranges(known.size, head.size).map_err(LogRefusal::from)?);
    }
    let tiles = source.tiles(TileSet::needed(&ranges, head.size)).await?;
    require_inclusion(manifest, &head, &tiles)?;
    for known in &known {
        require_consistency(known, &head, &tiles)?;
    }
    for pin in &pins {
        if let Succession::Gap { missing } = pin.succession(manifest)? {
            require_gap(source, dp_key, manifest, pin, missing, head.size).await?;
        }
    }
    Ok(head)
}

/// Refuses a log that is shorter than before, or as long and another.
pub(crate) fn require_growth(known: &TreeHead, head: &TreeHead) -> Result<(), LogRefusal> {
    let (size, found) = (known.size, head.size);
    if found < size {
        return Err(LogRefusal::Rollback { known: size, found });
    }
    if found == size && known.root != head.root {
        return Err(LogRefusal::Fork { size });
    }
    Ok(())
}

fn require_inclusion(
    manifest: &SignedManifest,
    head: &TreeHead,
    tiles: &TileSet,
) -> Result<(), LogRefusal> {
    let sequence = manifest.unverified().sequence;
    let leaf = LogHash::of_leaf(manifest.as_bytes());
    let proof = prove_inclusion(sequence - 1, head.size, tiles)?;
    verify_inclusion(&leaf, sequence - 1, head, &proof)
        .map_err(|_| LogRefusal::NotIncluded { sequence })
}

/// Refuses a log that doesn't begin with the earlier one.
pub(crate) fn require_consistency(
    known: &TreeHead,
    head: &TreeHead,
    tiles: &TileSet,
) -> Result<(), LogRefusal> {
    let proof = prove_consistency(known.size, head.size, tiles)?;
    verify_consistency(known, head, &proof).map_err(|_| LogRefusal::Inconsistent {
        known: known.size,
        found: head.size,
    })
}

/// Accepts a gap whose manifests follow one another, or that is too long to read
/// but lies in a log that goes on from the pinned one.
async fn require_gap(
    source: &LogSource<'_>,
    dp_key: &VerifyingKey,
    manifest: &SignedManifest,
    pin: &ManifestPin,
    missing: u64,
    size: u64,
) -> Result<(), ClientError> {
    if missing > GAP_READ_MAX {
        return match pin.log {
            Some(_) => Ok(()),
            None => Err(LogRefusal::GapUnproven { missing }.into()),
        };
    }
    let mut chain = Chain::after(*pin, dp_key);
    let sequence = manifest.unverified().sequence;
    for entry in source.entries(pin.sequence..sequence - 1, size).await? {
        chain.follow(&entry)?;
    }
    Ok(chain.follow(manifest.as_bytes())?)
}

/// Opens a checkpoint of this provider's log.
pub(crate) fn open(bytes: &[u8], dp_key: &VerifyingKey) -> Result<SignedCheckpoint, LogRefusal> {
    Ok(SignedCheckpoint::open(bytes, dp_key)?)
}
