//! Runs the network on the tiles of one frame, and stitches its output into maps.

use std::time::Instant;

use super::{SegmentError, SegmentStats};
use crate::inference::Model;
use crate::picture::{Frame, Scaling, fill_tile_input};
use crate::reuse::{ReuseCache, StaleParts};
use crate::tiling::{Plan, Size, Span, Stitcher};

/// Runs the network on tiles of one frame.
pub(super) struct TileRunner<'a, 'f> {
    model: &'a mut Model,
    frame: &'a Frame<'f>,
    scaling: Scaling,
    pub stitcher: &'a mut Stitcher,
    pub stats: SegmentStats,
}

impl<'a, 'f> TileRunner<'a, 'f> {
    pub fn new(
        model: &'a mut Model,
        frame: &'a Frame<'f>,
        scaling: Scaling,
        stitcher: &'a mut Stitcher,
    ) -> Self {
        TileRunner {
            model,
            frame,
            scaling,
            stitcher,
            stats: SegmentStats::default(),
        }
    }

    /// Infers all tiles of the plan, `batch` in each run. They are stitched, but the stitcher is not finished.
    pub fn run_all(
        &mut self,
        plan: &Plan,
        batch: usize,
        mask: &mut [u8],
        mut probability: Option<&mut [f32]>,
    ) -> Result<(), SegmentError> {
        self.stitcher.begin();
        let Size { width, height } = plan.outer;
        self.model.shape_batch(batch, height, width)?;
        for first in (0..plan.len()).step_by(batch) {
            let tiles = plan.tiles().skip(first).take(batch);
            let probability = probability.as_deref_mut();
            self.run(tiles, (plan.outer, plan.output), mask, probability)?;
        }
        Ok(())
    }

    /// Infers one tile or patch, in the middle of a stream.
    fn run_one(
        &mut self,
        tile: (&Span, &Span),
        sizes: (Size, Size),
        mask: &mut [u8],
        probability: Option<&mut [f32]>,
    ) -> Result<(), SegmentError> {
        let (Size { width, height }, _) = sizes;
        self.model.shape_without_trial(height, width)?;
        self.run(std::iter::once(tile), sizes, mask, probability)
    }

    /// Infers `tiles` in one run, for which the model is shaped, and writes their parts of both maps.
    fn run<'t>(
        &mut self,
        tiles: impl Iterator<Item = (&'t Span, &'t Span)> + Clone,
        (outer, output): (Size, Size),
        mask: &mut [u8],
        mut probability: Option<&mut [f32]>,
    ) -> Result<(), SegmentError> {
        let channels = self.model.contract().channels;
        let inputs = self.model.input();
        let inputs = inputs.chunks_exact_mut(channels.count() * outer.area());
        for (tile, input) in tiles.clone().zip(inputs) {
            fill_tile_input(self.frame, channels, self.scaling, tile, outer, input);
        }
        let per_tile = self.model.outputs() * output.area();
        let start = Instant::now();
        let scores = self.model.run()?;
        self.stats.inference += start.elapsed();
        self.stats.runs += 1;
        for (tile, scores) in tiles.zip(scores.chunks_exact(per_tile)) {
            let probability = probability.as_deref_mut();
            self.stitcher.add(tile, (scores, output), mask, probability);
        }
        Ok(())
    }

    /// Infers the parts of the frame that have changed, and updates the cache.
    pub fn run_changes(
        &mut self,
        plan: &Plan,
        cache: &mut ReuseCache,
        with_probability: bool,
    ) -> Result<(), SegmentError> {
        if with_probability {
            cache.keep_probability()?;
        }
        let inferred = self.update(plan, cache);
        // A failed run leaves parts without a result that count as inferred.
        if inferred.is_err() {
            cache.invalidate();
        }
        self.stats.reused = 1.0 - inferred? as f64 / plan.frame.area() as f64;
        Ok(())
    }

    /// Updates the cache; returns how many pixels were inferred.
    fn update(&mut self, plan: &Plan, cache: &mut ReuseCache) -> Result<usize, SegmentError> {
        let channels = self.model.contract().channels;
        let (stale, maps) = cache.update(self.frame, channels, self.scaling)?;
        let probability = Some(&mut maps.probability[..]).filter(|p| !p.is_empty());
        let (mask, mut probability) = (&mut maps.mask[..], probability);
        let mut inferred = 0;
        let mut infer = |tile: (&Span, &Span), sizes| {
            inferred += tile.0.target.len() * tile.1.target.len();
            self.run_one(tile, sizes, mask, probability.as_deref_mut())
        };
        match stale {
            StaleParts::Tiles(blocks) => {
                for tile in plan.tiles().filter(|tile| blocks.sees(*tile, plan.outer)) {
                    infer(tile, (plan.outer, plan.output))?;
                }
            }
            StaleParts::Patches(patches) => {
                for patch in patches {
                    let tile = (&patch.rows, &patch.columns);
                    infer(tile, (patch.outer, patch.output))?;
                }
            }
        }
        Ok(inferred)
    }
}
