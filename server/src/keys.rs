//! The provider's secret keys, one file each.
//!
//! A key file is one line of text, `<kind>:<base64url>`, or that line encrypted
//! under a passphrase ([`protocol::passphrase`]) in PEM. Only its owner may read
//! it. It is written once and never overwritten but to encrypt or decrypt it.

mod passphrase;

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use protocol::passphrase::{Passphrase, PassphraseError};
use rand::CryptoRng;
use zeroize::Zeroizing;

pub use passphrase::{KEY_PASSPHRASE, PassphraseSource};

use crate::config::ConfigError;
use crate::durable::{self, FileError, PRIVATE};

/// Bytes of most keys.
pub const KEY_BYTES: usize = 32;

/// Most bytes of a key file.
const FILE_BYTES_MAX: u64 = 16 * 1024;

/// What every key's line starts with.
const LABEL_PREFIX: &[u8] = b"sotto-";

/// Of an encrypted key file (RFC 7468).
const PEM_LABEL: &str = "ENCRYPTED SOTTO KEY";

const PEM_BEGIN: &[u8] = b"-----BEGIN ";

/// What a key file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// Signs manifests: an Ed25519 seed.
    Provider,
    /// Evaluates the OPRF: a ristretto255 scalar.
    Oprf,
    /// One of two shares of an OPRF key, with the public key of the whole.
    OprfShare,
    /// Encrypts the store.
    Store,
    /// Issues tokens: the seed of a P-384 scalar.
    Tokens,
}

impl KeyKind {
    /// What its file starts with.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Provider => "sotto-dp-ed25519-seed",
            Self::Oprf => "sotto-oprf-ristretto255-sha512",
            Self::OprfShare => "sotto-oprf-share-ristretto255-sha512",
            Self::Store => "sotto-store",
            Self::Tokens => "sotto-tokens-p384-seed",
        }
    }
}

/// How a key file keeps its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// For whoever can read the file.
    Plain,
    /// For whoever has the passphrase as well.
    Encrypted,
}

/// Why a key file was refused. Holds nothing of the key or the passphrase.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The file can't be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The configuration, which may name the passphrase's file.
    #[error(transparent)]
    Config(Box<ConfigError>),
    /// Others than the owner may read the file.
    #[error("{path} may be read by others (mode {mode:o}): run `chmod 600 {path}`", path = .path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// Not a key of that kind.
    #[error("{path} does not hold a key of the kind {expected}: restore it from a backup", path = .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What it should start with.
        expected: &'static str,
    },
    /// Not a key file at all.
    #[error("{path} is no key file", path = .path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// The key is not a valid one of its kind.
    #[error("{path} holds an unusable key: restore it from a backup", path = .path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
    },
    /// The key is encrypted, and no passphrase was given.
    #[error(
        "{path} is encrypted: give its passphrase by --passphrase-file, {KEY_PASSPHRASE} in the environment, or keys.passphrase_file in config.toml",
        path = .path.display()
    )]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// The passphrase is another one.
    #[error("{path}: wrong passphrase, or the file is damaged", path = .path.display())]
    Passphrase {
        /// The file.
        path: PathBuf,
    },
    /// No passphrase was given to encrypt or decrypt with.
    #[error(
        "no passphrase: give one by --passphrase-file, {KEY_PASSPHRASE} in the environment, or keys.passphrase_file in config.toml"
    )]
    NoPassphrase,
    /// The passphrase is too easy to guess.
    #[error("passphrase of {found} characters, expected at least {least}", least = Passphrase::CHARS_MIN)]
    WeakPassphrase {
        /// Its length in characters.
        found: usize,
    },
}

impl From<ConfigError> for KeyError {
    fn from(error: ConfigError) -> Self {
        Self::Config(Box::new(error))
    }
}

/// Writes a key file, which must not be there yet, encrypted if there is a
/// passphrase.
///
/// # Errors
/// [`KeyError::File`], [`KeyError::WeakPassphrase`].
pub fn create<const N: usize>(
    path: &Path,
    kind: KeyKind,
    key: &[u8; N],
    passphrase: Option<&Passphrase>,
) -> Result<(), KeyError> {
    let encoded = Zeroizing::new(URL_SAFE_NO_PAD.encode(key));
    let line = Zeroizing::new(format!("{}:{}\n", kind.label(), *encoded));
    let text = match passphrase {
        Some(passphrase) => encrypted(path, line.as_bytes(), passphrase)?,
        None => line,
    };
    Ok(durable::create(path, PRIVATE, text.as_bytes())?)
}

/// Reads a key file; asks for the passphrase if it is encrypted.
///
/// # Errors
/// [`KeyError`].
pub fn read<const N: usize>(
    path: &Path,
    kind: KeyKind,
    passphrases: &PassphraseSource,
) -> Result<Zeroizing<[u8; N]>, KeyError> {
    let text = text(path)?;
    let line = match protection_of(&text) {
        Protection::Plain => text,
        Protection::Encrypted => {
            let passphrase = passphrases.find()?.ok_or_else(|| KeyError::Locked {
                path: path.to_owned(),
            })?;
            decrypted(path, &text, &passphrase)?
        }
    };
    let malformed = || KeyError::Malformed {
        path: path.to_owned(),
        expected: kind.label(),
    };
    let encoded = line
        .strip_prefix(kind.label().as_bytes())
        .and_then(|rest| rest.strip_prefix(b":"))
        .map(<[u8]>::trim_ascii_end)
        .ok_or_else(malformed)?;
    let decoded = Zeroizing::new(URL_SAFE_NO_PAD.decode(encoded).map_err(|_| malformed())?);
    let mut key = Zeroizing::new([0; N]);
    if decoded.len() != N {
        return Err(malformed());
    }
    key.copy_from_slice(&decoded);
    Ok(key)
}

/// How a key file keeps its key.
///
/// # Errors
/// [`KeyError::File`], [`KeyError::Exposed`].
pub fn protection(path: &Path) -> Result<Protection, KeyError> {
    Ok(protection_of(&text(path)?))
}

/// Encrypts a key file in its place: it is then the new one or, if anything
/// fails, the old one. Says whether it was plain.
///
/// # Errors
/// [`KeyError`].
pub fn encrypt(path: &Path, passphrase: &Passphrase) -> Result<bool, KeyError> {
    let text = text(path)?;
    if protection_of(&text) == Protection::Encrypted {
        return Ok(false);
    }
    require_key(path, &text)?;
    let pem = encrypted(path, &text, passphrase)?;
    // It must be readable before the plain one goes.
    decrypted(path, pem.as_bytes(), passphrase)?;
    durable::replace(path, PRIVATE, pem.as_bytes())?;
    Ok(true)
}

/// Decrypts a key file in its place. Says whether it was encrypted.
///
/// # Errors
/// [`KeyError`]; the file is then as it was.
pub fn decrypt(path: &Path, passphrase: &Passphrase) -> Result<bool, KeyError> {
    let text = text(path)?;
    if protection_of(&text) == Protection::Plain {
        require_key(path, &text)?;
        return Ok(false);
    }
    durable::replace(path, PRIVATE, &decrypted(path, &text, passphrase)?)?;
    Ok(true)
}

/// All key files of a directory and those below it, by path.
///
/// # Errors
/// [`FileError`].
pub fn files(directory: &Path) -> Result<Vec<PathBuf>, FileError> {
    let failed = || FileError::new("read", directory);
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed())? {
        let entry = entry.map_err(failed())?;
        let path = entry.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if entry.file_type().map_err(failed())?.is_dir() {
            found.extend(files(&path)?);
        } else if matches!(extension, Some("key" | "share")) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Refuses a secret file that others than its owner may read.
///
/// # Errors
/// [`KeyError::File`], [`KeyError::Exposed`].
pub fn refuse_exposed(path: &Path) -> Result<(), KeyError> {
    let metadata = fs::metadata(path).map_err(FileError::new("read", path))?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Exposed {
            path: path.to_owned(),
            mode,
        });
    }
    Ok(())
}

/// A fresh random key.
pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Zeroizing<[u8; KEY_BYTES]> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    rng.fill_bytes(key.as_mut());
    key
}

fn text(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    refuse_exposed(path)?;
    let mut text = Zeroizing::new(Vec::new());
    File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut text))
        .map_err(FileError::new("read", path))?;
    Ok(text)
}

fn protection_of(text: &[u8]) -> Protection {
    match text.starts_with(PEM_BEGIN) {
        true => Protection::Encrypted,
        false => Protection::Plain,
    }
}

fn require_key(path: &Path, line: &[u8]) -> Result<(), KeyError> {
    if line.starts_with(LABEL_PREFIX) {
        Ok(())
    } else {
        Err(KeyError::NoKey {
            path: path.to_owned(),
        })
    }
}

fn encrypted(
    path: &Path,
    line: &[u8],
    passphrase: &Passphrase,
) -> Result<Zeroizing<String>, KeyError> {
    let refused = |error| refused(path, error);
    passphrase.encrypt(line, PEM_LABEL).map_err(refused)
}

fn decrypted(
    path: &Path,
    pem: &[u8],
    passphrase: &Passphrase,
) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let pem = str::from_utf8(pem).map_err(|_| refused(path, PassphraseError::Malformed))?;
    let line = passphrase.decrypt(pem, PEM_LABEL);
    let line = line.map_err(|error| refused(path, error))?;
    // A wrong passphrase may, one time in 256, yield anything else.
    require_key(path, &line).map_err(|_| refused(path, PassphraseError::Wrong))?;
    Ok(line)
}

fn refused(path: &Path, error: PassphraseError) -> KeyError {
    let path = path.to_owned();
    match error {
        PassphraseError::Weak { found } => KeyError::WeakPassphrase { found },
        PassphraseError::Malformed => KeyError::NoKey { path },
        _ => KeyError::Passphrase { path },
    }
}

#[cfg(test)]
mod tests;
