//! The set-up of the published snapshot, from which the next build may start.
//!
//! The builder keeps the row masks of a snapshot beside it, in a file of their
//! own that is not published: `"SOTTORW1" ‖ snapshot id 32 ‖ digest 32 ‖` the
//! masks as u32 little-endian. Database and hint of the earlier snapshot are
//! verified against its signed manifest, packing matrices and row masks against
//! digests beside them, and the builder looks a bucket up before it publishes;
//! what doesn't hold leads to a full set-up.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use pir_core::database::DatabaseView;
use pir_core::hint::Hint;
use pir_core::setup::{Changes, PackingMatrices, Preprocessed, RowMasks};
use protocol::hint::SnapshotHint;
use protocol::manifest::{Manifest, SnapshotId};
use protocol::merkle::Hash;

use super::CRS_EPOCH;
use crate::digest::{self, CHUNK_BYTES};
use crate::durable::{FileError, PRIVATE, Pending};
use crate::snapshot::file::{self, FileFault, Section, Sections};
use crate::snapshot::{Fault, current, params_of};

const MAGIC: &[u8; 8] = b"SOTTORW1";
const HEADER_BYTES: usize = MAGIC.len() + 32 + 32;

/// Bytes of the earlier database that are compared at a time.
const PIECE_BYTES: usize = 8 * CHUNK_BYTES;

/// Why the earlier set-up can't be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum EarlierError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Fault(#[from] Fault),
    #[error("the row masks are damaged or another snapshot's")]
    RowMasks,
}

impl From<pir_core::Error> for EarlierError {
    fn from(error: pir_core::Error) -> Self {
        Fault::from(error).into()
    }
}

impl From<FileFault> for EarlierError {
    fn from(fault: FileFault) -> Self {
        Fault::from(fault).into()
    }
}

/// Keeps the row masks of a snapshot.
pub(super) fn keep(directory: &Path, id: SnapshotId, masks: &RowMasks) -> Result<(), FileError> {
    let path = current::row_masks_path(directory, id);
    let content: &[u8] = bytemuck::cast_slice(masks.as_slice());
    let mut file = Pending::create(&path, PRIVATE)?;
    for part in [&header(id, content)[..], content] {
        file.write_all(part)
            .map_err(FileError::new("write", &path))?;
    }
    file.replace()
}

/// The set-up of the snapshot with this manifest and in what `database` differs
/// from it; `None` if it is of another shape, its row masks weren't kept, or so
/// much differs that a full set-up takes no longer.
pub(super) fn read(
    directory: &Path,
    manifest: &Manifest,
    database: &DatabaseView<'_>,
) -> Result<Option<(Preprocessed, Changes)>, EarlierError> {
    let params = database.params();
    if params_of(&manifest.pir)? != *params || manifest.crs_epoch != CRS_EPOCH {
        return Ok(None);
    }
    let path = current::row_masks_path(directory, manifest.snapshot);
    let row_masks = match File::open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(FileError::new("open", &path))?,
    };
    let snapshot = Container::open(directory, manifest)?;
    let Some(changes) = snapshot.changes(database)? else {
        return Ok(None);
    };
    let hint = snapshot.hint()?;
    let packing = snapshot.section(Section::Packing, params.costs().packing_bytes)?;
    let earlier = Preprocessed {
        hint: Hint::decode(params, &hint.pir_hint)?,
        packing: PackingMatrices::new(params, packing)?,
        row_masks: read_row_masks(&row_masks, &path, manifest.snapshot, database)?,
    };
    Ok(Some((earlier, changes)))
}

fn read_row_masks(
    file: &File,
    path: &Path,
    id: SnapshotId,
    database: &DatabaseView<'_>,
) -> Result<RowMasks, EarlierError> {
    let failed = || FileError::new("read", path);
    let length = file.metadata().map_err(failed())?.len();
    let mut found = [0; HEADER_BYTES];
    let mut elements = vec![0u32; database.params().costs().row_mask_bytes / size_of::<u32>()];
    let content: &mut [u8] = bytemuck::cast_slice_mut(&mut elements);
    if length != (HEADER_BYTES + content.len()) as u64 {
        return Err(EarlierError::RowMasks);
    }
    file.read_exact_at(&mut found, 0).map_err(failed())?;
    file.read_exact_at(content, HEADER_BYTES as u64)
        .map_err(failed())?;
    if found[..] != header(id, content) {
        return Err(EarlierError::RowMasks);
    }
    Ok(RowMasks::new(database.params(), elements)?)
}

fn header(id: SnapshotId, content: &[u8]) -> Vec<u8> {
    [&MAGIC[..], id.as_bytes(), &digest::chunked(content)].concat()
}

/// The file of the earlier snapshot.
struct Container<'a> {
    file: File,
    sections: Sections,
    manifest: &'a Manifest,
    failed: Box<dyn Fn(std::io::Error) -> FileError + 'a>,
}

impl<'a> Container<'a> {
    fn open(directory: &Path, manifest: &'a Manifest) -> Result<Self, EarlierError> {
        let path = current::snapshot_path(directory, manifest.snapshot);
        let file = File::open(&path).map_err(FileError::new("open", &path))?;
        let failed = Box::new(move |error| FileError::new("read", &path)(error));
        let length = file.metadata().map_err(&failed)?.len();
        let mut beginning = [0; file::BEGINNING_BYTES];
        let beginning = &mut beginning[..length.min(file::BEGINNING_BYTES as u64) as usize];
        file.read_exact_at(beginning, 0).map_err(&failed)?;
        Ok(Self {
            sections: file::read_header(beginning, length)?,
            file,
            manifest,
            failed,
        })
    }

    /// The hint that the manifest describes.
    fn hint(&self) -> Result<SnapshotHint, EarlierError> {
        let expected = self.manifest.hint;
        let mut bytes = vec![0u8; self.expect(Section::Hint, expected.bytes)?.len()];
        self.read(Section::Hint, &mut bytes)?;
        if Hash::of(&bytes) != expected.digest {
            return Err(Fault::Mismatch { part: "the hint" }.into());
        }
        Ok(SnapshotHint::decode(&bytes).map_err(Fault::from)?)
    }

    /// The elements of a section of so many bytes, verified.
    fn section(&self, section: Section, bytes: usize) -> Result<Vec<u32>, EarlierError> {
        self.expect(section, bytes as u64)?;
        let mut elements = vec![0u32; bytes / size_of::<u32>()];
        let content: &mut [u8] = bytemuck::cast_slice_mut(&mut elements);
        self.read(section, content)?;
        if Hash::from_bytes(digest::chunked(content)) != self.sections.digest(section) {
            return Err(FileFault::Digest { section }.into());
        }
        Ok(elements)
    }

    /// Where a section is, if it has so many bytes.
    fn expect(&self, section: Section, bytes: u64) -> Result<Range<usize>, EarlierError> {
        let range = self.sections.range(section);
        if range.len() as u64 == bytes {
            Ok(range)
        } else {
            Err(FileFault::Digest { section }.into())
        }
    }

    fn read(&self, section: Section, bytes: &mut [u8]) -> Result<(), EarlierError> {
        let start = self.sections.range(section).start as u64;
        let read = self.file.read_exact_at(bytes, start);
        Ok(read.map_err(&self.failed)?)
    }

    /// What differs from the earlier database, which is verified on the way.
    fn changes(&self, database: &DatabaseView<'_>) -> Result<Option<Changes>, EarlierError> {
        let section = Section::Database;
        let range = self.sections.range(section);
        let mut digest = digest::Chunked::default();
        let pieces = range.clone().step_by(PIECE_BYTES).map(|start| {
            let mut piece = vec![0; PIECE_BYTES.min(range.end - start)];
            let read = self.file.read_exact_at(&mut piece, start as u64);
            read.map_err(&self.failed)?;
            digest.add(&piece);
            Ok::<_, EarlierError>(piece)
        });
        let changes = Changes::since(database, pieces)?;
        let whole = changes.is_some();
        if whole && Hash::from_bytes(digest.finish()) != self.manifest.database.digest {
            return Err(FileFault::Digest { section }.into());
        }
        Ok(changes)
    }
}
