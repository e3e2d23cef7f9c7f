//! Whether there is memory for something large, said before it is begun.
//!
//! Without this check the operating system would end the process in the middle,
//! or begin to swap.

use std::fmt;

use sysinfo::{MemoryRefreshKind, Pid, ProcessRefreshKind, ProcessesToUpdate, System};

/// Something that needs much memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Holding a snapshot to serve or to inspect it.
    Load,
    /// Building a snapshot.
    Build,
}

/// There is too little memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{purpose} needs {} of memory, of which {} are available: {}",
    Bytes(*.needed),
    Bytes(*.available),
    .purpose.advice()
)]
pub struct MemoryError {
    /// For what.
    pub purpose: Purpose,
    /// Bytes it takes.
    pub needed: u64,
    /// Bytes there are.
    pub available: u64,
}

/// How much memory may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// What the machine has left when it is asked, within the limits of the
    /// process's control groups.
    OfSystem,
    /// So many bytes.
    Exactly(u64),
}

impl Memory {
    /// Checks that `needed` bytes may be used.
    ///
    /// # Errors
    /// [`MemoryError`].
    pub fn require(self, purpose: Purpose, needed: u64) -> Result<(), MemoryError> {
        check(purpose, needed, self.available())
    }

    /// A zeroed buffer, once it is [required](Memory::require).
    ///
    /// # Errors
    /// [`MemoryError`], also if the allocation fails all the same.
    pub fn zeroed(self, purpose: Purpose, bytes: usize) -> Result<Vec<u8>, MemoryError> {
        let needed = bytes as u64;
        self.require(purpose, needed)?;
        let mut buffer = Vec::new();
        if buffer.try_reserve_exact(bytes).is_err() {
            return Err(self.refused(purpose, needed));
        }
        buffer.resize(bytes, 0);
        Ok(buffer)
    }

    /// The error of an allocation that failed.
    pub(crate) fn refused(self, purpose: Purpose, needed: u64) -> MemoryError {
        MemoryError {
            purpose,
            needed,
            available: self.available(),
        }
    }

    fn available(self) -> u64 {
        match self {
            Self::OfSystem => available(),
            Self::Exactly(bytes) => bytes,
        }
    }
}

/// What this process has used since it began; 0 where the system doesn't say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of the most memory that it has had resident.
    pub peak_bytes: u64,
    /// Bytes read from disks.
    pub read_bytes: u64,
    /// Bytes written to disks.
    pub written_bytes: u64,
}

impl Usage {
    /// As it is now.
    #[must_use]
    pub fn of_process() -> Self {
        let (mut system, pid) = (System::new(), Pid::from_u32(std::process::id()));
        system.refresh_processes_specifics(
            ProcessesToUpdate::Some(&[pid]),
            false,
            ProcessRefreshKind::nothing().with_disk_usage(),
        );
        let disks = system.process(pid).map(|own| own.disk_usage());
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        Self {
            peak_bytes: peak(&status).unwrap_or(0),
            read_bytes: disks.map_or(0, |disks| disks.total_read_bytes),
            written_bytes: disks.map_or(0, |disks| disks.total_written_bytes),
        }
    }
}

/// The high-water mark in Linux's `/proc/self/status`.
fn peak(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|it| it.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib << 10)
}

fn check(purpose: Purpose, needed: u64, available: u64) -> Result<(), MemoryError> {
    if needed <= available {
        Ok(())
    } else {
        Err(MemoryError {
            purpose,
            needed,
            available,
        })
    }
}

/// Bytes of memory that this process has; 0 where the system doesn't say.
pub fn resident() -> u64 {
    let mut system = System::new();
    let pid = Pid::from_u32(std::process::id());
    system.refresh_processes_specifics(
        ProcessesToUpdate::Some(&[pid]),
        false,
        ProcessRefreshKind::nothing().with_memory(),
    );
    system.process(pid).map_or(0, |own| own.memory())
}

/// Bytes that this process may still allocate; all there could be where the
/// system doesn't say.
fn available() -> u64 {
    let mut system = System::new();
    system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
    let pid = Pid::from_u32(std::process::id());
    system.refresh_processes_specifics(
        ProcessesToUpdate::Some(&[pid]),
        false,
        ProcessRefreshKind::nothing(),
    );
    let of_machine = match system.available_memory() {
        0 => u64::MAX,
        bytes => bytes,
    };
    let of_process = system.process(pid).and_then(|own| own.cgroup_limits());
    // A container may see its own group as the root.
    let limits = of_process.or_else(|| system.cgroup_limits());
    // What files left in the page cache counts as used in a group, but is given
    // back when there is need: only what programs allocated is not available.
    limits.map_or(of_machine, |limits| {
        of_machine.min(limits.total_memory.saturating_sub(limits.rss))
    })
}

impl Purpose {
    fn advice(self) -> &'static str {
        match self {
            Self::Load => {
                "stop other programs, raise the limit of the control group, or use a larger machine"
            }
            Self::Build => {
                "stop other programs, raise the limit of the control group, or build on a larger machine; what was published still is"
            }
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Load => "loading the snapshot",
            Self::Build => "building the snapshot",
        })
    }
}

/// A number of bytes for people.
pub(crate) struct Bytes(pub(crate) u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const GIB: f64 = (1u64 << 30) as f64;
        const MIB: f64 = (1u64 << 20) as f64;
        let bytes = self.0 as f64;
        if bytes >= GIB {
            write!(f, "{:.1} GiB", bytes / GIB)
        } else {
            write!(f, "{:.1} MiB", bytes / MIB)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_available_may_be_used_and_no_byte_more() {
        for purpose in [Purpose::Load, Purpose::Build] {
            for (needed, available) in [(0, 0), (1, 1), (5, 10), (u64::MAX, u64::MAX)] {
                assert_eq!(check(purpose, needed, available), Ok(()));
            }
            for (needed, available) in [(1, 0), (11, 10), (u64::MAX, u64::MAX - 1)] {
                let refused = MemoryError {
                    purpose,
                    needed,
                    available,
                };
                assert_eq!(check(purpose, needed, available), Err(refused));
            }
        }
    }

    #[test]
    fn the_error_says_how_much_of_what_and_what_to_do() {
        let error = check(Purpose::Build, 5 << 30, 3 << 19).unwrap_err();
        let text = error.to_string();
        for part in [
            "building the snapshot",
            "5.0 GiB",
            "1.5 MiB",
            "larger machine",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn this_machine_has_some_memory_but_not_all_there_could_be() {
        let available = available();
        assert!(available > 1 << 20 && available < 1 << 50, "{available}");
        assert_eq!(Memory::OfSystem.require(Purpose::Load, 1), Ok(()));
        assert!(Memory::OfSystem.require(Purpose::Load, 1 << 50).is_err());
    }

    #[test]
    fn the_peak_counts_what_was_used_and_given_back() {
        assert_eq!(peak("VmPeak:\t 9 kB\nVmHWM:\t   12 kB\n"), Some(12 << 10));
        for other in ["", "VmHWM:\t12 MB\n", "VmHWM:\t-1 kB\n"] {
            assert_eq!(peak(other), None);
        }
        const HELD: usize = 64 << 20;
        // Touched, or it isn't resident.
        drop(std::hint::black_box(vec![1_u8; HELD]));
        let usage = Usage::of_process();
        assert!(usage.peak_bytes >= HELD as u64, "{usage:?}");
    }

    #[test]
    fn buffers_are_zeroed_or_refused() {
        let buffer = Memory::OfSystem.zeroed(Purpose::Build, 1000).unwrap();
        assert_eq!(buffer, [0; 1000]);
        let memory = Memory::Exactly(999);
        assert!(memory.zeroed(Purpose::Build, 1000).is_err());
        // The figure may be wrong: then the allocation says so.
        let memory = Memory::Exactly(u64::MAX);
        assert!(memory.zeroed(Purpose::Build, usize::MAX / 2).is_err());
    }
}
