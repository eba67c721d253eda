//! Loading models on a thread of their own: the first, and others that take its place while frames flow. These are
//! tried on frames of the size of now, and come in between two frames.

use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;

use super::errors;
use super::imp::{CAT, UNetSegment};
use super::messages::{self, Swap};
use super::open::{self, Opening};
use super::settings::Settings;
use crate::guard::guarded;
use crate::inference::{Canceller, ModelError};
use crate::lock::lock;
use crate::segmenter::Segmenter;
use crate::tiling::Size;

/// How long a start waits for its model. Most take less, and then whatever is wrong with it fails the change of
/// state; no program hangs for the others.
const PATIENCE: Duration = Duration::from_millis(300);

/// Why a model that was asked for is not used, though nothing is wrong with it.
const OVERTAKEN: &str = "another model-file was set before it was in use";

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
    /// Ends what is loaded for this start.
    canceller: Canceller,
    first: First,
    /// Where the model of the start is.
    path: PathBuf,
    /// Whether nobody is to wait for it now.
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
    /// Whether whoever waits for a model may still get one.
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
enum Request {
    OfStart(Opening),
    Next(Opening),
}

impl Loader {
    /// Forgets what was asked for, and ends what is being loaded.
    pub fn reset(&self) {
        let before = {
            let mut wanted = lock(&self.wanted);
            wanted.generation += 1;
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

    /// Ends what is loaded for this start.
    pub fn canceller(&self) -> Canceller {
        lock(&self.wanted).canceller.clone()
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

    /// Has the first model loaded, and waits a moment for it; none where it takes longer.
    pub fn load_first(
        &self,
        element: &UNetSegment,
        opening: Opening,
    ) -> Option<Result<(), ModelError>> {
        self.load(element, |wanted| {
            wanted.first = First::Loading { awaited: true };
            wanted.path = opening.path.clone();
            wanted.of_start = Some(opening);
        });
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

    /// Waits for the first model, or one that stands in for it; whether it is there.
    pub fn wait(&self) -> bool {
        let mut wanted = lock(&self.wanted);
        while !wanted.interrupted && wanted.may_come() {
            let woken = self.changed.wait(wanted);
            wanted = woken.unwrap_or_else(PoisonError::into_inner);
        }
        matches!(wanted.first, First::Loaded)
    }

    /// Has what `ask` puts among what is wanted loaded for `element`.
    fn load(&self, element: &UNetSegment, ask: impl FnOnce(&mut Wanted)) {
        let generation = {
            let mut wanted = lock(&self.wanted);
            ask(&mut wanted);
            if std::mem::replace(&mut wanted.loading, true) {
                return;
            }
            wanted.generation
        };
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
            // Then whoever asked waits for it.
            gst::warning!(CAT, imp = element, "no thread to load a model: {error}");
            while element.load_next_guarded(generation) {}
        }
    }

    /// What a thread of that generation is to load next. Where there is nothing, it ends.
    fn take(&self, generation: u64) -> Option<Request> {
        let mut wanted = lock(&self.wanted);
        if wanted.generation != generation {
            return None;
        }
        let of_start = wanted.of_start.take().map(Request::OfStart);
        let request = of_start.or_else(|| wanted.next.take().map(Request::Next));
        wanted.loading = request.is_some();
        if request.is_none() {
            // Whoever waits for a model to stand in for that of the start waits in vain.
            self.changed.notify_all();
        }
        request
    }

    /// Takes in that a model waits for a frame: where that of the start can't be used, it stands in for it.
    fn offered(&self, generation: u64) {
        let mut wanted = lock(&self.wanted);
        if wanted.generation == generation && matches!(wanted.first, First::Failed(None)) {
            wanted.first = First::Loaded;
            self.changed.notify_all();
        }
    }

    /// Ends the waiting for a model whose loading has ended in a panic.
    fn broken_off(&self, generation: u64) {
        let mut wanted = lock(&self.wanted);
        let lost = matches!(wanted.first, First::Loading { .. }) && wanted.of_start.is_none();
        if wanted.generation == generation && lost {
            wanted.first = First::Failed(None);
            self.changed.notify_all();
        }
    }

    /// Does `work` unless there was another start since, or a stop; none of them comes in between.
    fn if_of_now<T>(&self, generation: u64, work: impl FnOnce() -> T) -> Option<T> {
        let wanted = lock(&self.wanted);
        (wanted.generation == generation).then(work)
    }

    /// Says what became of the first model. Returns whether the start has not waited for it, with the error that it
    /// therefore does not tell; nothing when there was another start since.
    fn first_done(
        &self,
        generation: u64,
        result: Result<(), ModelError>,
    ) -> Option<(bool, Option<ModelError>)> {
        let mut wanted = lock(&self.wanted);
        if wanted.generation != generation {
            return None;
        }
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

impl UNetSegment {
    /// Loads the model that `model-file` was set to while frames flow, as `settings` say.
    pub fn load_another(&self, settings: &Settings) {
        match Opening::new(self, settings) {
            Ok(opening) => {
                let mut overtaken = None;
                self.loader
                    .load(self, |wanted| overtaken = wanted.next.replace(opening));
                self.tell_overtaken(overtaken);
            }
            Err((_, reason)) => {
                let path = settings.model.model_file.clone().unwrap_or_default();
                self.refuse(&path, &reason);
            }
        }
    }

    /// Loads what was asked for; whether there was anything.
    fn load_next(&self, generation: u64) -> bool {
        match self.loader.take(generation) {
            Some(Request::OfStart(opening)) => self.load_first(opening, generation),
            Some(Request::Next(opening)) => self.load_in_place(opening, generation),
            None => return false,
        }
        true
    }

    /// As [`load_next`](Self::load_next); a panic is an error on the bus, and nobody waits any more for what it
    /// has ended.
    fn load_next_guarded(&self, generation: u64) -> bool {
        let loaded = guarded(self, None, || Some(self.load_next(generation)));
        loaded.unwrap_or_else(|| {
            self.loader.broken_off(generation);
            true
        })
    }

    /// Loads the model of the start.
    fn load_first(&self, opening: Opening, generation: u64) {
        let opened = opening.open();
        if let Ok(segmenter) = &opened {
            open::announce(self, segmenter);
        }
        let begin = || opened.map(|segmenter| self.flow.begin(segmenter, opening));
        let Some(result) = self.loader.if_of_now(generation, begin) else {
            return;
        };
        let Some((late, untold)) = self.loader.first_done(generation, result) else {
            return;
        };
        // One that was cancelled is no fault.
        if let Some(error) = untold.filter(|_| !self.loader.canceller().is_cancelled()) {
            self.post_error_message(errors::start(&error));
        } else if late && let Some(model) = self.flow.model() {
            messages::post_swap(&self.obj(), &Swap::Done(&model));
        }
    }

    /// Loads a model that is to take the place of the one of now.
    fn load_in_place(&self, opening: Opening, generation: u64) {
        let canceller = self.loader.canceller();
        let size = self.frame_size();
        let loaded = opening
            .open()
            .map_err(|error| error.to_string())
            .and_then(|segmenter| tried(segmenter, size, &canceller));
        match loaded {
            Ok(segmenter) => {
                open::announce(self, &segmenter);
                let offer = || self.flow.offer(segmenter, opening);
                let overtaken = self.loader.if_of_now(generation, offer).flatten();
                self.loader.offered(generation);
                self.tell_overtaken(overtaken.map(|(_, opening)| opening));
            }
            // One that was cancelled is no fault.
            Err(_) if canceller.is_cancelled() => (),
            Err(reason) => self.refuse(&opening.path, &reason),
        }
    }

    /// Size of the frames of now.
    fn frame_size(&self) -> Option<Size> {
        let caps = self.obj().sink_pad().current_caps()?;
        let info = gst_video::VideoInfo::from_caps(&caps).ok()?;
        Some(Size {
            width: info.width() as usize,
            height: info.height() as usize,
        })
    }

    /// Says that the model in `path` can't be used, and that the one before stays.
    fn refuse(&self, path: &Path, reason: &str) {
        let restored = {
            let mut settings = lock(&self.settings);
            // The property says what is in use, unless it names a wish that is newer.
            let named = settings
                .model
                .model_file
                .as_deref()
                .unwrap_or(Path::new(""));
            let restored = named == path;
            if restored {
                let newest = self.flow.newest_model();
                let in_use = newest.map(|model| model.path.clone());
                let in_use = in_use.unwrap_or_else(|| lock(&self.loader.wanted).path.clone());
                settings.model.model_file = Some(in_use);
            }
            restored
        };
        if restored {
            self.obj().notify("model-file");
        }
        messages::post_swap(&self.obj(), &Swap::Refused { path, reason });
    }

    /// Says of a model that was asked for that another one came before it was in use.
    fn tell_overtaken(&self, overtaken: Option<Opening>) {
        if let Some(Opening { path, .. }) = overtaken {
            let refused = Swap::Refused {
                path: &path,
                reason: OVERTAKEN,
            };
            messages::post_swap(&self.obj(), &refused);
        }
    }
}

/// A model that has run on a frame of `size`, if that is known.
fn tried(
    mut segmenter: Segmenter,
    size: Option<Size>,
    canceller: &Canceller,
) -> Result<Segmenter, String> {
    if let Some(size) = size {
        let stopper = segmenter.model().stopper();
        let prepared =
            canceller.during(move || stopper.stop(), || segmenter.prepare(size).map(drop));
        prepared.map_err(|error| error.to_string())?;
    }
    Ok(segmenter)
}

#[cfg(test)]
mod tests {
    use super::*;

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
