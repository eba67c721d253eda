//! The model in use, the one that is to take its place, and what happens when it fails.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Flow;
use crate::inference::{Canceller, ModelError};
use crate::lock::lock;
use crate::segmenter::Segmenter;
use crate::unetsegment::inferrer::Inferrer;
use crate::unetsegment::latency_limit::Change;
use crate::unetsegment::loading::Opening;
use crate::unetsegment::model::Loaded;

impl Flow {
    /// Takes the first model.
    pub fn begin(&self, segmenter: Segmenter, opening: Opening) {
        self.take_model(Inferrer::new(segmenter), opening);
    }

    /// The model in use.
    pub fn model(&self) -> Option<Arc<Loaded>> {
        lock(&self.model).as_ref().map(|(model, _)| model.clone())
    }

    /// Takes another model before the next frame; one that was offered before and has seen none comes back.
    pub fn offer(&self, segmenter: Segmenter, opening: Opening) -> Option<(Inferrer, Opening)> {
        let next = (Inferrer::new(segmenter), opening);
        lock(&self.next).replace(next)
    }

    /// Whether a model waits for the next frame.
    pub fn has_offer(&self) -> bool {
        lock(&self.next).is_some()
    }

    /// The model that waits for the next frame; without one, the model in use.
    pub fn newest_model(&self) -> Option<Arc<Loaded>> {
        let next = lock(&self.next);
        let offered = next.as_ref().map(|(inferrer, _)| inferrer.model.clone());
        offered.or_else(|| self.model())
    }

    /// Takes the model that was offered, if one was; only the thread that infers may call it.
    pub fn swap(&self) -> Option<Arc<Loaded>> {
        // It is held until the model is in use, so that there is always a newest one.
        let mut next = lock(&self.next);
        let (inferrer, opening) = next.take()?;
        // To give a session back may take long, and every frame asks whether there is a next one.
        let old = self.inferrer.take();
        self.broken.store(false, Ordering::Relaxed);
        self.rebuilt.store(false, Ordering::Relaxed);
        self.take_model(inferrer, opening);
        drop(next);
        drop(old);
        self.model()
    }

    fn take_model(&self, inferrer: Inferrer, opening: Opening) {
        let stopper = inferrer.segmenter.model().stopper();
        {
            let mut current = lock(&self.stopper);
            // What is thrown away needs no network, and the thread that throws it away waits for its end.
            if self.is_flushing() {
                stopper.stop();
            }
            *current = Some(stopper);
        }
        let model = inferrer.model.clone();
        // First the network itself: a thread that sees its name lets it see frames.
        self.inferrer.set(Some(inferrer));
        let old = lock(&self.model).replace((model, opening));
        drop(old);
        // It has given up nothing yet, which is news where the one before had.
        let before = std::mem::take(&mut *lock(&self.pace));
        let is_news = before.is_reduced() || before.is_exhausted();
        *lock(&self.change) = is_news.then_some(Change::Rate);
    }

    /// Opens the model anew after it has failed, once, or any number of times where it has failed `for_others` that
    /// share its session; whether that was possible. A flush ends it, and then it may be done once more.
    pub fn rebuild(&self, for_others: bool) -> Result<bool, ModelError> {
        if !for_others && self.rebuilt.swap(true, Ordering::Relaxed) {
            return Ok(false);
        }
        let Some((model, opening)) = lock(&self.model).clone() else {
            return Ok(false);
        };
        let canceller = Canceller::default();
        *lock(&self.rebuilding) = Some(canceller.clone());
        if self.is_flushing() {
            canceller.cancel();
        }
        let opened = opening.open_until(canceller);
        *lock(&self.rebuilding) = None;
        if !for_others && opened.is_err() && self.is_flushing() {
            self.rebuilt.store(false, Ordering::Relaxed);
        }
        let inferrer = Inferrer::new(opened?);
        if inferrer.model.hash != model.hash {
            return Err(ModelError::Load {
                path: opening.path,
                reason: "the file is another one by now; set model-file to use it".into(),
            });
        }
        self.take_model(inferrer, opening);
        Ok(true)
    }

    /// Lets the network see no frame any more, and no frame any of its masks. Returns whether it did before.
    pub fn give_up(&self) -> bool {
        // In this order, so that none is kept after they were forgotten.
        let first = !self.broken.swap(true, Ordering::SeqCst);
        self.forget_masks();
        first
    }

    /// Whether the network has failed for good.
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::SeqCst)
    }
}
