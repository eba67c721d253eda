//! Products of matrices: of the transformed inputs and kernels, for one of the 36 products of each patch.

use pulp::x86::V3;

use super::vectors::{Eight, LANES};

/// Output channels that are computed together: two vectors.
pub const OUTPUTS: usize = 2 * LANES;

/// Sums of a patch, or weights of an input channel, for so many output channels.
pub type Sixteen = [Eight; 2];

/// Patches whose sums are computed together: with two vectors for each, as many as there are registers.
const MOST: usize = 6;

/// Sums over all input channels: for each patch the products of its `inputs`, `channels` vectors each, with the
/// `weights`, one row of output channels for each input channel.
#[inline(always)]
pub fn multiply(
    simd: V3,
    (inputs, channels): (&[Eight], usize),
    weights: &[Sixteen],
    sums: &mut [Sixteen],
) {
    let patches = inputs.chunks_exact(channels * MOST);
    let (rest, groups) = (patches.remainder(), patches.len());
    let (whole, last) = sums.split_at_mut(groups * MOST);
    for (inputs, sums) in patches.zip(whole.chunks_exact_mut(MOST)) {
        multiply_some::<MOST>(simd, (inputs, channels), weights, sums);
    }
    let rest = (rest, channels);
    match last.len() {
        1 => multiply_some::<1>(simd, rest, weights, last),
        2 => multiply_some::<2>(simd, rest, weights, last),
        3 => multiply_some::<3>(simd, rest, weights, last),
        4 => multiply_some::<4>(simd, rest, weights, last),
        5 => multiply_some::<5>(simd, rest, weights, last),
        _ => (),
    }
}

/// As [`multiply`] for `COUNT` patches, whose sums stay in registers.
#[inline(always)]
fn multiply_some<const COUNT: usize>(
    simd: V3,
    (inputs, channels): (&[Eight], usize),
    weights: &[Sixteen],
    sums: &mut [Sixteen],
) {
    let mut registers = [[simd.splat_f32x8(0.0); 2]; COUNT];
    let (weights, _) = weights.as_chunks::<LANES>();
    let mut rows = [inputs; COUNT];
    for (patch, row) in rows.iter_mut().enumerate() {
        *row = &inputs[patch * channels..][..channels];
    }
    for (block, weights) in weights.iter().enumerate().take(channels) {
        for (lane, [first, second]) in weights.iter().enumerate() {
            let (first, second) = (first.load(), second.load());
            for patch in 0..COUNT {
                let input = simd.splat_f32x8(rows[patch][block].0[lane]);
                let [low, high] = registers[patch];
                registers[patch] = [
                    simd.mul_add_f32x8(input, first, low),
                    simd.mul_add_f32x8(input, second, high),
                ];
            }
        }
    }
    for (sums, registers) in sums.iter_mut().zip(registers) {
        sums[0].store(registers[0]);
        sums[1].store(registers[1]);
    }
}
