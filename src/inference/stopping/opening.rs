//! Ending the opening of a model before it is done.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::lock::lock;

/// Ends what takes long while a model is opened, from another thread and for good; its clones do the same.
#[derive(Clone, Default)]
pub struct Canceller(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    cancelled: bool,
    /// What ends each of those that are going on.
    ends: Vec<(u64, Box<dyn Fn() + Send>)>,
    next: u64,
}

impl Canceller {
    /// Ends what is going on, and lets nothing begin any more.
    pub fn cancel(&self) {
        let mut state = self.lock();
        state.cancelled = true;
        for (_, end) in &state.ends {
            end();
        }
    }

    /// Whether it was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.lock().cancelled
    }

    /// Does `work`, which `end` ends; it does so at once where it is cancelled already.
    pub fn during<T>(&self, end: impl Fn() + Send + 'static, work: impl FnOnce() -> T) -> T {
        let number = {
            let mut state = self.lock();
            if state.cancelled {
                end();
            }
            let number = state.next;
            state.next += 1;
            state.ends.push((number, Box::new(end)));
            number
        };
        let result = work();
        self.lock().ends.retain(|(other, _)| *other != number);
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
    fn several_at_a_time_are_all_ended() {
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
    fn it_ends_what_is_going_on_and_what_comes_later() {
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
