//! Probabilities to average over several frames, and the decision on their mean.

use super::{SegmentError, Segmenter, TileRunner, size_of};
use crate::picture::{Frame, Scaling};
use crate::tiling::Stitcher;

impl Segmenter {
    /// The probabilities on which [`segment`](Self::segment) decides for `frame`, and [`decide`](Self::decide) for the
    /// mean over several frames: \[planes\]\[height\]\[width\], a plane of probabilities for each class, or, with
    /// scores of two classes, for the foreground alone. The scaling may be that of another frame.
    pub fn probabilities(
        &mut self,
        frame: &Frame,
        scaling: Scaling,
    ) -> Result<Vec<f32>, SegmentError> {
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
        let (plan, batch) = (&prepared.plan, prepared.batching.batch);
        let mut stitcher = Stitcher::summing(plan, decision)?;
        let mut runner = TileRunner::new(&mut self.model, frame, scaling, &mut stitcher);
        // The mask is not written before the stitcher is finished, which it never is here.
        runner.run_all(plan, batch, &mut [], None)?;
        Ok(stitcher.into_probabilities())
    }

    /// Like [`segment`](Self::segment), for [`probabilities`](Self::probabilities) or their mean over several frames.
    ///
    /// # Panics
    /// If there are fewer of them than pixels in `mask`.
    pub fn decide(&self, probabilities: &[f32], mask: &mut [u8], probability: &mut [f32]) {
        let decision = self.decision().of_sums();
        decision.decide(probabilities, mask, probability);
    }
}
