//! One axis of a frame, and the ways to cut it into spans.

use super::plan::{Blend, PlanError, Span};
use crate::contract::Geometry;

/// What a network sees at least before the first and behind the last pixel that it answers for where the
/// frame ends: its margin, and of what its halo is wider up to the edge of `geometry`, rounded up to the stride.
pub fn edge(geometry: &Geometry) -> usize {
    let beyond = geometry.halo.saturating_sub(geometry.margin);
    geometry.margin + beyond.min(geometry.edge).next_multiple_of(geometry.stride)
}

/// One axis of a frame and what the network asks of it.
pub(super) struct Axis<Legal> {
    length: usize,
    margin: usize,
    halo: usize,
    /// Mirrored pixels before the first pixel of the frame, and at least as many after the last one.
    edge: usize,
    stride: usize,
    blend: Blend,
    /// Whether the axis must be one span, because it is short of halo and yet takes in the frame.
    undivided: bool,
    /// The smallest legal input that is at least so long; `None` where there is none.
    legal: Legal,
}

/// A way to cut an axis into spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// Input size of every tile.
    pub outer: usize,
    /// Pixels that a tile within the frame is answerable for.
    pub inner: usize,
    /// From the start of one tile to the next.
    pub step: usize,
    /// How many spans.
    pub count: usize,
}

impl<Legal: Fn(usize) -> Option<usize>> Axis<Legal> {
    /// Settles the halo of an axis of `length` pixels; [`Plan::new`](super::Plan::new) says how.
    pub fn new(
        length: usize,
        geometry: &Geometry,
        blend: Blend,
        legal: Legal,
    ) -> Result<Self, PlanError> {
        let (margin, stride) = (geometry.margin, geometry.stride);
        let beyond = geometry.halo.saturating_sub(margin);
        let mut axis = Axis {
            length,
            margin,
            halo: margin + beyond.next_multiple_of(stride),
            edge: edge(geometry),
            stride,
            blend,
            undivided: false,
            legal,
        };
        if axis.takes(length) {
            return Ok(axis);
        }
        // Only a fixed size refuses a length, and it answers any length that it takes with itself.
        let size = (axis.legal)(0).unwrap_or(0);
        let with_context = |pixels: usize| margin + pixels.saturating_sub(margin) / stride * stride;
        if size >= length + 2 * margin {
            axis.halo = with_context((size - length) / 2);
            axis.undivided = true;
        } else if !axis.takes(stride) {
            axis.halo = with_context(size / 4);
        }
        if !axis.takes(stride) {
            axis.halo = margin;
        }
        if !axis.takes(stride) {
            return Err(PlanError::NoRoom {
                size,
                margin,
                stride,
                length,
            });
        }
        axis.edge = axis.edge.min(axis.halo);
        Ok(axis)
    }

    /// The smallest input with room for that much of the axis, and the halo.
    fn around(&self, inner: usize) -> Option<usize> {
        (self.legal)(inner.min(self.length) + 2 * self.halo)
    }

    /// Whether the network takes so much.
    fn takes(&self, inner: usize) -> bool {
        self.around(inner).is_some()
    }

    /// Context on each side of an inner.
    pub fn halo(&self) -> usize {
        self.halo
    }

    /// The frame with its edges: what all tiles of `outer` pixels see together. It is the same for all
    /// sizes of tiles, so that a network which pads with zeros does so in the same place.
    fn seen(&self, outer: usize) -> usize {
        let needed = self.length + 2 * self.edge;
        outer + needed.saturating_sub(outer).next_multiple_of(self.stride)
    }

    /// The axis in one span, where the network takes so much.
    fn whole(&self) -> Option<Cut> {
        let needed = self.length + 2 * self.edge;
        let smallest = self.around(self.stride).unwrap_or(needed);
        let outer = (self.legal)(match needed <= smallest {
            true => needed,
            false => self.seen(smallest),
        })?;
        Some(Cut {
            outer,
            inner: self.length,
            step: self.length,
            count: 1,
        })
    }

    /// The axis in spans of at least `inner` pixels, or in one where it is not longer than that. `None`
    /// where the network doesn't take so much.
    fn cut(&self, inner: usize) -> Option<Cut> {
        let whole = self.whole();
        if self.undivided || inner >= self.length {
            return whole;
        }
        let outer = self.around(inner)?;
        if self.blend != Blend::Crop {
            let step = (inner * 3 / 4 / self.stride * self.stride).max(self.stride);
            let count = 1 + (self.length - inner).div_ceil(step);
            return Some(Cut {
                outer,
                inner,
                step,
                count,
            });
        }
        if let Some(whole) = whole.filter(|whole| whole.outer <= outer) {
            return Some(whole);
        }
        // What the network makes of more context than it needs counts as well.
        let inner = (outer - 2 * self.halo) / self.stride * self.stride;
        Some(Cut {
            outer,
            inner,
            step: inner,
            count: 1 + (self.seen(outer) - outer).div_ceil(inner),
        })
    }

    /// The cut whose inner comes nearest to `side` pixels from below.
    #[expect(clippy::expect_used, reason = "an axis has room for one stride")]
    pub fn cut_near(&self, side: usize) -> Cut {
        let whole = Some(self.length).filter(|length| side >= *length);
        let most = (side.min(self.length) / self.stride).max(1);
        whole
            .into_iter()
            .chain((1..=most).rev().map(|strides| strides * self.stride))
            .find_map(|inner| self.cut(inner))
            .expect("`new` made sure that one stride has room")
    }

    /// For each number of spans the cut with the smallest tile, from small tiles to one for all;
    /// never empty.
    pub fn cuts(&self) -> Vec<Cut> {
        let mut cuts: Vec<Cut> = Vec::new();
        let strides = (self.stride..self.length).step_by(self.stride);
        for inner in strides.chain([self.length]) {
            let Some(cut) = self.cut(inner) else { break };
            if cuts.last().is_none_or(|last| last.count != cut.count) {
                cuts.push(cut);
            }
        }
        cuts
    }

    /// The spans of a cut, weighted unless `blend` is [`Blend::Crop`].
    pub fn spans(&self, cut: Cut, blend: Blend) -> Vec<Span> {
        let mut spans = match blend == Blend::Crop || cut.count == 1 {
            true => self.side_by_side(cut),
            false => self.overlapping(cut),
        };
        if blend != Blend::Crop {
            weigh(&mut spans, cut.inner, self.length, blend);
        }
        spans
    }

    /// Spans whose answers overlap.
    fn overlapping(&self, cut: Cut) -> Vec<Span> {
        let starts = (0..cut.count).map(|index| index * cut.step);
        starts
            .map(|start| Span {
                outer_start: start as isize - self.halo as isize,
                target: start..(start + cut.inner).min(self.length),
                source: self.halo - self.margin,
                weights: Vec::new(),
            })
            .collect()
    }

    /// Spans that begin where the one before ends. The first and the last tile lie at the ends of what the
    /// network sees of the frame, so that they answer up to the frame's edges.
    fn side_by_side(&self, cut: Cut) -> Vec<Span> {
        let last_start = self.seen(cut.outer) - cut.outer;
        let mut end = 0;
        (0..cut.count)
            .map(|index| {
                // Of what all tiles see; the frame begins at `edge`.
                let start = (index * cut.step).min(last_start);
                let target_start = end;
                end = match index + 1 == cut.count {
                    true => self.length,
                    false => (start + cut.outer - self.halo - self.edge).min(self.length),
                };
                Span {
                    outer_start: start as isize - self.edge as isize,
                    target: target_start..end,
                    source: target_start + self.edge - start - self.margin,
                    weights: Vec::new(),
                }
            })
            .collect()
    }
}

/// Gives the spans of an axis of `length` pixels weights that add up to 1 at every pixel.
fn weigh(spans: &mut [Span], inner: usize, length: usize, blend: Blend) {
    // An eighth of the inner: the weight falls to 0.14 half way from the middle to the end, and to
    // 0.0003 at the end, which is still a number that can be divided by.
    let sigma = inner as f64 / 8.0;
    let weight = |index: usize| match blend {
        Blend::Gaussian => {
            let from_middle = (index as f64 + 0.5 - inner as f64 / 2.0) / sigma;
            (-0.5 * from_middle * from_middle).exp()
        }
        Blend::Average | Blend::Crop => 1.0,
    };
    let mut sums = vec![0.0; length];
    for span in spans.iter() {
        for (index, sum) in sums[span.target.clone()].iter_mut().enumerate() {
            *sum += weight(index);
        }
    }
    for span in spans {
        span.weights = sums[span.target.clone()]
            .iter()
            .enumerate()
            .map(|(index, sum)| (weight(index) / sum) as f32)
            .collect();
    }
}
