//! The trained network as a file that carries its contract.

use std::collections::BTreeMap;

use super::metrics::Scores;
use super::network::Weights;
use super::settings::Settings;
use crate::contract::{Activation, Channels, Class, Contract, Normalization, Training, VERSION};
use crate::onnx::export::{ExportError, export};
use crate::picture::default_color;

/// What is known about a network when it is written.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Images learned from.
    pub images: usize,
    /// Steps taken.
    pub steps: usize,
    /// Scores on the images held back.
    pub scores: Scores,
}

/// The bytes of the `.onnx` file.
pub fn onnx(
    settings: &Settings,
    weights: &Weights,
    progress: &Progress,
) -> Result<Vec<u8>, ExportError> {
    export(&settings.unet, weights, &contract(settings, progress))
}

fn contract(settings: &Settings, progress: &Progress) -> Contract {
    let class = |(index, name): (usize, &str)| Class {
        name: name.into(),
        color: default_color(index),
    };
    Contract {
        version: VERSION,
        name: settings.name.clone(),
        channels: Channels::Gray,
        classes: ["background", "cell"]
            .into_iter()
            .enumerate()
            .map(class)
            .collect(),
        activation: Activation::Softmax,
        geometry: settings.unet.geometry(),
        normalization: Normalization::ZScore,
        threshold: 0.5,
        min_area: None,
        pixel_size: settings.pixel_size,
        training: Some(Training {
            data: settings.data.clone(),
            images: progress.images,
            steps: progress.steps,
            seed: settings.seed,
            command: settings.command.clone(),
        }),
        scores: rounded(progress.scores.named()),
    }
}

/// To four digits, as many as a few hundred cells can tell.
fn rounded(scores: BTreeMap<String, f64>) -> BTreeMap<String, f64> {
    let round = |score: f64| (score * 1e4).round() / 1e4;
    scores
        .into_iter()
        .map(|(name, score)| (name, round(score)))
        .collect()
}
