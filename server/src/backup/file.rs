//! A backup's file.
//!
//! ```text
//! "SOTTOBAK" ‖ version u32, integers big-endian
//! records: kind u8 ‖ length u32 ‖ content
//!   1 summary, first: key check 32 ‖ time u64 ‖ entries u64 ‖ hash of the last 32
//!   2 entry of the audit log, in order
//!   3 row: name 32 ‖ sealed
//!   4 entry of the block list: name 32 ‖ sealed
//!   5 audience record, CBOR
//! digest of all before as `digest::chunked` has it, 32 bytes
//! ```

use std::fs::File;
use std::io::{BufReader, Read, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use protocol::audience::AudienceHandle;
use protocol::audit::{Entry, Head};
use protocol::merkle::Hash;
use protocol::time::UnixTime;

use super::BackupError;
use crate::digest::{self, CHUNK_BYTES, Chunked};
use crate::durable::{FileError, PRIVATE, Pending};
use crate::store::journaled::AudienceCopy;
use crate::store::{AudienceRow, RowId, StoreError, StoreKeys};

const MAGIC: [u8; 8] = *b"SOTTOBAK";
const VERSION: u32 = 1;
const HEADER_BYTES: u64 = 12;
const DIGEST_BYTES: u64 = 32;

/// A record.
pub(super) enum Item {
    Summary(Summary),
    Entry(Entry),
    Row(RowId, Vec<u8>),
    Blocked(RowId, Vec<u8>),
    Audience(AudienceHandle, AudienceRow),
}

/// What the backup is of.
#[derive(Clone, Copy)]
pub(super) struct Summary {
    check: [u8; 32],
    at: UnixTime,
    pub(super) head: Head,
}

impl Summary {
    pub(super) fn new(keys: &StoreKeys, at: UnixTime, head: Head) -> Self {
        Self {
            check: *keys.check(),
            at,
            head,
        }
    }

    pub(super) fn is_of(&self, keys: &StoreKeys) -> bool {
        self.check == *keys.check()
    }
}

/// Writes a file that is whole or absent.
pub(super) struct Writer {
    file: Pending,
    path: PathBuf,
    digest: Chunked,
    /// Less than a piece that the digest takes in.
    piece: Vec<u8>,
}

/// Bytes that the digest takes in together.
const PIECE_BYTES: usize = 8 * CHUNK_BYTES;

impl Writer {
    pub(super) fn create(path: &Path) -> Result<Self, BackupError> {
        let mut writer = Self {
            file: Pending::create(path, PRIVATE)?,
            path: path.to_owned(),
            digest: Chunked::default(),
            piece: Vec::with_capacity(PIECE_BYTES),
        };
        writer.put(&MAGIC)?;
        writer.put(&VERSION.to_be_bytes())?;
        Ok(writer)
    }

    pub(super) fn write(&mut self, item: &Item) -> Result<(), BackupError> {
        let (kind, content) = item.encode()?;
        let length = u32::try_from(content.len()).map_err(|_| StoreError::Corrupt)?;
        self.put(&[kind])?;
        self.put(&length.to_be_bytes())?;
        self.put(&content)
    }

    pub(super) fn finish(mut self) -> Result<(), BackupError> {
        self.digest.add(&self.piece);
        self.file
            .write_all(&self.digest.finish())
            .map_err(FileError::new("write", &self.path))?;
        Ok(self.file.replace()?)
    }

    fn put(&mut self, mut bytes: &[u8]) -> Result<(), BackupError> {
        self.file
            .write_all(bytes)
            .map_err(FileError::new("write", &self.path))?;
        while !bytes.is_empty() {
            let room = PIECE_BYTES - self.piece.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.piece.extend_from_slice(now);
            bytes = later;
            if self.piece.len() == PIECE_BYTES {
                self.digest.add(&self.piece);
                self.piece.clear();
            }
        }
        Ok(())
    }
}

/// A file whose every byte was verified.
#[derive(Debug)]
pub(super) struct Reader {
    file: File,
    path: PathBuf,
    /// Where the records end.
    end: u64,
}

impl Reader {
    /// Opens a file and verifies its digest.
    pub(super) fn open(path: &Path) -> Result<Self, BackupError> {
        let failed = || FileError::new("read", path);
        let mut file = File::open(path).map_err(failed())?;
        let length = file.metadata().map_err(failed())?.len();
        let mut header = [0; HEADER_BYTES as usize];
        if file.read_exact(&mut header).is_err() || header[..8] != MAGIC {
            return Err(BackupError::Foreign {
                path: path.to_owned(),
            });
        }
        let found = header[8..]
            .iter()
            .fold(0, |value, byte| value << 8 | u32::from(*byte));
        if found != VERSION {
            return Err(BackupError::Version {
                path: path.to_owned(),
                expected: VERSION,
                found,
            });
        }
        let reader = Self {
            file,
            path: path.to_owned(),
            end: length.saturating_sub(DIGEST_BYTES).max(HEADER_BYTES),
        };
        let mut file = &reader.file;
        file.rewind().map_err(failed())?;
        let digest = digest::chunked_reader(file.take(reader.end)).map_err(failed())?;
        let mut stated = [0; DIGEST_BYTES as usize];
        let mut file = &reader.file;
        file.seek(SeekFrom::Start(reader.end)).map_err(failed())?;
        if file.read_exact(&mut stated).is_err() || stated != digest {
            return Err(reader.damaged());
        }
        Ok(reader)
    }

    /// What the backup is of.
    pub(super) fn summary(&self) -> Result<Summary, BackupError> {
        match self.items()?.next() {
            Some(Ok(Item::Summary(summary))) => Ok(summary),
            _ => Err(self.damaged()),
        }
    }

    /// All records from the beginning.
    pub(super) fn items(
        &self,
    ) -> Result<impl Iterator<Item = Result<Item, BackupError>> + '_, BackupError> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(HEADER_BYTES))
            .map_err(FileError::new("read", &self.path))?;
        let left = self.end - HEADER_BYTES;
        let mut reader = BufReader::with_capacity(1 << 20, file.take(left));
        let mut left = left;
        Ok(std::iter::from_fn(move || {
            (left > 0).then(|| self.next(&mut reader, &mut left))
        }))
    }

    fn next(&self, reader: &mut impl Read, left: &mut u64) -> Result<Item, BackupError> {
        let read = self.read(reader, left);
        if read.is_err() {
            // Nothing more can be found.
            *left = 0;
        }
        read
    }

    fn read(&self, reader: &mut impl Read, left: &mut u64) -> Result<Item, BackupError> {
        let failed = || FileError::new("read", &self.path);
        let mut header = [0; 5];
        reader.read_exact(&mut header).map_err(failed())?;
        let [kind, length @ ..] = header;
        let length = u64::from(u32::from_be_bytes(length));
        *left = left.checked_sub(5 + length).ok_or_else(|| self.damaged())?;
        let mut content = vec![0; length as usize];
        reader.read_exact(&mut content).map_err(failed())?;
        Item::decode(kind, &content).ok_or_else(|| self.damaged())
    }

    pub(super) fn damaged(&self) -> BackupError {
        BackupError::Damaged {
            path: self.path.clone(),
        }
    }
}

impl Item {
    fn encode(&self) -> Result<(u8, Vec<u8>), StoreError> {
        Ok(match self {
            Self::Summary(summary) => {
                let at = summary.at.as_secs().to_be_bytes();
                let entries = summary.head.entries.to_be_bytes();
                let hash = summary.head.hash.as_bytes();
                (1, [&summary.check, at.as_slice(), &entries, hash].concat())
            }
            Self::Entry(entry) => (2, entry.encode()),
            Self::Row(id, sealed) => (3, [id.as_bytes().as_slice(), sealed].concat()),
            Self::Blocked(id, sealed) => (4, [id.as_bytes().as_slice(), sealed].concat()),
            Self::Audience(handle, row) => {
                let copy = AudienceCopy::of(handle, row.clone());
                (5, minicbor::to_vec(copy).map_err(|_| StoreError::Corrupt)?)
            }
        })
    }

    fn decode(kind: u8, content: &[u8]) -> Option<Self> {
        let named = || {
            let (id, sealed) = content.split_first_chunk::<32>()?;
            Some((RowId::from_bytes(*id), sealed.to_vec()))
        };
        Some(match kind {
            1 => {
                let (check, rest) = content.split_first_chunk::<32>()?;
                let (at, rest) = rest.split_first_chunk::<8>()?;
                let (entries, rest) = rest.split_first_chunk::<8>()?;
                Self::Summary(Summary {
                    check: *check,
                    at: UnixTime::from_secs(u64::from_be_bytes(*at)),
                    head: Head {
                        entries: u64::from_be_bytes(*entries),
                        hash: Hash::from_bytes(rest.try_into().ok()?),
                    },
                })
            }
            2 => Self::Entry(Entry::decode(content).ok()?),
            3 => named().map(|(id, sealed)| Self::Row(id, sealed))?,
            4 => named().map(|(id, sealed)| Self::Blocked(id, sealed))?,
            5 => {
                let copy: AudienceCopy = minicbor::decode(content).ok()?;
                let (handle, row) = copy.to_row().ok()?;
                Self::Audience(handle, row)
            }
            _ => return None,
        })
    }
}
