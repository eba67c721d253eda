//! `unet-train export`.

use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};

use super::package::{self, PackageError, PackageOptions};
use crate::onnx::export::ExportError;
use crate::train::arguments::quoted;
use crate::train::checkpoint::{Checkpoint, CheckpointError};
use crate::train::config::ConfigError;
use crate::train::replace::{Exists, WriteError, allow, check, replace};
use crate::train::run_folder::RunFolder;
use crate::train::terminal::say;
use crate::train::trained_model::{self, Progress};
use crate::train::weights;

/// Write a network of a run as a model, or a model as a package for BioImage.IO.
///
/// `train` already writes the best network of a run; this writes it again, or the
/// most recent one, from the folder of a run, finished or not.
///
///   unet-train export --checkpoint cells.run --network last --output last.onnx
///
/// A package holds the model, a description that other programs read, and a
/// picture with the model's output for it, which they test the model with.
///
///   unet-train export --bioimageio --model cells.onnx --author "A. Name" \
///       --license CC-BY-4.0 --output cells
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
#[command(group(ArgGroup::new("source").required(true).args(["checkpoint", "model"])))]
pub struct Export {
    /// Folder of the run
    #[arg(long, value_name = "FOLDER")]
    checkpoint: Option<PathBuf>,
    /// Model or package to write
    #[arg(long, value_name = "FILE.onnx|FOLDER|FILE.zip")]
    output: PathBuf,
    /// Replace existing files
    #[arg(long)]
    overwrite: bool,
    /// Which network of the run
    #[arg(long, value_enum, default_value_t, conflicts_with = "model")]
    network: NetworkChoice,
    #[command(flatten)]
    package: PackageOptions,
}

/// A network of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum NetworkChoice {
    /// The one with the best scores on the images held back
    #[default]
    Best,
    /// The most recent one
    Last,
}

/// Why a model or a package can't be written.
#[derive(Debug, thiserror::Error)]
pub enum ExportRunError {
    /// A file instead of a folder, such as the model of the run.
    #[error("{} is a file: name the folder of the run, which is cells.run beside cells.onnx", .0.display())]
    NoFolder(PathBuf),
    /// The folder is not one of a run.
    #[error("there is no checkpoint in {}", .0.display())]
    NoRun(PathBuf),
    /// The run has had no validation.
    #[error("no network of the run in {} has been validated yet; use --network last", .0.display())]
    NoBest(PathBuf),
    /// The run has taken no step.
    #[error(
        "the run in {} has taken no step yet, so its network has learned nothing; continue it by unet-train train --config {} --resume",
        folder.path().display(),
        quoted(&folder.config().to_string_lossy())
    )]
    NothingLearned {
        /// Its folder.
        folder: RunFolder,
    },
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
    /// The package can't be made.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// A file would be lost.
    #[error(transparent)]
    Exists(#[from] Exists),
}

impl Export {
    /// Writes the model or the package.
    pub fn run(self) -> Result<(), ExportRunError> {
        let files = match self.package.model {
            Some(_) => {
                package::check_output(&self.output)?;
                package::files(&self.output)
            }
            None => {
                check(&self.output)?;
                vec![self.output.clone()]
            }
        };
        allow(files, self.overwrite)?;
        match (&self.package.model, self.checkpoint) {
            (Some(model), _) => {
                self.package.write(model, &self.output)?;
                let (model, output) = (model.display(), self.output.display());
                say(&format!("{output}: BioImage.IO package of {model}"));
                Ok(())
            }
            (None, Some(folder)) => write_network(folder, self.network, self.output),
            // The argument group requires one of them.
            (None, None) => Ok(()),
        }
    }
}

/// Writes a network of the run in `folder`.
fn write_network(
    folder: PathBuf,
    network: NetworkChoice,
    output: PathBuf,
) -> Result<(), ExportRunError> {
    if folder.is_file() {
        return Err(ExportRunError::NoFolder(folder));
    }
    let run = RunFolder::at(&folder);
    let file = run.checkpoint();
    let checkpoint = Checkpoint::read(&file)?;
    let checkpoint = checkpoint.ok_or_else(|| ExportRunError::NoRun(folder.clone()))?;
    let state = checkpoint.state;
    let mut settings = state.config.options()?.settings(state.config.clone(), []);
    settings.command.clone_from(&state.command);
    let is_validated = network == NetworkChoice::Best && state.best.is_some();
    if state.steps == 0 && !is_validated {
        // Random weights are no model.
        return Err(ExportRunError::NothingLearned { folder: run });
    }
    let (which, network, progress) = match network {
        NetworkChoice::Last => ("last", checkpoint.network, Progress::last(&state)),
        NetworkChoice::Best => {
            let validated = state
                .best
                .map(|network| Progress::validated(&state, &network));
            let best = checkpoint.best.zip(validated);
            let (network, progress) = best.ok_or(ExportRunError::NoBest(folder))?;
            ("best", network, progress)
        }
    };
    let values = weights::from_bytes(&settings.unet, &network);
    let values = values.ok_or(CheckpointError::Damaged(file))?;
    let bytes = trained_model::onnx(&settings, &values, &progress)?;
    replace(&output, &bytes)?;
    let (output, steps) = (output.display(), progress.steps);
    say(&format!("{output}: {which} network, after {steps} steps"));
    Ok(())
}
