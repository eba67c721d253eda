//! Convolutions of maps: sums over the pixels around each pixel and over all channels.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::map::{BLOCK, Map, Pixel};
use super::vectors::{Place, each_count, load, places, store};

/// Tasks that a convolution is cut into at least, where it is large enough.
const TASKS: usize = 16;
/// Bytes of the maps that one task reads, about, so that they stay in the second cache of its core.
const CACHED: usize = 1 << 19;

/// Maps that are read.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// The maps.
    pub map: &'a Map,
    /// Row and column, counted with the border, that the first weight of the first result reads.
    pub origin: usize,
}

/// What becomes of the sums.
#[derive(Clone, Copy)]
pub enum Finish<'a> {
    /// Plus the bias of their channel.
    Bias(&'a [f32]),
    /// Plus the bias of their channel, and not below 0.
    Rectified(&'a [f32]),
    /// Times `scale` where a map is positive, 0 elsewhere.
    Where {
        /// The map.
        positive: Source<'a>,
        /// The factor.
        scale: f32,
    },
}

/// Where results go.
pub struct Target<'a> {
    /// The maps.
    pub map: &'a mut Map,
    /// Row and column, counted with the border, of the first result.
    pub origin: usize,
    /// Rows and columns of results.
    pub size: (usize, usize),
}

/// The convolution of the `sources` one after the other, as if their channels were those of one map, with a
/// square of `side` x `side` weights, packed by [`pack`](super::pack).
pub fn convolve(sources: &[Source], side: usize, packed: &[Pixel], target: Target, finish: Finish) {
    let arch = Arch::new();
    let columns = target.size.1;
    tasks(sources, target).into_par_iter().for_each(|task| {
        arch.dispatch(Sums {
            sources,
            side,
            packed,
            columns,
            finish,
            task,
        });
    });
}

/// Some rows of a pair of blocks of channels.
struct Task<'a> {
    picture: usize,
    /// The first block.
    block: usize,
    /// The first row.
    row: usize,
    /// Pixels between two rows of the target.
    stride: usize,
    /// From where on they are written.
    column: usize,
    /// The rows of each block.
    targets: Vec<&'a mut [Pixel]>,
}

fn tasks<'a>(sources: &[Source], target: Target<'a>) -> Vec<Task<'a>> {
    let Target {
        map,
        origin,
        size: (rows, _),
    } = target;
    let (blocks, stride) = (map.blocks(), map.stride());
    let pairs = map.batch * blocks.div_ceil(2);
    let bytes = |source: &Source| source.map.plane() * source.map.blocks() * size_of::<Pixel>();
    let bytes: usize = sources.iter().map(bytes).sum();
    let parts = TASKS.div_ceil(pairs).max(bytes.div_ceil(CACHED));
    let together = rows.div_ceil(parts).max(1);
    let mut planes = map.planes_mut().enumerate().peekable();
    let mut tasks = Vec::new();
    while let Some((index, first)) = planes.next() {
        let (picture, block) = (index / blocks, index % blocks);
        let second = planes.next_if(|(next, _)| next / blocks == picture);
        let pair = [Some(first), second.map(|(_, plane)| plane)];
        let mut parts: Vec<_> = pair
            .into_iter()
            .flatten()
            .map(|plane| plane[origin * stride..][..rows * stride].chunks_mut(together * stride))
            .collect();
        for row in (0..rows).step_by(together) {
            tasks.push(Task {
                picture,
                block,
                row,
                stride,
                column: origin,
                targets: parts.iter_mut().filter_map(Iterator::next).collect(),
            });
        }
    }
    tasks
}

/// Computes a [`Task`].
struct Sums<'a> {
    sources: &'a [Source<'a>],
    side: usize,
    packed: &'a [Pixel],
    columns: usize,
    finish: Finish<'a>,
    task: Task<'a>,
}

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
                        let sum = if rectified {
                            simd.max_f32s(sum, zero)
                        } else {
                            sum
                        };
                        store::<S>(&mut target[pixel], part, sum);
                    }
                }
                Finish::Where { positive, scale } => {
                    let scale = simd.splat_f32s(scale);
                    let map = positive.map;
                    let from = map.block(self.task.picture, self.task.block + block);
                    let row = positive.origin + self.task.row + row;
                    let from = &from[row * map.stride() + positive.origin + column..];
                    let from = from.first_chunk::<COUNT>().expect("a piece of a row");
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

    #[inline(always)]
    fn sums<S: Simd, const COUNT: usize, const VECTORS: usize>(
        &self,
        simd: S,
        row: usize,
        column: usize,
        places: [Place; VECTORS],
    ) -> [[S::f32s; VECTORS]; COUNT] {
        let zero = simd.splat_f32s(0.0);
        let mut held = [[zero; VECTORS]; COUNT];
        let mut weights: [&[Pixel]; VECTORS] = [&[]; VECTORS];
        let inputs: usize = self.sources.iter().map(|source| source.map.blocks()).sum();
        let size = inputs * self.side * self.side * BLOCK;
        for vector in 0..VECTORS {
            let block = self.task.block + places[vector].block;
            weights[vector] = &self.packed[block * size..][..size];
        }
        let mut at = 0;
        for source in self.sources {
            let (map, stride) = (source.map, source.map.stride());
            let start = (source.origin + row) * stride + source.origin + column;
            for block in 0..map.blocks() {
                let channels = (map.channels - block * BLOCK).min(BLOCK);
                let plane = &map.block(self.task.picture, block)[start..];
                for down in 0..self.side {
                    for right in 0..self.side {
                        let pixels = plane[down * stride + right..]
                            .first_chunk::<COUNT>()
                            .expect("pixels that a piece of a row reads");
                        let mut taps: [&[Pixel; BLOCK]; VECTORS] = [&[Pixel::ZERO; BLOCK]; VECTORS];
                        for vector in 0..VECTORS {
                            taps[vector] = weights[vector][at..]
                                .first_chunk()
                                .expect("weights for every channel");
                        }
                        at += BLOCK;
                        for channel in 0..channels {
                            let mut weight = [zero; VECTORS];
                            for vector in 0..VECTORS {
                                weight[vector] =
                                    load::<S>(&taps[vector][channel], places[vector].part);
                            }
                            for pixel in 0..COUNT {
                                let value = simd.splat_f32s(pixels[pixel][channel]);
                                for vector in 0..VECTORS {
                                    held[pixel][vector] = simd.mul_add_e_f32s(
                                        value,
                                        weight[vector],
                                        held[pixel][vector],
                                    );
                                }
                            }
                        }
                    }
                }
            }
        }
        held
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
