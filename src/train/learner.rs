//! A network in training, with its optimizer.

use burn::module::ParamGroup;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::store::RecordError;
use burn::tensor::{Bytes, Device, Tensor, TensorData};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::augment::Tile;
use super::cpu::optimizer::{EPSILON, Optimizer, UpdateRule};
use super::cpu::{Dropout, Engine, InputBatch, Targets};
use super::loss::weighted_cross_entropy;
use super::muon::ConvolutionMuon;
use super::network::Network;
use super::weights;
use crate::onnx::export::Parameters;
use crate::unet::UNet;

/// The network and its optimizer.
pub struct Learner {
    unet: UNet,
    settings: LearnerSettings,
    backend: Backend,
}

/// How a network learns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LearnerSettings {
    /// Share of values that are dropped at the end of the contracting path, in `0..1`.
    pub dropout: f64,
    /// How gradients change weights.
    pub rule: UpdateRule,
}

/// Where the network is computed.
enum Backend {
    /// On the CPU.
    Cpu {
        engine: Box<Engine>,
        values: Vec<Parameters>,
        optimizer: Optimizer,
    },
    /// On a device, by burn.
    Device {
        network: Box<Network>,
        optimizer: ModuleOptimizer,
        device: Device,
    },
}

/// Why a learner can't be restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The bytes are those of another network or optimizer.
    #[error("they are not those of this network")]
    Mismatch,
    /// burn can't read them.
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl Learner {
    /// A learner that starts with `values`.
    pub fn new(
        unet: UNet,
        values: Vec<Parameters>,
        settings: LearnerSettings,
        device: &Device,
    ) -> Self {
        if *device != Device::flex() {
            return Self::on_device(unet, &values, settings, device.clone().autodiff());
        }
        Learner {
            unet,
            settings,
            backend: Backend::Cpu {
                engine: Box::new(Engine::new(unet)),
                optimizer: Optimizer::new(settings.rule, &unet.layers(), &values),
                values,
            },
        }
    }

    fn on_device(
        unet: UNet,
        values: &[Parameters],
        settings: LearnerSettings,
        device: Device,
    ) -> Self {
        let network = Network::new(unet, values, settings.dropout, &device);
        Learner {
            unet,
            settings,
            backend: Backend::Device {
                network: Box::new(network),
                optimizer: optimizer(settings.rule, &unet),
                device,
            },
        }
    }

    /// Makes a step of the optimizer, and returns the loss before it. `seed` decides what is dropped.
    pub fn step(&mut self, tiles: &[Tile], learning_rate: f64, seed: u64) -> f32 {
        let batch = Batch::of(tiles);
        match &mut self.backend {
            Backend::Cpu {
                engine,
                values,
                optimizer,
            } => {
                let dropout = Dropout {
                    share: self.settings.dropout,
                    rng: StdRng::seed_from_u64(seed),
                };
                let (input, targets) = (batch.input(), batch.targets());
                let (loss, gradients) = engine.loss_and_gradients(values, input, targets, dropout);
                optimizer.step(learning_rate, values, &gradients);
                loss
            }
            Backend::Device {
                network,
                optimizer,
                device,
            } => {
                device.clone().inner().seed(seed);
                let (images, targets) = batch.tensors(&self.unet, device);
                let loss = weighted_cross_entropy(network.forward(images), targets);
                let value = loss.clone().into_scalar();
                let gradients = GradientsParams::from_grads(loss.backward(), &**network);
                **network = optimizer.step(learning_rate, (**network).clone(), gradients);
                value
            }
        }
    }

    /// The current weights and biases.
    pub fn values(&self) -> Vec<Parameters> {
        match &self.backend {
            Backend::Cpu { values, .. } => values.clone(),
            Backend::Device { network, .. } => network.values(),
        }
    }

    /// The state of the optimizer, as checkpoints hold it.
    pub fn optimizer_state(&self) -> Result<Vec<u8>, RecordError> {
        Ok(match &self.backend {
            Backend::Cpu { optimizer, .. } => optimizer.state_bytes(),
            Backend::Device { optimizer, .. } => optimizer.into_bytes()?.to_vec(),
        })
    }

    /// The learner that had these values, as [`weights::bytes`] writes them, and this
    /// [state](Self::optimizer_state) of the optimizer.
    pub fn restored(self, values: &[u8], state: &[u8]) -> Result<Self, RestoreError> {
        let values = weights::from_bytes(&self.unet, values).ok_or(RestoreError::Mismatch)?;
        let backend = match self.backend {
            Backend::Cpu {
                engine,
                mut optimizer,
                ..
            } => {
                optimizer
                    .restore_state(state)
                    .map_err(|_| RestoreError::Mismatch)?;
                Backend::Cpu {
                    engine,
                    values,
                    optimizer,
                }
            }
            Backend::Device {
                network,
                optimizer,
                device,
            } => Backend::Device {
                network: Box::new(network.with_values(&values, &device)),
                optimizer: optimizer.from_bytes(Bytes::from_bytes_vec(state.to_vec()))?,
                device,
            },
        };
        Ok(Learner { backend, ..self })
    }
}

/// burn's optimizer for a rule, for networks of shape `unet`.
fn optimizer(rule: UpdateRule, unet: &UNet) -> ModuleOptimizer {
    let adamw = |decay| {
        let adamw = AdamWConfig::new().with_weight_decay(decay);
        adamw.with_epsilon(EPSILON).init()
    };
    match rule {
        UpdateRule::Muon { decay } => {
            let inner = 1..unet.layers().len() - 1;
            let weights = inner.map(|layer| format!("layers.{layer}.weight"));
            let group = ParamGroup::from_paths(weights.collect::<Vec<_>>());
            adamw(decay).with_group(group, ConvolutionMuon::new(decay), None)
        }
        UpdateRule::Adamw { decay } => adamw(decay),
        // Without dampening, as in the paper; burn's default would scale new gradients by 0.9.
        UpdateRule::Sgd { momentum, decay } => SgdConfig::new()
            .with_momentum(Some(
                MomentumConfig::new()
                    .with_momentum(momentum.into())
                    .with_dampening(0.0),
            ))
            .with_weight_decay(Some(WeightDecayConfig::new(decay)))
            .init(),
    }
}

/// The tiles of a step, one after the other.
struct Batch {
    /// Number of tiles.
    count: usize,
    /// \[tiles, channels, input, input\]
    numbers: Vec<f32>,
    /// \[tiles, output, output\]
    classes: Vec<u8>,
    /// \[tiles, output, output\]
    weights: Vec<f32>,
    input: usize,
    output: usize,
}

impl Batch {
    fn of(tiles: &[Tile]) -> Self {
        let planes = tiles.iter().flat_map(|tile| &tile.image);
        let classes = tiles.iter().flat_map(|tile| &tile.classes.data);
        let weights = tiles.iter().flat_map(|tile| &tile.weights.data);
        let side = |side: fn(&Tile) -> usize| tiles.first().map(side).unwrap_or_default();
        Batch {
            count: tiles.len(),
            numbers: planes.flat_map(|plane| &plane.data).copied().collect(),
            classes: classes.copied().collect(),
            weights: weights.copied().collect(),
            input: side(|tile| tile.image[0].height),
            output: side(|tile| tile.classes.height),
        }
    }

    fn input(&self) -> InputBatch<'_> {
        InputBatch {
            numbers: &self.numbers,
            batch: self.count,
            size: (self.input, self.input),
        }
    }

    fn targets(&self) -> Targets<'_> {
        Targets {
            classes: &self.classes,
            weights: &self.weights,
        }
    }

    /// The images \[tiles, channels, input, input\] and, with the weight of each pixel in the channel of its
    /// class, the targets \[tiles, classes, output, output\].
    fn tensors(self, unet: &UNet, device: &Device) -> (Tensor<4>, Tensor<4>) {
        let (tiles, plane) = (self.count, self.output * self.output);
        let mut targets = vec![0.0; tiles * unet.classes * plane];
        for (at, (class, weight)) in self.classes.iter().zip(self.weights).enumerate() {
            let (tile, pixel) = (at / plane, at % plane);
            targets[(tile * unet.classes + usize::from(*class)) * plane + pixel] = weight;
        }
        let tensor =
            |data: Vec<f32>, shape| Tensor::from_data(TensorData::new(data, shape), device);
        (
            tensor(self.numbers, [tiles, unet.channels, self.input, self.input]),
            tensor(targets, [tiles, unet.classes, self.output, self.output]),
        )
    }
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;
    use crate::train::plane::Plane;
    use crate::train::weights::initial;

    const UNET: UNet = UNet {
        channels: 1,
        classes: 2,
        width: 4,
        depth: 2,
        padded: true,
    };

    fn tile(rng: &mut StdRng) -> Tile {
        const SIDE: usize = 16;
        let mut plane = |range: std::ops::Range<f32>| Plane {
            height: SIDE,
            width: SIDE,
            data: (0..SIDE * SIDE)
                .map(|_| rng.random_range(range.clone()))
                .collect(),
        };
        let (image, weights) = (plane(-1.0..1.0), plane(0.5..2.0));
        Tile {
            classes: Plane {
                height: SIDE,
                width: SIDE,
                data: image.data.iter().map(|x| u8::from(*x > 0.3)).collect(),
            },
            image: vec![image],
            weights,
        }
    }

    const RULES: [UpdateRule; 3] = [
        UpdateRule::Muon { decay: 0.1 },
        UpdateRule::Adamw { decay: 0.1 },
        UpdateRule::Sgd {
            momentum: 0.9,
            decay: 0.1,
        },
    ];

    /// A learner as it is on a graphics card.
    fn on_device(values: &[Parameters], settings: LearnerSettings) -> Learner {
        Learner::on_device(UNET, values, settings, Device::flex().autodiff())
    }

    fn assert_alike(
        rule: UpdateRule,
        found: &[Parameters],
        expected: &[Parameters],
        tolerance: f32,
    ) {
        for (layer, (found, expected)) in found.iter().zip(expected).enumerate() {
            let pairs = found.weight.iter().zip(&expected.weight);
            let pairs = pairs.chain(found.bias.iter().zip(&expected.bias));
            for (found, expected) in pairs {
                let text = format!("{rule:?}, layer {layer}: {found} for {expected}");
                assert!((found - expected).abs() < tolerance, "{text}");
            }
        }
    }

    #[test]
    fn every_rule_changes_a_network_alike_on_a_cpu_and_on_a_device() {
        for rule in RULES {
            let rng = &mut StdRng::seed_from_u64(8);
            let start = initial(&UNET, rng);
            let settings = LearnerSettings { dropout: 0.0, rule };
            let mut burn = on_device(&start, settings);
            let mut cpu = Learner::new(UNET, start, settings, &Device::flex());
            for seed in 0..3 {
                let tiles = [tile(rng)];
                let [loss, expected] = [&mut cpu, &mut burn].map(|it| it.step(&tiles, 0.02, seed));
                assert!(
                    (loss - expected).abs() < 1e-3,
                    "{rule:?}: {loss} {expected}"
                );
            }
            assert_alike(rule, &cpu.values(), &burn.values(), 5e-3);
        }
    }

    /// Each process draws ids of its own where none are given, and finds no state of another one by them.
    #[test]
    fn an_optimizer_on_a_device_goes_on_with_its_state() {
        for rule in RULES {
            let rng = &mut StdRng::seed_from_u64(8);
            let settings = LearnerSettings { dropout: 0.0, rule };
            let mut whole = on_device(&initial(&UNET, rng), settings);
            whole.step(&[tile(rng)], 0.02, 0);
            let values = weights::bytes(&whole.values());
            let state = whole.optimizer_state().unwrap();
            let other = on_device(&initial(&UNET, rng), settings);
            let mut resumed = other.restored(&values, &state).unwrap();
            let tiles = [tile(rng)];
            for learner in [&mut whole, &mut resumed] {
                learner.step(&tiles, 0.02, 1);
            }
            assert_alike(rule, &resumed.values(), &whole.values(), 1e-4);
        }
    }
}
