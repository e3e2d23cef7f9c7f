//! Fixtures, machine measurements and the report that the benchmarks share.

pub mod bandwidth;
pub mod fixture;
pub mod report;
pub mod spread;
