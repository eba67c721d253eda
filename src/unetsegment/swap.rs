//! Another model while frames flow: it is loaded on a thread of its own, tried on frames of the size of now, and
//! takes the place of the one before between two frames.

use std::path::Path;
use std::sync::Mutex;
use std::thread;

use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;

use super::flow::lock;
use super::imp::UNetSegment;
use super::messages::{self, Swap};
use super::open::{self, Opening};
use crate::segmenter::Segmenter;
use crate::tiling::Size;

/// What is asked of the thread that loads.
#[derive(Default)]
pub struct Swapper(Mutex<Wanted>);

#[derive(Default)]
struct Wanted {
    next: Option<Request>,
    /// Whether the thread is there.
    loading: bool,
    /// Starts of the element: what was asked for before the last one is not wanted any more.
    starts: u64,
}

struct Request {
    opening: Opening,
    starts: u64,
}

impl Swapper {
    /// Forgets what was asked for.
    pub fn reset(&self) {
        let mut wanted = lock(&self.0);
        wanted.starts += 1;
        wanted.next = None;
    }

    /// Has the model that `opening` names loaded for `element`.
    pub fn load(&self, element: &UNetSegment, opening: Opening) {
        {
            let mut wanted = lock(&self.0);
            let starts = wanted.starts;
            wanted.next = Some(Request { opening, starts });
            if std::mem::replace(&mut wanted.loading, true) {
                return;
            }
        }
        let weak = element.obj().downgrade();
        let loader = thread::Builder::new().name("unetsegment:load".into());
        let spawned = loader.spawn(move || {
            while let Some(element) = weak.upgrade() {
                if !element.imp().load_next() {
                    break;
                }
            }
        });
        if let Err(error) = spawned {
            let next = {
                let mut wanted = lock(&self.0);
                wanted.loading = false;
                wanted.next.take()
            };
            if let Some(request) = next {
                element.refuse(
                    &request.opening.path,
                    &format!("no thread to load it: {error}"),
                );
            }
        }
    }

    /// What to load next. Where there is nothing, the thread ends.
    fn take(&self) -> Option<Request> {
        let mut wanted = lock(&self.0);
        let next = wanted.next.take();
        wanted.loading = next.is_some();
        next
    }

    fn is_of_now(&self, starts: u64) -> bool {
        lock(&self.0).starts == starts
    }
}

impl UNetSegment {
    /// Loads the model that `model-file` was set to while frames flow.
    pub fn load_another(&self) {
        let settings = lock(&self.settings).clone();
        match Opening::new(self, &settings) {
            Ok(opening) => self.swapper.load(self, opening),
            Err((_, reason)) => {
                let path = settings.model.model_file.unwrap_or_default();
                self.refuse(&path, &reason);
            }
        }
    }

    /// Loads what was asked for last; whether there was anything.
    fn load_next(&self) -> bool {
        let Some(Request { opening, starts }) = self.swapper.take() else {
            return false;
        };
        let size = self.frame_size();
        let loaded = opening
            .open()
            .map_err(|error| error.to_string())
            .and_then(|segmenter| tried(segmenter, size));
        if !self.swapper.is_of_now(starts) {
            return true;
        }
        match loaded {
            Ok(segmenter) => {
                open::announce(self, &segmenter);
                self.flow.offer(segmenter, opening);
            }
            Err(reason) => self.refuse(&opening.path, &reason),
        }
        true
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
fn tried(mut segmenter: Segmenter, size: Option<Size>) -> Result<Segmenter, String> {
    if let Some(size) = size {
        segmenter.prepare(size).map_err(|error| error.to_string())?;
    }
    Ok(segmenter)
}
