//! Ending the runs of a model.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ort::session::RunOptions;

use super::ending::{self, OnEnd};

/// Ends the runs of a model from another thread.
#[derive(Clone)]
pub struct Stopper {
    /// What its runs are given.
    pub(super) options: Arc<RunOptions>,
    stopped: Arc<AtomicBool>,
    _on_end: Arc<OnEnd>,
}

impl Stopper {
    pub(super) fn new() -> ort::Result<Self> {
        let options = Arc::new(RunOptions::new()?);
        let ended = options.clone();
        Ok(Stopper {
            options,
            stopped: Arc::default(),
            _on_end: Arc::new(OnEnd::new(move || drop(ended.terminate()))),
        })
    }

    /// Ends the run that is going on, within the time of one operator, and lets none begin.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        // It fails for a null pointer only.
        let _ = self.options.terminate();
    }

    /// Lets runs begin again.
    pub fn allow(&self) {
        let _ = self.options.unterminate();
        self.stopped.store(false, Ordering::SeqCst);
    }

    /// Whether runs are stopped, as all are when the process ends.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst) || ending::is_ending()
    }
}
