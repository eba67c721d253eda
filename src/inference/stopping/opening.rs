//! Cancelling the opening of a model.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use super::{Callbacks, register};
use crate::lock::lock;

/// Cancels the opening of a model from another thread, for good; its clones share its state.
#[derive(Clone, Default)]
pub struct Canceller(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    cancelled: bool,
    /// One for each piece of work in progress.
    callbacks: Callbacks,
}

impl Canceller {
    /// Ends the work in progress, and any that starts later.
    pub fn cancel(&self) {
        let mut state = self.lock();
        state.cancelled = true;
        state.callbacks.values().for_each(|end| end());
    }

    /// Whether it was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.lock().cancelled
    }

    /// Runs `work`, which `end` ends; `end` is called at once if this was cancelled before.
    pub fn during<T>(&self, end: impl Fn() + Send + 'static, work: impl FnOnce() -> T) -> T {
        let number = {
            let mut state = self.lock();
            if state.cancelled {
                end();
            }
            register(&mut state.callbacks, end)
        };
        let result = work();
        self.lock().callbacks.remove(&number);
        result
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }
}

impl fmt::Debug for Canceller {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Canceller({})", self.is_cancelled())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn concurrent_work_is_all_ended() {
        let ended = Arc::new(AtomicU32::new(0));
        let end = || {
            let ended = ended.clone();
            move || {
                ended.fetch_add(1, Ordering::SeqCst);
            }
        };
        let canceller = Canceller::default();
        canceller.during(end(), || {
            canceller.during(end(), || ());
            canceller.during(end(), || canceller.cancel());
        });
        assert_eq!(ended.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn it_ends_current_and_later_work() {
        let ends = Arc::new(AtomicU32::new(0));
        let end = |ends: &Arc<AtomicU32>| {
            let ends = ends.clone();
            move || {
                ends.fetch_add(1, Ordering::SeqCst);
            }
        };
        let canceller = Canceller::default();
        let other = canceller.clone();
        canceller.during(end(&ends), || ());
        canceller.during(end(&ends), || other.cancel());
        assert_eq!(ends.load(Ordering::SeqCst), 1);
        assert!(canceller.is_cancelled());
        canceller.during(end(&ends), || ());
        assert_eq!(ends.load(Ordering::SeqCst), 2);
        other.cancel();
        assert_eq!(ends.load(Ordering::SeqCst), 2);
    }
}
