//! A network and what changes it.

use burn::module::Module;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::{Device, Tensor, TensorData};

use super::augment::Tile;
use super::loss::weighted_cross_entropy;
use super::network::{Network, Weights};
use super::settings::{OptimizerKind, Settings};

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

    /// One step of the optimizer; the loss before it.
    pub fn step(&mut self, tiles: &[Tile], learning_rate: f64) -> f32 {
        let (images, targets) = tensors(tiles, self.network.unet().classes, &self.device);
        let loss = weighted_cross_entropy(self.network.forward(images), targets);
        let value = loss.clone().into_scalar();
        let gradients = GradientsParams::from_grads(loss.backward(), &self.network);
        self.network = self
            .optimizer
            .step(learning_rate, self.network.clone(), gradients);
        value
    }

    /// The network as it is used, and what it is on.
    pub fn judged(&self) -> (Network, Device) {
        (self.network.valid(), self.device.clone().inner())
    }
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
