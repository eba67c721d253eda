//! A training run from the folders to the model's file.

mod error;
mod observer;
mod resume;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Device;
use rand::SeedableRng;
use rand::rngs::StdRng;

use self::resume::{checkpoint_to_resume, earlier_log, restore, run_state};
use super::augment::TileSize;
use super::average::Average;
use super::checkpoint::{Checkpoint, State};
use super::data::Data;
use super::dataset::Sample;
use super::device::FoundDevice;
use super::divergence::KeptModel;
use super::feeder::{BatchSource, Feeder};
use super::learner::Learner;
use super::prepare::prepare;
use super::replace::{self, WriteError};
use super::run_folder::{Lock, RunFolder};
use super::settings::Settings;
use super::start_from;
use super::training_loop::TrainingLoop;
use super::weights;
use crate::inference::memory;
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
    let lock = claim(settings, &folder)?;
    let FoundDevice { device, name } = found_device(settings)?;
    let checkpoint = checkpoint_to_resume(settings, &folder)?;
    let (log, lost) = earlier_log(checkpoint.as_ref(), &folder)?;
    let mut rng = StdRng::seed_from_u64(settings.seed);
    let data = Data::read(&settings.source, &settings.holdout, &mut rng)?;
    let (values, model) = initial_values(settings, checkpoint.is_some(), &mut rng)?;
    let tile = TileSize::legal(&settings.unet.geometry(), settings.tile);
    let state = run_state(settings, checkpoint.as_ref(), &data.split, model)
        .ok_or_else(|| RunError::OtherData(folder.path().to_owned()))?;
    observer.start(&StartReport {
        unlocked: (!lock.is_held()).then(|| folder.path().to_owned()),
        loss: log.average_loss(),
        lost,
        ..start_report(settings, &data, &state, tile, name)
    });
    let Data { split, measure, .. } = data;
    let feeder = feeder(settings, split.training, tile, state.steps);
    let learner = Learner::new(settings.unet, values, settings.learner(), &device);
    if stop.load(Ordering::Relaxed) {
        return Err(RunError::Stopped);
    }
    let (learner, best) = begin(settings, &folder, checkpoint, learner, &split.validation)?;
    // The model names the command that started the run.
    let settings = &Settings {
        command: state.command.clone(),
        ..settings.clone()
    };
    let training = TrainingLoop {
        settings,
        folder: folder.clone(),
        learner,
        device,
        validation: split.validation,
        measure,
        state,
        best,
        log,
        stop,
    };
    let outcome = training.run(&feeder, observer);
    outcome.map_err(|error| error.in_run(folder))
}

/// Locks the folder of the run, once it is clear that the run can be resumed, if it is to be, and its model be written.
fn claim(settings: &Settings, folder: &RunFolder) -> Result<Lock, RunError> {
    // Before folders are made: they may be those of a place that the run was moved away from.
    if settings.resume && matches!(folder.checkpoint().try_exists(), Ok(false)) {
        return Err(RunError::NoCheckpoint(folder.path().to_owned()));
    }
    let model = &settings.output;
    let refused = |why: &str| WriteError {
        file: model.clone(),
        error: io::Error::other(why),
    };
    if folder.path() == model {
        let why = "the folder of the run has this name: let the model's end in .onnx";
        return Err(refused(why).into());
    }
    if model.to_string_lossy().ends_with(std::path::is_separator) {
        return Err(refused("it is named like a folder: add the name of a file").into());
    }
    // Before hours of work depend on it.
    if let (Some(parent), Some(name)) = (model.parent(), model.file_name()) {
        replace::check_in(parent, &name.to_string_lossy())?;
    }
    Ok(folder.lock()?)
}

/// The device to learn on; the processor only if there is memory for a step.
fn found_device(settings: &Settings) -> Result<FoundDevice, RunError> {
    let found = settings.device.find()?;
    if found.device == Device::flex() {
        settings.step().check(memory::available())?;
    }
    Ok(found)
}

/// Writes what the folder of the run begins with, or reads where the run goes on: the learner and the best network.
fn begin(
    settings: &Settings,
    folder: &RunFolder,
    checkpoint: Option<Checkpoint>,
    learner: Learner,
    held_back: &[Sample],
) -> Result<(Learner, Option<Vec<Parameters>>), RunError> {
    let Some(checkpoint) = checkpoint else {
        let names = held_back.iter().map(|sample| &sample.name[..]);
        folder.begin(&settings.config, names)?;
        return Ok((learner, None));
    };
    let restored = restore(checkpoint, &settings.unet, learner, folder)?;
    // Its paths may have changed.
    folder.write_config(&settings.config)?;
    Ok(restored)
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
        loss: Average::default(),
        best: state.best.map(|network| network.result.scores),
        lost: Vec::new(),
        kept: KeptModel::of(state, &settings.output),
        unlocked: None,
    }
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
