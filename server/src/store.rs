//! What the provider keeps of each identifier.
//!
//! A [`Store`] holds one [`Row`] an identifier. An identifier is at rest only
//! inside ciphertext: rows are named by a [`RowId`], a keyed hash, and sealed.

#[cfg(test)]
pub(crate) mod contract;
pub mod embedded;
mod seal;

use std::path::PathBuf;

use protocol::csi::Csi;
use protocol::derivation::Salt;
use zeroize::Zeroizing;

pub use seal::StoreKeys;

/// One identifier's row.
#[derive(Clone)]
pub struct Row {
    /// The identifier.
    pub csi: Csi,
    /// Credential and mappings, encoded as [`protocol::bundle::Bundle`].
    pub bundle: Zeroizing<Vec<u8>>,
    /// What the published record is sealed with; another whenever `bundle`
    /// changes.
    pub salt: Salt,
}

/// The name of a row: a hash of its identifier under the store's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowId([u8; 32]);

/// The name of something imported: a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceId(pub [u8; 32]);

/// How far an import has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportProgress {
    /// Bytes of the file that are done.
    pub bytes: u64,
    /// Items that are done: lines that aren't blank, or CBOR items.
    pub items: u64,
    /// Lines that are done, blank ones too.
    pub lines: u64,
    /// Identifiers that weren't there.
    pub added: u64,
    /// Identifiers whose row changed.
    pub updated: u64,
    /// Items that changed nothing.
    pub unchanged: u64,
    /// Items that were refused.
    pub refused: u64,
}

/// A durable set of rows.
///
/// What every implementation promises, and `contract` tests:
/// - an update that returned `Ok` survives a crash, whole; one that failed, or
///   whose closure did, never happened;
/// - updates happen one after another and see their own writes;
/// - a view shows one state of the store, whatever happens meanwhile;
/// - neither an identifier nor a bundle is in its files in the clear.
pub trait Store: Send + Sync {
    /// The state of the store now.
    ///
    /// # Errors
    /// [`StoreError`].
    fn view(&self) -> Result<Box<dyn View + '_>, StoreError>;

    /// Changes rows, all or nothing.
    ///
    /// # Errors
    /// [`StoreError`], or what `change` returned.
    fn update(
        &self,
        change: &mut dyn FnMut(&mut dyn Update) -> Result<(), StoreError>,
    ) -> Result<(), StoreError>;
}

/// One state of a store.
pub trait View: Sync {
    /// Number of rows.
    ///
    /// # Errors
    /// [`StoreError`].
    fn count(&self) -> Result<u64, StoreError>;

    /// The names of all rows, in order.
    ///
    /// # Errors
    /// [`StoreError`].
    fn row_ids(&self) -> Result<Vec<RowId>, StoreError>;

    /// A row that is there.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Corrupt`].
    fn row(&self, id: &RowId) -> Result<Row, StoreError>;

    /// How far an import has come, if it was begun and hasn't ended.
    ///
    /// # Errors
    /// [`StoreError`].
    fn import_progress(&self, source: &SourceId) -> Result<Option<ImportProgress>, StoreError>;
}

/// A change under way.
pub trait Update {
    /// The row of an identifier.
    ///
    /// # Errors
    /// [`StoreError`].
    fn find(&mut self, csi: &Csi) -> Result<Option<Row>, StoreError>;

    /// Puts a row in the place of the one of its identifier.
    ///
    /// # Errors
    /// [`StoreError`].
    fn put(&mut self, row: &Row) -> Result<(), StoreError>;

    /// Notes how far an import has come; `None` when it has ended.
    ///
    /// # Errors
    /// [`StoreError`].
    fn note_import(
        &mut self,
        source: &SourceId,
        progress: Option<&ImportProgress>,
    ) -> Result<(), StoreError>;
}

/// Why the store failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process has the store open.
    #[error("{path} is in use by another process: wait for it to end", path = .path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file is not a store of this version.
    #[error("{path} is a store of version {found}, this program knows {expected}", path = .path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// What this program writes.
        expected: u64,
        /// What the file says.
        found: u64,
    },
    /// The store was written under another key.
    #[error("{path} does not belong to keys/store.key: restore both from one backup", path = .path.display())]
    ForeignKey {
        /// The file.
        path: PathBuf,
    },
    /// A row doesn't open or isn't of the accepted form.
    #[error("the store holds a corrupt row: restore it from a backup")]
    Corrupt,
    /// A row that was named is not there.
    #[error("the store lacks a row that it named")]
    Missing,
    /// The database engine failed.
    #[error("store: {0}; nothing of this batch was changed: check the disk's space and health")]
    Engine(#[from] redb::Error),
}

impl RowId {
    pub(crate) const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Row(redacted)")
    }
}
