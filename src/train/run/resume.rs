//! Where a run goes on: the state, the learner and the log of its checkpoint, or those of a new run.

use std::path::PathBuf;

use super::RunError;
use crate::onnx::export::Parameters;
use crate::onnx::import::Imported;
use crate::train::checkpoint::{Checkpoint, CheckpointError, State};
use crate::train::dataset::{self, Split};
use crate::train::learner::{Learner, RestoreError};
use crate::train::log::{Log, LogError};
use crate::train::run_folder::RunFolder;
use crate::train::settings::Settings;
use crate::train::weights;
use crate::unet::UNet;

/// The state of the run in a checkpoint, or that of a new one, which starts with the values of `model`; `None` if the
/// run was started with other images or masks.
pub(super) fn run_state(
    settings: &Settings,
    checkpoint: Option<&Checkpoint>,
    split: &Split,
    model: Option<Imported>,
) -> Option<State> {
    let data = dataset::fingerprint(split);
    match checkpoint {
        Some(Checkpoint { state, .. }) => {
            (state.data.is_empty() || state.data == data).then(|| State {
                config: settings.config.clone(),
                ..state.clone()
            })
        }
        None => {
            let mut pictures = dataset::feature_ranges(&split.training);
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

/// The log of the run in a checkpoint, or an empty one; and its tables that are missing, without which it can learn.
pub(super) fn earlier_log(
    checkpoint: Option<&Checkpoint>,
    folder: &RunFolder,
) -> Result<(Log, Vec<PathBuf>), LogError> {
    let Some(Checkpoint { state, .. }) = checkpoint else {
        return Ok(Default::default());
    };
    let tables = [folder.steps(), folder.validations()];
    let log = Log::read(&tables[0], &tables[1], state.steps)?;
    let lost = tables.into_iter().filter(|table| !table.exists());
    Ok((log, lost.collect()))
}

/// The learner and the best network of the run in a checkpoint, whose network has the shape of `learner`.
pub(super) fn restore(
    checkpoint: Checkpoint,
    unet: &UNet,
    learner: Learner,
    folder: &RunFolder,
) -> Result<(Learner, Option<Vec<Parameters>>), RunError> {
    let values = |bytes| weights::from_bytes(unet, bytes).ok_or(RestoreError::Mismatch);
    let best = checkpoint.best.as_deref().map(values).transpose();
    let refused = |error| CheckpointError::Restore {
        file: folder.checkpoint(),
        error,
    };
    let best = best.map_err(refused)?;
    let learner = learner
        .restored(&checkpoint.network, &checkpoint.optimizer)
        .map_err(refused)?;
    Ok((learner, best))
}

/// The checkpoint of the run that is to be resumed, if one is.
pub(super) fn checkpoint_to_resume(
    settings: &Settings,
    folder: &RunFolder,
) -> Result<Option<Checkpoint>, RunError> {
    let path = || folder.path().to_owned();
    if settings.overwrite {
        return Ok(None);
    }
    let Some(checkpoint) = Checkpoint::read(&folder.checkpoint())? else {
        return if settings.resume {
            Err(RunError::NoCheckpoint(path()))
        } else if settings.output.exists() {
            Err(RunError::ModelExists {
                model: settings.output.clone(),
                folder: path(),
            })
        } else {
            Ok(None)
        };
    };
    let State {
        steps, finished, ..
    } = checkpoint.state;
    let has_fingerprint = !checkpoint.state.data.is_empty();
    let differences = checkpoint
        .state
        .config
        .differences(&settings.config, has_fingerprint);
    if !settings.resume {
        Err(RunError::Exists {
            folder: path(),
            steps,
            finished,
        })
    } else if finished {
        Err(RunError::Finished {
            folder: path(),
            steps,
        })
    } else if !differences.is_empty() {
        Err(RunError::Differs {
            folder: folder.clone(),
            differences,
        })
    } else {
        Ok(Some(checkpoint))
    }
}
