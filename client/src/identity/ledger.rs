//! What providers have accepted, so that they can be held to it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use protocol::audit::Head;
use protocol::cose::KeyId;
use protocol::csi::Csi;
use protocol::merkle::Hash;
use protocol::time::UnixTime;
use protocol::wire::Holdings;

use super::{Identity, IdentityError, make_directory};
use crate::durable::{self, FileError, PRIVATE};

const PUBLISHED: &str = "published";
const RECEIPTS: &str = "receipts";

impl Identity {
    /// What a provider must hold about an identifier; `None` if nothing was
    /// published there from here.
    ///
    /// # Errors
    /// [`IdentityError::File`], [`IdentityError::Ledger`].
    pub fn published(&self, provider: KeyId, csi: &Csi) -> Result<Option<Holdings>, IdentityError> {
        let path = self.published_path(provider, csi);
        let Some(bytes) = read_if_there(&path)? else {
            return Ok(None);
        };
        match Holdings::decode(&bytes) {
            Ok(holdings) => Ok(Some(holdings)),
            Err(_) => Err(IdentityError::Ledger { path }),
        }
    }

    /// Remembers what a provider must hold about an identifier.
    ///
    /// # Errors
    /// [`IdentityError::File`].
    pub fn set_published(
        &self,
        provider: KeyId,
        csi: &Csi,
        holdings: &Holdings,
    ) -> Result<(), IdentityError> {
        make_directory(&self.directory.join(PUBLISHED))?;
        let path = self.published_path(provider, csi);
        Ok(durable::replace(&path, PRIVATE, &holdings.encode())?)
    }

    /// The furthest end of a provider's audit log that a receipt named.
    ///
    /// # Errors
    /// [`IdentityError::File`], [`IdentityError::Ledger`].
    pub fn receipt(&self, provider: KeyId) -> Result<Option<Head>, IdentityError> {
        Ok(self.receipt_at(provider)?.map(|(head, _)| head))
    }

    /// The same, and when it was given by this device's clock; 0 if an earlier
    /// version has not noted that.
    ///
    /// # Errors
    /// As [`receipt`](Self::receipt).
    pub fn receipt_at(&self, provider: KeyId) -> Result<Option<(Head, UnixTime)>, IdentityError> {
        let path = self.receipt_path(provider);
        let Some(bytes) = read_if_there(&path)? else {
            return Ok(None);
        };
        let head = std::str::from_utf8(&bytes).ok().and_then(parse_receipt);
        head.map(Some).ok_or(IdentityError::Ledger { path })
    }

    /// Remembers the end of a provider's audit log, unless a further one is
    /// known.
    ///
    /// # Errors
    /// As [`receipt`](Self::receipt).
    pub fn add_receipt(&self, provider: KeyId, head: Head) -> Result<(), IdentityError> {
        let known = self.receipt(provider)?;
        if known.is_some_and(|known| known.entries >= head.entries) {
            return Ok(());
        }
        make_directory(&self.directory.join(RECEIPTS))?;
        let now = UnixTime::now().as_secs();
        let text = format!("{} {} {now}\n", head.entries, head.hash);
        let path = self.receipt_path(provider);
        Ok(durable::replace(&path, PRIVATE, text.as_bytes())?)
    }

    fn published_path(&self, provider: KeyId, csi: &Csi) -> PathBuf {
        // No secret: the file itself holds the identifier.
        let named = [provider.as_bytes(), csi.canonical().as_bytes()].concat();
        let name = hex::encode(&Hash::of(&named).as_bytes()[..16]);
        self.directory.join(PUBLISHED).join(format!("{name}.cbor"))
    }

    fn receipt_path(&self, provider: KeyId) -> PathBuf {
        let name = hex::encode(&provider.as_bytes()[..16]);
        self.directory.join(RECEIPTS).join(format!("{name}.txt"))
    }
}

fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, FileError> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        bytes => bytes.map(Some).map_err(FileError::new("read", path)),
    }
}

fn parse_receipt(text: &str) -> Option<(Head, UnixTime)> {
    let (entries, rest) = text.trim_end().split_once(' ')?;
    let (hash, at) = rest.split_once(' ').unwrap_or((rest, "0"));
    let mut bytes = [0; 32];
    hex::decode_to_slice(hash, &mut bytes).ok()?;
    let head = Head {
        entries: entries.parse().ok()?,
        hash: Hash::from_bytes(bytes),
    };
    Some((head, UnixTime::from_secs(at.parse().ok()?)))
}
