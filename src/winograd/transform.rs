//! The transformations of F(4 x 4, 3 x 3): of kernels, of 6 x 6 inputs, and back to 4 x 4 outputs.
//!
//! Interpolation is at 0, 1, -1, 2, -2 and infinity, as in section 4.2 of Lavin and Gray; a factor of 1/2 or so that
//! the paper puts elsewhere makes no difference to the result.

use pulp::f32x8;
use pulp::x86::V3;

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
pub fn of_kernel(kernel: &[f64; KERNEL * KERNEL]) -> [f64; PRODUCTS] {
    let mut rows = [[0.0; KERNEL]; IN];
    for (row, factors) in rows.iter_mut().zip(&OF_KERNEL) {
        for (column, sum) in row.iter_mut().enumerate() {
            let from = kernel.iter().skip(column).step_by(KERNEL);
            *sum = from.zip(factors).map(|(x, f)| x * f).sum();
        }
    }
    let mut all = [0.0; PRODUCTS];
    for (to, row) in all.chunks_exact_mut(IN).zip(&rows) {
        for (to, factors) in to.iter_mut().zip(&OF_KERNEL) {
            *to = row.iter().zip(factors).map(|(x, f)| x * f).sum();
        }
    }
    all
}

/// Aᵀ m for one column m of sums of products, of eight channels.
#[inline(always)]
fn to_four(simd: V3, m: [f32x8; IN]) -> [f32x8; OUT] {
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

/// Aᵀ m A for the sums of products m of a patch.
#[inline(always)]
pub fn to_outputs(simd: V3, sums: &[[f32x8; IN]; IN]) -> [[f32x8; OUT]; OUT] {
    let zero = simd.splat_f32x8(0.0);
    let mut rows = [[zero; IN]; OUT];
    for x in 0..IN {
        let mut column = [zero; IN];
        for y in 0..IN {
            column[y] = sums[y][x];
        }
        let column = to_four(simd, column);
        for y in 0..OUT {
            rows[y][x] = column[y];
        }
    }
    let mut outputs = [[zero; OUT]; OUT];
    for y in 0..OUT {
        outputs[y] = to_four(simd, rows[y]);
    }
    outputs
}
