//! The provider's secret keys, one file each.
//!
//! A key file is one line of text, `<kind>:<base64url>`, that only its owner
//! may read. It is written once and never overwritten.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::CryptoRng;
use zeroize::Zeroizing;

use crate::durable::{self, FileError, PRIVATE};

/// Bytes of every key.
pub const KEY_BYTES: usize = 32;

/// What a key file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// Signs manifests: an Ed25519 seed.
    Provider,
    /// Evaluates the OPRF: a ristretto255 scalar.
    Oprf,
    /// Encrypts the store.
    Store,
}

impl KeyKind {
    /// What its file starts with.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Provider => "sotto-dp-ed25519-seed",
            Self::Oprf => "sotto-oprf-ristretto255-sha512",
            Self::Store => "sotto-store",
        }
    }
}

/// Why a key file was refused. Holds nothing of the key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
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
    /// Not a key of that kind.
    #[error("{path} does not hold a key of the kind {expected}: restore it from a backup", path = .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What it should start with.
        expected: &'static str,
    },
    /// The key is not a valid one of its kind.
    #[error("{path} holds an unusable key: restore it from a backup", path = .path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
    },
}

/// Writes a key file, which must not be there yet.
///
/// # Errors
/// [`FileError`].
pub fn create(path: &Path, kind: KeyKind, key: &[u8; KEY_BYTES]) -> Result<(), FileError> {
    let encoded = Zeroizing::new(URL_SAFE_NO_PAD.encode(key));
    let line = Zeroizing::new(format!("{}:{}\n", kind.label(), *encoded));
    durable::create(path, PRIVATE, line.as_bytes())
}

/// Reads a key file.
///
/// # Errors
/// [`KeyError`].
pub fn read(path: &Path, kind: KeyKind) -> Result<Zeroizing<[u8; KEY_BYTES]>, KeyError> {
    refuse_exposed(path)?;
    let text = Zeroizing::new(fs::read(path).map_err(FileError::new("read", path))?);
    let malformed = || KeyError::Malformed {
        path: path.to_owned(),
        expected: kind.label(),
    };
    let encoded = text
        .strip_prefix(kind.label().as_bytes())
        .and_then(|rest| rest.strip_prefix(b":"))
        .map(<[u8]>::trim_ascii_end)
        .ok_or_else(malformed)?;
    let decoded = Zeroizing::new(URL_SAFE_NO_PAD.decode(encoded).map_err(|_| malformed())?);
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    if decoded.len() != KEY_BYTES {
        return Err(malformed());
    }
    key.copy_from_slice(&decoded);
    Ok(key)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_round_trip_and_are_never_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        for kind in [KeyKind::Provider, KeyKind::Oprf, KeyKind::Store] {
            let path = directory.path().join(kind.label());
            let key = generate(&mut rand::rng());
            create(&path, kind, &key).unwrap();
            assert_eq!(*read(&path, kind).unwrap(), *key);
            assert!(create(&path, kind, &[0; KEY_BYTES]).is_err());
            assert_eq!(*read(&path, kind).unwrap(), *key);
        }
    }

    #[test]
    fn files_of_another_kind_length_or_permission_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        create(&path, KeyKind::Oprf, &[7; KEY_BYTES]).unwrap();
        assert!(matches!(
            read(&path, KeyKind::Store),
            Err(KeyError::Malformed { .. })
        ));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = read(&path, KeyKind::Oprf).unwrap_err();
        assert!(error.to_string().contains("chmod 600"), "{error}");
        for text in [
            "",
            "sotto-store",
            "sotto-store:",
            "sotto-store:AAAA",
            "sotto-store:!",
        ] {
            durable::replace(&path, PRIVATE, text.as_bytes()).unwrap();
            assert!(
                matches!(read(&path, KeyKind::Store), Err(KeyError::Malformed { .. })),
                "{text}"
            );
        }
        assert!(matches!(
            read(&directory.path().join("none"), KeyKind::Store),
            Err(KeyError::File(_))
        ));
    }
}
