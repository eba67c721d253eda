//! A training run from the folders to the model's file.

mod error;
mod observer;
mod resume;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rand::SeedableRng;
use rand::rngs::StdRng;

use self::resume::{checkpoint_to_resume, restore, run_state};
use super::augment::TileSize;
use super::checkpoint::State;
use super::data::Data;
use super::dataset::Sample;
use super::device::FoundDevice;
use super::divergence::KeptModel;
use super::feeder::{BatchSource, Feeder};
use super::learner::Learner;
use super::log::Log;
use super::prepare::prepare;
use super::replace::{self, WriteError};
use super::run_folder::RunFolder;
use super::settings::Settings;
use super::start_from;
use super::training_loop::TrainingLoop;
use super::weights;
use crate::onnx::export::Parameters;
use crate::onnx::import::Imported;

pub use error::RunError;
pub use observer::{Observer, Outcome, StartReport, StepReport};

/// Trains a network with `settings`, until `stop` is set at the latest; if that is before learning begins,
/// nothing is written. From the first validation on, the file [`Settings::output`] has the best network by validation;
/// the folder beside it, see [`RunFolder`], holds everything needed to resume.
pub fn run(
    settings: &Settings,
    stop: &AtomicBool,
    observer: &mut dyn Observer,
) -> Result<Outcome, RunError> {
    let folder = RunFolder::beside(&settings.output);
    // Before folders are made: they may be those of a place that the run was moved away from.
    if settings.resume && matches!(folder.checkpoint().try_exists(), Ok(false)) {
        return Err(RunError::NoCheckpoint(folder.path().to_owned()));
    }
    create_output_folder(&settings.output)?;
    let lock = folder.lock()?;
    // Before hours of work depend on it.
    replace::check(&settings.output)?;
    let checkpoint = checkpoint_to_resume(settings, &folder)?;
    let FoundDevice { device, name } = settings.device.find()?;
    let mut rng = StdRng::seed_from_u64(settings.seed);
    let data = Data::read(&settings.source, &settings.holdout, &mut rng)?;
    let (values, model) = initial_values(settings, checkpoint.is_some(), &mut rng)?;
    let tile = TileSize::legal(&settings.unet.geometry(), settings.tile);
    let state = run_state(settings, checkpoint.as_ref(), &data.split, model)
        .ok_or_else(|| RunError::OtherData(folder.path().to_owned()))?;
    observer.start(&StartReport {
        unlocked: (!lock.is_held()).then(|| folder.path().to_owned()),
        ..start_report(settings, &data, &state, tile, name)
    });
    let Data { split, measure, .. } = data;
    let feeder = feeder(settings, split.training, tile, state.steps);
    let learner = Learner::new(settings.unet, values, settings.learner(), &device);
    if stop.load(Ordering::Relaxed) {
        return Err(RunError::Stopped);
    }
    let (learner, best, log) = match checkpoint {
        Some(checkpoint) => {
            let restored = restore(checkpoint, &settings.unet, learner, &folder)?;
            // Its paths may have changed.
            folder.write_config(&settings.config)?;
            restored
        }
        None => {
            folder.begin(
                &settings.config,
                split.validation.iter().map(|s| &s.name[..]),
            )?;
            (learner, None, Log::default())
        }
    };
    // The model names the command that started the run.
    let settings = &Settings {
        command: state.command.clone(),
        ..settings.clone()
    };
    TrainingLoop {
        settings,
        folder,
        learner,
        device,
        validation: split.validation,
        measure,
        state,
        best,
        log,
        stop,
    }
    .run(&feeder, observer)
}

/// The initial values of the network, and the model that they are from, if any. Where a run `resumes`, its checkpoint
/// replaces them.
fn initial_values(
    settings: &Settings,
    resumes: bool,
    rng: &mut StdRng,
) -> Result<(Vec<Parameters>, Option<Imported>), RunError> {
    match &settings.start_from {
        Some(model) if !resumes => {
            let classes = settings.source.class_names();
            let mut model = start_from::network(model, &settings.unet, &classes)?;
            Ok((std::mem::take(&mut model.values), Some(model)))
        }
        _ => Ok((weights::initial(&settings.unet, rng), None)),
    }
}

fn start_report(
    settings: &Settings,
    data: &Data,
    state: &State,
    tile: TileSize,
    device: String,
) -> StartReport {
    let Data {
        split,
        description,
        near_copies,
        ..
    } = data;
    StartReport {
        data: description.clone(),
        training: split.training.len(),
        validation: split.validation.iter().map(|s| s.name.clone()).collect(),
        near_copies: *near_copies,
        parameters: settings.unet.parameters(),
        tile,
        device,
        steps: state.steps,
        kept: KeptModel::of(state, &settings.output),
        unlocked: None,
    }
}

/// Creates the folder of the model, which can't have the name of the run's folder.
fn create_output_folder(model: &Path) -> Result<(), WriteError> {
    let refused = |error| WriteError {
        file: model.into(),
        error,
    };
    if RunFolder::beside(model).path() == model {
        return Err(refused(std::io::Error::other(
            "the folder of the run has this name: let the model's end in .onnx",
        )));
    }
    let folder = model.parent().map_or(Ok(()), fs::create_dir_all);
    folder.map_err(refused)
}

/// Supplies batches, the first one for the step after `steps`.
fn feeder(settings: &Settings, training: Vec<Sample>, size: TileSize, steps: usize) -> Feeder {
    let batches = BatchSource {
        examples: prepare(training, &settings.weighting),
        augmentation: settings.augmentation,
        size,
        batch: settings.batch,
        seed: settings.seed,
    };
    Feeder::start(batches, steps)
}
