//! What a client keeps between lookups, and between runs.
//!
//! Of one provider: the last manifest that was accepted; the OPRF evaluations
//! of the current key, which cost quota or tokens; and the buckets that were
//! fetched from the current snapshot, so that an interrupted call goes on where
//! it ended. An identifier's slots are kept all or none, dummies included: so
//! the number of elements that are sent tells how many identifiers are new, and
//! not whether a slot is an audience or a dummy.
//!
//! One file by redb, mode 0600, or memory. Names are keyed hashes and values are
//! sealed, under a key in a second file beside it. Each change is one durable
//! transaction. The file is opened for each and closed again, so that several
//! commands may use it at a time.

mod error;
mod keys;
mod row;

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use protocol::cose::VerifyingKey;
use protocol::csi::Csi;
use protocol::manifest::{Manifest, ManifestPin, SnapshotId};
use protocol::oprf::OprfOutput;
use redb::backends::InMemoryBackend;
use redb::{
    Database, DatabaseError, ReadableDatabase as _, ReadableTable as _, TableDefinition,
    WriteTransaction,
};

pub use error::CacheError;
use error::{commit, engine};
use keys::{CacheKeys, Kind};
pub(crate) use row::Evaluated;

use crate::durable::{self, FileError, PRIVATE};

type Rows<'a> = TableDefinition<'a, &'static [u8; 32], &'static [u8]>;

const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
const EVALUATIONS: Rows<'_> = TableDefinition::new("evaluations");
const BUCKETS: Rows<'_> = TableDefinition::new("buckets");

const VERSION: [u8; 1] = [1];

/// Most bytes of buckets that are kept; what is fetched beyond is forgotten.
const BUCKET_BYTES_MAX: u64 = 1 << 28;

/// How long another process is waited for that has the file open.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is kept of one provider. `Debug` shows nothing of it.
pub struct Cache {
    place: Place,
    keys: CacheKeys,
    /// The provider's key, as a COSE key.
    provider: Vec<u8>,
}

enum Place {
    Memory(Database),
    File {
        path: PathBuf,
        /// Held while this process has the file open.
        gate: Mutex<()>,
    },
}

/// The key that evaluations are of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scope {
    epoch: u64,
    key: [u8; 32],
}

impl Scope {
    pub(crate) fn of(manifest: &Manifest) -> Self {
        Self {
            epoch: manifest.oprf_epoch,
            key: *manifest.oprf_key.as_bytes(),
        }
    }

    fn encode(&self) -> Vec<u8> {
        [&self.epoch.to_be_bytes()[..], &self.key].concat()
    }
}

impl Cache {
    /// A cache that lasts as long as the process, for a provider with this key.
    ///
    /// # Errors
    /// [`CacheError::Engine`].
    pub fn in_memory(provider: &VerifyingKey) -> Result<Self, CacheError> {
        let database = Database::builder()
            .create_with_backend(InMemoryBackend::new())
            .map_err(engine)?;
        let (place, keys) = (Place::Memory(database), CacheKeys::generate());
        Self::new(place, keys, provider)
    }

    /// The cache in a file, for a provider with this key; an empty one if there
    /// is none. Its own key is in a file beside it, whose name has `.key` in
    /// addition.
    ///
    /// # Errors
    /// [`CacheError`], also if it is another provider's.
    pub fn open(path: impl Into<PathBuf>, provider: &VerifyingKey) -> Result<Self, CacheError> {
        let path = path.into();
        let keys = CacheKeys::beside(&path)?;
        // redb would make it with the permissions of the umask.
        OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(PRIVATE)
            .open(&path)
            .map_err(FileError::new("open", &path))?;
        if let Some(mode) = durable::exposure(&path)? {
            return Err(CacheError::Exposed { path, mode });
        }
        let gate = Mutex::new(());
        Self::new(Place::File { path, gate }, keys, provider)
    }

    fn new(place: Place, keys: CacheKeys, provider: &VerifyingKey) -> Result<Self, CacheError> {
        let provider = provider.to_cose_key();
        let cache = Self {
            place,
            keys,
            provider,
        };
        cache.update(|transaction| cache.check(transaction))?;
        Ok(cache)
    }

    /// The last manifest that was accepted.
    ///
    /// # Errors
    /// [`CacheError::Corrupt`], [`CacheError::Engine`].
    pub fn manifest_pin(&self) -> Result<Option<ManifestPin>, CacheError> {
        self.read(|database| {
            let transaction = database.begin_read().map_err(engine)?;
            let meta = transaction.open_table(META).map_err(engine)?;
            let pin = meta.get("pin").map_err(engine)?;
            pin.map(|pin| row::decode_pin(pin.value()).ok_or(CacheError::Corrupt))
                .transpose()
        })
    }

    /// Whether it is the cache of the provider with this key.
    pub(crate) fn is_of(&self, provider: &VerifyingKey) -> bool {
        self.provider == provider.to_cose_key()
    }

    /// Remembers an accepted manifest, and drops the evaluations of another OPRF
    /// key and the buckets of another snapshot; nothing if a newer one was
    /// accepted meanwhile.
    ///
    /// # Errors
    /// [`CacheError`].
    pub(crate) fn accept(&self, manifest: &Manifest, pin: ManifestPin) -> Result<(), CacheError> {
        let mut dropped = false;
        self.update(|transaction| {
            let mut meta = transaction.open_table(META).map_err(engine)?;
            let known = meta.get("pin").map_err(engine)?;
            let known = known.map(|pin| row::decode_pin(pin.value()).ok_or(CacheError::Corrupt));
            if known
                .transpose()?
                .is_some_and(|known| place(&known) > place(&pin))
            {
                return Ok(());
            }
            let mut set = |name, value: &[u8]| {
                let before = meta.insert(name, value).map_err(engine)?;
                Ok::<_, CacheError>(before.is_none_or(|before| before.value() != value))
            };
            set("pin", &row::encode_pin(&pin))?;
            if set("scope", &Scope::of(manifest).encode())? {
                transaction.delete_table(EVALUATIONS).map_err(engine)?;
                transaction.open_table(EVALUATIONS).map_err(engine)?;
            }
            if set("snapshot", manifest.snapshot.as_bytes())? {
                set("bucket bytes", &0u64.to_be_bytes())?;
                dropped = transaction.delete_table(BUCKETS).map_err(engine)?;
                transaction.open_table(BUCKETS).map_err(engine)?;
            }
            Ok(())
        })?;
        if dropped { self.compact() } else { Ok(()) }
    }

    /// What was evaluated for each identifier under this key.
    ///
    /// # Errors
    /// [`CacheError`].
    pub(crate) fn evaluations<'a>(
        &self,
        scope: Scope,
        csis: impl Iterator<Item = &'a Csi>,
    ) -> Result<Vec<Option<Evaluated>>, CacheError> {
        self.rows(
            EVALUATIONS,
            ("scope", &scope.encode()),
            csis,
            |csi, sealed| {
                let name = self.keys.name_of(csi);
                let plain = self
                    .keys
                    .open(Kind::Evaluations, &name, &scope.encode(), sealed)?;
                Evaluated::decode(&plain).ok_or(CacheError::Corrupt)
            },
            |csi| self.keys.name_of(csi),
        )
    }

    /// Keeps evaluations, durably; nothing if the key is no longer the current
    /// one.
    ///
    /// # Errors
    /// [`CacheError`].
    pub(crate) fn keep_evaluations<'a>(
        &self,
        scope: Scope,
        evaluated: impl Iterator<Item = (&'a Csi, Evaluated)>,
    ) -> Result<(), CacheError> {
        let aad = scope.encode();
        self.update(|transaction| {
            if !is(transaction, "scope", &aad)? {
                return Ok(());
            }
            let mut rows = transaction.open_table(EVALUATIONS).map_err(engine)?;
            for (csi, evaluated) in evaluated {
                let name = self.keys.name_of(csi);
                let plain = evaluated.encode();
                let sealed = self.keys.seal(Kind::Evaluations, &name, &aad, &plain)?;
                rows.insert(&name, sealed.as_slice()).map_err(engine)?;
            }
            Ok(())
        })
    }

    /// The buckets that were fetched from this snapshot for these outputs.
    ///
    /// # Errors
    /// [`CacheError`].
    pub(crate) fn buckets<'a>(
        &self,
        snapshot: &SnapshotId,
        outputs: impl Iterator<Item = &'a OprfOutput>,
    ) -> Result<Vec<Option<Vec<u8>>>, CacheError> {
        let aad = snapshot.as_bytes();
        self.rows(
            BUCKETS,
            ("snapshot", aad),
            outputs,
            |output, sealed| {
                let name = self.keys.name_of_bucket(output);
                let plain = self.keys.open(Kind::Bucket, &name, aad, sealed)?;
                Ok(plain.to_vec())
            },
            |output| self.keys.name_of_bucket(output),
        )
    }

    /// Keeps buckets, durably; nothing if the snapshot is no longer the current
    /// one. Also those that are not what they should be: to ask for these again,
    /// and for others not, would tell the provider which buckets were asked for.
    ///
    /// # Errors
    /// [`CacheError`].
    pub(crate) fn keep_buckets<'a>(
        &self,
        snapshot: &SnapshotId,
        buckets: impl Iterator<Item = (&'a OprfOutput, &'a [u8])>,
    ) -> Result<(), CacheError> {
        let aad = snapshot.as_bytes();
        self.update(|transaction| {
            if !is(transaction, "snapshot", aad)? {
                return Ok(());
            }
            let mut meta = transaction.open_table(META).map_err(engine)?;
            let taken = meta.get("bucket bytes").map_err(engine)?;
            let taken =
                taken.and_then(|taken| Some(u64::from_be_bytes(taken.value().try_into().ok()?)));
            let mut taken = taken.ok_or(CacheError::Corrupt)?;
            let mut rows = transaction.open_table(BUCKETS).map_err(engine)?;
            for (output, column) in buckets {
                taken = taken.saturating_add(column.len() as u64);
                if taken > BUCKET_BYTES_MAX {
                    break;
                }
                let name = self.keys.name_of_bucket(output);
                let sealed = self.keys.seal(Kind::Bucket, &name, aad, column)?;
                rows.insert(&name, sealed.as_slice()).map_err(engine)?;
            }
            meta.insert("bucket bytes", taken.to_be_bytes().as_slice())
                .map_err(engine)?;
            Ok(())
        })
    }

    /// The rows of a table if the entry `current` of [`META`] is as given; none
    /// otherwise.
    fn rows<I, T>(
        &self,
        table: Rows<'_>,
        current: (&str, &[u8]),
        items: impl Iterator<Item = I>,
        open: impl Fn(&I, &[u8]) -> Result<T, CacheError>,
        name: impl Fn(&I) -> [u8; 32],
    ) -> Result<Vec<Option<T>>, CacheError> {
        self.read(|database| {
            let transaction = database.begin_read().map_err(engine)?;
            let meta = transaction.open_table(META).map_err(engine)?;
            let found = meta.get(current.0).map_err(engine)?;
            let same = found.is_some_and(|found| found.value() == current.1);
            let rows = transaction.open_table(table).map_err(engine)?;
            let row = |item: I| {
                if !same {
                    return Ok(None);
                }
                let row = rows.get(&name(&item)).map_err(engine)?;
                row.map(|row| open(&item, row.value())).transpose()
            };
            items.map(row).collect()
        })
    }

    /// One durable transaction; dropped without a commit, it never was.
    fn update<T>(
        &self,
        change: impl FnOnce(&WriteTransaction) -> Result<T, CacheError>,
    ) -> Result<T, CacheError> {
        self.read(|database| {
            let transaction = database.begin_write().map_err(engine)?;
            let result = change(&transaction)?;
            commit(transaction)?;
            Ok(result)
        })
    }

    fn read<T>(
        &self,
        look: impl FnOnce(&Database) -> Result<T, CacheError>,
    ) -> Result<T, CacheError> {
        match &self.place {
            Place::Memory(database) => look(database),
            Place::File { path, gate } => {
                // Nothing panics while it is held; and if it did, the file is whole.
                let _held = gate.lock().unwrap_or_else(PoisonError::into_inner);
                look(&open(path)?)
            }
        }
    }

    /// Gives back the space of what was dropped.
    fn compact(&self) -> Result<(), CacheError> {
        if let Place::File { path, gate } = &self.place {
            let _held = gate.lock().unwrap_or_else(PoisonError::into_inner);
            open(path)?.compact().map_err(engine)?;
        }
        Ok(())
    }

    /// Compares version, key and provider with those of the file, or writes them
    /// into a new one.
    fn check(&self, transaction: &WriteTransaction) -> Result<(), CacheError> {
        transaction.open_table(EVALUATIONS).map_err(engine)?;
        transaction.open_table(BUCKETS).map_err(engine)?;
        let mut meta = transaction.open_table(META).map_err(engine)?;
        for (name, expected, refusal) in [
            ("version", VERSION.as_slice(), CacheError::Version),
            ("key", self.keys.check().as_slice(), CacheError::OtherKey),
            ("provider", &self.provider, CacheError::OtherProvider),
        ] {
            let known = meta.get(name).map_err(engine)?;
            let known = known.map(|value| value.value() == expected);
            match known {
                Some(true) => {}
                Some(false) => return Err(refusal),
                None => {
                    meta.insert(name, expected).map_err(engine)?;
                }
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").finish_non_exhaustive()
    }
}

/// Orders what was accepted.
fn place(pin: &ManifestPin) -> (u64, u64) {
    (pin.sequence, pin.log.map_or(0, |head| head.size))
}

/// Whether an entry of [`META`] has this value.
fn is(transaction: &WriteTransaction, name: &str, expected: &[u8]) -> Result<bool, CacheError> {
    let meta = transaction.open_table(META).map_err(engine)?;
    let value = meta.get(name).map_err(engine)?;
    Ok(value.is_some_and(|value| value.value() == expected))
}

fn open(path: &Path) -> Result<Database, CacheError> {
    let until = Instant::now() + PATIENCE;
    loop {
        match Database::create(path) {
            Err(DatabaseError::DatabaseAlreadyOpen) if Instant::now() < until => {
                sleep(Duration::from_millis(20));
            }
            Err(DatabaseError::DatabaseAlreadyOpen) => return Err(CacheError::InUse),
            opened => return opened.map_err(engine),
        }
    }
}

#[cfg(test)]
mod tests;
