//! Stopping the runs of an opened model.

use std::sync::{Arc, Mutex, MutexGuard};

use ort::session::RunOptions;

use super::process_exit::{self, OnExit};
use crate::lock::lock;

/// Stops the runs of a model from another thread.
#[derive(Clone)]
pub struct Stopper {
    /// The options of the model's runs.
    pub(in crate::inference) options: Arc<RunOptions>,
    reasons: Arc<Mutex<Reasons>>,
    _on_exit: Arc<OnExit>,
}

/// Why runs are stopped. The reasons are independent: a requested stop outlasts an expired time limit.
#[derive(Default)]
struct Reasons {
    /// [`Stopper::stop`] was called.
    requested: bool,
    /// The time limit has expired.
    expired: bool,
    /// The options of a current run that has its own.
    own_options: Option<Arc<RunOptions>>,
}

impl Reasons {
    fn any(&self) -> bool {
        self.requested || self.expired
    }
}

impl Stopper {
    /// A stopper for the runs of one model, which have to use its [`options`](Self::options).
    pub(in crate::inference) fn new() -> ort::Result<Self> {
        let options = Arc::new(RunOptions::new()?);
        let on_exit = options.clone();
        Ok(Stopper {
            options,
            reasons: Arc::default(),
            _on_exit: Arc::new(OnExit::new(move || drop(on_exit.terminate()))),
        })
    }

    /// Ends the current run, within the time of one operator, and lets none start.
    pub fn stop(&self) {
        self.change(|reasons| reasons.requested = true);
    }

    /// Lets runs start again.
    pub fn allow(&self) {
        self.change(|reasons| reasons.requested = false);
    }

    /// Stops runs because the time limit has expired.
    pub(super) fn expire(&self) {
        self.change(|reasons| reasons.expired = true);
    }

    /// Lets runs start again after [`expire`](Self::expire), unless they were [stopped](Self::stop) as well.
    pub(super) fn clear_expired(&self) {
        self.change(|reasons| reasons.expired = false);
    }

    /// Whether runs are stopped, as they all are when the process exits.
    pub fn is_stopped(&self) -> bool {
        self.lock().any() || process_exit::is_exiting()
    }

    /// Calls `run` with `options` of its own, so that it can be stopped, too; `None` if runs are stopped.
    pub(in crate::inference) fn with_options<T>(
        &self,
        options: RunOptions,
        run: impl FnOnce(&RunOptions) -> T,
    ) -> Option<T> {
        let options = Arc::new(options);
        let on_exit = options.clone();
        let _on_exit = OnExit::new(move || drop(on_exit.terminate()));
        {
            let mut reasons = self.lock();
            if reasons.any() || process_exit::is_exiting() {
                return None;
            }
            reasons.own_options = Some(options.clone());
        }
        let result = run(&options);
        self.lock().own_options = None;
        Some(result)
    }

    fn change(&self, change: impl FnOnce(&mut Reasons)) {
        let mut reasons = self.lock();
        change(&mut reasons);
        for options in [Some(&self.options), reasons.own_options.as_ref()] {
            // Both fail for a null pointer only.
            let _ = options.map(|options| {
                if reasons.any() {
                    options.terminate()
                } else {
                    options.unterminate()
                }
            });
        }
    }

    fn lock(&self) -> MutexGuard<'_, Reasons> {
        lock(&self.reasons)
    }
}
