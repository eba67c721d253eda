//! One axis of a frame, and the ways to cut it into spans.

use super::plan::{Blend, PlanError, Span};
use crate::contract::Geometry;

/// One axis of a frame and what the network asks of it.
pub(super) struct Axis<Legal> {
    length: usize,
    margin: usize,
    halo: usize,
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
    /// Pixels that a tile is answerable for.
    pub inner: usize,
    /// From the start of one inner to the next.
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
        Ok(axis)
    }

    /// Whether the network's size has room for that much of the axis, with the halo.
    fn takes(&self, inner: usize) -> bool {
        self.cut(inner).is_some()
    }

    /// Context on each side of an inner.
    pub fn halo(&self) -> usize {
        self.halo
    }

    /// The axis in spans of `inner` pixels, or of all its pixels where `inner` is more. `None` where
    /// the network doesn't take so much.
    fn cut(&self, inner: usize) -> Option<Cut> {
        let inner = if self.undivided {
            self.length
        } else {
            inner.min(self.length)
        };
        let step = match self.blend {
            Blend::Crop => inner,
            Blend::Average | Blend::Gaussian => {
                (inner * 3 / 4 / self.stride * self.stride).max(self.stride)
            }
        };
        let outer = (self.legal)(inner + 2 * self.halo)?;
        Some(Cut {
            outer,
            inner,
            step,
            count: 1 + (self.length - inner).div_ceil(step),
        })
    }

    /// The cut whose inner comes nearest to `side` pixels from below.
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
        let mut spans: Vec<Span> = (0..cut.count)
            .map(|index| index * cut.step)
            .map(|start| Span {
                outer_start: start as isize - self.halo as isize,
                target: start..(start + cut.inner).min(self.length),
                source: self.halo - self.margin,
                weights: Vec::new(),
            })
            .collect();
        if blend != Blend::Crop {
            weigh(&mut spans, cut.inner, self.length, blend);
        }
        spans
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
