//! One run over the whole frame, to compare with.

use super::{SegmentError, Segmenter, Spent, Task, fits, leave_room, size_of};
use crate::picture::{Frame, Scaling};
use crate::tiling::{Blend, Decision, Plan, Stitcher, TileSize};

impl Segmenter {
    /// As [`segment_scaled`](Self::segment_scaled), but in one run whatever memory that takes, and without a trace
    /// on later frames. Returns false where the network takes no input of that size.
    pub fn segment_whole(
        &mut self,
        frame: &Frame,
        scaling: Scaling,
        mask: &mut [u8],
    ) -> Result<bool, SegmentError> {
        let size = size_of(frame);
        fits("the mask", mask.len(), size)?;
        let geometry = self.model.contract().geometry;
        let unlimited = TileSize::Planned {
            max_pixels: usize::MAX,
        };
        let plan = Plan::new(size, &geometry, Blend::Crop, unlimited)?;
        if plan.len() > 1 {
            return Ok(false);
        }
        let done = self.run_whole(frame, scaling, &plan, mask);
        // Nothing of that size is needed again.
        self.prepared = None;
        self.model.forget_shapes();
        done.map(|()| true)
    }

    fn run_whole(
        &mut self,
        frame: &Frame,
        scaling: Scaling,
        plan: &Plan,
        mask: &mut [u8],
    ) -> Result<(), SegmentError> {
        self.model.shape(plan.outer.height, plan.outer.width)?;
        leave_room(plan.frame)?;
        let activation = self.model.contract().activation;
        let decision = Decision::new(activation, self.model.outputs(), self.threshold);
        let mut stitcher = Stitcher::new(plan, decision)?;
        stitcher.begin();
        let mut task = Task {
            model: &mut self.model,
            frame,
            scaling,
            stitcher: &mut stitcher,
            spent: Spent::default(),
        };
        for tile in plan.tiles() {
            task.tile(tile, (plan.outer, plan.output), mask, None)?;
        }
        stitcher.finish(mask, None);
        Ok(())
    }
}
