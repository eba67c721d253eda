//! One run over the whole frame, for comparison.

use super::{SegmentError, Segmenter, TileRunner, check_size, leave_room, size_of};
use crate::picture::{Frame, Scaling};
use crate::tiling::{Blend, Plan, Stitcher, TileSize};

impl Segmenter {
    /// Like [`segment_scaled`](Self::segment_scaled), but in one run whatever memory that takes, and without any effect
    /// on later frames. Returns `false` if the network accepts no input of that size.
    pub fn segment_whole(
        &mut self,
        frame: &Frame,
        scaling: Scaling,
        mask: &mut [u8],
    ) -> Result<bool, SegmentError> {
        let size = size_of(frame);
        check_size("the mask", mask.len(), size)?;
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
        self.leave_room_beside_run(plan.outer.area(), plan.frame)?;
        self.model.shape(plan.outer.height, plan.outer.width)?;
        leave_room(plan.frame)?;
        let mut stitcher = Stitcher::new(plan, self.decision())?;
        let mut runner = TileRunner::new(&mut self.model, frame, scaling, &mut stitcher);
        runner.run_all(plan, 1, mask, None)?;
        stitcher.finish(mask, None);
        Ok(())
    }
}
