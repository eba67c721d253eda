//! Computing one piece of an output.

use pulp::NullaryFnOnce;
use pulp::x86::V3;

use super::output::Output;
use super::pieces::Piece;
use super::product::{OUTPUTS, multiply};
use super::scratch::Scratch;
use super::transform::{self, IN, KERNEL, OUT, PRODUCTS};
use super::vectors::{Eight, LANES, gather, scatter};
use super::{Convolution, Shape};

/// The work on one [`Piece`] of a picture.
pub struct Patches<'a> {
    /// What is computed.
    pub convolution: &'a Convolution,
    /// The picture \[input channels, rows, columns\].
    pub input: &'a [f32],
    /// Its rows and columns.
    pub size: (usize, usize),
    /// The output of all pictures.
    pub output: &'a Output<'a>,
    /// Where in it the output of this picture begins.
    pub first: usize,
    /// Rows and columns of the output.
    pub output_size: (usize, usize),
    /// Which patches are computed. No other thread may compute them at the same time.
    pub piece: Piece,
    /// Memory for intermediate results.
    pub scratch: &'a mut Scratch,
}

impl NullaryFnOnce for Patches<'_> {
    type Output = ();

    #[inline(always)]
    fn call(mut self) {
        let simd = self.convolution.simd;
        let channels = self.convolution.shape.inputs.div_ceil(LANES);
        for row in 0..self.piece.rows.len() {
            for block in 0..channels {
                self.read(simd, row, block, channels);
            }
        }
        for group in 0..self.convolution.biases.len() {
            self.multiply(simd, group, channels);
            for row in 0..self.piece.rows.len() {
                for half in 0..OUTPUTS / LANES {
                    self.write(simd, row, group, half);
                }
            }
        }
    }
}

impl Patches<'_> {
    /// Transforms the inputs of a `row` of patches, of the eight channels of a `block`.
    #[inline(always)]
    fn read(&mut self, simd: V3, row: usize, block: usize, channels: usize) {
        let Shape {
            inputs, padding, ..
        } = self.convolution.shape;
        let (rows, columns) = self.size;
        let across = self.piece.columns.len();
        let width = across * OUT + KERNEL - 1;
        let top = (self.piece.rows.start + row) * OUT;
        let left = self.piece.columns.start * OUT;
        // Where the columns of the picture are in those of the patches; the others are padding.
        let begin = padding.saturating_sub(left).min(width);
        let end = (columns + padding).saturating_sub(left).clamp(begin, width);
        for (y, to) in self
            .scratch
            .rows_in
            .chunks_exact_mut(width)
            .take(IN)
            .enumerate()
        {
            let inside = (top + y).checked_sub(padding).filter(|y| *y < rows);
            let Some(y) = inside.filter(|_| begin < end) else {
                to.fill(Eight::ZERO);
                continue;
            };
            let mut planes: [&[f32]; LANES] = [&[]; LANES];
            let used = (inputs - block * LANES).min(LANES);
            for (plane, channel) in planes[..used].iter_mut().zip(block * LANES..) {
                let at = (channel * rows + y) * columns + left + begin - padding;
                *plane = &self.input[at..][..end - begin];
            }
            to[..begin].fill(Eight::ZERO);
            gather(simd, &planes[..used], &mut to[begin..end]);
            to[end..].fill(Eight::ZERO);
        }
        let step = self.scratch.input_step;
        for patch in 0..across {
            let at = (row * across + patch) * channels + block;
            let from = &self.scratch.rows_in[patch * OUT..];
            transform::inputs(simd, from, width, &mut self.scratch.inputs[at..], step);
        }
    }

    /// Sums the products of all patches for a `group` of output channels.
    #[inline(always)]
    fn multiply(&mut self, simd: V3, group: usize, channels: usize) {
        let patches = self.piece.rows.len() * self.piece.columns.len();
        let Scratch {
            inputs,
            input_step,
            sums,
            sum_step,
            ..
        } = &mut *self.scratch;
        let length = channels * LANES;
        let weights = &self.convolution.weights[group * PRODUCTS * length..];
        for product in 0..PRODUCTS {
            let inputs = &inputs[product * *input_step..][..patches * channels];
            let weights = &weights[product * length..][..length];
            let sums = &mut sums[product * *sum_step..][..patches];
            multiply(simd, (inputs, channels), weights, sums);
        }
    }

    /// Transforms the sums of a `row` of patches into outputs, of one `half` of a `group` of channels.
    #[inline(always)]
    fn write(&mut self, simd: V3, row: usize, group: usize, half: usize) {
        let Shape {
            outputs, rectified, ..
        } = self.convolution.shape;
        let channel = group * OUTPUTS + half * LANES;
        if channel >= outputs {
            return;
        }
        let across = self.piece.columns.len();
        let width = across * OUT;
        let bias = self.convolution.biases[group][half].load();
        let least = simd.splat_f32x8(if rectified { 0.0 } else { f32::NEG_INFINITY });
        let Scratch {
            sums,
            sum_step,
            rows_out,
            ..
        } = &mut *self.scratch;
        for patch in 0..across {
            let from = &sums[row * across + patch..];
            let to = &mut rows_out[patch * OUT..];
            transform::outputs(simd, (from, *sum_step, half), [bias, least], (to, width));
        }
        let (rows, columns) = self.output_size;
        let top = (self.piece.rows.start + row) * OUT;
        let left = self.piece.columns.start * OUT;
        let count = width.min(columns - left);
        for (y, from) in (top..rows).zip(rows_out.chunks_exact(width).take(OUT)) {
            let mut number = channel;
            let mut targets = [(); LANES].map(|()| {
                let at = self.first + (number * rows + y) * columns + left;
                let used = if number < outputs { count } else { 0 };
                number += 1;
                // SAFETY: rows of different channels are apart, and no other thread computes these patches.
                unsafe { self.output.row(at, used) }
            });
            let used = LANES.min(outputs - channel);
            scatter(simd, &from[..count], &mut targets[..used]);
        }
    }
}
