//! How secret keys are kept, and when the OPRF's changes.

use std::path::{Path, PathBuf};

use serde::Deserialize;

/// Most days between two rotations.
pub(super) const ROTATE_DAYS_MAX: u64 = 3650;

/// How secret keys are kept. An empty path stands for none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Keys {
    /// A file with the passphrase of encrypted keys, relative to the data
    /// directory.
    pub passphrase_file: PathBuf,
}

/// The OPRF's keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Oprf {
    /// Days after which a server that runs makes the next key; 0 for never.
    pub rotate_days: u64,
    /// The directory of the second shares of split keys, relative to the data
    /// directory. An empty path if keys are whole.
    pub second_shares: PathBuf,
}

impl Keys {
    /// The passphrase's file, if one is named.
    pub fn passphrase_file(&self, root: &Path) -> Option<PathBuf> {
        named(root, &self.passphrase_file)
    }
}

impl Oprf {
    /// The directory of the second shares, if one is named.
    pub fn second_shares(&self, root: &Path) -> Option<PathBuf> {
        named(root, &self.second_shares)
    }
}

fn named(root: &Path, path: &Path) -> Option<PathBuf> {
    (!path.as_os_str().is_empty()).then(|| root.join(path))
}
