//! Where the passphrase of encrypted key files comes from.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use protocol::passphrase::Passphrase;
use zeroize::Zeroizing;

use super::KeyError;
use crate::durable::FileError;

/// The environment variable that holds the passphrase.
pub const KEY_PASSPHRASE: &str = "SOTTO_KEY_PASSPHRASE";

/// The passphrase, taken when it is first needed and kept: a build reads keys
/// again. The first of these that there is: a file that the command line names,
/// [`KEY_PASSPHRASE`] in the environment, a file that the configuration names.
#[derive(Clone, Debug, Default)]
pub struct PassphraseSource {
    given: Option<PathBuf>,
    configured: Option<PathBuf>,
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

    /// The same, with the file that the configuration names, if it does.
    #[must_use]
    pub fn or(self, configured: Option<PathBuf>) -> Self {
        Self { configured, ..self }
    }

    /// The passphrase; `None` if there is none.
    ///
    /// # Errors
    /// [`KeyError::File`], [`KeyError::Exposed`].
    pub fn find(&self) -> Result<Option<Passphrase>, KeyError> {
        if let Some(known) = self.known.get() {
            return Ok(Some(known.clone()));
        }
        let environment = || std::env::var(KEY_PASSPHRASE).ok().map(Zeroizing::new);
        let found = match (&self.given, environment(), &self.configured) {
            (Some(path), _, _) | (None, None, Some(path)) => Some(from_file(path)?),
            (None, Some(text), _) => Some(Passphrase::new(&text)),
            (None, None, None) => None,
        };
        Ok(found.map(|found| self.known.get_or_init(|| found).clone()))
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
