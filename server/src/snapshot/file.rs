//! The container of a snapshot.
//!
//! ```text
//! header, 4096 bytes, integers big-endian:
//!   "SOTTOSNP" ‖ version u32 ‖ sections u32
//!   for each section: kind u32 ‖ zero u32 ‖ offset u64 ‖ length u64 ‖ digest 32
//!   zeros ‖ SHA3-256 of all of the header before
//! sections, each at a multiple of 4096, zeros between; nothing after the last
//! ```
//!
//! A section's digest is [`digest::chunked`] of it. The last section, the filter,
//! is left out where there is none; all others are there. There is one encoding of
//! a given set of sections; anything else is refused.

use std::io::Write;
use std::ops::Range;
use std::path::Path;

use protocol::merkle::Hash;
use sha3::{Digest as _, Sha3_256};

use crate::digest;
use crate::durable::{FileError, PRIVATE, Pending};

/// What every section's offset is a multiple of.
pub const ALIGNMENT: usize = 4096;

/// A container's beginning that has its header and manifest.
pub const BEGINNING_BYTES: usize = 16 * ALIGNMENT;

const MAGIC: [u8; 8] = *b"SOTTOSNP";
const VERSION: u32 = 2;
const HEADER_BYTES: usize = ALIGNMENT;
const ENTRY_BYTES: usize = 4 + 4 + 8 + 8 + 32;

/// A part of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// The signed manifest.
    Manifest,
    /// The hint as it is published.
    Hint,
    /// The database, as [`pir_core::database`] lays it out.
    Database,
    /// The packing matrices, u32 little-endian.
    Packing,
    /// The builder's notes, JSON.
    Facts,
    /// The membership filter as it is published; empty if there is none.
    Filter,
}

/// Number of sections, present or not.
pub const SECTIONS: usize = Section::ALL.len();

impl Section {
    /// All of them, in the order of the file.
    pub const ALL: [Self; 6] = [
        Self::Manifest,
        Self::Hint,
        Self::Database,
        Self::Packing,
        Self::Facts,
        Self::Filter,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Hint => "hint",
            Self::Database => "database",
            Self::Packing => "packing matrices",
            Self::Facts => "builder's notes",
            Self::Filter => "membership filter",
        }
    }

    const fn kind(self) -> u32 {
        self as u32 + 1
    }
}

/// What is wrong with a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileFault {
    /// Not a snapshot at all.
    #[error("it is not a snapshot file")]
    Magic,
    /// Of another version.
    #[error("it is of version {found}, this program reads {expected}")]
    Version {
        /// The version that this program knows.
        expected: u32,
        /// The version of the file.
        found: u32,
    },
    /// The header was altered or is incomplete.
    #[error("its header is damaged")]
    Header,
    /// Truncated or extended.
    #[error("it has {found} bytes, expected {expected}")]
    Length {
        /// Bytes by the header.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
    /// Something is between two sections.
    #[error("there are bytes before its {}", .section.name())]
    Padding {
        /// The later section.
        section: Section,
    },
    /// A section was altered.
    #[error("its {} is damaged", .section.name())]
    Digest {
        /// Which one.
        section: Section,
    },
}

/// Where the sections are, and their digests; all verified.
#[derive(Clone, Debug)]
pub struct Sections([Entry; SECTIONS]);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Entry {
    offset: u64,
    length: u64,
    digest: [u8; 32],
}

impl Entry {
    fn range(&self) -> Range<usize> {
        self.offset as usize..(self.offset + self.length) as usize
    }
}

impl Sections {
    /// Where a section is.
    pub fn range(&self, section: Section) -> Range<usize> {
        self.0[section as usize].range()
    }

    /// Those that are there, in the order of the file.
    pub(super) fn present(&self) -> impl Iterator<Item = Section> {
        let all = Section::ALL.into_iter();
        all.filter(|section| *section != Section::Filter || !self.range(*section).is_empty())
    }

    /// A section's digest; of a filter that isn't there, zeros.
    pub fn digest(&self, section: Section) -> Hash {
        Hash::from_bytes(self.0[section as usize].digest)
    }
}

/// Reads a container and verifies every byte of it.
///
/// # Errors
/// [`FileFault`].
pub fn read(bytes: &[u8]) -> Result<Sections, FileFault> {
    let sections = read_header(bytes, bytes.len() as u64)?;
    let mut end = HEADER_BYTES;
    for section in sections.present() {
        let range = sections.range(section);
        if bytes[end..range.start].iter().any(|byte| *byte != 0) {
            return Err(FileFault::Padding { section });
        }
        end = range.end;
    }
    for section in sections.present() {
        let content = &bytes[sections.range(section)];
        if Hash::from_bytes(digest::chunked(content)) != sections.digest(section) {
            return Err(FileFault::Digest { section });
        }
    }
    Ok(sections)
}

/// Reads a container's manifest alone, from its first [`BEGINNING_BYTES`] and
/// its length.
///
/// # Errors
/// [`FileFault`].
pub fn read_manifest(beginning: &[u8], length: u64) -> Result<&[u8], FileFault> {
    let sections = read_header(beginning, length)?;
    let range = sections.range(Section::Manifest);
    // A manifest is far shorter.
    let content = beginning.get(range).ok_or(FileFault::Header)?;
    if Hash::from_bytes(digest::chunked(content)) != sections.digest(Section::Manifest) {
        return Err(FileFault::Digest {
            section: Section::Manifest,
        });
    }
    Ok(content)
}

/// Everything but what is behind the header, in a container of so many bytes
/// that begins with these. The digests of the sections are not verified.
///
/// # Errors
/// [`FileFault`].
pub fn read_header(bytes: &[u8], length: u64) -> Result<Sections, FileFault> {
    if bytes.get(..MAGIC.len()) != Some(&MAGIC) {
        return Err(FileFault::Magic);
    }
    let header = bytes.get(..HEADER_BYTES).ok_or(FileFault::Header)?;
    let mut fields = &header[MAGIC.len()..];
    let found = take_u32(&mut fields);
    if found != VERSION {
        return Err(FileFault::Version {
            expected: VERSION,
            found,
        });
    }
    if Sha3_256::digest(&header[..HEADER_BYTES - 32])[..] != header[HEADER_BYTES - 32..] {
        return Err(FileFault::Header);
    }
    let count = take_u32(&mut fields) as usize;
    let entries = Section::ALL.map(|section| {
        if section as usize >= count {
            return Entry::default();
        }
        fields = &fields[8..];
        let (offset, length) = (take_u64(&mut fields), take_u64(&mut fields));
        let (digest, rest) = fields.split_at(32);
        fields = rest;
        let mut entry = Entry {
            offset,
            length,
            digest: [0; 32],
        };
        entry.digest.copy_from_slice(digest);
        entry
    });
    // What is left to choose in a header are lengths and digests.
    let lengths = entries.map(|entry| entry.length);
    let expected = place(&lengths).ok_or(FileFault::Header)?;
    let sections = Sections(entries);
    if entries
        .iter()
        .zip(&expected)
        .any(|(entry, offset)| entry.offset != *offset)
        || encode(&sections) != header
    {
        return Err(FileFault::Header);
    }
    // No section ends later than one after it.
    let ends = sections.0.iter().map(|entry| entry.offset + entry.length);
    let expected = ends.max().unwrap_or_default();
    if expected != length {
        return Err(FileFault::Length {
            expected,
            found: length,
        });
    }
    Ok(sections)
}

/// Writes a container, whole or not at all; `digests` are those of the
/// sections. An empty filter is none.
///
/// # Errors
/// [`FileError`].
pub fn write(
    path: &Path,
    contents: [&[u8]; SECTIONS],
    digests: [[u8; 32]; SECTIONS],
) -> Result<(), FileError> {
    let lengths = contents.map(|content| content.len() as u64);
    // Contents in memory are far from 2^64 bytes.
    let offsets = place(&lengths).unwrap_or_default();
    let mut sections = Sections(std::array::from_fn(|at| Entry {
        offset: offsets[at],
        length: lengths[at],
        digest: digests[at],
    }));
    if lengths[Section::Filter as usize] == 0 {
        sections.0[Section::Filter as usize] = Entry::default();
    }
    let failed = || FileError::new("write", path);
    let mut file = Pending::create(path, PRIVATE)?;
    file.write_all(&encode(&sections)).map_err(failed())?;
    let mut end = HEADER_BYTES;
    for section in sections.present() {
        let range = sections.range(section);
        file.write_all(&[0; ALIGNMENT][..range.start - end])
            .map_err(failed())?;
        file.write_all(contents[section as usize])
            .map_err(failed())?;
        end = range.end;
    }
    file.replace()
}

/// Offsets of sections with these lengths, 0 for a filter that isn't there;
/// `None` if they exceed 64 bits.
fn place(lengths: &[u64; SECTIONS]) -> Option<[u64; SECTIONS]> {
    let mut offsets = [0; SECTIONS];
    let mut end = HEADER_BYTES as u64;
    let count = match lengths[Section::Filter as usize] {
        0 => SECTIONS - 1,
        _ => SECTIONS,
    };
    for (offset, length) in offsets.iter_mut().zip(lengths).take(count) {
        *offset = end.checked_next_multiple_of(ALIGNMENT as u64)?;
        end = offset.checked_add(*length)?;
    }
    usize::try_from(end).ok().map(|_| offsets)
}

fn encode(sections: &Sections) -> [u8; HEADER_BYTES] {
    const { assert!(16 + Section::ALL.len() * ENTRY_BYTES + 32 <= HEADER_BYTES) };
    let mut fields = Vec::with_capacity(HEADER_BYTES);
    fields.extend_from_slice(&MAGIC);
    fields.extend_from_slice(&VERSION.to_be_bytes());
    fields.extend_from_slice(&(sections.present().count() as u32).to_be_bytes());
    for (section, entry) in sections.present().zip(&sections.0) {
        fields.extend_from_slice(&section.kind().to_be_bytes());
        fields.extend_from_slice(&[0; 4]);
        fields.extend_from_slice(&entry.offset.to_be_bytes());
        fields.extend_from_slice(&entry.length.to_be_bytes());
        fields.extend_from_slice(&entry.digest);
    }
    let mut header = [0; HEADER_BYTES];
    header[..fields.len()].copy_from_slice(&fields);
    let digest = Sha3_256::digest(&header[..HEADER_BYTES - 32]);
    header[HEADER_BYTES - 32..].copy_from_slice(&digest);
    header
}

/// The header has room for all fields, as `encode` asserts.
fn take_u32(fields: &mut &[u8]) -> u32 {
    let (head, rest) = fields.split_at(4);
    *fields = rest;
    head.iter()
        .fold(0, |value, byte| value << 8 | u32::from(*byte))
}

fn take_u64(fields: &mut &[u8]) -> u64 {
    u64::from(take_u32(fields)) << 32 | u64::from(take_u32(fields))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        sample_with(33)
    }

    /// A container whose filter has so many bytes.
    fn sample_with(filter: usize) -> Vec<u8> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let contents: [Vec<u8>; SECTIONS] = [
            vec![1; 300],
            vec![2; 4096],
            vec![3; 9000],
            vec![4; 4],
            vec![5; 17],
            vec![6; filter],
        ];
        let slices: [&[u8]; SECTIONS] = std::array::from_fn(|at| contents[at].as_slice());
        write(&path, slices, slices.map(digest::chunked)).unwrap();
        std::fs::read(&path).unwrap()
    }

    #[test]
    fn sections_come_back_aligned() {
        let bytes = sample();
        let sections = read(&bytes).unwrap();
        for (section, length) in Section::ALL.into_iter().zip([300, 4096, 9000, 4, 17, 33]) {
            let range = sections.range(section);
            assert_eq!(range.start % ALIGNMENT, 0);
            assert_eq!(range.len(), length);
            assert!(
                bytes[range]
                    .iter()
                    .all(|byte| u32::from(*byte) == section.kind())
            );
        }
        let length = bytes.len() as u64;
        assert_eq!(read_manifest(&bytes[..4396], length).unwrap(), [1; 300]);
        for (beginning, length) in [(4395, length), (4396, length - 1), (4396, length + 1)] {
            assert!(read_manifest(&bytes[..beginning], length).is_err());
        }
    }

    #[test]
    fn a_filter_need_not_be_there() {
        let bytes = sample_with(0);
        let sections = read(&bytes).unwrap();
        assert!(sections.range(Section::Filter).is_empty());
        assert_eq!(bytes[12..16], 5u32.to_be_bytes());
        assert_eq!(sample()[12..16], 6u32.to_be_bytes());
        let facts = sections.range(Section::Facts);
        assert_eq!((facts.len(), facts.end), (17, bytes.len()));
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let whole = sample();
        // Without a filter another header; the sections are read alike.
        for (length, bytes) in [(whole.len(), whole), (HEADER_BYTES, sample_with(0))] {
            for at in 0..length {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << (at % 8);
                assert!(read(&damaged).is_err(), "byte {at}");
            }
        }
    }

    #[test]
    fn every_truncation_and_extension_is_found() {
        let bytes = sample();
        for length in (0..bytes.len())
            .step_by(97)
            .chain([bytes.len() - 1, 4095, 4096, 4097])
        {
            assert!(read(&bytes[..length]).is_err(), "{length} bytes");
        }
        let extended = [bytes.as_slice(), &[0]].concat();
        let length = bytes.len() as u64;
        assert_eq!(
            read(&extended).unwrap_err(),
            FileFault::Length {
                expected: length,
                found: length + 1
            }
        );
    }

    #[test]
    fn other_versions_and_files_are_named() {
        let mut bytes = sample();
        bytes[11] = 1;
        assert_eq!(
            read(&bytes).unwrap_err(),
            FileFault::Version {
                expected: VERSION,
                found: 1
            }
        );
        assert_eq!(read(b"SOTTOSN").unwrap_err(), FileFault::Magic);
        assert_eq!(read(&[]).unwrap_err(), FileFault::Magic);
    }
}
