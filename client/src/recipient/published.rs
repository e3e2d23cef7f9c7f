//! When lookups see what was accepted.

use std::time::Duration;

use protocol::manifest::{Manifest, ManifestError, SignedManifest};
use protocol::problem::ProblemType;
use protocol::time::UnixTime;
use protocol::wire::{self, Receipt, media};
use tokio::time::{Instant, sleep};

use super::{Recipient, RecipientError};
use crate::error::ClientError;
use crate::transport::Exchange;

/// Time between two looks at the manifest.
const PAUSE: Duration = Duration::from_secs(1);

impl Recipient {
    /// Waits until the provider's published snapshot takes an accepted statement
    /// into account: until its signed manifest covers the entry of the receipt.
    ///
    /// # Errors
    /// [`RecipientError::NotPublished`] after `patience`;
    /// [`RecipientError::OtherLog`] if manifest and receipt contradict each
    /// other; [`RecipientError::Manifest`], [`RecipientError::Client`].
    pub async fn published(
        &self,
        receipt: &Receipt,
        patience: Duration,
    ) -> Result<Manifest, RecipientError> {
        let end = Instant::now() + patience;
        loop {
            if let Some(manifest) = self.manifest().await? {
                let log = manifest.audit;
                if log.entries == receipt.audit_entries
                    && log.hash.to_string() != receipt.audit_hash
                {
                    return Err(RecipientError::OtherLog);
                }
                if log.entries >= receipt.audit_entries {
                    return Ok(manifest);
                }
            }
            if Instant::now() >= end {
                return Err(RecipientError::NotPublished { patience });
            }
            sleep(PAUSE).await;
        }
    }

    /// The newest manifest, verified; `None` while nothing is published.
    async fn manifest(&self) -> Result<Option<Manifest>, RecipientError> {
        let exchange = Exchange {
            step: "manifest",
            path: wire::MANIFEST_PATH,
            accept: media::COSE,
            max_bytes: protocol::cose::MAX_SIGNED_BYTES,
        };
        let published = match self.transport.get(exchange).await {
            Ok(bytes) => SignedManifest::from_bytes(&bytes)?,
            Err(ClientError::Problem { problem, .. }) if problem.kind == ProblemType::NotReady => {
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        match published.verify(&self.provider_key, UnixTime::now()) {
            Ok(manifest) => Ok(Some(manifest.clone())),
            // A new one may be on its way.
            Err(ManifestError::Expired { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
