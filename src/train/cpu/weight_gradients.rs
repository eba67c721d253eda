//! Gradients of the weights: for each pair of channels and each tap of the kernel, the sum over all pixels of the input
//! times the gradient of the output.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::convolve::Source;
use super::feature_map::{BLOCK, Pixel};
use super::vectors::{VectorIndex, load, store, vector_indices};

/// The least number of tasks that the sums are cut into. The sums of tasks are added in order, so that results don't
/// depend on the number of threads.
const TASKS: usize = 16;
/// Bytes of the rows that are processed at a time, about, so that they fit into the first-level cache.
const CACHED: usize = 1 << 15;

/// The gradients of a convolution of `sources` with kernels of `side` x `side` weights: of its weights, packed as in
/// [`pack`](super::pack), and of its biases, \[output blocks\]. `gradient` is that of the output, of `size` rows and
/// columns.
pub fn weight_gradients(
    sources: &[Source],
    side: usize,
    gradient: Source,
    size: (usize, usize),
) -> (Vec<Pixel>, Vec<Pixel>) {
    let blocks = gradient.map.blocks();
    let pairs = blocks.div_ceil(2);
    let inputs: usize = sources.iter().map(|source| source.map.blocks()).sum();
    let weights_per_block = inputs * side * side * BLOCK;
    let lines = gradient.map.batch * size.0;
    let parts = TASKS.div_ceil(pairs).min(lines);
    let lines_per_part = lines.div_ceil(parts);
    let arch = Arch::new();
    let sum = |part: usize, pair: usize| {
        let count = 2.min(blocks - 2 * pair);
        let mut task = GradientSums {
            sources,
            side,
            gradient,
            size,
            block: 2 * pair,
            lines: (part * lines_per_part).min(lines)..((part + 1) * lines_per_part).min(lines),
            weights: vec![vec![Pixel::ZERO; weights_per_block]; count],
            biases: vec![Pixel::ZERO; count],
        };
        arch.dispatch(&mut task);
        (task.weights.concat(), task.biases)
    };
    let of_pair = |pair: usize| {
        (0..parts)
            .into_par_iter()
            .map(|part| sum(part, pair))
            .collect::<Vec<_>>()
            .into_iter()
            .reduce(|(mut weights, mut biases), (more, more_biases)| {
                add(&mut weights, &more);
                add(&mut biases, &more_biases);
                (weights, biases)
            })
            .expect("at least one part")
    };
    let (weights, biases): (Vec<_>, Vec<_>) = (0..pairs).into_par_iter().map(of_pair).unzip();
    (weights.concat(), biases.concat())
}

fn add(sums: &mut [Pixel], more: &[Pixel]) {
    for (sums, more) in sums.iter_mut().zip(more) {
        for (sum, more) in sums.iter_mut().zip(more.iter()) {
            *sum += more;
        }
    }
}

/// The sums over some rows for up to two blocks of outputs.
struct GradientSums<'a> {
    sources: &'a [Source<'a>],
    side: usize,
    gradient: Source<'a>,
    size: (usize, usize),
    /// The first block of outputs.
    block: usize,
    /// Rows, counted over all pictures.
    lines: std::ops::Range<usize>,
    /// For each block of outputs, \[input blocks, side x side, 16 inputs\].
    weights: Vec<Vec<Pixel>>,
    /// For each block of outputs.
    biases: Vec<Pixel>,
}

impl WithSimd for &mut GradientSums<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (rows, columns) = self.size;
        let vectors = self.weights.len() * BLOCK / S::F32_LANES;
        // Each row reads a block of inputs and up to two of outputs.
        let cached_rows = (CACHED / (columns * 3 * size_of::<Pixel>())).max(1);
        let mut line = self.lines.start;
        while line < self.lines.end {
            // Rows of a single picture.
            let (picture, row) = (line / rows, line % rows);
            let count = cached_rows.min(rows - row).min(self.lines.end - line);
            for first in (0..vectors).step_by(2) {
                if first + 1 < vectors {
                    self.rows::<S, 2>(simd, picture, row..row + count, first);
                } else {
                    self.rows::<S, 1>(simd, picture, row..row + count, first);
                }
            }
            self.add_biases(picture, row..row + count);
            line += count;
        }
    }
}

impl GradientSums<'_> {
    /// Adds the products of some rows of a picture for `VECTORS` vectors of outputs, from the `first` one on.
    #[inline(always)]
    fn rows<S: Simd, const VECTORS: usize>(
        &mut self,
        simd: S,
        picture: usize,
        rows: std::ops::Range<usize>,
        first: usize,
    ) {
        let indices = vector_indices::<S, VECTORS>(first);
        let mut at = 0;
        for source in self.sources {
            let map = source.map;
            for block in 0..map.blocks() {
                let channels = (map.channels - block * BLOCK).min(BLOCK);
                let input = InputPlane {
                    plane: map.block(picture, block),
                    stride: map.stride(),
                    origin: source.origin,
                };
                for tap in 0..self.side * self.side {
                    let shift = (tap / self.side, tap % self.side);
                    // As many sums as there are registers for.
                    if channels <= 4 || S::F32_LANES < BLOCK {
                        for group in 0..channels.div_ceil(4) {
                            let input = (input, shift, group);
                            let output = (picture, rows.clone(), indices);
                            self.group::<S, 4, VECTORS>(simd, input, output, at);
                        }
                    } else if VECTORS == 2 {
                        for group in 0..channels.div_ceil(8) {
                            let input = (input, shift, group);
                            let output = (picture, rows.clone(), indices);
                            self.group::<S, 8, VECTORS>(simd, input, output, at);
                        }
                    } else {
                        let input = (input, shift, 0);
                        let output = (picture, rows.clone(), indices);
                        self.group::<S, 16, VECTORS>(simd, input, output, at);
                    }
                    at += BLOCK;
                }
            }
        }
    }

    /// Adds the products of `COUNT` input channels, the `group`-th so many of a block, for one tap, shifted `down` and
    /// `right`, to the weights from number `at` on.
    #[inline(always)]
    fn group<S: Simd, const COUNT: usize, const VECTORS: usize>(
        &mut self,
        simd: S,
        (input, (down, right), group): (InputPlane, (usize, usize), usize),
        (picture, rows, indices): (usize, std::ops::Range<usize>, [VectorIndex; VECTORS]),
        at: usize,
    ) {
        let columns = self.size.1;
        let mut sums = [[simd.splat_f32s(0.0); VECTORS]; COUNT];
        let (map, origin) = (self.gradient.map, self.gradient.origin);
        let mut planes: [&[Pixel]; VECTORS] = [&[]; VECTORS];
        for vector in 0..VECTORS {
            planes[vector] = map.block(picture, self.block + indices[vector].block);
        }
        for row in rows {
            let mut gradients: [&[Pixel]; VECTORS] = [&[]; VECTORS];
            for vector in 0..VECTORS {
                let from = (origin + row) * map.stride() + origin;
                gradients[vector] = &planes[vector][from..][..columns];
            }
            let from = (input.origin + row + down) * input.stride + input.origin + right;
            let pixels = &input.plane[from..][..columns];
            for column in 0..columns {
                let (values, _) = pixels[column].as_chunks::<COUNT>();
                // The mask saves the check of the bounds.
                let values = values[group & (BLOCK / COUNT - 1)];
                let mut gradient = [simd.splat_f32s(0.0); VECTORS];
                for vector in 0..VECTORS {
                    gradient[vector] = load::<S>(&gradients[vector][column], indices[vector].part);
                }
                for index in 0..COUNT {
                    let value = simd.splat_f32s(values[index]);
                    for vector in 0..VECTORS {
                        sums[index][vector] =
                            simd.mul_add_e_f32s(value, gradient[vector], sums[index][vector]);
                    }
                }
            }
        }
        for vector in 0..VECTORS {
            let VectorIndex { block, part } = indices[vector];
            let weights = &mut self.weights[block][at + group * COUNT..][..COUNT];
            for index in 0..COUNT {
                let sum = load::<S>(&weights[index], part);
                let sum = simd.add_f32s(sum, sums[index][vector]);
                store::<S>(&mut weights[index], part, sum);
            }
        }
    }

    /// Adds the gradients of some rows of a picture to those of the biases.
    #[inline(always)]
    fn add_biases(&mut self, picture: usize, rows: std::ops::Range<usize>) {
        let (map, origin) = (self.gradient.map, self.gradient.origin);
        for (index, bias) in self.biases.iter_mut().enumerate() {
            let plane = map.block(picture, self.block + index);
            for row in rows.clone() {
                let from = (origin + row) * map.stride() + origin;
                for pixel in &plane[from..][..self.size.1] {
                    for (bias, gradient) in bias.iter_mut().zip(pixel.iter()) {
                        *bias += gradient;
                    }
                }
            }
        }
    }
}

/// A block of input channels of a picture.
#[derive(Clone, Copy)]
struct InputPlane<'a> {
    plane: &'a [Pixel],
    stride: usize,
    origin: usize,
}
