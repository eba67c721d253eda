//! A network and what changes it.

use burn::module::Module;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::store::{ModuleRecord, RecordError};
use burn::tensor::{Bytes, Device, Tensor, TensorData};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::augment::Tile;
use super::cpu::{Answers, Dropout, Engine, Pictures};
use super::loss::weighted_cross_entropy;
use super::network::{Network, Weights, initial_weights, slices};
use super::settings::{OptimizerKind, Settings};
use crate::unet::UNet;

/// The network and what changes it.
pub struct Learner {
    network: Network,
    optimizer: ModuleOptimizer,
    device: Device,
    /// Computes the gradients where the device is a CPU.
    engine: Option<Engine>,
    dropout: f64,
}

impl Learner {
    /// Teaches a network with dropout of a share of values, beginning with the weights it has, by an
    /// [`optimizer`].
    pub fn new(network: Network, dropout: f64, optimizer: ModuleOptimizer) -> Self {
        let device = network.device();
        Learner {
            engine: network.is_on_cpu().then(|| Engine::new(network.unet())),
            device: device.autodiff(),
            network,
            optimizer,
            dropout,
        }
    }

    /// One step of the optimizer; the loss before it. `seed` decides what is dropped.
    pub fn step(&mut self, tiles: &[Tile], learning_rate: f64, seed: u64) -> f32 {
        let (loss, gradients) = match self.engine.take() {
            Some(mut engine) => {
                let found = self.on_cpu(&mut engine, tiles, seed);
                self.engine = Some(engine);
                found
            }
            None => self.on_device(tiles, seed),
        };
        self.network = self
            .optimizer
            .step(learning_rate, self.network.clone(), gradients);
        loss
    }

    fn on_cpu(&self, engine: &mut Engine, tiles: &[Tile], seed: u64) -> (f32, GradientsParams) {
        let values = self.network.values();
        let shown = Shown::of(tiles);
        let dropout = Dropout {
            share: self.dropout,
            rng: StdRng::seed_from_u64(seed),
        };
        let pictures = Pictures {
            numbers: &shown.numbers,
            batch: tiles.len(),
            size: (shown.input, shown.input),
        };
        let answers = Answers {
            classes: &shown.classes,
            weights: &shown.weights,
        };
        let (loss, found) = engine.learn(&slices(&values), pictures, answers, dropout);
        let mut gradients = GradientsParams::new();
        let layers = self.network.unet().layers();
        let device = self.device();
        for ((layer, found), [weight, bias]) in
            layers.iter().zip(found).zip(self.network.parameter_ids())
        {
            let of_weight = TensorData::new(found.weight, layer.shape());
            gradients.register::<4>(weight, Tensor::from_data(of_weight, &device));
            let of_bias = TensorData::new(found.bias, [layer.outputs]);
            gradients.register::<1>(bias, Tensor::from_data(of_bias, &device));
        }
        (loss, gradients)
    }

    fn on_device(&self, tiles: &[Tile], seed: u64) -> (f32, GradientsParams) {
        self.device().seed(seed);
        let (images, targets) = tensors(tiles, self.network.unet(), &self.device);
        let loss = weighted_cross_entropy(self.network.forward(images), targets);
        let value = loss.clone().into_scalar();
        (
            value,
            GradientsParams::from_grads(loss.backward(), &self.network),
        )
    }

    /// Whether all weights are finite.
    pub fn is_finite(&self) -> bool {
        let weights = self.network.weights();
        let mut values = weights
            .values()
            .flat_map(|p| p.weight.iter().chain(&p.bias));
        values.all(|value| value.is_finite())
    }

    /// Network and optimizer as they are kept in files.
    pub fn records(&self) -> Result<[Bytes; 2], RecordError> {
        let network = self.network.clone().into_record().into_bytes()?;
        Ok([network, self.optimizer.into_bytes()?])
    }

    /// The network of a record.
    pub fn network_of(&self, record: Bytes) -> Result<Network, RecordError> {
        let record = ModuleRecord::from_bytes(record)?;
        self.network.clone().try_load_record(record)
    }

    /// The learner that had these [`records`](Self::records).
    pub fn restored(mut self, network: Bytes, optimizer: Bytes) -> Result<Self, RecordError> {
        self.network = self.network_of(network)?;
        self.optimizer = self.optimizer.from_bytes(optimizer)?;
        Ok(self)
    }

    /// The network as it learns.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// What a network is on that is used, not taught.
    pub fn device(&self) -> Device {
        self.device.clone().inner()
    }
}

/// The weights in the [record](Learner::records) of a network.
pub fn weights_of(unet: UNet, record: Bytes) -> Result<Weights, RecordError> {
    // All of them are replaced.
    let weights = initial_weights(&unet, &mut StdRng::seed_from_u64(0));
    let network = Network::new(unet, &weights, 0.0, &Device::flex());
    let record = ModuleRecord::from_bytes(record)?;
    Ok(network.try_load_record(record)?.weights())
}

/// What changes the weights of a network.
pub fn optimizer(settings: &Settings) -> ModuleOptimizer {
    match settings.optimizer {
        OptimizerKind::Adamw => AdamWConfig::new()
            .with_weight_decay(settings.weight_decay)
            .with_epsilon(1e-8)
            .init(),
        // The last change counts in full, as in the paper; burn would take a tenth off what is new.
        OptimizerKind::Sgd => SgdConfig::new()
            .with_momentum(Some(
                MomentumConfig::new()
                    .with_momentum(settings.momentum)
                    .with_dampening(0.0),
            ))
            .with_weight_decay(Some(WeightDecayConfig::new(settings.weight_decay)))
            .init(),
    }
}

/// Tiles one after the other.
struct Shown {
    /// \[batch, channels, input, input\]
    numbers: Vec<f32>,
    /// \[batch, output, output\]
    classes: Vec<u8>,
    /// As many.
    weights: Vec<f32>,
    input: usize,
    output: usize,
}

impl Shown {
    fn of(tiles: &[Tile]) -> Self {
        let planes = tiles.iter().flat_map(|tile| &tile.image);
        let side = |side: fn(&Tile) -> usize| tiles.first().map(side).unwrap_or_default();
        Shown {
            numbers: planes.flat_map(|plane| &plane.data).copied().collect(),
            classes: tiles
                .iter()
                .flat_map(|t| &t.classes.data)
                .copied()
                .collect(),
            weights: tiles
                .iter()
                .flat_map(|t| &t.weights.data)
                .copied()
                .collect(),
            input: side(|tile| tile.image[0].height),
            output: side(|tile| tile.classes.height),
        }
    }
}

/// The images \[batch, channels, input, input\] and, with the weight of each pixel in the channel of its
/// class, the targets \[batch, classes, output, output\] of tiles.
fn tensors(tiles: &[Tile], unet: UNet, device: &Device) -> (Tensor<4>, Tensor<4>) {
    let Shown {
        numbers,
        classes,
        weights,
        input,
        output,
    } = Shown::of(tiles);
    let plane = output * output;
    let mut targets = vec![0.0; tiles.len() * unet.classes * plane];
    for (at, (class, weight)) in classes.iter().zip(weights).enumerate() {
        let (tile, pixel) = (at / plane, at % plane);
        targets[(tile * unet.classes + usize::from(*class)) * plane + pixel] = weight;
    }
    let tensor = |data: Vec<f32>, shape| Tensor::from_data(TensorData::new(data, shape), device);
    (
        tensor(numbers, [tiles.len(), unet.channels, input, input]),
        tensor(targets, [tiles.len(), unet.classes, output, output]),
    )
}
