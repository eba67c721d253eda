//! Stitches the outputs for the tiles of a plan into one map of the frame.

use std::collections::TryReserveError;

use super::decision::Decision;
use super::plan::{Plan, Size, Span};
use super::score::ScoreRow;

/// Stitches the network's outputs. Created once for a plan; allocates nothing afterwards.
///
/// For each frame: [`begin`](Self::begin), [`add`](Self::add) for every tile of the plan in any
/// order, [`finish`](Self::finish). Both maps are rows of the frame's width without padding.
pub struct Stitcher {
    decision: Decision,
    /// The decision for `sums`.
    of_sums: Decision,
    frame: [usize; 2],
    /// Weighted probabilities, \[planes\]\[height\]\[width\] of the frame; empty if the plan doesn't blend and they
    /// were not requested.
    sums: Vec<f32>,
    /// Weights of a row of pixels, for summing with a plan without weights.
    ones: Vec<f32>,
    /// Two rows of working memory.
    space: [Vec<f32>; 2],
}

impl Stitcher {
    /// A stitcher for the tiles of `plan` and a network with `decision.outputs()` output channels.
    ///
    /// # Errors
    /// If there is not enough memory for the sums of a blending plan.
    pub fn new(plan: &Plan, decision: Decision) -> Result<Self, TryReserveError> {
        if plan.blends() {
            Stitcher::summing(plan, decision)
        } else {
            Ok(Stitcher::with_sums(plan, decision, Vec::new()))
        }
    }

    /// Like [`new`](Self::new), but keeps the [probabilities](Self::into_probabilities) of a frame whether the plan
    /// blends or not.
    ///
    /// # Errors
    /// If there is not enough memory for them.
    pub fn summing(plan: &Plan, decision: Decision) -> Result<Self, TryReserveError> {
        let mut sums = Vec::new();
        let length = decision.of_sums().outputs() * plan.frame.area();
        sums.try_reserve_exact(length)?;
        sums.resize(length, 0.0);
        let mut stitcher = Stitcher::with_sums(plan, decision, sums);
        if !plan.blends() {
            stitcher.ones = vec![1.0; plan.frame.width];
        }
        Ok(stitcher)
    }

    fn with_sums(plan: &Plan, decision: Decision, sums: Vec<f32>) -> Self {
        Stitcher {
            decision,
            of_sums: decision.of_sums(),
            frame: [plan.frame.height, plan.frame.width],
            sums,
            ones: Vec::new(),
            space: [vec![0.0; plan.frame.width], vec![0.0; plan.frame.width]],
        }
    }

    /// Changes the decision from the next frame on. The network and its activation must stay the same.
    pub fn set_decision(&mut self, decision: Decision) {
        self.of_sums = decision.of_sums();
        self.decision = decision;
    }

    /// Starts a frame.
    pub fn begin(&mut self) {
        self.sums.fill(0.0);
    }

    /// Adds the network's `output` for one tile: scores, \[channels\]\[height\]\[width\] of `size`, which is
    /// [`Plan::output`] for the plan's own tiles. Without blending this writes the tile's part of `mask` (class
    /// indices) and of `probability` (of the foreground).
    ///
    /// # Panics
    /// If a slice is too short for the plan, or the spans are not the plan's.
    pub fn add(
        &mut self,
        (rows, columns): (&Span, &Span),
        (output, size): (&[f32], Size),
        mask: &mut [u8],
        mut probability: Option<&mut [f32]>,
    ) {
        let Size { width, height } = size;
        for (index, y) in rows.target.clone().enumerate() {
            let start = (rows.source + index) * width + columns.source;
            let scores = ScoreRow::new(output, height * width, start, columns.target.len());
            if self.sums.is_empty() {
                let at = y * self.frame[1];
                let range = at + columns.target.start..at + columns.target.end;
                let part = probability.as_deref_mut().map(|p| &mut p[range.clone()]);
                self.write(self.decision, scores, &mut mask[range], part);
            } else {
                let weight = if self.ones.is_empty() {
                    rows.weights[index]
                } else {
                    1.0
                };
                self.blend(scores, (y, weight), columns);
            }
        }
    }

    /// Ends a frame: with a blending plan, `mask` and `probability` are written only now.
    ///
    /// # Panics
    /// If a slice is shorter than the frame.
    pub fn finish(&mut self, mask: &mut [u8], mut probability: Option<&mut [f32]>) {
        if self.sums.is_empty() {
            return;
        }
        let [height, width] = self.frame;
        // Taken for the loop, so that the sums can be read while the working memory is written.
        let sums = std::mem::take(&mut self.sums);
        for start in (0..height * width).step_by(width) {
            let scores = ScoreRow::new(&sums, height * width, start, width);
            let range = start..start + width;
            let part = probability.as_deref_mut().map(|p| &mut p[range.clone()]);
            self.write(self.of_sums, scores, &mut mask[range], part);
        }
        self.sums = sums;
    }

    /// The probabilities of a frame after all tiles are added, \[planes\]\[height\]\[width\], of a
    /// [`summing`](Self::summing) stitcher: a plane for each channel, or, with scores of two classes, for the
    /// foreground alone. [`Decision::of_sums`] decides on them, and on means over several frames.
    pub fn into_probabilities(self) -> Vec<f32> {
        self.sums
    }

    fn write(
        &mut self,
        decision: Decision,
        scores: ScoreRow,
        mask: &mut [u8],
        probability: Option<&mut [f32]>,
    ) {
        let [space, _] = &mut self.space;
        decision.classes(scores, space, mask);
        if let Some(probability) = probability {
            decision.foreground(scores, space, probability);
        }
    }

    fn blend(&mut self, scores: ScoreRow, (y, weight): (usize, f32), columns: &Span) {
        let [height, width] = self.frame;
        let [total, largest] = &mut self.space;
        let at = y * width + columns.target.start;
        let planes = self.sums.chunks_exact_mut(height * width);
        let rows = planes.map(|plane| &mut plane[at..at + columns.target.len()]);
        let weights = if self.ones.is_empty() {
            &columns.weights[..]
        } else {
            &self.ones[..columns.target.len()]
        };
        let weights = (weight, weights);
        self.decision.add(scores, weights, [total, largest], rows);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{Activation, Geometry, Sizes};
    use crate::tiling::{Blend, TileSize};

    /// Scores of three classes, from a position in the frame on.
    fn scores((top, left): (isize, isize), size: Size) -> Vec<f32> {
        let Size { width, height } = size;
        let score = |class: usize, y: usize, x: usize| {
            let (y, x) = (top + y as isize, left + x as isize);
            (3 * class as isize + 2 * y + x).rem_euclid(7) as f32
        };
        let places = (0..3).flat_map(|class| (0..height).map(move |y| (class, y)));
        places
            .flat_map(|(class, y)| (0..width).map(move |x| score(class, y, x)))
            .collect()
    }

    #[test]
    fn probabilities_of_tiles_are_those_of_the_frame() {
        let frame = Size {
            width: 40,
            height: 24,
        };
        let geometry = Geometry {
            margin: 0,
            halo: 8,
            edge: Geometry::EDGE,
            stride: 8,
            sizes: Sizes::Steps { min: 8, step: 8 },
        };
        let decision = Decision::new(Activation::Softmax, 3, 0.5);
        let expected = decision.probabilities(&scores((0, 0), frame));
        for blend in [Blend::Crop, Blend::Average] {
            let plan = Plan::new(frame, &geometry, blend, TileSize::Inner(16)).unwrap();
            assert!(plan.len() > 1);
            let mut stitcher = Stitcher::summing(&plan, decision).unwrap();
            stitcher.begin();
            for tile in plan.tiles() {
                let first = |span: &Span| span.target.start as isize - span.source as isize;
                let scores = scores((first(tile.0), first(tile.1)), plan.output);
                stitcher.add(tile, (&scores, plan.output), &mut [], None);
            }
            let found = stitcher.into_probabilities();
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(&expected) {
                assert!((found - expected).abs() < 1e-6, "{found} for {expected}");
            }
        }
    }
}
