//! `unet-train export`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::onnx::export::ExportError;
use crate::train::checkpoint::{Checkpoint, CheckpointError, State};
use crate::train::config::ConfigError;
use crate::train::learner::RestoreError;
use crate::train::model::{self, Progress};
use crate::train::replace::replace;
use crate::train::run_folder::{RunFolder, WriteError};
use crate::train::values;

/// Write a network of a run as a model.
///
/// The best network of a run is written by `train` already; this writes it again,
/// or the one that the run has come to, from the folder of a run, at its end or
/// not.
///
///   unet-train export --checkpoint cells.run --network last --output last.onnx
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Export {
    /// Folder of the run
    #[arg(long, value_name = "FOLDER")]
    checkpoint: PathBuf,
    /// Model to write; an old file of this name is replaced
    #[arg(long, value_name = "FILE.onnx")]
    output: PathBuf,
    /// Which network
    #[arg(long, value_enum, default_value_t)]
    network: Which,
}

/// A network of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Which {
    /// The one with the best scores on the images held back
    #[default]
    Best,
    /// The one that the run has come to
    Last,
}

/// Why there is no model.
#[derive(Debug, thiserror::Error)]
pub enum ExportRunError {
    /// The folder is not one of a run.
    #[error("there is no checkpoint in {}", .0.display())]
    NoRun(PathBuf),
    /// The run has not come to a validation.
    #[error("no network of the run in {} was validated yet; write the --network last", .0.display())]
    NoBest(PathBuf),
    /// The checkpoint can't be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Its options can't be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The network can't be exported.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The model can't be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl Export {
    /// Writes the model.
    pub fn run(self) -> Result<(), ExportRunError> {
        let file = RunFolder::at(&self.checkpoint).checkpoint();
        let checkpoint = Checkpoint::read(&file)?;
        let checkpoint =
            checkpoint.ok_or_else(|| ExportRunError::NoRun(self.checkpoint.clone()))?;
        let state = checkpoint.state;
        let mut settings = state.config.options()?.settings(state.config.clone(), []);
        settings.command.clone_from(&state.command);
        let (network, progress) = match self.network {
            Which::Last => (checkpoint.network, last(&state)),
            Which::Best => checkpoint
                .best
                .zip(best(&state))
                .ok_or(ExportRunError::NoBest(self.checkpoint))?,
        };
        let values = values::from_bytes(&settings.unet, &network);
        let values = values.ok_or_else(|| CheckpointError::from(RestoreError::Form))?;
        let bytes = model::onnx(&settings, &values, &progress)?;
        replace(&self.output, &bytes).map_err(|error| WriteError {
            file: self.output,
            error,
        })?;
        Ok(())
    }
}

fn best(state: &State) -> Option<Progress> {
    state.best.map(|judged| Progress {
        images: state.images,
        steps: judged.steps,
        limits: judged.verdict.limits,
        scores: Some(judged.verdict.scores),
    })
}

/// The last network has the limits of the last validation, and scores if nothing was learned since.
fn last(state: &State) -> Progress {
    let judged = state.last;
    let now = judged.filter(|judged| judged.steps == state.steps);
    Progress {
        images: state.images,
        steps: state.steps,
        limits: judged
            .map(|judged| judged.verdict.limits)
            .unwrap_or_default(),
        scores: now.map(|judged| judged.verdict.scores),
    }
}
