//! Ending the runs of an opened model.

use std::sync::{Arc, Mutex, MutexGuard};

use ort::session::RunOptions;

use super::process_exit::{self, OnEnd};
use crate::lock::lock;

/// Ends the runs of a model from another thread.
#[derive(Clone)]
pub struct Stopper {
    /// What its runs are given.
    pub(in crate::inference) options: Arc<RunOptions>,
    reasons: Arc<Mutex<Reasons>>,
    _on_end: Arc<OnEnd>,
}

/// Why runs are stopped. Each reason goes away on its own: when time is no longer up, a stop that is wanted stays.
#[derive(Default)]
struct Reasons {
    /// [`Stopper::stop`] was called.
    wanted: bool,
    /// Time is up.
    expired: bool,
    /// What a run is given that goes on with options of its own.
    others: Option<Arc<RunOptions>>,
}

impl Reasons {
    fn are_there(&self) -> bool {
        self.wanted || self.expired
    }
}

impl Stopper {
    /// One for the runs of one model, which are given its options.
    pub(in crate::inference) fn new() -> ort::Result<Self> {
        let options = Arc::new(RunOptions::new()?);
        let ended = options.clone();
        Ok(Stopper {
            options,
            reasons: Arc::default(),
            _on_end: Arc::new(OnEnd::new(move || drop(ended.terminate()))),
        })
    }

    /// Ends the run that is going on, within the time of one operator, and lets none begin.
    pub fn stop(&self) {
        self.change(|reasons| reasons.wanted = true);
    }

    /// Lets runs begin again.
    pub fn allow(&self) {
        self.change(|reasons| reasons.wanted = false);
    }

    /// Stops because time is up.
    pub(super) fn expire(&self) {
        self.change(|reasons| reasons.expired = true);
    }

    /// Lets runs begin again whose time was up, unless they were [stopped](Self::stop).
    pub(super) fn forgive(&self) {
        self.change(|reasons| reasons.expired = false);
    }

    /// Whether runs are stopped, as all are when the process ends.
    pub fn is_stopped(&self) -> bool {
        self.lock().are_there() || process_exit::is_ending()
    }

    /// Does `run`, which has `options` of its own, so that it can be stopped as well; nothing where runs are stopped.
    pub(in crate::inference) fn with_options<T>(
        &self,
        options: RunOptions,
        run: impl FnOnce(&RunOptions) -> T,
    ) -> Option<T> {
        let options = Arc::new(options);
        let ended = options.clone();
        let _on_end = OnEnd::new(move || drop(ended.terminate()));
        {
            let mut reasons = self.lock();
            if reasons.are_there() || process_exit::is_ending() {
                return None;
            }
            reasons.others = Some(options.clone());
        }
        let done = run(&options);
        self.lock().others = None;
        Some(done)
    }

    fn change(&self, change: impl FnOnce(&mut Reasons)) {
        let mut reasons = self.lock();
        change(&mut reasons);
        for options in [Some(&self.options), reasons.others.as_ref()] {
            // Both fail for a null pointer only.
            let _ = options.map(|options| match reasons.are_there() {
                true => options.terminate(),
                false => options.unterminate(),
            });
        }
    }

    fn lock(&self) -> MutexGuard<'_, Reasons> {
        lock(&self.reasons)
    }
}
