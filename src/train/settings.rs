//! What a training run is told.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::augment::Augmentation;
use super::dataset::{Holdout, Source};
use super::prepare::Weighting;
use super::schedule::Budget;
use super::weight_map::WeightMap;
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
    /// Shape of the network.
    pub unet: UNet,
    /// Share of values that training drops at the end of the contracting path.
    pub dropout: f64,
    /// Side of the tiles that the network learns from, as it sees them, in pixels; enlarged to the next
    /// legal size.
    pub tile: usize,
    /// Tiles a step.
    pub batch: usize,
    /// Largest learning rate.
    pub learning_rate: f64,
    /// Decay of the weights, in units of the learning rate.
    pub weight_decay: f32,
    /// How classes weigh against each other.
    pub class_weights: ClassWeights,
    /// w_0 of the weight map, see [`WeightMap`](super::weight_map::WeightMap).
    pub border: f32,
    /// sigma of the weight map, in pixels.
    pub sigma: f32,
    /// Random variation of the tiles.
    pub augmentation: Augmentation,
    /// Steps between two validations.
    pub validate_every: usize,
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
}

impl Settings {
    /// How pixels weigh against each other.
    pub fn weighting(&self) -> Weighting {
        Weighting {
            classes: self.unet.classes,
            class_weights: self.class_weights,
            weight_map: WeightMap {
                border: self.border,
                sigma: self.sigma,
            },
        }
    }
}

/// How background and foreground weigh against each other, w_c of the paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum ClassWeights {
    /// 1 for every pixel.
    None,
    /// Inversely proportional to how frequent a class is.
    Balanced,
}
