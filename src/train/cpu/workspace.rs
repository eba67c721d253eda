//! All maps of a network.

use super::feature_map::{BLOCK, Map};
use crate::unet::UNet;

/// The maps of a network, or their gradients. They are kept as long as pictures have the same size.
#[derive(Debug, Default)]
pub struct Maps {
    /// What the network is shown.
    pub image: Map,
    /// The contracting path from the top to the bottom.
    pub down: Vec<Down>,
    /// The expanding path, from the top too.
    pub up: Vec<Up>,
    /// What it answers.
    pub scores: Map,
    shape: Option<Shape>,
}

/// The maps of one level of the contracting path.
#[derive(Debug, Default)]
pub struct Down {
    /// Of the first convolution.
    pub first: Map,
    /// Of the second one.
    pub second: Map,
    /// Half as large; none at the bottom.
    pub pooled: Map,
}

/// The maps of one level of the expanding path.
#[derive(Debug, Default)]
pub struct Up {
    /// What comes up from below: for each of the four pixels that a pixel becomes all channels.
    pub phases: Map,
    /// The same in order.
    pub up: Map,
    /// Of the first convolution.
    pub first: Map,
    /// Of the second one.
    pub second: Map,
}

/// What decides the sizes of all maps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// Of the network.
    pub unet: UNet,
    /// Pictures.
    pub batch: usize,
    /// Their rows and columns.
    pub size: (usize, usize),
    /// Widths of the borders.
    pub borders: Borders,
}

/// Widths of the borders of maps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Borders {
    /// Of those that a 3x3 convolution makes.
    pub made: usize,
    /// Of the others that a 3x3 convolution reads.
    pub read: usize,
}

impl Maps {
    /// Makes maps of the right sizes, if they are not.
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
        let map = |channels, size, border| Map::new(batch, channels, size, border);
        let less = |size| shrunk(size, if unet.padded { 0 } else { 2 });
        self.image = map(unet.channels, size, borders.read);
        self.down.clear();
        self.up.clear();
        for level in 0..=unet.depth {
            let channels = unet.width_at(level);
            let first = map(channels, less(size), borders.made);
            size = less(less(size));
            let second = map(channels, size, borders.made);
            let mut down = Down {
                first,
                second,
                pooled: Map::default(),
            };
            if level < unet.depth {
                size = (size.0 / 2, size.1 / 2);
                down.pooled = map(channels, size, borders.read);
            }
            self.down.push(down);
        }
        for level in (0..unet.depth).rev() {
            let channels = unet.width_at(level);
            // Each phase begins a block.
            let phases = map(4 * channels.next_multiple_of(BLOCK), size, 0);
            size = (2 * size.0, 2 * size.1);
            let up = map(channels, size, borders.read);
            let first = map(channels, less(size), borders.made);
            size = less(less(size));
            let second = map(channels, size, borders.made);
            self.up.insert(
                0,
                Up {
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
