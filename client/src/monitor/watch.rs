//! Looking at a provider again and again.

use std::sync::Arc;

use protocol::csi::Csi;

use crate::audit::{Audit, AuditError};
use crate::client::Client;
use crate::config::ClientConfig;
use crate::error::ClientError;
use crate::found::Found;
use crate::snapshot::SnapshotView;

/// Looks at a provider's log and at what it tells everybody of some identifiers.
/// Each look must go on from the one before, also without a
/// [cache](ClientConfig::cache).
#[derive(Debug)]
pub struct Watch {
    config: ClientConfig,
}

/// What a look has shown.
#[derive(Debug)]
pub struct Look {
    /// The snapshot that the identifiers were looked up in.
    pub snapshot: Arc<SnapshotView>,
    /// What was found of each, in their order.
    pub found: Vec<Result<Found, ClientError>>,
}

impl Watch {
    /// At this provider.
    ///
    /// # Errors
    /// As [`Audit::new`].
    pub fn new(config: ClientConfig) -> Result<Self, ClientError> {
        // A setting that can't be used is none to look again with.
        Audit::new(config.clone())?;
        Ok(Self { config })
    }

    /// Reads the whole log, as [`Audit::chain`] does, and looks the identifiers up.
    /// What seems to have gone back is looked at once more after
    /// [`ClientConfig::server_lag`].
    ///
    /// # Errors
    /// [`AuditError`]; of an identifier alone, in [`Look::found`].
    pub async fn look(&mut self, csis: &[Csi]) -> Result<Look, AuditError> {
        let chain = Audit::new(self.config.clone())?.chain(&|_| ()).await?;
        self.config.last_manifest = Some(chain.pin());
        let mut look = self.look_up(csis).await;
        let gone_back = match &look {
            Err(error) => error.is_rollback(),
            Ok(look) => look.has_gone_back(),
        };
        if gone_back {
            tokio::time::sleep(self.config.server_lag).await;
            look = self.look_up(csis).await;
        }
        let look = look?;
        self.config.last_manifest = Some(look.snapshot.pin());
        Ok(look)
    }

    async fn look_up(&self, csis: &[Csi]) -> Result<Look, ClientError> {
        let client = Client::connect(self.config.clone()).await?;
        let found = client.find_many(csis).await;
        let snapshot = client.snapshot();
        Ok(Look { snapshot, found })
    }
}

impl Look {
    /// Whether a lookup had to take a newer snapshot, and was shown an older one.
    fn has_gone_back(&self) -> bool {
        let mut errors = self.found.iter().filter_map(|found| found.as_ref().err());
        errors.any(ClientError::is_rollback)
    }
}
