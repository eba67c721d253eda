//! Rows of the network's output, and the functions that turn scores into probabilities.

/// A part of one row, in all channels of a \[channels\]\[height\]\[width\] tensor.
#[derive(Clone, Copy)]
pub(super) struct ScoreRow<'a> {
    tensor: &'a [f32],
    /// Offset from one channel to the next.
    plane: usize,
    start: usize,
    length: usize,
}

impl<'a> ScoreRow<'a> {
    /// The `length` pixels from index `start` of each plane of `plane` pixels.
    pub fn new(tensor: &'a [f32], plane: usize, start: usize, length: usize) -> Self {
        ScoreRow {
            tensor,
            plane,
            start,
            length,
        }
    }

    /// The pixels of one channel.
    pub fn of(&self, channel: usize) -> &'a [f32] {
        let start = channel * self.plane + self.start;
        &self.tensor[start..start + self.length]
    }
}

/// e to the power of `x`, with a relative error below 2e-7; 0 below -87, where `f32` underflows.
///
/// Unlike the standard library's, it vectorizes.
pub(super) fn exp(x: f32) -> f32 {
    // x = n ln 2 + r with |r| <= ln 2 / 2. Adding 1.5 * 2^23 rounds to an integer, which is then in the lowest bits;
    // ln 2 is split so that n times its first part is exact.
    const ROUND: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let clamped = x.clamp(-87.0, 88.0);
    let rounded = clamped * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = (clamped - n * LN_2_HIGH) - n * LN_2_LOW;
    // Taylor series up to r^7 / 7!; the next term is below 6e-9.
    let series = 1.0 / 720.0 + r * (1.0 / 5040.0);
    let series = 1.0 / 24.0 + r * (1.0 / 120.0 + r * series);
    let series = 1.0 + r * (1.0 + r * (0.5 + r * (1.0 / 6.0 + r * series)));
    // The bits of 2^n: n moved into the exponent, biased by 127.
    let power = f32::from_bits((rounded.to_bits() << 23).wrapping_add(127 << 23));
    if x < -87.0 { 0.0 } else { series * power }
}

/// The logistic function 1 / (1 + e^-x).
pub(super) fn logistic(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_the_exponential() {
        for step in -8_700..8_800 {
            let x = step as f32 / 100.0;
            let exact = f64::from(x).exp();
            let error = (f64::from(exp(x)) / exact - 1.0).abs();
            assert!(error < 2e-7, "exp({x}) is {error:e} off");
        }
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert!(exp(f32::INFINITY).is_finite());
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn logistic_ends_at_0_and_1() {
        assert_eq!(logistic(0.0), 0.5);
        assert_eq!(logistic(f32::INFINITY), 1.0);
        assert!(logistic(f32::NEG_INFINITY) < 1e-37);
    }
}
