//! What the arithmetic on vectors is made of.

use pulp::Simd;

use super::feature_map::{BLOCK, Pixel};

/// Does a step with a count from 1 to 14 as a constant: sums stay in registers only if the compiler knows
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

/// Where a vector of channels is.
#[derive(Clone, Copy)]
pub struct Place {
    /// Block of channels.
    pub block: usize,
    /// Vector of the block.
    pub part: usize,
}

/// The places of vectors one after the other.
#[inline(always)]
pub fn places<S: Simd, const VECTORS: usize>(first: usize) -> [Place; VECTORS] {
    let mut places = [Place { block: 0, part: 0 }; VECTORS];
    let parts = BLOCK / S::F32_LANES;
    for (index, place) in places.iter_mut().enumerate() {
        *place = Place {
            block: (first + index) / parts,
            part: (first + index) % parts,
        };
    }
    places
}

/// A vector of a pixel.
#[inline(always)]
pub fn load<S: Simd>(pixel: &Pixel, part: usize) -> S::f32s {
    let (vectors, _) = S::as_simd_f32s(&pixel[..]);
    // The mask says to the compiler that there are so many.
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

    /// Which of them there are is decided by features of a dependency, too; without them
    /// learning takes six times as long, and nothing else tells.
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
