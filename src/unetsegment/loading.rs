//! Loading models: the first, and others that take its place while frames flow. These are tried on frames of the size
//! of now, and come in between two frames.

mod opening;
mod requests;

use std::path::Path;

use gst::subclass::prelude::*;
use gst_base::prelude::*;

use super::errors;
use super::imp::UNetSegment;
use super::messages::{self, Swap};
use super::settings::Settings;
use crate::guard::guarded;
use crate::inference::{Canceller, ModelError};
use crate::lock::lock;
use crate::segmenter::{SegmentError, Segmenter};
use crate::tiling::Size;
pub use opening::Opening;
use opening::announce;
pub use requests::Loader;
use requests::Request;

/// Why a model that was asked for is not used, though nothing is wrong with it.
const OVERTAKEN: &str = "another model-file was set before it was in use";

impl UNetSegment {
    /// Has the model of a start loaded, as the settings are by now: a `model-file` that is set after that is loaded
    /// beside it.
    pub fn load_for_start(&self) -> Result<(), gst::ErrorMessage> {
        let settings = lock(&self.settings).clone();
        let opening = Opening::new(self, &settings)
            .map_err(|(error, reason)| gst::error_msg!(error, ("{reason}")))?;
        match self.loader.load_first(self, opening) {
            Some(Err(error)) => Err(errors::start(&error)),
            Some(Ok(())) | None => Ok(()),
        }
    }

    /// Loads the model that `model-file` was set to while frames flow, as `settings` say.
    pub fn load_another(&self, settings: &Settings) {
        let Some(generation) = self.loader.generation() else {
            // The next start sees it, as if it had been set after the stop.
            return;
        };
        match Opening::new(self, settings) {
            Ok(opening) => {
                let overtaken = self.loader.load_next(self, opening, generation);
                self.tell_overtaken(overtaken);
            }
            Err((_, reason)) => {
                let path = settings.model.model_file.clone().unwrap_or_default();
                self.refuse(&path, &reason, generation);
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

    /// As [`load_next`](Self::load_next); a panic is an error on the bus, and no thread waits any more for what it
    /// has ended.
    pub fn load_next_guarded(&self, generation: u64) -> bool {
        let loaded = guarded(self, None, || Some(self.load_next(generation)));
        loaded.unwrap_or_else(|| {
            self.loader.broken_off(generation);
            true
        })
    }

    /// Loads the model of the start.
    fn load_first(&self, opening: Opening, generation: u64) {
        // That of the loader may be another start's by the time when it is asked.
        let canceller = opening.canceller().clone();
        let opened = opening.open();
        if let Ok(segmenter) = &opened {
            announce(self, segmenter);
        }
        let begin = || opened.map(|segmenter| self.flow.begin(segmenter, opening));
        let Some(result) = self.loader.if_of_now(generation, begin) else {
            return;
        };
        if result.is_ok() {
            self.warn_of_classes();
        }
        let Some((late, untold)) = self.loader.first_done(generation, result) else {
            return;
        };
        // One that was cancelled is no fault.
        if let Some(error) = untold.filter(|_| !canceller.is_cancelled()) {
            self.post_error_message(errors::start(&error));
        } else if late && let Some(model) = self.flow.model() {
            messages::post_swap(&self.obj(), &Swap::Done(&model));
        }
    }

    /// Loads a model that is to take the place of the one of now.
    fn load_in_place(&self, opening: Opening, generation: u64) {
        let canceller = opening.canceller().clone();
        let size = self.frame_size();
        match opened_and_tried(&opening, size, &canceller) {
            Ok(segmenter) => {
                announce(self, &segmenter);
                let offer = || self.flow.offer(segmenter, opening);
                let Some(overtaken) = self.loader.if_of_now(generation, offer) else {
                    return;
                };
                self.loader.offered(generation);
                self.warn_of_classes();
                self.tell_overtaken(overtaken.map(|(_, opening)| opening));
            }
            // One that was cancelled is no fault.
            Err(_) if canceller.is_cancelled() => (),
            Err(error) => self.refuse(&opening.path, &error.to_string(), generation),
        }
    }

    /// Says which classes are to be shown that the newest model does not have. It is in use, or waits for a frame, so
    /// that it is found when they are set from now on.
    pub(super) fn warn_of_classes(&self) {
        let shown = self.frame_settings().show_classes;
        if let Some(model) = self.flow.newest_model() {
            messages::warn_of_classes(&self.obj(), &model, &shown);
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

    /// Says that the model in `path` can't be used, and that the one before stays, unless there was another start since
    /// the one of this generation, or a stop.
    fn refuse(&self, path: &Path, reason: &str, generation: u64) {
        let of_start = self.loader.path_of_first();
        let restore = || {
            let mut settings = lock(&self.settings);
            // The property says what is in use, unless it names a wish that is newer.
            let named = settings.model.model_file.as_deref();
            if named.unwrap_or(Path::new("")) != path {
                return false;
            }
            let newest = self.flow.newest_model();
            let in_use = newest.map_or(of_start, |model| model.path.clone());
            settings.model.model_file = Some(in_use);
            true
        };
        let Some(restored) = self.loader.if_of_now(generation, restore) else {
            return;
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
            // Its session has failed for another user meanwhile, and is shared no more.
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
    fn a_load_of_the_start_before_is_no_refusal_of_now() {
        gst::init().unwrap();
        let element: unetsegment::UNetSegment = glib::Object::new();
        let bus = gst::Bus::new();
        element.set_bus(Some(&bus));
        let (imp, path) = (element.imp(), Path::new("there/is/no/such.onnx"));
        let opening = || {
            let mut settings = lock(&imp.settings);
            settings.model.model_file = Some(path.into());
            let opening = Opening::new(imp, &settings);
            opening.map_err(|(_, reason)| reason).unwrap()
        };
        imp.loader.begin();
        let (before, ended) = (imp.loader.generation().unwrap(), opening());
        // A stop, and another start.
        imp.loader.reset();
        imp.loader.begin();
        imp.load_in_place(ended, before);
        // Nor one that was asked for at that moment.
        imp.load_in_place(opening(), before);
        assert!(bus.pop().is_none());
        assert_eq!(lock(&imp.settings).model.model_file.as_deref(), Some(path));
        imp.load_in_place(opening(), imp.loader.generation().unwrap());
        let message = bus.pop_filtered(&[gst::MessageType::Element]);
        let message = message.expect("no refusal");
        let fields = message.structure().unwrap();
        assert_eq!(fields.name(), "unetsegment-model");
        assert_eq!(fields.get("loaded"), Ok(false));
    }
}
