//! Sizes and borders of a network.

use serde::{Deserialize, Serialize};

/// Limit of lengths, far beyond any network, so that sums of them can't overflow.
const MAX_LENGTH: usize = 1 << 20;

/// Which input sizes a network accepts, and what it does at the border.
///
/// All lengths are in pixels, and apply to rows and columns alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Geometry {
    /// Pixels the network removes on each side: output = input - 2 margin. 92 for the network of the
    /// paper, 0 for one that pads its convolutions.
    pub margin: usize,
    /// Distance in pixels within which input can affect an output pixel; at least `margin`. Tiles see this
    /// much more on each side than they output.
    pub halo: usize,
    /// How many mirrored pixels the network sees beyond the frame's edges, if its halo is wider than its
    /// margin. See [`EDGE`](Self::EDGE).
    #[serde(default = "usual_edge", skip_serializing_if = "is_usual_edge")]
    pub edge: usize,
    /// The origins of tiles must be multiples of this for the result not to change: the product of the
    /// strides of all pooling layers (16 for the paper's four). See [`crate::tiling`].
    pub stride: usize,
    /// Input sizes the network accepts.
    pub sizes: Sizes,
}

/// Input sizes a network accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sizes {
    /// `min`, `min + step`, `min + 2 step` and so on, on either axis: 16 b + 124 for the paper's.
    Steps {
        /// The smallest legal size.
        min: usize,
        /// Difference between two legal sizes.
        step: usize,
    },
    /// One size only, fixed by the file.
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
    /// the zeros beyond, and hardly gain from more mirrored pixels (docs/training.md, "The edge of the frame").
    /// Other networks see the whole halo.
    pub const EDGE: usize = 32;

    /// The smallest legal (height, width) of an input at least `height` x `width`, or `None` if
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

    /// Checks its values; the error says what is wrong.
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
        let longest = stride.max(step).max(halo).max(edge).max(largest);
        if stride == 0 || step == 0 || longest > MAX_LENGTH {
            return Err(format!(
                "stride {stride}, step {step}, halo {halo}, edge {edge}, size {largest}: each must be 1 to {MAX_LENGTH}"
            ));
        }
        if least <= 2 * margin {
            return Err(format!(
                "size {least} is not larger than the margins of {margin} on both sides"
            ));
        }
        Ok(())
    }
}
