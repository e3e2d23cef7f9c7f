//! The log of manifests beside the snapshots: [`protocol::log`]'s forms, kept so
//! that publishers who race can't harm it.
//!
//! Objects are named by what they hold and are written before the pointer to the
//! snapshot moves: `log/<bundle>/<width>-<digest>` has the entries of a bundle up
//! to the manifest with that digest, `log/checkpoint-<digest>` where the log ends
//! with it. From the published manifest follows the name of the newest bundle, and
//! from the `previous` of a bundle's first manifest the name of the one before. So
//! whoever moves the pointer has the whole log in place, and what somebody else
//! wrote who came too late is named by nobody.

mod error;
mod extend;
mod objects;
mod published;

pub use error::LogStorageError;
pub use extend::{extend, forget_before, mirror};
pub use objects::{Directory, Objects};
pub use published::PublishedLog;

use protocol::log::TILE_WIDTH;
use protocol::merkle::Hash;

/// The object with the checkpoint of the log that ends with this manifest.
pub fn checkpoint_name(manifest: &Hash) -> String {
    format!("log/checkpoint-{manifest}")
}

/// The object with the entries of a bundle, of which this manifest is the last.
pub fn bundle_name(sequence: u64, manifest: &Hash) -> String {
    let index = sequence.saturating_sub(1);
    let (bundle, width) = (bundle_of(index), index % TILE_WIDTH as u64 + 1);
    format!("log/{bundle}/{width}-{manifest}")
}

/// The bundle that an entry is in.
const fn bundle_of(index: u64) -> u64 {
    index / TILE_WIDTH as u64
}

#[cfg(test)]
mod tests;
