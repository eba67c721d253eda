//! Gradients of the weights: for each pair of channels and each place in the square the sum, over all
//! pixels, of what was read times the gradient of what it went into.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::convolve::Source;
use super::feature_map::{BLOCK, Pixel};
use super::vectors::{Place, load, places};

/// Tasks that the sums are cut into at least. The sums of the tasks are added up in their order, so that
/// results don't depend on how many threads there are.
const TASKS: usize = 16;
/// Bytes of rows that are worked on at a time, about, so that they stay in the fastest cache.
const CACHED: usize = 1 << 15;

/// Gradients of the weights of a convolution of `sources` with a square of `side` x `side` weights, packed
/// as [`pack`](super::pack) has it, and of the biases, a pixel for each block of outputs. `gradient` is that
/// of the results, of which there are `size` rows and columns.
pub fn weight_gradients(
    sources: &[Source],
    side: usize,
    gradient: Source,
    size: (usize, usize),
) -> (Vec<Pixel>, Vec<Pixel>) {
    let blocks = gradient.map.blocks();
    let pairs = blocks.div_ceil(2);
    let inputs: usize = sources.iter().map(|source| source.map.blocks()).sum();
    let of_block = inputs * side * side * BLOCK;
    let lines = gradient.map.batch * size.0;
    let parts = TASKS.div_ceil(pairs).min(lines);
    let together = lines.div_ceil(parts);
    let arch = Arch::new();
    let sum = |part: usize, pair: usize| {
        let count = 2.min(blocks - 2 * pair);
        let mut task = Products {
            sources,
            side,
            gradient,
            size,
            block: 2 * pair,
            lines: (part * together).min(lines)..((part + 1) * together).min(lines),
            weights: vec![vec![Pixel::ZERO; of_block]; count],
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

/// The sums over some rows for a pair of blocks of outputs.
struct Products<'a> {
    sources: &'a [Source<'a>],
    side: usize,
    gradient: Source<'a>,
    size: (usize, usize),
    /// First block of outputs.
    block: usize,
    /// Rows, counted over all pictures.
    lines: std::ops::Range<usize>,
    /// Of each block of outputs.
    weights: Vec<Vec<Pixel>>,
    biases: Vec<Pixel>,
}

impl WithSimd for &mut Products<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (rows, columns) = self.size;
        let vectors = self.weights.len() * BLOCK / S::F32_LANES;
        // Read for each row: a block of inputs and up to two of outputs.
        let together = (CACHED / (columns * 3 * size_of::<Pixel>())).max(1);
        let mut line = self.lines.start;
        while line < self.lines.end {
            // Rows of one picture.
            let (picture, row) = (line / rows, line % rows);
            let count = together.min(rows - row).min(self.lines.end - line);
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

impl Products<'_> {
    /// Adds the products of some rows for `VECTORS` vectors of outputs.
    #[inline(always)]
    fn rows<S: Simd, const VECTORS: usize>(
        &mut self,
        simd: S,
        picture: usize,
        rows: std::ops::Range<usize>,
        first: usize,
    ) {
        let places = places::<S, VECTORS>(first);
        let mut at = 0;
        for source in self.sources {
            let map = source.map;
            for block in 0..map.blocks() {
                let channels = (map.channels - block * BLOCK).min(BLOCK);
                let read = Read {
                    plane: map.block(picture, block),
                    stride: map.stride(),
                    origin: source.origin,
                };
                for tap in 0..self.side * self.side {
                    let shift = (tap / self.side, tap % self.side);
                    // As many sums as there are registers for.
                    if channels <= 4 || S::F32_LANES < BLOCK {
                        for group in 0..channels.div_ceil(4) {
                            let what = (read, shift, group);
                            let all = (picture, rows.clone(), places);
                            self.group::<S, 4, VECTORS>(simd, what, all, at);
                        }
                    } else if VECTORS == 2 {
                        for group in 0..channels.div_ceil(8) {
                            let what = (read, shift, group);
                            let all = (picture, rows.clone(), places);
                            self.group::<S, 8, VECTORS>(simd, what, all, at);
                        }
                    } else {
                        let what = (read, shift, 0);
                        let all = (picture, rows.clone(), places);
                        self.group::<S, 16, VECTORS>(simd, what, all, at);
                    }
                    at += BLOCK;
                }
            }
        }
    }

    /// Adds the products of `COUNT` channels, the `group`-th so many of a block.
    #[inline(always)]
    fn group<S: Simd, const COUNT: usize, const VECTORS: usize>(
        &mut self,
        simd: S,
        (read, (down, right), group): (Read, (usize, usize), usize),
        (picture, rows, places): (usize, std::ops::Range<usize>, [Place; VECTORS]),
        at: usize,
    ) {
        let columns = self.size.1;
        let mut held = [[simd.splat_f32s(0.0); VECTORS]; COUNT];
        let (map, origin) = (self.gradient.map, self.gradient.origin);
        let mut planes: [&[Pixel]; VECTORS] = [&[]; VECTORS];
        for vector in 0..VECTORS {
            planes[vector] = map.block(picture, self.block + places[vector].block);
        }
        for row in rows {
            let mut gradients: [&[Pixel]; VECTORS] = [&[]; VECTORS];
            for vector in 0..VECTORS {
                let from = (origin + row) * map.stride() + origin;
                gradients[vector] = &planes[vector][from..][..columns];
            }
            let from = (read.origin + row + down) * read.stride + read.origin + right;
            let pixels = &read.plane[from..][..columns];
            for column in 0..columns {
                let (values, _) = pixels[column].as_chunks::<COUNT>();
                // The mask says to the compiler that there are so many.
                let values = values[group & (BLOCK / COUNT - 1)];
                let mut gradient = [simd.splat_f32s(0.0); VECTORS];
                for vector in 0..VECTORS {
                    gradient[vector] = load::<S>(&gradients[vector][column], places[vector].part);
                }
                for index in 0..COUNT {
                    let value = simd.splat_f32s(values[index]);
                    for vector in 0..VECTORS {
                        held[index][vector] =
                            simd.mul_add_e_f32s(value, gradient[vector], held[index][vector]);
                    }
                }
            }
        }
        for vector in 0..VECTORS {
            let Place { block, part } = places[vector];
            let sums = &mut self.weights[block][at + group * COUNT..][..COUNT];
            for index in 0..COUNT {
                let sum = load::<S>(&sums[index], part);
                let sum = simd.add_f32s(sum, held[index][vector]);
                super::vectors::store::<S>(&mut sums[index], part, sum);
            }
        }
    }

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

/// A block of channels that is read.
#[derive(Clone, Copy)]
struct Read<'a> {
    plane: &'a [Pixel],
    stride: usize,
    origin: usize,
}
