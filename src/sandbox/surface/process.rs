//! What the system says of this process and the machine, from `/proc`. Where that is not to be had, nothing is said.

use std::fs;

use super::exposition::{Family, Type};

/// Memory and threads, as far as they are known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Process {
    /// Memory of the process now.
    pub(super) resident_bytes: Option<u64>,
    /// The most that it was.
    pub(super) peak_bytes: Option<u64>,
    pub(super) threads: Option<u64>,
    /// Memory of the machine.
    pub(super) machine_bytes: Option<u64>,
}

impl Process {
    /// Looks.
    pub(super) fn look() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let machine = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let kilobytes = |text: &str, name: &str| field(text, name).map(|value| value.saturating_mul(1024));
        Self {
            resident_bytes: kilobytes(&status, "VmRSS"),
            peak_bytes: kilobytes(&status, "VmHWM"),
            threads: field(&status, "Threads"),
            machine_bytes: kilobytes(&machine, "MemTotal"),
        }
    }
}

impl Process {
    /// The same as metrics, by the names that exporters agree on.
    pub(super) fn families(&self) -> Vec<Family> {
        let gauge = |name, unit, help, value: Option<u64>| Some(Family::one(name, Type::Gauge, unit, help, value?));
        let all = [
            gauge("process_resident_memory_bytes", "bytes", "memory of the process", self.resident_bytes),
            gauge("process_threads", "nounit", "threads of the process", self.threads),
        ];
        all.into_iter().flatten().collect()
    }
}

/// The number in a line such as `VmRSS:     1234 kB`.
fn field(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    value.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let text = "VmRSSx:\t1 kB\nVmRSS:\t   1234 kB\nThreads:\t7\n";
        assert_eq!((field(text, "VmRSS"), field(text, "Threads"), field(text, "Vm")), (Some(1234), Some(7), None));
    }
}
