//! The trained network as a file that carries its contract.

use std::collections::BTreeMap;

use super::checkpoint::{State, ValidatedNetwork};
use super::limits::Limits;
use super::metrics::Scores;
use super::settings::Settings;
use super::weights::named;
use crate::contract::{Contract, FeatureRanges, Training};
use crate::onnx::export::{ExportError, Parameters, export};

/// The state of a network's training when it is written.
#[derive(Clone, Debug)]
pub struct Progress {
    /// Number of training images.
    pub images: usize,
    /// Ranges of their features.
    pub pictures: FeatureRanges,
    /// Steps taken.
    pub steps: usize,
    /// The origin of the weights that the run started from.
    pub before: Option<Box<Training>>,
    /// The limits that decide which pixels are objects.
    pub limits: Limits,
    /// Scores on the images held back, if it was validated.
    pub scores: Option<Scores>,
}

impl Progress {
    /// The state of a validated network of the run at `state`.
    pub fn validated(state: &State, network: &ValidatedNetwork) -> Self {
        Progress {
            steps: network.steps,
            limits: network.result.limits,
            scores: Some(network.result.scores),
            ..Progress::last(state)
        }
    }

    /// The state of the most recent network of the run. It has the limits of the last validation, and its
    /// scores if no step was taken since.
    pub fn last(state: &State) -> Self {
        let limits = state.last.map(|network| network.result.limits);
        let now = state.last.filter(|network| network.steps == state.steps);
        Progress {
            images: state.images,
            pictures: state.pictures.clone(),
            steps: state.steps,
            before: state.before.clone(),
            limits: limits.unwrap_or_default(),
            scores: now.map(|network| network.result.scores),
        }
    }
}

/// The limits of a network as they are in its file: the last bias absorbs the threshold, so that it becomes 0.5,
/// which moves every other probability, too.
pub fn in_file(limits: Limits) -> Limits {
    let moved = |core: f32| {
        let score = logit(core) - logit(limits.threshold);
        // Rounded to four digits, as it is displayed.
        (1e4 / (1.0 + (-score).exp())).round() / 1e4
    };
    Limits {
        threshold: 0.5,
        core_threshold: limits.core_threshold.map(moved),
        ..limits
    }
}

/// The bytes of the `.onnx` file.
pub fn onnx(
    settings: &Settings,
    values: &[Parameters],
    progress: &Progress,
) -> Result<Vec<u8>, ExportError> {
    let mut values = values.to_vec();
    move_threshold_to_half(&mut values, progress.limits.threshold);
    let unet = &settings.unet;
    export(unet, &named(unet, &values), &contract(settings, progress))
}

/// Moves `threshold` to 0.5 by absorbing it in the foreground's bias of a network of two classes. Then the larger
/// score decides, as in every other program.
///
/// Networks of more classes have no threshold and are not changed.
fn move_threshold_to_half(values: &mut [Parameters], threshold: f32) {
    let last = values.last_mut().map(|layer| &mut layer.bias[..]);
    if let Some([_, foreground]) = last {
        *foreground -= logit(threshold);
    }
}

/// The difference of two scores whose softmax is `probability`.
fn logit(probability: f32) -> f32 {
    (probability / (1.0 - probability)).ln()
}

fn contract(settings: &Settings, progress: &Progress) -> Contract {
    let mut contract = settings.unet.contract(&settings.name);
    let names = settings.source.class_names();
    for (class, name) in contract.classes.iter_mut().zip(names) {
        class.name = name;
    }
    let limits = in_file(progress.limits);
    Contract {
        threshold: limits.threshold,
        min_area: limits.min_area,
        core_threshold: limits.core_threshold,
        pictures: progress.pictures.clone(),
        pixel_size: settings.pixel_size,
        training: Some(Training {
            data: settings.data.clone(),
            images: progress.images,
            steps: progress.steps,
            seed: settings.seed,
            command: settings.command.clone(),
            before: progress.before.clone(),
        }),
        scores: progress
            .scores
            .map(|scores| rounded(scores.named()))
            .unwrap_or_default(),
        ..contract
    }
}

/// Rounded to four digits; a few hundred cells don't justify more.
pub(super) fn rounded(scores: BTreeMap<String, f64>) -> BTreeMap<String, f64> {
    let round = |score: f64| (score * 1e4).round() / 1e4;
    scores
        .into_iter()
        .map(|(name, score)| (name, round(score)))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use burn::tensor::{Device, Distribution, Tensor};
    use ort::session::Session;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use crate::inference::{Model, Options, library};
    use crate::train::network::Network;
    use crate::train::weights::initial;
    use crate::unet::UNet;

    #[test]
    fn the_limits_in_the_file_are_those_of_its_probabilities() {
        let limits = Limits {
            threshold: 0.2,
            min_area: Some(16),
            core_threshold: Some(0.5),
        };
        // Odds of 1:4 become even ones, and even ones 4:1.
        let expected = Limits {
            threshold: 0.5,
            core_threshold: Some(0.8),
            ..limits
        };
        assert_eq!(in_file(limits), expected);
        assert_eq!(in_file(Limits::default()), Limits::default());
    }

    /// ONNX Runtime as `make` installs it, unless the environment names another one.
    fn options() -> Options {
        let mut options = Options::default();
        if std::env::var_os("ORT_DYLIB_PATH").is_none() {
            let library = ".cache/onnxruntime/libonnxruntime.so";
            options.library.explicit = Some([env!("CARGO_MANIFEST_DIR"), library].iter().collect());
        }
        options
    }

    #[test]
    fn the_threshold_becomes_the_larger_score() {
        let unet = UNet {
            channels: 1,
            classes: 2,
            width: 2,
            depth: 1,
            padded: false,
        };
        let values = initial(&unet, &mut StdRng::seed_from_u64(1));
        let mut moved = values.clone();
        move_threshold_to_half(&mut moved, 0.5);
        assert_eq!(moved, values);
        move_threshold_to_half(&mut moved, 0.2);
        let lead = |values: &[Parameters]| {
            let bias = &values.last().unwrap().bias;
            bias[1] - bias[0]
        };
        // Scores of probability 0.2 differ by ln(0.2 / 0.8).
        let gained = lead(&moved) - lead(&values);
        assert!((gained - 4.0_f32.ln()).abs() < 1e-6, "{gained}");

        // Of more classes the largest score decides in any case.
        let three = UNet { classes: 3, ..unet };
        let values = initial(&three, &mut StdRng::seed_from_u64(1));
        let mut moved = values.clone();
        move_threshold_to_half(&mut moved, 0.2);
        assert_eq!(moved, values);
    }

    /// A bare session, which also accepts several pictures at once.
    fn session(file: &Path) -> Session {
        let environment = library::environment(&options().library).unwrap();
        let mut builder = Session::builder(&environment).unwrap();
        builder.commit_from_file(file).unwrap()
    }

    fn same(exported: &[f32], learned: &[f32]) {
        assert_eq!(exported.len(), learned.len());
        for (exported, learned) in exported.iter().zip(learned) {
            assert!((exported - learned).abs() < 1e-4, "{exported} {learned}");
        }
    }

    #[test]
    fn the_exported_network_computes_as_the_trained_one() {
        let device = Device::flex();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("model.onnx");
        for (channels, classes, depth, padded) in [
            (1, 2, 1, false),
            (1, 2, 3, false),
            (1, 2, 4, false),
            (1, 2, 2, true),
            (3, 3, 2, false),
            (3, 3, 2, true),
        ] {
            let unet = UNet {
                channels,
                classes,
                width: 6,
                depth,
                padded,
            };
            let values = initial(&unet, &mut StdRng::seed_from_u64(1));
            let contract = unet.contract("random");
            fs::write(
                &file,
                export(&unet, &named(&unet, &values), &contract).unwrap(),
            )
            .unwrap();

            let network = Network::new(unet, &values, 0.5, &device);
            let mut model = Model::open(&file, &options()).unwrap();
            assert_eq!(*model.contract(), contract);
            let mut session = session(&file);
            for (batch, height, width) in [(1, 200, 230), (2, 204, 188), (3, 220, 260)] {
                let (height, width) = unet.geometry().legal(height, width).unwrap();
                let normal = Distribution::Normal(0.0, 1.0);
                let shape = [batch, channels, height, width];
                let image = Tensor::<4>::random(shape, normal, &device);
                let learned: Vec<f32> = network.forward(image.clone()).into_data().iter().collect();
                let pixels: Vec<f32> = image.into_data().iter().collect();
                let input = ort::value::Tensor::from_array((shape, pixels.clone())).unwrap();
                let outputs = session.run(ort::inputs![input]).unwrap();
                same(outputs[0].try_extract_tensor().unwrap().1, &learned);

                model.shape(height, width).unwrap();
                let first = &pixels[..channels * height * width];
                model.input().copy_from_slice(first);
                same(model.run().unwrap(), &learned[..learned.len() / batch]);
            }
        }
    }
}
