//! The inner loops of a convolution, on vectors.

use pulp::{Simd, WithSimd};

use super::convolve::{Epilogue, Source};
use super::feature_map::{BLOCK, Pixel};
use super::vectors::{VectorIndex, each_count, load, store, vector_indices};

/// A band of output rows, of up to two blocks of channels.
pub struct Task<'a> {
    /// The picture in the batch.
    pub picture: usize,
    /// The first block of output channels.
    pub block: usize,
    /// The first output row.
    pub row: usize,
    /// Pixels from one output row to the next.
    pub stride: usize,
    /// Column in an output row from which on pixels are written.
    pub column: usize,
    /// The band of each block, \[rows, stride\].
    pub outputs: Vec<&'a mut [Pixel]>,
}

/// Computes a [`Task`] of a [convolution](super::convolve::convolve).
pub struct ConvolveRows<'a> {
    /// The inputs.
    pub sources: &'a [Source<'a>],
    /// Rows and columns of the kernels.
    pub side: usize,
    /// The packed weights.
    pub packed: &'a [Pixel],
    /// Columns of the output.
    pub columns: usize,
    /// What is done to the sums.
    pub epilogue: Epilogue<'a>,
    /// The rows to compute.
    pub task: Task<'a>,
}

/// Sums of `COUNT` pixels, each of `VECTORS` vectors of output channels, which are kept in registers.
type Accumulators<S, const COUNT: usize, const VECTORS: usize> =
    [[<S as Simd>::f32s; VECTORS]; COUNT];

impl WithSimd for ConvolveRows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let vectors = self.task.outputs.len() * BLOCK / S::F32_LANES;
        // Most pixels whose sums are computed together. More would fit into the registers, but took twice as
        // long in measurements.
        let most = match (S::F32_LANES == BLOCK, vectors) {
            (true, 1) => 14,
            (true, _) => 9,
            (false, _) => 6,
        };
        let pieces = self.columns.div_ceil(most);
        let count = self.columns.div_ceil(pieces);
        let rows = self.task.outputs[0].len() / self.task.stride;
        for first in (0..vectors).step_by(2) {
            for row in 0..rows {
                for piece in 0..pieces {
                    // The last one overlaps the one before, so that all have the same size.
                    let column = (piece * count).min(self.columns - count);
                    if first + 1 < vectors {
                        each_count!(count, COUNT => {
                            self.piece::<S, COUNT, 2>(simd, row, column, first)
                        });
                    } else {
                        each_count!(count, COUNT => {
                            self.piece::<S, COUNT, 1>(simd, row, column, first)
                        });
                    }
                }
            }
        }
    }
}

impl ConvolveRows<'_> {
    /// Computes and writes `COUNT` pixels of an output row, from `column` on, and `VECTORS` vectors of their channels,
    /// from the `first` one of the task on.
    #[inline(always)]
    fn piece<S: Simd, const COUNT: usize, const VECTORS: usize>(
        &mut self,
        simd: S,
        row: usize,
        column: usize,
        first: usize,
    ) {
        let indices = vector_indices::<S, VECTORS>(first);
        let sums = self.sums::<S, COUNT, VECTORS>(simd, self.task.row + row, column, indices);
        for vector in 0..VECTORS {
            let VectorIndex { block, part } = indices[vector];
            let zero = simd.splat_f32s(0.0);
            let channel = (self.task.block + block) * BLOCK + part * S::F32_LANES;
            let output = &mut self.task.outputs[block];
            let output = &mut output[row * self.task.stride + self.task.column + column..];
            let output = output.first_chunk_mut::<COUNT>().expect("a piece of a row");
            match self.epilogue {
                Epilogue::Bias(bias) | Epilogue::BiasRelu(bias) => {
                    let bias = load::<S>(&bias_from(bias, channel), 0);
                    let rectifies = matches!(self.epilogue, Epilogue::BiasRelu(_));
                    for pixel in 0..COUNT {
                        let sum = simd.add_f32s(sums[pixel][vector], bias);
                        let sum = if rectifies {
                            // In this order x86 passes NaN on, so that the loss shows it.
                            simd.max_f32s(zero, sum)
                        } else {
                            sum
                        };
                        store::<S>(&mut output[pixel], part, sum);
                    }
                }
                Epilogue::ReluGradient { activations, scale } => {
                    let scale = simd.splat_f32s(scale);
                    let block = self.task.block + block;
                    let at = (self.task.picture, block, self.task.row + row, column);
                    let from = pixels::<COUNT>(activations, at);
                    for pixel in 0..COUNT {
                        let active = simd.greater_than_f32s(load::<S>(&from[pixel], part), zero);
                        let sum = simd.mul_f32s(sums[pixel][vector], scale);
                        let sum = simd.select_f32s(active, sum, zero);
                        store::<S>(&mut output[pixel], part, sum);
                    }
                }
            }
        }
    }

    /// The sums over all inputs and kernel weights for `COUNT` output pixels, from `row` and `column` on, for the
    /// vectors of output channels at `indices`.
    #[inline(always)]
    fn sums<S: Simd, const COUNT: usize, const VECTORS: usize>(
        &self,
        simd: S,
        row: usize,
        column: usize,
        indices: [VectorIndex; VECTORS],
    ) -> Accumulators<S, COUNT, VECTORS> {
        let mut sums = [[simd.splat_f32s(0.0); VECTORS]; COUNT];
        let inputs: usize = self.sources.iter().map(|source| source.map.blocks()).sum();
        let size = inputs * self.side * self.side * BLOCK;
        let mut weights: [&[Pixel]; VECTORS] = [&[]; VECTORS];
        for vector in 0..VECTORS {
            let block = self.task.block + indices[vector].block;
            weights[vector] = &self.packed[block * size..][..size];
        }
        let mut at = 0;
        for source in self.sources {
            let Source { map, .. } = source;
            for block in 0..map.blocks() {
                let channels = (map.channels - block * BLOCK).min(BLOCK);
                for tap in 0..self.side * self.side {
                    let (down, right) = (tap / self.side, tap % self.side);
                    let from = (self.task.picture, block, row + down, column + right);
                    let pixels = pixels::<COUNT>(*source, from);
                    let mut taps = [&[Pixel::ZERO; BLOCK]; VECTORS];
                    for vector in 0..VECTORS {
                        let weights = weights[vector][at..].first_chunk();
                        taps[vector] = weights.expect("weights for every channel");
                    }
                    at += BLOCK;
                    add_products::<S, COUNT, VECTORS>(
                        simd, channels, pixels, taps, indices, &mut sums,
                    );
                }
            }
        }
        sums
    }
}

/// `COUNT` consecutive pixels of a block of channels of a picture, from row and column on.
#[inline(always)]
fn pixels<const COUNT: usize>(
    source: Source<'_>,
    (picture, block, row, column): (usize, usize, usize, usize),
) -> &[Pixel; COUNT] {
    let Source { map, origin } = source;
    let start = (origin + row) * map.stride() + origin + column;
    let pixels = map.block(picture, block)[start..].first_chunk();
    pixels.expect("pixels of a piece of a row")
}

/// Adds the products of `COUNT` pixels, of which so many input `channels` are used, with the `weights` \[vectors, 16
/// inputs, 16 outputs\] of one tap: a small matrix product.
#[inline(always)]
fn add_products<S: Simd, const COUNT: usize, const VECTORS: usize>(
    simd: S,
    channels: usize,
    pixels: &[Pixel; COUNT],
    weights: [&[Pixel; BLOCK]; VECTORS],
    indices: [VectorIndex; VECTORS],
    sums: &mut Accumulators<S, COUNT, VECTORS>,
) {
    // The minimum saves the check of the bounds.
    for channel in 0..channels.min(BLOCK) {
        let mut weight = [simd.splat_f32s(0.0); VECTORS];
        for vector in 0..VECTORS {
            weight[vector] = load::<S>(&weights[vector][channel], indices[vector].part);
        }
        for pixel in 0..COUNT {
            let value = simd.splat_f32s(pixels[pixel][channel]);
            for vector in 0..VECTORS {
                sums[pixel][vector] =
                    simd.mul_add_e_f32s(value, weight[vector], sums[pixel][vector]);
            }
        }
    }
}

/// The biases of 16 channels from `channel` on, 0 for channels that don't exist.
#[inline(always)]
fn bias_from(bias: &[f32], channel: usize) -> Pixel {
    let mut pixel = Pixel::ZERO;
    let from = bias.get(channel..).unwrap_or_default();
    for (lane, bias) in pixel.iter_mut().zip(from) {
        *lane = *bias;
    }
    pixel
}
