//! A snapshot's file that isn't in memory, verified from end to end in a few MiB.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use protocol::cose::VerifyingKey;
use protocol::manifest::{Artifact, Manifest, SignedManifest};
use protocol::merkle::Hash;
use sha3::{Digest as _, Sha3_256};

use super::build::manifest_of;
use super::file::{self, ALIGNMENT, FileFault, Section};
use super::{Fault, SnapshotError};
use crate::digest::{CHUNK_BYTES, Chunked};
use crate::durable::FileError;

/// Bytes that are read at a time.
const PIECE_BYTES: usize = 8 * CHUNK_BYTES;

/// Verifies every byte of a snapshot's file: its container, the manifest's
/// signature by `provider`, and the digests that the manifest states. What only
/// the content of a part shows is left to [`Snapshot::load`](super::Snapshot::load).
///
/// # Errors
/// [`SnapshotError::Unusable`] if it is not what it should be,
/// [`SnapshotError::File`] if it can't be read.
pub fn verify(path: &Path, provider: &VerifyingKey) -> Result<SignedManifest, SnapshotError> {
    let signed = manifest_of(path, provider)?;
    let file = File::open(path).map_err(FileError::new("open", path))?;
    let compared = compare(file, signed.unverified());
    let compared = compared.map_err(FileError::new("read", path))?;
    match compared {
        Ok(()) => Ok(signed),
        Err(fault) => Err(SnapshotError::Unusable {
            path: path.to_owned(),
            fault,
        }),
    }
}

fn compare(mut file: File, manifest: &Manifest) -> io::Result<Result<(), Fault>> {
    let length = file.metadata()?.len();
    let mut header = vec![0; ALIGNMENT];
    file.read_exact(&mut header)?;
    let sections = match file::read_header(&header, length) {
        Ok(sections) => sections,
        Err(fault) => return Ok(Err(fault.into())),
    };
    let mut end = header.len();
    for section in sections.present() {
        let range = sections.range(section);
        // Less than the alignment, by the header.
        let mut padding = vec![0; range.start - end];
        file.read_exact(&mut padding)?;
        if padding.iter().any(|byte| *byte != 0) {
            return Ok(Err(FileFault::Padding { section }.into()));
        }
        let (chunked, whole) = digests(&mut file, range.len(), section)?;
        if chunked != sections.digest(section) {
            return Ok(Err(FileFault::Digest { section }.into()));
        }
        let bytes = range.len() as u64;
        let is = |digest, stated: &Artifact| *stated == Artifact { digest, bytes };
        let (belongs, part) = match section {
            Section::Database => (is(chunked, &manifest.database), "the database"),
            Section::Hint => (is(whole, &manifest.hint), "the hint"),
            Section::Filter => {
                let stated = manifest.filter.as_ref();
                let belongs = stated.is_some_and(|stated| is(whole, stated));
                (belongs, "the membership filter")
            }
            Section::Manifest | Section::Packing | Section::Facts => (true, ""),
        };
        if !belongs {
            return Ok(Err(Fault::Mismatch { part }));
        }
        end = range.end;
    }
    let has_filter = !sections.range(Section::Filter).is_empty();
    if manifest.filter.is_some() != has_filter {
        let part = "the membership filter";
        return Ok(Err(Fault::Mismatch { part }));
    }
    Ok(Ok(()))
}

/// The digest of a section in the container and, of those whose manifest states
/// that one, the plain one.
fn digests(file: &mut File, length: usize, section: Section) -> io::Result<(Hash, Hash)> {
    let is_plain = matches!(section, Section::Hint | Section::Filter);
    let (mut chunked, mut whole) = (Chunked::default(), Sha3_256::new());
    let mut piece = vec![0; PIECE_BYTES.min(length)];
    let mut left = length;
    while left > 0 {
        let bytes = left.min(PIECE_BYTES);
        let piece = &mut piece[..bytes];
        file.read_exact(piece)?;
        chunked.add(piece);
        if is_plain {
            whole.update(&*piece);
        }
        left -= bytes;
    }
    let whole = Hash::from_bytes(whole.finalize().into());
    Ok((Hash::from_bytes(chunked.finish()), whole))
}
