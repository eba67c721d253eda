//! Masks that frames carry from earlier ones, and the objects of all masks.

use std::sync::atomic::Ordering;

use super::Flow;
use crate::lock::lock;
use crate::unetsegment::Output;
use crate::unetsegment::job::{Job, ProcessError, Segmentation};
use crate::unetsegment::settings::FrameSettings;

impl Flow {
    /// Whether `job`, which is to carry the mask of an earlier frame, needs a map that the earlier frame lacks.
    pub fn lacks_maps(&self, job: &Job) -> bool {
        let (seen, model) = (*lock(&self.seen), self.model());
        seen.zip(model).is_some_and(|(maps, model)| {
            !maps.serve(job.kind, &job.settings, &model.contract)
                || (job.settings.post_objects && !maps.frame)
        })
    }

    /// Whether the newest mask lacks something for frames with output `kind`, or has outdated objects; for frames that
    /// do not wait for their masks.
    pub fn newest_is_outdated(&self, kind: Output, settings: &FrameSettings) -> bool {
        let newest = lock(&self.newest);
        newest
            .as_ref()
            .is_some_and(|found| found.is_outdated(kind, settings))
    }

    /// Keeps the mask of `job` for later frames, if they may need it; a job without a mask gets the newest.
    pub fn share_mask(&self, job: &mut Job) {
        let keeps = job.settings.inference_interval > 1 || job.settings.max_latency > 0;
        match &job.found {
            Some(found) if keeps => self.keep(job, found.clone()),
            Some(_) => (),
            None => job.found = self.newest_mask(),
        }
    }

    /// The newest mask. The events of its objects are returned only the first time.
    fn newest_mask(&self) -> Option<Segmentation> {
        let mut newest = lock(&self.newest);
        let found = newest.as_mut()?;
        let events = std::mem::take(&mut found.events);
        Some(Segmentation {
            events,
            ..found.clone()
        })
    }

    /// Finds the objects of the mask of `job`, if it wants them; on the thread that pushes frames or, if these do not
    /// wait for masks, on the thread of the stage after the network. Returns whether their numbering restarts for the
    /// first time.
    pub fn find_objects(&self, job: &mut Job) -> Result<bool, ProcessError> {
        let done = self.finder.with(|finder| finder.find(job));
        done.unwrap_or(Err(ProcessError::NoCaps))
    }

    /// Whether later frames may carry the mask of `job`.
    pub fn is_current(&self, job: &Job) -> bool {
        let same_scene = job.scene == self.scene.load(Ordering::SeqCst);
        same_scene && !job.stream.is_ended() && !self.is_broken()
    }

    /// Makes `found`, the result of `job`, the mask of later frames.
    pub fn keep(&self, job: &Job, mut found: Segmentation) {
        let mut newest = lock(&self.newest);
        // When a scene or a stream ends, or the network fails for good, masks are forgotten after `job` stops being
        // current, so that none is kept too late.
        if !self.is_current(job) {
            return;
        }
        if let Some(old) = newest.as_mut() {
            // Perhaps no frame has reported the events of the old mask.
            let mut events = std::mem::take(&mut old.events);
            events.append(&found.events);
            found.events = events;
        }
        let old = newest.replace(found);
        drop(newest);
        if let Some(map) = old.and_then(|old| old.probability) {
            job.stream.recycle(map);
        }
    }

    pub(super) fn forget_masks(&self) {
        let old = lock(&self.newest).take();
        drop(old);
    }
}
