//! A training run from the folders to the model's file.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::augment::TileSize;
use super::checkpoint::{Checkpoint, CheckpointError, Judged, State};
use super::config::Difference;
use super::data::Data;
use super::dataset::{self, DatasetError, Sample, Split};
use super::device::{DeviceError, Found};
use super::divergence::{Diverged, Kept};
use super::feeder::{Feeder, Food};
use super::learner::{Learner, RestoreError};
use super::learning::Learning;
use super::log::{Log, LogError};
use super::prepare::prepare;
use super::replace::{self, WriteError};
use super::report::ReportError;
use super::run_folder::{LockError, RunFolder};
use super::settings::Settings;
use super::start_from::{self, StartError};
use super::validate::Verdict;
use super::values;
use crate::onnx::export::{ExportError, Parameters};
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
    /// Its numbers are none any more.
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
    #[error("{} is there already, and no run in {} has written it: name another --output, or replace it by --overwrite", model.display(), folder.display())]
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
        folder.config().display()
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
    let Data {
        split,
        measure,
        words,
        near_copies,
    } = Data::read(&settings.source, &settings.holdout, &mut rng)?;
    let (values, learned) = match (&settings.start_from, &before) {
        (Some(model), None) => {
            let classes = settings.source.class_names();
            let start = start_from::network(model, &settings.unet, &classes)?;
            (start.values, Some((start.training, start.pictures)))
        }
        // Of a run that goes on they are replaced.
        _ => (values::initial(&settings.unet, &mut rng), None),
    };
    let tile = TileSize::legal(&settings.unet.geometry(), settings.tile);
    let mut state = state_of(settings, before.as_ref(), &split)
        .ok_or_else(|| RunError::OtherData(folder.path().to_owned()))?;
    if let Some((training, pictures)) = learned {
        state.before = training.map(Box::new);
        state.pictures.join(&pictures);
    }
    observer.start(&Start {
        data: words,
        training: split.training.len(),
        validation: split.validation.iter().map(|s| s.name.clone()).collect(),
        near_copies,
        parameters: settings.unet.parameters(),
        tile,
        device: name,
        steps: state.steps,
        kept: Kept::of(&state, &settings.output),
    });
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
    let food = Food {
        examples: prepare(training, &settings.weighting),
        augmentation: settings.augmentation,
        size,
        batch: settings.batch,
        seed: settings.seed,
    };
    Feeder::start(food, steps)
}

/// How far the run is that goes on, or one that has not begun; `None` if it was begun with other images or masks.
fn state_of(settings: &Settings, before: Option<&Checkpoint>, split: &Split) -> Option<State> {
    let data = dataset::fingerprint(split);
    match before {
        Some(Checkpoint { state, .. }) => {
            (state.data.is_empty() || state.data == data).then(|| state.clone())
        }
        None => Some(State {
            data,
            images: split.training.len(),
            pictures: dataset::pictures(&split.training),
            command: settings.command.clone(),
            config: settings.config.clone(),
            ..State::default()
        }),
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
    let values = |bytes| values::from_bytes(unet, bytes).ok_or(RestoreError::Form);
    let best = before.best.as_deref().map(values).transpose();
    let best = best.map_err(CheckpointError::from)?;
    let learner = learner
        .restored(&before.network, &before.optimizer)
        .map_err(CheckpointError::from)?;
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
