//! The second stage: the network finds out what is on a frame.

use std::sync::Arc;

use super::Output;
use super::job::{Found, Job, ProcessError};
use super::loaded::Loaded;
use super::reader;
use crate::picture::Normalizer;
use crate::segmenter::Segmenter;

/// A loaded model at work.
pub struct Inferrer {
    pub segmenter: Segmenter,
    pub model: Arc<Loaded>,
    normalizer: Normalizer,
}

impl Inferrer {
    pub fn new(segmenter: Segmenter) -> Self {
        Inferrer {
            model: Arc::new(Loaded::of(segmenter.model())),
            normalizer: Normalizer::new(segmenter.contract().normalization),
            segmenter,
        }
    }

    /// Segments the frame of `job`.
    pub fn infer(&mut self, job: &mut Job) -> Result<(), ProcessError> {
        let scaling = match &job.scaling {
            Some((model, scaling)) if Arc::ptr_eq(model, &self.model) => *scaling,
            _ => reader::scaling(&mut self.normalizer, job, &self.model)?,
        };
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
            let map = probability.as_mut().and_then(Arc::get_mut);
            self.segmenter.segment_scaled(
                &frame,
                scaling,
                &mut pixels,
                map.map(Vec::as_mut_slice),
            )?
        };
        job.found = Some(Found {
            mask,
            probability,
            spent,
            model: self.model.clone(),
            arrived: job.arrived,
            timestamp: job.frame().pts(),
        });
        Ok(())
    }
}
