//! From what was built to what is published.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use pir_core::params::SET;
use protocol::cose::VerifyingKey;
use protocol::hint::SnapshotHint;
use protocol::manifest::{Artifact, Manifest, PirShape, SignedManifest, SnapshotId};
use protocol::merkle::Hash;
use protocol::placement::group_count;
use protocol::time::UnixTime;

use super::earlier;
use super::{BuildError, BuildOptions, Built, CRS_EPOCH};
use crate::digest;
use crate::durable::FileError;
use crate::log::{self, Objects};
use crate::snapshot::{Facts, Fault, SnapshotError, current, file};

/// Enters the manifest in the log, writes the file and moves the pointer; gives the new and the previous id.
pub(super) fn publish(
    directory: &Path,
    built: Built,
    facts: &Facts,
    previous: Option<SignedManifest>,
    published_at: UnixTime,
    options: &BuildOptions<'_>,
) -> Result<(SnapshotId, Option<SnapshotId>), BuildError> {
    let stage = options.progress.stage("digest", 0);
    let packing: &[u8] = bytemuck::cast_slice(built.preprocessed.packing.as_slice());
    let (database_digest, packing_digest) =
        (digest::chunked(&built.database), digest::chunked(packing));
    let merkle_root = built.cap.root();
    let hint = SnapshotHint {
        pir_hint: built.preprocessed.hint.encode(),
        cap: built.cap,
        pilots: built.placement.pilots,
        blocked: built.blocked,
    };
    let (blocked, hint) = (hint.blocked.count(), hint.encode());
    let filter = built.filter.map(|filter| filter.encode());
    stage.finish(&format!("hint of {} bytes", hint.len()));

    let widths = built.params.widths();
    let pir = PirShape {
        parameter_set: SET.name.to_owned(),
        columns: built.layout.columns(),
        bucket_bytes: built.layout.bucket_bytes() as u32,
        // Validated parameters: widths of a few bits, a bound above 2^-32768.
        query_bits: widths.query as u8,
        mask_bits: widths.mask as u8,
        body_bits: widths.body as u8,
        failure_log2: built.params.failure_log2().ceil() as i16,
    };
    let database = Artifact {
        digest: Hash::from_bytes(database_digest),
        bytes: built.database.len() as u64,
    };
    let hint_artifact = Artifact {
        digest: Hash::of(&hint),
        bytes: hint.len() as u64,
    };
    let manifest = Manifest {
        sequence: previous
            .as_ref()
            .map_or(0, |previous| previous.unverified().sequence)
            + 1,
        snapshot: SnapshotId::compute(&database.digest, &hint_artifact.digest, &pir, CRS_EPOCH),
        build_id: options.build_id,
        published_at,
        expires_at: published_at.saturating_add(options.lifetime_secs),
        pir,
        crs_epoch: CRS_EPOCH,
        dp_key: options.provider.verifying_key(),
        oprf_key: options.oprf.public_key(),
        oprf_epoch: options.oprf.epoch,
        records: built.records as u64,
        groups: group_count(built.records) as u64,
        filler_seed: built.filler_seed,
        merkle_root,
        database,
        hint: hint_artifact,
        trust_list: Hash::from_bytes(options.trust.digest()),
        audit: built.audit,
        blocked,
        previous: previous.as_ref().map(SignedManifest::digest),
        token_keys: options.token_keys,
        filter: filter.as_ref().map(|filter| Artifact {
            digest: Hash::of(filter),
            bytes: filter.len() as u64,
        }),
    };
    let id = manifest.snapshot;
    let signed = manifest.sign(options.provider)?;
    let facts = serde_json::to_vec(facts)?;
    let filter = filter.unwrap_or_default();

    let stage = options.progress.stage("write", 0);
    // Before the file, which has the name of the published one if nothing has changed:
    // it would be published without being in the log.
    let objects: Arc<dyn Objects> = Arc::new(log::Directory::new(directory));
    log::extend(&objects, previous.as_ref(), &signed, options.provider)?;
    let path = current::snapshot_path(directory, id);
    file::write(
        &path,
        [
            signed.as_bytes(),
            &hint,
            &built.database,
            packing,
            &facts,
            &filter,
        ],
        [
            digest::chunked(signed.as_bytes()),
            digest::chunked(&hint),
            database_digest,
            packing_digest,
            digest::chunked(&facts),
            digest::chunked(&filter),
        ],
    )?;
    current::replace(directory, id)?;
    stage.finish(&path.display().to_string());
    // Only the next build misses them.
    if let Err(error) = earlier::keep(directory, id, &built.preprocessed.row_masks) {
        let stage = options.progress.stage("keep row masks", 0);
        stage.finish(&format!("{error}; the next set-up is done in full"));
    }
    Ok((id, previous.map(|previous| previous.unverified().snapshot)))
}

/// The manifest of the published snapshot; `None` if there is none.
///
/// # Errors
/// [`SnapshotError`] if it can't be read or isn't the provider's.
pub fn published_manifest(
    directory: &Path,
    provider: &VerifyingKey,
) -> Result<Option<SignedManifest>, SnapshotError> {
    let id = match current::read(directory) {
        Err(SnapshotError::None { .. }) => return Ok(None),
        id => id?,
    };
    manifest_of(&current::snapshot_path(directory, id), provider).map(Some)
}

/// The manifest in a snapshot's file. Nothing else of it is verified.
///
/// # Errors
/// [`SnapshotError`] if it can't be read or isn't the provider's.
pub fn manifest_of(path: &Path, provider: &VerifyingKey) -> Result<SignedManifest, SnapshotError> {
    let file = File::open(path).map_err(FileError::new("open", path))?;
    let failed = || FileError::new("read", path);
    let length = file.metadata().map_err(failed())?.len();
    let mut beginning = Vec::new();
    file.take(file::BEGINNING_BYTES as u64)
        .read_to_end(&mut beginning)
        .map_err(failed())?;
    let read = || -> Result<SignedManifest, Fault> {
        let signed = SignedManifest::from_bytes(file::read_manifest(&beginning, length)?)?;
        signed.verify(provider, signed.unverified().published_at)?;
        Ok(signed)
    };
    read().map_err(|fault| SnapshotError::Unusable {
        path: path.to_owned(),
        fault,
    })
}
