//! What both blocks are made of.

use pulp::Simd;

/// Repeats a step for each channel of a block, written out: the sums stay in registers only if the
/// compiler sees every index as a number.
macro_rules! each_of_block {
    ($index:ident => $step:block) => {
        each_of_block!($index => $step, 0 1 2 3 4 5 6 7)
    };
    ($index:ident => $step:block, $($number:literal)*) => {
        $({
            const $index: usize = $number;
            $step
        })*
    };
}

/// Loads a vector from the start of a slice that is at least so long.
#[inline(always)]
pub(super) fn load<S: Simd>(from: &[f32]) -> S::f32s {
    S::as_simd_f32s(&from[..S::F32_LANES]).0[0]
}
