//! Loading models: the first, and others that replace it while frames flow. These are tried at the current frame size,
//! and take over between two frames.

mod opening;
mod requests;

use std::io;
use std::path::Path;

use gst::subclass::prelude::*;
use gst_base::prelude::*;

use super::OnError;
use super::errors;
use super::imp::UNetSegment;
use super::messages::{self, Swap};
use super::settings::{ModelSettings, Settings};
use crate::guard::guarded;
use crate::inference::{Canceller, ModelError, no_thread};
use crate::lock::lock;
use crate::segmenter::{SegmentError, Segmenter};
use crate::tiling::Size;
pub use opening::Opening;
use opening::announce;
use requests::Request;
pub use requests::{Loader, Waited};

/// Why a sound model is not used.
const OVERTAKEN: &str = "another model-file was set before it was in use";

/// The settings of a start, which hold until the next one.
pub struct Started {
    /// The number of the start.
    generation: u64,
    settings: ModelSettings,
}

impl Started {
    /// What happens when the network fails.
    pub fn on_error(&self) -> OnError {
        self.settings.on_error
    }
}

/// A request for a model that is to replace the current one.
pub struct ModelRequest {
    generation: u64,
    /// Later requests have larger numbers.
    number: u64,
    settings: ModelSettings,
}

impl UNetSegment {
    /// Has the model of a start loaded, with the current settings: a `model-file` that is set later is a request of its
    /// own.
    pub fn load_for_start(&self) -> Result<(), gst::ErrorMessage> {
        let generation = self.loader.generation();
        let settings = {
            let settings = lock(&self.settings);
            *lock(&self.started) = generation.map(|generation| Started {
                generation,
                settings: settings.model.clone(),
            });
            settings.model.clone()
        };
        let opening = Opening::new(self, &settings)
            .map_err(|(error, reason)| gst::error_msg!(error, ("{reason}")))?;
        match self.loader.load_first(self, opening) {
            Some(Err(error)) => Err(errors::model_error(&error)),
            Some(Ok(())) | None => Ok(()),
        }
    }

    /// A request for the `model-file` of `settings`, which are locked, with all other settings as at the start; `None`
    /// if the start has not read them yet.
    pub fn request_model(&self, settings: &Settings) -> Option<ModelRequest> {
        let started = lock(&self.started);
        let started = started.as_ref()?;
        Some(ModelRequest {
            generation: started.generation,
            number: self.loader.next_number(),
            settings: ModelSettings {
                model_file: settings.model.model_file.clone(),
                ..started.settings.clone()
            },
        })
    }

    /// Loads the model that `model-file` was set to while frames flow, unless the element was stopped meanwhile: then
    /// the next start loads it.
    pub fn load_another(&self, request: ModelRequest) {
        let ModelRequest {
            generation,
            number,
            settings,
        } = request;
        match Opening::new(self, &settings) {
            Ok(opening) => {
                let overtaken = self.loader.load_next(self, (number, opening), generation);
                self.post_overtaken(overtaken);
            }
            Err((_, reason)) => {
                let path = settings.model_file.unwrap_or_default();
                self.refuse(&path, &reason, generation);
            }
        }
    }

    /// Handles the next request. Returns whether there was one.
    fn load_next(&self, generation: u64) -> bool {
        match self.loader.take(generation) {
            Some(Request::OfStart(opening)) => self.load_first(opening, generation),
            Some(Request::Next(opening)) => self.load_replacement(opening, generation),
            None => return false,
        }
        true
    }

    /// As [`load_next`](Self::load_next); a panic is posted as an error, and threads stop waiting for the model.
    pub fn load_next_guarded(&self, generation: u64) -> bool {
        let loaded = guarded(self, None, || Some(self.load_next(generation)));
        loaded.unwrap_or_else(|| {
            self.loader.on_panicked(generation);
            true
        })
    }

    /// Refuses the next request, because `error` leaves no thread to load it. Returns whether there was one.
    pub fn refuse_next(&self, generation: u64, error: &io::Error) -> bool {
        let refusal = |opening: &Opening| ModelError::NoThread {
            path: opening.path.clone(),
            reason: no_thread(error),
        };
        match self.loader.take(generation) {
            Some(Request::OfStart(opening)) => {
                let result = Err(refusal(&opening));
                self.finish_first(generation, result, opening.canceller());
            }
            Some(Request::Next(opening)) => {
                let reason = refusal(&opening).to_string();
                self.refuse(&opening.path, &reason, generation);
            }
            None => return false,
        }
        true
    }

    /// Loads the model of the start.
    fn load_first(&self, opening: Opening, generation: u64) {
        // The loader's canceller may be another start's by the time it is checked.
        let canceller = opening.canceller().clone();
        let opened = opening.open();
        if let Ok(segmenter) = &opened {
            announce(self, segmenter);
        }
        let begin = || opened.map(|segmenter| self.flow.set_model(segmenter, opening));
        let Some(result) = self.loader.if_current(generation, begin) else {
            return;
        };
        if result.is_ok() {
            self.warn_of_classes();
        }
        self.finish_first(generation, result, &canceller);
    }

    /// Ends waiting for the model of the start, and posts the `result` of loading it if the start does not report it.
    fn finish_first(&self, generation: u64, result: Result<(), ModelError>, canceller: &Canceller) {
        let Some((late, unreported)) = self.loader.finish_first(generation, result) else {
            return;
        };
        // A cancelled load is no error.
        if let Some(error) = unreported.filter(|_| !canceller.is_cancelled()) {
            self.post_error_message(errors::model_error(&error));
        } else if late && let Some(model) = self.flow.model() {
            messages::post_swap(&self.obj(), &Swap::Done(&model));
        }
    }

    /// Loads a model that is to replace the current one.
    fn load_replacement(&self, opening: Opening, generation: u64) {
        let canceller = opening.canceller().clone();
        let size = self.frame_size();
        match opened_and_tried(&opening, size, &canceller) {
            Ok(segmenter) => {
                announce(self, &segmenter);
                let offer = || self.flow.offer(segmenter, opening);
                let Some(overtaken) = self.loader.if_current(generation, offer) else {
                    return;
                };
                self.loader.on_offered(generation);
                self.warn_of_classes();
                self.post_overtaken(overtaken.map(|(_, opening)| opening));
            }
            // A cancelled load is no error.
            Err(_) if canceller.is_cancelled() => (),
            Err(error) => self.refuse(&opening.path, &error.to_string(), generation),
        }
    }

    /// Warns of classes in `show-classes` that the newest model lacks, whether it is in use or waits for a frame.
    pub(super) fn warn_of_classes(&self) {
        let shown = self.frame_settings().show_classes;
        if let Some(model) = self.flow.newest_model() {
            messages::warn_of_classes(&self.obj(), &model, &shown);
        }
    }

    /// Size of the current frames.
    fn frame_size(&self) -> Option<Size> {
        let caps = self.obj().sink_pad().current_caps()?;
        let info = gst_video::VideoInfo::from_caps(&caps).ok()?;
        Some(Size {
            width: info.width() as usize,
            height: info.height() as usize,
        })
    }

    /// Reports that the model in `path` can't be used and the current one stays, unless there was a stop or another
    /// start since this generation.
    fn refuse(&self, path: &Path, reason: &str, generation: u64) {
        let of_start = self.loader.path_of_first();
        let restore = || {
            let mut settings = lock(&self.settings);
            // The property names the model in use, unless it was set again.
            let named = settings.model.model_file.as_deref();
            if named.unwrap_or(Path::new("")) != path {
                return false;
            }
            let newest = self.flow.newest_model();
            let in_use = newest.map_or(of_start, |model| model.path.clone());
            settings.model.model_file = Some(in_use);
            true
        };
        let Some(restored) = self.loader.if_current(generation, restore) else {
            return;
        };
        if restored {
            self.obj().notify("model-file");
        }
        messages::post_swap(&self.obj(), &Swap::Refused { path, reason });
    }

    /// Reports that a model was not used because another one was set.
    fn post_overtaken(&self, overtaken: Option<Opening>) {
        if let Some(Opening { path, .. }) = overtaken {
            let refused = Swap::Refused {
                path: &path,
                reason: OVERTAKEN,
            };
            messages::post_swap(&self.obj(), &refused);
        }
    }
}

/// Opens a model and runs it on a frame of `size`, if that is known.
fn opened_and_tried(
    opening: &Opening,
    size: Option<Size>,
    canceller: &Canceller,
) -> Result<Segmenter, SegmentError> {
    loop {
        let mut segmenter = opening.open()?;
        let Some(size) = size else {
            return Ok(segmenter);
        };
        let stopper = segmenter.model().stopper();
        let stop = move || stopper.stop();
        match canceller.during(stop, || segmenter.prepare(size).map(drop)) {
            Ok(()) => return Ok(segmenter),
            // Its session has failed for another element meanwhile, and is no longer shared.
            Err(SegmentError::Model(ModelError::SharedFault { .. }))
                if !canceller.is_cancelled() => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unetsegment;

    #[test]
    fn a_load_of_an_earlier_start_is_not_refused() {
        gst::init().unwrap();
        let element: unetsegment::UNetSegment = glib::Object::new();
        let bus = gst::Bus::new();
        element.set_bus(Some(&bus));
        let (imp, path) = (element.imp(), Path::new("there/is/no/such.onnx"));
        let opening = || {
            let mut settings = lock(&imp.settings);
            settings.model.model_file = Some(path.into());
            let opening = Opening::new(imp, &settings.model);
            opening.map_err(|(_, reason)| reason).unwrap()
        };
        imp.loader.begin();
        let (before, ended) = (imp.loader.generation().unwrap(), opening());
        // A stop, and another start.
        imp.loader.reset();
        imp.loader.begin();
        imp.load_replacement(ended, before);
        // Nor a load of that start that is not cancelled.
        imp.load_replacement(opening(), before);
        assert!(bus.pop().is_none());
        assert_eq!(lock(&imp.settings).model.model_file.as_deref(), Some(path));
        imp.load_replacement(opening(), imp.loader.generation().unwrap());
        let message = bus.pop_filtered(&[gst::MessageType::Element]);
        let message = message.expect("no refusal");
        let fields = message.structure().unwrap();
        assert_eq!(fields.name(), "unetsegment-model");
        assert_eq!(fields.get("loaded"), Ok(false));
    }
}
