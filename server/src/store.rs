//! What the provider keeps of each identifier.
//!
//! A [`Store`] holds one [`Row`] an identifier, audience records, the operator's
//! block list and the audit log. An identifier is at rest only inside
//! ciphertext: rows are named by a [`RowId`], a keyed hash, and sealed.

pub mod contract;
pub mod embedded;
mod error;
pub mod journaled;
pub mod postgres;
mod seal;

use protocol::audience::AudienceHandle;
use protocol::audit;
use protocol::csi::Csi;
use protocol::derivation::Salt;
use protocol::precedence::Version;
use protocol::time::UnixTime;
use zeroize::Zeroizing;

pub use error::StoreError;
pub use journaled::JournalError;
pub use postgres::PostgresError;
pub use seal::StoreKeys;

use crate::senders::SenderName;

/// One identifier's row.
#[derive(Clone)]
pub struct Row {
    /// What outlives the content, so that nothing old comes back.
    pub marks: Marks,
    /// What is published; `None` once all of it is gone, and the identifier
    /// with it.
    pub content: Option<Content>,
}

/// How far the history of an identifier has come. Marks never fall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    /// The highest version of a removal, (0, 0) for none; a release of an
    /// assignment counts as its last statement, `u64::MAX`. A mapping that isn't
    /// held must be above.
    pub statements: Version,
    /// Version (assignment, `iat`) of the newest credential.
    pub credentials: Version,
}

/// What is held about an identifier.
#[derive(Clone)]
pub struct Content {
    /// The identifier.
    pub csi: Csi,
    /// Credential and mappings, encoded as [`protocol::bundle::Bundle`].
    pub bundle: Zeroizing<Vec<u8>>,
    /// From this and what is published the record's salt is derived.
    pub salt: Salt,
}

/// An audience record as it was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudienceRow {
    /// Whose quota it counts against.
    pub owner: SenderName,
    /// From when on it is no longer published, and may be forgotten.
    pub expires: UnixTime,
    /// The signed record.
    pub record: Vec<u8>,
    /// From this and what is published the record's salt is derived.
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
/// - updates take effect one after another, also those of several processes
///   where the store can be shared, and see their own writes;
/// - a view shows one state of the store, whatever happens meanwhile;
/// - neither an identifier nor a bundle is in its files in the clear.
pub trait Store: Send + Sync {
    /// The state of the store now.
    ///
    /// # Errors
    /// [`StoreError`].
    fn view(&self) -> Result<Box<dyn View + '_>, StoreError>;

    /// Changes the store, all or nothing. `change` may be called again from the
    /// beginning if another process got in between: it must give the same
    /// result then but for what it reads.
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
    /// Number of rows, those without content included.
    ///
    /// # Errors
    /// [`StoreError`].
    fn count(&self) -> Result<u64, StoreError>;

    /// The names of all rows, in order.
    ///
    /// # Errors
    /// [`StoreError`].
    fn row_ids(&self) -> Result<Vec<RowId>, StoreError>;

    /// Rows that are there, in the order of `ids`.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Corrupt`].
    fn rows(&self, ids: &[RowId]) -> Result<Vec<Row>, StoreError>;

    /// Rows that are there as they lie in the store, in the order of `ids`.
    ///
    /// # Errors
    /// [`StoreError::Missing`].
    fn sealed_rows(&self, ids: &[RowId]) -> Result<Vec<Vec<u8>>, StoreError>;

    /// The block list as it lies in the store, in order.
    ///
    /// # Errors
    /// [`StoreError`].
    fn sealed_blocked(&self) -> Result<Vec<(RowId, Vec<u8>)>, StoreError>;

    /// The row of an identifier.
    ///
    /// # Errors
    /// [`StoreError`].
    fn find(&self, csi: &Csi) -> Result<Option<Row>, StoreError>;

    /// The handles of all audience records, in order.
    ///
    /// # Errors
    /// [`StoreError`].
    fn audience_handles(&self) -> Result<Vec<AudienceHandle>, StoreError>;

    /// Audience records that are there, in the order of `handles`.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Corrupt`].
    fn audience_rows(&self, handles: &[AudienceHandle]) -> Result<Vec<AudienceRow>, StoreError>;

    /// The identifiers whose records the operator withholds, in order of their
    /// rows' names.
    ///
    /// # Errors
    /// [`StoreError`].
    fn blocked(&self) -> Result<Vec<Csi>, StoreError>;

    /// Where the audit log ends.
    ///
    /// # Errors
    /// [`StoreError`].
    fn audit_head(&self) -> Result<audit::Head, StoreError>;

    /// At most `most` entries of the audit log, from the index `from` on.
    ///
    /// # Errors
    /// [`StoreError`].
    fn audit(&self, from: u64, most: usize) -> Result<Vec<audit::Entry>, StoreError>;

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

    /// Says which rows will be asked for: a store that is far away fetches them
    /// together.
    ///
    /// # Errors
    /// [`StoreError`].
    fn prefetch(&mut self, _csis: &[&Csi]) -> Result<(), StoreError> {
        Ok(())
    }

    /// Puts a row in the place of the one of its identifier.
    ///
    /// # Errors
    /// [`StoreError`].
    fn put(&mut self, csi: &Csi, row: &Row) -> Result<(), StoreError>;

    /// A row as it lies in the store.
    ///
    /// # Errors
    /// [`StoreError`].
    fn find_sealed(&mut self, id: &RowId) -> Result<Option<Vec<u8>>, StoreError>;

    /// Puts a row that was sealed under the store's keys in the place of the one
    /// of its name.
    ///
    /// # Errors
    /// [`StoreError`].
    fn put_sealed(&mut self, id: &RowId, sealed: &[u8]) -> Result<(), StoreError>;

    /// Puts an entry that was sealed under the store's keys on the block list,
    /// unless it is there.
    ///
    /// # Errors
    /// [`StoreError`].
    fn block_sealed(&mut self, id: &RowId, sealed: &[u8]) -> Result<(), StoreError>;

    /// An audience record.
    ///
    /// # Errors
    /// [`StoreError`].
    fn find_audience(&mut self, handle: &AudienceHandle)
    -> Result<Option<AudienceRow>, StoreError>;

    /// Puts an audience record in the place of the one of its handle.
    ///
    /// # Errors
    /// [`StoreError`].
    fn put_audience(
        &mut self,
        handle: &AudienceHandle,
        row: &AudienceRow,
    ) -> Result<(), StoreError>;

    /// Number of audience records of `owner`, or of all.
    ///
    /// # Errors
    /// [`StoreError`].
    fn count_audience(&mut self, owner: Option<&SenderName>) -> Result<u64, StoreError>;

    /// Forgets the audience records that have expired by `now`.
    ///
    /// # Errors
    /// [`StoreError`].
    fn forget_audience(&mut self, now: UnixTime) -> Result<(), StoreError>;

    /// Withholds an identifier's record, or no longer; says whether that
    /// changed anything.
    ///
    /// # Errors
    /// [`StoreError`].
    fn block(&mut self, csi: &Csi, block: Block) -> Result<bool, StoreError>;

    /// Where the audit log ends.
    ///
    /// # Errors
    /// [`StoreError`].
    fn audit_head(&mut self) -> Result<audit::Head, StoreError>;

    /// Adds entries, which continue the log, to it.
    ///
    /// # Errors
    /// [`StoreError`].
    fn append_audit(&mut self, entries: &[audit::Entry]) -> Result<(), StoreError>;

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

/// What becomes of an identifier on the block list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Block {
    /// It is put there.
    Set,
    /// It is taken away.
    Lift,
}

impl<S: Store + ?Sized> Store for Box<S> {
    fn view(&self) -> Result<Box<dyn View + '_>, StoreError> {
        (**self).view()
    }

    fn update(
        &self,
        change: &mut dyn FnMut(&mut dyn Update) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        (**self).update(change)
    }
}

impl RowId {
    pub(crate) const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes: a keyed hash of the identifier.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl ImportProgress {
    /// Its numbers, in the order of their declaration.
    pub(crate) fn to_fields(self) -> [u64; 7] {
        let Self {
            bytes,
            items,
            lines,
            added,
            updated,
            unchanged,
            refused,
        } = self;
        [bytes, items, lines, added, updated, unchanged, refused]
    }

    /// The reverse of [`to_fields`](Self::to_fields).
    pub(crate) fn from_fields(
        [bytes, items, lines, added, updated, unchanged, refused]: [u64; 7],
    ) -> Self {
        Self {
            bytes,
            items,
            lines,
            added,
            updated,
            unchanged,
            refused,
        }
    }
}

impl Marks {
    /// Before anything was stated.
    pub const NONE: Self = Self {
        statements: Version {
            assignment: 0,
            seq: 0,
        },
        credentials: Version {
            assignment: 0,
            seq: 0,
        },
    };

    /// The higher of both, each for itself.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        Self {
            statements: self.statements.max(other.statements),
            credentials: self.credentials.max(other.credentials),
        }
    }

    /// Whether the CSIP has ended this assignment.
    pub fn has_released(&self, assignment: u64) -> bool {
        let last = Version {
            assignment,
            seq: u64::MAX,
        };
        last <= self.statements
    }
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Row(redacted)")
    }
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Content(redacted)")
    }
}
