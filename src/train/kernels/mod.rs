//! The arithmetic of 3x3 convolutions on a CPU, forward and backward, on plain slices.
//!
//! Two habits make it fast. The rows of a plane are read as one long row, so that moving the kernel
//! by a pixel is starting to read one number later, vectors are full whatever the width, and nothing
//! is unfolded; the two numbers at the end of each row that mix the row with the next are computed and
//! thrown away. And sums stay in registers: a block of [`BLOCK`] channels by three vectors of pixels
//! for the maps, a block of channels by a row of the kernel for the weights.

#[macro_use]
mod vectors;
mod map_block;
mod weight_block;

use pulp::Arch;
use rayon::prelude::*;

use map_block::MapBlock;
use weight_block::WeightBlock;

/// Output channels that are computed together.
const BLOCK: usize = 8;
/// Vectors of pixels that are computed together.
const VECTORS: usize = 3;
/// Pixels of the gradient that are worked on at a time, for `BLOCK` channels of them to stay in the
/// fastest cache.
const CHUNK: usize = 1024;
/// Numbers of the input that one task reads, about, so that they stay in the cache of its core.
const CACHED: usize = 1 << 17;

/// Sizes of a 3x3 convolution without padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Pictures.
    pub batch: usize,
    /// Channels that come in.
    pub inputs: usize,
    /// Channels that go out.
    pub outputs: usize,
    /// Rows that come in, at least 3.
    pub height: usize,
    /// Columns that come in, at least 3.
    pub width: usize,
}

impl Sizes {
    /// Numbers of one channel that comes in.
    fn plane(&self) -> usize {
        self.height * self.width
    }

    /// Rows and columns that go out.
    fn result(&self) -> (usize, usize) {
        (self.height - 2, self.width - 2)
    }
}

/// The convolution of `input` \[batch, inputs, height, width\] with `weight` \[outputs, inputs, 3, 3\] plus
/// `bias` \[outputs\], less what is below `least` (0 for ReLU): \[batch, outputs, height - 2, width - 2\].
pub fn forward(sizes: Sizes, input: &[f32], weight: &[f32], bias: &[f32], least: f32) -> Vec<f32> {
    let packed = pack(sizes, |output, input, tap| {
        weight[(output * sizes.inputs + input) * 9 + tap]
    });
    convolve(sizes, input, &packed, bias, least)
}

/// The gradient of the input \[batch, inputs, height, width\] from that of the result, `gradient`
/// \[batch, outputs, height - 2, width - 2\]: its convolution, with a border of two zeros, with the kernel
/// turned by 180 degrees.
pub fn input_gradient(sizes: Sizes, gradient: &[f32], weight: &[f32]) -> Vec<f32> {
    let (rows, columns) = sizes.result();
    let turned = Sizes {
        inputs: sizes.outputs,
        outputs: sizes.inputs,
        height: sizes.height + 2,
        width: sizes.width + 2,
        ..sizes
    };
    let packed = pack(turned, |output, input, tap| {
        weight[(input * sizes.inputs + output) * 9 + 8 - tap]
    });
    let bordered = widened(gradient, (rows, columns), turned.width, 2);
    let bias = vec![0.0; sizes.inputs];
    convolve(turned, &bordered, &packed, &bias, f32::NEG_INFINITY)
}

/// The gradient of the weights \[outputs, inputs, 3, 3\] from `input` and the gradient of the result.
pub fn weight_gradient(sizes: Sizes, input: &[f32], gradient: &[f32]) -> Vec<f32> {
    let (rows, columns) = sizes.result();
    // With zeros behind each row both can be read as one long row in step.
    let gradient = widened(gradient, (rows, columns), sizes.width, 0);
    let mut result = vec![0.0; sizes.outputs * sizes.inputs * 9];
    let arch = Arch::new();
    result
        .par_chunks_mut(BLOCK * sizes.inputs * 9)
        .enumerate()
        .for_each(|(block, result)| {
            arch.dispatch(WeightBlock {
                sizes,
                input,
                gradient: &gradient,
                block,
                result,
            });
        });
    result
}

/// The gradient of the biases \[outputs\].
pub fn bias_gradient(sizes: Sizes, gradient: &[f32]) -> Vec<f32> {
    let (rows, columns) = sizes.result();
    let mut sums = vec![0.0; sizes.outputs];
    for picture in gradient.chunks_exact(sizes.outputs * rows * columns) {
        for (sum, plane) in sums.iter_mut().zip(picture.chunks_exact(rows * columns)) {
            *sum += plane.iter().sum::<f32>();
        }
    }
    sums
}

/// Planes of `rows` x `columns` numbers with zeros around them: `border` rows above and below, `border`
/// columns on the left, and on the right as many as make rows of `width`.
fn widened(
    planes: &[f32],
    (rows, columns): (usize, usize),
    width: usize,
    border: usize,
) -> Vec<f32> {
    let size = (rows + 2 * border) * width;
    let mut wide = vec![0.0; planes.len() / (rows * columns) * size];
    wide.par_chunks_exact_mut(size)
        .zip(planes.par_chunks_exact(rows * columns))
        .for_each(|(wide, plane)| {
            let lines = wide.chunks_exact_mut(width).skip(border);
            for (wide, line) in lines.zip(plane.chunks_exact(columns)) {
                wide[border..border + columns].copy_from_slice(line);
            }
        });
    wide
}

/// The weights in the order in which they are read: \[blocks, inputs, 9, BLOCK\], with zeros for the channels
/// that the last block lacks.
fn pack(sizes: Sizes, weight: impl Fn(usize, usize, usize) -> f32) -> Vec<[f32; BLOCK]> {
    let mut packed = Vec::with_capacity(sizes.outputs.div_ceil(BLOCK) * sizes.inputs * 9);
    for first in (0..sizes.outputs).step_by(BLOCK) {
        for input in 0..sizes.inputs {
            for tap in 0..9 {
                packed.push(std::array::from_fn(|index| match first + index {
                    output if output < sizes.outputs => weight(output, input, tap),
                    _ => 0.0,
                }));
            }
        }
    }
    packed
}

fn convolve(
    sizes: Sizes,
    input: &[f32],
    packed: &[[f32; BLOCK]],
    bias: &[f32],
    least: f32,
) -> Vec<f32> {
    let (rows, columns) = sizes.result();
    let mut result = vec![0.0; sizes.batch * sizes.outputs * rows * columns];
    let arch = Arch::new();
    tasks(sizes, &mut result).into_par_iter().for_each(|task| {
        let weights = sizes.inputs * 9;
        arch.dispatch(MapBlock {
            sizes,
            input: &input[task.picture * sizes.inputs * sizes.plane()..],
            weights: &packed[task.block * weights..][..weights],
            bias: &bias[task.block * BLOCK..],
            least,
            task,
        });
    });
    result
}

/// Some rows of a block of channels.
struct Task<'a> {
    picture: usize,
    block: usize,
    /// First row.
    row: usize,
    /// The rows of each channel of the block.
    targets: Vec<&'a mut [f32]>,
}

/// Cuts the result into tasks that read about [`CACHED`] numbers each.
fn tasks(sizes: Sizes, result: &mut [f32]) -> Vec<Task<'_>> {
    let (rows, columns) = sizes.result();
    let together = (CACHED / (sizes.inputs * sizes.width)).clamp(4, rows.max(4));
    let mut tasks = Vec::new();
    for (picture, result) in result
        .chunks_exact_mut(sizes.outputs * rows * columns)
        .enumerate()
    {
        for (block, result) in result.chunks_mut(BLOCK * rows * columns).enumerate() {
            let planes = result.chunks_exact_mut(rows * columns);
            let mut parts: Vec<_> = planes
                .map(|plane| plane.chunks_mut(together * columns))
                .collect();
            for row in (0..rows).step_by(together) {
                tasks.push(Task {
                    picture,
                    block,
                    row,
                    targets: parts.iter_mut().filter_map(Iterator::next).collect(),
                });
            }
        }
    }
    tasks
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    fn random(count: usize, random: &mut StdRng) -> Vec<f32> {
        (0..count).map(|_| random.random_range(-1.0..1.0)).collect()
    }

    /// All pairs of a number of the input and one of the result that a weight joins: their indices and
    /// the weight's.
    fn joined(sizes: Sizes) -> impl Iterator<Item = (usize, usize, usize)> {
        let (rows, columns) = sizes.result();
        let results = sizes.batch * sizes.outputs * rows * columns;
        (0..results).flat_map(move |result| {
            let (row, column) = (result / columns % rows, result % columns);
            let output = result / (rows * columns) % sizes.outputs;
            let picture = result / (rows * columns) / sizes.outputs;
            (0..sizes.inputs * 9).map(move |weight| {
                let (input, tap) = (weight / 9, weight % 9);
                let plane = (picture * sizes.inputs + input) * sizes.height;
                let at = (plane + row + tap / 3) * sizes.width + column + tap % 3;
                (at, result, output * sizes.inputs * 9 + weight)
            })
        })
    }

    fn assert_near(found: &[f32], expected: &[f32], what: &str) {
        assert_eq!(found.len(), expected.len(), "{what}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                (found - expected).abs() < 1e-3,
                "{what}: {found} for {expected}"
            );
        }
    }

    #[test]
    fn sums_are_those_of_the_definition() {
        for (batch, inputs, outputs, height, width) in [
            (1, 1, 1, 3, 3),
            (1, 3, 8, 5, 4),
            (2, 2, 9, 9, 30),
            (1, 5, 17, 24, 70),
            (1, 1, 3, 40, 53),
        ] {
            let sizes = Sizes {
                batch,
                inputs,
                outputs,
                height,
                width,
            };
            let (rows, columns) = sizes.result();
            let rng = &mut StdRng::seed_from_u64(1);
            let input = random(batch * inputs * sizes.plane(), rng);
            let weight = random(outputs * inputs * 9, rng);
            let bias = random(outputs, rng);
            let gradient = random(batch * outputs * rows * columns, rng);
            let mut result: Vec<f32> = (0..gradient.len())
                .map(|index| bias[index / (rows * columns) % outputs])
                .collect();
            let mut of_input = vec![0.0; input.len()];
            let mut of_weight = vec![0.0; weight.len()];
            for (at, index, tap) in joined(sizes) {
                result[index] += weight[tap] * input[at];
                of_input[at] += weight[tap] * gradient[index];
                of_weight[tap] += input[at] * gradient[index];
            }
            let rectified: Vec<f32> = result.iter().map(|sum| sum.max(0.0)).collect();
            let found = forward(sizes, &input, &weight, &bias, f32::NEG_INFINITY);
            assert_near(&found, &result, "result");
            assert_near(
                &forward(sizes, &input, &weight, &bias, 0.0),
                &rectified,
                "ReLU",
            );
            let found = input_gradient(sizes, &gradient, &weight);
            assert_near(&found, &of_input, "gradient of the input");
            let found = weight_gradient(sizes, &input, &gradient);
            assert_near(&found, &of_weight, "gradient of the weights");
            let mut of_bias = vec![0.0; outputs];
            for (index, value) in gradient.iter().enumerate() {
                of_bias[index / (rows * columns) % outputs] += value;
            }
            assert_near(
                &bias_gradient(sizes, &gradient),
                &of_bias,
                "gradient of the biases",
            );
        }
    }
}
