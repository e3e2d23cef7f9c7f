//! Manifests that follow one another.

use protocol::cose::VerifyingKey;
use protocol::manifest::{ManifestError, ManifestPin, SignedManifest, Succession};
use protocol::time::UnixTime;

use super::LogRefusal;

/// The chain of manifests, followed one by one.
pub(crate) struct Chain<'a> {
    dp_key: &'a VerifyingKey,
    last: Option<ManifestPin>,
    published_at: Option<UnixTime>,
}

impl<'a> Chain<'a> {
    /// From the first manifest on.
    pub(crate) fn new(dp_key: &'a VerifyingKey) -> Self {
        Self {
            dp_key,
            last: None,
            published_at: None,
        }
    }

    /// From one that was accepted.
    pub(crate) fn after(pin: ManifestPin, dp_key: &'a VerifyingKey) -> Self {
        Self {
            last: Some(pin),
            ..Self::new(dp_key)
        }
    }

    /// The next one: signed by the provider, with the next sequence, naming the
    /// one before; OPRF epochs and times never go back, and an epoch has one key.
    ///
    /// # Errors
    /// [`LogRefusal::Chain`], [`LogRefusal::Entry`].
    pub(crate) fn follow(&mut self, entry: &[u8]) -> Result<(), LogRefusal> {
        let sequence = self.last.map_or(0, |last| last.sequence) + 1;
        self.try_follow(entry, sequence)
            .map_err(|reason| LogRefusal::Chain { sequence, reason })?
            .ok_or(LogRefusal::Entry { sequence })
    }

    fn try_follow(&mut self, entry: &[u8], sequence: u64) -> Result<Option<()>, ManifestError> {
        let signed = SignedManifest::from_bytes(entry)?;
        // Most have expired; each was valid once.
        let manifest = signed.verify(self.dp_key, signed.unverified().published_at)?;
        if manifest.sequence != sequence {
            return Ok(None);
        }
        if let Some(last) = &self.last
            && last.succession(&signed)? != Succession::Next
        {
            return Ok(None);
        }
        if let Some(before) = self.published_at
            && manifest.published_at < before
        {
            return Ok(None);
        }
        self.published_at = Some(manifest.published_at);
        self.last = Some(signed.pin());
        Ok(Some(()))
    }

    /// The last one that was followed.
    pub(crate) fn last(&self) -> Option<ManifestPin> {
        self.last
    }
}
