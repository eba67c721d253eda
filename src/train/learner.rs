//! A network and what changes it.

use burn::module::ParamGroup;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::store::RecordError;
use burn::tensor::{Bytes, Device, Tensor, TensorData};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::augment::Tile;
use super::cpu::optimizer::{EPSILON, Optimizer, Rule};
use super::cpu::{Answers, Dropout, Engine, Pictures};
use super::loss::weighted_cross_entropy;
use super::muon::OfConvolutions;
use super::network::Network;
use super::weights;
use crate::onnx::export::Parameters;
use crate::unet::UNet;

/// The network and what changes it.
pub struct Learner {
    unet: UNet,
    teaching: Teaching,
    place: Place,
}

/// How a network is taught.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Teaching {
    /// Share of values that are dropped at the end of the contracting path, in `0..1`.
    pub dropout: f64,
    /// How gradients change weights.
    pub rule: Rule,
}

/// Where it is computed.
enum Place {
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
    Form,
    /// burn can't read them.
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl Learner {
    /// Begins with `values`.
    pub fn new(unet: UNet, values: Vec<Parameters>, teaching: Teaching, device: &Device) -> Self {
        let place = match *device == Device::flex() {
            true => Place::Cpu {
                engine: Box::new(Engine::new(unet)),
                optimizer: Optimizer::new(teaching.rule, &unet.layers(), &values),
                values,
            },
            false => {
                let device = device.clone().autodiff();
                let network = Network::new(unet, &values, teaching.dropout, &device);
                Place::Device {
                    network: Box::new(network),
                    optimizer: optimizer(teaching.rule, &unet),
                    device,
                }
            }
        };
        Learner {
            unet,
            teaching,
            place,
        }
    }

    /// One step of the optimizer; the loss before it. `seed` decides what is dropped.
    pub fn step(&mut self, tiles: &[Tile], learning_rate: f64, seed: u64) -> f32 {
        let shown = Shown::of(tiles);
        match &mut self.place {
            Place::Cpu {
                engine,
                values,
                optimizer,
            } => {
                let dropout = Dropout {
                    share: self.teaching.dropout,
                    rng: StdRng::seed_from_u64(seed),
                };
                let (pictures, answers) = (shown.pictures(), shown.answers());
                let (loss, gradients) = engine.learn(values, pictures, answers, dropout);
                optimizer.step(learning_rate, values, &gradients);
                loss
            }
            Place::Device {
                network,
                optimizer,
                device,
            } => {
                device.clone().inner().seed(seed);
                let (images, targets) = shown.tensors(&self.unet, device);
                let loss = weighted_cross_entropy(network.forward(images), targets);
                let value = loss.clone().into_scalar();
                let gradients = GradientsParams::from_grads(loss.backward(), &**network);
                **network = optimizer.step(learning_rate, (**network).clone(), gradients);
                value
            }
        }
    }

    /// Weights and biases as they are now.
    pub fn values(&self) -> Vec<Parameters> {
        match &self.place {
            Place::Cpu { values, .. } => values.clone(),
            Place::Device { network, .. } => network.values(),
        }
    }

    /// What the optimizer remembers, as it is kept in files.
    pub fn memory(&self) -> Result<Vec<u8>, RecordError> {
        Ok(match &self.place {
            Place::Cpu { optimizer, .. } => optimizer.bytes(),
            Place::Device { optimizer, .. } => optimizer.into_bytes()?.to_vec(),
        })
    }

    /// The learner that had these values, as [`weights::bytes`] writes them, and this [memory](Self::memory).
    pub fn restored(self, values: &[u8], memory: &[u8]) -> Result<Self, RestoreError> {
        let values = weights::from_bytes(&self.unet, values).ok_or(RestoreError::Form)?;
        let place = match self.place {
            Place::Cpu {
                engine,
                mut optimizer,
                ..
            } => {
                optimizer.remember(memory).map_err(|_| RestoreError::Form)?;
                Place::Cpu {
                    engine,
                    values,
                    optimizer,
                }
            }
            Place::Device {
                network,
                optimizer,
                device,
            } => Place::Device {
                network: Box::new(network.with(&values)),
                optimizer: optimizer.from_bytes(Bytes::from_bytes_vec(memory.to_vec()))?,
                device,
            },
        };
        Ok(Learner { place, ..self })
    }
}

/// burn's optimizer of a rule, for networks of shape `unet`.
fn optimizer(rule: Rule, unet: &UNet) -> ModuleOptimizer {
    let adamw = |decay| {
        let adamw = AdamWConfig::new().with_weight_decay(decay);
        adamw.with_epsilon(EPSILON).init()
    };
    match rule {
        Rule::Muon { decay } => {
            let inner = 1..unet.layers().len() - 1;
            let weights = inner.map(|layer| format!("layers.{layer}.weight"));
            let group = ParamGroup::from_paths(weights.collect::<Vec<_>>());
            adamw(decay).with_group(group, OfConvolutions::new(decay), None)
        }
        Rule::Adamw { decay } => adamw(decay),
        // The last change counts in full, as in the paper; burn would take a tenth off what is new.
        Rule::Sgd { momentum, decay } => SgdConfig::new()
            .with_momentum(Some(
                MomentumConfig::new()
                    .with_momentum(momentum.into())
                    .with_dampening(0.0),
            ))
            .with_weight_decay(Some(WeightDecayConfig::new(decay)))
            .init(),
    }
}

/// Tiles one after the other.
struct Shown {
    /// Tiles.
    count: usize,
    /// \[tiles, channels, input, input\]
    numbers: Vec<f32>,
    /// \[tiles, output, output\]
    classes: Vec<u8>,
    /// As many.
    weights: Vec<f32>,
    input: usize,
    output: usize,
}

impl Shown {
    fn of(tiles: &[Tile]) -> Self {
        let planes = tiles.iter().flat_map(|tile| &tile.image);
        let classes = tiles.iter().flat_map(|tile| &tile.classes.data);
        let weights = tiles.iter().flat_map(|tile| &tile.weights.data);
        let side = |side: fn(&Tile) -> usize| tiles.first().map(side).unwrap_or_default();
        Shown {
            count: tiles.len(),
            numbers: planes.flat_map(|plane| &plane.data).copied().collect(),
            classes: classes.copied().collect(),
            weights: weights.copied().collect(),
            input: side(|tile| tile.image[0].height),
            output: side(|tile| tile.classes.height),
        }
    }

    fn pictures(&self) -> Pictures<'_> {
        Pictures {
            numbers: &self.numbers,
            batch: self.count,
            size: (self.input, self.input),
        }
    }

    fn answers(&self) -> Answers<'_> {
        Answers {
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

    #[test]
    fn every_rule_changes_a_network_alike_on_a_cpu_and_on_a_device() {
        for rule in [
            Rule::Muon { decay: 0.1 },
            Rule::Adamw { decay: 0.1 },
            Rule::Sgd {
                momentum: 0.9,
                decay: 0.1,
            },
        ] {
            let rng = &mut StdRng::seed_from_u64(8);
            let start = initial(&UNET, rng);
            let teaching = Teaching { dropout: 0.0, rule };
            let mut cpu = Learner::new(UNET, start.clone(), teaching, &Device::flex());
            let device = Device::flex().autodiff();
            let place = Place::Device {
                network: Box::new(Network::new(UNET, &start, 0.0, &device)),
                optimizer: optimizer(rule, &UNET),
                device,
            };
            let mut burn = Learner {
                unet: UNET,
                teaching,
                place,
            };
            for seed in 0..3 {
                let tiles = [tile(rng)];
                let [loss, expected] = [&mut cpu, &mut burn].map(|it| it.step(&tiles, 0.02, seed));
                assert!(
                    (loss - expected).abs() < 1e-3,
                    "{rule:?}: {loss} {expected}"
                );
            }
            for (layer, (found, expected)) in cpu.values().iter().zip(burn.values()).enumerate() {
                let pairs = found.weight.iter().zip(&expected.weight);
                let pairs = pairs.chain(found.bias.iter().zip(&expected.bias));
                for (found, expected) in pairs {
                    let text = format!("{rule:?}, layer {layer}: {found} for {expected}");
                    assert!((found - expected).abs() < 5e-3, "{text}");
                }
            }
        }
    }
}
