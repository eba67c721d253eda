//! The masks that frames show besides their own, and the objects of all of them.

use std::sync::atomic::Ordering;

use super::Flow;
use crate::lock::lock;
use crate::unetsegment::Output;
use crate::unetsegment::job::{Found, Job, ProcessError};
use crate::unetsegment::settings::FrameSettings;

impl Flow {
    /// Whether `job`, which was to go out with the mask of an earlier frame, needs something that there is none of.
    pub fn falls_short(&self, job: &Job) -> bool {
        let (seen, model) = (*lock(&self.seen), self.model());
        seen.zip(model).is_some_and(|(maps, model)| {
            !maps.serve(job.kind, &job.settings, &model.contract)
                || (job.settings.post_objects && !maps.frame)
        })
    }

    /// Whether the newest mask lacks something for frames of which `kind` goes out, where these do not wait for
    /// theirs, or has objects that others would take the place of by now.
    pub fn newest_is_outdated(&self, kind: Output, settings: &FrameSettings) -> bool {
        let newest = lock(&self.newest);
        newest
            .as_ref()
            .is_some_and(|found| found.is_outdated(kind, settings))
    }

    /// Keeps the mask of `job` for those to come, where they may need it; one that has none gets the newest.
    pub fn share_mask(&self, job: &mut Job) {
        let keeps = job.settings.inference_interval > 1 || job.settings.max_latency > 0;
        match &job.found {
            Some(found) if keeps => self.keep(job, found.clone()),
            Some(_) => (),
            None => job.found = self.show_newest(),
        }
    }

    /// The newest mask. What has happened to its objects only the first one hears who shows it.
    fn show_newest(&self) -> Option<Found> {
        let mut newest = lock(&self.newest);
        let found = newest.as_mut()?;
        let events = std::mem::take(&mut found.events);
        Some(Found {
            events,
            ..found.clone()
        })
    }

    /// Finds the objects of what was found for `job`, where it wants them; whether their numbers begin anew, and that
    /// is news. Only the thread may call it on which frames go out or, where they do not wait for masks, are behind
    /// the network.
    pub fn find_objects(&self, job: &mut Job) -> Result<bool, ProcessError> {
        let done = self.finder.with(|finder| finder.find(job));
        done.unwrap_or(Err(ProcessError::NoCaps))
    }

    /// Whether frames to come may show the mask of `job`.
    pub fn is_of_now(&self, job: &Job) -> bool {
        let of_now = job.scene == self.scene.load(Ordering::SeqCst);
        of_now && !job.stream.is_ended() && !self.is_broken()
    }

    /// Makes what was found on `job` the mask of the frames to come.
    pub fn keep(&self, job: &Job, mut found: Found) {
        let mut newest = lock(&self.newest);
        // When these end, what is kept is forgotten after that; so it is where the network has failed for good.
        if !self.is_of_now(job) {
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
            job.stream.take_back(map);
        }
    }

    pub(super) fn forget_masks(&self) {
        let old = lock(&self.newest).take();
        drop(old);
    }
}
