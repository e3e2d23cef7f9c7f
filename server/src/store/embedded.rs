//! The store in one file, by redb.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use protocol::csi::Csi;
use redb::{
    Database, DatabaseError, ReadOnlyTable, ReadableDatabase as _, ReadableTable as _,
    ReadableTableMetadata as _, TableDefinition, WriteTransaction,
};

use super::{ImportProgress, Row, RowId, SourceId, Store, StoreError, StoreKeys, Update, View};
use crate::durable::PRIVATE;

type Bytes = &'static [u8];

const ROWS: TableDefinition<'_, &'static [u8; 32], Bytes> = TableDefinition::new("rows");
const IMPORTS: TableDefinition<'_, &'static [u8; 32], [u64; 7]> = TableDefinition::new("imports");
const META: TableDefinition<'_, &'static str, Bytes> = TableDefinition::new("meta");

const VERSION: u64 = 1;
const CACHE_BYTES: usize = 128 << 20;

/// A store in one file.
pub struct EmbeddedStore {
    database: Database,
    keys: StoreKeys,
}

impl EmbeddedStore {
    /// Opens the store, or makes an empty one.
    ///
    /// # Errors
    /// [`StoreError::InUse`], [`StoreError::Version`], [`StoreError::ForeignKey`],
    /// [`StoreError::Engine`].
    pub fn open(path: &Path, keys: StoreKeys) -> Result<Self, StoreError> {
        // redb makes the file itself, with the permissions of the umask.
        OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(PRIVATE)
            .open(path)
            .map_err(|error| StoreError::Engine(redb::Error::Io(error)))?;
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create(path)
            .map_err(|error| match error {
                DatabaseError::DatabaseAlreadyOpen => StoreError::InUse {
                    path: path.to_owned(),
                },
                other => StoreError::Engine(other.into()),
            })?;
        let store = Self { database, keys };
        store.check(path.to_owned())?;
        Ok(store)
    }

    /// Compares version and key with those of the file, or writes them into a
    /// new one.
    fn check(&self, path: PathBuf) -> Result<(), StoreError> {
        let transaction = self.database.begin_write().map_err(engine)?;
        {
            transaction.open_table(ROWS).map_err(engine)?;
            transaction.open_table(IMPORTS).map_err(engine)?;
            let mut meta = transaction.open_table(META).map_err(engine)?;
            let version = meta
                .get("version")
                .map_err(engine)?
                .map(|value| value.value().to_vec());
            match version {
                None => {
                    meta.insert("version", VERSION.to_be_bytes().as_slice())
                        .map_err(engine)?;
                    meta.insert("key", self.keys.check().as_slice())
                        .map_err(engine)?;
                }
                Some(version) => {
                    let version: [u8; 8] = version.try_into().map_err(|_| StoreError::Corrupt)?;
                    let found = u64::from_be_bytes(version);
                    if found != VERSION {
                        return Err(StoreError::Version {
                            path,
                            expected: VERSION,
                            found,
                        });
                    }
                    let key = meta.get("key").map_err(engine)?;
                    if key.is_none_or(|key| key.value() != self.keys.check()) {
                        return Err(StoreError::ForeignKey { path });
                    }
                }
            }
        }
        transaction.commit().map_err(engine)
    }
}

impl Store for EmbeddedStore {
    fn view(&self) -> Result<Box<dyn View + '_>, StoreError> {
        let transaction = self.database.begin_read().map_err(engine)?;
        Ok(Box::new(EmbeddedView {
            rows: transaction.open_table(ROWS).map_err(engine)?,
            imports: transaction.open_table(IMPORTS).map_err(engine)?,
            keys: &self.keys,
        }))
    }

    fn update(
        &self,
        change: &mut dyn FnMut(&mut dyn Update) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        // Dropped without a commit, the transaction never was.
        let transaction = self.database.begin_write().map_err(engine)?;
        change(&mut EmbeddedUpdate {
            transaction: &transaction,
            keys: &self.keys,
        })?;
        transaction.commit().map_err(engine)
    }
}

struct EmbeddedView<'a> {
    rows: ReadOnlyTable<&'static [u8; 32], Bytes>,
    imports: ReadOnlyTable<&'static [u8; 32], [u64; 7]>,
    keys: &'a StoreKeys,
}

impl View for EmbeddedView<'_> {
    fn count(&self) -> Result<u64, StoreError> {
        self.rows.len().map_err(engine)
    }

    fn row_ids(&self) -> Result<Vec<RowId>, StoreError> {
        let mut ids = Vec::new();
        for entry in self.rows.iter().map_err(engine)? {
            let (id, _) = entry.map_err(engine)?;
            ids.push(RowId::from_bytes(*id.value()));
        }
        Ok(ids)
    }

    fn row(&self, id: &RowId) -> Result<Row, StoreError> {
        let sealed = self
            .rows
            .get(id.as_bytes())
            .map_err(engine)?
            .ok_or(StoreError::Missing)?;
        self.keys.open(id, sealed.value())
    }

    fn import_progress(&self, source: &SourceId) -> Result<Option<ImportProgress>, StoreError> {
        Ok(self
            .imports
            .get(&source.0)
            .map_err(engine)?
            .map(|fields| ImportProgress::from_fields(fields.value())))
    }
}

struct EmbeddedUpdate<'a> {
    transaction: &'a WriteTransaction,
    keys: &'a StoreKeys,
}

impl Update for EmbeddedUpdate<'_> {
    fn find(&mut self, csi: &Csi) -> Result<Option<Row>, StoreError> {
        let id = self.keys.row_id(csi);
        let rows = self.transaction.open_table(ROWS).map_err(engine)?;
        let sealed = rows.get(id.as_bytes()).map_err(engine)?;
        sealed
            .map(|sealed| self.keys.open(&id, sealed.value()))
            .transpose()
    }

    fn put(&mut self, row: &Row) -> Result<(), StoreError> {
        let id = self.keys.row_id(&row.csi);
        let sealed = self.keys.seal(&id, row)?;
        let mut rows = self.transaction.open_table(ROWS).map_err(engine)?;
        rows.insert(id.as_bytes(), sealed.as_slice())
            .map_err(engine)?;
        Ok(())
    }

    fn note_import(
        &mut self,
        source: &SourceId,
        progress: Option<&ImportProgress>,
    ) -> Result<(), StoreError> {
        let mut imports = self.transaction.open_table(IMPORTS).map_err(engine)?;
        match progress {
            Some(progress) => imports
                .insert(&source.0, progress.to_fields())
                .map_err(engine)?,
            None => imports.remove(&source.0).map_err(engine)?,
        };
        Ok(())
    }
}

impl ImportProgress {
    fn to_fields(self) -> [u64; 7] {
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

    fn from_fields([bytes, items, lines, added, updated, unchanged, refused]: [u64; 7]) -> Self {
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

fn engine(error: impl Into<redb::Error>) -> StoreError {
    StoreError::Engine(error.into())
}

impl std::fmt::Debug for EmbeddedStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EmbeddedStore(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::contract;

    const KEY: [u8; 32] = [5; 32];

    fn open(path: &Path) -> EmbeddedStore {
        EmbeddedStore::open(path, StoreKeys::derive(&KEY)).unwrap()
    }

    #[test]
    fn keeps_the_contract() {
        contract::check(|directory| Box::new(open(&directory.join("store.redb"))));
    }

    #[test]
    fn is_opened_once_and_with_its_own_key() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.redb");
        let store = open(&path);
        let again = EmbeddedStore::open(&path, StoreKeys::derive(&KEY));
        assert!(matches!(again, Err(StoreError::InUse { .. })));
        drop(store);
        let foreign = EmbeddedStore::open(&path, StoreKeys::derive(&[6; 32]));
        assert!(matches!(foreign, Err(StoreError::ForeignKey { .. })));
        drop(open(&path));
        std::fs::write(&path, b"not a store of any version, but long enough").unwrap();
        let broken = EmbeddedStore::open(&path, StoreKeys::derive(&KEY));
        assert!(matches!(broken, Err(StoreError::Engine(_))));
    }
}
