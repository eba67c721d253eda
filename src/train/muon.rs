//! Muon (Jordan 2024, <https://kellerjordan.github.io/posts/muon/>): momentum whose singular values are all brought
//! to about 1, so that a step moves all directions of a layer equally, instead of favouring those in which gradients
//! are largest.
//!
//! Steps are scaled to the mean length of AdamW's (Liu et al. 2025, arXiv:2502.16982), so that one learning rate suits
//! both.

use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdjustLrFn, Muon, MuonConfig, MuonState, Optimizer};
use burn::tensor::{Device, Tensor, TensorData};

/// Momentum coefficient.
pub const MOMENTUM: f32 = 0.95;
/// Coefficients of the Newton-Schulz iteration x (a + b x² + c x⁴), which brings singular values to about 1.
const COEFFICIENTS: [f32; 3] = [3.4445, -4.775, 2.0315];
/// Newton-Schulz iterations.
const ITERATIONS: usize = 5;
/// Prevents division by zero.
const EPSILON: f32 = 1e-7;

/// Orthogonalises a matrix of `rows` rows, stored row by row: brings all its singular values between about 0.7 and 1.2.
pub fn orthogonalized(mut matrix: Vec<f32>, rows: usize) -> Vec<f32> {
    let squares: f64 = matrix.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
    let norm = (squares.sqrt() as f32).max(EPSILON);
    matrix.iter_mut().for_each(|x| *x /= norm);
    let shape = [rows, matrix.len() / rows];
    let mut x = Tensor::<2>::from_data(TensorData::new(matrix, shape), &Device::flex());
    let [a, b, c] = COEFFICIENTS;
    for _ in 0..ITERATIONS {
        let squared = x.clone().matmul(x.clone().transpose());
        let factor = squared.clone().mul_scalar(b) + squared.clone().matmul(squared).mul_scalar(c);
        x = x.clone().mul_scalar(a) + factor.matmul(x);
    }
    let numbers = x.into_data().try_into_vec();
    numbers.expect("matrices are of single precision")
}

/// The factor of the learning rate for a step along an [orthogonalised](orthogonalized) matrix of this shape.
pub fn step_scale(rows: usize, columns: usize) -> f32 {
    0.2 * (rows.max(columns) as f32).sqrt()
}

/// burn's Muon for the weights of convolutions, taken as matrices whose rows are their first dimension.
#[derive(Clone)]
pub struct ConvolutionMuon(Muon);

impl ConvolutionMuon {
    /// Muon with this weight decay, in units of the learning rate.
    pub fn new(decay: f32) -> Self {
        let momentum = MomentumConfig::new()
            .with_momentum(MOMENTUM.into())
            .with_dampening(0.0)
            .with_nesterov(true);
        let muon = MuonConfig::new()
            .with_momentum(momentum)
            .with_weight_decay(Some(WeightDecayConfig::new(decay)))
            .with_adjust_lr_fn(AdjustLrFn::MatchRmsAdamW);
        ConvolutionMuon(muon.build())
    }
}

impl Optimizer for ConvolutionMuon {
    type State<const D: usize> = MuonState<2>;

    fn step<const D: usize>(
        &self,
        rate: f64,
        weights: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<MuonState<2>>,
    ) -> (Tensor<D>, Option<MuonState<2>>) {
        let shape = weights.dims();
        let rows = shape[0];
        let columns = shape.iter().skip(1).product();
        let matrix = |tensor: Tensor<D>| tensor.reshape([rows, columns]);
        let (weights, state) = self.0.step(rate, matrix(weights), matrix(gradient), state);
        (weights.reshape(shape), state)
    }

    fn to_device<const D: usize>(state: MuonState<2>, device: &Device) -> MuonState<2> {
        Muon::to_device(state, device)
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    #[test]
    fn rows_become_orthogonal_and_of_length_one() {
        let rng = &mut StdRng::seed_from_u64(5);
        let (rows, columns) = (8, 40);
        // Some directions are thirty times as large as others.
        let scale = |at: usize| if at < 20 * columns / 8 { 30.0 } else { 1.0 };
        let matrix = (0..rows * columns).map(|at| scale(at) * rng.random_range(-1.0..1.0));
        let result = orthogonalized(matrix.collect(), rows);
        let product = |a: usize, b: usize| -> f32 {
            let row = |at: usize| &result[at * columns..][..columns];
            row(a).iter().zip(row(b)).map(|(a, b)| a * b).sum()
        };
        for a in 0..rows {
            for b in 0..rows {
                let expected = if a == b { 0.4..1.6 } else { -0.4..0.4 };
                assert!(
                    expected.contains(&product(a, b)),
                    "{a} {b} {}",
                    product(a, b)
                );
            }
        }
    }

    #[test]
    fn a_zero_matrix_stays_zero() {
        assert_eq!(orthogonalized(vec![0.0; 6], 2), [0.0; 6]);
    }
}
