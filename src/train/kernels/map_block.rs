//! A block of channels of a map by a few vectors of its pixels: the forward pass and the gradient of the
//! input.

use pulp::{Simd, WithSimd};

use super::vectors::load;
use super::{BLOCK, Sizes, Task, VECTORS};

/// Computes a [`Task`].
pub(super) struct MapBlock<'a> {
    pub sizes: Sizes,
    /// The picture.
    pub input: &'a [f32],
    /// Of the block: \[inputs, 9\].
    pub weights: &'a [[f32; BLOCK]],
    /// Of the block and what follows.
    pub bias: &'a [f32],
    /// Smaller sums become this.
    pub least: f32,
    pub task: Task<'a>,
}

impl WithSimd for MapBlock<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Sizes { width, .. } = self.sizes;
        let (_, columns) = self.sizes.result();
        let mut targets = self.task.targets;
        let rows = targets.first().map_or(0, |target| target.len() / columns);
        // Of the long row over these rows only what lies behind the last column is left out.
        let length = rows * width - 2;
        let step = VECTORS * S::F32_LANES;
        let origin = self.task.row * width;
        let mut sums = [[0.0; 64]; BLOCK];
        let mut start = 0;
        while start < length {
            // The last piece overlaps the one before, to be full.
            let at = start.min(length.saturating_sub(step));
            let count = step.min(length - at);
            if count == step {
                full_sums::<S>(
                    simd,
                    self.sizes,
                    self.input,
                    self.weights,
                    origin + at,
                    &mut sums,
                );
            } else {
                short_sums(
                    self.sizes,
                    self.input,
                    self.weights,
                    origin + at,
                    count,
                    &mut sums,
                );
            }
            for (index, target) in targets.iter_mut().enumerate() {
                let sums = &sums[index][..count];
                store(
                    sums,
                    (at, width, columns),
                    target,
                    (self.bias[index], self.least),
                );
            }
            start = at + count;
        }
    }
}

/// Sums for `VECTORS` vectors of pixels of the long row, from `at` on.
#[inline(always)]
fn full_sums<S: Simd>(
    simd: S,
    sizes: Sizes,
    input: &[f32],
    weights: &[[f32; BLOCK]],
    at: usize,
    sums: &mut [[f32; 64]; BLOCK],
) {
    let mut held = [[simd.splat_f32s(0.0); VECTORS]; BLOCK];
    let (taps, _) = weights.as_chunks::<9>();
    for (plane, taps) in input.chunks_exact(sizes.plane()).zip(taps) {
        for (tap, weights) in taps.iter().enumerate() {
            let from = &plane[at + tap / 3 * sizes.width + tap % 3..][..VECTORS * S::F32_LANES];
            // Not by a closure: one that is not inlined would lose the processor's instructions.
            let pixels = [
                load::<S>(from),
                load::<S>(&from[S::F32_LANES..]),
                load::<S>(&from[2 * S::F32_LANES..]),
            ];
            each_of_block!(INDEX => {
                let weight = simd.splat_f32s(weights[INDEX]);
                held[INDEX][0] = simd.mul_add_e_f32s(weight, pixels[0], held[INDEX][0]);
                held[INDEX][1] = simd.mul_add_e_f32s(weight, pixels[1], held[INDEX][1]);
                held[INDEX][2] = simd.mul_add_e_f32s(weight, pixels[2], held[INDEX][2]);
            });
        }
    }
    each_of_block!(INDEX => {
        let (vectors, _) = S::as_mut_simd_f32s(&mut sums[INDEX]);
        vectors[0] = held[INDEX][0];
        vectors[1] = held[INDEX][1];
        vectors[2] = held[INDEX][2];
    });
}

/// As [`full_sums`] for the few pixels of a map that fills no vectors.
fn short_sums(
    sizes: Sizes,
    input: &[f32],
    weights: &[[f32; BLOCK]],
    at: usize,
    count: usize,
    sums: &mut [[f32; 64]; BLOCK],
) {
    for sums in sums.iter_mut() {
        sums[..count].fill(0.0);
    }
    let (taps, _) = weights.as_chunks::<9>();
    for (plane, taps) in input.chunks_exact(sizes.plane()).zip(taps) {
        for (tap, weights) in taps.iter().enumerate() {
            let from = &plane[at + tap / 3 * sizes.width + tap % 3..][..count];
            for (sums, weight) in sums.iter_mut().zip(weights) {
                for (sum, pixel) in sums.iter_mut().zip(from) {
                    *sum += weight * pixel;
                }
            }
        }
    }
}

/// Writes a piece of the long row, which begins at `at`, into the rows it belongs to.
#[inline(always)]
fn store(
    sums: &[f32],
    (at, width, columns): (usize, usize, usize),
    target: &mut [f32],
    (bias, least): (f32, f32),
) {
    let mut done = 0;
    while done < sums.len() {
        let (row, column) = ((at + done) / width, (at + done) % width);
        let end = (width - column).min(sums.len() - done);
        if column < columns {
            let count = end.min(columns - column);
            let target = &mut target[row * columns + column..][..count];
            for (target, sum) in target.iter_mut().zip(&sums[done..]) {
                *target = (sum + bias).max(least);
            }
        }
        done += end;
    }
}
