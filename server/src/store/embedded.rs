//! The store in one file, by redb.

mod audience;
mod update;
mod view;

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use redb::{
    Database, DatabaseError, ReadableDatabase as _, ReadableTable as _, TableDefinition,
    WriteTransaction,
};

use super::{Store, StoreError, StoreKeys, Update, View};
use crate::durable::PRIVATE;
use update::EmbeddedUpdate;
use view::EmbeddedView;

type Bytes = &'static [u8];
type Name = &'static [u8; 32];

/// Rows, sealed, by their names.
const ROWS: TableDefinition<'_, Name, Bytes> = TableDefinition::new("rows");
/// The block list, sealed, by the names of rows.
const BLOCKED: TableDefinition<'_, Name, Bytes> = TableDefinition::new("blocked");
/// Audience records by their handles.
const AUDIENCE: TableDefinition<'_, Name, Bytes> = TableDefinition::new("audience");
/// Handles of audience records by the time at which they expire.
const AUDIENCE_EXPIRY: TableDefinition<'_, (u64, Name), ()> =
    TableDefinition::new("audience_expiry");
/// Number of audience records by owner; that of all under the empty name.
const AUDIENCE_COUNTS: TableDefinition<'_, &'static str, u64> =
    TableDefinition::new("audience_counts");
/// Entries of the audit log by index.
const AUDIT: TableDefinition<'_, u64, Bytes> = TableDefinition::new("audit");
const IMPORTS: TableDefinition<'_, Name, [u64; 7]> = TableDefinition::new("imports");
const META: TableDefinition<'_, &'static str, Bytes> = TableDefinition::new("meta");

const VERSION: u64 = 2;
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
    /// [`StoreError::Embedded`].
    pub fn open(path: &Path, keys: StoreKeys) -> Result<Self, StoreError> {
        // redb makes the file itself, with the permissions of the umask.
        OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(PRIVATE)
            .open(path)
            .map_err(|error| engine(redb::Error::Io(error)))?;
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create(path)
            .map_err(|error| match error {
                DatabaseError::DatabaseAlreadyOpen => StoreError::InUse {
                    path: path.to_owned(),
                },
                other => engine(other),
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
            // A view can only open tables that are there.
            open_all(&transaction)?;
        }
        transaction.commit().map_err(engine)
    }
}

fn open_all(transaction: &WriteTransaction) -> Result<(), StoreError> {
    transaction.open_table(ROWS).map_err(engine)?;
    transaction.open_table(BLOCKED).map_err(engine)?;
    transaction.open_table(AUDIENCE).map_err(engine)?;
    transaction.open_table(AUDIENCE_EXPIRY).map_err(engine)?;
    transaction.open_table(AUDIENCE_COUNTS).map_err(engine)?;
    transaction.open_table(AUDIT).map_err(engine)?;
    transaction.open_table(IMPORTS).map_err(engine)?;
    Ok(())
}

impl Store for EmbeddedStore {
    fn view(&self) -> Result<Box<dyn View + '_>, StoreError> {
        let transaction = self.database.begin_read().map_err(engine)?;
        Ok(Box::new(EmbeddedView::open(&transaction, &self.keys)?))
    }

    fn update(
        &self,
        change: &mut dyn FnMut(&mut dyn Update) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        // Dropped without a commit, the transaction never was.
        let transaction = self.database.begin_write().map_err(engine)?;
        change(&mut EmbeddedUpdate::open(&transaction, &self.keys)?)?;
        transaction.commit().map_err(engine)
    }
}

fn engine(error: impl Into<redb::Error>) -> StoreError {
    StoreError::Embedded(Box::new(error.into()))
}

impl std::fmt::Debug for EmbeddedStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EmbeddedStore(..)")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::store::contract::{self, Bench};

    const KEY: [u8; 32] = [5; 32];

    fn open(path: &Path) -> EmbeddedStore {
        EmbeddedStore::open(path, StoreKeys::derive(&KEY)).unwrap()
    }

    struct InDirectory(tempfile::TempDir);

    impl Bench for InDirectory {
        fn open(&self) -> Box<dyn Store> {
            Box::new(open(&self.0.path().join("store.redb")))
        }

        fn at_rest(&self) -> Vec<Vec<u8>> {
            let files = std::fs::read_dir(self.0.path()).unwrap();
            files
                .map(|file| std::fs::read(file.unwrap().path()).unwrap())
                .collect()
        }
    }

    pub(crate) fn fresh() -> Box<dyn Bench> {
        Box::new(InDirectory(tempfile::tempdir().unwrap()))
    }

    #[test]
    fn keeps_the_contract() {
        contract::check(&fresh);
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
        assert!(matches!(broken, Err(StoreError::Embedded(_))));
    }
}
