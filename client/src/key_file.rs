//! Secret keys in files, encrypted under a passphrase.
//!
//! An `EncryptedPrivateKeyInfo` (RFC 5958 §3) in PEM (RFC 7468 §11), by PBES2
//! (RFC 8018 §6.2) with scrypt (RFC 7914 §7) and AES-256-CBC; `openssl pkey`
//! reads it. The file is written whole or not at all, never over another, and
//! only its owner may read it.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use pkcs8::der::pem::PemLabel as _;
use pkcs8::pkcs5::pbes2::{EncryptionScheme, Kdf, Parameters, Salt, ScryptParams};
use pkcs8::{EncryptedPrivateKeyInfoRef, LineEnding, PrivateKeyInfoRef, SecretDocument};
use protocol::cose::{CoseError, SigningKey};
use zeroize::Zeroizing;

use crate::durable::{self, FileError, PRIVATE};

/// Most bytes of a key file.
const FILE_BYTES_MAX: u64 = 16 * 1024;

/// scrypt's N. With [`SCRYPT_R`] it takes 16 MiB; OpenSSL, which shall read the
/// file, allows itself less than 32 MiB.
const SCRYPT_N: u64 = 1 << 14;
const SCRYPT_R: u16 = 8;
/// Makes up for the small N: each guess costs five times as much.
const SCRYPT_P: u16 = 5;

const SALT_BYTES: usize = 16;
const IV_BYTES: usize = 16;

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
        let pem = encrypted(key, passphrase)?;
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
        let malformed = || KeyFileError::Malformed {
            path: self.path.clone(),
        };
        let pem = self.text()?;
        let (label, encrypted) = SecretDocument::from_pem(&pem).map_err(|_| malformed())?;
        if label != EncryptedPrivateKeyInfoRef::PEM_LABEL {
            return Err(malformed());
        }
        let encrypted =
            EncryptedPrivateKeyInfoRef::try_from(encrypted.as_bytes()).map_err(|_| malformed())?;
        // CBC has no tag: a wrong passphrase shows as wrong padding or, one time
        // in 256, as something that is no DER.
        let der =
            encrypted
                .decrypt(passphrase.0.as_bytes())
                .map_err(|_| KeyFileError::Passphrase {
                    path: self.path.clone(),
                })?;
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
        let pem = encrypted(&self.read(current)?, new)?;
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
}

/// The PEM of the key under the passphrase.
fn encrypted(key: &SigningKey, passphrase: &Passphrase) -> Result<Zeroizing<String>, KeyFileError> {
    let found = passphrase.0.chars().count();
    if found < Passphrase::CHARS_MIN {
        return Err(KeyFileError::WeakPassphrase { found });
    }
    let der = key.to_pkcs8_der();
    let scheme = Parameters {
        kdf: Kdf::Scrypt(ScryptParams {
            salt: Salt::new(rand::random::<[u8; SALT_BYTES]>()).map_err(encoding)?,
            cost_parameter: SCRYPT_N,
            block_size: SCRYPT_R,
            parallelization: SCRYPT_P,
            key_length: None,
        }),
        encryption: EncryptionScheme::Aes256Cbc {
            iv: rand::random::<[u8; IV_BYTES]>(),
        },
    };
    PrivateKeyInfoRef::try_from(der.as_slice())
        .and_then(|info| info.encrypt_with_params(scheme, passphrase.0.as_bytes()))
        .map_err(KeyFileError::Encoding)?
        .to_pem(EncryptedPrivateKeyInfoRef::PEM_LABEL, LineEnding::LF)
        .map_err(encoding)
}

fn encoding(error: pkcs8::der::Error) -> KeyFileError {
    KeyFileError::Encoding(error.into())
}

/// What a key file is encrypted under. `Debug` is redacted, wiped when dropped.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// Fewest characters under which a key is encrypted (NIST SP 800-63B
    /// §5.1.1.2). Keys that others encrypted are read with any.
    pub const CHARS_MIN: usize = 8;

    /// The text as it is; one line ending at its end is dropped.
    pub fn new(text: &str) -> Self {
        let text = text.strip_suffix('\n').unwrap_or(text);
        Self(Zeroizing::new(
            text.strip_suffix('\r').unwrap_or(text).to_owned(),
        ))
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(redacted)")
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
