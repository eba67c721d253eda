//! A training run from the folders to the model's file.

mod resume;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;

use self::resume::{checkpoint_to_resume, restore, run_state};
use super::arguments::quoted;
use super::augment::TileSize;
use super::checkpoint::{CheckpointError, Judged, State};
use super::config::Difference;
use super::data::Data;
use super::dataset::{DatasetError, Sample};
use super::device::{DeviceError, FoundDevice};
use super::divergence::{Diverged, KeptModel};
use super::feeder::{BatchSource, Feeder};
use super::learner::Learner;
use super::log::{Log, LogError};
use super::prepare::prepare;
use super::replace::{self, WriteError};
use super::report::ReportError;
use super::run_folder::{LockError, RunFolder};
use super::settings::Settings;
use super::start_from::{self, StartError};
use super::training_loop::TrainingLoop;
use super::validate::Verdict;
use super::weights;
use crate::onnx::export::{ExportError, Parameters};
use crate::onnx::import::Imported;
use crate::tiling::PlanError;

/// Why a run ended without being finished.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The data can't be used.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// The model to start from can't be used.
    #[error(transparent)]
    StartFrom(#[from] StartError),
    /// There is no such device.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// Loss or weights are no longer finite.
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
    /// The log of earlier steps can't be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The report can't be written.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// It was stopped while the data were read.
    #[error("stopped before learning began: nothing was written")]
    Stopped,
    /// There is no run to resume.
    #[error("--resume: there is no checkpoint in {}. If the folder of the run was moved, name its model there by --output; to start a run, leave out --resume", .0.display())]
    NoCheckpoint(PathBuf),
    /// The run to resume has ended.
    #[error("--resume: the run in {} is at its end, after {steps} steps; for a longer one start again, with more --steps or --minutes and --overwrite or another --output", folder.display())]
    Finished {
        /// Its folder.
        folder: PathBuf,
        /// Its steps.
        steps: usize,
    },
    /// There has been a run already.
    #[error(
        "{} holds a run that {} after {steps} steps. {}, name another --output, or replace it by --overwrite",
        folder.display(),
        if *finished { "ended" } else { "stopped" },
        if *finished { "Keep it" } else { "Continue it by --resume" }
    )]
    Exists {
        /// Its folder.
        folder: PathBuf,
        /// Its steps.
        steps: usize,
        /// Whether it is at its end.
        finished: bool,
    },
    /// The run was started with other images or masks.
    #[error("--resume: the run in {} was started with other images or masks, so it would be judged by images that it has learned from. Restore what has changed, or start again with --overwrite or another --output", .0.display())]
    OtherData(PathBuf),
    /// There is a model, but no checkpoint of a run that wrote it.
    #[error("{} is there already, and {} holds no checkpoint of a run that wrote it: name another --output, or replace it by --overwrite", model.display(), folder.display())]
    ModelExists {
        /// The model.
        model: PathBuf,
        /// The folder that would be the run's.
        folder: PathBuf,
    },
    /// The run was started with other options.
    #[error(
        "--resume: the run in {} was started with other options: {}; resume it with its own by --config {}",
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
    /// An image held back has a size that no tiles can cover.
    #[error("validation: {0}")]
    Plan(#[from] PlanError),
    /// The network can't be exported.
    #[error(transparent)]
    Export(#[from] ExportError),
}

/// Follows the progress of a run.
pub trait Observer {
    /// The data are read, learning begins.
    fn start(&mut self, start: &StartReport);
    /// A step is done.
    fn step(&mut self, step: &StepReport);
    /// The network was validated after `step` steps; `best` if no earlier one was better.
    fn validated(&mut self, step: usize, verdict: &Verdict, best: bool);
}

/// Facts about a run that are known before its first step.
#[derive(Clone, Debug)]
pub struct StartReport {
    /// A description of the data.
    pub data: String,
    /// Number of images to learn from.
    pub training: usize,
    /// Names of the images held back.
    pub validation: Vec<String>,
    /// Whether these were drawn at random from sequences, so that near copies of them may be learned from.
    pub near_copies: bool,
    /// Number of weights and biases of the network.
    pub parameters: usize,
    /// Size of the tiles.
    pub tile: TileSize,
    /// The device that the network is computed on.
    pub device: String,
    /// Steps that were done before.
    pub steps: usize,
    /// The existing model; it stays until a network of the run is validated.
    pub kept: KeptModel,
    /// The folder of the run, where it could not be locked.
    pub unlocked: Option<PathBuf>,
}

/// The progress of a run after a step.
#[derive(Clone, Copy, Debug)]
pub struct StepReport {
    /// Number of steps done.
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
    /// Number of steps that were done.
    pub steps: usize,
    /// The best network, if one was validated.
    pub best: Option<Judged>,
    /// Whether the run is at its end; else it was stopped, and can be resumed.
    pub finished: bool,
    /// Time that learning took.
    pub time: Duration,
}

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
        words,
        near_copies,
        ..
    } = data;
    StartReport {
        data: words.clone(),
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
