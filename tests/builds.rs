//! When snapshots are built: by a server, and by a builder beside it. Both are
//! programs here, and what is published is read from their data directory.

#[path = "builds/bench.rs"]
mod bench;
#[path = "builds/role.rs"]
mod role;
#[path = "builds/schedule.rs"]
mod schedule;
