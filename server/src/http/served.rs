//! The snapshots that are served: the newest and, for a time, the one before, for
//! those who have not heard of the newest yet.

use std::cmp::Ordering;
use std::sync::Arc;

use protocol::manifest::{SignedManifest, SnapshotId};
use protocol::merkle::Hash;

use super::StartError;
use crate::snapshot::Snapshot;

/// At most two, so that memory for two databases is enough.
#[derive(Clone, Default)]
pub(super) struct Served {
    newest: Option<Arc<Snapshot>>,
    before: Option<Arc<Snapshot>>,
    /// Sequence and digest of the last manifest that was served, also if nothing is
    /// served now.
    last: Option<(u64, Hash)>,
    /// Whether nothing may be served any more.
    condemned: bool,
}

impl Served {
    pub(super) fn newest(&self) -> Option<&Arc<Snapshot>> {
        self.newest.as_ref()
    }

    pub(super) fn before(&self) -> Option<&Arc<Snapshot>> {
        self.before.as_ref()
    }

    pub(super) fn is_condemned(&self) -> bool {
        self.condemned
    }

    /// The one with this name.
    pub(super) fn named(&self, id: &SnapshotId) -> Option<&Arc<Snapshot>> {
        let mut both = self.newest.iter().chain(&self.before);
        both.find(|snapshot| snapshot.id() == *id)
    }

    /// Refuses what must not follow what was served last. Clients who have seen that
    /// refuse an older manifest, and another one in its place.
    pub(super) fn require_successor(&self, manifest: &SignedManifest) -> Result<(), StartError> {
        let sequence = manifest.unverified().sequence;
        self.require_later(sequence, &manifest.digest())
    }

    /// The same of a manifest's sequence and digest.
    pub(super) fn require_later(&self, found: u64, digest: &Hash) -> Result<(), StartError> {
        if self.condemned {
            return Err(StartError::Condemned);
        }
        let Some((known, last)) = self.last else {
            return Ok(());
        };
        match found.cmp(&known) {
            Ordering::Less => Err(StartError::Older { known, found }),
            Ordering::Equal if *digest != last => Err(StartError::Equivocation { sequence: found }),
            Ordering::Equal | Ordering::Greater => Ok(()),
        }
    }

    /// With another newest one, unless it [must not follow](Self::require_successor):
    /// what was the newest is the one before. One of the same content only takes its
    /// place.
    pub(super) fn with(&self, snapshot: Arc<Snapshot>) -> Self {
        let manifest = snapshot.signed_manifest();
        if self.require_successor(manifest).is_err() {
            return self.clone();
        }
        let last = Some((manifest.unverified().sequence, manifest.digest()));
        let id = snapshot.id();
        let succeeded = self.newest.as_ref().filter(|newest| newest.id() != id);
        let before = succeeded.or(self.before.as_ref());
        Self {
            before: before.filter(|before| before.id() != id).cloned(),
            newest: Some(snapshot),
            last,
            condemned: false,
        }
    }

    pub(super) fn without_before(&self) -> Self {
        Self {
            before: None,
            ..self.clone()
        }
    }

    /// Nothing, for good or until there is another.
    pub(super) fn withdrawn(&self, condemned: bool) -> Self {
        Self {
            newest: None,
            before: None,
            last: self.last,
            condemned: self.condemned || condemned,
        }
    }

    /// Without those of which a pass has failed its check.
    pub(super) fn without_faulty(&self) -> Self {
        let sound = |snapshot: &Option<Arc<Snapshot>>| {
            snapshot.clone().filter(|snapshot| !snapshot.is_faulty())
        };
        Self {
            newest: sound(&self.newest),
            before: sound(&self.before),
            last: self.last,
            condemned: self.condemned,
        }
    }
}
