//! The snapshots that are served: the newest and, for a time, the one before, for
//! those who have not heard of the newest yet.

use std::sync::Arc;

use protocol::manifest::SnapshotId;

use crate::snapshot::Snapshot;

/// At most two, so that memory for two databases is enough.
#[derive(Clone, Default)]
pub(super) struct Served {
    newest: Option<Arc<Snapshot>>,
    before: Option<Arc<Snapshot>>,
}

impl Served {
    pub(super) fn newest(&self) -> Option<&Arc<Snapshot>> {
        self.newest.as_ref()
    }

    pub(super) fn before(&self) -> Option<&Arc<Snapshot>> {
        self.before.as_ref()
    }

    /// The one with this name.
    pub(super) fn named(&self, id: &SnapshotId) -> Option<&Arc<Snapshot>> {
        let mut both = self.newest.iter().chain(&self.before);
        both.find(|snapshot| snapshot.id() == *id)
    }

    /// With another newest one: what was the newest is the one before. One of the
    /// same content only takes its place.
    pub(super) fn with(&self, snapshot: Arc<Snapshot>) -> Self {
        let id = snapshot.id();
        let succeeded = self.newest.as_ref().filter(|newest| newest.id() != id);
        let before = succeeded.or(self.before.as_ref());
        Self {
            before: before.filter(|before| before.id() != id).cloned(),
            newest: Some(snapshot),
        }
    }

    /// The same, unless the newest one is newer: it came while this one was read.
    pub(super) fn with_unless_newer(&self, snapshot: &Arc<Snapshot>) -> Self {
        match self.is_newer_than(snapshot) {
            true => self.clone(),
            false => self.with(Arc::clone(snapshot)),
        }
    }

    pub(super) fn is_newer_than(&self, snapshot: &Snapshot) -> bool {
        let known = self.newest.as_ref();
        known.is_some_and(|known| known.manifest().sequence > snapshot.manifest().sequence)
    }

    pub(super) fn without_before(&self) -> Self {
        Self {
            newest: self.newest.clone(),
            before: None,
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
        }
    }
}
