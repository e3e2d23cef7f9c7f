//! What a provider could sign besides the truth.

use anyhow::Result;
use client::{Client, ClientConfig, ClientError};
use pir_core::crs::CrsSeed;
use pir_core::database::DatabaseView;
use pir_core::setup;
use protocol::hint::SnapshotHint;
use protocol::manifest::{Artifact, Manifest, SignedManifest, SnapshotId};
use protocol::merkle::Hash;
use protocol::wire;
use server::snapshot::Snapshot;
use tests::Provider;

use crate::rogue::Rogue;

/// A manifest as the provider has published it, changed and signed anew.
pub(crate) fn resigned(
    provider: &Provider,
    of: &Manifest,
    change: impl FnOnce(&mut Manifest),
) -> Result<SignedManifest> {
    let mut manifest = of.clone();
    change(&mut manifest);
    manifest.snapshot = manifest.computed_snapshot_id();
    Ok(manifest.sign(&provider.directory.data().provider_key()?)?)
}

/// Another manifest in the same place.
pub(crate) fn twin(provider: &Provider, of: &Manifest) -> Result<SignedManifest> {
    resigned(provider, of, |manifest| manifest.build_id.0 = [0x77; 16])
}

/// How a file is stated.
pub(crate) fn artifact(bytes: &[u8]) -> Artifact {
    Artifact {
        digest: Hash::of(bytes),
        bytes: bytes.len() as u64,
    }
}

/// Gives out another newest snapshot, consistently: manifest, log, hint and
/// database; gives its id.
pub(crate) fn give_snapshot(
    rogue: &Rogue,
    provider: &Provider,
    hint: &[u8],
    database: &[u8],
    change: impl FnOnce(&mut Manifest),
) -> Result<SnapshotId> {
    let honest = provider.snapshot();
    let stated = Artifact {
        digest: Hash::from_bytes(server::digest::chunked(database)),
        bytes: database.len() as u64,
    };
    let manifest = resigned(provider, honest.manifest(), |manifest| {
        manifest.hint = artifact(hint);
        manifest.database = stated;
        change(manifest);
    })?;
    let id = manifest.unverified().snapshot;
    rogue.give(wire::MANIFEST_PATH, manifest.as_bytes());
    rogue.give(wire::hint_path(&id), hint);
    rogue.give(wire::database_path(&id), database);
    rogue.give_log(provider, &[manifest.as_bytes()])?;
    Ok(id)
}

/// What a snapshot's hint would be under another public matrix.
pub(crate) fn hint_under(seed: &CrsSeed, snapshot: &Snapshot) -> Result<Vec<u8>> {
    let view = DatabaseView::new(snapshot.params(), snapshot.database())?;
    let mut hint = SnapshotHint::decode(snapshot.hint())?;
    hint.pir_hint = setup::preprocess(&view, seed, &|_| ())?.hint.encode();
    Ok(hint.encode())
}

/// Why a client doesn't connect.
pub(crate) async fn refusal(config: ClientConfig) -> ClientError {
    match Client::connect(config).await {
        Ok(_) => panic!("accepted"),
        Err(error) => error,
    }
}
