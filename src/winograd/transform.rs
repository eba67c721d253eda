//! The transformations of F(4 x 4, 3 x 3): of kernels, of 6 x 6 inputs, and back to 4 x 4 outputs.
//!
//! Interpolation is at 0, 1, -1, 2, -2 and infinity, as in section 4.2 of Lavin and Gray; a factor of 1/2 or so that
//! the paper puts elsewhere makes no difference to the result.

use pulp::f32x8;
use pulp::x86::V3;

use super::product::Sixteen;
use super::vectors::Eight;

/// Inputs of a patch along one side, and the number of products there.
pub const IN: usize = 6;
/// Outputs of a patch along one side.
pub const OUT: usize = 4;
/// Weights of a kernel along one side.
pub const KERNEL: usize = 3;
/// Products of a patch.
pub const PRODUCTS: usize = IN * IN;

/// The matrix G.
const OF_KERNEL: [[f64; KERNEL]; IN] = [
    [1.0 / 4.0, 0.0, 0.0],
    [-1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0],
    [-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0],
    [1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0],
    [1.0 / 24.0, -1.0 / 12.0, 1.0 / 6.0],
    [0.0, 0.0, 1.0],
];

/// G g Gᵀ for the kernel g, computed in 64 bits: its rounding would be in every output.
pub fn of_kernel(kernel: &[f32; KERNEL * KERNEL]) -> [f32; PRODUCTS] {
    let mut rows = [[0.0; KERNEL]; IN];
    for (row, factors) in rows.iter_mut().zip(&OF_KERNEL) {
        for (column, sum) in row.iter_mut().enumerate() {
            let from = kernel.iter().skip(column).step_by(KERNEL);
            *sum = from.zip(factors).map(|(x, f)| f64::from(*x) * f).sum();
        }
    }
    let mut all = [0.0; PRODUCTS];
    for (to, row) in all.chunks_exact_mut(IN).zip(&rows) {
        for (to, factors) in to.iter_mut().zip(&OF_KERNEL) {
            *to = row.iter().zip(factors).map(|(x, f)| x * f).sum::<f64>() as f32;
        }
    }
    all
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

/// Aᵀ m for one column m of sums of products, of eight channels.
#[inline(always)]
fn to_outputs(simd: V3, m: [f32x8; IN]) -> [f32x8; OUT] {
    let (two, four) = (simd.splat_f32x8(2.0), simd.splat_f32x8(4.0));
    let eight = simd.splat_f32x8(8.0);
    let near_sum = simd.add_f32x8(m[1], m[2]);
    let near_step = simd.sub_f32x8(m[1], m[2]);
    let far_sum = simd.add_f32x8(m[3], m[4]);
    let far_step = simd.sub_f32x8(m[3], m[4]);
    let last = simd.mul_add_f32x8(eight, far_step, near_step);
    [
        simd.add_f32x8(simd.add_f32x8(m[0], near_sum), far_sum),
        simd.mul_add_f32x8(two, far_step, near_step),
        simd.mul_add_f32x8(four, far_sum, near_sum),
        simd.add_f32x8(last, m[5]),
    ]
}

/// Bᵀ d B for the inputs d of a patch: rows of `pixels`, `stride` apart, of eight channels each. The products it will
/// take part in are `step` apart in `to`.
#[inline(always)]
pub fn inputs(simd: V3, pixels: &[Eight], stride: usize, to: &mut [Eight], step: usize) {
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

/// Aᵀ m A for the sums of products m of a patch, `step` apart in `sums`, of one `half` of their channels, plus `bias`
/// and at least `least`: rows of pixels, `stride` apart.
#[inline(always)]
pub fn outputs(
    simd: V3,
    (sums, step, half): (&[Sixteen], usize, usize),
    [bias, least]: [f32x8; 2],
    (to, stride): (&mut [Eight], usize),
) {
    let zero = simd.splat_f32x8(0.0);
    let mut rows = [[zero; IN]; OUT];
    for x in 0..IN {
        let mut column = [zero; IN];
        for y in 0..IN {
            column[y] = sums[(y * IN + x) * step][half].load();
        }
        let column = to_outputs(simd, column);
        for y in 0..OUT {
            rows[y][x] = column[y];
        }
    }
    for y in 0..OUT {
        let row = to_outputs(simd, rows[y]);
        for x in 0..OUT {
            // In this order NaN passes, so that an output that is not finite shows.
            let value = simd.max_f32x8(least, simd.add_f32x8(row[x], bias));
            to[y * stride + x].store(value);
        }
    }
}
