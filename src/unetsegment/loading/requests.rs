//! Requests to the thread that loads models, for the model of the start and for others that are to replace it, and
//! waiting for the first. Requests are handled in [`super`].

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use gst::subclass::prelude::*;

use super::Opening;
use crate::inference::{Canceller, ModelError};
use crate::lock::{lock, wait, wait_timeout_while};
use crate::unetsegment::imp::{CAT, UNetSegment};

/// How long a start waits for its model. Most models take less, so that their errors fail the state change; no program
/// hangs because of the others.
const PATIENCE: Duration = Duration::from_millis(300);

/// The requests to the thread that loads models.
#[derive(Default)]
pub struct Loader {
    wanted: Mutex<Wanted>,
    changed: Condvar,
    /// Counts the requests other than those of starts.
    requests: AtomicU64,
}

#[derive(Default)]
struct Wanted {
    /// The model of the start. No other is loaded before it, because the stream waits for it.
    of_start: Option<Opening>,
    /// The model that is to follow it.
    next: Option<Opening>,
    /// The largest number of a request for a model that follows.
    newest: u64,
    /// Whether the loading thread runs.
    loading: bool,
    /// Counts starts and stops of the element: requests of another generation are obsolete.
    generation: u64,
    /// Whether the current generation is that of a start.
    started: bool,
    /// Cancels what is loaded for this start.
    canceller: Canceller,
    first: FirstModel,
    /// Path of the model of the start.
    path: PathBuf,
    /// Whether threads must not wait for the model now.
    interrupted: bool,
    /// Whether new caps must not wait for it, while frames may.
    deferred: bool,
}

/// The model of the start.
#[derive(Default)]
enum FirstModel {
    /// No model was requested.
    #[default]
    Unwanted,
    /// It is being loaded; whether the start still waits for it.
    Loading {
        awaited: bool,
    },
    Loaded,
    /// It can't be loaded; the error, until it is reported.
    Failed(Option<Box<ModelError>>),
}

impl Wanted {
    /// Whether a thread that waits for a model may still get one.
    fn is_pending(&self) -> bool {
        match self.first {
            FirstModel::Loading { .. } => true,
            // A model that was requested later may replace it.
            FirstModel::Failed(_) => self.loading,
            FirstModel::Loaded | FirstModel::Unwanted => false,
        }
    }
}

/// A model to load.
pub enum Request {
    OfStart(Opening),
    Next(Opening),
}

/// How waiting for a model ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// There is one.
    Loaded,
    /// It was [deferred](Loader::defer).
    Deferred,
    /// There is none.
    Missing,
}

impl Loader {
    /// Forgets all requests, and cancels what is being loaded.
    pub fn reset(&self) {
        let before = {
            let mut wanted = lock(&self.wanted);
            wanted.generation += 1;
            wanted.started = false;
            wanted.of_start = None;
            wanted.next = None;
            // A thread that still loads for the last start ends on its own.
            wanted.loading = false;
            wanted.first = FirstModel::Unwanted;
            wanted.interrupted = false;
            wanted.deferred = false;
            self.changed.notify_all();
            std::mem::take(&mut wanted.canceller)
        };
        before.cancel();
    }

    /// As [`reset`](Self::reset), for a start whose model is to be [loaded](Self::load_first) before any other.
    pub fn begin(&self) {
        self.reset();
        let mut wanted = lock(&self.wanted);
        wanted.started = true;
        wanted.first = FirstModel::Loading { awaited: true };
    }

    /// Cancels what is loaded for this start.
    pub fn canceller(&self) -> Canceller {
        lock(&self.wanted).canceller.clone()
    }

    /// The number of the current start; `None` when the element is stopped.
    pub fn generation(&self) -> Option<u64> {
        let wanted = lock(&self.wanted);
        wanted.started.then_some(wanted.generation)
    }

    /// Cancels the current load, and ends waiting for it.
    pub fn cancel(&self) {
        self.interrupt();
        self.canceller().cancel();
    }

    /// Ends waiting for a model until [`resume`](Self::resume).
    pub fn interrupt(&self) {
        lock(&self.wanted).interrupted = true;
        self.changed.notify_all();
    }

    /// Lets threads wait for a model again.
    pub fn resume(&self) {
        lock(&self.wanted).interrupted = false;
    }

    /// The requests, unless there was a stop or another start since this generation.
    fn current(&self, generation: u64) -> Option<MutexGuard<'_, Wanted>> {
        Some(lock(&self.wanted)).filter(|wanted| wanted.generation == generation)
    }

    /// Has the first model loaded, and waits a moment for it. Returns `None` if it takes longer.
    pub fn load_first(
        &self,
        element: &UNetSegment,
        opening: Opening,
    ) -> Option<Result<(), ModelError>> {
        let mut wanted = lock(&self.wanted);
        wanted.first = FirstModel::Loading { awaited: true };
        wanted.path = opening.path.clone();
        wanted.of_start = Some(opening);
        self.load(element, wanted);
        let wanted = lock(&self.wanted);
        let is_loading = |wanted: &mut Wanted| matches!(wanted.first, FirstModel::Loading { .. });
        let mut wanted = wait_timeout_while(&self.changed, wanted, PATIENCE, is_loading);
        match &mut wanted.first {
            FirstModel::Failed(error) => error.take().map(|error| Err(*error)),
            FirstModel::Loading { awaited } => {
                *awaited = false;
                None
            }
            FirstModel::Loaded | FirstModel::Unwanted => Some(Ok(())),
        }
    }

    /// The number of a new request; to be called with the settings locked, so that the value that is set last has the
    /// largest.
    pub fn next_number(&self) -> u64 {
        self.requests.fetch_add(1, Ordering::Relaxed)
    }

    /// Has a model loaded that follows that of the start, unless the start is over. Returns the request that this makes
    /// obsolete: this one if another is newer, or an older one whose load has not started.
    pub fn load_next(
        &self,
        element: &UNetSegment,
        (number, opening): (u64, Opening),
        generation: u64,
    ) -> Option<Opening> {
        let mut wanted = self.current(generation)?;
        if number < wanted.newest {
            // A thread with a newer request came first.
            return Some(opening);
        }
        wanted.newest = number;
        let overtaken = wanted.next.replace(opening);
        self.load(element, wanted);
        overtaken
    }

    /// Path of the model of the start.
    pub fn path_of_first(&self) -> PathBuf {
        lock(&self.wanted).path.clone()
    }

    /// Ends waiting for a model with new caps, or allows it again.
    pub fn defer(&self, deferred: bool) {
        lock(&self.wanted).deferred = deferred;
        self.changed.notify_all();
    }

    /// Waits for the first model, or one that replaces it, unless that is [deferred](Self::defer).
    pub fn wait(&self) -> Waited {
        self.wait_unless(|wanted| wanted.deferred)
    }

    /// As [`wait`](Self::wait), for a frame, which waits even if new caps do not.
    pub fn wait_for_frame(&self) -> Waited {
        self.wait_unless(|_| false)
    }

    fn wait_unless(&self, is_deferred: impl Fn(&Wanted) -> bool) -> Waited {
        let mut wanted = lock(&self.wanted);
        while !wanted.interrupted && wanted.is_pending() {
            if is_deferred(&wanted) {
                return Waited::Deferred;
            }
            wanted = wait(&self.changed, wanted);
        }
        match wanted.first {
            FirstModel::Loaded => Waited::Loaded,
            _ => Waited::Missing,
        }
    }

    /// Has `wanted` loaded for `element`, by the loading thread that runs already or by a new one.
    fn load(&self, element: &UNetSegment, mut wanted: MutexGuard<'_, Wanted>) {
        if std::mem::replace(&mut wanted.loading, true) {
            return;
        }
        let generation = wanted.generation;
        drop(wanted);
        let weak = element.obj().downgrade();
        let thread = thread::Builder::new().name("unetsegment:load".into());
        let spawned = thread.spawn(move || {
            while let Some(element) = weak.upgrade() {
                if !element.imp().load_next_guarded(generation) {
                    break;
                }
            }
        });
        if let Err(error) = spawned {
            // This thread must not load it: no limit would hold for how long that takes.
            gst::warning!(CAT, imp = element, "no thread to load a model: {error}");
            while element.refuse_next(generation, &error) {}
        }
    }

    /// The next request for the loading thread of this generation, which ends if there is none.
    pub fn take(&self, generation: u64) -> Option<Request> {
        let mut wanted = self.current(generation)?;
        let of_start = wanted.of_start.take().map(Request::OfStart);
        // If another model came first, that of the start would replace it, and not on the thread that infers.
        let waits = matches!(wanted.first, FirstModel::Loading { .. });
        let next = wanted.next.take_if(|_| of_start.is_none() && !waits);
        let request = of_start.or(next.map(Request::Next));
        wanted.loading = request.is_some();
        if request.is_none() {
            // No other model is coming in place of that of the start: threads need not wait any longer.
            self.changed.notify_all();
        }
        request
    }

    /// To be called when a model waits for a frame: it replaces that of the start if that can't be used.
    pub fn on_offered(&self, generation: u64) {
        if let Some(mut wanted) = self.current(generation)
            && matches!(wanted.first, FirstModel::Failed(None))
        {
            wanted.first = FirstModel::Loaded;
            self.changed.notify_all();
        }
    }

    /// To be called when a load has panicked: ends waiting for its model.
    pub fn on_panicked(&self, generation: u64) {
        if let Some(mut wanted) = self.current(generation)
            && matches!(wanted.first, FirstModel::Loading { .. })
            && wanted.of_start.is_none()
        {
            wanted.first = FirstModel::Failed(None);
            self.changed.notify_all();
        }
    }

    /// Calls `work` unless there was a stop or another start since this generation; neither happens meanwhile.
    pub fn if_current<T>(&self, generation: u64, work: impl FnOnce() -> T) -> Option<T> {
        let _unchanged = self.current(generation)?;
        Some(work())
    }

    /// Records the result of loading the first model. Returns whether the start no longer waits for it, with the error
    /// that it therefore does not report; `None` if there was a stop or another start since this generation.
    pub fn finish_first(
        &self,
        generation: u64,
        result: Result<(), ModelError>,
    ) -> Option<(bool, Option<ModelError>)> {
        let mut wanted = self.current(generation)?;
        let late = matches!(wanted.first, FirstModel::Loading { awaited: false });
        let (first, unreported) = match result {
            Ok(()) => (FirstModel::Loaded, None),
            Err(error) if late => (FirstModel::Failed(None), Some(error)),
            Err(error) => (FirstModel::Failed(Some(Box::new(error))), None),
        };
        wanted.first = first;
        self.changed.notify_all();
        Some((late, unreported))
    }
}

#[cfg(test)]
mod tests;
