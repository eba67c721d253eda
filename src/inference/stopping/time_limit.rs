//! A limit for what may take for ever: loading a model, and its first run.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::runs::Stopper;
use crate::inference::error::ModelError;
use crate::inference::provider::Provider;
use crate::lock::lock;

/// How long a model may take to load on the processor, and how long its first run may take there.
const ON_PROCESSOR: Duration = Duration::from_secs(120);

/// The same on other providers, some of which first compile the whole network.
const ELSEWHERE: Duration = Duration::from_secs(1800);

/// How long loading a model on `provider` may take, and a first run of it.
pub(in crate::inference) fn limit(provider: Provider) -> Duration {
    match provider {
        Provider::Cpu => ON_PROCESSOR,
        _ => ELSEWHERE,
    }
}

/// What `work` makes, a first run of the model in the file `path`, which is ended through `stopper` when it takes
/// longer on `provider` than it may.
///
/// To be called in the turn of the run, so that runs of other models in the same session don't count.
pub(in crate::inference) fn in_time<R>(
    (path, provider): (&Path, Provider),
    stopper: &Stopper,
    work: impl FnOnce() -> Result<R, ModelError>,
) -> Result<R, ModelError> {
    let limit = limit(provider);
    let ends = stopper.clone();
    let watchdog = Watchdog::new(limit, move || ends.expire());
    let made = work();
    if watchdog.end() {
        stopper.forgive();
        return Err(ModelError::Slow {
            path: path.to_owned(),
            seconds: limit.as_secs(),
        });
    }
    made
}

/// Acts when time is up, unless it is dropped before.
pub(in crate::inference) struct Watchdog(Arc<(Mutex<State>, Condvar)>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Dismissed,
    Acted,
}

impl Watchdog {
    /// Calls `act` after `limit`. Where no thread can be had for that, nothing watches.
    pub fn new(limit: Duration, act: impl FnOnce() + Send + 'static) -> Self {
        let shared = Arc::new((Mutex::new(State::Waiting), Condvar::new()));
        let watched = shared.clone();
        let watch = move || {
            let (state, changed) = &*watched;
            let state = lock(state);
            let waiting =
                changed.wait_timeout_while(state, limit, |state| *state == State::Waiting);
            let (mut state, _) = waiting.unwrap_or_else(PoisonError::into_inner);
            if *state == State::Waiting {
                *state = State::Acted;
                // Before the thread that it watches sees that it has acted, and undoes it. `act` takes no lock that the
                // other thread holds while it waits for this one.
                act();
            }
        };
        // It fails where threads can't be had; then nothing ends what takes too long.
        let _ = thread::Builder::new()
            .name("unetsegment:watch".into())
            .spawn(watch);
        Watchdog(shared)
    }

    /// Watches no longer; whether time was up before, and what is done then was done.
    pub fn end(&self) -> bool {
        let (state, changed) = &*self.0;
        let mut state = lock(state);
        if *state == State::Waiting {
            *state = State::Dismissed;
            changed.notify_all();
        }
        *state == State::Acted
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn it_acts_when_time_is_up_and_not_before() {
        let (send, heard) = channel();
        let dismissed = Watchdog::new(Duration::from_secs(3600), {
            let send = send.clone();
            move || send.send("dismissed").unwrap()
        });
        assert!(!dismissed.end());
        drop(dismissed);
        let acting = Watchdog::new(Duration::from_millis(1), move || {
            send.send("acted").unwrap()
        });
        assert_eq!(heard.recv(), Ok("acted"));
        assert!(acting.end());
        assert!(heard.recv().is_err(), "the dismissed one has acted");
    }

    /// The thread that sees that it has acted may undo what it has done.
    #[test]
    fn it_is_done_once_it_is_seen_to_have_acted() {
        let done = Arc::new(AtomicBool::new(false));
        let (began, beginning) = channel();
        let slow = Watchdog::new(Duration::from_millis(1), {
            let done = done.clone();
            move || {
                began.send(()).unwrap();
                thread::sleep(Duration::from_millis(50));
                done.store(true, Ordering::SeqCst);
            }
        });
        beginning.recv().unwrap();
        assert!(slow.end());
        assert!(done.load(Ordering::SeqCst));
    }
}
