//! How long removals take until nothing that is served has what they removed.

use protocol::audit::Action;
use protocol::time::UnixTime;

use crate::store::{StoreError, View};

/// Entries of the audit log that are read at a time.
const PAGE: usize = 4096;

/// Removals that have left every served snapshot together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gone {
    /// How many.
    pub removals: u64,
    /// Seconds from the acceptance of the first of them until now.
    pub slowest_secs: u64,
}

/// The removals and releases among the entries of the audit log from `from` until
/// before `to`: they are in the newest snapshot, were not in the one before, and
/// that has gone now.
///
/// # Errors
/// [`StoreError`].
pub fn gone(view: &dyn View, from: u64, to: u64, now: UnixTime) -> Result<Gone, StoreError> {
    let mut gone = Gone::default();
    let mut next = from;
    while next < to {
        let most = PAGE.min(usize::try_from(to - next).unwrap_or(PAGE));
        let entries = view.audit(next, most)?;
        let Some(last) = entries.last() else { break };
        next = last.index + 1;
        for entry in entries {
            if matches!(entry.action, Action::Removal | Action::Release) {
                gone.removals += 1;
                gone.slowest_secs = gone.slowest_secs.max(now.secs_since(entry.at));
            }
        }
    }
    Ok(gone)
}
