//! The progress and the outcome of a run, as it reports them.

use std::path::PathBuf;
use std::time::Duration;

use crate::train::augment::TileSize;
use crate::train::average::Average;
use crate::train::checkpoint::ValidatedNetwork;
use crate::train::divergence::KeptModel;
use crate::train::metrics::Scores;
use crate::train::validate::ValidationResult;

/// Follows the progress of a run.
pub trait Observer {
    /// The data are read, learning begins.
    fn start(&mut self, start: &StartReport);
    /// A step is done.
    fn step(&mut self, step: &StepReport);
    /// The network was validated after `step` steps; `best` if no earlier one was better.
    fn validated(&mut self, step: usize, result: &ValidationResult, best: bool);
}

/// Facts about a run that are known before its first step.
#[derive(Clone, Debug)]
pub struct StartReport {
    /// A description of the data.
    pub data: String,
    /// Number of images to learn from.
    pub training: usize,
    /// Names of the images held back.
    pub validation: Vec<String>,
    /// Whether these were drawn at random from sequences, so that near copies of them may be learned from.
    pub near_copies: bool,
    /// Number of weights and biases of the network.
    pub parameters: usize,
    /// Size of the tiles.
    pub tile: TileSize,
    /// The device that the network is computed on.
    pub device: String,
    /// Steps that were done before.
    pub steps: usize,
    /// Their average loss.
    pub loss: Average,
    /// Their best scores.
    pub best: Option<Scores>,
    /// The tables of them that are missing.
    pub lost: Vec<PathBuf>,
    /// The existing model; it stays until a network of the run is validated.
    pub kept: KeptModel,
    /// The folder of the run, where it could not be locked.
    pub unlocked: Option<PathBuf>,
}

/// The progress of a run after a step.
#[derive(Clone, Copy, Debug)]
pub struct StepReport {
    /// Number of steps done.
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
    /// Number of steps that were done.
    pub steps: usize,
    /// The best network, if one was validated.
    pub best: Option<ValidatedNetwork>,
    /// Whether the run is at its end; else it was stopped, and can be resumed.
    pub finished: bool,
    /// Time that learning took.
    pub time: Duration,
}
