//! Time limits for loading a model and for its first run.

use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use super::no_thread;
use super::runs::Stopper;
use crate::inference::error::ModelError;
use crate::inference::provider::Provider;
use crate::lock::{lock, wait_timeout_while};

/// The time limit of a load, and that of a first run, on the processor.
const ON_PROCESSOR: Duration = Duration::from_secs(120);

/// The same for other providers, some of which first compile the whole network.
const ELSEWHERE: Duration = Duration::from_secs(1800);

/// The time limit of loading a model on `provider`, and that of its first run.
pub(in crate::inference) fn limit(provider: Provider) -> Duration {
    match provider {
        Provider::Cpu => ON_PROCESSOR,
        _ => ELSEWHERE,
    }
}

/// Calls `work`, a first run of the model in the file `path`, and ends it through `stopper` when it exceeds the time
/// limit of `provider`.
///
/// To be called while the model holds the session, so that waiting for other models doesn't count.
pub(in crate::inference) fn in_time<R>(
    (path, provider): (&Path, Provider),
    stopper: &Stopper,
    work: impl FnOnce() -> Result<R, ModelError>,
) -> Result<R, ModelError> {
    let limit = limit(provider);
    let expiring = stopper.clone();
    // Without a time limit, it does not run at all.
    let watchdog =
        Watchdog::new(limit, move || expiring.expire()).map_err(|error| ModelError::NoThread {
            path: path.to_owned(),
            reason: no_thread(&error),
        })?;
    let result = work();
    if watchdog.dismiss() {
        stopper.clear_expired();
        return Err(ModelError::Slow {
            path: path.to_owned(),
            seconds: limit.as_secs(),
        });
    }
    result
}

/// Acts when its time is up, unless it is dropped before.
pub(in crate::inference) struct Watchdog(Arc<(Mutex<State>, Condvar)>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Dismissed,
    Acted,
}

impl Watchdog {
    /// Calls `act` after `limit`.
    ///
    /// # Errors
    /// If no thread can be created for it.
    pub fn new(limit: Duration, act: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new((Mutex::new(State::Waiting), Condvar::new()));
        let watched = shared.clone();
        let watch = move || {
            let (state, changed) = &*watched;
            let state = lock(state);
            let waits = |state: &mut State| *state == State::Waiting;
            let mut state = wait_timeout_while(changed, state, limit, waits);
            if *state == State::Waiting {
                *state = State::Acted;
                // Under the lock, so that the watched thread can't undo this before it is done. `act` takes no lock
                // that the other thread holds while it waits for this one.
                act();
            }
        };
        let thread = thread::Builder::new().name("unetsegment:watch".into());
        thread.spawn(watch)?;
        Ok(Watchdog(shared))
    }

    /// Stops watching; returns whether its time was up before and it has acted.
    pub fn dismiss(&self) -> bool {
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
        self.dismiss();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn it_acts_when_time_is_up_and_not_before() {
        let (send, acted) = channel();
        let dismissed = Watchdog::new(Duration::from_secs(3600), {
            let send = send.clone();
            move || send.send("dismissed").unwrap()
        })
        .unwrap();
        assert!(!dismissed.dismiss());
        drop(dismissed);
        let acting = Watchdog::new(Duration::from_millis(1), move || {
            send.send("acted").unwrap()
        })
        .unwrap();
        assert_eq!(acted.recv(), Ok("acted"));
        assert!(acting.dismiss());
        assert!(acted.recv().is_err(), "the dismissed one has acted");
    }

    /// The watched thread may undo the action.
    #[test]
    fn the_action_is_complete_when_dismiss_returns_true() {
        let done = Arc::new(AtomicBool::new(false));
        let (send, started) = channel();
        let slow = Watchdog::new(Duration::from_millis(1), {
            let done = done.clone();
            move || {
                send.send(()).unwrap();
                thread::sleep(Duration::from_millis(50));
                done.store(true, Ordering::SeqCst);
            }
        })
        .unwrap();
        started.recv().unwrap();
        assert!(slow.dismiss());
        assert!(done.load(Ordering::SeqCst));
    }
}
