//! Weights in the order in which the arithmetic reads them.

use rayon::prelude::*;

use super::map::{BLOCK, Pixel};
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
        let sizes = (self.outputs(), &self.inputs[..]);
        let index = |output, input, tap| self.index(output, input, tap);
        pack(weights, self.side(), sizes, index, packed);
    }

    /// Packs them for the way back to the source that has channels from `first` on, so many: what a weight
    /// took from a pixel, the pixel gets back through it.
    pub fn pack_turned(
        &self,
        weights: &[f32],
        (first, channels): (usize, usize),
        packed: &mut Packed,
    ) {
        let sizes = (channels, &[self.outputs()][..]);
        let last = self.side() * self.side() - 1;
        let index = |input, output, tap| self.index(output, first + input, last - tap);
        pack(weights, self.side(), sizes, index, packed);
    }

    /// The weights of the layer that were packed.
    pub fn unpack(&self, packed: &[Pixel]) -> Vec<f32> {
        let taps = self.side() * self.side();
        let places = match self.kind {
            Kind::UpConvolution => 4,
            Kind::Convolution | Kind::Last => taps,
        };
        let mut numbers = vec![0.0; self.channels * self.all * places];
        let mut groups = packed.chunks_exact(taps * BLOCK);
        for first in (0..self.outputs()).step_by(BLOCK) {
            let count = BLOCK.min(self.outputs() - first);
            for (start, channels) in blocks(&self.inputs) {
                let packed = groups.next().expect("weights for every block");
                for (lane, output) in (first..first + count).enumerate() {
                    for channel in 0..channels {
                        for tap in 0..taps {
                            if let Some(index) = self.index(output, start + channel, tap) {
                                numbers[index] = packed[tap * BLOCK + channel][lane];
                            }
                        }
                    }
                }
            }
        }
        numbers
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

    /// Where the weight of an output, an input (counted over all sources) and a place in the square is, in
    /// the order that [`Kind`] has; `None` for outputs that only fill a block.
    #[inline(always)]
    fn index(&self, output: usize, input: usize, tap: usize) -> Option<usize> {
        match self.kind {
            Kind::Convolution => Some((output * self.all + input) * 9 + tap),
            Kind::Last => Some(output * self.all + input),
            Kind::UpConvolution => {
                let (phase, channel) = (output / self.phase(), output % self.phase());
                (channel < self.channels).then_some((input * self.channels + channel) * 4 + phase)
            }
        }
    }
}

fn pack(
    weights: &[f32],
    side: usize,
    (outputs, inputs): (usize, &[usize]),
    index: impl Fn(usize, usize, usize) -> Option<usize> + Sync,
    packed: &mut Packed,
) {
    let taps = side * side;
    let size = blocks(inputs).count() * taps * BLOCK;
    packed.clear();
    packed.resize(outputs.div_ceil(BLOCK) * size, Pixel::ZERO);
    let of_outputs = packed.par_chunks_exact_mut(size).enumerate();
    of_outputs.for_each(|(block, packed)| {
        let first = block * BLOCK;
        let count = BLOCK.min(outputs - first);
        let groups = packed.chunks_exact_mut(taps * BLOCK);
        for ((start, channels), packed) in blocks(inputs).zip(groups) {
            for (lane, output) in (first..first + count).enumerate() {
                for channel in 0..channels {
                    for tap in 0..taps {
                        if let Some(index) = index(output, start + channel, tap) {
                            packed[tap * BLOCK + channel][lane] = weights[index];
                        }
                    }
                }
            }
        }
    });
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
