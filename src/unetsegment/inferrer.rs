//! The second stage: the network finds out what is on a frame.

use super::Output;
use super::job::{Found, Job, ProcessError};
use crate::mask_meta::Mask;
use crate::segmenter::Segmenter;

/// A loaded model at work.
pub struct Inferrer {
    pub segmenter: Segmenter,
}

impl Inferrer {
    /// Segments the frame of `job`.
    pub fn infer(&mut self, job: &mut Job) -> Result<(), ProcessError> {
        let stream = &job.stream;
        let mut mask = stream.mask()?;
        let mut probability = match job.kind {
            Output::Probability => Some(stream.probability()?),
            _ => None,
        };
        let spent = {
            let buffer = job.frame();
            let bytes = buffer.map_readable()?;
            let placement = stream.input.placement(buffer)?;
            let frame = stream.input.frame(&placement, &bytes)?;
            // The pool has just handed it out to us alone.
            let mut pixels = mask.make_mut().map_writable()?;
            let map = probability.as_deref_mut();
            self.segmenter
                .segment_scaled(&frame, job.scaling, &mut pixels, map)?
        };
        job.found = Some(Found {
            mask: Mask {
                mask,
                caps: stream.mask_caps.clone(),
                inference: spent.inference,
            },
            probability,
            spent,
        });
        Ok(())
    }
}
