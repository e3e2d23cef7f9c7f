//! What providers have accepted, so that they can be held to it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use protocol::audit::Head;
use protocol::cose::KeyId;
use protocol::csi::Csi;
use protocol::merkle::Hash;
use protocol::wire::Holdings;

use super::{Awaited, Identity, IdentityError, make_directory};
use crate::durable::{self, FileError, PRIVATE};

const PUBLISHED: &str = "published";
const AWAITED: &str = "awaited";
const RECEIPTS: &str = "receipts";

impl Identity {
    /// What a provider must hold about an identifier; `None` if nothing was
    /// published there from here.
    ///
    /// # Errors
    /// [`IdentityError::File`], [`IdentityError::Ledger`].
    pub fn published(&self, provider: KeyId, csi: &Csi) -> Result<Option<Holdings>, IdentityError> {
        let path = self.csi_path(PUBLISHED, provider, csi, "cbor");
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
        let path = self.csi_path(PUBLISHED, provider, csi, "cbor");
        Ok(durable::replace(&path, PRIVATE, &holdings.encode())?)
    }

    /// What a provider has accepted for an identifier and wasn't seen in a snapshot
    /// yet.
    ///
    /// # Errors
    /// As [`published`](Self::published).
    pub fn awaited(&self, provider: KeyId, csi: &Csi) -> Result<Awaited, IdentityError> {
        let path = self.csi_path(AWAITED, provider, csi, "txt");
        let Some(bytes) = read_if_there(&path)? else {
            return Ok(Awaited::default());
        };
        let awaited = std::str::from_utf8(&bytes).ok();
        let awaited = awaited.and_then(|text| text.parse().ok());
        awaited.ok_or(IdentityError::Ledger { path })
    }

    /// Remembers what is awaited.
    ///
    /// # Errors
    /// [`IdentityError::File`].
    pub fn set_awaited(
        &self,
        provider: KeyId,
        csi: &Csi,
        awaited: &Awaited,
    ) -> Result<(), IdentityError> {
        make_directory(&self.directory.join(AWAITED))?;
        let path = self.csi_path(AWAITED, provider, csi, "txt");
        let text = awaited.to_string();
        Ok(durable::replace(&path, PRIVATE, text.as_bytes())?)
    }

    /// The furthest end of a provider's audit log that a receipt named.
    ///
    /// # Errors
    /// [`IdentityError::File`], [`IdentityError::Ledger`].
    pub fn receipt(&self, provider: KeyId) -> Result<Option<Head>, IdentityError> {
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
        let text = format!("{} {}\n", head.entries, head.hash);
        let path = self.receipt_path(provider);
        Ok(durable::replace(&path, PRIVATE, text.as_bytes())?)
    }

    fn csi_path(&self, kind: &str, provider: KeyId, csi: &Csi, extension: &str) -> PathBuf {
        // No secret: that of what was published holds the identifier.
        let named = [provider.as_bytes(), csi.canonical().as_bytes()].concat();
        let name = hex::encode(&Hash::of(&named).as_bytes()[..16]);
        let directory = self.directory.join(kind);
        directory.join(format!("{name}.{extension}"))
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

fn parse_receipt(text: &str) -> Option<Head> {
    let (entries, rest) = text.trim_end().split_once(' ')?;
    // Earlier versions wrote a time after it.
    let hash = rest.split_once(' ').map_or(rest, |(hash, _)| hash);
    let mut bytes = [0; 32];
    hex::decode_to_slice(hash, &mut bytes).ok()?;
    Some(Head {
        entries: entries.parse().ok()?,
        hash: Hash::from_bytes(bytes),
    })
}
