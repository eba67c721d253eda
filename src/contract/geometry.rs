//! Sizes and borders of a network.

use serde::{Deserialize, Serialize};

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

impl Geometry {
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
}
