//! The loss of the paper: pixel-wise softmax with weighted cross-entropy.

use burn::tensor::Tensor;
use burn::tensor::activation::log_softmax;

/// Weighted cross-entropy E = - sum_x w(x) log p_l(x)(x) (equation 1 of the paper) divided by the
/// number of pixels.
///
/// The paper uses the plain sum. Divided by the pixels, the loss, and with it a good learning rate, does
/// not depend on the size of a tile or a batch. It is not divided by the sum of the weights: a tile full
/// of narrow gaps would then count no more than one without.
///
/// # Shapes
/// `scores` and `targets`: \[batch, classes, height, width\]. `targets` holds w(x) in the channel of
/// the true class l(x) and 0 in the others. The result holds one number.
pub fn weighted_cross_entropy(scores: Tensor<4>, targets: Tensor<4>) -> Tensor<1> {
    let [batch, _, height, width] = scores.dims();
    let pixels = (batch * height * width) as f64;
    // log_softmax subtracts the largest score first, so that large scores don't overflow.
    (log_softmax(scores, 1) * targets).sum().neg() / pixels
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn equals_the_formula_computed_by_hand() {
        let device = Device::flex();
        // Two classes, a row of two pixels: the first of class 0 and weight 3, the second of class 1
        // and weight 1.
        let scores = Tensor::from_data([[[[2.0, -1.0]], [[0.5, 1.0]]]], &device);
        let targets = Tensor::from_data([[[[3.0, 0.0]], [[0.0, 1.0]]]], &device);
        let first = (2.0_f32.exp() / (2.0_f32.exp() + 0.5_f32.exp())).ln();
        let second = (1.0_f32.exp() / (1.0_f32.exp() + (-1.0_f32).exp())).ln();
        let expected = -(3.0 * first + second) / 2.0;
        let loss: f32 = weighted_cross_entropy(scores, targets).into_scalar();
        assert!((loss - expected).abs() < 1e-6, "{loss} {expected}");
    }

    #[test]
    fn large_scores_do_not_overflow() {
        let device = Device::flex();
        let scores = Tensor::from_data([[[[1e4]], [[-1e4]]]], &device);
        let targets = Tensor::from_data([[[[0.0]], [[1.0]]]], &device);
        let loss: f32 = weighted_cross_entropy(scores, targets).into_scalar();
        assert_eq!(loss, 2e4);
    }
}
