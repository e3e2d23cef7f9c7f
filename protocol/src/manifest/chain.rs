//! What a client remembers of the manifests it accepted.

use super::{ManifestError, SignedManifest};
use crate::log::TreeHead;
use crate::merkle::Hash;
use crate::oprf::OprfPublicKey;

/// The last manifest that a client accepted from a DP: to be kept, so that the
/// DP can't go back behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ManifestPin {
    /// Its sequence.
    pub sequence: u64,
    /// Its digest.
    pub digest: Hash,
    /// The epoch of its OPRF key.
    pub oprf_epoch: u64,
    /// Its OPRF key.
    pub oprf_key: OprfPublicKey,
    /// Where the log ended that it was found in, if it was looked for.
    pub log: Option<TreeHead>,
}

/// How a manifest follows the last accepted one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Succession {
    /// It is that one.
    Same,
    /// It names that one as its predecessor.
    Next,
    /// Others were published in between, which are needed to see that it
    /// follows.
    Gap {
        /// How many.
        missing: u64,
    },
}

impl ManifestPin {
    /// How `manifest` follows the pinned one.
    ///
    /// # Errors
    /// [`ManifestError::Rollback`], [`ManifestError::Fork`],
    /// [`ManifestError::OprfEpochRollback`], [`ManifestError::OprfKeyChanged`].
    pub fn succession(&self, manifest: &SignedManifest) -> Result<Succession, ManifestError> {
        let succession = self.place(manifest)?;
        let (known, found) = (self.oprf_epoch, manifest.unverified().oprf_epoch);
        if found < known {
            return Err(ManifestError::OprfEpochRollback { known, found });
        }
        // A key of its own for somebody would tell them from everybody else.
        if found == known && manifest.unverified().oprf_key != self.oprf_key {
            return Err(ManifestError::OprfKeyChanged { epoch: known });
        }
        Ok(succession)
    }

    fn place(&self, manifest: &SignedManifest) -> Result<Succession, ManifestError> {
        let found = manifest.unverified().sequence;
        let known = self.sequence;
        let fork = Err(ManifestError::Fork { known, found });
        match found.checked_sub(known) {
            None => Err(ManifestError::Rollback { known, found }),
            Some(0) if manifest.digest() == self.digest => Ok(Succession::Same),
            Some(0) => fork,
            Some(1) if manifest.unverified().previous == Some(self.digest) => Ok(Succession::Next),
            Some(1) => fork,
            Some(ahead) => Ok(Succession::Gap { missing: ahead - 1 }),
        }
    }
}
