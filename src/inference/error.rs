//! What goes wrong with a model.

use std::path::{Path, PathBuf};

use super::ending;
use super::file;
use super::library::LibraryError;
use crate::bioimageio::PackageError;
use crate::contract::ContractError;
use crate::onnx;

/// Why a model can't be used, or a run of it failed. Every message names the file.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    #[error(transparent)]
    Library(#[from] LibraryError),
    #[error("model {path}: {source}")]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("model {path} is {what}, not a regular file")]
    NotAFile { path: PathBuf, what: &'static str },
    #[error("model {path} is empty")]
    Empty { path: PathBuf },
    #[error(
        "model {path} has {size} bytes, and the format allows {}",
        file::LARGEST
    )]
    TooLarge { path: PathBuf, size: u64 },
    #[error("model {path} is not an ONNX file")]
    NotOnnx { path: PathBuf },
    #[error("model {path} is damaged or truncated: {reason}")]
    Damaged { path: PathBuf, reason: String },
    #[error(
        "model {path} keeps weights in another file. Save it as one file: onnx.save(onnx.load(\"model.onnx\"), \"whole.onnx\") in Python; or, where you trust whoever made it, set allow-external-data=true"
    )]
    Split { path: PathBuf },
    #[error(
        "model {path} keeps weights in another file, which can't be taken: {reason}. Save it as one file: onnx.save(onnx.load(\"model.onnx\"), \"whole.onnx\") in Python"
    )]
    External { path: PathBuf, reason: String },
    /// It could do harm.
    #[error("model {path} is refused: {refusal}")]
    Refused {
        path: PathBuf,
        refusal: Box<onnx::scan::Refusal>,
    },
    #[error("model {path}: {source}")]
    Contract {
        path: PathBuf,
        source: ContractError,
    },
    #[error("model {path}: {source}")]
    Package {
        path: PathBuf,
        source: Box<PackageError>,
    },
    #[error("model {path} does not fit: {reason}")]
    Unfit { path: PathBuf, reason: String },
    #[error("execution provider {provider} can't be used: {reason}")]
    Provider { provider: String, reason: String },
    #[error("{reason}")]
    Options { reason: String },
    #[error("model {path} can't be loaded: {reason}")]
    Load { path: PathBuf, reason: String },
    #[error("model {path}: inference failed: {reason}")]
    Run { path: PathBuf, reason: String },
    #[error("model {path}: its output for a frame holds values that are no finite numbers")]
    NotFinite { path: PathBuf },
    #[error(
        "model {path}: a run on a black tile took longer than {seconds} s. Lower tile-memory or tile-size, or take a smaller network"
    )]
    Slow { path: PathBuf, seconds: u64 },
    /// Somebody [stopped](Stopper::stop) it.
    #[error("model {path}: the run was stopped")]
    Stopped { path: PathBuf },
}

impl ModelError {
    /// Whether it is memory that lacks. ONNX Runtime has no code for it, only words.
    pub fn is_out_of_memory(&self) -> bool {
        let (Self::Run { reason, .. } | Self::Load { reason, .. }) = self else {
            return false;
        };
        let reason = reason.to_lowercase();
        let words = [
            "bad_alloc",
            "bad allocation",
            "out of memory",
            "failed to allocate memory",
        ];
        words.iter().any(|words| reason.contains(words))
    }
}

/// The error where a panic in another thread has taken a shared session along, or the process ends.
pub(super) fn lost(path: &Path) -> ModelError {
    let path = path.to_owned();
    match ending::is_ending() {
        true => ModelError::Stopped { path },
        false => ModelError::Run {
            path,
            reason: "its session was lost to a panic".into(),
        },
    }
}

pub(super) fn unfit(path: &Path, reason: String) -> ModelError {
    ModelError::Unfit {
        path: path.to_owned(),
        reason,
    }
}

pub(super) fn run_error(path: &Path, error: &ort::Error) -> ModelError {
    ModelError::Run {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}
