//! Products of matrices: of the transformed inputs and kernels, for one of the 36 products of each patch.

use pulp::x86::V3;

use super::vectors::{LANES, Vector};

/// Output channels that are computed together: two vectors.
pub const OUTPUTS: usize = 2 * LANES;

/// Sums of a patch, or weights of a number of its inputs, for so many output channels.
pub type Sixteen<V> = [V; 2];

/// Patches whose sums are computed together: with two vectors for each, as many as there are registers.
const MOST: usize = 6;

/// Sums over all input channels: for each patch the products of its `inputs`, so many `vectors` each, with the
/// `weights`, one row of output channels for each number of an input.
#[inline(always)]
pub fn multiply<V: Vector>(
    simd: V3,
    (inputs, vectors): (&[V], usize),
    weights: &[Sixteen<V>],
    sums: &mut [Sixteen<V>],
) {
    let patches = inputs.chunks_exact(vectors * MOST);
    let (rest, groups) = (patches.remainder(), patches.len());
    let (whole, last) = sums.split_at_mut(groups * MOST);
    for (inputs, sums) in patches.zip(whole.chunks_exact_mut(MOST)) {
        multiply_some::<V, MOST>(simd, (inputs, vectors), weights, sums);
    }
    let rest = (rest, vectors);
    match last.len() {
        1 => multiply_some::<V, 1>(simd, rest, weights, last),
        2 => multiply_some::<V, 2>(simd, rest, weights, last),
        3 => multiply_some::<V, 3>(simd, rest, weights, last),
        4 => multiply_some::<V, 4>(simd, rest, weights, last),
        5 => multiply_some::<V, 5>(simd, rest, weights, last),
        _ => (),
    }
}

/// As [`multiply`] for `COUNT` patches, whose sums stay in registers.
#[inline(always)]
fn multiply_some<V: Vector, const COUNT: usize>(
    simd: V3,
    (inputs, vectors): (&[V], usize),
    weights: &[Sixteen<V>],
    sums: &mut [Sixteen<V>],
) {
    let mut registers = [[V::ZERO.load(); 2]; COUNT];
    let (weights, _) = weights.as_chunks::<LANES>();
    let mut rows = [inputs; COUNT];
    for (patch, row) in rows.iter_mut().enumerate() {
        *row = &inputs[patch * vectors..][..vectors];
    }
    for (at, weights) in weights.iter().enumerate().take(vectors) {
        for (lane, [first, second]) in weights.iter().enumerate() {
            let (first, second) = (first.load(), second.load());
            for patch in 0..COUNT {
                let input = rows[patch][at].splat(simd, lane);
                let [low, high] = registers[patch];
                registers[patch] = [
                    V::multiply_add(simd, input, first, low),
                    V::multiply_add(simd, input, second, high),
                ];
            }
        }
    }
    for (sums, registers) in sums.iter_mut().zip(registers) {
        sums[0].store(registers[0]);
        sums[1].store(registers[1]);
    }
}
