//! The OPRF's keys, one an epoch.
//!
//! Snapshots are built under the newest key. After a rotation the key before it
//! goes on evaluating, for clients that still have a manifest of its epoch, until
//! the last of those has expired; then its file is removed. More than two keys
//! never evaluate.
//!
//! At a rotation the key's file comes first, then a snapshot under it, then the
//! note that says when the former key retires, then its end: whatever a crash
//! leaves of that is a provider that serves, and the next build goes on from
//! there.

mod directory;
mod notes;

use std::path::PathBuf;

use protocol::manifest::Manifest;
use protocol::oprf::{OprfError, OprfKey, OprfPublicKey};
use protocol::time::UnixTime;

pub use directory::{EpochStatus, Form, OprfKeyDir};

use crate::durable::FileError;
use crate::keys::KeyError;

/// The epoch of a provider's first key.
pub const FIRST_EPOCH: u64 = 1;

/// The key of an epoch.
#[derive(Clone, Debug)]
pub struct EpochKey {
    /// Which epoch: 1 for a provider's first key, then one more each.
    pub epoch: u64,
    /// The key.
    pub key: OprfKey,
}

/// The keys that evaluate: the newest and, after a rotation, the one before.
#[derive(Clone, Debug)]
pub struct OprfKeyRing {
    newest: EpochKey,
    former: Option<Former>,
}

#[derive(Clone, Debug)]
struct Former {
    key: EpochKey,
    /// From when on it doesn't evaluate; not known before the first snapshot of
    /// the newest key.
    retires: Option<UnixTime>,
}

/// Why OPRF keys can't be used or changed. Holds nothing of a key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OprfKeysError {
    /// A file can't be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A key file.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// There is none.
    #[error(
        "there is no OPRF key in {path}: restore it from a backup, or make the next epoch's with `sotto-server oprf rotate` and build a snapshot",
        path = .path.display()
    )]
    None {
        /// Where keys would be.
        path: PathBuf,
    },
    /// The key is split, and nothing says where the other share is.
    #[error(
        "{path} is one of two shares of the OPRF key, which alone evaluates nothing: name the directory of the others by oprf.second_shares in config.toml",
        path = .path.display()
    )]
    SecondUnset {
        /// The share that is there.
        path: PathBuf,
    },
    /// The other share isn't where it should be.
    #[error(
        "{path} is one of two shares of the OPRF key, which alone evaluates nothing: the other one is not at {second}",
        path = .path.display(), second = .second.display()
    )]
    SecondMissing {
        /// The share that is there.
        path: PathBuf,
        /// Where the other one should be.
        second: PathBuf,
    },
    /// Two shares of different keys.
    #[error(
        "{path} and {second} are not the two shares of one OPRF key: restore them from a backup",
        path = .path.display(), second = .second.display()
    )]
    Shares {
        /// The first.
        path: PathBuf,
        /// The second.
        second: PathBuf,
    },
    /// The notes on the epochs are not TOML of the accepted form.
    #[error("{path} is not usable: {source}: remove it, and the epochs' times are counted from now", path = .path.display())]
    Notes {
        /// The file.
        path: PathBuf,
        /// Where and what.
        source: Box<toml::de::Error>,
    },
    /// A rotation before the last one has come to its end.
    #[error(
        "the key of epoch {former} still evaluates for clients with manifests of its time{until}: rotate afterwards, or with --retire to end it now",
        until = .retires.map_or(String::new(), |at| format!(", until {at}"))
    )]
    Live {
        /// The epoch of the former key.
        former: u64,
        /// When it retires.
        retires: Option<UnixTime>,
    },
    /// A rotation before the last one has begun.
    #[error("no snapshot was built under the key of epoch {epoch} yet: build one first")]
    Unpublished {
        /// The newest epoch.
        epoch: u64,
    },
    /// Two files for the first epoch.
    #[error(
        "{path} and {first} are two keys of one epoch: move the one away that is not in use",
        path = .path.display(), first = .first.display()
    )]
    Ambiguous {
        /// The file of the time before epochs.
        path: PathBuf,
        /// The first epoch's.
        first: PathBuf,
    },
    /// A share of another key is where the second one should go.
    #[error("{path} is a share of another key: move it away, or choose another directory", path = .path.display())]
    Occupied {
        /// The share.
        path: PathBuf,
    },
    /// Split already.
    #[error("the OPRF keys are split already")]
    Split,
    /// Both shares in one place protect nothing.
    #[error("{path} is where the first shares are kept: choose another directory for the second ones", path = .path.display())]
    SamePlace {
        /// The directory.
        path: PathBuf,
    },
    /// The arithmetic.
    #[error(transparent)]
    Oprf(#[from] OprfError),
}

impl OprfKeyRing {
    /// A ring of one key.
    pub fn of(newest: EpochKey) -> Self {
        Self {
            newest,
            former: None,
        }
    }

    /// The same with the key before it, which evaluates until it `retires`.
    #[must_use]
    pub fn with_former(self, key: EpochKey, retires: Option<UnixTime>) -> Self {
        let former = Some(Former { key, retires });
        Self { former, ..self }
    }

    /// What snapshots are built under.
    pub fn newest(&self) -> &EpochKey {
        &self.newest
    }

    /// The key of an epoch, if it evaluates now.
    pub fn live(&self, epoch: u64, now: UnixTime) -> Option<&OprfKey> {
        if epoch == self.newest.epoch {
            return Some(&self.newest.key);
        }
        let former = self.former.as_ref()?;
        let live = former.retires.is_none_or(|retires| now < retires);
        (live && epoch == former.key.epoch).then_some(&former.key.key)
    }

    /// Whether the key that a manifest names is among them.
    pub fn serves(&self, manifest: &Manifest) -> bool {
        self.all().any(|key| {
            key.epoch == manifest.oprf_epoch && key.key.public_key() == manifest.oprf_key
        })
    }

    fn all(&self) -> impl Iterator<Item = &EpochKey> {
        let former = self.former.iter().map(|former| &former.key);
        std::iter::once(&self.newest).chain(former)
    }
}

impl EpochKey {
    /// Its public key.
    pub fn public_key(&self) -> OprfPublicKey {
        self.key.public_key()
    }
}

#[cfg(test)]
mod tests;
