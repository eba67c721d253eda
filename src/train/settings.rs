//! The settings of a training run.

use std::path::PathBuf;
use std::time::Duration;

use super::augment::Augmentation;
use super::config::Config;
use super::cpu::optimizer::UpdateRule;
use super::dataset::{Holdout, Source};
use super::device::DeviceKind;
use super::learner::LearnerSettings;
use super::memory::Step;
use super::prepare::Weighting;
use super::schedule::Budget;
use crate::unet::UNet;

/// Everything that decides the course of a run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Images and masks, and what they mean.
    pub source: Source,
    /// The images held back for validation.
    pub holdout: Holdout,
    /// The `.onnx` file to write.
    pub output: PathBuf,
    /// The model whose weights the network starts with; none for random ones.
    pub start_from: Option<PathBuf>,
    /// The device that the network is computed on.
    pub device: DeviceKind,
    /// Shape of the network.
    pub unet: UNet,
    /// Share of values that training drops at the end of the contracting path.
    pub dropout: f64,
    /// Side of the tiles that the network learns from, as it sees them, in pixels; enlarged to the next
    /// legal size.
    pub tile: usize,
    /// Tiles per step.
    pub batch: usize,
    /// The optimizer.
    pub optimizer: OptimizerKind,
    /// Largest learning rate.
    pub learning_rate: f64,
    /// Momentum of [`OptimizerKind::Sgd`].
    pub momentum: f64,
    /// Decay of the weights, in units of the learning rate.
    pub weight_decay: f32,
    /// How pixels weigh against each other.
    pub weighting: Weighting,
    /// Random variation of the tiles.
    pub augmentation: Augmentation,
    /// Number of validations without a better one after which a run ends; `None` for any number.
    pub patience: Option<usize>,
    /// Steps between two validations.
    pub validate_every: usize,
    /// Time between two checkpoints, besides those after each validation.
    pub checkpoint_every: Duration,
    /// Whether to resume a run that was stopped.
    pub resume: bool,
    /// Whether to replace an earlier run.
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
    /// All of this as options.
    pub config: Config,
}

impl Settings {
    /// What decides how much memory a step takes.
    pub fn step(&self) -> Step {
        Step {
            unet: self.unet,
            tile: self.tile,
            batch: self.batch,
        }
    }

    /// The settings of the learner.
    pub fn learner(&self) -> LearnerSettings {
        LearnerSettings {
            dropout: self.dropout,
            rule: match self.optimizer {
                OptimizerKind::Muon => UpdateRule::Muon {
                    decay: self.weight_decay,
                },
                OptimizerKind::Adamw => UpdateRule::Adamw {
                    decay: self.weight_decay,
                },
                OptimizerKind::Sgd => UpdateRule::Sgd {
                    momentum: self.momentum as f32,
                    decay: self.weight_decay,
                },
            },
        }
    }
}

/// The optimizer.
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
