//! Where a keyring is kept.
//!
//! Lines of text, in any order, empty ones and those that begin with `#` left
//! out: one invitation an audience, as [`Invitation::to_uri`] writes it, and at
//! most one `sotto-pairing-x25519:<base64url>`.
//!
//! Nothing but its permissions protects the file: only its owner may read it
//! (mode 0600), else it is refused. Whoever gets at it, from a backup say, is a
//! member of every audience in it.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use protocol::audience::{Invitation, InvitationError, MAX_INVITATION_BYTES, PairingKey};
use zeroize::Zeroizing;

use super::{Keyring, KeyringError, MAX_MEMBERSHIPS, Membership};
use crate::durable::{self, FileError, PRIVATE};

const HEADING: &str = "# Sotto keyring: whoever reads this file is in every audience in it.\n";
const PAIRING: &str = "sotto-pairing-x25519:";

/// Most bytes of the file: more than a full keyring has.
const FILE_BYTES_MAX: u64 = ((MAX_MEMBERSHIPS + 16) * (MAX_INVITATION_BYTES + 1)) as u64;

/// The file of a keyring, whether or not it is there yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyringFile {
    path: PathBuf,
}

impl KeyringFile {
    /// The file at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The keyring in the file.
    ///
    /// # Errors
    /// [`KeyringFileError`]; a file that isn't there is
    /// [`KeyringFileError::File`] of kind `NotFound`.
    pub fn read(&self) -> Result<Keyring, KeyringFileError> {
        let path = &self.path;
        if let Some(mode) = durable::exposure(path)? {
            return Err(KeyringFileError::Exposed {
                path: path.clone(),
                mode,
            });
        }
        let file = File::open(path).map_err(FileError::new("read", path))?;
        let size = file.metadata().map_err(FileError::new("read", path))?.len();
        if size > FILE_BYTES_MAX {
            return Err(KeyringFileError::TooLarge {
                path: path.clone(),
                found: size,
            });
        }
        // With room from the start, so that no copy is left behind.
        let mut text = Zeroizing::new(String::with_capacity(size as usize + 1));
        file.take(FILE_BYTES_MAX)
            .read_to_string(&mut text)
            .map_err(FileError::new("read", path))?;
        parse(&text).map_err(|(line, source)| KeyringFileError::Line {
            path: path.clone(),
            line,
            source,
        })
    }

    /// Reads the keyring, or begins an empty one if there is no file, lets
    /// `change` change it, and writes it whole or not at all. Others who do
    /// the same wait.
    ///
    /// # Errors
    /// What `change` says, and [`KeyringFileError`]: then nothing is changed.
    pub fn update<T, E>(&self, change: impl FnOnce(&mut Keyring) -> Result<T, E>) -> Result<T, E>
    where
        E: From<KeyringFileError>,
    {
        let _lock = self.lock()?;
        let mut keyring = match self.read() {
            Err(KeyringFileError::File(error))
                if error.source.kind() == io::ErrorKind::NotFound =>
            {
                Keyring::default()
            }
            result => result?,
        };
        let changed = change(&mut keyring)?;
        durable::replace(&self.path, PRIVATE, to_text(&keyring).as_bytes())
            .map_err(KeyringFileError::File)?;
        Ok(changed)
    }

    /// Held until it is dropped, by a file beside the keyring.
    fn lock(&self) -> Result<File, KeyringFileError> {
        if let Some(directory) = self
            .path
            .parent()
            .filter(|path| !path.as_os_str().is_empty())
        {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory)
                .map_err(FileError::new("create", directory))?;
        }
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(".lock");
        let path = self.path.with_file_name(name);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(PRIVATE)
            .open(&path)
            .map_err(FileError::new("create", &path))?;
        file.lock().map_err(FileError::new("lock", &path))?;
        Ok(file)
    }
}

/// Why a keyring could not be read or written. Holds nothing of its content.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyringFileError {
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
    /// Longer than a keyring can be.
    #[error("{path} has {found} bytes, expected at most {FILE_BYTES_MAX}", path = .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its length in bytes.
        found: u64,
    },
    /// A line is not in its form.
    #[error("{path}, line {line}: {source}", path = .path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Which line, counted from 1.
        line: usize,
        /// What is wrong.
        source: LineError,
    },
}

/// What is wrong with a line of a keyring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// Not an invitation.
    #[error(transparent)]
    Invitation(#[from] InvitationError),
    /// Not a pairing key.
    #[error("expected {PAIRING} and 32 bytes in base64url")]
    PairingKey,
    /// A second pairing key.
    #[error("a second pairing key")]
    SecondPairingKey,
    /// An audience that can't be added.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
}

fn to_text(keyring: &Keyring) -> Zeroizing<String> {
    let lines = keyring.memberships.len() + 2;
    let mut text = Zeroizing::new(String::with_capacity(lines * (MAX_INVITATION_BYTES + 1)));
    text.push_str(HEADING);
    if let Some(key) = &keyring.pairing {
        text.push_str(PAIRING);
        URL_SAFE_NO_PAD.encode_string(key.to_bytes().as_ref(), &mut text);
        text.push('\n');
    }
    for membership in &keyring.memberships {
        text.push_str(&membership.invitation().to_uri());
        text.push('\n');
    }
    text
}

fn parse(text: &str) -> Result<Keyring, (usize, LineError)> {
    let mut keyring = Keyring::default();
    for (at, line) in text.lines().enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        read_line(&mut keyring, line).map_err(|error| (at + 1, error))?;
    }
    Ok(keyring)
}

fn read_line(keyring: &mut Keyring, line: &str) -> Result<(), LineError> {
    let Some(encoded) = line.strip_prefix(PAIRING) else {
        keyring.add(Membership::from(Invitation::from_uri(line)?))?;
        return Ok(());
    };
    let bytes = URL_SAFE_NO_PAD.decode(encoded).map(Zeroizing::new);
    let bytes = bytes.map_err(|_| LineError::PairingKey)?;
    let bytes = <&[u8; PairingKey::BYTES]>::try_from(bytes.as_slice())
        .map_err(|_| LineError::PairingKey)?;
    if keyring.pairing.is_some() {
        return Err(LineError::SecondPairingKey);
    }
    keyring.pairing = Some(PairingKey::from_bytes(bytes));
    Ok(())
}

#[cfg(test)]
mod tests;
