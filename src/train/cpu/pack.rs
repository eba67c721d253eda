//! Weights in the order in which the arithmetic reads them.

use rayon::prelude::*;

use super::map::{BLOCK, Pixel};

/// Which weights a convolution has.
#[derive(Clone, Copy)]
pub struct Weights<'a> {
    /// Channels that the sums are for.
    pub outputs: usize,
    /// Channels of each source that is read.
    pub inputs: &'a [usize],
    /// Weights on each side of the square.
    pub side: usize,
}

/// Packs weights: \[blocks of outputs, blocks of inputs, side x side, 16 inputs, 16 outputs\], with zeros for
/// channels that are not there. `index` says where the weight of an output, an input (counted over all
/// sources) and a place in the square is, if there is one.
pub fn pack(
    numbers: &[f32],
    weights: Weights,
    index: impl Fn(usize, usize, usize) -> Option<usize> + Sync,
    packed: &mut Vec<Pixel>,
) {
    let Weights {
        outputs,
        inputs,
        side,
    } = weights;
    let taps = side * side;
    let size = blocks(inputs).count() * taps * BLOCK;
    packed.clear();
    packed.resize(outputs.div_ceil(BLOCK) * size, [0.0; BLOCK]);
    packed
        .par_chunks_exact_mut(size)
        .enumerate()
        .for_each(|(block, packed)| {
            let first = block * BLOCK;
            let count = BLOCK.min(outputs - first);
            let groups = packed.chunks_exact_mut(taps * BLOCK);
            for ((start, channels), packed) in blocks(inputs).zip(groups) {
                for channel in 0..channels {
                    for output in 0..count {
                        for tap in 0..taps {
                            packed[tap * BLOCK + channel][output] =
                                index(first + output, start + channel, tap)
                                    .map_or(0.0, |at| numbers[at]);
                        }
                    }
                }
            }
        });
}

/// The other way round: takes what is packed, in the same order, to where `index` says.
pub fn unpack(
    packed: &[Pixel],
    weights: Weights,
    index: impl Fn(usize, usize, usize) -> Option<usize>,
    numbers: &mut [f32],
) {
    let Weights {
        outputs,
        inputs,
        side,
    } = weights;
    let taps = side * side;
    let mut groups = packed.chunks_exact(taps * BLOCK);
    for first in (0..outputs).step_by(BLOCK) {
        let count = BLOCK.min(outputs - first);
        for (start, channels) in blocks(inputs) {
            let packed = groups.next().expect("weights for every block");
            for channel in 0..channels {
                for output in 0..count {
                    for tap in 0..taps {
                        if let Some(at) = index(first + output, start + channel, tap) {
                            numbers[at] = packed[tap * BLOCK + channel][output];
                        }
                    }
                }
            }
        }
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
