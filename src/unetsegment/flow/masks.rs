//! The masks that frames show besides their own, and the objects of all of them.

use std::sync::atomic::Ordering;

use super::Flow;
use crate::lock::lock;
use crate::unetsegment::Output;
use crate::unetsegment::job::{Job, ProcessError, Segmentation};
use crate::unetsegment::settings::FrameSettings;

impl Flow {
    /// Whether `job`, which was to go out with the mask of an earlier frame, needs a map that this frame lacks.
    pub fn lacks_maps(&self, job: &Job) -> bool {
        let (seen, model) = (*lock(&self.seen), self.model());
        seen.zip(model).is_some_and(|(maps, model)| {
            !maps.serve(job.kind, &job.settings, &model.contract)
                || (job.settings.post_objects && !maps.frame)
        })
    }

    /// Whether, for frames of which `kind` goes out, the newest mask lacks something or has objects that are outdated,
    /// where frames do not wait for theirs.
    pub fn newest_is_outdated(&self, kind: Output, settings: &FrameSettings) -> bool {
        let newest = lock(&self.newest);
        newest
            .as_ref()
            .is_some_and(|found| found.is_outdated(kind, settings))
    }

    /// Keeps the mask of `job` for the frames to come, where they may need it; a job without one gets the newest.
    pub fn share_mask(&self, job: &mut Job) {
        let keeps = job.settings.inference_interval > 1 || job.settings.max_latency > 0;
        match &job.found {
            Some(found) if keeps => self.keep(job, found.clone()),
            Some(_) => (),
            None => job.found = self.newest_mask(),
        }
    }

    /// The newest mask. Only the first one has the events of its objects.
    fn newest_mask(&self) -> Option<Segmentation> {
        let mut newest = lock(&self.newest);
        let found = newest.as_mut()?;
        let events = std::mem::take(&mut found.events);
        Some(Segmentation {
            events,
            ..found.clone()
        })
    }

    /// Finds the objects of the mask of `job`, where it wants them; on the thread on which frames go out or, where they
    /// do not wait for masks, on the one behind the network. Returns whether numbers begin at 1 again, the first time.
    pub fn find_objects(&self, job: &mut Job) -> Result<bool, ProcessError> {
        let done = self.finder.with(|finder| finder.find(job));
        done.unwrap_or(Err(ProcessError::NoCaps))
    }

    /// Whether frames to come may show the mask of `job`.
    pub fn is_current(&self, job: &Job) -> bool {
        let same_scene = job.scene == self.scene.load(Ordering::SeqCst);
        same_scene && !job.stream.is_ended() && !self.is_broken()
    }

    /// Makes `found` on `job` the mask of the frames to come.
    pub fn keep(&self, job: &Job, mut found: Segmentation) {
        let mut newest = lock(&self.newest);
        // A scene or a stream that ends forgets its masks after that, and so does a network that fails for good.
        if !self.is_current(job) {
            return;
        }
        if let Some(old) = newest.as_mut() {
            // Perhaps no frame has shown it.
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
