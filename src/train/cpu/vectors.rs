//! Helpers for arithmetic on SIMD vectors.

use pulp::Simd;

use super::feature_map::{BLOCK, Pixel};

/// Runs a step with a count from 1 to 14 as a constant: sums stay in registers only if the compiler knows
/// how many there are.
macro_rules! each_count {
    ($count:expr, $constant:ident => $step:block) => {
        each_count!($count, $constant => $step, 1 2 3 4 5 6 7 8 9 10 11 12 13 14)
    };
    ($count:expr, $constant:ident => $step:block, $($number:literal)*) => {
        match $count {
            $($number => {
                const $constant: usize = $number;
                $step
            })*
            other => unreachable!("{other} pixels together"),
        }
    };
}
pub(super) use each_count;

/// The position of a vector of channels.
#[derive(Clone, Copy)]
pub struct VectorIndex {
    /// The block of channels.
    pub block: usize,
    /// The vector within the block.
    pub part: usize,
}

/// The positions of consecutive vectors, from number `first` on.
#[inline(always)]
pub fn vector_indices<S: Simd, const VECTORS: usize>(first: usize) -> [VectorIndex; VECTORS] {
    let mut indices = [VectorIndex { block: 0, part: 0 }; VECTORS];
    let parts = BLOCK / S::F32_LANES;
    for (offset, index) in indices.iter_mut().enumerate() {
        *index = VectorIndex {
            block: (first + offset) / parts,
            part: (first + offset) % parts,
        };
    }
    indices
}

/// Reads a vector of a pixel.
#[inline(always)]
pub fn load<S: Simd>(pixel: &Pixel, part: usize) -> S::f32s {
    let (vectors, _) = S::as_simd_f32s(&pixel[..]);
    // The mask saves the check of the bounds.
    vectors[part & (BLOCK / S::F32_LANES - 1)]
}

/// Writes a vector of a pixel.
#[inline(always)]
pub fn store<S: Simd>(pixel: &mut Pixel, part: usize, vector: S::f32s) {
    let (vectors, _) = S::as_mut_simd_f32s(&mut pixel[..]);
    vectors[part & (BLOCK / S::F32_LANES - 1)] = vector;
}

#[cfg(test)]
mod tests {
    use pulp::{Arch, WithSimd};

    use super::*;

    struct Lanes;

    impl WithSimd for Lanes {
        type Output = usize;

        fn with_simd<S: Simd>(self, _: S) -> usize {
            S::F32_LANES
        }
    }

    /// They also depend on features of a dependency. Without them training takes six times as long, and nothing else
    /// would show it.
    #[cfg(target_arch = "x86_64")]
    #[test]
    fn the_widest_vectors_of_the_processor_are_used() {
        let expected = match () {
            () if is_x86_feature_detected!("avx512f") => 16,
            () if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") => 8,
            () => return eprintln!("Skipped: this processor has no wide vectors."),
        };
        assert_eq!(Arch::new().dispatch(Lanes), expected);
    }
}
