//! How much memory the process has used.

use std::fs;

/// The process's peak resident memory in bytes; 0 where the system does not tell (only Linux does, in `/proc`).
#[must_use]
pub fn peak_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|rest| rest.trim().strip_suffix("kB")).and_then(|text| text.trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
