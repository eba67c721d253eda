//! The second stage: methods that use the network, for the thread that infers and no other.

use std::sync::Arc;

use super::Flow;
use crate::lock::lock;
use crate::unetsegment::inferrer::{Inferrer, Prepared};
use crate::unetsegment::job::{Job, ProcessError};
use crate::unetsegment::messages::Seams;
use crate::unetsegment::model_info::ModelInfo;
use crate::unetsegment::picture_check::PictureComparison;

impl Flow {
    /// Lets the network process the frame of `job`, if frames do not wait for masks, unless its stream has ended or a
    /// flush has begun. Returns whether it may.
    pub fn resume_for(&self, job: &Job) -> bool {
        let wanted = || !job.stream.is_ended() && !self.is_flushing();
        self.models.resume_if(wanted)
    }

    /// Prepares the network for frames like that of `job`. Returns the result the first time.
    pub fn prepare_for(&self, job: &Job) -> Result<Option<Prepared>, ProcessError> {
        if job.stream.is_prepared() {
            return Ok(None);
        }
        let size = job.stream.input.size();
        let inferrer = &self.models.inferrer;
        let prepared = inferrer.with(|inferrer| inferrer.prepare(size));
        let prepared = prepared.unwrap_or(Err(ProcessError::NoCaps))?;
        job.stream.set_prepared();
        self.on_caps_changed();
        Ok(Some(prepared))
    }

    /// Segments the frame of `job`.
    pub fn infer(&self, job: &mut Job) -> Result<(), ProcessError> {
        let inferrer = &self.models.inferrer;
        let inferred = inferrer.with(|inferrer| inferrer.infer(job));
        inferred.unwrap_or(Err(ProcessError::NoCaps))?;
        // Other frames are to carry its mask, but objects are always measured on this one.
        let shared = job.settings.post_objects && self.interval(&job.settings) > 1;
        let frame = shared.then(|| job.input.as_ref().unwrap_or(&job.output).clone());
        if let Some(found) = &mut job.found {
            found.frame = frame;
            self.count(|stats| stats.record_segmented(found.spent));
            *lock(&self.seen) = Some(found.maps());
        }
        Ok(())
    }

    /// How the mask of `job` differs from that of one run over the whole frame, if that is wanted and was not checked
    /// yet at this size.
    pub fn check_seams(&self, job: &Job) -> Option<Seams> {
        let inferrer = Some(&self.models.inferrer).filter(|_| job.settings.check_seams);
        inferrer?.with(|inferrer| inferrer.check_seams(job))?
    }

    /// Maximum number of bytes that a tile takes since memory ran short, if that has changed.
    pub fn check_memory(&self) -> Option<u64> {
        self.models.inferrer.with(Inferrer::check_memory)?
    }

    /// Whether frames look like the pictures that the model was trained on, if that is wanted and the result is news.
    pub fn check_pictures(&self, job: &Job) -> Option<(Arc<ModelInfo>, PictureComparison)> {
        let inferrer = Some(&self.models.inferrer).filter(|_| job.settings.check_pictures);
        let compare = |inferrer: &mut Inferrer| {
            // Errors of the frame were reported when it was segmented.
            let compared = inferrer.check_pictures(job).ok()??;
            Some((inferrer.model.clone(), compared))
        };
        inferrer?.with(compare)?
    }
}
