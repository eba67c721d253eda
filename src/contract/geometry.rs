//! Sizes and borders of a network.

use serde::{Deserialize, Serialize};

/// Lengths far beyond any network, so that sums of them can't overflow.
const MOST: usize = 1 << 20;

/// Which sizes a network takes and what it does to the border.
///
/// All lengths are pixels, and hold for rows and columns alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Geometry {
    /// Pixels the network eats on each side: output = input - 2 margin. 92 for the network of the
    /// paper, 0 for one that pads its convolutions.
    pub margin: usize,
    /// Pixels around an output pixel that can change it; at least `margin`. Tiles see this much
    /// more than they answer for.
    pub halo: usize,
    /// How far the network sees a frame mirrored at the frame's edges, where its halo is wider than its
    /// margin. See [`EDGE`](Self::EDGE).
    #[serde(default = "usual_edge", skip_serializing_if = "is_usual_edge")]
    pub edge: usize,
    /// How far apart the origins of tiles may lie without changing the answer: the product of the
    /// strides of all pooling layers (16 for the paper's four). See [`crate::tiling`].
    pub stride: usize,
    /// Input sizes the network takes.
    pub sizes: Sizes,
}

/// Input sizes a network takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sizes {
    /// `min`, `min + step`, `min + 2 step` and so on, on either axis: 16 b + 124 for the paper's.
    Steps {
        /// The smallest legal size.
        min: usize,
        /// What lies between two legal sizes.
        step: usize,
    },
    /// One size only: the file fixes it.
    Fixed {
        /// Rows of the input.
        height: usize,
        /// Columns of the input.
        width: usize,
    },
}

fn usual_edge() -> usize {
    Geometry::EDGE
}

fn is_usual_edge(edge: &usize) -> bool {
    *edge == Geometry::EDGE
}

impl Geometry {
    /// The edge of networks that pad their convolutions and were trained here: they have learned to cope with
    /// the zeros beyond. With the three models that are shipped 32 pixels give the scores of the whole halo
    /// to the last digit, and 0 cost the phase-contrast one 0.014 of its SEG. Networks of others see the whole
    /// halo.
    pub const EDGE: usize = 32;

    /// The smallest legal (height, width) of an input at least `height` x `width`, or `None` where
    /// the network's fixed size is smaller.
    pub fn legal(&self, height: usize, width: usize) -> Option<(usize, usize)> {
        match self.sizes {
            Sizes::Steps { min, step } => {
                let up = |n: usize| min + n.saturating_sub(min).div_ceil(step) * step;
                Some((up(height), up(width)))
            }
            Sizes::Fixed {
                height: h,
                width: w,
            } => (h >= height && w >= width).then_some((h, w)),
        }
    }

    /// What is wrong with it.
    pub(super) fn check(&self) -> Result<(), String> {
        let Geometry {
            margin,
            halo,
            edge,
            stride,
            sizes,
        } = *self;
        if halo < margin {
            return Err(format!("halo {halo} is smaller than margin {margin}"));
        }
        let (least, largest, step) = match sizes {
            Sizes::Steps { min, step } => (min, min, step),
            Sizes::Fixed { height, width } => (height.min(width), height.max(width), 1),
        };
        if stride == 0 || step == 0 || stride.max(step).max(halo).max(edge).max(largest) > MOST {
            return Err(format!(
                "stride {stride}, step {step}, halo {halo}, edge {edge}, size {largest}: each must be 1 to {MOST}"
            ));
        }
        if least <= 2 * margin {
            return Err(format!("size {least} leaves nothing of margin {margin}"));
        }
        Ok(())
    }
}
