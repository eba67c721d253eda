//! Optimizers: the update rules of burn's, in one pass over the values and in place.

use std::io::{self, Read};

use pulp::Arch;
use rayon::prelude::*;

use crate::onnx::export::Parameters;
use crate::train::muon::{self, orthogonalized};
use crate::unet::Layer;

/// How a gradient changes a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum UpdateRule {
    /// [Muon](muon) for the weights of inner layers; [`UpdateRule::Adamw`] for the first and the last layer, which read
    /// pixels and write scores, and for biases.
    Muon {
        /// Weight decay, in units of the learning rate.
        decay: f32,
    },
    /// Adam with decoupled weight decay (Loshchilov and Hutter 2019).
    Adamw {
        /// Weight decay, in units of the learning rate.
        decay: f32,
    },
    /// Stochastic gradient descent, as in the paper.
    Sgd {
        /// Momentum coefficient.
        momentum: f32,
        /// Weight decay, in units of the learning rate.
        decay: f32,
    },
}

/// beta_1 and beta_2 of [`UpdateRule::Adamw`]: the decay of the running means of gradients and of their squares.
const BETAS: [f32; 2] = [0.9, 0.999];
/// Prevents division by zero in [`UpdateRule::Adamw`].
pub const EPSILON: f32 = 1e-8;

/// Updates the values of layers by their gradients.
#[derive(Clone, Debug)]
pub struct Optimizer {
    rule: UpdateRule,
    steps: u64,
    /// Rows of each layer's weights as a matrix for Muon; `None` if they are updated element by element.
    rows: Vec<Option<usize>>,
    /// The first and second moments of each layer's gradients; those that a rule does not need are empty.
    moments: Vec<[Parameters; 2]>,
}

impl Optimizer {
    /// An optimizer for `layers` with these values.
    pub fn new(rule: UpdateRule, layers: &[Layer], values: &[Parameters]) -> Self {
        let inner = 1..layers.len().saturating_sub(1);
        let rows = layers.iter().enumerate().map(|(at, layer)| {
            let uses_muon = matches!(rule, UpdateRule::Muon { .. }) && inner.contains(&at);
            uses_muon.then(|| layer.shape()[0])
        });
        let rows: Vec<_> = rows.collect();
        let zeros = |values: &[f32], needed: bool| vec![0.0; if needed { values.len() } else { 0 }];
        let squares = !matches!(rule, UpdateRule::Sgd { .. });
        let moments = |(values, rows): (&Parameters, &Option<usize>)| {
            [(true, true), (squares && rows.is_none(), squares)].map(|(weight, bias)| Parameters {
                weight: zeros(&values.weight, weight),
                bias: zeros(&values.bias, bias),
            })
        };
        Optimizer {
            rule,
            steps: 0,
            moments: values.iter().zip(&rows).map(moments).collect(),
            rows,
        }
    }

    /// Makes a step with this learning `rate`.
    pub fn step(&mut self, rate: f64, values: &mut [Parameters], gradients: &[Parameters]) {
        self.steps += 1;
        let update = Update {
            rule: self.rule,
            rate: rate as f32,
            steps: self.steps as f64,
        };
        let layers = values.par_iter_mut().zip(gradients).zip(&mut self.moments);
        let layers = layers.zip(&self.rows);
        layers.for_each(|(((values, gradients), [first, second]), rows)| {
            let (weight, gradient) = (&mut values.weight, &gradients.weight);
            match *rows {
                Some(rows) => update.matrix(weight, gradient, &mut first.weight, rows),
                None => update.elements(weight, gradient, [&mut first.weight, &mut second.weight]),
            }
            let moments = [&mut first.bias[..], &mut second.bias];
            update.elements(&mut values.bias, &gradients.bias, moments);
        });
    }

    /// Its state, for [`restore_state`](Self::restore_state): the number of steps and the moments.
    pub fn state_bytes(&self) -> Vec<u8> {
        let mut bytes = self.steps.to_le_bytes().to_vec();
        for moments in self.moments.iter().flatten() {
            for number in moments.weight.iter().chain(&moments.bias) {
                bytes.extend(number.to_le_bytes());
            }
        }
        bytes
    }

    /// Restores the state of another optimizer for the same layers and rule; fails if `bytes` don't match.
    pub fn restore_state(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let mut steps = [0; 8];
        bytes.read_exact(&mut steps)?;
        self.steps = u64::from_le_bytes(steps);
        for moments in self.moments.iter_mut().flatten() {
            for number in moments.weight.iter_mut().chain(&mut moments.bias) {
                let mut four = [0; 4];
                bytes.read_exact(&mut four)?;
                *number = f32::from_le_bytes(four);
            }
        }
        match bytes {
            [] => Ok(()),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

/// The update of one step.
#[derive(Clone, Copy)]
struct Update {
    rule: UpdateRule,
    rate: f32,
    steps: f64,
}

impl Update {
    /// Values of a layer that one task updates.
    const VALUES_PER_TASK: usize = 1 << 16;

    /// Updates the weights of a layer by Muon, as a matrix of so many `rows`.
    fn matrix(self, values: &mut [f32], gradients: &[f32], momentum: &mut [f32], rows: usize) {
        let numbers = momentum.iter_mut().zip(gradients);
        // The momentum after another such gradient (Nesterov).
        let ahead = numbers.map(|(momentum, gradient)| {
            *momentum = muon::MOMENTUM * *momentum + gradient;
            muon::MOMENTUM * *momentum + gradient
        });
        let direction = orthogonalized(ahead.collect(), rows);
        let scale = self.rate * muon::step_scale(rows, values.len() / rows);
        let kept = 1.0 - self.rate * self.decay();
        for (value, direction) in values.iter_mut().zip(direction) {
            *value = *value * kept - scale * direction;
        }
    }

    fn decay(self) -> f32 {
        match self.rule {
            UpdateRule::Muon { decay }
            | UpdateRule::Adamw { decay }
            | UpdateRule::Sgd { decay, .. } => decay,
        }
    }

    /// Updates values of a layer element by element, with their first and second moments.
    fn elements(self, values: &mut [f32], gradients: &[f32], [first, second]: [&mut [f32]; 2]) {
        let arch = Arch::new();
        let size = Self::VALUES_PER_TASK;
        let parts = values
            .par_chunks_mut(size)
            .zip(gradients.par_chunks(size))
            .zip(first.par_chunks_mut(size));
        match self.rule {
            UpdateRule::Muon { decay } | UpdateRule::Adamw { decay } => {
                let corrections =
                    BETAS.map(|beta| 1.0 / (1.0 - f64::from(beta).powf(self.steps)) as f32);
                let kept = 1.0 - self.rate * decay;
                let parts = parts.zip(second.par_chunks_mut(size));
                parts.for_each(|(((values, gradients), first), second)| {
                    arch.dispatch(|| {
                        let moments = first.iter_mut().zip(second);
                        for ((value, gradient), (first, second)) in
                            values.iter_mut().zip(gradients).zip(moments)
                        {
                            *first = BETAS[0] * *first + (1.0 - BETAS[0]) * gradient;
                            *second = BETAS[1] * *second + (1.0 - BETAS[1]) * gradient * gradient;
                            let deviation = (*second * corrections[1]).sqrt() + EPSILON;
                            let change = *first * corrections[0] / deviation;
                            *value = *value * kept - self.rate * change;
                        }
                    });
                });
            }
            UpdateRule::Sgd { momentum, decay } => {
                parts.for_each(|((values, gradients), velocity)| {
                    arch.dispatch(|| {
                        let numbers = values.iter_mut().zip(gradients).zip(velocity);
                        for ((value, gradient), velocity) in numbers {
                            *velocity = momentum * *velocity + gradient + decay * *value;
                            *value -= self.rate * *velocity;
                        }
                    });
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::module::Param;
    use burn::optim::decay::WeightDecayConfig;
    use burn::optim::momentum::MomentumConfig;
    use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer, Optimizer as _, SgdConfig};
    use burn::tensor::{Device, Tensor, TensorData};
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;
    use crate::train::muon::ConvolutionMuon;
    use crate::unet::LayerKind;

    /// Numbers after three steps by burn's optimizer.
    fn of_burn(
        mut optimizer: ModuleOptimizer,
        start: [f32; 3],
        gradients: [[f32; 3]; 3],
    ) -> Vec<f32> {
        let device = Device::flex().autodiff();
        let mut values = Param::from_tensor(Tensor::<1>::from_data(start, &device));
        for gradient in gradients {
            let mut all = GradientsParams::new();
            let gradient = Tensor::<1>::from_data(gradient, &device.clone().inner());
            all.register(values.id, gradient);
            values = optimizer.step(0.1, values, all);
        }
        values.val().into_data().try_into_vec().unwrap()
    }

    #[test]
    fn values_change_as_by_burns_optimizers() {
        let start = [1.0, -2.0, 0.5];
        let gradients = [[0.1, -3.0, 0.0], [0.2, 1.0, 1e-3], [-0.5, 0.1, 0.2]];
        let momentum = MomentumConfig::new().with_momentum(0.9).with_dampening(0.0);
        let sgd = SgdConfig::new()
            .with_momentum(Some(momentum))
            .with_weight_decay(Some(WeightDecayConfig::new(0.3)))
            .init();
        let adamw = AdamWConfig::new()
            .with_weight_decay(0.3)
            .with_epsilon(EPSILON)
            .init();
        for (rule, optimizer) in [
            (
                UpdateRule::Sgd {
                    momentum: 0.9,
                    decay: 0.3,
                },
                sgd,
            ),
            (UpdateRule::Adamw { decay: 0.3 }, adamw.clone()),
            // The last layer is no inner one.
            (UpdateRule::Muon { decay: 0.3 }, adamw),
        ] {
            let expected = of_burn(optimizer, start, gradients);
            let mut values = vec![Parameters {
                weight: start.to_vec(),
                bias: Vec::new(),
            }];
            let layers = [Layer {
                name: "last".into(),
                kind: LayerKind::Last,
                inputs: 3,
                outputs: 1,
            }];
            let mut optimizer = Optimizer::new(rule, &layers, &values);
            for gradient in gradients {
                // A restored optimizer continues in the same way.
                let bytes = optimizer.state_bytes();
                optimizer = Optimizer::new(rule, &layers, &values);
                optimizer.restore_state(&bytes).unwrap();
                assert!(optimizer.restore_state(&bytes[1..]).is_err());
                optimizer.restore_state(&bytes).unwrap();
                let gradient = Parameters {
                    weight: gradient.to_vec(),
                    bias: Vec::new(),
                };
                optimizer.step(0.1, &mut values, &[gradient]);
            }
            for (found, expected) in values[0].weight.iter().zip(&expected) {
                assert!(
                    (found - expected).abs() < 1e-5,
                    "{rule:?}: {found} for {expected}"
                );
            }
        }
    }

    /// An inner layer: a convolution of two channels to four.
    #[test]
    fn matrices_change_as_by_burns_muon() {
        const SHAPE: [usize; 4] = [4, 2, 3, 3];
        const RULE: UpdateRule = UpdateRule::Muon { decay: 0.3 };
        let rng = &mut StdRng::seed_from_u64(6);
        let mut random = || -> Vec<f32> {
            let count: usize = SHAPE.iter().product();
            (0..count).map(|_| rng.random_range(-1.0..1.0)).collect()
        };
        let start = random();
        // Similar, as those of a network are, so that momentum has an effect.
        let common = random();
        let gradients: Vec<Vec<f32>> = (0..3)
            .map(|_| common.iter().zip(random()).map(|(a, b)| a + b).collect())
            .collect();

        let device = Device::flex();
        let tensor = |numbers: &[f32]| {
            Tensor::<4>::from_data(TensorData::new(numbers.to_vec(), SHAPE), &device)
        };
        let burn = ConvolutionMuon::new(0.3);
        let (mut expected, mut state) = (tensor(&start), None);
        for gradient in &gradients {
            (expected, state) = burn.step(0.1, expected, tensor(gradient), state);
        }
        let expected: Vec<f32> = expected.into_data().try_into_vec().unwrap();

        let layer = |kind| Layer {
            name: "any".into(),
            kind,
            inputs: SHAPE[1],
            outputs: SHAPE[0],
        };
        let layers = [
            LayerKind::Convolution,
            LayerKind::Convolution,
            LayerKind::Last,
        ]
        .map(layer);
        let in_the_middle = |weight: &[f32]| {
            let parameters = |weight| Parameters {
                weight,
                bias: Vec::new(),
            };
            [Vec::new(), weight.to_vec(), Vec::new()].map(parameters)
        };
        let mut values = in_the_middle(&start);
        let mut optimizer = Optimizer::new(RULE, &layers, &values);
        for gradient in &gradients {
            // A restored optimizer continues in the same way.
            let bytes = optimizer.state_bytes();
            optimizer = Optimizer::new(RULE, &layers, &values);
            optimizer.restore_state(&bytes).unwrap();
            optimizer.step(0.1, &mut values, &in_the_middle(gradient));
        }
        for (found, expected) in values[1].weight.iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-5, "{found} for {expected}");
        }
    }
}
