//! What a build came to, for operators. It differs from run to run, and so is in
//! no published file.

use std::fmt;
use std::time::Instant;

use protocol::manifest::SnapshotId;

use crate::memory::{Bytes, Usage};

/// A build that published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finished {
    /// What it published.
    pub snapshot: SnapshotId,
    /// Bytes of the database that differ from the snapshot before, if the set-up
    /// started from that one's.
    pub changed_digits: Option<u64>,
    /// Milliseconds from its beginning until it was published.
    pub build_ms: u64,
    /// Bytes of the most memory that the process has had resident since it began,
    /// with what else it does; 0 where the system doesn't say.
    pub peak_bytes: u64,
    /// Bytes that the process read from disks meanwhile; 0 where the system doesn't
    /// say.
    pub read_bytes: u64,
    /// Bytes that it wrote to them.
    pub written_bytes: u64,
}

/// The figures of a build that runs.
pub(super) struct Begun {
    at: Instant,
    usage: Usage,
}

impl Begun {
    pub(super) fn now() -> Self {
        Self {
            at: Instant::now(),
            usage: Usage::of_process(),
        }
    }

    pub(super) fn finish(&self, snapshot: SnapshotId, changed_digits: Option<u64>) -> Finished {
        let (before, now) = (self.usage, Usage::of_process());
        Finished {
            snapshot,
            changed_digits,
            build_ms: self.at.elapsed().as_millis() as u64,
            peak_bytes: now.peak_bytes,
            read_bytes: now.read_bytes.saturating_sub(before.read_bytes),
            written_bytes: now.written_bytes.saturating_sub(before.written_bytes),
        }
    }
}

impl Finished {
    /// A line of the log.
    pub fn log(&self) {
        tracing::info!(
            snapshot = %self.snapshot,
            milliseconds = self.build_ms,
            peak_bytes = self.peak_bytes,
            read_bytes = self.read_bytes,
            written_bytes = self.written_bytes,
            changed_digits = self.changed_digits,
            "built a snapshot"
        );
    }
}

impl fmt::Display for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "memory up to {}, read {}, written {}, set up ",
            Bytes(self.peak_bytes),
            Bytes(self.read_bytes),
            Bytes(self.written_bytes)
        )?;
        match self.changed_digits {
            Some(digits) => write!(f, "from the one before, {digits} bytes changed"),
            None => f.write_str("in full"),
        }
    }
}
