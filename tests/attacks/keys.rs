//! A provider that shows somebody an OPRF key of their own, to know their
//! evaluations from everybody else's, or to answer from another directory.
//!
//! Bound: who knows one manifest of the provider accepts no other key under its
//! epoch; who knows none sees it as soon as two clients compare what they have.

use std::fs;

use anyhow::Result;
use client::{Client, ClientError};
use protocol::manifest::ManifestError;
use tests::{Directory, Provider};

/// The same provider by its signing key, with another OPRF key, directory and
/// chain of `manifests`.
async fn twin(of: &Provider, manifests: usize) -> Result<Provider> {
    let twin = Directory::build(30, 56)?;
    let (from, to) = (of.directory.data(), twin.data());
    for file in ["keys/dp.key", "dp.pub"] {
        fs::copy(from.root().join(file), to.root().join(file))?;
    }
    fs::remove_dir_all(to.snapshots())?;
    fs::create_dir(to.snapshots())?;
    for _ in 0..manifests {
        twin.publish()?;
    }
    twin.serve().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_for_one_client_is_noticed() -> Result<()> {
    let provider = Directory::build(30, 55)?.serve().await?;
    let honest = Client::connect(provider.client_config(provider.address)?).await?;
    let pin = honest.manifest_pin();

    // Its first, its second, and one after a gap in the chain.
    for manifests in 1..=3 {
        let twin = twin(&provider, manifests).await?;
        let config = twin.client_config(twin.address)?;
        let mut pinned = config.clone();
        pinned.last_manifest = Some(pin);
        let refused = Client::connect(pinned).await.map(|_| ());
        match refused {
            Err(ClientError::Manifest(ManifestError::Fork { .. })) => assert!(manifests < 3),
            Err(ClientError::Manifest(ManifestError::OprfKeyChanged { epoch: 1 })) => {
                assert_eq!(manifests, 3);
            }
            other => panic!("{other:?}"),
        }
        // Who has never seen the provider can't know, but two can compare.
        let deceived = Client::connect(config).await?;
        assert_ne!(deceived.manifest_pin(), pin);
        assert_ne!(deceived.manifest_pin().oprf_key, pin.oprf_key);
        twin.stop().await?;
    }
    provider.stop().await
}
