//! The layers of a network on the way forward and back.

use std::iter::Zip;
use std::slice::Iter;

use super::convolve::{Finish, Source, Target, convolve};
use super::map::{BLOCK, Map, Pixel};
use super::pack::{Weights, pack, unpack};
use super::pool;
use super::weigh::weigh;
use super::{Gradients, Values};
use crate::unet::{Kind, Layer};

/// Layers with what they have learned.
type Layers<'a> = Zip<Iter<'a, Layer>, Iter<'a, Values<'a>>>;

/// The way through the layers.
pub struct Forward<'a> {
    /// Pixels that a 3x3 convolution reads beyond the edge.
    pub padding: usize,
    /// The layers to come.
    pub layers: Layers<'a>,
    /// Room for packed weights.
    pub packed: &'a mut Vec<Pixel>,
}

impl<'a> Forward<'a> {
    /// A 3x3 convolution with ReLU of maps, of which so many pixels are cropped, to `to`.
    pub fn convolve<const N: usize>(&mut self, sources: [(&Map, usize); N], to: &mut Map) {
        let values = self.next(Kind::Convolution);
        let inputs = sources.map(|(map, _)| map.channels);
        let square = Square::of(&inputs);
        let weights = square.weights(to.channels, &inputs);
        pack(
            values.weight,
            weights,
            |o, i, tap| square.index(o, i, tap),
            self.packed,
        );
        let sources = sources.map(|(map, crop)| read(map, crop, self.padding));
        convolve(
            &sources,
            3,
            self.packed,
            whole(to),
            Finish::Rectified(values.bias),
        );
    }

    /// A 2x2 up-convolution: a 1x1 convolution to four times the channels, whose results are put side by
    /// side.
    pub fn up_convolve(&mut self, from: &Map, phases: &mut Map, to: &mut Map) {
        let values = self.next(Kind::UpConvolution);
        let order = Phases::of(to.channels);
        let weights = Weights {
            outputs: phases.channels,
            inputs: &[from.channels],
            side: 1,
        };
        pack(
            values.weight,
            weights,
            |o, i, _| order.index(o, i),
            self.packed,
        );
        let bias = order.bias(values.bias);
        convolve(
            &[read(from, 0, 0)],
            1,
            self.packed,
            whole(phases),
            Finish::Bias(&bias),
        );
        pool::interleave(phases, to);
    }

    /// The 1x1 convolution to the classes.
    pub fn classify(&mut self, from: &Map, to: &mut Map) {
        let values = self.next(Kind::Last);
        let inputs = from.channels;
        let weights = Weights {
            outputs: to.channels,
            inputs: &[inputs],
            side: 1,
        };
        pack(
            values.weight,
            weights,
            |o, i, _| Some(o * inputs + i),
            self.packed,
        );
        convolve(
            &[read(from, 0, 0)],
            1,
            self.packed,
            whole(to),
            Finish::Bias(values.bias),
        );
    }

    fn next(&mut self, kind: Kind) -> Values<'a> {
        let (layer, values) = self.layers.next().expect("a layer for every step");
        debug_assert_eq!(layer.kind, kind);
        *values
    }
}

/// The way back.
pub struct Backward<'a> {
    /// Pixels that a 3x3 convolution has read beyond the edge.
    pub padding: usize,
    /// The layers to come, from the end.
    pub layers: std::iter::Rev<Layers<'a>>,
    /// Room for packed weights.
    pub packed: &'a mut Vec<Pixel>,
    /// What was found, from the end.
    pub found: Vec<Gradients>,
}

/// Where the gradient of maps goes.
pub struct Of<'a> {
    map: &'a mut Map,
    /// What the gradient is multiplied by where the maps are positive; `None` if they are not what ReLU has
    /// left.
    scale: Option<f32>,
}

impl<'a> Of<'a> {
    /// The gradient before ReLU, times `scale`.
    pub fn rectified(map: &'a mut Map, scale: f32) -> Self {
        Of {
            map,
            scale: Some(scale),
        }
    }

    /// The gradient of maps as they are.
    pub fn plain(map: &'a mut Map) -> Self {
        Of { map, scale: None }
    }
}

impl<'a> Backward<'a> {
    /// Through a 3x3 convolution of `sources`, each with the pixels that were cropped of it and where its
    /// gradient goes, to the maps that have this `gradient`.
    pub fn convolve<const N: usize>(
        &mut self,
        sources: [(&Map, usize, Option<Of>); N],
        gradient: &Map,
    ) {
        let values = self.next(Kind::Convolution);
        let inputs = sources.each_ref().map(|(map, ..)| map.channels);
        let square = Square::of(&inputs);
        let weights = square.weights(gradient.channels, &inputs);
        let views = sources
            .each_ref()
            .map(|(map, crop, _)| read(map, *crop, self.padding));
        self.find(
            &views,
            gradient,
            weights,
            |o, i, tap| square.index(o, i, tap),
            values,
        );
        let mut before = 0;
        for (source, crop, of) in sources {
            let first = before;
            before += source.channels;
            let Some(of) = of else { continue };
            // Read backwards: what a weight took from a pixel, the pixel gets back through it.
            let turned = Weights {
                outputs: source.channels,
                inputs: &[gradient.channels],
                side: 3,
            };
            let index = |i: usize, o: usize, tap: usize| square.index(o, first + i, 8 - tap);
            pack(values.weight, turned, index, self.packed);
            let grown = 2 - 2 * self.padding;
            let size = (gradient.height + grown, gradient.width + grown);
            let view = Source {
                map: gradient,
                origin: 0,
            };
            back(view, 3, self.packed, (source, crop, of), size);
        }
    }

    /// Through an up-convolution of maps `from` to those that have this `gradient`.
    pub fn up_convolve(&mut self, from: &Map, gradient: &Map, phases: &mut Map, of_from: Of) {
        let values = self.next(Kind::UpConvolution);
        pool::separate(gradient, phases);
        let order = Phases::of(gradient.channels);
        let source = read(from, 0, 0);
        let weights = Weights {
            outputs: phases.channels,
            inputs: &[from.channels],
            side: 1,
        };
        self.find(
            &[source],
            phases,
            weights,
            |o, i, _| order.index(o, i),
            values,
        );
        let found = self.found.last_mut().expect("what was found just now");
        found.bias = order.sums(&found.bias, gradient.channels);
        let turned = Weights {
            outputs: from.channels,
            inputs: &[phases.channels],
            side: 1,
        };
        pack(
            values.weight,
            turned,
            |i, o, _| order.index(o, i),
            self.packed,
        );
        let size = (from.height, from.width);
        back(read(phases, 0, 0), 1, self.packed, (from, 0, of_from), size);
    }

    /// Through the 1x1 convolution of maps `from` to the scores that have this `gradient`.
    pub fn classify(&mut self, from: &Map, gradient: &Map, of_from: Of) {
        let values = self.next(Kind::Last);
        let inputs = from.channels;
        let weights = Weights {
            outputs: gradient.channels,
            inputs: &[inputs],
            side: 1,
        };
        let source = read(from, 0, 0);
        self.find(
            &[source],
            gradient,
            weights,
            |o, i, _| Some(o * inputs + i),
            values,
        );
        let turned = Weights {
            outputs: inputs,
            inputs: &[gradient.channels],
            side: 1,
        };
        pack(
            values.weight,
            turned,
            |i, o, _| Some(o * inputs + i),
            self.packed,
        );
        let size = (from.height, from.width);
        back(
            read(gradient, 0, 0),
            1,
            self.packed,
            (from, 0, of_from),
            size,
        );
    }

    /// Finds the gradients of a layer's values.
    fn find(
        &mut self,
        sources: &[Source],
        gradient: &Map,
        weights: Weights,
        index: impl Fn(usize, usize, usize) -> Option<usize>,
        values: Values,
    ) {
        let view = read(gradient, 0, 0);
        let size = (gradient.height, gradient.width);
        let (packed, biases) = weigh(sources, weights.side, view, size);
        let mut weight = vec![0.0; values.weight.len()];
        unpack(&packed, weights, index, &mut weight);
        let mut bias = biases.concat();
        bias.truncate(gradient.channels);
        self.found.push(Gradients { weight, bias });
    }

    fn next(&mut self, kind: Kind) -> Values<'a> {
        let (layer, values) = self.layers.next().expect("a layer for every step");
        debug_assert_eq!(layer.kind, kind);
        *values
    }
}

/// Takes a gradient to the maps `from`.
fn back(
    gradient: Source,
    side: usize,
    packed: &[Pixel],
    (from, crop, of): (&Map, usize, Of),
    size: (usize, usize),
) {
    let finish = match of.scale {
        Some(scale) => Finish::Where {
            positive: read(from, crop, 0),
            scale,
        },
        None => Finish::Bias(&[]),
    };
    let target = Target {
        origin: of.map.border + crop,
        map: of.map,
        size,
    };
    convolve(&[gradient], side, packed, target, finish);
}

/// Maps as they are read from the pixel on that is `crop` pixels inside and `padding` outside.
fn read(map: &Map, crop: usize, padding: usize) -> Source<'_> {
    Source {
        map,
        origin: map.border + crop - padding,
    }
}

/// Maps as they are written.
fn whole(map: &mut Map) -> Target<'_> {
    Target {
        origin: map.border,
        size: (map.height, map.width),
        map,
    }
}

/// The order of the weights of a 3x3 convolution, \[outputs, inputs, 3, 3\].
#[derive(Clone, Copy)]
struct Square {
    inputs: usize,
}

impl Square {
    fn of(inputs: &[usize]) -> Self {
        Square {
            inputs: inputs.iter().sum(),
        }
    }

    fn weights(self, outputs: usize, inputs: &[usize]) -> Weights<'_> {
        Weights {
            outputs,
            inputs,
            side: 3,
        }
    }

    fn index(self, output: usize, input: usize, tap: usize) -> Option<usize> {
        Some((output * self.inputs + input) * 9 + tap)
    }
}

/// The order of the weights of an up-convolution, \[inputs, outputs, 2, 2\], and of the channels that it
/// has as a convolution: four times those of the result, each time from the beginning of a block on.
#[derive(Clone, Copy)]
struct Phases {
    channels: usize,
    /// Channels with those that fill the last block.
    full: usize,
}

impl Phases {
    fn of(channels: usize) -> Self {
        Phases {
            channels,
            full: channels.next_multiple_of(BLOCK),
        }
    }

    fn index(self, output: usize, input: usize) -> Option<usize> {
        let (phase, channel) = (output / self.full, output % self.full);
        (channel < self.channels).then_some((input * self.channels + channel) * 4 + phase)
    }

    /// The biases for each of the four.
    fn bias(self, bias: &[f32]) -> Vec<f32> {
        let mut padded = vec![0.0; 4 * self.full];
        for phase in padded.chunks_exact_mut(self.full) {
            phase[..self.channels].copy_from_slice(bias);
        }
        padded
    }

    /// The sums over the four.
    fn sums(self, of_phases: &[f32], channels: usize) -> Vec<f32> {
        let mut sums = vec![0.0; channels];
        for phase in of_phases.chunks_exact(self.full) {
            for (sum, value) in sums.iter_mut().zip(phase) {
                *sum += value;
            }
        }
        sums
    }
}
