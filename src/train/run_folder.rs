//! The folder of a run: what it takes to repeat it, to go on with it, and to judge it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::config::Config;
use super::replace::replace;

/// `cells.run` beside `cells.onnx`. All of its files are replaced as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFolder(PathBuf);

impl RunFolder {
    /// The folder of the run that writes `model`.
    pub fn beside(model: &Path) -> Self {
        RunFolder(model.with_extension("run"))
    }

    /// The folder at this path.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        RunFolder(path.into())
    }

    /// Makes the folder where it is missing, with the options of the run and the names of the images that
    /// are held back.
    pub fn begin<'a>(
        &self,
        config: &Config,
        held_back: impl Iterator<Item = &'a str>,
    ) -> Result<(), WriteError> {
        fs::create_dir_all(&self.0).map_err(|error| WriteError {
            file: self.0.clone(),
            error,
        })?;
        self.write(&self.config(), config.to_string().as_bytes())?;
        let names: String = held_back.flat_map(|name| [name, "\n"]).collect();
        self.write(&self.held_back(), names.as_bytes())
    }

    /// Replaces one of the files below.
    pub fn write(&self, file: &Path, bytes: &[u8]) -> Result<(), WriteError> {
        replace(file, bytes).map_err(|error| WriteError {
            file: file.into(),
            error,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// All options, with which the run can be repeated.
    pub fn config(&self) -> PathBuf {
        self.0.join("config.toml")
    }

    /// The names of the images that are held back, one a line, as `unet-train evaluate --only` reads them.
    pub fn held_back(&self) -> PathBuf {
        self.0.join("held-back.txt")
    }

    /// What it takes to go on.
    pub fn checkpoint(&self) -> PathBuf {
        self.0.join("last.checkpoint")
    }

    /// A line for each step.
    pub fn steps(&self) -> PathBuf {
        self.0.join("log.csv")
    }

    /// The course of the run as a picture.
    pub fn curves(&self) -> PathBuf {
        self.0.join("curves.png")
    }

    /// Curves, scores, settings and sample predictions, as a page for a browser.
    pub fn report(&self) -> PathBuf {
        self.0.join("report.html")
    }

    /// A line for each validation.
    pub fn validations(&self) -> PathBuf {
        self.0.join("validations.csv")
    }
}

/// A file that can't be written.
#[derive(Debug, thiserror::Error)]
#[error("can't write {}: {error}", file.display())]
pub struct WriteError {
    /// The file.
    pub file: PathBuf,
    /// Why.
    pub error: io::Error,
}
