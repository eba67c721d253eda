//! Mutexes and condition variables that ignore poisoning: no content is left half written where something could panic.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The content of a mutex, even after a panic of a thread that held it.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until `changed` is notified.
#[cfg(feature = "plugin")]
pub fn wait<'a, T>(changed: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    let woken = changed.wait(guard);
    woken.unwrap_or_else(PoisonError::into_inner)
}

/// Waits until `changed` is notified, no longer than `limit`.
pub fn wait_timeout<'a, T>(
    changed: &Condvar,
    guard: MutexGuard<'a, T>,
    limit: Duration,
) -> MutexGuard<'a, T> {
    let woken = changed.wait_timeout(guard, limit);
    woken.unwrap_or_else(PoisonError::into_inner).0
}

/// Waits while `condition` holds, no longer than `limit`.
pub fn wait_timeout_while<'a, T>(
    changed: &Condvar,
    guard: MutexGuard<'a, T>,
    limit: Duration,
    condition: impl FnMut(&mut T) -> bool,
) -> MutexGuard<'a, T> {
    let woken = changed.wait_timeout_while(guard, limit, condition);
    woken.unwrap_or_else(PoisonError::into_inner).0
}
