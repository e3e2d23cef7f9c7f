//! Where credentials and mappings are kept.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use zeroize::Zeroizing;

use super::ConfigError;
use crate::data_dir::DataDirError;
use crate::durable::FileError;
use crate::keys;
use crate::store::postgres::PostgresOptions;

/// The environment variable that comes before what the file says of the URL.
pub const STORE_URL: &str = "SOTTO_STORE_URL";

/// Most connections that may be configured.
pub(super) const CONNECTIONS_MAX: u64 = 1024;

/// The store. Empty strings stand for what isn't set.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// Which one.
    pub kind: StoreKind,
    /// The database, without a password.
    pub url: String,
    /// A file that has the URL, relative to the data directory.
    pub url_file: PathBuf,
    /// Certificates to trust beside the public ones, relative to the data
    /// directory.
    pub ca: PathBuf,
    /// Connections at most.
    pub connections: u32,
    /// Milliseconds to wait for a connection.
    pub acquire_ms: u64,
    /// Milliseconds to wait for an answer.
    pub statement_ms: u64,
    /// The removal journal, relative to the data directory.
    pub journal: PathBuf,
}

/// Which store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// A file in the data directory.
    Embedded,
    /// A PostgreSQL database.
    Postgres,
}

impl Store {
    /// What the PostgreSQL store needs to know, by this and the environment.
    ///
    /// # Errors
    /// [`DataDirError::Config`] without a URL, [`DataDirError::Key`] if others may
    /// read the file that has it, [`DataDirError::File`].
    pub fn postgres(&self, root: &Path) -> Result<PostgresOptions, DataDirError> {
        let url = match std::env::var(STORE_URL) {
            Ok(url) => Zeroizing::new(url),
            Err(_) => self.url(root)?,
        };
        Ok(PostgresOptions {
            url,
            ca: (!self.ca.as_os_str().is_empty()).then(|| root.join(&self.ca)),
            connections: self.connections,
            acquire: Duration::from_millis(self.acquire_ms),
            statement: Duration::from_millis(self.statement_ms),
        })
    }

    fn url(&self, root: &Path) -> Result<Zeroizing<String>, DataDirError> {
        if !self.url_file.as_os_str().is_empty() {
            let path = root.join(&self.url_file);
            keys::refuse_exposed(&path)?;
            let text = std::fs::read_to_string(&path).map_err(FileError::new("read", &path))?;
            let text = Zeroizing::new(text);
            return Ok(Zeroizing::new(text.trim().to_owned()));
        }
        if self.url.is_empty() {
            return Err(ConfigError::StoreUrlMissing.into());
        }
        Ok(Zeroizing::new(self.url.clone()))
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if !self.url.is_empty() && !self.url_file.as_os_str().is_empty() {
            return Err(ConfigError::StoreUrlTwice);
        }
        if has_password(&self.url) {
            return Err(ConfigError::StorePassword);
        }
        Ok(())
    }
}

/// Whether a URL has a password, in front of the host or as a parameter.
fn has_password(url: &str) -> bool {
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    let (_, address) = address.split_once("://").unwrap_or(("", address));
    let user = address.rsplit_once('@').map_or("", |(user, _)| user);
    user.contains(':') || query.split('&').any(|pair| pair.starts_with("password="))
}

impl Default for Store {
    fn default() -> Self {
        Self {
            kind: StoreKind::Embedded,
            url: String::new(),
            url_file: PathBuf::new(),
            ca: PathBuf::new(),
            connections: 8,
            acquire_ms: 5000,
            statement_ms: 30_000,
            journal: "removals.journal".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::keys::KeyError;

    fn store(url: &str, url_file: &str) -> Store {
        Store {
            url: url.to_owned(),
            url_file: url_file.into(),
            ..Store::default()
        }
    }

    #[test]
    fn passwords_stay_out_of_the_configuration() {
        for url in [
            "postgres://user:secret@host/db",
            "postgres://host/db?user=u&password=secret",
        ] {
            let error = store(url, "").check().unwrap_err();
            assert!(matches!(error, ConfigError::StorePassword), "{url}");
            assert!(!error.to_string().contains("secret"));
        }
        for url in [
            "",
            "postgres://user@host:5432/db",
            "postgres:///db?host=/run",
        ] {
            store(url, "").check().unwrap();
        }
        let both = store("postgres://host/db", "url").check();
        assert!(matches!(both, Err(ConfigError::StoreUrlTwice)));
    }

    #[test]
    fn the_url_is_read_from_a_private_file() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let missing = store("", "").url(root);
        let is_missing =
            |error| matches!(error, DataDirError::Config(ConfigError::StoreUrlMissing));
        assert!(missing.is_err_and(is_missing));
        let path = root.join("store.url");
        fs::write(&path, "postgres://user:secret@host/db\n").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let exposed = store("", "store.url").url(root);
        let is_exposed = |error| matches!(error, DataDirError::Key(KeyError::Exposed { .. }));
        assert!(exposed.is_err_and(is_exposed));
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let url = store("", "store.url").url(root).unwrap();
        assert_eq!(*url, "postgres://user:secret@host/db");
    }
}
