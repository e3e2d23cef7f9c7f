//! Facts of the machine that a result depends on, from Linux.

use std::fs;

use anyhow::{Context, Result};
use serde::Serialize;

/// The machine and its state when the run began.
#[derive(Debug, Serialize)]
pub struct Machine {
    /// Processor model.
    pub processor: String,
    /// Threads that this process may use.
    pub threads: usize,
    /// Of the instruction sets that kernels are written for, those it has.
    pub features: Vec<&'static str>,
    /// Caches of the first core, such as `L2 512K`.
    pub caches: Vec<String>,
    /// Memory, GiB.
    pub memory_gib: f64,
    /// Kernel version.
    pub kernel: String,
    /// The kernel's setting for transparent huge pages.
    pub huge_pages: String,
    /// Average number of running tasks over the last minute, before the run:
    /// above 0, others share the machine.
    pub load: f64,
}

impl Machine {
    /// This machine now; what can't be found out is `unknown` or 0.
    #[must_use]
    pub fn detect() -> Self {
        Self {
            processor: field("/proc/cpuinfo", "model name").unwrap_or_else(unknown),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            features: features(),
            caches: (0..5).filter_map(cache).collect(),
            memory_gib: kib("/proc/meminfo", "MemTotal").unwrap_or_default() as f64
                / f64::from(1 << 20),
            kernel: line("/proc/sys/kernel/osrelease").unwrap_or_else(unknown),
            huge_pages: line("/sys/kernel/mm/transparent_hugepage/enabled")
                .and_then(|all| Some(all.split_once('[')?.1.split_once(']')?.0.to_owned()))
                .unwrap_or_else(unknown),
            load: line("/proc/loadavg")
                .and_then(|all| all.split(' ').next()?.parse().ok())
                .unwrap_or_default(),
        }
    }
}

/// Starts a new measurement of [`peak_rss_bytes`].
///
/// # Errors
///
/// If the kernel doesn't let it.
pub fn reset_peak_rss() -> Result<()> {
    fs::write("/proc/self/clear_refs", "5").context("can't reset the peak of memory")
}

/// Largest resident set of this process since the last reset.
///
/// # Errors
///
/// If the kernel doesn't tell it.
pub fn peak_rss_bytes() -> Result<u64> {
    let kib = kib("/proc/self/status", "VmHWM").context("no VmHWM in /proc/self/status")?;
    Ok(kib * 1024)
}

fn unknown() -> String {
    "unknown".to_owned()
}

fn line(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

/// The value of `name: value` in a file of such lines.
fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let values = text.lines().filter_map(|line| line.split_once(':'));
    let mut values = values.filter(|(found, _)| found.trim() == name);
    Some(values.next()?.1.trim().to_owned())
}

fn kib(path: &str, name: &str) -> Option<u64> {
    field(path, name)?.strip_suffix(" kB")?.trim().parse().ok()
}

fn cache(index: usize) -> Option<String> {
    let fact = |name| {
        line(&format!(
            "/sys/devices/system/cpu/cpu0/cache/index{index}/{name}"
        ))
    };
    let (level, kind, size) = (fact("level")?, fact("type")?, fact("size")?);
    let kind = match kind.as_str() {
        "Data" => "d",
        "Instruction" => return None,
        _ => "",
    };
    Some(format!("L{level}{kind} {size}"))
}

#[cfg(target_arch = "x86_64")]
fn features() -> Vec<&'static str> {
    [
        ("avx2", is_x86_feature_detected!("avx2")),
        ("avxvnni", is_x86_feature_detected!("avxvnni")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
        ("avx512bw", is_x86_feature_detected!("avx512bw")),
        ("avx512vnni", is_x86_feature_detected!("avx512vnni")),
    ]
    .into_iter()
    .filter_map(|(name, found)| found.then_some(name))
    .collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn features() -> Vec<&'static str> {
    Vec::new()
}
