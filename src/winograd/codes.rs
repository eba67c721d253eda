//! Convolutions of 8-bit codes: maps are \[rows, columns, channels\].
//!
//! Transformed inputs are exact in 16 bits. Transformed kernels are rounded to as many bits as are left for the sums not
//! to exceed 32: 10 or more where there are 256 input channels.

use pulp::x86::V3;
use pulp::{bytemuck, f32x8, i16x16};

use super::convolution::Convolution;
use super::patches::{Arithmetic, Patches};
use super::product::OUTPUTS;
use super::scratch::reserved;
use super::sums::Sixteen;
use super::transform::{self, IN, KERNEL, OUT, PRODUCTS};
use super::vectors::{Eight, LANES, Pairs, Vector};
use super::wide::Wide;
use super::{ConvolutionError, Shape, check};

/// Most input channels, as in the paper's network. With more, too few bits would be left for kernels.
pub const MOST_INPUTS: usize = 1024;

/// Input channels of a vector.
const CHANNELS: usize = 2 * LANES;

/// Largest code.
const MOST: u8 = 255;

/// The matrix Bᵀ, as [`of_inputs`] multiplies by it.
const OF_INPUTS: [[i32; IN]; IN] = [
    [4, 0, -5, 0, 1, 0],
    [0, -4, -4, 1, 1, 0],
    [0, 4, -4, -1, 1, 0],
    [0, -2, -1, 2, 1, 0],
    [0, 2, -1, -2, 1, 0],
    [0, 4, 0, -5, 0, 1],
];

/// What the codes of a map mean: a code less `zero`, times `step`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coding {
    /// The difference between the values of two codes: finite and above 0.
    pub step: f32,
    /// The code of the value 0.
    pub zero: u8,
}

/// The kernels of a convolution of codes.
#[derive(Clone, Copy, Debug)]
pub struct Kernels<'a> {
    /// Codes \[outputs, inputs, 3, 3\], of which 0 means 0.
    pub codes: &'a [i8],
    /// The difference between the values of two codes, for each output channel.
    pub steps: &'a [f32],
    /// Biases of the output channels.
    pub biases: &'a [f32],
}

/// 8-bit codes.
pub struct Codes {
    input_zero: u8,
    output_zero: u8,
    /// What sums are to be multiplied by: \[groups of output channels, products\] of sixteen output channels.
    scales: Vec<Sixteen<Eight>>,
}

impl Convolution<Codes> {
    /// Prepares `kernels` for maps that are coded as `input` and `output`. `None` if the processor does not support it.
    ///
    /// # Errors
    /// If the kernels don't have the right lengths, there are more than [`MOST_INPUTS`] input channels, or there is not
    /// enough memory: the transformed weights take about eight times that of the weights.
    pub fn new(
        shape: Shape,
        kernels: Kernels,
        [input, output]: [Coding; 2],
    ) -> Result<Option<Self>, ConvolutionError> {
        let Some(simd) = V3::try_new() else {
            return Ok(None);
        };
        check("the kernel", kernels.codes.len(), shape.weights())?;
        check("the steps", kernels.steps.len(), shape.outputs)?;
        check("the bias", kernels.biases.len(), shape.outputs)?;
        if shape.inputs > MOST_INPUTS {
            return Err(ConvolutionError::Many(shape.inputs));
        }
        let groups = shape.outputs.div_ceil(OUTPUTS);
        let pairs = shape.inputs.next_multiple_of(CHANNELS) / 2;
        let mut weights = reserved(groups * PRODUCTS * pairs, Sixteen::<Pairs>::ZERO)?;
        let mut scales = reserved(groups * PRODUCTS, Sixteen::<Eight>::ZERO)?;
        let mut biases = reserved(groups, Sixteen::<Eight>::ZERO)?;
        // Of one output channel: \[products, input channels\].
        let inputs = shape.inputs.max(1);
        let mut transformed = reserved(PRODUCTS * inputs, 0.0)?;
        let bounds: [f64; PRODUCTS] = std::array::from_fn(|product| largest(product, input.zero));
        let (all, _) = kernels.codes.as_chunks::<{ KERNEL * KERNEL }>();
        let all = all.chunks_exact(inputs).take(shape.outputs);
        for (channel, own) in all.enumerate() {
            let (group, vector) = (channel / OUTPUTS, channel % OUTPUTS / LANES);
            let lane = channel % LANES;
            for (number, kernel) in own.iter().enumerate() {
                let values = transform::of_kernel(&kernel.map(f64::from));
                for (product, value) in values.into_iter().enumerate() {
                    transformed[product * inputs + number] = value;
                }
            }
            biases[group].0[vector].0[lane] =
                kernels.biases[channel] / output.step + f32::from(output.zero);
            let step = f64::from(input.step) * f64::from(kernels.steps[channel]);
            let step = step / f64::from(output.step);
            let of_products = transformed.chunks_exact(inputs).zip(bounds);
            for (product, (values, largest)) in of_products.enumerate() {
                let factor = factor(values, largest);
                let at = group * PRODUCTS + product;
                scales[at].0[vector].0[lane] = (step / factor) as f32;
                for (number, value) in values.iter().enumerate() {
                    let weight = (value * factor).round() as i16;
                    let pair = &mut weights[at * pairs + number / 2].0[vector].0[lane];
                    *pair |= i32::from(weight as u16) << (number % 2 * 16);
                }
            }
        }
        Ok(Some(Convolution {
            simd,
            wide: Wide::try_new(),
            shape,
            arithmetic: Codes {
                input_zero: input.zero,
                output_zero: output.zero,
                scales,
            },
            weights,
            biases,
        }))
    }
}

/// The largest number that codes with this `zero` can become for a product.
fn largest(product: usize, zero: u8) -> f64 {
    let [rows, columns] = [product / IN, product % IN].map(|at| OF_INPUTS[at]);
    let factors = rows
        .iter()
        .flat_map(|row| columns.map(|column| row * column));
    let (mut positive, mut negative) = (0, 0);
    for factor in factors {
        positive += factor.max(0);
        negative -= factor.min(0);
    }
    let (least, most) = (i32::from(zero), i32::from(MOST - zero));
    let largest = (positive * most + negative * least).max(negative * most + positive * least);
    f64::from(largest)
}

/// What transformed kernels are multiplied by before they are rounded to 16 bits: as much as possible for sums of their
/// products with inputs up to `largest` to stay within 32 bits.
fn factor(values: &[f64], largest: f64) -> f64 {
    let most = values
        .iter()
        .fold(0.0, |most: f64, value| most.max(value.abs()));
    let sum: f64 = values.iter().map(|value| value.abs()).sum();
    // Rounding adds no more than a half to each.
    let room = f64::from(i32::MAX) / largest - values.len() as f64 / 2.0;
    let factor = (f64::from(i16::MAX) / most).min(room / sum);
    if factor.is_finite() { factor } else { 1.0 }
}

impl Arithmetic for Codes {
    type Value = u8;
    type Vector = Pairs;
    type Pixel = u8;

    const CHANNELS: usize = CHANNELS;

    fn pixels(across: usize, vectors: usize) -> [usize; 2] {
        let pixels = IN * (across * OUT + KERNEL - 1);
        [pixels * vectors * CHANNELS, 0]
    }

    #[inline(always)]
    fn read(patches: &mut Patches<'_, Self>, row: usize) {
        let simd = patches.convolution.simd;
        let vectors = patches.convolution.vectors();
        let (across, count) = (patches.piece.columns.len(), patches.count());
        let width = across * OUT + KERNEL - 1;
        copy_rows(patches, row, width);
        let zero = patches.convolution.arithmetic.input_zero;
        let step = patches.scratch.input_step;
        let (pixels, _) = patches.scratch.rows_in.as_chunks::<CHANNELS>();
        for patch in 0..across {
            for vector in 0..vectors {
                let from = &pixels[patch * OUT * vectors + vector..];
                let strides = [width * vectors, vectors];
                let at = vector * count + row * across + patch;
                let to = &mut patches.scratch.inputs[at..];
                transform_inputs(simd, (from, strides), zero, (to, step));
            }
        }
    }

    #[inline(always)]
    fn write(patches: &mut Patches<'_, Self>, row: usize, group: usize) {
        for patch in 0..patches.piece.columns.len() {
            for half in 0..OUTPUTS / LANES {
                if group * OUTPUTS + half * LANES < patches.convolution.shape.outputs {
                    write_patch(patches, [row, patch], group, half);
                }
            }
        }
    }
}

/// Copies the pixels of a `row` of patches, with so many channels that they fill vectors.
#[inline(always)]
fn copy_rows(patches: &mut Patches<'_, Codes>, row: usize, width: usize) {
    let Shape {
        inputs, padding, ..
    } = patches.convolution.shape;
    let zero = patches.convolution.arithmetic.input_zero;
    let channels = patches.convolution.vectors() * CHANNELS;
    let (rows, columns) = patches.size;
    let top = (patches.piece.rows.start + row) * OUT;
    let left = patches.piece.columns.start * OUT;
    let inside = patches.inside(left, width);
    let all = patches.scratch.rows_in.chunks_exact_mut(width * channels);
    for (y, to) in all.take(IN).enumerate() {
        let y = (top + y).checked_sub(padding).filter(|y| *y < rows);
        let Some(y) = y.filter(|_| !inside.is_empty()) else {
            to.fill(zero);
            continue;
        };
        to[..inside.start * channels].fill(zero);
        to[inside.end * channels..].fill(zero);
        let at = (y * columns + left + inside.start - padding) * inputs;
        let from = &patches.input[at..][..inside.len() * inputs];
        let to = &mut to[inside.start * channels..inside.end * channels];
        if inputs == channels {
            to.copy_from_slice(from);
            continue;
        }
        // The weights of the channels that are missing are 0.
        for (to, from) in to.chunks_exact_mut(channels).zip(from.chunks_exact(inputs)) {
            to[..inputs].copy_from_slice(from);
        }
    }
}

/// Bᵀ d for one column d of inputs, of sixteen channels. Sums on the way may wrap around: the results don't.
#[inline(always)]
fn of_inputs(simd: V3, d: [i16x16; IN]) -> [i16x16; IN] {
    let even = sub(simd, d[4], simd.shl_const_i16x16::<2>(d[2]));
    let odd = sub(simd, d[3], simd.shl_const_i16x16::<2>(d[1]));
    let even_step = sub(simd, d[4], d[2]);
    let odd_step = sub(simd, d[3], d[1]);
    let twice = simd.shl_const_i16x16::<1>(odd_step);
    let first = simd.shl_const_i16x16::<2>(sub(simd, d[0], d[2]));
    let last = simd.shl_const_i16x16::<2>(odd_step);
    [
        add(simd, first, even_step),
        add(simd, even, odd),
        sub(simd, even, odd),
        add(simd, even_step, twice),
        sub(simd, even_step, twice),
        sub(simd, sub(simd, d[5], d[3]), last),
    ]
}

#[inline(always)]
fn add(simd: V3, one: i16x16, other: i16x16) -> i16x16 {
    let (one, other) = (bytemuck::cast(one), bytemuck::cast(other));
    bytemuck::cast(simd.avx2._mm256_add_epi16(one, other))
}

#[inline(always)]
fn sub(simd: V3, one: i16x16, other: i16x16) -> i16x16 {
    let (one, other) = (bytemuck::cast(one), bytemuck::cast(other));
    bytemuck::cast(simd.avx2._mm256_sub_epi16(one, other))
}

/// Bᵀ d B for the inputs d of a patch, less `zero`: `pixels` of sixteen channels each, with `strides` from row to row and
/// from column to column. The products it will take part in are `step` apart in `to`.
#[inline(always)]
fn transform_inputs(
    simd: V3,
    (pixels, strides): (&[[u8; CHANNELS]], [usize; 2]),
    zero: u8,
    (to, step): (&mut [Pairs], usize),
) {
    let none = simd.splat_i16x16(0);
    let mut rows = [[none; IN]; IN];
    for x in 0..IN {
        let mut column = [none; IN];
        for y in 0..IN {
            let codes = pixels[y * strides[0] + x * strides[1]];
            column[y] = simd.convert_u8x16_to_i16x16(bytemuck::cast(codes));
        }
        let column = of_inputs(simd, column);
        for y in 0..IN {
            rows[y][x] = column[y];
        }
    }
    for y in 0..IN {
        let mut row = of_inputs(simd, rows[y]);
        if y == 1 {
            // In all others the zero takes no part: their factors add up to 0.
            row[1] = sub(simd, row[1], simd.splat_i16x16(36 * i16::from(zero)));
        }
        for x in 0..IN {
            to[(y * IN + x) * step].store(bytemuck::cast(row[x]));
        }
    }
}

/// Transforms the sums of a patch in a row, of one `half` of a `group` of channels, into codes.
#[inline(always)]
fn write_patch(
    patches: &mut Patches<'_, Codes>,
    [row, patch]: [usize; 2],
    group: usize,
    half: usize,
) {
    let simd = patches.convolution.simd;
    let Shape {
        outputs, rectified, ..
    } = patches.convolution.shape;
    let codes = &patches.convolution.arithmetic;
    let bias = patches.convolution.biases[group].0[half].load();
    let least = if rectified { codes.output_zero } else { 0 };
    let limits = [least, MOST].map(|code| simd.splat_f32x8(f32::from(code)));
    let step = patches.scratch.sum_step;
    let from = &patches.scratch.sums[row * patches.piece.columns.len() + patch..];
    let scales = &codes.scales[group * PRODUCTS..][..PRODUCTS];
    let mut products = [[simd.splat_f32x8(0.0); IN]; IN];
    for (y, row) in products.iter_mut().enumerate() {
        for (x, to) in row.iter_mut().enumerate() {
            let product = y * IN + x;
            let sum = simd.convert_i32x8_to_f32x8(from[product * step].0[half].load());
            *to = simd.mul_f32x8(sum, scales[product].0[half].load());
        }
    }
    let pixels = transform::to_outputs(simd, &products);
    let (rows, columns) = patches.output_size;
    let top = (patches.piece.rows.start + row) * OUT;
    let left = (patches.piece.columns.start + patch) * OUT;
    let channel = group * OUTPUTS + half * LANES;
    let used = LANES.min(outputs - channel);
    for (y, pixels) in (top..rows).zip(&pixels) {
        let coded = coded(simd, pixels, bias, limits);
        for (x, coded) in (left..columns).zip(&coded) {
            let at = patches.first + (y * columns + x) * outputs + channel;
            // SAFETY: pixels and channels are apart, and no other thread computes this patch.
            let to = unsafe { patches.output.row(at, used) };
            match <&mut [u8; LANES]>::try_from(&mut *to) {
                Ok(to) => *to = *coded,
                Err(_) => to.copy_from_slice(&coded[..used]),
            }
        }
    }
}

/// The codes of eight channels of each pixel, rounded to the nearest and limited.
#[inline(always)]
fn coded(
    simd: V3,
    pixels: &[f32x8; OUT],
    bias: f32x8,
    [least, most]: [f32x8; 2],
) -> [[u8; LANES]; OUT] {
    let mut rounded = [simd.splat_i32x8(0); OUT];
    for (to, pixel) in rounded.iter_mut().zip(pixels) {
        let value = simd.max_f32x8(simd.add_f32x8(*pixel, bias), least);
        let value = simd.min_f32x8(value, most);
        *to = bytemuck::cast(simd.avx._mm256_cvtps_epi32(bytemuck::cast(value)));
    }
    let [a, b, c, d] = rounded;
    let low = simd.pack_with_unsigned_saturation_i32x8(a, b);
    let high = simd.pack_with_unsigned_saturation_i32x8(c, d);
    let codes =
        simd.pack_with_unsigned_saturation_i16x16(bytemuck::cast(low), bytemuck::cast(high));
    // Each half of the vector has four channels of every pixel.
    let order = pulp::u32x8(0, 4, 1, 5, 2, 6, 3, 7);
    bytemuck::cast(
        simd.avx2
            ._mm256_permutevar8x32_epi32(bytemuck::cast(codes), bytemuck::cast(order)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is computed is what sums are bounded for.
    #[test]
    fn inputs_are_multiplied_by_the_matrix() {
        let Some(simd) = V3::try_new() else {
            return eprintln!("Skipped: this processor has no AVX2.");
        };
        for column in 0..IN {
            let unit = std::array::from_fn(|row| simd.splat_i16x16(i16::from(row == column)));
            let found = of_inputs(simd, unit).map(|row| i32::from(row.0));
            assert_eq!(found, OF_INPUTS.map(|row| row[column]));
        }
    }
}
