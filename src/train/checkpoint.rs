//! Checkpoints: the state of a run in a file, to resume from.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use burn::store::RecordError;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::config::Config;
use super::learner::RestoreError;
use super::validate::ValidationResult;
use crate::contract::{FeatureRanges, Training};

/// First bytes of a checkpoint of any version.
const NAME: &[u8] = b"unet-train checkpoint ";

/// First bytes of a checkpoint, with the version of the format.
const BEGIN: &[u8] = b"unet-train checkpoint 3\n";

/// Bytes of a SHA-256.
const SUM: usize = 32;

/// Everything that the rest of a run depends on, apart from the data.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// Its progress.
    pub state: State,
    /// The network, as [`weights::bytes`](super::weights::bytes) writes it.
    pub network: Vec<u8>,
    /// The state of the optimizer, as
    /// [`Learner::optimizer_state`](super::learner::Learner::optimizer_state) has it.
    pub optimizer: Vec<u8>,
    /// The best network so far.
    pub best: Option<Vec<u8>>,
}

/// The progress of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Number of steps done. Random numbers depend on it and the seed alone, so their state is not stored.
    pub steps: usize,
    /// Time that learning has taken.
    pub time: Duration,
    /// Share of the budget that is used up.
    pub used: f64,
    /// Whether the run is at its end.
    pub finished: bool,
    /// Number of images to learn from.
    pub images: usize,
    /// The ranges of their features.
    #[serde(default)]
    pub pictures: FeatureRanges,
    /// The [fingerprint](super::dataset::fingerprint) of images and masks; empty in files that have none.
    #[serde(default)]
    pub data: String,
    /// The command line that started it.
    pub command: String,
    /// Number of validations since the best one.
    pub worse: usize,
    /// The last validation.
    pub last: Option<ValidatedNetwork>,
    /// The best one.
    pub best: Option<ValidatedNetwork>,
    /// Its options.
    pub config: Config,
    /// The training of the model that it started from.
    #[serde(default)]
    pub before: Option<Box<Training>>,
}

/// A network and the result of its validation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ValidatedNetwork {
    /// Number of steps that the network had learned for.
    pub steps: usize,
    /// The result; `verdict` in older files.
    #[serde(alias = "verdict")]
    pub result: ValidationResult,
}

/// What is left to do without a checkpoint.
const AGAIN: &str = "start again with --overwrite or another --output; --start-from begins with the weights of a model, such as the best one so far, if the run has written it";

/// Why a checkpoint can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file can't be read.
    #[error("can't read {}: {error}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It is no checkpoint.
    #[error("{} is no checkpoint of unet-train: {AGAIN}", .0.display())]
    NoCheckpoint(PathBuf),
    /// It has the form of another version.
    #[error("{} was written by another version of unet-train: go on with that one, or {AGAIN}", .0.display())]
    Version(PathBuf),
    /// It isn't as it was written.
    #[error("{} is damaged (its checksum does not match): copy it back from a backup, or {AGAIN}", .0.display())]
    Damaged(PathBuf),
    /// Its state of the run can't be parsed.
    #[error("{} was written by another version of unet-train ({error}): go on with that one, or {AGAIN}", file.display())]
    State {
        /// The file.
        file: PathBuf,
        /// Why.
        error: Box<toml::de::Error>,
    },
    /// The optimizer can't be written.
    #[error("can't write the state of the optimizer: {0}")]
    Record(#[from] RecordError),
    /// Network or optimizer can't be restored.
    #[error(
        "can't restore the network or its optimizer from {}: {error}. A run can only be resumed on a device like that on which it was started, and --device auto may have found another one",
        file.display()
    )]
    Restore {
        /// The file.
        file: PathBuf,
        /// Why.
        error: RestoreError,
    },
    /// The state of the run can't be written.
    #[error("can't write the state of the run: {0}")]
    Write(#[from] toml::ser::Error),
}

impl Checkpoint {
    /// The bytes of the file: after [`BEGIN`] the four parts, each after its length in eight bytes, the
    /// lowest first, and at the end the SHA-256 of all that.
    pub fn bytes(&self) -> Result<Vec<u8>, CheckpointError> {
        let state = toml::to_string(&self.state)?;
        let mut bytes = BEGIN.to_vec();
        for part in [
            state.as_bytes(),
            &self.network,
            &self.optimizer,
            self.best.as_deref().unwrap_or_default(),
        ] {
            bytes.extend((part.len() as u64).to_le_bytes());
            bytes.extend(part);
        }
        let sum = Sha256::digest(&bytes);
        bytes.extend(sum);
        Ok(bytes)
    }

    /// Reads a file, if it is there.
    pub fn read(file: &Path) -> Result<Option<Self>, CheckpointError> {
        let bytes = match fs::read(file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(CheckpointError::Read {
                    file: file.into(),
                    error,
                });
            }
        };
        if !bytes.starts_with(NAME) {
            return Err(CheckpointError::NoCheckpoint(file.into()));
        }
        if !bytes.starts_with(BEGIN) {
            return Err(CheckpointError::Version(file.into()));
        }
        let damaged = || CheckpointError::Damaged(file.into());
        let [state, network, optimizer, best] = parts(&bytes).ok_or_else(damaged)?;
        let state = std::str::from_utf8(state).map_err(|_| damaged())?;
        let state = toml::from_str(state).map_err(|error| CheckpointError::State {
            file: file.into(),
            error: Box::new(error),
        })?;
        Ok(Some(Checkpoint {
            state,
            network: network.to_vec(),
            optimizer: optimizer.to_vec(),
            best: (!best.is_empty()).then(|| best.to_vec()),
        }))
    }
}

/// The parts of a file that is not damaged.
fn parts(bytes: &[u8]) -> Option<[&[u8]; 4]> {
    let (bytes, sum) = bytes.split_last_chunk::<SUM>()?;
    let mut left = bytes.strip_prefix(BEGIN)?;
    if Sha256::digest(bytes)[..] != sum[..] {
        return None;
    }
    let mut parts = [&[][..]; 4];
    for part in &mut parts {
        let (length, rest) = left.split_first_chunk::<8>()?;
        let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        (*part, left) = rest.split_at_checked(length)?;
    }
    left.is_empty().then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::limits::Limits;
    use crate::train::metrics::{Scores, cells, membranes};

    fn validated(scores: Scores, min_area: Option<usize>) -> ValidatedNetwork {
        ValidatedNetwork {
            steps: 300,
            result: ValidationResult {
                limits: Limits {
                    threshold: 11.0 / 20.0,
                    min_area,
                    core_threshold: Some(0.75),
                },
                scores,
            },
        }
    }

    #[test]
    fn results_in_older_files_are_read() {
        let network = validated(Scores::Cells(cells::Scores::default()), Some(16));
        let text = toml::to_string(&network).unwrap();
        assert!(text.contains("[result"), "{text}");
        let older = text.replace("[result", "[verdict");
        let read: ValidatedNetwork = toml::from_str(&older).unwrap();
        assert_eq!(read, network);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("checkpoint");
        assert!(Checkpoint::read(&file).unwrap().is_none());
        let cells = Scores::Cells(cells::Scores {
            seg: 1.0 / 3.0,
            ..Default::default()
        });
        let membranes = Scores::Membranes(membranes::Scores::default());
        let state = State {
            steps: 400,
            time: Duration::from_secs_f64(0.1),
            used: 2.0 / 3.0,
            command: "unet-train 'a b'".into(),
            last: Some(validated(cells, Some(16))),
            best: Some(validated(membranes, None)),
            config: Config::parse("width = 3\nname = \"x\"").unwrap(),
            ..State::default()
        };
        let owned = |text: &str| text.as_bytes().to_vec();
        let checkpoint = Checkpoint {
            state: state.clone(),
            network: owned("network"),
            optimizer: owned("optimizer"),
            best: None,
        };
        let bytes = checkpoint.bytes().unwrap();
        fs::write(&file, &bytes).unwrap();
        let read = Checkpoint::read(&file).unwrap().unwrap();
        assert_eq!(read.state, state);
        assert_eq!(
            (&read.network[..], &read.optimizer[..]),
            (&b"network"[..], &b"optimizer"[..])
        );
        assert!(read.best.is_none());

        let mut flipped = bytes.clone();
        flipped[bytes.len() / 2] ^= 1;
        let longer = [&bytes[..], b"x"].concat();
        for (wrong, expected) in [
            (&flipped[..], "is damaged"),
            (&bytes[..bytes.len() - 1], "is damaged"),
            (&longer, "is damaged"),
            (&bytes[1..], "is no checkpoint"),
            (b"", "is no checkpoint"),
            (b"unet-train checkpoint 2\n", "another version"),
        ] {
            fs::write(&file, wrong).unwrap();
            let error = Checkpoint::read(&file).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
