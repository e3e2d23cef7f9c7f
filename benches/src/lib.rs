//! Fixtures and machine measurements that the benchmarks share.

pub mod bandwidth;
pub mod fixture;
