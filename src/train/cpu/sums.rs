//! The sums of a convolution on vectors.

use pulp::{Simd, WithSimd};

use super::convolve::{Finish, Source};
use super::feature_map::{BLOCK, Pixel};
use super::vectors::{Place, each_count, load, places, store};

/// Some rows of a pair of blocks of channels.
pub struct Task<'a> {
    /// Which picture.
    pub picture: usize,
    /// The first block.
    pub block: usize,
    /// The first row.
    pub row: usize,
    /// Pixels between two rows of the target.
    pub stride: usize,
    /// Column of the target from which on they are written.
    pub column: usize,
    /// The rows of each block.
    pub targets: Vec<&'a mut [Pixel]>,
}

/// Computes a [`Task`].
pub struct Sums<'a> {
    /// What is read.
    pub sources: &'a [Source<'a>],
    /// Weights on each side of the square.
    pub side: usize,
    /// The packed weights.
    pub packed: &'a [Pixel],
    /// Columns of results.
    pub columns: usize,
    /// What becomes of the sums.
    pub finish: Finish<'a>,
    /// The rows.
    pub task: Task<'a>,
}

/// Sums of some pixels, of some vectors of channels each.
type Held<S, const COUNT: usize, const VECTORS: usize> = [[<S as Simd>::f32s; VECTORS]; COUNT];

impl WithSimd for Sums<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let vectors = self.task.targets.len() * BLOCK / S::F32_LANES;
        // Pixels whose sums are computed together. More would fit into the registers; they were measured to
        // take twice as long on the processor at hand.
        let most = match (S::F32_LANES == BLOCK, vectors) {
            (true, 1) => 14,
            (true, _) => 9,
            (false, _) => 6,
        };
        let pieces = self.columns.div_ceil(most);
        let together = self.columns.div_ceil(pieces);
        let rows = self.task.targets[0].len() / self.task.stride;
        for first in (0..vectors).step_by(2) {
            for row in 0..rows {
                for piece in 0..pieces {
                    // The last one overlaps the one before, to be full.
                    let column = (piece * together).min(self.columns - together);
                    if first + 1 < vectors {
                        each_count!(together, COUNT => {
                            self.piece::<S, COUNT, 2>(simd, row, column, first)
                        });
                    } else {
                        each_count!(together, COUNT => {
                            self.piece::<S, COUNT, 1>(simd, row, column, first)
                        });
                    }
                }
            }
        }
    }
}

impl Sums<'_> {
    /// The sums of `COUNT` pixels from row and column on, `VECTORS` vectors of channels from the `first` one
    /// of the task on.
    #[inline(always)]
    fn piece<S: Simd, const COUNT: usize, const VECTORS: usize>(
        &mut self,
        simd: S,
        row: usize,
        column: usize,
        first: usize,
    ) {
        let places = places::<S, VECTORS>(first);
        let held = self.sums::<S, COUNT, VECTORS>(simd, self.task.row + row, column, places);
        for vector in 0..VECTORS {
            let Place { block, part } = places[vector];
            let zero = simd.splat_f32s(0.0);
            let channel = (self.task.block + block) * BLOCK + part * S::F32_LANES;
            let target = &mut self.task.targets[block];
            let target = &mut target[row * self.task.stride + self.task.column + column..];
            let target = target.first_chunk_mut::<COUNT>().expect("a piece of a row");
            match self.finish {
                Finish::Bias(bias) | Finish::Rectified(bias) => {
                    let bias = load::<S>(&bias_of(bias, channel), 0);
                    let rectified = matches!(self.finish, Finish::Rectified(_));
                    for pixel in 0..COUNT {
                        let sum = simd.add_f32s(held[pixel][vector], bias);
                        let sum = match rectified {
                            true => simd.max_f32s(sum, zero),
                            false => sum,
                        };
                        store::<S>(&mut target[pixel], part, sum);
                    }
                }
                Finish::Where { positive, scale } => {
                    let scale = simd.splat_f32s(scale);
                    let block = self.task.block + block;
                    let at = (self.task.picture, block, self.task.row + row, column);
                    let from = pixels::<COUNT>(positive, at);
                    for pixel in 0..COUNT {
                        let is = simd.greater_than_f32s(load::<S>(&from[pixel], part), zero);
                        let sum = simd.mul_f32s(held[pixel][vector], scale);
                        let sum = simd.select_f32s(is, sum, zero);
                        store::<S>(&mut target[pixel], part, sum);
                    }
                }
            }
        }
    }

    /// The sums of products over all sources.
    #[inline(always)]
    fn sums<S: Simd, const COUNT: usize, const VECTORS: usize>(
        &self,
        simd: S,
        row: usize,
        column: usize,
        places: [Place; VECTORS],
    ) -> Held<S, COUNT, VECTORS> {
        let mut held = [[simd.splat_f32s(0.0); VECTORS]; COUNT];
        let inputs: usize = self.sources.iter().map(|source| source.map.blocks()).sum();
        let size = inputs * self.side * self.side * BLOCK;
        let mut weights: [&[Pixel]; VECTORS] = [&[]; VECTORS];
        for vector in 0..VECTORS {
            let block = self.task.block + places[vector].block;
            weights[vector] = &self.packed[block * size..][..size];
        }
        let mut at = 0;
        for source in self.sources {
            let Source { map, .. } = source;
            for block in 0..map.blocks() {
                let channels = (map.channels - block * BLOCK).min(BLOCK);
                for tap in 0..self.side * self.side {
                    let (down, right) = (tap / self.side, tap % self.side);
                    let place = (self.task.picture, block, row + down, column + right);
                    let pixels = pixels::<COUNT>(*source, place);
                    let mut taps = [&[Pixel::ZERO; BLOCK]; VECTORS];
                    for vector in 0..VECTORS {
                        let weights = weights[vector][at..].first_chunk();
                        taps[vector] = weights.expect("weights for every channel");
                    }
                    at += BLOCK;
                    add_products::<S, COUNT, VECTORS>(
                        simd, channels, pixels, taps, places, &mut held,
                    );
                }
            }
        }
        held
    }
}

/// `COUNT` pixels of a block of channels of a picture, from row and column on.
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

/// Adds the products of so many channels of pixels with one weight for each pair of channels.
#[inline(always)]
fn add_products<S: Simd, const COUNT: usize, const VECTORS: usize>(
    simd: S,
    channels: usize,
    pixels: &[Pixel; COUNT],
    weights: [&[Pixel; BLOCK]; VECTORS],
    places: [Place; VECTORS],
    held: &mut Held<S, COUNT, VECTORS>,
) {
    // The minimum says to the compiler that there are no more.
    for channel in 0..channels.min(BLOCK) {
        let mut weight = [simd.splat_f32s(0.0); VECTORS];
        for vector in 0..VECTORS {
            weight[vector] = load::<S>(&weights[vector][channel], places[vector].part);
        }
        for pixel in 0..COUNT {
            let value = simd.splat_f32s(pixels[pixel][channel]);
            for vector in 0..VECTORS {
                held[pixel][vector] =
                    simd.mul_add_e_f32s(value, weight[vector], held[pixel][vector]);
            }
        }
    }
}

/// The biases from `channel` on, 0 for channels that are not there.
#[inline(always)]
fn bias_of(bias: &[f32], channel: usize) -> Pixel {
    let mut found = Pixel::ZERO;
    let from = bias.get(channel..).unwrap_or_default();
    for (found, bias) in found.iter_mut().zip(from) {
        *found = *bias;
    }
    found
}
