//! This process: the memory that it takes, and tests that run alone in it or in a process of their own.

use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::programs::stdout;

/// Lets one test run at a time, so that what it measures of the process is its own.
pub fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Fails if anything took as long as `limit`. In the short form, which runs beside other programs, one thing may have:
/// it may have been preempted.
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

/// Limits the address space of this process.
#[cfg(target_os = "linux")]
pub fn limit_address_space(bytes: u64) {
    let limit = libc::rlimit {
        rlim_cur: bytes,
        rlim_max: bytes,
    };
    // SAFETY: it reads the limit, and changes what this process may have.
    let done = unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) };
    assert_eq!(done, 0);
}

/// Is set for a [`child`].
const CHILD: &str = "UNETSEGMENT_CHILD";

/// This very program, to run one of its tests that is ignored otherwise.
pub fn child(test: &str) -> Command {
    let mut program = Command::new(std::env::current_exe().unwrap());
    program.args(["--exact", test, "--ignored"]).env(CHILD, "1");
    program
}

/// Whether this process is a [`child`]: not every one that runs ignored tests is.
pub fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// Runs a [`child`] with these variables set, which must pass, and returns its standard output.
pub fn run_child(test: &str, variables: &[(&str, &str)]) -> String {
    let mut child = child(test);
    child.args(["--nocapture", "--test-threads=1"]);
    let output = child.envs(variables.iter().copied()).output();
    stdout(&output.unwrap())
}
