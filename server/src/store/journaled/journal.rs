//! The journal's file: records one after another, never altered.
//!
//! ```text
//! "SOTTOJNL" ‖ version u32, integers big-endian
//! for each record: length u32 ‖ first 4 bytes of SHA3-256 of the length ‖
//!                  CBOR of the record ‖ SHA3-256 of that, 32 bytes
//! ```
//!
//! What a crash left of a record at the end was acknowledged by nobody and is cut
//! off by the next that writes; damage anywhere else is an error. The length has
//! a check of its own: a damaged one would make everything after it look cut off.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use protocol::audit::{Entry, Head};
use protocol::merkle::Hash;
use sha3::{Digest as _, Sha3_256};

use crate::durable::{self, FileError, PRIVATE};

const MAGIC: [u8; 8] = *b"SOTTOJNL";
const VERSION: u32 = 1;
const HEADER_BYTES: u64 = 12;
const DIGEST_BYTES: usize = 32;
const LENGTH_BYTES: usize = 8;

/// Longest record: far more than an update of 4096 items makes.
const RECORD_MAX: u32 = 1 << 28;

/// What one update did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Record {
    /// Entries of the audit log before it.
    #[n(0)]
    pub(super) from: u64,
    /// Hash of the last of them.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(super) from_hash: [u8; 32],
    /// Entries that it added, encoded.
    #[n(2)]
    pub(super) entries: Vec<ByteVec>,
    /// Rows from which it took something, by name, sealed.
    #[n(3)]
    pub(super) rows: Vec<(ByteVec, ByteVec)>,
    /// Audience records that took the place of others.
    #[n(4)]
    pub(super) audience: Vec<AudienceCopy>,
}

/// An audience record outside a store.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct AudienceCopy {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(super) handle: [u8; 32],
    #[n(1)]
    pub(super) owner: String,
    #[n(2)]
    pub(super) expires: u64,
    #[cbor(n(3), with = "minicbor::bytes")]
    pub(super) salt: [u8; 16],
    #[cbor(n(4), with = "minicbor::bytes")]
    pub(super) record: Vec<u8>,
}

/// Why the journal can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The file can't be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is something else, or of another version.
    #[error("{path} is not a removal journal of version {VERSION}: move it away, or correct store.journal", path = .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The store was put back to an earlier state.
    #[error(
        "the store ends at entry {entries} of the audit log, and {path} knows what came after: the store was put back to an earlier state and would publish again what was removed. Restore a backup by `sotto-server restore`; to begin anew instead, move the journal away",
        path = .path.display()
    )]
    SetBack {
        /// The journal.
        path: PathBuf,
        /// Entries of the store's log.
        entries: u64,
    },
    /// A record that isn't the last was altered.
    #[error("{path} is damaged at byte {at}: restore it from its copy", path = .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the record begins.
        at: u64,
    },
}

impl Record {
    /// A record that says nothing but that the log has come so far.
    pub(super) fn position(head: Head) -> Self {
        Self {
            from: head.entries,
            from_hash: *head.hash.as_bytes(),
            ..Self::default()
        }
    }

    /// Where the log ended before it.
    pub(crate) fn from(&self) -> Head {
        Head {
            entries: self.from,
            hash: Hash::from_bytes(self.from_hash),
        }
    }

    /// The entries that it added; `None` if they don't follow one another.
    pub(crate) fn chain(&self) -> Option<(Vec<Entry>, Head)> {
        let mut head = self.from();
        let mut entries = Vec::with_capacity(self.entries.len());
        for encoded in &self.entries {
            let entry = Entry::decode(encoded).ok()?;
            head = head.follow(&entry).ok()?;
            entries.push(entry);
        }
        Some((entries, head))
    }
}

/// A journal that is written to.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    /// Where the last whole record known ends.
    end: u64,
}

impl Journal {
    pub(super) fn open(path: &Path) -> Result<Self, JournalError> {
        if !path.exists() {
            let header = [MAGIC.as_slice(), &VERSION.to_be_bytes()].concat();
            match durable::create(path, PRIVATE, &header) {
                // Another process was quicker.
                Err(error) if error.source.kind() == io::ErrorKind::AlreadyExists => {}
                created => created?,
            }
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .mode(PRIVATE)
            .open(path)
            .map_err(FileError::new("open", path))?;
        let mut journal = Self {
            path: path.to_owned(),
            file,
            end: HEADER_BYTES,
        };
        let mut header = [0; HEADER_BYTES as usize];
        let read = journal.file.read_exact(&mut header);
        if read.is_err() || header[..8] != MAGIC || header[8..] != VERSION.to_be_bytes() {
            return Err(JournalError::Foreign {
                path: path.to_owned(),
            });
        }
        Ok(journal)
    }

    /// Whether updates that went on from each other are known after this end of
    /// the log. One alone may have failed to commit.
    pub(super) fn knows_more(&mut self, head: Head) -> Result<bool, JournalError> {
        let (mut next, mut more) = (HashSet::new(), false);
        let mut end = HEADER_BYTES;
        walk(&mut self.file, &self.path, &mut end, &mut |record| {
            more |= next.contains(&record.from_hash);
            if record.from() == head
                && let Some((entries, after)) = record.chain()
                && !entries.is_empty()
            {
                next.insert(*after.hash.as_bytes());
            }
        })?;
        self.end = end;
        Ok(more)
    }

    /// Appends a record; it is on disk then.
    pub(super) fn append(&mut self, record: &Record) -> Result<(), JournalError> {
        // Several processes may write to one journal.
        self.file
            .lock()
            .map_err(FileError::new("lock", &self.path))?;
        let appended = self.append_locked(record);
        self.file
            .unlock()
            .map_err(FileError::new("unlock", &self.path))?;
        appended
    }

    fn append_locked(&mut self, record: &Record) -> Result<(), JournalError> {
        let failed = || FileError::new("write", &self.path);
        let length = self.file.metadata().map_err(failed())?.len();
        if length != self.end {
            // Others have written, or a write was cut off.
            let mut end = self.end;
            walk(&mut self.file, &self.path, &mut end, &mut |_| {})?;
            if end < length {
                self.file.set_len(end).map_err(failed())?;
            }
            self.end = end;
        }
        let framed = frame(record).map_err(failed())?;
        self.file
            .seek(SeekFrom::Start(self.end))
            .map_err(failed())?;
        self.file.write_all(&framed).map_err(failed())?;
        self.file.sync_data().map_err(failed())?;
        self.end += framed.len() as u64;
        Ok(())
    }
}

/// Reads all records of a journal, in the order in which they were written.
///
/// # Errors
/// [`JournalError`].
pub fn read(path: &Path) -> Result<Vec<Record>, JournalError> {
    let mut journal = Journal::open_existing(path)?;
    let mut records = Vec::new();
    let mut end = journal.end;
    walk(&mut journal.file, path, &mut end, &mut |record| {
        records.push(record);
    })?;
    Ok(records)
}

impl Journal {
    /// As [`Journal::open`], but never makes one.
    fn open_existing(path: &Path) -> Result<Self, JournalError> {
        File::open(path).map_err(FileError::new("read", path))?;
        Self::open(path)
    }
}

/// Reads records from `end` on, which is moved behind the last whole one.
fn walk(
    file: &mut File,
    path: &Path,
    end: &mut u64,
    found: &mut dyn FnMut(Record),
) -> Result<(), JournalError> {
    let failed = || FileError::new("read", path);
    let length = file.metadata().map_err(failed())?.len();
    file.seek(SeekFrom::Start(*end)).map_err(failed())?;
    let mut reader = io::BufReader::with_capacity(1 << 20, file);
    loop {
        let left = length.saturating_sub(*end);
        let mut head = [0; LENGTH_BYTES];
        if left < LENGTH_BYTES as u64 {
            return Ok(());
        }
        reader.read_exact(&mut head).map_err(failed())?;
        let damaged = || JournalError::Damaged {
            path: path.to_owned(),
            at: *end,
        };
        let Some(size) = length_of(&head) else {
            // Zeros up to the end are what a file system leaves of a write.
            let rest = io::Read::bytes(reader);
            let zeros = head == [0; LENGTH_BYTES] && rest.map(Result::ok).all(|b| b == Some(0));
            return if zeros { Ok(()) } else { Err(damaged()) };
        };
        let whole = (LENGTH_BYTES + DIGEST_BYTES) as u64 + u64::from(size);
        // What reaches beyond the end was cut off.
        if whole > left {
            return Ok(());
        }
        let mut content = vec![0; whole as usize - LENGTH_BYTES];
        reader.read_exact(&mut content).map_err(failed())?;
        match unframe(&content) {
            Some(record) => found(record),
            // Written in part, in whatever order the disk chose.
            None if whole == left => return Ok(()),
            None => return Err(damaged()),
        }
        *end += whole;
    }
}

fn frame(record: &Record) -> io::Result<Vec<u8>> {
    let encoded = minicbor::to_vec(record).map_err(io::Error::other)?;
    let size = u32::try_from(encoded.len()).ok();
    let size = size.filter(|size| *size <= RECORD_MAX);
    let size = size.ok_or(io::ErrorKind::FileTooLarge)?;
    let digest = Sha3_256::digest(&encoded);
    Ok([length(size).as_slice(), &encoded, &digest].concat())
}

/// A length with its check.
fn length(size: u32) -> [u8; LENGTH_BYTES] {
    let size = size.to_be_bytes();
    let digest = Sha3_256::digest(size);
    let mut head = [0; LENGTH_BYTES];
    head[..4].copy_from_slice(&size);
    head[4..].copy_from_slice(&digest[..4]);
    head
}

/// The length, if its check is right.
fn length_of(head: &[u8; LENGTH_BYTES]) -> Option<u32> {
    let size = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
    (size <= RECORD_MAX && length(size) == *head).then_some(size)
}

fn unframe(content: &[u8]) -> Option<Record> {
    let (encoded, digest) = content.split_last_chunk::<DIGEST_BYTES>()?;
    if Sha3_256::digest(encoded).as_slice() != digest {
        return None;
    }
    minicbor::decode(encoded).ok()
}
