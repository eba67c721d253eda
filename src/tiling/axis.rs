//! One axis of a frame, and how to cut it into spans.

use super::plan::{Blend, PlanError, Span};
use crate::contract::Geometry;

/// Fewest pixels of context that a network sees before the first and after the last pixel of the frame: its
/// margin, plus the rest of its halo up to the edge of `geometry`, rounded up to the stride.
pub fn edge(geometry: &Geometry) -> usize {
    let beyond = geometry.halo.saturating_sub(geometry.margin);
    geometry.margin + beyond.min(geometry.edge).next_multiple_of(geometry.stride)
}

/// One axis of a frame with the network's requirements.
pub(super) struct Axis<Legal> {
    length: usize,
    margin: usize,
    halo: usize,
    /// Mirrored pixels before the first pixel of the frame, and at least as many after the last one.
    edge: usize,
    stride: usize,
    blend: Blend,
    /// Whether the axis must be one span: the network's input holds the frame, but not its full halo.
    undivided: bool,
    /// The smallest legal input of at least a length; `None` if there is none.
    legal: Legal,
}

/// How an axis is cut into spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// Input size of every tile.
    pub outer: usize,
    /// Pixels that a tile inside the frame outputs.
    pub inner: usize,
    /// Pixels from the start of one tile to the next.
    pub step: usize,
    /// Number of spans.
    pub count: usize,
}

impl<Legal: Fn(usize) -> Option<usize>> Axis<Legal> {
    /// Determines the halo of an axis of `length` pixels as described at [`Plan::new`](super::Plan::new).
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
        if axis.accepts(length) {
            return Ok(axis);
        }
        // Only a network of fixed size rejects a length; its legal size for any other length is that size.
        let size = (axis.legal)(0).unwrap_or(0);
        let with_context = |pixels: usize| margin + pixels.saturating_sub(margin) / stride * stride;
        if size >= length + 2 * margin {
            axis.halo = with_context((size - length) / 2);
            axis.undivided = true;
        } else if !axis.accepts(stride) {
            axis.halo = with_context(size / 4);
        }
        if !axis.accepts(stride) {
            axis.halo = margin;
        }
        if !axis.accepts(stride) {
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

    /// The smallest legal input for `inner` pixels of the axis and the halo.
    fn around(&self, inner: usize) -> Option<usize> {
        (self.legal)(inner.min(self.length) + 2 * self.halo)
    }

    /// Whether the network accepts `inner` pixels and the halo.
    fn accepts(&self, inner: usize) -> bool {
        self.around(inner).is_some()
    }

    /// Context on each side of an inner part.
    pub fn halo(&self) -> usize {
        self.halo
    }

    /// The extent that all tiles of `outer` pixels cover together: the frame with its edges. It doesn't depend on
    /// the tile size, so that a network that pads with zeros always does so in the same place.
    fn seen(&self, outer: usize) -> usize {
        let needed = self.length + 2 * self.edge;
        outer + needed.saturating_sub(outer).next_multiple_of(self.stride)
    }

    /// The axis in one span, if the network accepts that.
    fn whole(&self) -> Option<Cut> {
        let needed = self.length + 2 * self.edge;
        let smallest = self.around(self.stride).unwrap_or(needed);
        let wanted = if needed <= smallest {
            needed
        } else {
            self.seen(smallest)
        };
        Some(Cut {
            outer: (self.legal)(wanted)?,
            inner: self.length,
            step: self.length,
            count: 1,
        })
    }

    /// The axis in spans of at least `inner` pixels, or in one span if it is not longer. `None` if the network doesn't
    /// accept that.
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
        // Use the output for surplus context too.
        let inner = (outer - 2 * self.halo) / self.stride * self.stride;
        Some(Cut {
            outer,
            inner,
            step: inner,
            count: 1 + (self.seen(outer) - outer).div_ceil(inner),
        })
    }

    /// The cut with the largest inner part of at most `side` pixels.
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

    /// For each number of spans the cut with the smallest tile, from the smallest tile to a single one; never empty.
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
        let mut spans = if blend == Blend::Crop || cut.count == 1 {
            self.side_by_side(cut)
        } else {
            self.overlapping(cut)
        };
        if blend != Blend::Crop {
            set_weights(&mut spans, cut.inner, self.length, blend);
        }
        spans
    }

    /// Spans whose outputs overlap.
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

    /// Spans that begin where the one before ends. The first and the last tile lie at the ends of the extent that
    /// the network sees, so that they output up to the frame's edges.
    fn side_by_side(&self, cut: Cut) -> Vec<Span> {
        let last_start = self.seen(cut.outer) - cut.outer;
        let mut end = 0;
        (0..cut.count)
            .map(|index| {
                // Relative to the extent that all tiles see, in which the frame begins at `edge`.
                let start = (index * cut.step).min(last_start);
                let target_start = end;
                end = if index + 1 == cut.count {
                    self.length
                } else {
                    (start + cut.outer - self.halo - self.edge).min(self.length)
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

/// Sets the weights of the spans of an axis of `length` pixels; they add up to 1 at every pixel.
fn set_weights(spans: &mut [Span], inner: usize, length: usize, blend: Blend) {
    // An eighth of the inner part: the weight falls to 0.14 half-way from the middle to the end, and to 0.0003 at
    // the end, which is still safe to divide by.
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
