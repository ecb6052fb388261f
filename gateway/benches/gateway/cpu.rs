//! Processor time and memory of another process, and on which core one runs.

use std::fs;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

/// The core of what is measured.
pub const MEASURED: usize = 0;
/// The core of load and server.
pub const LOAD: usize = 1;

/// Holds this process on one core, where there are two.
pub fn pin(core: usize) {
    let mut set = CpuSet::new();
    if set.set(core).is_ok() {
        // With one core there is nothing to choose.
        sched_setaffinity(Pid::from_raw(0), &set).ok();
    }
}

/// A process whose time can be read.
#[derive(Clone, Copy)]
pub struct Cpu(pub u32);

impl Cpu {
    /// Time its threads have run, in nanoseconds (the first number of `schedstat`).
    pub fn nanoseconds(self) -> u64 {
        let threads = fs::read_dir(format!("/proc/{}/task", self.0)).into_iter().flatten().flatten();
        threads
            .filter_map(|thread| fs::read_to_string(thread.path().join("schedstat")).ok())
            .filter_map(|text| text.split(' ').next()?.parse::<u64>().ok())
            .sum()
    }

    /// What of it is in memory, in KiB (`VmRSS`).
    pub fn resident_kib(self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0)).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
    }
}
