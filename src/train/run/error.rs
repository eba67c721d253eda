//! Errors of runs.

use std::io;
use std::path::PathBuf;

use crate::onnx::export::ExportError;
use crate::tiling::PlanError;
use crate::train::arguments::quoted;
use crate::train::checkpoint::CheckpointError;
use crate::train::config::Difference;
use crate::train::dataset::DatasetError;
use crate::train::device::DeviceError;
use crate::train::divergence::Diverged;
use crate::train::log::LogError;
use crate::train::memory::TooLarge;
use crate::train::replace::WriteError;
use crate::train::report::ReportError;
use crate::train::run_folder::{LockError, RunFolder};
use crate::train::start_from::StartError;

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
    /// A step takes too much memory.
    #[error(transparent)]
    Memory(#[from] TooLarge),
    /// Loss or weights are no longer finite.
    #[error(transparent)]
    Diverged(#[from] Diverged),
    /// A file can't be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A file can't be written while the network learns.
    #[error("{error}. {}, then go on with: {}", remedy(error), folder.resume_command())]
    Interrupted {
        /// Why not.
        error: WriteError,
        /// The folder of the run.
        folder: RunFolder,
    },
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

impl RunError {
    /// The same error, with what to do if the run can go on from its checkpoint.
    pub(super) fn in_run(self, folder: RunFolder) -> Self {
        match self {
            RunError::Write(error) | RunError::Report(ReportError::Write(error))
                if folder.checkpoint().exists() =>
            {
                RunError::Interrupted { error, folder }
            }
            other => other,
        }
    }
}

/// What lets a file be written again.
fn remedy(WriteError { error, .. }: &WriteError) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "Free some space",
        _ => "See to it that this file can be written",
    }
}
