//! The file's items, in batches, without holding the file.

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::{ImportError, ItemError};
use crate::durable::FileError;
use crate::store::ImportProgress;

/// Most bytes of one item: a full bundle in base64 takes less than half.
pub(super) const ITEM_MAX: usize = 64 * 1024;

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    JsonLines,
    /// CBOR items one after another.
    CborSequence,
}

impl Format {
    /// What its items are called in reports.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::JsonLines => "line",
            Self::CborSequence => "item",
        }
    }

    /// By the file's extension, else by its first byte: no line of JSON starts
    /// with an array of CBOR.
    fn detect(path: &Path, first: Option<u8>) -> Self {
        let named = path
            .extension()
            .is_some_and(|extension| extension == "cbor" || extension == "cborseq");
        if named || first.is_some_and(|byte| byte & 0xe0 == 0x80) {
            Self::CborSequence
        } else {
            Self::JsonLines
        }
    }
}

/// One item as it was read.
pub(super) struct RawItem {
    /// Its line or item, counted from 1.
    pub(super) number: u64,
    /// How it is written.
    pub(super) format: Format,
    /// Its bytes.
    pub(super) content: Result<Vec<u8>, ItemError>,
}

/// How much was read.
#[derive(Clone, Copy)]
pub(super) struct Position {
    pub(super) bytes: u64,
    pub(super) lines: u64,
    pub(super) items: u64,
}

/// A file under way.
pub(super) struct Source {
    path: PathBuf,
    reader: BufReader<File>,
    format: Format,
    position: Position,
}

impl Source {
    /// Opens a file where an earlier run ended.
    pub(super) fn open(path: &Path, done: &ImportProgress) -> Result<Self, FileError> {
        let file = File::open(path).map_err(FileError::new("open", path))?;
        let mut reader = BufReader::with_capacity(4 * ITEM_MAX, file);
        let first = reader
            .fill_buf()
            .map_err(FileError::new("read", path))?
            .first()
            .copied();
        reader
            .seek(SeekFrom::Start(done.bytes))
            .map_err(FileError::new("read", path))?;
        Ok(Self {
            format: Format::detect(path, first),
            path: path.to_owned(),
            reader,
            position: Position {
                bytes: done.bytes,
                lines: done.lines,
                items: done.items,
            },
        })
    }

    pub(super) fn format(&self) -> Format {
        self.format
    }

    pub(super) fn position(&self) -> Position {
        self.position
    }

    /// Up to `most` items; none at the end of the file.
    pub(super) fn next_batch(&mut self, most: usize) -> Result<Vec<RawItem>, ImportError> {
        let mut batch = Vec::new();
        while batch.len() < most {
            let next = match self.format {
                Format::JsonLines => self.next_line()?,
                // An item that can't be followed ends the batch before it.
                Format::CborSequence => match self.next_cbor() {
                    Err(ImportError::Broken { .. }) if !batch.is_empty() => break,
                    next => next?,
                },
            };
            match next {
                Some(item) => batch.push(item),
                None => break,
            }
        }
        Ok(batch)
    }

    /// The next line that isn't blank.
    fn next_line(&mut self) -> Result<Option<RawItem>, ImportError> {
        loop {
            let mut line = Vec::new();
            let limit = ITEM_MAX as u64 + 1;
            let read = (&mut self.reader)
                .take(limit)
                .read_until(b'\n', &mut line)
                .map_err(FileError::new("read", &self.path))?;
            if read == 0 {
                return Ok(None);
            }
            self.position.bytes += read as u64;
            self.position.lines += 1;
            let number = self.position.lines;
            let whole = line.last() == Some(&b'\n');
            let content = if line.len() > ITEM_MAX && !whole {
                self.skip_line()?;
                Err(ItemError::TooLong { max: ITEM_MAX })
            } else if line.trim_ascii().is_empty() {
                continue;
            } else {
                Ok(line)
            };
            self.position.items += 1;
            return Ok(Some(RawItem {
                number,
                format: self.format,
                content,
            }));
        }
    }

    /// Reads on to the end of a line without keeping it.
    fn skip_line(&mut self) -> Result<(), FileError> {
        loop {
            let buffer = self
                .reader
                .fill_buf()
                .map_err(FileError::new("read", &self.path))?;
            let (skipped, ended) = match buffer.iter().position(|byte| *byte == b'\n') {
                Some(at) => (at + 1, true),
                None => (buffer.len(), buffer.is_empty()),
            };
            self.reader.consume(skipped);
            self.position.bytes += skipped as u64;
            if ended {
                return Ok(());
            }
        }
    }

    /// Refuses the item that begins at `begin`, and will again when asked again.
    fn broken(&mut self, begin: u64, number: u64) -> Result<Option<RawItem>, ImportError> {
        self.reader
            .seek(SeekFrom::Start(begin))
            .map_err(FileError::new("read", &self.path))?;
        Err(ImportError::Broken {
            path: self.path.clone(),
            number,
        })
    }

    fn next_cbor(&mut self) -> Result<Option<RawItem>, ImportError> {
        let number = self.position.items + 1;
        let mut content = Vec::new();
        // Grown until a whole item is in it: most fit the first step.
        let mut step = 4096;
        let begin = self.position.bytes;
        loop {
            let read = (&mut self.reader)
                .take(step)
                .read_to_end(&mut content)
                .map_err(FileError::new("read", &self.path))?;
            if content.is_empty() {
                return Ok(None);
            }
            // A break outside of any item, which the decoder would skip.
            if content[0] == 0xff {
                return self.broken(begin, number);
            }
            let mut decoder = minicbor::Decoder::new(&content);
            match decoder.skip() {
                Ok(()) => {
                    content.truncate(decoder.position());
                    break;
                }
                Err(error)
                    if error.is_end_of_input()
                        && read as u64 == step
                        && content.len() < ITEM_MAX =>
                {
                    step *= 2;
                }
                Err(_) => return self.broken(begin, number),
            }
        }
        let end = begin + content.len() as u64;
        self.reader
            .seek(SeekFrom::Start(end))
            .map_err(FileError::new("read", &self.path))?;
        self.position = Position {
            bytes: end,
            lines: number,
            items: number,
        };
        let too_long = content.len() > ITEM_MAX;
        let content = if too_long {
            Err(ItemError::TooLong { max: ITEM_MAX })
        } else {
            Ok(content)
        };
        Ok(Some(RawItem {
            number,
            format: self.format,
            content,
        }))
    }
}
