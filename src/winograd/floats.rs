//! Convolutions of floats: maps are \[channels, rows, columns\].

use pulp::f32x8;
use pulp::x86::V3;

use super::convolution::Convolution;
use super::patches::{Arithmetic, Patches};
use super::product::OUTPUTS;
use super::scratch::{Scratch, reserved};
use super::sums::Sixteen;
use super::transform::{self, IN, KERNEL, OUT, PRODUCTS};
use super::vectors::{Eight, LANES, Vector, gather, scatter};
use super::wide::Wide;
use super::{ConvolutionError, Shape, check};

/// 32-bit floats.
pub struct Floats;

impl Convolution<Floats> {
    /// Prepares `weights` \[outputs, inputs, 3, 3\] and `biases` \[outputs\], if there are any. `None` if the processor
    /// does not support it.
    ///
    /// # Errors
    /// If these have other lengths, or there is not enough memory: the transformed weights take about four times that
    /// of the weights.
    pub fn new(
        shape: Shape,
        weights: &[f32],
        biases: Option<&[f32]>,
    ) -> Result<Option<Self>, ConvolutionError> {
        let Some(simd) = V3::try_new() else {
            return Ok(None);
        };
        let Shape {
            inputs, outputs, ..
        } = shape;
        check("the kernel", weights.len(), shape.weights())?;
        if let Some(biases) = biases {
            check("the bias", biases.len(), outputs)?;
        }
        let groups = outputs.div_ceil(OUTPUTS);
        let channels = inputs.next_multiple_of(LANES);
        let mut transformed = reserved(groups * PRODUCTS * channels, Sixteen::<Eight>::ZERO)?;
        let mut added = reserved(groups, Sixteen::<Eight>::ZERO)?;
        let (kernels, _) = weights.as_chunks::<{ KERNEL * KERNEL }>();
        for output in 0..outputs {
            let (group, vector, lane) =
                (output / OUTPUTS, output % OUTPUTS / LANES, output % LANES);
            added[group].0[vector].0[lane] = biases.map_or(0.0, |biases| biases[output]);
            for input in 0..inputs {
                let kernel = kernels[output * inputs + input].map(f64::from);
                let values = transform::of_kernel(&kernel);
                for (product, value) in values.into_iter().enumerate() {
                    let at = (group * PRODUCTS + product) * channels + input;
                    transformed[at].0[vector].0[lane] = value as f32;
                }
            }
        }
        Ok(Some(Convolution {
            simd,
            wide: Wide::try_new(),
            shape,
            arithmetic: Floats,
            weights: transformed,
            biases: added,
        }))
    }
}

impl Arithmetic for Floats {
    type Value = f32;
    type Vector = Eight;
    type Pixel = Eight;

    const CHANNELS: usize = LANES;

    fn pixels(across: usize, _: usize) -> [usize; 2] {
        [IN * (across * OUT + KERNEL - 1), OUT * across * OUT]
    }

    #[inline(always)]
    fn read(patches: &mut Patches<'_, Self>, row: usize) {
        for block in 0..patches.convolution.vectors() {
            read_block(patches, row, block);
        }
    }

    #[inline(always)]
    fn write(patches: &mut Patches<'_, Self>, row: usize, group: usize) {
        for half in 0..OUTPUTS / LANES {
            write_half(patches, row, group, half);
        }
    }
}

/// Transforms the inputs of a `row` of patches, of the eight channels of a `block`.
#[inline(always)]
fn read_block(patches: &mut Patches<'_, Floats>, row: usize, block: usize) {
    let simd = patches.convolution.simd;
    let Shape {
        inputs, padding, ..
    } = patches.convolution.shape;
    let (rows, columns) = patches.size;
    let across = patches.piece.columns.len();
    let width = across * OUT + KERNEL - 1;
    let top = (patches.piece.rows.start + row) * OUT;
    let left = patches.piece.columns.start * OUT;
    let inside = patches.inside(left, width);
    for (y, to) in patches
        .scratch
        .rows_in
        .chunks_exact_mut(width)
        .take(IN)
        .enumerate()
    {
        let y = (top + y).checked_sub(padding).filter(|y| *y < rows);
        let Some(y) = y.filter(|_| !inside.is_empty()) else {
            to.fill(Eight::ZERO);
            continue;
        };
        let mut planes: [&[f32]; LANES] = [&[]; LANES];
        let used = (inputs - block * LANES).min(LANES);
        for (plane, channel) in planes[..used].iter_mut().zip(block * LANES..) {
            let at = (channel * rows + y) * columns + left + inside.start - padding;
            *plane = &patches.input[at..][..inside.len()];
        }
        to[..inside.start].fill(Eight::ZERO);
        gather(simd, &planes[..used], &mut to[inside.clone()]);
        to[inside.end..].fill(Eight::ZERO);
    }
    let step = patches.scratch.input_step;
    for patch in 0..across {
        let at = block * patches.count() + row * across + patch;
        let from = &patches.scratch.rows_in[patch * OUT..];
        transform_inputs(simd, from, width, &mut patches.scratch.inputs[at..], step);
    }
}

/// Bᵀ d for one column d of inputs, of eight channels.
#[inline(always)]
fn of_inputs(simd: V3, d: [f32x8; IN]) -> [f32x8; IN] {
    let (four, minus_four) = (simd.splat_f32x8(4.0), simd.splat_f32x8(-4.0));
    let (two, minus_two) = (simd.splat_f32x8(2.0), simd.splat_f32x8(-2.0));
    let minus_five = simd.splat_f32x8(-5.0);
    let even = simd.mul_add_f32x8(minus_four, d[2], d[4]);
    let odd = simd.mul_add_f32x8(minus_four, d[1], d[3]);
    let even_step = simd.sub_f32x8(d[4], d[2]);
    let odd_step = simd.sub_f32x8(d[3], d[1]);
    let first = simd.mul_add_f32x8(minus_five, d[2], d[4]);
    let last = simd.mul_add_f32x8(minus_five, d[3], d[5]);
    [
        simd.mul_add_f32x8(four, d[0], first),
        simd.add_f32x8(even, odd),
        simd.sub_f32x8(even, odd),
        simd.mul_add_f32x8(two, odd_step, even_step),
        simd.mul_add_f32x8(minus_two, odd_step, even_step),
        simd.mul_add_f32x8(four, d[1], last),
    ]
}

/// Bᵀ d B for the inputs d of a patch: rows of `pixels`, `stride` apart, of eight channels each. The products it will
/// take part in are `step` apart in `to`.
#[inline(always)]
fn transform_inputs(simd: V3, pixels: &[Eight], stride: usize, to: &mut [Eight], step: usize) {
    let zero = simd.splat_f32x8(0.0);
    let mut rows = [[zero; IN]; IN];
    for x in 0..IN {
        let mut column = [zero; IN];
        for y in 0..IN {
            column[y] = pixels[y * stride + x].load();
        }
        let column = of_inputs(simd, column);
        for y in 0..IN {
            rows[y][x] = column[y];
        }
    }
    for y in 0..IN {
        let row = of_inputs(simd, rows[y]);
        for x in 0..IN {
            to[(y * IN + x) * step].store(row[x]);
        }
    }
}

/// Transforms the sums of a `row` of patches into outputs, of one `half` of a `group` of channels.
#[inline(always)]
fn write_half(patches: &mut Patches<'_, Floats>, row: usize, group: usize, half: usize) {
    let simd = patches.convolution.simd;
    let Shape {
        outputs, rectified, ..
    } = patches.convolution.shape;
    let channel = group * OUTPUTS + half * LANES;
    if channel >= outputs {
        return;
    }
    let across = patches.piece.columns.len();
    let width = across * OUT;
    let bias = patches.convolution.biases[group].0[half].load();
    let least = simd.splat_f32x8(if rectified { 0.0 } else { f32::NEG_INFINITY });
    let Scratch {
        sums,
        sum_step,
        rows_out,
        ..
    } = &mut *patches.scratch;
    let zero = simd.splat_f32x8(0.0);
    for patch in 0..across {
        let from = &sums[row * across + patch..];
        let mut products = [[zero; IN]; IN];
        for (y, row) in products.iter_mut().enumerate() {
            for (x, to) in row.iter_mut().enumerate() {
                *to = from[(y * IN + x) * *sum_step].0[half].load();
            }
        }
        let pixels = transform::to_outputs(simd, &products);
        for (y, pixels) in pixels.iter().enumerate() {
            for (x, pixel) in pixels.iter().enumerate() {
                // In this order NaN passes, so that an output that is not finite shows.
                let value = simd.max_f32x8(least, simd.add_f32x8(*pixel, bias));
                rows_out[y * width + patch * OUT + x].store(value);
            }
        }
    }
    let (rows, columns) = patches.output_size;
    let top = (patches.piece.rows.start + row) * OUT;
    let left = patches.piece.columns.start * OUT;
    let count = width.min(columns - left);
    for (y, from) in (top..rows).zip(rows_out.chunks_exact(width).take(OUT)) {
        let mut number = channel;
        let mut targets = [(); LANES].map(|()| {
            let at = patches.first + (number * rows + y) * columns + left;
            let used = if number < outputs { count } else { 0 };
            number += 1;
            // SAFETY: rows of different channels are apart, and no other thread computes these patches.
            unsafe { patches.output.row(at, used) }
        });
        let used = LANES.min(outputs - channel);
        scatter(simd, &from[..count], &mut targets[..used]);
    }
}
