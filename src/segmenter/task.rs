//! One frame at work: which tiles are inferred, and where their answers go.

use std::time::Instant;

use super::{SegmentError, Spent};
use crate::inference::Model;
use crate::picture::{self, Frame, Scaling};
use crate::reuse::{Kept, Work};
use crate::tiling::{Plan, Size, Span, Stitcher};

/// A frame at work.
pub(super) struct Task<'a, 'f> {
    pub model: &'a mut Model,
    pub frame: &'a Frame<'f>,
    pub scaling: Scaling,
    pub stitcher: &'a mut Stitcher,
    pub spent: Spent,
}

impl Task<'_, '_> {
    /// Infers one tile and writes its part of both maps.
    pub fn tile(
        &mut self,
        tile: (&Span, &Span),
        (outer, output): (Size, Size),
        mask: &mut [u8],
        probability: Option<&mut [f32]>,
    ) -> Result<(), SegmentError> {
        self.model.shape_of_part(outer.height, outer.width)?;
        let channels = self.model.contract().channels;
        let input = self.model.input();
        picture::fill(self.frame, channels, self.scaling, tile, outer, input);
        let start = Instant::now();
        let scores = self.model.run()?;
        self.spent.inference += start.elapsed();
        self.spent.runs += 1;
        self.stitcher.add(tile, (scores, output), mask, probability);
        Ok(())
    }

    /// Infers `count` tiles of the plan in one run, or what is left from the tile `first` on.
    pub fn batch(
        &mut self,
        plan: &Plan,
        (first, count): (usize, usize),
        mask: &mut [u8],
        mut probability: Option<&mut [f32]>,
    ) -> Result<(), SegmentError> {
        let (outer, output) = (plan.outer, plan.output);
        let tiles = || plan.tiles().skip(first).take(count);
        self.model
            .shape_of_batch(count, outer.height, outer.width)?;
        let channels = self.model.contract().channels;
        let inputs = self.model.input();
        let inputs = inputs.chunks_exact_mut(channels.count() * outer.area());
        for (tile, input) in tiles().zip(inputs) {
            picture::fill(self.frame, channels, self.scaling, tile, outer, input);
        }
        let per_tile = self.model.outputs() * output.area();
        let start = Instant::now();
        let scores = self.model.run()?;
        self.spent.inference += start.elapsed();
        self.spent.runs += 1;
        for (tile, scores) in tiles().zip(scores.chunks_exact(per_tile)) {
            let probability = probability.as_deref_mut();
            self.stitcher.add(tile, (scores, output), mask, probability);
        }
        Ok(())
    }

    /// Infers what has changed, and writes it into what is kept.
    pub fn what_changed(
        &mut self,
        plan: &Plan,
        kept: &mut Kept,
        with_probability: bool,
    ) -> Result<(), SegmentError> {
        if with_probability {
            kept.with_probability()?;
        }
        let done = self.infer_into(plan, kept);
        // A run that fails leaves parts unanswered that count as answered.
        if done.is_err() {
            kept.forget();
        }
        self.spent.reused = 1.0 - done? as f64 / plan.frame.area() as f64;
        Ok(())
    }

    /// Returns how many pixels were answered.
    fn infer_into(&mut self, plan: &Plan, kept: &mut Kept) -> Result<usize, SegmentError> {
        let channels = self.model.contract().channels;
        let (work, maps) = kept.look(self.frame, channels, self.scaling);
        let probability = Some(&mut maps.probability[..]).filter(|p| !p.is_empty());
        let (mask, mut probability) = (&mut maps.mask[..], probability);
        let mut answered = 0;
        let mut infer = |tile: (&Span, &Span), sizes| {
            answered += tile.0.target.len() * tile.1.target.len();
            self.tile(tile, sizes, mask, probability.as_deref_mut())
        };
        match work {
            Work::Tiles(touched) => {
                for tile in plan.tiles().filter(|tile| touched.sees(*tile, plan.outer)) {
                    infer(tile, (plan.outer, plan.output))?;
                }
            }
            Work::Patches(patches) => {
                for patch in patches {
                    let tile = (&patch.rows, &patch.columns);
                    infer(tile, (patch.outer, patch.output))?;
                }
            }
        }
        Ok(answered)
    }
}
