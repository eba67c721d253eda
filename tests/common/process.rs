//! This very process: what it takes, and tests in it that run alone or in processes of their own.

use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a process takes can be told only while one test runs.
pub fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
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
