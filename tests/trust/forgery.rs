//! What a provider could sign besides the truth.

use anyhow::Result;
use client::{Client, ClientConfig, ClientError};
use protocol::manifest::{Artifact, Manifest, SignedManifest};
use protocol::merkle::Hash;
use tests::Provider;

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

/// Why a client doesn't connect.
pub(crate) async fn refusal(config: ClientConfig) -> ClientError {
    match Client::connect(config).await {
        Ok(_) => panic!("accepted"),
        Err(error) => error,
    }
}
