//! The network of Ronneberger, Fischer and Brox (MICCAI 2015) as a list of layers, with the
//! arithmetic of its sizes.
//!
//! The trainer builds its network from this list, and the [export](crate::onnx::export) writes the
//! ONNX graph from it, so that the two can't diverge.

use serde::{Deserialize, Serialize};

use crate::contract::{Activation, Channels, Contract, Geometry, Sizes};

/// Shape of a U-Net. The paper's is `channels: 1, classes: 2, width: 64, depth: 4, padded: false`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UNet {
    /// Input channels.
    pub channels: usize,
    /// Classes, i.e. output channels.
    pub classes: usize,
    /// Channels of the first level; they double with each level down.
    pub width: usize,
    /// How many times the contracting path halves its size.
    pub depth: usize,
    /// Whether 3x3 convolutions pad their input with zeros to keep its size. The paper's don't.
    pub padded: bool,
}

/// The kind of a layer with weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerKind {
    /// 3x3 convolution followed by ReLU. Weights: \[outputs, inputs, 3, 3\].
    Convolution,
    /// 2x2 up-convolution with stride 2. Weights: \[inputs, outputs, 2, 2\].
    UpConvolution,
    /// The final 1x1 convolution to the classes. Weights: \[outputs, inputs, 1, 1\].
    Last,
}

/// One layer with weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Name of the layer, unique in its network: `down0.conv1`, `bottom.conv2`, `up0.up`, `last`.
    pub name: String,
    /// Its kind.
    pub kind: LayerKind,
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
}

impl Layer {
    /// Shape of the weights; see [`LayerKind`] for the order.
    pub fn shape(&self) -> [usize; 4] {
        match self.kind {
            LayerKind::Convolution => [self.outputs, self.inputs, 3, 3],
            LayerKind::UpConvolution => [self.inputs, self.outputs, 2, 2],
            LayerKind::Last => [self.outputs, self.inputs, 1, 1],
        }
    }
}

impl UNet {
    /// Channels of `level`, 0 at the top and `depth` at the bottom.
    pub fn width_at(&self, level: usize) -> usize {
        self.width << level
    }

    /// The layers with weights, in the order of the forward pass.
    pub fn layers(&self) -> Vec<Layer> {
        let layer = |name: String, kind, inputs, outputs| Layer {
            name,
            kind,
            inputs,
            outputs,
        };
        let pair = |stage: String, inputs, outputs| {
            [
                layer(
                    format!("{stage}.conv1"),
                    LayerKind::Convolution,
                    inputs,
                    outputs,
                ),
                layer(
                    format!("{stage}.conv2"),
                    LayerKind::Convolution,
                    outputs,
                    outputs,
                ),
            ]
        };
        let mut layers = Vec::new();
        let mut inputs = self.channels;
        for level in 0..self.depth {
            layers.extend(pair(format!("down{level}"), inputs, self.width_at(level)));
            inputs = self.width_at(level);
        }
        layers.extend(pair("bottom".into(), inputs, self.width_at(self.depth)));
        for level in (0..self.depth).rev() {
            let (below, here) = (self.width_at(level + 1), self.width_at(level));
            layers.push(layer(
                format!("up{level}.up"),
                LayerKind::UpConvolution,
                below,
                here,
            ));
            // Half of the input channels come from below, half from the contracting path.
            layers.extend(pair(format!("up{level}"), below, here));
        }
        layers.push(layer(
            "last".into(),
            LayerKind::Last,
            self.width,
            self.classes,
        ));
        layers
    }

    /// How many weights and biases the network has.
    pub fn parameters(&self) -> usize {
        self.layers()
            .iter()
            .map(|layer| layer.shape().iter().product::<usize>() + layer.outputs)
            .sum()
    }

    /// Pixels to crop from each side of the contracting path's map at `level` ("copy and crop"), so
    /// that it fits the up-convolved map from below.
    pub fn crop(&self, level: usize) -> usize {
        if self.padded {
            return 0;
        }
        // What is lost on the way down to the bottom and up again, in pixels of `level`: 2 pixels on
        // each side for every pair of convolutions, at every level below on the way down and up, once
        // at the bottom.
        let below = self.depth - level;
        let both_ways: usize = (1..below).map(|down| 2 * (2 << down)).sum();
        both_ways + (2 << below)
    }

    /// Legal sizes, margin and halo. For the paper's network: inputs 16 b + 124, margin 92.
    pub fn geometry(&self) -> Geometry {
        let stride = 1 << self.depth;
        if self.padded {
            return Geometry {
                margin: 0,
                // A multiple of the stride keeps the pooling grid where a run over the bare frame has it.
                halo: self.padding_reach().div_ceil(stride) * stride,
                edge: Geometry::EDGE,
                stride,
                sizes: Sizes::Steps {
                    min: stride,
                    step: stride,
                },
            };
        }
        // Two pairs of convolutions at the top level, and everything between them.
        let margin = 4 + self.crop(0);
        let legal = self.first_legal();
        // The smallest legal size that is more than the two margins.
        let min = legal + (2 * margin + 1).saturating_sub(legal).div_ceil(stride) * stride;
        Geometry {
            margin,
            halo: margin,
            edge: Geometry::EDGE,
            stride,
            sizes: Sizes::Steps { min, step: stride },
        }
    }

    /// How many pixels from the border of a padded network's input the zero padding has an effect: each
    /// convolution carries it one pixel further, pooling halves the distance, up-convolution doubles it.
    fn padding_reach(&self) -> usize {
        let bottom = (0..self.depth).fold(0, |reach: usize, _| (reach + 2).div_ceil(2)) + 2;
        (0..self.depth).fold(bottom, |reach, _| reach * 2 + 2)
    }

    /// The smallest size that every pooling layer halves without remainder, working up from one pixel
    /// left at the bottom.
    fn first_legal(&self) -> usize {
        (0..self.depth).fold(1 + 4, |size, _| size * 2 + 4)
    }

    /// The contract of this network before training. Three input channels are taken for red, green and
    /// blue, any other number for grey.
    pub fn contract(&self, name: &str) -> Contract {
        let channels = match self.channels {
            3 => Channels::Rgb,
            _ => Channels::Gray,
        };
        let activation = Activation::Softmax;
        Contract::new(name, channels, self.classes, activation, self.geometry())
    }
}

/// Networks for tests.
#[cfg(test)]
impl UNet {
    /// The paper's network.
    pub(crate) const PAPER: UNet = UNet {
        channels: 1,
        classes: 2,
        width: 64,
        depth: 4,
        padded: false,
    };

    /// A small network of the same kind.
    pub(crate) const SMALL: UNet = UNet {
        width: 4,
        depth: 2,
        ..UNet::PAPER
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAPER: UNet = UNet::PAPER;

    /// Output size of the network by following a picture through it; `None` if a pooling layer gets an odd
    /// size or nothing is left.
    fn follow(net: &UNet, size: usize) -> Option<usize> {
        fn down(net: &UNet, level: usize, size: usize) -> Option<usize> {
            let lost = if net.padded { 0 } else { 4 };
            let here = size.checked_sub(lost).filter(|size| *size > 0)?;
            if level == net.depth {
                return Some(here);
            }
            if here % 2 != 0 {
                return None;
            }
            let up = down(net, level + 1, here / 2)? * 2;
            assert_eq!(here - up, 2 * net.crop(level), "crop at level {level}");
            up.checked_sub(lost).filter(|size| *size > 0)
        }
        down(net, 0, size)
    }

    #[test]
    fn the_papers_network_has_its_layers() {
        let layers = PAPER.layers();
        // Section 2: "In total the network has 23 convolutional layers."
        assert_eq!(layers.len(), 23);
        assert_eq!(PAPER.crop(3), 4);
        assert_eq!(layers[9].outputs, 1024);
        assert_eq!(PAPER.parameters(), 31_030_658);
    }

    #[test]
    fn the_papers_sizes() {
        let geometry = PAPER.geometry();
        assert_eq!(geometry.margin, 92);
        assert_eq!(geometry.sizes, Sizes::Steps { min: 188, step: 16 });
        assert_eq!(follow(&PAPER, 572), Some(388));
        let padded = UNet {
            padded: true,
            ..PAPER
        };
        assert_eq!(padded.geometry().halo, 96);
    }

    #[test]
    fn geometry_is_what_following_a_picture_gives() {
        for depth in 1..6 {
            for padded in [false, true] {
                let net = UNet {
                    depth,
                    padded,
                    ..PAPER
                };
                let geometry = net.geometry();
                let Sizes::Steps { min, step } = geometry.sizes else {
                    panic!("{geometry:?}")
                };
                for size in 1..min + 3 * step {
                    let legal = geometry.legal(size, size) == Some((size, size));
                    let expected = legal.then(|| size - 2 * geometry.margin);
                    assert_eq!(follow(&net, size), expected, "{net:?} at {size}");
                }
            }
        }
    }
}
