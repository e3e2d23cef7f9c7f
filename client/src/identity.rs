//! A recipient's keys, credentials and what it has published, in a directory.
//!
//! ```text
//! key.pem            the secret key, encrypted under a passphrase
//! key.pub            its public half, for whoever asks without the passphrase
//! earlier/*.pem      keys before it, until no credential needs them
//! credentials/*.cose one credential a file
//! published/*.cbor   what a provider has accepted for an identifier
//! awaited/*.txt      what of that wasn't seen in a snapshot yet, and since when
//! receipts/*.txt     how far a provider's audit log had come
//! ```
//!
//! Only the owner may read what is in it. Every file is written beside its place
//! and renamed, so that a crash leaves the old one or the new one.

mod awaited;
mod credentials;
mod error;
mod ledger;

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use protocol::cose::{SigningKey, VerifyingKey};
use protocol::credential::Credential;

pub use awaited::{Awaited, AwaitedError};
pub use error::IdentityError;

use crate::durable::{self, FileError, PRIVATE, PUBLIC};
use crate::key_file::{KeyFile, KeyFileError, Passphrase};

/// The directory of an identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    directory: PathBuf,
}

impl Identity {
    /// Makes the directory, if need be, and writes the key into it.
    ///
    /// # Errors
    /// [`IdentityError::Exists`] if there is a key already;
    /// [`IdentityError::KeyFile`], [`IdentityError::File`].
    pub fn create(
        directory: impl Into<PathBuf>,
        key: &SigningKey,
        passphrase: &Passphrase,
    ) -> Result<Self, IdentityError> {
        let identity = Self {
            directory: directory.into(),
        };
        make_directory(&identity.directory)?;
        match identity.key_file().create(key, passphrase) {
            Err(KeyFileError::File(error))
                if error.source.kind() == io::ErrorKind::AlreadyExists =>
            {
                return Err(IdentityError::Exists {
                    path: identity.directory,
                });
            }
            result => result?,
        }
        identity.write_public(&key.verifying_key())?;
        Ok(identity)
    }

    /// The identity in a directory.
    ///
    /// # Errors
    /// [`IdentityError::Missing`].
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self, IdentityError> {
        let identity = Self {
            directory: directory.into(),
        };
        if identity.key_file().path().exists() {
            Ok(identity)
        } else {
            Err(IdentityError::Missing {
                path: identity.directory,
            })
        }
    }

    /// Where it is.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The public key as key.pub has it; [`key`](Self::key) proves it. `None` if
    /// the file is missing, as after a crash.
    ///
    /// # Errors
    /// [`IdentityError::File`], [`IdentityError::PublicKey`].
    pub fn public_key(&self) -> Result<Option<VerifyingKey>, IdentityError> {
        let path = self.public_path();
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text.map_err(FileError::new("read", &path))?,
        };
        let key = VerifyingKey::from_text(text.trim_end());
        key.map(Some)
            .map_err(|source| IdentityError::PublicKey { path, source })
    }

    /// The secret key. If key.pub is not its public half, it is written again.
    ///
    /// # Errors
    /// [`IdentityError::KeyFile`], [`IdentityError::File`].
    pub fn key(&self, passphrase: &Passphrase) -> Result<SigningKey, IdentityError> {
        let key = self.key_file().read(passphrase)?;
        let public = key.verifying_key();
        if !matches!(self.public_key(), Ok(Some(known)) if known == public) {
            self.write_public(&public)?;
        }
        Ok(key)
    }

    /// The secret key that a credential names: the one in use or an earlier one.
    ///
    /// # Errors
    /// As [`key`](Self::key), and [`IdentityError::NotHolder`].
    pub fn key_of(
        &self,
        credential: &Credential,
        passphrase: &Passphrase,
    ) -> Result<SigningKey, IdentityError> {
        let earlier = KeyFile::new(self.earlier_path(&credential.holder));
        let in_use = self.public_key()?;
        let key = if in_use.as_ref() != Some(&credential.holder) && earlier.path().exists() {
            earlier.read(passphrase)?
        } else {
            self.key(passphrase)?
        };
        if key.verifying_key() == credential.holder {
            Ok(key)
        } else {
            Err(IdentityError::NotHolder)
        }
    }

    /// Takes `new` into use. The key before it stays, for the credentials that
    /// name it; both have the same passphrase.
    ///
    /// # Errors
    /// As [`key`](Self::key).
    pub fn rotate(&self, new: &SigningKey, passphrase: &Passphrase) -> Result<(), IdentityError> {
        let old = self.key(passphrase)?.verifying_key();
        let earlier = self.earlier_path(&old);
        make_directory(&self.directory.join(EARLIER))?;
        durable::replace(&earlier, PRIVATE, &self.export()?)?;
        let next = KeyFile::new(self.directory.join("next.pem"));
        // Left by a rotation that did not come to its end.
        match fs::remove_file(next.path()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => result.map_err(FileError::new("remove", next.path()))?,
        }
        next.create(new, passphrase)?;
        let pem = fs::read(next.path()).map_err(FileError::new("read", next.path()))?;
        durable::replace(self.key_file().path(), PRIVATE, &pem)?;
        self.write_public(&new.verifying_key())?;
        fs::remove_file(next.path()).map_err(FileError::new("remove", next.path()))?;
        Ok(())
    }

    /// Encrypts every key under another passphrase. If it is interrupted, it can
    /// be done again with the same two.
    ///
    /// # Errors
    /// [`IdentityError::KeyFile`], [`IdentityError::File`].
    pub fn change_passphrase(
        &self,
        current: &Passphrase,
        new: &Passphrase,
    ) -> Result<(), IdentityError> {
        for path in self.earlier_files()? {
            change(&KeyFile::new(path), current, new)?;
        }
        Ok(change(&self.key_file(), current, new)?)
    }

    /// The encrypted key in PEM, for another device.
    ///
    /// # Errors
    /// [`IdentityError::File`].
    pub fn export(&self) -> Result<Vec<u8>, IdentityError> {
        let file = self.key_file();
        Ok(fs::read(file.path()).map_err(FileError::new("read", file.path()))?)
    }

    /// Whether the identity has the secret half of `key`, as the names of its
    /// files say.
    ///
    /// # Errors
    /// [`IdentityError::File`], [`IdentityError::PublicKey`].
    pub fn has(&self, key: &VerifyingKey) -> Result<bool, IdentityError> {
        Ok(self.public_key()?.as_ref() == Some(key) || self.earlier_path(key).exists())
    }

    fn key_file(&self) -> KeyFile {
        KeyFile::new(self.directory.join("key.pem"))
    }

    fn public_path(&self) -> PathBuf {
        self.directory.join("key.pub")
    }

    fn earlier_path(&self, key: &VerifyingKey) -> PathBuf {
        let name = hex::encode(&key.key_id().as_bytes()[..16]);
        self.directory.join(EARLIER).join(format!("{name}.pem"))
    }

    fn earlier_files(&self) -> Result<Vec<PathBuf>, IdentityError> {
        Ok(files(&self.directory.join(EARLIER), "pem")?)
    }

    fn write_public(&self, key: &VerifyingKey) -> Result<(), IdentityError> {
        let text = format!("{}\n", key.to_text());
        Ok(durable::replace(
            &self.public_path(),
            PUBLIC,
            text.as_bytes(),
        )?)
    }
}

const EARLIER: &str = "earlier";

fn change(file: &KeyFile, current: &Passphrase, new: &Passphrase) -> Result<(), KeyFileError> {
    match file.change_passphrase(current, new) {
        // Changed already, before an interruption.
        Err(KeyFileError::Passphrase { .. }) if file.read(new).is_ok() => Ok(()),
        result => result,
    }
}

/// Makes a directory that only its owner may look into, unless it is there.
fn make_directory(path: &Path) -> Result<(), FileError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(FileError::new("create", path))
}

/// The files with this extension in a directory, in order; none if it isn't
/// there.
fn files(directory: &Path, extension: &str) -> Result<Vec<PathBuf>, FileError> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(FileError::new("read", directory))?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(FileError::new("read", directory))?.path();
        if path.extension().is_some_and(|found| found == extension) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests;
