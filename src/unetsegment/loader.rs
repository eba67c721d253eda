//! Loading models on a thread of their own: the first, and others that take its place while frames flow. These are
//! tried on frames of the size of now, and come in between two frames.

use std::path::Path;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;

use super::errors;
use super::flow::lock;
use super::imp::{CAT, UNetSegment};
use super::messages::{self, Swap};
use super::open::{self, Opening};
use crate::inference::{Canceller, ModelError};
use crate::segmenter::Segmenter;
use crate::tiling::Size;

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
    next: Option<Request>,
    /// Whether the thread is there.
    loading: bool,
    /// Starts of the element: what was asked for before the last one is not wanted any more.
    starts: u64,
    /// Ends what is loaded for this start.
    canceller: Canceller,
    first: First,
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

struct Request {
    opening: Opening,
    first: bool,
}

impl Loader {
    /// Forgets what was asked for, and ends what is being loaded.
    pub fn reset(&self) {
        let before = {
            let mut wanted = lock(&self.wanted);
            wanted.starts += 1;
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
        lock(&self.wanted).first = First::Loading { awaited: true };
        self.load(element, opening, true);
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

    /// Waits for the first model; whether it is there.
    pub fn wait(&self) -> bool {
        let mut wanted = lock(&self.wanted);
        while !wanted.interrupted && matches!(wanted.first, First::Loading { .. }) {
            let woken = self.changed.wait(wanted);
            wanted = woken.unwrap_or_else(PoisonError::into_inner);
        }
        matches!(wanted.first, First::Loaded)
    }

    /// Has the model that `opening` names loaded for `element`.
    fn load(&self, element: &UNetSegment, opening: Opening, first: bool) {
        let starts = {
            let mut wanted = lock(&self.wanted);
            wanted.next = Some(Request { opening, first });
            if std::mem::replace(&mut wanted.loading, true) {
                return;
            }
            wanted.starts
        };
        let weak = element.obj().downgrade();
        let thread = thread::Builder::new().name("unetsegment:load".into());
        let spawned = thread.spawn(move || {
            while let Some(element) = weak.upgrade() {
                if !element.imp().load_next(starts) {
                    break;
                }
            }
        });
        if let Err(error) = spawned {
            lock(&self.wanted).loading = false;
            // Then whoever asked waits for it.
            gst::warning!(CAT, imp = element, "no thread to load a model: {error}");
            while element.load_next(starts) {}
        }
    }

    /// What a thread of that start is to load next. Where there is nothing, it ends.
    fn take(&self, starts: u64) -> Option<Request> {
        let mut wanted = lock(&self.wanted);
        if wanted.starts != starts {
            return None;
        }
        let next = wanted.next.take();
        wanted.loading = next.is_some();
        next
    }

    /// Does `work` unless there was another start since, or a stop; none of them comes in between.
    fn if_of_now<T>(&self, starts: u64, work: impl FnOnce() -> T) -> Option<T> {
        let wanted = lock(&self.wanted);
        (wanted.starts == starts).then(work)
    }

    /// Says what became of the first model. Returns whether the start has not waited for it, with the error that it
    /// therefore does not tell; nothing when there was another start since.
    fn first_done(
        &self,
        starts: u64,
        result: Result<(), ModelError>,
    ) -> Option<(bool, Option<ModelError>)> {
        let mut wanted = lock(&self.wanted);
        if wanted.starts != starts {
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
    /// Loads the model that `model-file` was set to while frames flow.
    pub fn load_another(&self) {
        let settings = lock(&self.settings).clone();
        match Opening::new(self, &settings) {
            Ok(opening) => self.loader.load(self, opening, false),
            Err((_, reason)) => {
                let path = settings.model.model_file.unwrap_or_default();
                self.refuse(&path, &reason);
            }
        }
    }

    /// Loads what was asked for last; whether there was anything.
    fn load_next(&self, starts: u64) -> bool {
        match self.loader.take(starts) {
            Some(Request { opening, first }) if first => self.load_first(opening, starts),
            Some(Request { opening, .. }) => self.load_in_place(opening, starts),
            None => return false,
        }
        true
    }

    /// Loads the model of the start.
    fn load_first(&self, opening: Opening, starts: u64) {
        let opened = opening.open();
        if let Ok(segmenter) = &opened {
            open::announce(self, segmenter);
        }
        let begin = || opened.map(|segmenter| self.flow.begin(segmenter, opening));
        let Some(result) = self.loader.if_of_now(starts, begin) else {
            return;
        };
        let Some((late, untold)) = self.loader.first_done(starts, result) else {
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
    fn load_in_place(&self, opening: Opening, starts: u64) {
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
                self.loader.if_of_now(starts, offer);
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
        // The property says what is in use.
        if let Some(model) = self.flow.model() {
            lock(&self.settings).model.model_file = Some(model.path.clone());
            self.obj().notify("model-file");
        }
        messages::post_swap(&self.obj(), &Swap::Refused { path, reason });
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
