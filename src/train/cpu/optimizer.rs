//! What changes the weights: the rules of burn's optimizers, in one pass over the numbers and in place.

use std::io::{self, Read};

use pulp::Arch;
use rayon::prelude::*;

use crate::onnx::export::Parameters;
use crate::train::muon::{self, orthogonal};
use crate::unet::Layer;

/// How a gradient changes a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// [Muon](muon) for weights between the first layer and the last; [`Rule::Adamw`] for those two, which
    /// see pixels and make scores, and for biases.
    Muon {
        /// Decay of the weights, in units of the learning rate.
        decay: f32,
    },
    /// Adam with decoupled weight decay (Loshchilov and Hutter 2019).
    Adamw {
        /// Decay of the weights, in units of the learning rate.
        decay: f32,
    },
    /// Stochastic gradient descent, as in the paper.
    Sgd {
        /// Share of the last change that is repeated.
        momentum: f32,
        /// Decay of the weights, in units of the learning rate.
        decay: f32,
    },
}

/// Averages of gradients are kept to these shares from step to step by [`Rule::Adamw`]: of the gradients and
/// of their squares.
const KEPT: [f32; 2] = [0.9, 0.999];
/// Keeps [`Rule::Adamw`] from dividing by zero.
pub const EPSILON: f32 = 1e-8;

/// Changes the numbers of layers by their gradients.
#[derive(Clone, Debug)]
pub struct Optimizer {
    rule: Rule,
    steps: u64,
    /// Rows of each layer's weights as a matrix; `None` where they are changed number by number.
    rows: Vec<Option<usize>>,
    /// What is remembered of each layer's gradients: two numbers for each weight and bias, or one.
    memory: Vec<[Parameters; 2]>,
}

impl Optimizer {
    /// For `layers` with these values.
    pub fn new(rule: Rule, layers: &[Layer], values: &[Parameters]) -> Self {
        let inner = 1..layers.len().saturating_sub(1);
        let rows = layers.iter().enumerate().map(|(at, layer)| {
            let is_turned = matches!(rule, Rule::Muon { .. }) && inner.contains(&at);
            is_turned.then(|| layer.shape()[0])
        });
        let rows: Vec<_> = rows.collect();
        let none =
            |values: &[f32], is_kept: bool| vec![0.0; if is_kept { values.len() } else { 0 }];
        let squares = !matches!(rule, Rule::Sgd { .. });
        let memory = |(values, rows): (&Parameters, &Option<usize>)| {
            [(true, true), (squares && rows.is_none(), squares)].map(|(weight, bias)| Parameters {
                weight: none(&values.weight, weight),
                bias: none(&values.bias, bias),
            })
        };
        Optimizer {
            rule,
            steps: 0,
            memory: values.iter().zip(&rows).map(memory).collect(),
            rows,
        }
    }

    /// Makes a step.
    pub fn step(&mut self, rate: f64, values: &mut [Parameters], gradients: &[Parameters]) {
        self.steps += 1;
        let step = Step {
            rule: self.rule,
            rate: rate as f32,
            steps: self.steps as f64,
        };
        let layers = values.par_iter_mut().zip(gradients).zip(&mut self.memory);
        let layers = layers.zip(&self.rows);
        layers.for_each(|(((values, gradients), [first, second]), rows)| {
            let (weight, gradient) = (&mut values.weight, &gradients.weight);
            match *rows {
                Some(rows) => step.turn(weight, gradient, &mut first.weight, rows),
                None => step.change(weight, gradient, [&mut first.weight, &mut second.weight]),
            }
            let memory = [&mut first.bias[..], &mut second.bias];
            step.change(&mut values.bias, &gradients.bias, memory);
        });
    }

    /// What it remembers.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.steps.to_le_bytes().to_vec();
        for numbers in self.memory.iter().flatten() {
            for number in numbers.weight.iter().chain(&numbers.bias) {
                bytes.extend(number.to_le_bytes());
            }
        }
        bytes
    }

    /// Takes over what another one of the same form remembered; fails if it was none.
    pub fn remember(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let mut steps = [0; 8];
        bytes.read_exact(&mut steps)?;
        self.steps = u64::from_le_bytes(steps);
        for numbers in self.memory.iter_mut().flatten() {
            for number in numbers.weight.iter_mut().chain(&mut numbers.bias) {
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

/// One step.
#[derive(Clone, Copy)]
struct Step {
    rule: Rule,
    rate: f32,
    steps: f64,
}

impl Step {
    /// Numbers of a layer that one thread changes at a time.
    const TOGETHER: usize = 1 << 16;

    /// Changes the weights of a layer by Muon, as a matrix of so many rows.
    fn turn(self, values: &mut [f32], gradients: &[f32], momentum: &mut [f32], rows: usize) {
        let numbers = momentum.iter_mut().zip(gradients);
        // What the momentum will be after another such gradient (Nesterov).
        let ahead = numbers.map(|(momentum, gradient)| {
            *momentum = muon::MOMENTUM * *momentum + gradient;
            muon::MOMENTUM * *momentum + gradient
        });
        let turned = orthogonal(ahead.collect(), rows);
        let length = self.rate * muon::length(rows, values.len() / rows);
        let kept = 1.0 - self.rate * self.decay();
        for (value, turned) in values.iter_mut().zip(turned) {
            *value = *value * kept - length * turned;
        }
    }

    fn decay(self) -> f32 {
        match self.rule {
            Rule::Muon { decay } | Rule::Adamw { decay } | Rule::Sgd { decay, .. } => decay,
        }
    }

    fn change(self, values: &mut [f32], gradients: &[f32], [first, second]: [&mut [f32]; 2]) {
        let arch = Arch::new();
        let together = Self::TOGETHER;
        let parts = values
            .par_chunks_mut(together)
            .zip(gradients.par_chunks(together))
            .zip(first.par_chunks_mut(together));
        match self.rule {
            Rule::Muon { decay } | Rule::Adamw { decay } => {
                let corrections =
                    KEPT.map(|kept| 1.0 / (1.0 - f64::from(kept).powf(self.steps)) as f32);
                let kept = 1.0 - self.rate * decay;
                let parts = parts.zip(second.par_chunks_mut(together));
                parts.for_each(|(((values, gradients), first), second)| {
                    arch.dispatch(|| {
                        let memory = first.iter_mut().zip(second);
                        for ((value, gradient), (first, second)) in
                            values.iter_mut().zip(gradients).zip(memory)
                        {
                            *first = KEPT[0] * *first + (1.0 - KEPT[0]) * gradient;
                            *second = KEPT[1] * *second + (1.0 - KEPT[1]) * gradient * gradient;
                            let deviation = (*second * corrections[1]).sqrt() + EPSILON;
                            let change = *first * corrections[0] / deviation;
                            *value = *value * kept - self.rate * change;
                        }
                    });
                });
            }
            Rule::Sgd { momentum, decay } => parts.for_each(|((values, gradients), velocity)| {
                arch.dispatch(|| {
                    let numbers = values.iter_mut().zip(gradients).zip(velocity);
                    for ((value, gradient), velocity) in numbers {
                        *velocity = momentum * *velocity + gradient + decay * *value;
                        *value -= self.rate * *velocity;
                    }
                });
            }),
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
    use crate::train::muon::OfConvolutions;
    use crate::unet::Kind;

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
    fn numbers_change_as_by_burns_optimizers() {
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
                Rule::Sgd {
                    momentum: 0.9,
                    decay: 0.3,
                },
                sgd,
            ),
            (Rule::Adamw { decay: 0.3 }, adamw.clone()),
            // A layer that is the last one is no layer between.
            (Rule::Muon { decay: 0.3 }, adamw),
        ] {
            let expected = of_burn(optimizer, start, gradients);
            let mut values = vec![Parameters {
                weight: start.to_vec(),
                bias: Vec::new(),
            }];
            let layers = [Layer {
                name: "last".into(),
                kind: Kind::Last,
                inputs: 3,
                outputs: 1,
            }];
            let mut optimizer = Optimizer::new(rule, &layers, &values);
            for gradient in gradients {
                // What is written down and read back goes on alike.
                let bytes = optimizer.bytes();
                optimizer = Optimizer::new(rule, &layers, &values);
                optimizer.remember(&bytes).unwrap();
                assert!(optimizer.remember(&bytes[1..]).is_err());
                optimizer.remember(&bytes).unwrap();
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

    /// A convolution between the first layer and the last: of two channels to four.
    #[test]
    fn matrices_change_as_by_burns_muon() {
        const SHAPE: [usize; 4] = [4, 2, 3, 3];
        const RULE: Rule = Rule::Muon { decay: 0.3 };
        let rng = &mut StdRng::seed_from_u64(6);
        let mut random = || -> Vec<f32> {
            let count: usize = SHAPE.iter().product();
            (0..count).map(|_| rng.random_range(-1.0..1.0)).collect()
        };
        let start = random();
        // Much alike, as those of a network are, so that what is remembered of them counts.
        let common = random();
        let gradients: Vec<Vec<f32>> = (0..3)
            .map(|_| common.iter().zip(random()).map(|(a, b)| a + b).collect())
            .collect();

        let device = Device::flex();
        let tensor = |numbers: &[f32]| {
            Tensor::<4>::from_data(TensorData::new(numbers.to_vec(), SHAPE), &device)
        };
        let burn = OfConvolutions::new(0.3);
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
        let layers = [Kind::Convolution, Kind::Convolution, Kind::Last].map(layer);
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
            // What is written down and read back goes on alike.
            let bytes = optimizer.bytes();
            optimizer = Optimizer::new(RULE, &layers, &values);
            optimizer.remember(&bytes).unwrap();
            optimizer.step(0.1, &mut values, &in_the_middle(gradient));
        }
        for (found, expected) in values[1].weight.iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-5, "{found} for {expected}");
        }
    }
}
