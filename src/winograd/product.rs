//! Products of matrices: of the transformed inputs and kernels, for one of the 36 products of each patch.

use super::sums::{Sixteen, Sums};
use super::vectors::{LANES, Vector};

/// Output channels that are computed together: two vectors.
pub const OUTPUTS: usize = 2 * LANES;

/// Patches whose sums are computed together: as many as there are registers for with AVX2, and with AVX-512, where the
/// weights for a vector of inputs are kept in registers, too.
const SOME: usize = 6;
const MANY: usize = 12;

/// Sums over all input channels: for each patch the products of its `inputs`, \[vectors, patches\], with the `weights`,
/// one row of output channels for each number of an input.
#[inline(always)]
pub fn multiply<S: Copy, V: Vector + Sums<S>>(
    simd: S,
    inputs: &[V],
    weights: &[Sixteen<V>],
    sums: &mut [Sixteen<V>],
) {
    let mut first = 0;
    if <V as Sums<S>>::HAS_MANY {
        first = multiply_all::<S, V, MANY>(simd, inputs, weights, sums, first);
    }
    first = multiply_all::<S, V, SOME>(simd, inputs, weights, sums, first);
    const { assert!(SOME == 6, "fewer than this are left") };
    match sums.len() - first {
        1 => multiply_some::<S, V, 1>(simd, inputs, weights, sums, first),
        2 => multiply_some::<S, V, 2>(simd, inputs, weights, sums, first),
        3 => multiply_some::<S, V, 3>(simd, inputs, weights, sums, first),
        4 => multiply_some::<S, V, 4>(simd, inputs, weights, sums, first),
        5 => multiply_some::<S, V, 5>(simd, inputs, weights, sums, first),
        _ => (),
    }
}

/// As [`multiply`] from the patch number `first` on, `COUNT` patches at a time; returns the number of the first of those
/// that are left.
#[inline(always)]
fn multiply_all<S: Copy, V: Vector + Sums<S>, const COUNT: usize>(
    simd: S,
    inputs: &[V],
    weights: &[Sixteen<V>],
    sums: &mut [Sixteen<V>],
    mut first: usize,
) -> usize {
    while first + COUNT <= sums.len() {
        multiply_some::<S, V, COUNT>(simd, inputs, weights, sums, first);
        first += COUNT;
    }
    first
}

/// As [`multiply`] for `COUNT` patches from number `first` on, whose sums stay in registers.
#[inline(always)]
fn multiply_some<S: Copy, V: Vector + Sums<S>, const COUNT: usize>(
    simd: S,
    inputs: &[V],
    weights: &[Sixteen<V>],
    sums: &mut [Sixteen<V>],
    first: usize,
) {
    let mut registers = [V::load_sums(simd, &Sixteen::ZERO); COUNT];
    let (weights, _) = weights.as_chunks::<LANES>();
    for (inputs, weights) in inputs.chunks_exact(sums.len()).zip(weights) {
        let inputs = &inputs[first..][..COUNT];
        for (lane, weights) in weights.iter().enumerate() {
            let weights = V::load_sums(simd, weights);
            for (input, sums) in inputs.iter().zip(&mut registers) {
                *sums = input.multiply_add(simd, lane, weights, *sums);
            }
        }
    }
    for (sums, registers) in sums[first..].iter_mut().zip(registers) {
        V::store_sums(simd, registers, sums);
    }
}

#[cfg(test)]
mod tests {
    use pulp::NullaryFnOnce;
    use pulp::x86::V3;
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;
    use crate::winograd::vectors::{Eight, Pairs};
    use crate::winograd::wide::Wide;

    const VECTORS: usize = 2;

    struct Multiply<'a, S, V> {
        simd: S,
        inputs: &'a [V],
        weights: &'a [Sixteen<V>],
        sums: &'a mut [Sixteen<V>],
    }

    impl<S: Copy, V: Vector + Sums<S>> NullaryFnOnce for Multiply<'_, S, V> {
        type Output = ();

        #[inline(always)]
        fn call(self) {
            multiply(self.simd, self.inputs, self.weights, self.sums);
        }
    }

    /// Sums for so many patches, one output channel after the other, with either instructions.
    fn sums<V: Vector>(patches: usize, random: &mut impl FnMut() -> V) -> Option<[Vec<[V; 2]>; 2]> {
        let (narrow, wide) = (V3::try_new()?, Wide::try_new()?);
        let inputs: Vec<V> = (0..VECTORS * patches).map(|_| random()).collect();
        let weights = (0..VECTORS * LANES).map(|_| Sixteen([random(), random()]));
        let weights: Vec<_> = weights.collect();
        let mut sums = [(); 2].map(|()| vec![Sixteen([random(), random()]); patches]);
        let [one, other] = &mut sums;
        narrow.vectorize(Multiply {
            simd: narrow,
            inputs: &inputs,
            weights: &weights,
            sums: one,
        });
        wide.vectorize(Multiply {
            simd: wide,
            inputs: &inputs,
            weights: &weights,
            sums: other,
        });
        Some(sums.map(|sums| sums.into_iter().map(|sums| sums.0).collect()))
    }

    #[test]
    fn wider_vectors_change_no_sum() {
        let mut rng = StdRng::seed_from_u64(7);
        for patches in 1..=40 {
            let mut floats = || Eight([(); LANES].map(|()| rng.random_range(-1.0..1.0)));
            let Some([narrow, wide]) = sums(patches, &mut floats) else {
                return eprintln!("Skipped: this processor has no AVX-512 with VNNI.");
            };
            assert_eq!(narrow, wide, "{patches} patches");
            // Small enough for sums of 32 bits.
            let mut number = || i32::from(rng.random_range(-2048..2048_i16) as u16);
            let mut pairs = || Pairs([(); LANES].map(|()| (number() << 16) | (number() & 0xffff)));
            let [narrow, wide] = sums(patches, &mut pairs).unwrap();
            assert_eq!(narrow, wide, "{patches} patches");
        }
    }
}
