//! Errors of opening and running a model.

use std::path::{Path, PathBuf};

use super::file;
use super::library::LibraryError;
use super::stopping::process_exit;
use crate::bioimageio::PackageError;
use crate::contract::ContractError;
use crate::onnx;

/// Why a model can't be used, or why a run of it failed. Every message names the file.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// There is no usable ONNX Runtime.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// The file can't be read.
    #[error("model {path} can't be read: {source}")]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
    /// The path names a directory, a device or the like.
    #[error("model {path} is {what}, not a regular file")]
    NotAFile { path: PathBuf, what: &'static str },
    /// The file is empty.
    #[error("model {path} is empty. Export or download it again")]
    Empty { path: PathBuf },
    /// The file is larger, at `size` bytes, than an ONNX file can be.
    #[error(
        "model {path} has {size} bytes, but an ONNX file can have at most {}",
        file::LARGEST
    )]
    TooLarge { path: PathBuf, size: u64 },
    /// The file is in another format.
    #[error(
        "model {path} is not an ONNX file. Name one, or a BioImage.IO package that contains one"
    )]
    NotOnnx { path: PathBuf },
    /// The file starts as an ONNX file or a package, but the rest is malformed.
    #[error("model {path} is damaged or truncated: {reason}. Export or download it again")]
    Damaged { path: PathBuf, reason: String },
    /// Weights are stored in another file, which [`Options::allow_external_data`](super::Options) does not permit.
    #[error(
        "model {path} keeps weights in another file. Save it as one file: onnx.save(onnx.load(\"model.onnx\"), \"whole.onnx\") in Python; or, if you trust whoever made it, set allow-external-data=true"
    )]
    ExternalDataDenied { path: PathBuf },
    /// Weights are stored in another file, which is permitted, but that file doesn't match the model.
    #[error(
        "model {path} keeps weights in another file, which can't be used: {reason}. Save it as one file: onnx.save(onnx.load(\"model.onnx\"), \"whole.onnx\") in Python"
    )]
    BadExternalData { path: PathBuf, reason: String },
    /// The graph could crash the process or take all memory.
    #[error("model {path} is refused: {refusal}")]
    Refused {
        path: PathBuf,
        refusal: Box<onnx::scan::Refusal>,
    },
    /// The contract in the file can't be read, or contradicts itself.
    #[error("model {path}: {source}")]
    Contract {
        path: PathBuf,
        source: ContractError,
    },
    /// The BioImage.IO package that contains the graph can't be used.
    #[error("model {path}: {source}")]
    Package {
        path: PathBuf,
        source: Box<PackageError>,
    },
    /// The network does not map pictures to maps of classes, or breaks its contract.
    #[error("model {path} does not fit: {reason}")]
    Unfit { path: PathBuf, reason: String },
    /// The requested execution provider is missing, or rejects the model.
    #[error("execution provider {provider} can't be used: {reason}")]
    Provider { provider: String, reason: String },
    /// The [`Options`](super::Options) contradict each other.
    #[error("{reason}")]
    Options { reason: String },
    /// ONNX Runtime rejects the model, or it can't be loaded for another reason, which says what to do.
    #[error(
        "model {path} can't be loaded: {}{}",
        unended(reason),
        loading_remedy(reason)
    )]
    Load { path: PathBuf, reason: String },
    /// A run failed in ONNX Runtime. If it was on a frame, and the reason was not a lack of memory, the session can't
    /// be used any more: the model has to be opened again.
    #[error(
        "model {path}: inference failed: {}. {}",
        unended(reason),
        run_remedy(reason)
    )]
    Run { path: PathBuf, reason: String },
    /// As [`Run`](Self::Run), because the scores contain infinities or NaN.
    #[error(
        "model {path}: its output for a frame contains values that are not finite. Export the model again in 32-bit floats, or try another execution-provider"
    )]
    NotFinite { path: PathBuf },
    /// Another model has failed on a frame in the session that both
    /// [share](super::Model::shares_session_with). Opened again, this one gets a new session.
    #[error("model {path}: the session that it shares failed in a run of another user")]
    SharedFault { path: PathBuf },
    /// The first run exceeded its time limit of `seconds`.
    #[error(
        "model {path}: a run on a black tile took longer than {seconds} s. Lower tile-memory or tile-size, or use a smaller network"
    )]
    Slow { path: PathBuf, seconds: u64 },
    /// A thread that loads it, or that ends its first run when time is up, can't be created.
    #[error("model {path} can't be used now: {reason}")]
    NoThread { path: PathBuf, reason: String },
    /// A [`Stopper`](super::Stopper) or [`Canceller`](super::Canceller) has ended it, or the process is exiting.
    #[error("model {path}: the run was stopped")]
    Stopped { path: PathBuf },
}

impl ModelError {
    /// Whether memory ran out. ONNX Runtime has no error code for that, only words.
    pub fn is_out_of_memory(&self) -> bool {
        match self {
            Self::Run { reason, .. } | Self::Load { reason, .. } => lacks_memory(reason),
            // What it lacks is most often the memory of a stack.
            Self::NoThread { .. } => true,
            _ => false,
        }
    }
}

/// Whether `reason` is a lack of memory.
fn lacks_memory(reason: &str) -> bool {
    let reason = reason.to_lowercase();
    let words = [
        "bad_alloc",
        "bad allocation",
        "out of memory",
        "failed to allocate memory",
    ];
    words.iter().any(|words| reason.contains(words))
}

/// The text of ONNX Runtime without a full stop, which only some of its messages have.
fn unended(reason: &str) -> &str {
    reason.trim_end().trim_end_matches('.')
}

/// What to do where a model can't be loaded for `reason`, unless that says so itself.
fn loading_remedy(reason: &str) -> &'static str {
    let says = |words: &[&str]| words.iter().any(|words| reason.contains(words));
    if lacks_memory(reason) {
        ". Close other programs, set convolution=direct if it is not, or use a smaller network"
    } else if says(&["opset", "IR version", "No Op registered"]) {
        ". Export it again with an older opset, or use a newer ONNX Runtime"
    } else if says(&["implementation"]) {
        ". Export it again in 32-bit floats or with an older opset, or use a newer ONNX Runtime"
    } else if says(&["invalid model"]) {
        ". Export it again"
    } else {
        ""
    }
}

/// What to do where a run has failed for `reason`.
fn run_remedy(reason: &str) -> &'static str {
    if lacks_memory(reason) {
        "Lower tile-memory, close other programs or use smaller frames"
    } else {
        "Export the model again, or try another execution-provider"
    }
}

/// The error where a panic in another thread has destroyed a shared session, or the process is exiting.
pub(super) fn lost(path: &Path) -> ModelError {
    let path = path.to_owned();
    if process_exit::is_exiting() {
        ModelError::Stopped { path }
    } else {
        ModelError::Run {
            path,
            reason: "its session was destroyed by a panic".into(),
        }
    }
}

/// The error of a network that can't be used.
pub(super) fn unfit(path: &Path, reason: String) -> ModelError {
    ModelError::Unfit {
        path: path.to_owned(),
        reason,
    }
}

/// The error of a run that failed in ONNX Runtime.
pub(super) fn run_error(path: &Path, error: &ort::Error) -> ModelError {
    ModelError::Run {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_runtime_say_what_to_do() {
        let path = || PathBuf::from("cells.onnx");
        let load = |reason: &str| {
            let (path, reason) = (path(), reason.to_owned());
            ModelError::Load { path, reason }.to_string()
        };
        let run = |reason: &str| {
            let (path, reason) = (path(), reason.to_owned());
            ModelError::Run { path, reason }.to_string()
        };
        assert!(load("std::bad_alloc").ends_with("use a smaller network"));
        assert!(load("till opset 21.").contains("opset 21. Export"));
        assert!(run("std::bad_alloc").contains("std::bad_alloc. Lower tile-memory"));
        assert!(run("out of data bounds").ends_with("execution-provider"));
    }
}
