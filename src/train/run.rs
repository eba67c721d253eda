//! A training run from the folders to the model's file.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use burn::tensor::Device;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::augment::TileSize;
use super::checkpoint;
use super::dataset::{self, DatasetError, Sample, Source, Split};
use super::feeder::Feeder;
use super::learner::Learner;
use super::metrics::Measure;
use super::model::{self, Progress};
use super::network::initial_weights;
use super::prepare::prepare;
use super::schedule::learning_rate;
use super::settings::Settings;
use super::validate::{Verdict, validate};
use crate::onnx::export::ExportError;
use crate::tiling::PlanError;

/// Why a run ended without being finished.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The data can't be used.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// The loss is infinite or not a number.
    #[error(
        "the loss of step {step} is {loss}: training has diverged. A smaller learning rate may help; the best model until then is kept"
    )]
    Diverged {
        /// The step.
        step: usize,
        /// Its loss.
        loss: f32,
    },
    /// The model's file can't be written.
    #[error("can't write {}: {error}", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// An image held back has a size that can't be segmented.
    #[error("validation: {0}")]
    Plan(#[from] PlanError),
    /// The network can't be exported.
    #[error(transparent)]
    Export(#[from] ExportError),
}

impl RunError {
    fn write(file: &Path, error: std::io::Error) -> Self {
        RunError::Write {
            file: file.into(),
            error,
        }
    }
}

/// What a run tells while it goes on.
pub trait Observer {
    /// The data are read, learning begins.
    fn start(&mut self, start: &Start);
    /// A step is done.
    fn step(&mut self, step: &Step);
    /// The network was validated after `step` steps; `best` if no earlier one was better.
    fn validated(&mut self, step: usize, verdict: &Verdict, best: bool);
}

/// What is known before the first step.
#[derive(Clone, Debug)]
pub struct Start {
    /// What the data were taken for.
    pub data: String,
    /// Images to learn from.
    pub training: usize,
    /// Names of the images held back.
    pub validation: Vec<String>,
    /// Weights and biases of the network.
    pub parameters: usize,
    /// Size of the tiles.
    pub tile: TileSize,
    /// What the network is computed on.
    pub device: &'static str,
}

/// What is known after a step.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Steps done.
    pub number: usize,
    /// Loss of this step.
    pub loss: f32,
    /// Share of the budget that is used up.
    pub used: f64,
    /// Time since the first step began.
    pub time: Duration,
}

/// The best model of a run.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Steps that the run had.
    pub steps: usize,
    /// Step after which the network was best.
    pub best_step: usize,
    /// What it is worth.
    pub verdict: Verdict,
    /// How long learning took.
    pub time: Duration,
}

/// Trains a network as `settings` say. The best one by validation is in the file
/// [`Settings::output`] from the first validation on.
pub fn run(settings: &Settings, observer: &mut dyn Observer) -> Result<Outcome, RunError> {
    let file = &settings.output;
    checkpoint::check(file).map_err(|error| RunError::write(file, error))?;
    let mut rng = StdRng::seed_from_u64(settings.seed);
    let dataset = dataset::load(&settings.source)?;
    let data = dataset.to_string();
    let kind = dataset.kind;
    let measure = kind.into();
    let mut split = dataset.split(&settings.holdout, &mut rng)?;
    if let Some(masks) = &settings.holdout.validation_masks {
        let better = Source {
            masks: Some(masks.clone()),
            annotated_only: true,
            kind: Some(kind),
            ..settings.source.clone()
        };
        split = split.judged_by(dataset::load(&better)?)?;
    }
    let Split {
        training,
        validation,
    } = split;
    let tile = TileSize::legal(&settings.unet.geometry(), settings.tile);
    let device = Device::flex();
    device.seed(settings.seed);
    observer.start(&Start {
        data,
        training: training.len(),
        validation: validation.iter().map(|s| s.name.clone()).collect(),
        parameters: settings.unet.parameters(),
        tile,
        device: "CPU (burn flex)",
    });
    let images = training.len();
    let feeder = Feeder::start(
        Arc::new(prepare(training, &settings.weighting)),
        settings.augmentation,
        tile,
        settings.batch,
        settings.seed,
    );
    let weights = initial_weights(&settings.unet, &mut rng);
    let learner = Learner::new(settings, &weights, &device);
    Run {
        settings,
        learner,
        validation,
        measure,
        images,
        best: None,
    }
    .go(&feeder, observer)
}

/// A run under way.
struct Run<'a> {
    settings: &'a Settings,
    learner: Learner,
    validation: Vec<Sample>,
    /// What networks are judged by.
    measure: Measure,
    /// Images learned from.
    images: usize,
    /// Steps of the best network so far, and what it is worth.
    best: Option<(usize, Verdict)>,
}

impl Run<'_> {
    fn go(mut self, feeder: &Feeder, observer: &mut dyn Observer) -> Result<Outcome, RunError> {
        let begin = Instant::now();
        let mut steps = 0;
        let mut used = 0.0;
        while used < 1.0 {
            let rate = learning_rate(self.settings.learning_rate, used);
            let loss = self.learner.step(&feeder.next(), rate);
            steps += 1;
            if !loss.is_finite() {
                return Err(RunError::Diverged { step: steps, loss });
            }
            used = self.settings.budget.used(steps, begin.elapsed());
            observer.step(&Step {
                number: steps,
                loss,
                used,
                time: begin.elapsed(),
            });
            if steps % self.settings.validate_every == 0 || used >= 1.0 {
                self.validate(steps, observer)?;
            }
        }
        let (best_step, verdict) = self
            .best
            .expect("the last step was validated, so that there is a best one");
        Ok(Outcome {
            steps,
            best_step,
            verdict,
            time: begin.elapsed(),
        })
    }

    /// Judges the network, and writes it if it is the best so far.
    fn validate(&mut self, steps: usize, observer: &mut dyn Observer) -> Result<(), RunError> {
        let (network, device) = self.learner.judged();
        let verdict = validate(&network, &self.validation, self.measure, &device)?;
        let worth = |verdict: &Verdict| verdict.scores.worth();
        let better = |(_, best): (usize, Verdict)| worth(&verdict) > worth(&best);
        let best = self.best.is_none_or(better);
        if best {
            self.best = Some((steps, verdict));
            let progress = Progress {
                images: self.images,
                steps,
                verdict,
            };
            let bytes = model::onnx(self.settings, &network.weights(), &progress)?;
            let file = &self.settings.output;
            checkpoint::replace(file, &bytes).map_err(|error| RunError::write(file, error))?;
        }
        observer.validated(steps, &verdict, best);
        Ok(())
    }
}
