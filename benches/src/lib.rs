//! Fixtures, machine measurements and the report that the benchmarks share.

pub mod arithmetic;
pub mod bandwidth;
pub mod fixture;
pub mod oprf;
pub mod report;
pub mod snapshots;
pub mod spread;
