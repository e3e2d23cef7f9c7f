//! The removal that has waited longest to leave what is served.

use protocol::time::UnixTime;

use crate::freshness;
use crate::store::{StoreError, View};

/// Where it is in the audit log. Remembered, so that no entry is read at every look.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// Its index, or the first that has not been looked at.
    next: u64,
    since: Option<UnixTime>,
    /// Entries of the oldest served snapshot at the last look.
    served: u64,
}

impl Waiting {
    /// When the first removal was accepted that the oldest served snapshot, which has
    /// `served` entries of the audit log, doesn't have; `None` if it has all.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) fn since(
        &mut self,
        view: &dyn View,
        served: u64,
        entries: u64,
    ) -> Result<Option<UnixTime>, StoreError> {
        if self.next < served || served < self.served {
            self.next = served;
            self.since = None;
        }
        self.served = served;
        if self.since.is_none() {
            let first = freshness::first(view, self.next, entries)?;
            self.next = first.map_or(entries.max(self.next), |(index, _)| index);
            self.since = first.map(|(_, at)| at);
        }
        Ok(self.since)
    }
}
