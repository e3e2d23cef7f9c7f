//! How long removals take until nothing that is served has what they removed.

use std::ops::ControlFlow;

use protocol::audit::Action;
use protocol::time::UnixTime;

use crate::store::{StoreError, View};

/// Entries of the audit log that are read at a time.
const PAGE: usize = 4096;

/// The removals and releases among the entries of the audit log from `from` until
/// before `to`: they are in the newest snapshot, were not in the one before, and
/// that has gone now. Gives the seconds from the acceptance of each until `now`.
///
/// # Errors
/// [`StoreError`].
pub fn gone(view: &dyn View, from: u64, to: u64, now: UnixTime) -> Result<Vec<u64>, StoreError> {
    let mut seconds = Vec::new();
    each(view, from, to, |_, at| {
        seconds.push(now.secs_since(at));
        ControlFlow::Continue(())
    })?;
    Ok(seconds)
}

/// Index and time of the first removal or release among these entries.
///
/// # Errors
/// [`StoreError`].
pub fn first(view: &dyn View, from: u64, to: u64) -> Result<Option<(u64, UnixTime)>, StoreError> {
    let mut first = None;
    each(view, from, to, |index, at| {
        first = Some((index, at));
        ControlFlow::Break(())
    })?;
    Ok(first)
}

/// Shows index and time of each removal and release, in order.
fn each(
    view: &dyn View,
    from: u64,
    to: u64,
    mut show: impl FnMut(u64, UnixTime) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let mut next = from;
    while next < to {
        let most = PAGE.min(usize::try_from(to - next).unwrap_or(PAGE));
        let entries = view.audit(next, most)?;
        let Some(last) = entries.last() else { break };
        next = last.index + 1;
        for entry in entries {
            if matches!(entry.action, Action::Removal | Action::Release)
                && show(entry.index, entry.at).is_break()
            {
                return Ok(());
            }
        }
    }
    Ok(())
}
