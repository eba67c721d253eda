//! Weights in the order in which the arithmetic reads them.

use rayon::prelude::*;

use super::feature_map::{BLOCK, Pixel};
use crate::unet::Kind;

/// The weights of a layer as those of a convolution.
#[derive(Clone, Debug)]
pub struct Kernel {
    kind: Kind,
    /// Channels of the result.
    channels: usize,
    /// Channels of each source that is read.
    inputs: Vec<usize>,
    /// Channels of all of them.
    all: usize,
}

/// Room for packed weights: \[blocks of outputs, blocks of inputs, side x side, 16 inputs, 16 outputs\].
pub type Packed = Vec<Pixel>;

impl Kernel {
    /// Of a layer with so many channels in its result and in each source.
    pub fn new(kind: Kind, channels: usize, inputs: impl Into<Vec<usize>>) -> Self {
        let inputs = inputs.into();
        Kernel {
            kind,
            channels,
            all: inputs.iter().sum(),
            inputs,
        }
    }

    /// Weights on each side of the square.
    pub fn side(&self) -> usize {
        match self.kind {
            Kind::Convolution => 3,
            Kind::UpConvolution | Kind::Last => 1,
        }
    }

    /// Channels that sums are for. An up-convolution is a convolution to four times its channels, one for
    /// each of the pixels that a pixel becomes, each time from the beginning of a block on.
    pub fn outputs(&self) -> usize {
        match self.kind {
            Kind::UpConvolution => 4 * self.channels.next_multiple_of(BLOCK),
            Kind::Convolution | Kind::Last => self.channels,
        }
    }

    /// Packs the weights of the layer, with zeros for channels that are not there.
    pub fn pack(&self, weights: &[f32], packed: &mut Packed) {
        let taps = self.side() * self.side();
        let size = blocks(&self.inputs).count() * taps * BLOCK;
        // What is there from before is written over.
        packed.resize(self.outputs().div_ceil(BLOCK) * size, Pixel::ZERO);
        let of_outputs = packed.par_chunks_exact_mut(size).enumerate();
        of_outputs.for_each(|(block, packed)| {
            let groups = packed.chunks_exact_mut(taps * BLOCK);
            for ((start, channels), packed) in blocks(&self.inputs).zip(groups) {
                let places = self.places(block * BLOCK, start, channels);
                for (at, pixel) in packed.iter_mut().enumerate() {
                    let (tap, input) = (at / BLOCK, at % BLOCK);
                    let from = places.first + input * places.inputs.step + tap;
                    *pixel = places.outputs.gather(weights, from, input < channels);
                }
            }
        });
    }

    /// Packs them for the way back to the source that has channels from `first` on, so many: what a weight
    /// took from a pixel, the pixel gets back through it.
    pub fn pack_turned(
        &self,
        weights: &[f32],
        (first, channels): (usize, usize),
        packed: &mut Packed,
    ) {
        let taps = self.side() * self.side();
        let outputs = self.outputs();
        let size = outputs.div_ceil(BLOCK) * taps * BLOCK;
        packed.resize(channels.div_ceil(BLOCK) * size, Pixel::ZERO);
        let of_inputs = packed.par_chunks_exact_mut(size).enumerate();
        of_inputs.for_each(|(block, packed)| {
            let start = block * BLOCK;
            let count = BLOCK.min(channels - start);
            let groups = packed.chunks_exact_mut(taps * BLOCK);
            for (group, packed) in groups.enumerate() {
                let places = self.places(group * BLOCK, first + start, count);
                for (at, pixel) in packed.iter_mut().enumerate() {
                    let (tap, output) = (taps - 1 - at / BLOCK, at % BLOCK);
                    let from = places.first + output * places.outputs.step + tap;
                    let is_there = output < places.outputs.count;
                    *pixel = places.inputs.gather(weights, from, is_there);
                }
            }
        });
    }

    /// The weights of the layer that were packed.
    pub fn unpack(&self, packed: &[Pixel]) -> Vec<f32> {
        let taps = self.side() * self.side();
        let of_pixel = match self.kind {
            Kind::UpConvolution => 4,
            Kind::Convolution | Kind::Last => taps,
        };
        let mut numbers = vec![0.0; self.channels * self.all * of_pixel];
        let mut groups = packed.chunks_exact(taps * BLOCK);
        for first in (0..self.outputs()).step_by(BLOCK) {
            for (start, channels) in blocks(&self.inputs) {
                let packed = groups.next().expect("weights for every block");
                let places = self.places(first, start, channels);
                let pairs = (0..places.outputs.count)
                    .flat_map(|output| (0..channels).map(move |input| (output, input)));
                for (output, input) in pairs {
                    let to =
                        places.first + output * places.outputs.step + input * places.inputs.step;
                    for tap in 0..taps {
                        numbers[to + tap] = packed[tap * BLOCK + input][output];
                    }
                }
            }
        }
        numbers
    }

    /// Where the weights are from a block of outputs, that begins with `output`, to so many inputs, from
    /// `input` (counted over all sources) on, in the order that [`Kind`] has.
    fn places(&self, output: usize, input: usize, inputs: usize) -> Places {
        let taps = self.side() * self.side();
        let (first, steps, channel) = match self.kind {
            Kind::Convolution | Kind::Last => {
                let first = (output * self.all + input) * taps;
                (first, [self.all * taps, taps], output)
            }
            // A block is within one of the four phases.
            Kind::UpConvolution => {
                let (phase, channel) = (output / self.phase(), output % self.phase());
                let first = (input * self.channels + channel) * 4 + phase;
                (first, [4, self.channels * 4], channel)
            }
        };
        Places {
            first,
            outputs: Channels {
                count: BLOCK.min(self.channels - channel),
                step: steps[0],
            },
            inputs: Channels {
                count: inputs,
                step: steps[1],
            },
        }
    }

    /// The biases for all outputs.
    pub fn biases(&self, bias: &[f32]) -> Vec<f32> {
        let mut biases = vec![0.0; self.outputs()];
        for phase in biases.chunks_exact_mut(self.phase()) {
            phase[..self.channels].copy_from_slice(bias);
        }
        biases
    }

    /// For each channel the sum over all outputs that have its bias.
    pub fn sums(&self, outputs: &[Pixel]) -> Vec<f32> {
        let mut sums = vec![0.0; self.channels];
        let outputs: Vec<f32> = outputs
            .iter()
            .flat_map(|pixel| pixel.iter())
            .copied()
            .collect();
        for phase in outputs[..self.outputs()].chunks_exact(self.phase()) {
            for (sum, value) in sums.iter_mut().zip(phase) {
                *sum += value;
            }
        }
        sums
    }

    /// Outputs from one of the pixels that a pixel becomes to the next.
    fn phase(&self) -> usize {
        match self.kind {
            Kind::UpConvolution => self.channels.next_multiple_of(BLOCK),
            Kind::Convolution | Kind::Last => self.channels,
        }
    }
}

/// Where weights from a block of outputs to a block of inputs are; those of one square follow each other.
struct Places {
    /// Where the first one is.
    first: usize,
    outputs: Channels,
    inputs: Channels,
}

/// The channels of a block.
#[derive(Clone, Copy)]
struct Channels {
    /// How many there are.
    count: usize,
    /// From the weight of one to that of the next.
    step: usize,
}

impl Channels {
    /// The weights of all channels, from that of the first on; zeros if they are not there.
    #[inline(always)]
    fn gather(self, weights: &[f32], first: usize, are_there: bool) -> Pixel {
        let mut pixel = Pixel::ZERO;
        if are_there {
            let weights = weights[first..].iter().step_by(self.step);
            for (lane, weight) in pixel[..self.count].iter_mut().zip(weights) {
                *lane = *weight;
            }
        }
        pixel
    }
}

/// The first channel and the number of channels of each block of the sources.
fn blocks(inputs: &[usize]) -> impl Iterator<Item = (usize, usize)> {
    let mut before = 0;
    inputs.iter().flat_map(move |channels| {
        let start = before;
        before += channels;
        let starts = (0..*channels).step_by(BLOCK);
        starts.map(move |at| (start + at, BLOCK.min(channels - at)))
    })
}
