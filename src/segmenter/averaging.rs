//! Probabilities to average over several frames, and what is decided about the mean.

use super::{SegmentError, Segmenter, Spent, Task, size_of};
use crate::contract::Normalization;
use crate::picture::{Frame, Scaling};
use crate::tiling::Stitcher;

impl Segmenter {
    /// What [`segment`](Self::segment) decides about for `frame`, and [`decide`](Self::decide) for the mean over several
    /// frames: \[planes\]\[height\]\[width\], a plane of probabilities for each class, or for the foreground alone where
    /// scores tell two classes apart.
    pub fn probabilities(
        &mut self,
        frame: &Frame,
        normalization: Normalization,
    ) -> Result<Vec<f32>, SegmentError> {
        let scaling = self.scaling(frame, normalization);
        let size = size_of(frame);
        loop {
            match self.probabilities_once(frame, scaling) {
                Ok(probabilities) => return Ok(probabilities),
                Err(error) => self.shrink_for(size, error)?,
            }
        }
    }

    fn probabilities_once(
        &mut self,
        frame: &Frame,
        scaling: Scaling,
    ) -> Result<Vec<f32>, SegmentError> {
        self.prepare(size_of(frame))?;
        let decision = self.decision();
        let prepared = self.prepared.as_ref().ok_or(SegmentError::Unprepared)?;
        let (plan, batch) = (&prepared.plan, prepared.runs.batch);
        let mut stitcher = Stitcher::summing(plan, decision)?;
        stitcher.begin();
        let mut task = Task {
            model: &mut self.model,
            frame,
            scaling,
            stitcher: &mut stitcher,
            spent: Spent::default(),
        };
        for first in (0..plan.len()).step_by(batch) {
            // Nothing is written before all is summed up.
            task.batch(plan, (first, batch), &mut [], None)?;
        }
        Ok(stitcher.into_probabilities())
    }

    /// As [`segment`](Self::segment), of [`probabilities`](Self::probabilities) or of their mean over several frames.
    ///
    /// # Panics
    /// If there are fewer of them than pixels in `mask`.
    pub fn decide(&self, probabilities: &[f32], mask: &mut [u8], probability: &mut [f32]) {
        let decision = self.decision().of_sums();
        decision.decide(probabilities, mask, probability);
    }
}
