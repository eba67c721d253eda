//! A training run from the folders to the model's file.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::arguments::quoted;
use super::augment::TileSize;
use super::checkpoint::{Checkpoint, CheckpointError, Judged, State};
use super::config::Difference;
use super::data::Data;
use super::dataset::{self, DatasetError, Sample, Split};
use super::device::{DeviceError, Found};
use super::divergence::{Diverged, Kept};
use super::feeder::{BatchSource, Feeder};
use super::learner::{Learner, RestoreError};
use super::log::{Log, LogError};
use super::prepare::prepare;
use super::replace::{self, WriteError};
use super::report::ReportError;
use super::run_folder::{LockError, RunFolder};
use super::settings::Settings;
use super::start_from::{self, StartError};
use super::training_loop::Learning;
use super::validate::Verdict;
use super::weights;
use crate::onnx::export::{ExportError, Parameters};
use crate::onnx::import::Imported;
use crate::tiling::PlanError;
use crate::unet::UNet;

/// Why a run ended without being finished.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The data can't be used.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// The model to begin with can't be used.
    #[error(transparent)]
    StartFrom(#[from] StartError),
    /// There is no such device.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// Its numbers are no longer finite.
    #[error(transparent)]
    Diverged(#[from] Diverged),
    /// A file can't be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The folder of the run can't be used.
    #[error(transparent)]
    Folder(#[from] LockError),
    /// A checkpoint can't be read or made.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// What has happened so far can't be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// There is no report.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// It was told to stop while the data were read.
    #[error("stopped before learning began: nothing was written")]
    Stopped,
    /// There is nothing to go on with.
    #[error("--resume: there is no checkpoint in {}; without --resume the run begins", .0.display())]
    NoCheckpoint(PathBuf),
    /// Nothing is left to do.
    #[error("--resume: the run in {} is at its end, after {steps} steps; a longer one begins anew, with more --steps or --minutes and --overwrite or another --output", folder.display())]
    Finished {
        /// Its folder.
        folder: PathBuf,
        /// Its steps.
        steps: usize,
    },
    /// There has been a run already.
    #[error(
        "{} holds a run that {} after {steps} steps. {}, name another --output, or begin anew in its place by --overwrite",
        folder.display(),
        if *finished { "ended" } else { "stopped" },
        if *finished { "Keep it" } else { "Go on with it by --resume" }
    )]
    Exists {
        /// Its folder.
        folder: PathBuf,
        /// Its steps.
        steps: usize,
        /// Whether it is at its end.
        finished: bool,
    },
    /// The run was begun with other images or masks.
    #[error("--resume: the run in {} was begun with other images or masks, so that it would be judged by what it has learned from. Bring back what has changed, or begin anew with --overwrite or another --output", .0.display())]
    OtherData(PathBuf),
    /// There is a model that no run here has written.
    #[error("{} is there already, and {} holds no checkpoint of a run that wrote it: name another --output, or replace it by --overwrite", model.display(), folder.display())]
    ModelExists {
        /// The model.
        model: PathBuf,
        /// The folder that would be the run's.
        folder: PathBuf,
    },
    /// The run was begun with other options.
    #[error(
        "--resume: the run in {} was begun with other options: {}; go on with its own by --config {}",
        folder.path().display(),
        differences.iter().map(Difference::to_string).collect::<Vec<_>>().join("; "),
        quoted(&folder.config().to_string_lossy())
    )]
    Differs {
        /// Its folder.
        folder: RunFolder,
        /// What differs.
        differences: Vec<Difference>,
    },
    /// An image held back has a size that can't be segmented.
    #[error("validation: {0}")]
    Plan(#[from] PlanError),
    /// The network can't be exported.
    #[error(transparent)]
    Export(#[from] ExportError),
}

/// What a run tells while it goes on.
pub trait Observer {
    /// The data are read, learning begins.
    fn start(&mut self, start: &Start);
    /// A step is done.
    fn step(&mut self, step: &Step);
    /// The network was validated after `step` steps; `best` if no earlier one was better.
    fn validated(&mut self, step: usize, verdict: &Verdict, best: bool);
}

/// What is known before the first step.
#[derive(Clone, Debug)]
pub struct Start {
    /// What the data were taken for.
    pub data: String,
    /// Images to learn from.
    pub training: usize,
    /// Names of the images held back.
    pub validation: Vec<String>,
    /// Whether these were drawn at random from sequences, so that near copies of them may be learned from.
    pub near_copies: bool,
    /// Weights and biases of the network.
    pub parameters: usize,
    /// Size of the tiles.
    pub tile: TileSize,
    /// What the network is computed on.
    pub device: String,
    /// Steps that were done before.
    pub steps: usize,
    /// The model that is there; it stays until a network of the run is validated.
    pub kept: Kept,
}

/// What is known after a step.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Steps done.
    pub number: usize,
    /// Loss of this step.
    pub loss: f32,
    /// Share of the budget that is used up.
    pub used: f64,
    /// Time since the first step began.
    pub time: Duration,
}

/// How a run ended.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Steps that the run had.
    pub steps: usize,
    /// The best network, if one was judged.
    pub best: Option<Judged>,
    /// Whether it is at its end; else it was stopped, and can go on.
    pub finished: bool,
    /// How long learning took.
    pub time: Duration,
}

/// Trains a network as `settings` say, until `stop` is set at the latest; where that is before learning begins,
/// nothing is written. The best one by validation is in the file [`Settings::output`] from the first validation
/// on; the folder beside it, see [`RunFolder`], holds what it takes to go on.
pub fn run(
    settings: &Settings,
    stop: &AtomicBool,
    observer: &mut dyn Observer,
) -> Result<Outcome, RunError> {
    make_place(&settings.output)?;
    let folder = RunFolder::beside(&settings.output);
    let _lock = folder.lock()?;
    // Before hours of work depend on it.
    replace::check(&settings.output)?;
    let before = before(settings, &folder)?;
    let Found { device, name } = settings.device.find()?;
    let mut rng = StdRng::seed_from_u64(settings.seed);
    let data = Data::read(&settings.source, &settings.holdout, &mut rng)?;
    let (values, model) = beginning(settings, before.is_some(), &mut rng)?;
    let tile = TileSize::legal(&settings.unet.geometry(), settings.tile);
    let state = state_of(settings, before.as_ref(), &data.split, model)
        .ok_or_else(|| RunError::OtherData(folder.path().to_owned()))?;
    observer.start(&start(settings, &data, &state, tile, name));
    let Data { split, measure, .. } = data;
    let feeder = feeder(settings, split.training, tile, state.steps);
    let learner = Learner::new(settings.unet, values, settings.teaching(), &device);
    if stop.load(Ordering::Relaxed) {
        return Err(RunError::Stopped);
    }
    let (learner, best, log) = match before {
        Some(before) => restored(before, &settings.unet, learner, &folder)?,
        None => {
            folder.begin(
                &settings.config,
                split.validation.iter().map(|s| &s.name[..]),
            )?;
            (learner, None, Log::default())
        }
    };
    // The model tells the command that began the run.
    let settings = &Settings {
        command: state.command.clone(),
        ..settings.clone()
    };
    Learning {
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
    .go(&feeder, observer)
}

/// The values that the network begins with, and the model that they are from, if any; those of a run that `goes_on`
/// are replaced.
fn beginning(
    settings: &Settings,
    goes_on: bool,
    rng: &mut StdRng,
) -> Result<(Vec<Parameters>, Option<Imported>), RunError> {
    match &settings.start_from {
        Some(model) if !goes_on => {
            let classes = settings.source.class_names();
            let mut model = start_from::network(model, &settings.unet, &classes)?;
            Ok((std::mem::take(&mut model.values), Some(model)))
        }
        _ => Ok((weights::initial(&settings.unet, rng), None)),
    }
}

/// What there is to tell before the first step.
fn start(settings: &Settings, data: &Data, state: &State, tile: TileSize, device: String) -> Start {
    let Data {
        split,
        words,
        near_copies,
        ..
    } = data;
    Start {
        data: words.clone(),
        training: split.training.len(),
        validation: split.validation.iter().map(|s| s.name.clone()).collect(),
        near_copies: *near_copies,
        parameters: settings.unet.parameters(),
        tile,
        device,
        steps: state.steps,
        kept: Kept::of(state, &settings.output),
    }
}

/// Makes the folder of the model, which can't have the name of the run's folder.
fn make_place(model: &Path) -> Result<(), WriteError> {
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

/// Batches from the one for the step after `steps` on.
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

/// How far the run is that goes on, or one that has not begun, with the values of `model`; `None` if it was begun with
/// other images or masks.
fn state_of(
    settings: &Settings,
    before: Option<&Checkpoint>,
    split: &Split,
    model: Option<Imported>,
) -> Option<State> {
    let data = dataset::fingerprint(split);
    match before {
        Some(Checkpoint { state, .. }) => {
            (state.data.is_empty() || state.data == data).then(|| state.clone())
        }
        None => {
            let mut pictures = dataset::pictures(&split.training);
            let before = model.and_then(|model| {
                pictures.join(&model.pictures);
                model.training.map(Box::new)
            });
            Some(State {
                data,
                images: split.training.len(),
                pictures,
                command: settings.command.clone(),
                config: settings.config.clone(),
                before,
                ..State::default()
            })
        }
    }
}

/// The learner, the best network and the log of a run that goes on; `learner` has only its form.
fn restored(
    before: Checkpoint,
    unet: &UNet,
    learner: Learner,
    folder: &RunFolder,
) -> Result<(Learner, Option<Vec<Parameters>>, Log), RunError> {
    let log = Log::read(&folder.steps(), &folder.validations(), before.state.steps)?;
    let values = |bytes| weights::from_bytes(unet, bytes).ok_or(RestoreError::Form);
    let best = before.best.as_deref().map(values).transpose();
    let refused = |error| CheckpointError::Restore {
        file: folder.checkpoint(),
        error,
    };
    let best = best.map_err(refused)?;
    let learner = learner
        .restored(&before.network, &before.optimizer)
        .map_err(refused)?;
    Ok((learner, best, log))
}

/// The run to go on with.
fn before(settings: &Settings, folder: &RunFolder) -> Result<Option<Checkpoint>, RunError> {
    let path = || folder.path().to_owned();
    if settings.overwrite {
        return Ok(None);
    }
    let checkpoint = Checkpoint::read(&folder.checkpoint())?;
    let Some(checkpoint) = checkpoint else {
        return match settings.resume {
            true => Err(RunError::NoCheckpoint(path())),
            false if settings.output.exists() => Err(RunError::ModelExists {
                model: settings.output.clone(),
                folder: path(),
            }),
            false => Ok(None),
        };
    };
    let State {
        steps, finished, ..
    } = checkpoint.state;
    let differences = checkpoint.state.config.differences(&settings.config);
    match (settings.resume, finished) {
        (false, _) => Err(RunError::Exists {
            folder: path(),
            steps,
            finished,
        }),
        (true, true) => Err(RunError::Finished {
            folder: path(),
            steps,
        }),
        (true, false) if !differences.is_empty() => Err(RunError::Differs {
            folder: folder.clone(),
            differences,
        }),
        (true, false) => Ok(Some(checkpoint)),
    }
}
