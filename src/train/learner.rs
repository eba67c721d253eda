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
use super::loss::weighted_cross_entropy;
use super::network::{Network, Weights, initial_weights};
use super::settings::{OptimizerKind, Settings};
use crate::unet::UNet;

/// The network and what changes it.
pub struct Learner {
    network: Network,
    optimizer: ModuleOptimizer,
    device: Device,
}

impl Learner {
    /// Begins with `weights`.
    pub fn new(settings: &Settings, weights: &Weights, device: &Device) -> Self {
        let device = device.clone().autodiff();
        Learner {
            network: Network::new(settings.unet, weights, settings.dropout, &device),
            optimizer: optimizer(settings),
            device,
        }
    }

    /// One step of the optimizer; the loss before it. `seed` decides what is dropped.
    pub fn step(&mut self, tiles: &[Tile], learning_rate: f64, seed: u64) -> f32 {
        self.device().seed(seed);
        let (images, targets) = tensors(tiles, self.network.unet().classes, &self.device);
        let loss = weighted_cross_entropy(self.network.forward(images), targets);
        let value = loss.clone().into_scalar();
        let gradients = GradientsParams::from_grads(loss.backward(), &self.network);
        self.network = self
            .optimizer
            .step(learning_rate, self.network.clone(), gradients);
        value
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

fn optimizer(settings: &Settings) -> ModuleOptimizer {
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

/// The images \[batch, channels, input, input\] and, with the weight of each pixel in the channel of its
/// class, the targets \[batch, classes, output, output\] of tiles.
fn tensors(tiles: &[Tile], classes: usize, device: &Device) -> (Tensor<4>, Tensor<4>) {
    let side = |plane: fn(&Tile) -> usize| tiles.first().map(plane).unwrap_or_default();
    let (input, output) = (side(|t| t.image[0].height), side(|t| t.classes.height));
    let channels = side(|t| t.image.len());
    let planes = tiles.iter().flat_map(|t| &t.image);
    let images = planes.flat_map(|plane| &plane.data).copied().collect();
    let mut targets = Vec::with_capacity(tiles.len() * classes * output * output);
    for tile in tiles {
        for class in 0..classes {
            let of_class = |(found, weight): (&u8, &f32)| match usize::from(*found) == class {
                true => *weight,
                false => 0.0,
            };
            targets.extend(
                tile.classes
                    .data
                    .iter()
                    .zip(&tile.weights.data)
                    .map(of_class),
            );
        }
    }
    let tensor = |data: Vec<f32>, shape| Tensor::from_data(TensorData::new(data, shape), device);
    (
        tensor(images, [tiles.len(), channels, input, input]),
        tensor(targets, [tiles.len(), classes, output, output]),
    )
}
