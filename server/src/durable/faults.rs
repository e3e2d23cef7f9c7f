//! Steps that fail, for tests: as if they had not been done, or though they were.

use std::cell::Cell;
use std::io;

/// Which side of a step a failure is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// It was not done.
    Before,
    /// It was done, and reported as failed.
    After,
}

thread_local! {
    /// Steps until the one that fails, and how.
    static PLAN: Cell<Option<(u32, Side)>> = const { Cell::new(None) };
}

/// Has the step after so many others of this thread fail, and all after it, as
/// those of a process do that ends there. Gives whether one failed, while `run`
/// ran.
pub(crate) fn failing<T>(after: u32, side: Side, run: impl FnOnce() -> T) -> (T, bool) {
    PLAN.set(Some((after, side)));
    let result = run();
    let failed = matches!(PLAN.replace(None), Some((0, Side::Before)));
    (result, failed)
}

/// One step.
pub(super) fn step<T>(run: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let failure = || Err(io::Error::other("injected"));
    match PLAN.get() {
        None => run(),
        Some((0, Side::Before)) => failure(),
        Some((0, Side::After)) => {
            // What follows is not done.
            PLAN.set(Some((0, Side::Before)));
            run()?;
            failure()
        }
        Some((left, side)) => {
            PLAN.set(Some((left - 1, side)));
            run()
        }
    }
}
