//! What goes wrong with a model.

use std::path::{Path, PathBuf};

use super::file;
use super::library::LibraryError;
use super::stopping::process_exit;
use crate::bioimageio::PackageError;
use crate::contract::ContractError;
use crate::onnx;

/// Why a model can't be used, or a run of it failed. Every message names the file.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// There is no usable ONNX Runtime.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// The file can't be read.
    #[error("model {path}: {source}")]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
    /// The path names a folder, a device or the like.
    #[error("model {path} is {what}, not a regular file")]
    NotAFile { path: PathBuf, what: &'static str },
    /// The file has no bytes.
    #[error("model {path} is empty")]
    Empty { path: PathBuf },
    /// The file has more bytes, `size`, than an ONNX file may have.
    #[error(
        "model {path} has {size} bytes, and the format allows {}",
        file::LARGEST
    )]
    TooLarge { path: PathBuf, size: u64 },
    /// The file holds something else.
    #[error("model {path} is not an ONNX file")]
    NotOnnx { path: PathBuf },
    /// The file begins as ONNX or as a package, and does not go on as such.
    #[error("model {path} is damaged or truncated: {reason}")]
    Damaged { path: PathBuf, reason: String },
    /// Weights lie in another file, which [`Options::allow_external_data`](super::Options) does not allow.
    #[error(
        "model {path} keeps weights in another file. Save it as one file: onnx.save(onnx.load(\"model.onnx\"), \"whole.onnx\") in Python; or, where you trust whoever made it, set allow-external-data=true"
    )]
    Split { path: PathBuf },
    /// Weights lie in another file, which is allowed, but that file is not as the model says.
    #[error(
        "model {path} keeps weights in another file, which can't be taken: {reason}. Save it as one file: onnx.save(onnx.load(\"model.onnx\"), \"whole.onnx\") in Python"
    )]
    External { path: PathBuf, reason: String },
    /// The graph could crash the process or take all memory.
    #[error("model {path} is refused: {refusal}")]
    Refused {
        path: PathBuf,
        refusal: Box<onnx::scan::Refusal>,
    },
    /// The contract that the file carries can't be read, or contradicts itself.
    #[error("model {path}: {source}")]
    Contract {
        path: PathBuf,
        source: ContractError,
    },
    /// The package of the BioImage Model Zoo around the graph can't be used.
    #[error("model {path}: {source}")]
    Package {
        path: PathBuf,
        source: Box<PackageError>,
    },
    /// The network takes or gives something else than pictures and maps of classes, or something else than its
    /// contract promises.
    #[error("model {path} does not fit: {reason}")]
    Unfit { path: PathBuf, reason: String },
    /// The execution provider that was asked for is missing, or does not take the model.
    #[error("execution provider {provider} can't be used: {reason}")]
    Provider { provider: String, reason: String },
    /// The [`Options`](super::Options) contradict each other.
    #[error("{reason}")]
    Options { reason: String },
    /// ONNX Runtime does not take the model.
    #[error("model {path} can't be loaded: {reason}")]
    Load { path: PathBuf, reason: String },
    /// ONNX Runtime has ended a run with an error. After one on a frame there are no more runs in that session, but
    /// where memory was short: the model has to be opened again.
    #[error("model {path}: inference failed: {reason}")]
    Run { path: PathBuf, reason: String },
    /// As [`Run`](Self::Run), where the scores hold infinities or NaN.
    #[error("model {path}: its output for a frame has values that are not finite")]
    NotFinite { path: PathBuf },
    /// Another model has failed on a frame in the session that both
    /// [share](super::Model::shares_session_with). Opened again, this one gets another session.
    #[error("model {path}: the session that it shares has failed in a run of another user")]
    SharedFault { path: PathBuf },
    /// The first run took longer than it may: `seconds`.
    #[error(
        "model {path}: a run on a black tile took longer than {seconds} s. Lower tile-memory or tile-size, or take a smaller network"
    )]
    Slow { path: PathBuf, seconds: u64 },
    /// A [`Stopper`](super::Stopper) or [`Canceller`](super::Canceller) has ended it, or the process ends.
    #[error("model {path}: the run was stopped")]
    Stopped { path: PathBuf },
}

impl ModelError {
    /// Whether memory is short. ONNX Runtime has no code for that, only words.
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
    match process_exit::is_ending() {
        true => ModelError::Stopped { path },
        false => ModelError::Run {
            path,
            reason: "its session was lost to a panic".into(),
        },
    }
}

/// The error of a network that is not as it has to be.
pub(super) fn unfit(path: &Path, reason: String) -> ModelError {
    ModelError::Unfit {
        path: path.to_owned(),
        reason,
    }
}

/// The error of a run that ONNX Runtime has ended.
pub(super) fn run_error(path: &Path, error: &ort::Error) -> ModelError {
    ModelError::Run {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}
