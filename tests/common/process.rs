//! This very process: what it takes, and tests in it that run alone or in processes of their own.

use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What a process takes can be told only while one test runs.
pub fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Nothing took as long as `limit`. In the short form, which runs beside other programs, one thing may have: it may have
/// been preempted.
pub fn assert_quick(times: &[Duration], limit: Duration) {
    let slow: Vec<_> = times.iter().filter(|time| **time >= limit).collect();
    let allowed = super::short_or_long(1, 0);
    assert!(
        slow.len() <= allowed,
        "{slow:?} of {} are {limit:?} or more",
        times.len()
    );
}

/// Memory of this process in KiB, by the names of `/proc/self/status`: `VmRSS` is what it has, `VmHWM` the most it had.
#[cfg(target_os = "linux")]
pub fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let mut lines = status.lines();
    let line = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kib = line.unwrap().split_whitespace().next().unwrap();
    kib.parse().unwrap()
}

/// This very program, to run one of its tests that is ignored otherwise.
pub fn child(test: &str) -> Command {
    let mut program = Command::new(std::env::current_exe().unwrap());
    program.args(["--exact", test, "--ignored"]);
    program
}
