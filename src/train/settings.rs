//! What a training run is told.

use std::path::PathBuf;
use std::time::Duration;

use super::augment::Augmentation;
use super::config::Config;
use super::cpu::optimizer::Rule;
use super::dataset::{Holdout, Source};
use super::device::DeviceKind;
use super::learner::Teaching;
use super::prepare::Weighting;
use super::schedule::Budget;
use crate::unet::UNet;

/// Everything that decides how a run goes.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Images and masks, and what they mean.
    pub source: Source,
    /// Which of them are held back for validation.
    pub holdout: Holdout,
    /// The `.onnx` file to write.
    pub output: PathBuf,
    /// The model whose weights the network begins with; none for random ones.
    pub start_from: Option<PathBuf>,
    /// What the network is computed on.
    pub device: DeviceKind,
    /// Shape of the network.
    pub unet: UNet,
    /// Share of values that training drops at the end of the contracting path.
    pub dropout: f64,
    /// Side of the tiles that the network learns from, as it sees them, in pixels; enlarged to the next
    /// legal size.
    pub tile: usize,
    /// Tiles a step.
    pub batch: usize,
    /// What changes the weights.
    pub optimizer: OptimizerKind,
    /// Largest learning rate.
    pub learning_rate: f64,
    /// Share of the last change that is repeated in each step of [`OptimizerKind::Sgd`].
    pub momentum: f64,
    /// Decay of the weights, in units of the learning rate.
    pub weight_decay: f32,
    /// How pixels weigh against each other.
    pub weighting: Weighting,
    /// Random variation of the tiles.
    pub augmentation: Augmentation,
    /// Validations without a better one after which a run ends; `None` to go on.
    pub patience: Option<usize>,
    /// Steps between two validations.
    pub validate_every: usize,
    /// Time between two checkpoints, besides those after each validation.
    pub checkpoint_every: Duration,
    /// Whether to go on with a run that was stopped.
    pub resume: bool,
    /// Begin anew where a run has been.
    pub overwrite: bool,
    /// When to stop.
    pub budget: Budget,
    /// Seed of every random choice.
    pub seed: u64,
    /// Words about the data, its licence and citation, for the model's contract.
    pub data: String,
    /// Name of the model.
    pub name: String,
    /// Size of a pixel in micrometres, where it is known.
    pub pixel_size: Option<f64>,
    /// The command line, for the model's contract.
    pub command: String,
    /// All of this as the options that say it.
    pub config: Config,
}

impl Settings {
    /// How the network is taught.
    pub fn teaching(&self) -> Teaching {
        Teaching {
            dropout: self.dropout,
            rule: match self.optimizer {
                OptimizerKind::Muon => Rule::Muon {
                    decay: self.weight_decay,
                },
                OptimizerKind::Adamw => Rule::Adamw {
                    decay: self.weight_decay,
                },
                OptimizerKind::Sgd => Rule::Sgd {
                    momentum: self.momentum as f32,
                    decay: self.weight_decay,
                },
            },
        }
    }
}

/// What changes the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum OptimizerKind {
    /// Steps that move all directions of a layer alike; AdamW for the first layer and the last
    Muon,
    /// Adam with decoupled weight decay
    Adamw,
    /// Stochastic gradient descent with momentum, as in the paper
    Sgd,
}

/// How background and foreground weigh against each other, w_c of the paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ClassWeights {
    /// 1 for every pixel.
    None,
    /// Inversely proportional to how frequent a class is.
    Balanced,
}
