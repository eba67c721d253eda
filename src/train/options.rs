//! The options of `unet-train train`.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::ArgPredicate;
use clap::{ArgAction, Args};

use super::arguments::{command_line, number};
use super::augment::Augmentation;
use super::config::{Config, OptionSources};
use super::dataset::{Holdout, Source};
use super::device::DeviceKind;
use super::prepare::Weighting;
use super::schedule::Budget;
use super::settings::{ClassWeights, OptimizerKind, Settings};
use super::weight_map::WeightMap;
use crate::unet::UNet;

/// Learn from images and masks.
///
/// IMAGES holds one picture per file, MASKS a file of the same name for each: 0 for
/// the background and one number for each cell, so that cells that touch are kept
/// apart. If no mask has two different numbers, they are taken as foreground and
/// background. PNG and TIFF of 1 to 32 bits, floating point too, also stacks;
/// colour images become grey, except with --channels rgb. IMAGES alone may be a
/// folder of the Cell Tracking Challenge (01, 01_GT, 01_ST), a folder with the two
/// stacks of ISBI 2012 (train-volume.tif and train-labels.tif), whose masks show
/// membranes, or one that holds `images` and `masks`.
///
/// Part of the images is held back. After every few hundred steps the network
/// segments them as the element would, and the best network so far is written to
/// OUTPUT, with the threshold and the smallest object that suit it best on them.
///
/// For example, from thirty annotated images:
///
///   unet-train train --images images --masks masks --output cells.onnx --minutes 30
///
/// Beside cells.onnx, the folder cells.run has everything needed to repeat the run
/// (config.toml), to resume it (last.checkpoint), and to judge it (report.html,
/// log.csv, validations.csv). Ctrl-C stops after the current step, with the exit code
/// 130; this resumes the run, with --steps on the processor to the result of an
/// uninterrupted one:
///
///   unet-train train --config cells.run/config.toml --resume
///
/// If files were moved, add their new places: --output, and --images and --masks.
///
/// Every option can be a line of a TOML file, such as `minutes = 30` or `classes =
/// ["background", "cell"]`:
///
///   unet-train train --config cells.toml
///
/// Is there a model of similar cells? Train it further, on a few pictures, instead
/// of starting from nothing; it is validated first, and kept unless a better one is
/// found:
///
///   unet-train train --start-from models/nuclei-fluo.onnx \
///       --images images --masks masks --output mine.onnx --minutes 10
///
/// The command line overrides the file, and the file overrides the preset.
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Train {
    #[command(flatten)]
    option_sources: OptionSources,
    /// Resume a run that was stopped, with the same options; best with the config.toml in its folder
    #[arg(long)]
    resume: bool,
    /// Replace an earlier run: its checkpoint is lost at once, its model as soon as this run has one
    #[arg(long, conflicts_with = "resume")]
    overwrite: bool,
    #[command(flatten)]
    source: Source,
    /// Model to write
    #[arg(long, value_name = "FILE.onnx")]
    output: PathBuf,

    /// Stop after so many minutes; if only --steps is given there is no such limit
    #[arg(
        long,
        default_value = "30",
        default_value_if("steps", ArgPredicate::IsPresent, None::<&str>),
        value_parser = number(0.001..=525_600.0)
    )]
    minutes: Option<f64>,
    /// Stop after so many steps; unlike --minutes this makes a run repeatable
    #[arg(long, value_parser = number(1_usize..))]
    steps: Option<usize>,
    /// Seed of every random choice
    #[arg(long, default_value_t = 1)]
    seed: u32,

    #[command(flatten, next_help_heading = "Validation")]
    holdout: Holdout,
    #[command(flatten, next_help_heading = "Network")]
    network: Network,
    #[command(flatten, next_help_heading = "Learning")]
    learning: Learning,
    #[command(flatten, next_help_heading = "Weights")]
    weights: Weights,
    #[command(flatten, next_help_heading = "Tiles")]
    tiles: Tiles,
    #[command(flatten, next_help_heading = "Written into the model")]
    metadata: ModelMetadata,
}

/// Options for the shape of the network.
#[derive(Args, Debug)]
pub struct Network {
    /// Channels of the first level, doubled at each level below (64 in the paper)
    #[arg(long, default_value_t = 16, value_parser = number(1_usize..=1024))]
    width: usize,
    /// How often the network halves its picture (4 in the paper); each additional level doubles how far it sees
    #[arg(long, default_value_t = 3, value_parser = number(1_usize..=8))]
    depth: usize,
    /// Pad convolutions with zeros, so that input and output have one size; `false` as in the paper
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_value_t = true,
        default_missing_value = "true",
        action = ArgAction::Set
    )]
    padded: bool,
    /// Share of values dropped at the end of the contracting path while learning
    #[arg(long, default_value_t = 0.1, value_parser = number(0.0..1.0))]
    dropout: f64,
}

#[derive(Args, Debug)]
struct Learning {
    /// Start with the weights of this model, which unet-train wrote, instead of random ones; width, depth, padding and
    /// channels are those of the model
    #[arg(long, value_name = "FILE.onnx")]
    start_from: Option<PathBuf>,
    /// Device that the network is computed on
    #[arg(long, value_enum, default_value_t = DeviceKind::default())]
    device: DeviceKind,
    /// Optimizer: Muon, which learns most from few steps, AdamW, or stochastic gradient descent as in the paper
    #[arg(long, value_enum, default_value_t = OptimizerKind::Muon)]
    optimizer: OptimizerKind,
    /// Largest learning rate; it rises for 2 % of the run, then falls to 0 [default: 7e-4, with --start-from 2e-4]
    #[arg(
        long,
        default_value = "7e-4",
        default_value_if("start_from", ArgPredicate::IsPresent, "2e-4"),
        hide_default_value = true,
        value_parser = number(1e-9..=1e300)
    )]
    learning_rate: f64,
    /// Momentum; only with --optimizer sgd
    #[arg(long, default_value_t = 0.99, value_parser = number(0.0..1.0))]
    momentum: f64,
    /// Decay of the weights, in units of the learning rate
    #[arg(long, default_value_t = 1e-4, value_parser = number(0.0_f32..=100.0))]
    weight_decay: f32,
    /// Steps between two validations
    #[arg(long, default_value_t = 500, value_name = "STEPS", value_parser = number(1_usize..))]
    validate_every: usize,
    /// Stop after so many validations without a better one
    ///
    /// The learning rate falls over the whole budget, and scores often rise once more when it is
    /// low: a run that is stopped early misses that, so choose many.
    #[arg(long, value_name = "VALIDATIONS", value_parser = number(1_usize..))]
    patience: Option<usize>,
    /// Minutes between two checkpoints, besides those after each validation
    #[arg(long, default_value_t = 5.0, value_name = "MINUTES", value_parser = number(0.0..=525_600.0))]
    checkpoint_every: f64,
}

/// Options for the weights of pixels in the loss.
#[derive(Args, Debug)]
pub struct Weights {
    /// Whether rare classes weigh more. `balanced` finds more cells, with outlines that are too wide
    #[arg(long, value_enum, default_value_t = ClassWeights::None)]
    class_weights: ClassWeights,
    /// Additional weight of the narrowest gap between two cells, w0 of the paper
    #[arg(long, default_value_t = WeightMap::BORDER, value_parser = number(0.0_f32..=1e4))]
    border: f32,
    /// How wide a gap may be to get additional weight, sigma of the paper
    #[arg(long, default_value_t = WeightMap::SIGMA, value_name = "PIXELS", value_parser = number(0.1_f32..=100.0))]
    sigma: f32,
    /// Add that weight also to the pixels of cells next to a gap, as in the paper
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_value_t = false,
        default_missing_value = "true",
        action = ArgAction::Set
    )]
    border_on_cells: bool,
    /// Share of its weight that background keeps far from all cells: 1 in the paper, 0.1 in Freiburg's
    /// plugin of 2019
    #[arg(long, default_value_t = WeightMap::default().background, value_name = "SHARE", value_parser = number(0.0_f32..=1.0))]
    background: f32,
    /// How far from cells background weighs more than that; only with --background below 1
    #[arg(long, default_value_t = WeightMap::default().background_sigma, value_name = "PIXELS", value_parser = number(0.1_f32..=100.0))]
    background_sigma: f32,
}

/// Options for the tiles of a step.
#[derive(Args, Debug)]
pub struct Tiles {
    /// Side of the tiles that the network learns from; the next legal size is taken
    #[arg(long, default_value_t = 256, value_name = "PIXELS", value_parser = number(1_usize..=8192))]
    tile: usize,
    /// Tiles per step
    #[arg(long, default_value_t = 1, value_name = "TILES", value_parser = number(1_usize..=1024))]
    batch: usize,
    /// Share of tiles that are centred on a cell; the others lie anywhere
    #[arg(long, default_value_t = Augmentation::default().on_cells, value_name = "SHARE", value_parser = number(0.0..=1.0))]
    on_cells: f64,
    /// Standard deviation of the elastic deformation; 0 for none
    #[arg(long, default_value_t = Augmentation::default().elastic, value_name = "PIXELS", value_parser = number(0.0_f32..=1e3))]
    elastic: f32,
    /// Largest factor by which tiles are enlarged or made smaller
    #[arg(long, default_value_t = Augmentation::default().scale, value_name = "FACTOR", value_parser = number(1.0_f32..=10.0))]
    scale: f32,
    /// Mirror half of the tiles; `false` as in the paper, where they are only shifted, rotated and deformed
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_value_t = true,
        default_missing_value = "true",
        action = ArgAction::Set
    )]
    mirror: bool,
    /// Leave grey values as they are: no change of gain, focus, lamp and noise
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_value_t = false,
        default_missing_value = "true",
        action = ArgAction::Set
    )]
    keep_grey_values: bool,
}

#[derive(Args, Debug)]
struct ModelMetadata {
    /// Name of the model [default: that of the output file]
    #[arg(long)]
    name: Option<String>,
    /// The data: source, licence, citation
    #[arg(
        long,
        default_value = "",
        hide_default_value = true,
        value_name = "TEXT"
    )]
    data: String,
    /// Size of a pixel of the images
    #[arg(long, value_name = "MICROMETRES", value_parser = number(1e-6..=1e6))]
    pixel_size: Option<f64>,
}

impl Train {
    /// The settings of a run, which has these options as `config`, and was started with the command line `arguments`.
    pub fn settings(self, config: Config, arguments: impl IntoIterator<Item = String>) -> Settings {
        let Train {
            network,
            weights,
            learning,
            tiles,
            metadata,
            ..
        } = self;
        let file = self.output.file_stem().unwrap_or_default();
        let unet = network.unet(&self.source);
        let classes = unet.classes;
        Settings {
            name: metadata
                .name
                .unwrap_or_else(|| file.to_string_lossy().into_owned()),
            output: self.output,
            unet,
            source: self.source,
            holdout: self.holdout,
            start_from: learning.start_from,
            device: learning.device,
            dropout: network.dropout,
            tile: tiles.tile,
            batch: tiles.batch,
            optimizer: learning.optimizer,
            learning_rate: learning.learning_rate,
            momentum: learning.momentum,
            weight_decay: learning.weight_decay,
            weighting: weights.weighting(classes),
            augmentation: tiles.augmentation(),
            validate_every: learning.validate_every,
            patience: learning.patience,
            checkpoint_every: Duration::from_secs_f64(learning.checkpoint_every * 60.0),
            resume: self.resume,
            overwrite: self.overwrite,
            budget: Budget {
                steps: self.steps,
                time: self
                    .minutes
                    .map(|minutes| Duration::from_secs_f64(minutes * 60.0)),
            },
            seed: self.seed.into(),
            data: metadata.data,
            pixel_size: metadata.pixel_size,
            command: command_line(arguments),
            config,
        }
    }
}

impl Network {
    /// The network for such data.
    pub fn unet(&self, source: &Source) -> UNet {
        UNet {
            channels: source.channels().count(),
            classes: source.class_names().len(),
            width: self.width,
            depth: self.depth,
            padded: self.padded,
        }
    }
}

impl Weights {
    /// The relative weights of pixels of so many classes.
    pub fn weighting(&self, classes: usize) -> Weighting {
        Weighting {
            classes,
            class_weights: self.class_weights,
            weight_map: WeightMap {
                border: self.border,
                sigma: self.sigma,
                border_on_cells: self.border_on_cells,
                background: self.background,
                background_sigma: self.background_sigma,
            },
        }
    }
}

impl Tiles {
    /// Smallest side of the tiles, in pixels.
    pub fn side(&self) -> usize {
        self.tile
    }

    /// How tiles are varied.
    pub fn augmentation(&self) -> Augmentation {
        let default = Augmentation::default();
        Augmentation {
            on_cells: self.on_cells,
            mirror: self.mirror,
            elastic: self.elastic,
            scale: self.scale,
            grey_values: default.grey_values.filter(|_| !self.keep_grey_values),
            ..default
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{Command, FromArgMatches};

    use super::*;

    fn typed(options: &[&str]) -> Result<Train, clap::Error> {
        let required = ["train", "--images", "images", "--output", "cells.onnx"];
        let command = Train::augment_args(Command::new("train"));
        let matches = command.try_get_matches_from([&required[..], options].concat())?;
        Train::from_arg_matches(&matches)
    }

    #[test]
    fn tiles_and_weights_are_those_of_the_paper_if_that_is_said() {
        let [default, paper] =
            [vec![], vec!["--mirror=false", "--border-on-cells"]].map(|options| {
                let Train { tiles, weights, .. } = typed(&options).unwrap();
                let weight_map = weights.weighting(2).weight_map;
                (tiles.augmentation().mirror, weight_map.border_on_cells)
            });
        assert_eq!((default, paper), ((true, false), (false, true)));
    }

    #[test]
    fn learning_rates_are_finite() {
        let is_taken = |rate| typed(&["--learning-rate", rate]).is_ok();
        assert!(is_taken("3e-3") && is_taken("1e40"));
        for wrong in ["inf", "1.8e308", "nan", "0"] {
            assert!(!is_taken(wrong), "{wrong}");
        }
    }
}
