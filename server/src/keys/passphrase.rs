//! Where the passphrase of encrypted key files comes from.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use protocol::passphrase::Passphrase;
use zeroize::Zeroizing;

use super::KeyError;
use crate::config::Config;
use crate::data_dir::CONFIG_FILE;
use crate::durable::FileError;

/// The environment variable that holds the passphrase.
pub const KEY_PASSPHRASE: &str = "SOTTO_KEY_PASSPHRASE";

/// The passphrase, taken when it is first needed and kept: a build reads keys
/// again. The first of these that there is: a file that the command line names,
/// [`KEY_PASSPHRASE`] in the environment, a file that the configuration names.
#[derive(Clone, Debug, Default)]
pub struct PassphraseSource {
    given: Option<PathBuf>,
    /// The data directory, whose configuration is read when it is needed.
    data: Option<PathBuf>,
    known: Arc<OnceLock<Passphrase>>,
}

impl PassphraseSource {
    /// The file that the command line names, if it does.
    pub fn new(given: Option<PathBuf>) -> Self {
        Self {
            given,
            ..Self::default()
        }
    }

    /// The same, with the configuration of a data directory.
    #[must_use]
    pub fn of_data(self, root: &Path) -> Self {
        let data = Some(root.to_owned());
        Self { data, ..self }
    }

    /// The passphrase; `None` if there is none.
    ///
    /// # Errors
    /// [`KeyError::File`], [`KeyError::Exposed`], [`KeyError::Config`].
    pub fn find(&self) -> Result<Option<Passphrase>, KeyError> {
        if let Some(known) = self.known.get() {
            return Ok(Some(known.clone()));
        }
        let environment = || std::env::var(KEY_PASSPHRASE).ok().map(Zeroizing::new);
        let found = match (&self.given, environment()) {
            (Some(path), _) => Some(from_file(path)?),
            (None, Some(text)) => Some(Passphrase::new(&text)),
            (None, None) => match self.configured()? {
                Some(path) => Some(from_file(&path)?),
                None => None,
            },
        };
        Ok(found.map(|found| self.known.get_or_init(|| found).clone()))
    }

    /// The file that the configuration names, if it does.
    fn configured(&self) -> Result<Option<PathBuf>, KeyError> {
        let Some(root) = &self.data else {
            return Ok(None);
        };
        let path = root.join(CONFIG_FILE);
        // Not while the directory is being made.
        if !path.exists() {
            return Ok(None);
        }
        Ok(Config::read(&path)?.keys.passphrase_file(root))
    }

    /// The passphrase, to encrypt or decrypt with.
    ///
    /// # Errors
    /// [`KeyError::NoPassphrase`], [`KeyError::File`], [`KeyError::Exposed`].
    pub fn require(&self) -> Result<Passphrase, KeyError> {
        self.find()?.ok_or(KeyError::NoPassphrase)
    }
}

/// The first line of a file that only its owner may read.
fn from_file(path: &Path) -> Result<Passphrase, KeyError> {
    super::refuse_exposed(path)?;
    let text = std::fs::read_to_string(path).map_err(FileError::new("read", path))?;
    let text = Zeroizing::new(text);
    Ok(Passphrase::new(text.split('\n').next().unwrap_or_default()))
}
