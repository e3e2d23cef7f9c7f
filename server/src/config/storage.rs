//! Where snapshots are published for other servers.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::ConfigError;
use crate::data_dir::DataDirError;
use crate::durable::FileError;
use crate::keys;
use crate::storage::{Credentials, S3Options};

/// Where snapshots are published. Empty strings stand for what isn't set.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Storage {
    /// Which one.
    pub kind: StorageKind,
    /// Whether `serve` builds.
    pub role: Role,
    /// Seconds between two looks of a follower.
    pub follow_secs: u64,
    /// The bucket.
    pub bucket: String,
    /// What all names begin with.
    pub prefix: String,
    /// The region.
    pub region: String,
    /// The URL of the service, if it isn't AWS's.
    pub endpoint: String,
    /// A file with the credentials, relative to the data directory; without it
    /// they come from the environment.
    pub credentials_file: PathBuf,
}

/// Which storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StorageKind {
    /// The directory `snapshots` alone.
    Local,
    /// An S3-compatible service beside it.
    S3,
}

/// What a server does about snapshots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It builds and publishes them.
    Publisher,
    /// It serves what another process or server publishes.
    Follower,
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            kind: StorageKind::Local,
            role: Role::Publisher,
            follow_secs: 10,
            bucket: String::new(),
            prefix: String::new(),
            region: "us-east-1".to_owned(),
            endpoint: String::new(),
            credentials_file: PathBuf::new(),
        }
    }
}

impl Storage {
    /// What the storage needs to know; `None` if it is the directory alone.
    ///
    /// # Errors
    /// [`DataDirError::Config`], [`DataDirError::Key`] if others may read the
    /// file with the credentials, [`DataDirError::File`].
    pub fn s3(&self, root: &Path) -> Result<Option<S3Options>, DataDirError> {
        if self.kind == StorageKind::Local {
            return Ok(None);
        }
        let credentials = match self.credentials_file.as_os_str().is_empty() {
            true => None,
            false => Some(credentials(&root.join(&self.credentials_file))?),
        };
        Ok(Some(S3Options {
            bucket: self.bucket.clone(),
            prefix: self.prefix.clone(),
            region: self.region.clone(),
            endpoint: (!self.endpoint.is_empty()).then(|| self.endpoint.clone()),
            credentials,
        }))
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.kind == StorageKind::S3 && self.bucket.is_empty() {
            return Err(ConfigError::BucketMissing);
        }
        Ok(())
    }
}

fn credentials(path: &Path) -> Result<Credentials, DataDirError> {
    keys::refuse_exposed(path)?;
    let text = std::fs::read_to_string(path).map_err(FileError::new("read", path))?;
    // What is wrong with it isn't shown: it would be a part of it.
    toml::from_str(&text).map_err(|_| {
        ConfigError::Credentials {
            path: path.to_owned(),
        }
        .into()
    })
}
