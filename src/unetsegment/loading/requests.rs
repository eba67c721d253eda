//! What the thread that loads models is asked for, and which threads wait for them: the model of the start, and others
//! that are to take its place. What becomes of each is in [`super`].

use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use gst::subclass::prelude::*;

use super::Opening;
use crate::inference::{Canceller, ModelError};
use crate::lock::lock;
use crate::unetsegment::imp::{CAT, UNetSegment};

/// How long a start waits for its model. Most take less, and then whatever is wrong with it fails the change of
/// state; no program hangs for the others.
const PATIENCE: Duration = Duration::from_millis(300);

/// What is asked of the thread that loads.
#[derive(Default)]
pub struct Loader {
    wanted: Mutex<Wanted>,
    changed: Condvar,
}

#[derive(Default)]
struct Wanted {
    /// The model of the start. No other one takes its place, because the stream waits for it.
    of_start: Option<Opening>,
    /// The one that is to follow it.
    next: Option<Opening>,
    /// Whether the thread is there.
    loading: bool,
    /// Counts starts and stops of the element: what was asked for in another generation is not wanted any more.
    generation: u64,
    /// Whether the one of now is a start.
    started: bool,
    /// Ends what is loaded for this start.
    canceller: Canceller,
    first: First,
    /// Where the model of the start is.
    path: PathBuf,
    /// Whether no thread is to wait for it now.
    interrupted: bool,
}

/// The model of the start.
#[derive(Default)]
enum First {
    /// None is asked for.
    #[default]
    Unwanted,
    /// It is being loaded; whether the start still waits for it.
    Loading {
        awaited: bool,
    },
    Loaded,
    /// It can't be; the error, until it is told.
    Failed(Option<Box<ModelError>>),
}

impl Wanted {
    /// Whether a thread that waits for a model may still get one.
    fn may_come(&self) -> bool {
        match self.first {
            First::Loading { .. } => true,
            // One that was set since may do.
            First::Failed(_) => self.loading,
            First::Loaded | First::Unwanted => false,
        }
    }
}

/// What a thread is to load.
pub enum Request {
    OfStart(Opening),
    Next(Opening),
}

impl Loader {
    /// Forgets what was asked for, and ends what is being loaded.
    pub fn reset(&self) {
        let before = {
            let mut wanted = lock(&self.wanted);
            wanted.generation += 1;
            wanted.started = false;
            wanted.of_start = None;
            wanted.next = None;
            // A thread that still loads for the start before ends on its own.
            wanted.loading = false;
            wanted.first = First::Unwanted;
            wanted.interrupted = false;
            self.changed.notify_all();
            std::mem::take(&mut wanted.canceller)
        };
        before.cancel();
    }

    /// As [`reset`](Self::reset), for a start whose model is to [come](Self::load_first) before any other.
    pub fn begin(&self) {
        self.reset();
        let mut wanted = lock(&self.wanted);
        wanted.started = true;
        wanted.first = First::Loading { awaited: true };
    }

    /// Ends what is loaded for this start.
    pub fn canceller(&self) -> Canceller {
        lock(&self.wanted).canceller.clone()
    }

    /// The number of the start of now; none when the element is stopped.
    pub fn generation(&self) -> Option<u64> {
        let wanted = lock(&self.wanted);
        wanted.started.then_some(wanted.generation)
    }

    /// Ends what is being loaded, and the waiting for it.
    pub fn cancel(&self) {
        self.interrupt();
        self.canceller().cancel();
    }

    /// Ends the waiting for a model until [`resume`](Self::resume).
    pub fn interrupt(&self) {
        lock(&self.wanted).interrupted = true;
        self.changed.notify_all();
    }

    /// Lets threads wait for a model again.
    pub fn resume(&self) {
        lock(&self.wanted).interrupted = false;
    }

    /// What is wanted, unless there was another start since that of this generation, or a stop.
    fn of_now(&self, generation: u64) -> Option<MutexGuard<'_, Wanted>> {
        Some(lock(&self.wanted)).filter(|wanted| wanted.generation == generation)
    }

    /// Has the first model loaded, and waits a moment for it; none where it takes longer.
    pub fn load_first(
        &self,
        element: &UNetSegment,
        opening: Opening,
    ) -> Option<Result<(), ModelError>> {
        let mut wanted = lock(&self.wanted);
        wanted.first = First::Loading { awaited: true };
        wanted.path = opening.path.clone();
        wanted.of_start = Some(opening);
        self.load(element, wanted);
        let wanted = lock(&self.wanted);
        let is_loading = |wanted: &mut Wanted| matches!(wanted.first, First::Loading { .. });
        let waited = self
            .changed
            .wait_timeout_while(wanted, PATIENCE, is_loading);
        let (mut wanted, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match &mut wanted.first {
            First::Failed(error) => error.take().map(|error| Err(*error)),
            First::Loading { awaited } => {
                *awaited = false;
                None
            }
            First::Loaded | First::Unwanted => Some(Ok(())),
        }
    }

    /// Has another model loaded, which is to follow, unless the start of this generation is over; one that was to
    /// follow and that is not being loaded yet comes back.
    pub fn load_next(
        &self,
        element: &UNetSegment,
        opening: Opening,
        generation: u64,
    ) -> Option<Opening> {
        let mut wanted = self.of_now(generation)?;
        let overtaken = wanted.next.replace(opening);
        self.load(element, wanted);
        overtaken
    }

    /// Where the model of the start is.
    pub fn path_of_first(&self) -> PathBuf {
        lock(&self.wanted).path.clone()
    }

    /// Waits for the first model, or one that stands in for it; whether it is there.
    pub fn wait(&self) -> bool {
        let mut wanted = lock(&self.wanted);
        while !wanted.interrupted && wanted.may_come() {
            let woken = self.changed.wait(wanted);
            wanted = woken.unwrap_or_else(PoisonError::into_inner);
        }
        matches!(wanted.first, First::Loaded)
    }

    /// Has what is `wanted` loaded for `element`, by the thread that is at it already or by a new one.
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
            lock(&self.wanted).loading = false;
            // Then the thread that asks for it loads it.
            gst::warning!(CAT, imp = element, "no thread to load a model: {error}");
            while element.load_next_guarded(generation) {}
        }
    }

    /// What a thread of that generation is to load next. Where there is nothing, it ends.
    pub fn take(&self, generation: u64) -> Option<Request> {
        let mut wanted = self.of_now(generation)?;
        let of_start = wanted.of_start.take().map(Request::OfStart);
        // Were another one there before it, it would take that one's place, and that beside the thread that infers.
        let waits = matches!(wanted.first, First::Loading { .. });
        let next = wanted.next.take_if(|_| of_start.is_none() && !waits);
        let request = of_start.or(next.map(Request::Next));
        wanted.loading = request.is_some();
        if request.is_none() {
            // No model will stand in for that of the start: threads that wait for one are not to wait longer.
            self.changed.notify_all();
        }
        request
    }

    /// Takes in that a model waits for a frame: where that of the start can't be used, it stands in for it.
    pub fn offered(&self, generation: u64) {
        if let Some(mut wanted) = self.of_now(generation)
            && matches!(wanted.first, First::Failed(None))
        {
            wanted.first = First::Loaded;
            self.changed.notify_all();
        }
    }

    /// Ends the waiting for a model whose loading has ended in a panic.
    pub fn broken_off(&self, generation: u64) {
        if let Some(mut wanted) = self.of_now(generation)
            && matches!(wanted.first, First::Loading { .. })
            && wanted.of_start.is_none()
        {
            wanted.first = First::Failed(None);
            self.changed.notify_all();
        }
    }

    /// Does `work` unless there was another start since, or a stop; none of them comes in between.
    pub fn if_of_now<T>(&self, generation: u64, work: impl FnOnce() -> T) -> Option<T> {
        let _unchanged = self.of_now(generation)?;
        Some(work())
    }

    /// Says what became of the first model. Returns whether the start has not waited for it, with the error that it
    /// therefore does not tell; nothing when there was another start since.
    pub fn first_done(
        &self,
        generation: u64,
        result: Result<(), ModelError>,
    ) -> Option<(bool, Option<ModelError>)> {
        let mut wanted = self.of_now(generation)?;
        let late = matches!(wanted.first, First::Loading { awaited: false });
        let (first, untold) = match result {
            Ok(()) => (First::Loaded, None),
            Err(error) if late => (First::Failed(None), Some(error)),
            Err(error) => (First::Failed(Some(Box::new(error))), None),
        };
        wanted.first = first;
        self.changed.notify_all();
        Some((late, untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unetsegment;
    use crate::unetsegment::settings::Settings;

    #[test]
    fn no_other_model_comes_before_that_of_the_start() {
        gst::init().unwrap();
        let element: unetsegment::UNetSegment = glib::Object::new();
        let opening = |path: &str| {
            let mut settings = Settings::default();
            settings.model.model_file = Some(path.into());
            let opening = Opening::new(element.imp(), &settings);
            opening.map_err(|(_, reason)| reason).unwrap()
        };
        let loader = Loader::default();
        loader.begin();
        let generation = lock(&loader.wanted).generation;
        // It is set once the element runs, and before its start has asked for the model.
        lock(&loader.wanted).next = Some(opening("other.onnx"));
        assert!(loader.take(generation).is_none());
        lock(&loader.wanted).of_start = Some(opening("first.onnx"));
        let first = loader.take(generation);
        assert!(
            matches!(first, Some(Request::OfStart(opening)) if opening.path.ends_with("first.onnx"))
        );
        loader.first_done(generation, Ok(()));
        let next = loader.take(generation);
        assert!(
            matches!(next, Some(Request::Next(opening)) if opening.path.ends_with("other.onnx"))
        );
        assert!(loader.take(generation).is_none());
    }

    /// A thread that sets one may be overtaken by a stop, once it has seen that the element runs.
    #[test]
    fn nothing_is_loaded_for_an_element_that_was_stopped_meanwhile() {
        gst::init().unwrap();
        let element: unetsegment::UNetSegment = glib::Object::new();
        let (imp, loader) = (element.imp(), &element.imp().loader);
        let mut settings = Settings::default();
        settings.model.model_file = Some("other.onnx".into());
        let opening = || Opening::new(imp, &settings).map_err(|(_, reason)| reason);
        let asked_for = || {
            let wanted = lock(&loader.wanted);
            wanted.loading || wanted.next.is_some()
        };
        loader.begin();
        let generation = loader.generation().unwrap();
        loader.reset();
        assert_eq!(loader.generation(), None);
        imp.load_another(&settings);
        loader.load_next(imp, opening().unwrap(), generation);
        assert!(!asked_for());
        // Nor for another start.
        loader.begin();
        loader.load_next(imp, opening().unwrap(), generation);
        assert!(!asked_for());
        loader.load_next(imp, opening().unwrap(), loader.generation().unwrap());
        assert!(asked_for());
    }

    #[test]
    fn nobody_waits_for_a_model_whose_loading_has_ended_in_a_panic() {
        let loader = Loader::default();
        lock(&loader.wanted).first = First::Loading { awaited: false };
        // Of another generation.
        loader.broken_off(7);
        assert!(matches!(lock(&loader.wanted).first, First::Loading { .. }));
        loader.broken_off(0);
        assert!(!loader.wait());
    }
}
