//! The set-up of the published snapshot, from which the next build may start.
//!
//! The builder keeps the row masks of a snapshot beside it, in a file of their
//! own that is not published: `"SOTTOROW" ‖ snapshot id 32 ‖ digest 32 ‖` the
//! masks as u32 little-endian. They and everything else that is read of the
//! earlier snapshot are verified; what doesn't hold leads to a full set-up.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
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

const MAGIC: &[u8; 8] = b"SOTTOROW";
const HEADER_BYTES: usize = MAGIC.len() + 32 + 32;

/// Bytes of the earlier database that are compared at a time.
const PIECE_BYTES: usize = 64 * CHUNK_BYTES;

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
    let hint = SnapshotHint::decode(&snapshot.section(Section::Hint)?).map_err(Fault::from)?;
    let earlier = Preprocessed {
        hint: Hint::decode(params, &hint.pir_hint)?,
        packing: PackingMatrices::new(params, elements(snapshot.section(Section::Packing)?))?,
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
    let length = file.metadata().map_err(failed())?.len() as usize;
    let mut found = [0; HEADER_BYTES];
    if length < HEADER_BYTES {
        return Err(EarlierError::RowMasks);
    }
    file.read_exact_at(&mut found, 0).map_err(failed())?;
    let mut content = vec![0; length - HEADER_BYTES];
    file.read_exact_at(&mut content, HEADER_BYTES as u64)
        .map_err(failed())?;
    if found[..] != header(id, &content) {
        return Err(EarlierError::RowMasks);
    }
    Ok(RowMasks::new(database.params(), elements(content))?)
}

fn header(id: SnapshotId, content: &[u8]) -> Vec<u8> {
    [&MAGIC[..], id.as_bytes(), &digest::chunked(content)].concat()
}

/// Little-endian elements; bytes beyond a whole number of them are left out.
fn elements(bytes: Vec<u8>) -> Vec<u32> {
    bytemuck::allocation::pod_collect_to_vec(&bytes[..bytes.len() / 4 * 4])
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

    /// A section, verified.
    fn section(&self, section: Section) -> Result<Vec<u8>, EarlierError> {
        let range = self.sections.range(section);
        let mut bytes = vec![0; range.len()];
        let read = self.file.read_exact_at(&mut bytes, range.start as u64);
        read.map_err(&self.failed)?;
        if Hash::from_bytes(digest::chunked(&bytes)) != self.sections.digest(section) {
            return Err(FileFault::Digest { section }.into());
        }
        Ok(bytes)
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
