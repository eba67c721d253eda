//! The model in use, the one that is to replace it, and the reload after a failure.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::Flow;
use super::slot::Slot;
use crate::inference::{Canceller, ModelError, Stopper};
use crate::lock::lock;
use crate::segmenter::Segmenter;
use crate::unetsegment::inferrer::Inferrer;
use crate::unetsegment::latency_limit::PaceStep;
use crate::unetsegment::loading::Opening;
use crate::unetsegment::model_info::ModelInfo;

/// The models of a start.
#[derive(Default)]
pub(super) struct Models {
    pub inferrer: Slot<Inferrer>,
    /// The model in use, and how it was opened.
    current: Mutex<Option<(Arc<ModelInfo>, Opening)>>,
    /// The model that is to replace it before the next frame.
    next: Mutex<Option<(Inferrer, Opening)>>,
    /// Interrupts the network.
    stopper: Mutex<Option<Stopper>>,
    /// Whether the network has failed for good.
    broken: AtomicBool,
    /// Whether the network has failed once and was reloaded.
    reloaded: AtomicBool,
    /// Cancels the reload.
    reloading: Mutex<Option<Canceller>>,
}

impl Models {
    /// Prepares for the first model.
    pub fn start(&self) {
        // A model that was offered after the last stop is obsolete.
        let late = lock(&self.next).take();
        drop(late);
        self.forget_failures();
    }

    /// Frees the models.
    pub fn stop(&self) {
        *lock(&self.stopper) = None;
        *lock(&self.current) = None;
        let next = lock(&self.next).take();
        drop(next);
        self.inferrer.set(None);
    }

    fn forget_failures(&self) {
        self.broken.store(false, Ordering::Relaxed);
        self.reloaded.store(false, Ordering::Relaxed);
    }

    /// Interrupts the network, which does not run again until it is [resumed](Self::resume_if).
    pub fn interrupt(&self) {
        if let Some(stopper) = &*lock(&self.stopper) {
            stopper.stop();
        }
    }

    /// Lets the network run again if `wanted` returns `true`, and returns the same. An interruption comes either before
    /// `wanted` is called, or after the network was resumed.
    pub fn resume_if(&self, wanted: impl FnOnce() -> bool) -> bool {
        let stopper = lock(&self.stopper);
        let wanted = wanted();
        if let Some(stopper) = stopper.as_ref().filter(|_| wanted) {
            stopper.allow();
        }
        wanted
    }

    /// Cancels the reload of a model that has failed.
    pub fn cancel_reload(&self) {
        let reloading = lock(&self.reloading).clone();
        if let Some(canceller) = reloading {
            canceller.cancel();
        }
    }
}

impl Flow {
    /// Sets the first model.
    pub fn set_model(&self, segmenter: Segmenter, opening: Opening) {
        self.install(Inferrer::new(segmenter), opening);
    }

    /// The model in use.
    pub fn model(&self) -> Option<Arc<ModelInfo>> {
        let current = lock(&self.models.current);
        current.as_ref().map(|(model, _)| model.clone())
    }

    /// Replaces the model before the next frame. Returns a model that was offered before and has not been used yet.
    pub fn offer(&self, segmenter: Segmenter, opening: Opening) -> Option<(Inferrer, Opening)> {
        let next = (Inferrer::new(segmenter), opening);
        lock(&self.models.next).replace(next)
    }

    /// Whether a model waits for the next frame.
    pub fn has_offer(&self) -> bool {
        lock(&self.models.next).is_some()
    }

    /// The model that waits for the next frame; without one, the model in use.
    pub fn newest_model(&self) -> Option<Arc<ModelInfo>> {
        let next = lock(&self.models.next);
        let offered = next.as_ref().map(|(inferrer, _)| inferrer.model.clone());
        offered.or_else(|| self.model())
    }

    /// Replaces the model with the one that was offered, if one was, and returns that; on the thread that infers.
    pub fn swap(&self) -> Option<Arc<ModelInfo>> {
        // Locked until the new model is in use, so that `newest_model` always finds one.
        let mut next = lock(&self.models.next);
        let (inferrer, opening) = next.take()?;
        // Dropped last, unlocked: freeing a session may take long, and every frame takes this lock.
        let old = self.models.inferrer.take();
        self.models.forget_failures();
        self.install(inferrer, opening);
        drop(next);
        drop(old);
        self.model()
    }

    fn install(&self, inferrer: Inferrer, opening: Opening) {
        let stopper = inferrer.segmenter.model().stopper();
        {
            let mut current = lock(&self.models.stopper);
            // While flushing, no network is needed, and the flush waits for this thread.
            if self.is_flushing() {
                stopper.stop();
            }
            *current = Some(stopper);
        }
        let model = inferrer.model.clone();
        // The network first: a thread that sees the new model's info starts to use it.
        self.models.inferrer.set(Some(inferrer));
        let old = lock(&self.models.current).replace((model, opening));
        drop(old);
        // The new model has given up nothing, which is reported if the previous one had.
        let before = std::mem::take(&mut *lock(&self.pace));
        let is_news = before.is_reduced() || before.is_exhausted();
        *lock(&self.change) = is_news.then_some(PaceStep::Rate);
    }

    /// Reloads the model after a failure: once, or any number of times if it has failed `for_others` that share its
    /// session. Returns whether it was reloaded. A reload that a flush interrupts does not count.
    pub fn reload(&self, for_others: bool) -> Result<bool, ModelError> {
        if !for_others && self.models.reloaded.swap(true, Ordering::Relaxed) {
            return Ok(false);
        }
        let Some((_, opening)) = lock(&self.models.current).clone() else {
            return Ok(false);
        };
        let canceller = Canceller::default();
        *lock(&self.models.reloading) = Some(canceller.clone());
        if self.is_flushing() {
            canceller.cancel();
        }
        let opened = opening.open_until(canceller);
        *lock(&self.models.reloading) = None;
        if !for_others && opened.is_err() && self.is_flushing() {
            self.models.reloaded.store(false, Ordering::Relaxed);
        }
        let inferrer = Inferrer::new(opened?);
        let new = inferrer.segmenter.model();
        let is_same = |old: &mut Inferrer| new.has_content_of(old.segmenter.model());
        if self.models.inferrer.with(is_same) != Some(true) {
            return Err(ModelError::Load {
                path: opening.path,
                reason: "its files have changed since it was loaded".into(),
            });
        }
        self.install(inferrer, opening);
        Ok(true)
    }

    /// Stops using the network and its masks. Returns `false` if it was [broken](Self::is_broken) already.
    pub fn give_up(&self) -> bool {
        // In this order, so that no mask is kept after they were forgotten.
        let first = !self.models.broken.swap(true, Ordering::SeqCst);
        self.forget_masks();
        first
    }

    /// Whether the network has failed for good.
    pub fn is_broken(&self) -> bool {
        self.models.broken.load(Ordering::SeqCst)
    }
}
