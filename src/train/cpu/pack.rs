//! Weights in the order in which convolutions read them.

use rayon::prelude::*;

use super::feature_map::{BLOCK, Pixel};
use crate::unet::LayerKind;

/// The shape of a layer's weights, as those of a convolution.
#[derive(Clone, Debug)]
pub struct Kernel {
    kind: LayerKind,
    /// Channels of the layer's output.
    channels: usize,
    /// Channels of each source.
    inputs: Vec<usize>,
    /// Channels of all sources.
    all_inputs: usize,
}

/// Packed weights: \[output blocks, input blocks, side x side, 16 inputs, 16 outputs\].
pub type Packed = Vec<Pixel>;

impl Kernel {
    /// The kernel of a layer with so many output channels and so many channels in each source.
    pub fn new(kind: LayerKind, channels: usize, inputs: impl Into<Vec<usize>>) -> Self {
        let inputs = inputs.into();
        Kernel {
            kind,
            channels,
            all_inputs: inputs.iter().sum(),
            inputs,
        }
    }

    /// Rows and columns of the kernel.
    pub fn side(&self) -> usize {
        match self.kind {
            LayerKind::Convolution => 3,
            LayerKind::UpConvolution | LayerKind::Last => 1,
        }
    }

    /// Output channels of the convolution. An up-convolution is a convolution to four phases of its channels, one for
    /// each of the 2x2 pixels that a pixel becomes, each of which starts a block.
    pub fn outputs(&self) -> usize {
        match self.kind {
            LayerKind::UpConvolution => 4 * self.channels.next_multiple_of(BLOCK),
            LayerKind::Convolution | LayerKind::Last => self.channels,
        }
    }

    /// Packs the layer's weights, in the order of [`LayerKind`], with zeros for channels that don't exist.
    pub fn pack(&self, weights: &[f32], packed: &mut Packed) {
        let taps = self.side() * self.side();
        let size = blocks(&self.inputs).count() * taps * BLOCK;
        // Earlier contents are overwritten.
        packed.resize(self.outputs().div_ceil(BLOCK) * size, Pixel::ZERO);
        let of_outputs = packed.par_chunks_exact_mut(size).enumerate();
        of_outputs.for_each(|(block, packed)| {
            let groups = packed.chunks_exact_mut(taps * BLOCK);
            for ((start, channels), packed) in blocks(&self.inputs).zip(groups) {
                let layout = self.layout(block * BLOCK, start, channels);
                for (at, pixel) in packed.iter_mut().enumerate() {
                    let (tap, input) = (at / BLOCK, at % BLOCK);
                    let from = layout.first + input * layout.inputs.step + tap;
                    *pixel = layout.outputs.gather(weights, from, input < channels);
                }
            }
        });
    }

    /// Packs them for the gradient of the source that has so many `channels` from `first` on: inputs and outputs are
    /// swapped, and kernels rotated by 180 degrees.
    pub fn pack_transposed(
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
                let layout = self.layout(group * BLOCK, first + start, count);
                for (at, pixel) in packed.iter_mut().enumerate() {
                    let (tap, output) = (taps - 1 - at / BLOCK, at % BLOCK);
                    let from = layout.first + output * layout.outputs.step + tap;
                    let exists = output < layout.outputs.count;
                    *pixel = layout.inputs.gather(weights, from, exists);
                }
            }
        });
    }

    /// The inverse of [`pack`](Self::pack).
    pub fn unpack(&self, packed: &[Pixel]) -> Vec<f32> {
        let taps = self.side() * self.side();
        let per_pair = match self.kind {
            LayerKind::UpConvolution => 4,
            LayerKind::Convolution | LayerKind::Last => taps,
        };
        let mut weights = vec![0.0; self.channels * self.all_inputs * per_pair];
        let mut groups = packed.chunks_exact(taps * BLOCK);
        for first in (0..self.outputs()).step_by(BLOCK) {
            for (start, channels) in blocks(&self.inputs) {
                let packed = groups.next().expect("weights for every block");
                let layout = self.layout(first, start, channels);
                let pairs = (0..layout.outputs.count)
                    .flat_map(|output| (0..channels).map(move |input| (output, input)));
                for (output, input) in pairs {
                    let to =
                        layout.first + output * layout.outputs.step + input * layout.inputs.step;
                    for tap in 0..taps {
                        weights[to + tap] = packed[tap * BLOCK + input][output];
                    }
                }
            }
        }
        weights
    }

    /// Where the layer's weights are, in the order of [`LayerKind`], for the block of outputs that starts with `output`
    /// and so many `inputs` from `input` (counted over all sources) on.
    fn layout(&self, output: usize, input: usize, inputs: usize) -> WeightLayout {
        let taps = self.side() * self.side();
        let (first, steps, channel) = match self.kind {
            LayerKind::Convolution | LayerKind::Last => {
                let first = (output * self.all_inputs + input) * taps;
                (first, [self.all_inputs * taps, taps], output)
            }
            // A block is within one of the four phases.
            LayerKind::UpConvolution => {
                let (phase, channel) = (output / self.phase(), output % self.phase());
                let first = (input * self.channels + channel) * 4 + phase;
                (first, [4, self.channels * 4], channel)
            }
        };
        WeightLayout {
            first,
            outputs: ChannelStride {
                count: BLOCK.min(self.channels - channel),
                step: steps[0],
            },
            inputs: ChannelStride {
                count: inputs,
                step: steps[1],
            },
        }
    }

    /// The layer's biases, repeated for the [outputs](Self::outputs) of all phases.
    pub fn biases(&self, bias: &[f32]) -> Vec<f32> {
        let mut biases = vec![0.0; self.outputs()];
        for phase in biases.chunks_exact_mut(self.phase()) {
            phase[..self.channels].copy_from_slice(bias);
        }
        biases
    }

    /// The gradients of the layer's biases: sums the gradients of the [outputs](Self::outputs), \[output blocks\], over
    /// phases.
    pub fn bias_gradients(&self, outputs: &[Pixel]) -> Vec<f32> {
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

    /// Outputs from one phase to the next.
    fn phase(&self) -> usize {
        match self.kind {
            LayerKind::UpConvolution => self.channels.next_multiple_of(BLOCK),
            LayerKind::Convolution | LayerKind::Last => self.channels,
        }
    }
}

/// Where the weights between a block of outputs and a block of inputs are; those of one kernel are contiguous.
struct WeightLayout {
    /// Index of the first weight.
    first: usize,
    outputs: ChannelStride,
    inputs: ChannelStride,
}

/// The channels of a block.
#[derive(Clone, Copy)]
struct ChannelStride {
    /// Number of channels.
    count: usize,
    /// From the weight of one channel to that of the next.
    step: usize,
}

impl ChannelStride {
    /// The weights of all channels, from the `first` one on; zeros if they don't exist.
    #[inline(always)]
    fn gather(self, weights: &[f32], first: usize, exist: bool) -> Pixel {
        let mut pixel = Pixel::ZERO;
        if exist {
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
