//! The feature maps of a network, allocated once.

use super::feature_map::{BLOCK, FeatureMap};
use crate::unet::UNet;

/// All feature maps of a network, or their gradients. They are kept as long as pictures have the same size.
#[derive(Debug, Default)]
pub struct Workspace {
    /// The network's input.
    pub image: FeatureMap,
    /// The contracting path, from the top to the bottom.
    pub down: Vec<DownLevel>,
    /// The expanding path, also from the top.
    pub up: Vec<UpLevel>,
    /// The network's output.
    pub scores: FeatureMap,
    shape: Option<Shape>,
}

/// The feature maps of one level of the contracting path.
#[derive(Debug, Default)]
pub struct DownLevel {
    /// Output of the first convolution.
    pub first: FeatureMap,
    /// Output of the second convolution.
    pub second: FeatureMap,
    /// Output of the pooling, half as large; empty at the bottom.
    pub pooled: FeatureMap,
}

/// The feature maps of one level of the expanding path.
#[derive(Debug, Default)]
pub struct UpLevel {
    /// Output of the up-convolution before its pixels are interleaved: the size of the level below, with four phases of
    /// channels, one for each of the 2x2 pixels that a pixel becomes.
    pub phases: FeatureMap,
    /// The same, interleaved.
    pub up: FeatureMap,
    /// Output of the first convolution.
    pub first: FeatureMap,
    /// Output of the second convolution.
    pub second: FeatureMap,
}

/// The parameters that determine the sizes of all feature maps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// The network.
    pub unet: UNet,
    /// Pictures in a batch.
    pub batch: usize,
    /// Height and width of the pictures.
    pub size: (usize, usize),
    /// Widths of the borders.
    pub borders: Borders,
}

/// Widths of the borders of feature maps, in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Borders {
    /// Border of outputs of 3x3 convolutions.
    pub output: usize,
    /// Border of other inputs of 3x3 convolutions.
    pub input: usize,
}

impl Workspace {
    /// Allocates feature maps for `shape`, unless they have it already.
    pub fn fit(&mut self, shape: Shape) {
        if self.shape == Some(shape) {
            return;
        }
        let Shape {
            unet,
            batch,
            mut size,
            borders,
        } = shape;
        let map = |channels, size, border| FeatureMap::new(batch, channels, size, border);
        let less = |size| shrunk(size, if unet.padded { 0 } else { 2 });
        self.image = map(unet.channels, size, borders.input);
        self.down.clear();
        self.up.clear();
        for level in 0..=unet.depth {
            let channels = unet.width_at(level);
            let first = map(channels, less(size), borders.output);
            size = less(less(size));
            let second = map(channels, size, borders.output);
            let mut down = DownLevel {
                first,
                second,
                pooled: FeatureMap::default(),
            };
            if level < unet.depth {
                size = (size.0 / 2, size.1 / 2);
                down.pooled = map(channels, size, borders.input);
            }
            self.down.push(down);
        }
        for level in (0..unet.depth).rev() {
            let channels = unet.width_at(level);
            // Each phase starts a block.
            let phases = map(4 * channels.next_multiple_of(BLOCK), size, 0);
            size = (2 * size.0, 2 * size.1);
            let up = map(channels, size, borders.input);
            let first = map(channels, less(size), borders.output);
            size = less(less(size));
            let second = map(channels, size, borders.output);
            self.up.insert(
                0,
                UpLevel {
                    phases,
                    up,
                    first,
                    second,
                },
            );
        }
        self.scores = map(unet.classes, size, 0);
        self.shape = Some(shape);
    }
}

fn shrunk((height, width): (usize, usize), pixels: usize) -> (usize, usize) {
    (height - pixels, width - pixels)
}
