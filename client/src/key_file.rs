//! Secret keys in files, encrypted under a passphrase.
//!
//! An `EncryptedPrivateKeyInfo` (RFC 5958 §3) in PEM (RFC 7468 §11), by PBES2
//! (RFC 8018 §6.2) with scrypt (RFC 7914 §7) and AES-256-CBC; `openssl pkey`
//! reads it. The file is written whole or not at all, never over another, and
//! only its owner may read it.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use pkcs8::SecretDocument;
use protocol::cose::{CoseError, SigningKey};
use protocol::passphrase::PassphraseError;
use zeroize::Zeroizing;

pub use protocol::passphrase::Passphrase;

use crate::durable::{self, FileError, PRIVATE};

/// Most bytes of a key file.
const FILE_BYTES_MAX: u64 = 16 * 1024;

/// RFC 5958 §3.
const LABEL: &str = "ENCRYPTED PRIVATE KEY";

/// Where a secret key is kept, whether or not the file is there yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFile {
    path: PathBuf,
}

impl KeyFile {
    /// The file at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the key into the file, which must not be there yet.
    ///
    /// # Errors
    /// [`KeyFileError::File`], of kind `AlreadyExists` if it is;
    /// [`KeyFileError::WeakPassphrase`].
    pub fn create(&self, key: &SigningKey, passphrase: &Passphrase) -> Result<(), KeyFileError> {
        let pem = self.encrypted(key, passphrase)?;
        durable::create(&self.path, PRIVATE, pem.as_bytes())?;
        Ok(())
    }

    /// The key in the file.
    ///
    /// # Errors
    /// [`KeyFileError::File`], [`KeyFileError::Exposed`],
    /// [`KeyFileError::Malformed`], [`KeyFileError::Passphrase`],
    /// [`KeyFileError::Key`].
    pub fn read(&self, passphrase: &Passphrase) -> Result<SigningKey, KeyFileError> {
        if let Some(mode) = durable::exposure(&self.path)? {
            return Err(KeyFileError::Exposed {
                path: self.path.clone(),
                mode,
            });
        }
        let der = passphrase
            .decrypt(&self.text()?, LABEL)
            .map_err(|error| self.refused(error))?;
        // A wrong passphrase may, one time in 256, show as what is no DER.
        let der = SecretDocument::try_from(der.as_slice())
            .map_err(|_| self.refused(PassphraseError::Wrong))?;
        SigningKey::from_pkcs8_der(der.as_bytes()).map_err(|source| KeyFileError::Key {
            path: self.path.clone(),
            source,
        })
    }

    /// Encrypts the key in the file under another passphrase. The file is then
    /// the new one or, if anything fails, the old one.
    ///
    /// # Errors
    /// As [`read`](Self::read), and [`KeyFileError::WeakPassphrase`].
    pub fn change_passphrase(
        &self,
        current: &Passphrase,
        new: &Passphrase,
    ) -> Result<(), KeyFileError> {
        let pem = self.encrypted(&self.read(current)?, new)?;
        durable::replace(&self.path, PRIVATE, pem.as_bytes())?;
        Ok(())
    }

    fn text(&self) -> Result<Zeroizing<String>, KeyFileError> {
        let mut text = Zeroizing::new(String::new());
        File::open(&self.path)
            .and_then(|file| file.take(FILE_BYTES_MAX).read_to_string(&mut text))
            .map_err(FileError::new("read", &self.path))?;
        Ok(text)
    }

    fn encrypted(
        &self,
        key: &SigningKey,
        passphrase: &Passphrase,
    ) -> Result<Zeroizing<String>, KeyFileError> {
        let der = key.to_pkcs8_der();
        passphrase
            .encrypt(der.as_slice(), LABEL)
            .map_err(|error| self.refused(error))
    }

    fn refused(&self, error: PassphraseError) -> KeyFileError {
        let path = self.path.clone();
        match error {
            PassphraseError::Malformed => KeyFileError::Malformed { path },
            PassphraseError::Weak { found } => KeyFileError::WeakPassphrase { found },
            PassphraseError::Encoding(source) => KeyFileError::Encoding(source),
            _ => KeyFileError::Passphrase { path },
        }
    }
}

/// Why a key file was refused or not written. Holds nothing of key and
/// passphrase.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// The file can't be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Others than the owner may read the file.
    #[error("{path} may be read by others (mode {mode:o}): run `chmod 600 {path}`", path = .path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// Not an encrypted key in PEM.
    #[error("{path}: expected a PEM file with an ENCRYPTED PRIVATE KEY", path = .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// The key can't be decrypted.
    #[error("{path}: wrong passphrase, or the file is damaged", path = .path.display())]
    Passphrase {
        /// The file.
        path: PathBuf,
    },
    /// What was decrypted is no key that signs here.
    #[error("{path}: expected an Ed25519 or P-256 key", path = .path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: CoseError,
    },
    /// Too easy to guess.
    #[error("passphrase of {found} characters, expected at least {least}", least = Passphrase::CHARS_MIN)]
    WeakPassphrase {
        /// Its length in characters.
        found: usize,
    },
    /// The key has no encrypted form. Does not happen with keys made here.
    #[error("the key can't be encrypted")]
    Encoding(#[source] pkcs8::Error),
}

#[cfg(test)]
mod tests;
