//! What every store must do: the suite that each implementation runs.
//!
//! ```text
//! contract::check(&|| Box::new(MyBench::fresh()));
//! ```

mod audience;
mod audit;
mod rows;

use super::Store;

/// A place for one store, empty at first and removed when dropped.
pub trait Bench {
    /// Opens the store there; again only after the one before was dropped.
    fn open(&self) -> Box<dyn Store>;

    /// Everything that lies at rest there, closed.
    fn at_rest(&self) -> Vec<Vec<u8>>;
}

/// Makes fresh benches.
pub type Fresh<'a> = &'a dyn Fn() -> Box<dyn Bench>;

/// Runs the whole contract.
///
/// # Panics
/// If the implementation breaks it, by the first promise that it breaks.
pub fn check(fresh: Fresh<'_>) {
    rows::check(fresh);
    audience::check(fresh);
    audit::check(fresh);
}
