//! Who holds which identifier, and for which a code was sent lately.
//!
//! One file, by redb. Each change is one transaction, durable before anything
//! that depends on it is signed or sent. Identifiers are in it as keyed hashes
//! alone. The file is opened for each change and closed again, so that a command
//! can release an identifier while the service runs.

mod key;
mod recent;
mod row;

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread::sleep;
use std::time::{Duration, Instant};

use protocol::cose::KeyId;
use protocol::csi::Csi;
use protocol::removal::ReleaseReason;
use protocol::time::UnixTime;
use redb::{Database, DatabaseError, ReadableTable as _, TableDefinition, WriteTransaction};

pub use key::RegistryKey;
use key::RowName;
pub use recent::RefusedStart;
use recent::{RECENT, RequestDigest};
use row::{Row, State};

use super::config::VerificationPolicy;
use crate::durable::{FileError, PRIVATE};

const ROWS: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("rows");
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

const VERSION: [u8; 1] = [1];

/// How long another process is waited for that has the file open.
const PATIENCE: Duration = Duration::from_secs(10);

/// Seconds by which the newest credential of an identifier may be ahead of the
/// clock: several may be issued within one second.
const CLOCK_SLACK_SECS: u64 = 10;

/// The registry of a CSIP.
pub struct Registry {
    path: PathBuf,
    key: RegistryKey,
    /// Held while this process has the file open.
    gate: Mutex<()>,
}

/// What a credential says beside identifier and key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assigned {
    /// The assignment.
    pub assignment: u64,
    /// When it was issued: later than any other of the assignment, and so a few
    /// seconds ahead of the clock if there were several at once.
    pub issued_at: UnixTime,
}

/// What a release says beside the identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The assignment that has ended.
    pub assignment: u64,
    /// When.
    pub at: UnixTime,
    /// Why.
    pub reason: ReleaseReason,
}

impl Registry {
    /// Opens the registry, or makes an empty one.
    ///
    /// # Errors
    /// [`RegistryError`], also if it was made under another key.
    pub fn open(path: impl Into<PathBuf>, key: RegistryKey) -> Result<Self, RegistryError> {
        let registry = Self {
            path: path.into(),
            key,
            gate: Mutex::new(()),
        };
        // redb would make it with the permissions of the umask.
        OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(PRIVATE)
            .open(&registry.path)
            .map_err(FileError::new("open", &registry.path))?;
        registry.update(|transaction| registry.check(transaction))?;
        Ok(registry)
    }

    /// Notes that a code is about to be sent, if that may be, and tells the
    /// assignment that a credential issued now would have.
    ///
    /// # Errors
    /// [`RegistryError::Refused`] for a request seen before, or too many codes.
    pub fn admit(
        &self,
        csi: &Csi,
        request: &[u8],
        policy: &VerificationPolicy,
        now: UnixTime,
    ) -> Result<u64, RegistryError> {
        let name = self.key.name(csi);
        let digest = RequestDigest::of(request);
        self.update(|transaction| {
            recent::admit(transaction, &name, &digest, policy, now)?;
            next_assignment(row(transaction, &name)?)
        })
    }

    /// Notes that `holder` gets a credential, for the assignment that
    /// [`admit`](Self::admit) told.
    ///
    /// # Errors
    /// [`RegistryError::ChangedHands`] if the identifier was released or
    /// assigned anew since then; [`RegistryError::Clock`].
    pub fn assign(
        &self,
        csi: &Csi,
        holder: KeyId,
        admitted: u64,
        now: UnixTime,
    ) -> Result<Assigned, RegistryError> {
        let name = self.key.name(csi);
        self.update(|transaction| {
            let former = row(transaction, &name)?;
            let assignment = next_assignment(former)?;
            if assignment != admitted {
                return Err(RegistryError::ChangedHands);
            }
            // Two credentials of one assignment and one second would contradict
            // each other.
            let issued_at = match former.map(|row| row.state) {
                Some(State::Assigned { issued_at, .. }) => now.max(issued_at.saturating_add(1)),
                Some(State::Ended { .. }) | None => now,
            };
            if issued_at.secs_since(now) > CLOCK_SLACK_SECS {
                return Err(RegistryError::Clock { issued_at });
            }
            let state = State::Assigned { holder, issued_at };
            put(transaction, &name, Row { assignment, state })?;
            Ok(Assigned {
                assignment,
                issued_at,
            })
        })
    }

    /// Notes that the assignment has ended. Noted again for the same reason, it
    /// is as it was: so a release that got lost can be signed once more.
    ///
    /// # Errors
    /// [`RegistryError::NotAssigned`], [`RegistryError::EndedOtherwise`].
    pub fn end(
        &self,
        csi: &Csi,
        reason: ReleaseReason,
        now: UnixTime,
    ) -> Result<Ended, RegistryError> {
        let name = self.key.name(csi);
        self.update(|transaction| {
            let Row { assignment, state } =
                row(transaction, &name)?.ok_or(RegistryError::NotAssigned)?;
            let (at, known) = match state {
                State::Assigned { .. } => (now, reason),
                State::Ended { at, reason } => (at, reason),
            };
            if known != reason {
                return Err(RegistryError::EndedOtherwise { found: known });
            }
            let state = State::Ended { at, reason };
            put(transaction, &name, Row { assignment, state })?;
            Ok(Ended {
                assignment,
                at,
                reason,
            })
        })
    }

    /// One durable transaction; dropped without a commit, it never was.
    fn update<T>(
        &self,
        change: impl FnOnce(&WriteTransaction) -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        // Nothing panics while it is held; and if it did, the file is whole.
        let _held = self
            .gate
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let database = open(&self.path)?;
        let transaction = database.begin_write().map_err(engine)?;
        let result = change(&transaction)?;
        transaction.commit().map_err(engine)?;
        Ok(result)
    }

    /// Compares version and key with those of the file, or writes them into a
    /// new one.
    fn check(&self, transaction: &WriteTransaction) -> Result<(), RegistryError> {
        transaction.open_table(ROWS).map_err(engine)?;
        transaction.open_table(RECENT).map_err(engine)?;
        let mut meta = transaction.open_table(META).map_err(engine)?;
        for (name, expected, refusal) in [
            ("version", VERSION.as_slice(), RegistryError::Version),
            ("key", self.key.check().as_slice(), RegistryError::OtherKey),
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

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}

fn open(path: &Path) -> Result<Database, RegistryError> {
    let until = Instant::now() + PATIENCE;
    loop {
        match Database::create(path) {
            Err(DatabaseError::DatabaseAlreadyOpen) if Instant::now() < until => {
                sleep(Duration::from_millis(20));
            }
            Err(DatabaseError::DatabaseAlreadyOpen) => return Err(RegistryError::InUse),
            opened => return opened.map_err(engine),
        }
    }
}

fn next_assignment(row: Option<Row>) -> Result<u64, RegistryError> {
    match row {
        None => Ok(1),
        Some(Row { assignment, state }) => match state {
            State::Assigned { .. } => Ok(assignment),
            State::Ended { .. } => assignment.checked_add(1).ok_or(RegistryError::Corrupt),
        },
    }
}

fn row(transaction: &WriteTransaction, name: &RowName) -> Result<Option<Row>, RegistryError> {
    let rows = transaction.open_table(ROWS).map_err(engine)?;
    let bytes = rows.get(name.as_bytes()).map_err(engine)?;
    bytes
        .map(|bytes| Row::decode(bytes.value()).ok_or(RegistryError::Corrupt))
        .transpose()
}

fn put(transaction: &WriteTransaction, name: &RowName, row: Row) -> Result<(), RegistryError> {
    let mut rows = transaction.open_table(ROWS).map_err(engine)?;
    rows.insert(name.as_bytes(), row.encode().as_slice())
        .map_err(engine)?;
    Ok(())
}

fn engine(error: impl Into<redb::Error>) -> RegistryError {
    RegistryError::Engine(Box::new(error.into()))
}

/// Why the registry refused. Holds no identifier.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// A file can't be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Others than the owner may read the key.
    #[error("{path} may be read by others (mode {mode:o}): run `chmod 600 {path}`", path = .path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// Not a key of a registry.
    #[error("{path} does not hold a key of a registry: restore it from a backup", path = .path.display())]
    MalformedKey {
        /// The file.
        path: PathBuf,
    },
    /// Another process had the file open for too long.
    #[error("the registry is in use by another process: try again")]
    InUse,
    /// Made by another version.
    #[error("the registry was made by another version of this program")]
    Version,
    /// Made under another key.
    #[error("the registry was made under another registry.key: restore the right one")]
    OtherKey,
    /// A row can't be read.
    #[error("the registry is damaged: restore it from a backup")]
    Corrupt,
    /// The engine failed.
    #[error("registry: {0}")]
    Engine(#[source] Box<redb::Error>),
    /// No code may be sent.
    #[error(transparent)]
    Refused(#[from] RefusedStart),
    /// The identifier was released or assigned anew meanwhile.
    #[error("the identifier has changed hands meanwhile: start again")]
    ChangedHands,
    /// The newest credential seems to be of the future.
    #[error("the newest credential of this identifier is of {issued_at}: check the clock")]
    Clock {
        /// When the next one would have to be issued.
        issued_at: UnixTime,
    },
    /// It was never assigned.
    #[error("the identifier is not assigned")]
    NotAssigned,
    /// It has ended before, for another reason.
    #[error("the assignment has ended before: {found:?}")]
    EndedOtherwise {
        /// Why it has.
        found: ReleaseReason,
    },
}

#[cfg(test)]
mod tests;
