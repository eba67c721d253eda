//! The training loop: steps, validations, checkpoints and reports.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use burn::tensor::Device;

use super::checkpoint::{Checkpoint, CheckpointError, State, ValidatedNetwork};
use super::dataset::{Sample, spread};
use super::divergence::{Diverged, KeptModel, Symptom};
use super::feeder::Feeder;
use super::learner::Learner;
use super::log::{Log, StepLine, ValidationLine};
use super::metrics::Measure;
use super::network::Scorer;
use super::random::{Purpose, number};
use super::replace::{WriteError, replace};
use super::run::{Observer, Outcome, RunError, StepReport};
use super::run_folder::RunFolder;
use super::schedule::learning_rate;
use super::settings::Settings;
use super::show::draw_outlines;
use super::trained_model::{self, Progress};
use super::validate::{segment, validate};
use super::{report, weights};
use crate::onnx::export::Parameters;

/// Images that the report shows.
const SAMPLES: usize = 4;

/// A run in progress.
pub struct TrainingLoop<'a> {
    /// Its settings.
    pub settings: &'a Settings,
    /// The folder of its files.
    pub folder: RunFolder,
    /// The network and its optimizer.
    pub learner: Learner,
    /// The device that they are on.
    pub device: Device,
    /// The images held back.
    pub validation: Vec<Sample>,
    /// How networks are scored.
    pub measure: Measure,
    /// Its progress.
    pub state: State,
    /// The best network so far.
    pub best: Option<Vec<Parameters>>,
    /// All steps and validations so far.
    pub log: Log,
    /// Set to stop after the current step.
    pub stop: &'a AtomicBool,
}

impl TrainingLoop<'_> {
    /// Trains until the budget is used up, validations have stopped improving, or `stop` is set. From the start on,
    /// the folder holds everything needed to resume.
    pub fn run(
        mut self,
        feeder: &Feeder,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, RunError> {
        let start = Instant::now();
        let before = self.state.time;
        self.save()?;
        self.restore_model()?;
        let mut saved = Instant::now();
        if self.state.best.is_none() && self.state.steps == 0 && self.settings.start_from.is_some()
        {
            // The model that it starts from may be better than anything learned here.
            self.validate(observer)?;
        }
        while !self.state.finished && !self.stop.load(Ordering::Relaxed) {
            self.step(feeder, before, start, observer)?;
            let ends = self.state.used >= 1.0;
            let validates = ends
                || self
                    .state
                    .steps
                    .is_multiple_of(self.settings.validate_every);
            if validates {
                self.validate(observer)?;
                let patience = self.settings.patience;
                let patient = patience.is_none_or(|patience| self.state.worse < patience);
                self.state.finished = ends || !patient;
            }
            if self.state.finished {
                // Before the checkpoint says that the run is finished: one that is killed here repeats its last steps.
                self.report(&self.samples()?)?;
            }
            if validates || saved.elapsed() >= self.settings.checkpoint_every {
                self.save()?;
                saved = Instant::now();
            }
            if validates && !self.state.finished {
                self.report(&[])?;
            }
        }
        if !self.state.finished {
            self.save()?;
            self.write_first_model()?;
            self.report(&self.samples()?)?;
        }
        Ok(Outcome {
            steps: self.state.steps,
            best: self.state.best,
            finished: self.state.finished,
            time: self.state.time,
        })
    }

    /// Makes a step. `before` is the time that learning has taken before `start`.
    fn step(
        &mut self,
        feeder: &Feeder,
        before: Duration,
        start: Instant,
        observer: &mut dyn Observer,
    ) -> Result<(), RunError> {
        let state = &mut self.state;
        let rate = learning_rate(self.settings.learning_rate, state.used);
        let dropout = number(self.settings.seed, Purpose::Dropout, state.steps as u64);
        let loss = self.learner.step(&feeder.next(), rate, dropout);
        state.steps += 1;
        if !loss.is_finite() {
            let step = state.steps;
            return Err(self.diverged(Symptom::Loss { step, loss }));
        }
        state.time = before + start.elapsed();
        state.used = self.settings.budget.used(state.steps, state.time);
        self.log.steps.push(StepLine {
            step: state.steps,
            loss,
            learning_rate: rate,
            seconds: state.time.as_secs_f64(),
        });
        observer.step(&StepReport {
            number: state.steps,
            loss,
            used: state.used,
            time: state.time,
        });
        Ok(())
    }

    /// Validates the network, and writes it if it is the best so far.
    fn validate(&mut self, observer: &mut dyn Observer) -> Result<(), RunError> {
        let network = self.validated_network()?;
        let rank = |network: &ValidatedNetwork| network.result.scores.rank();
        let better = |best: ValidatedNetwork| rank(&network) > rank(&best);
        let best = self.state.best.is_none_or(better);
        self.state.last = Some(network);
        self.state.worse += 1;
        if best {
            self.state.worse = 0;
            self.state.best = Some(network);
            self.best = Some(self.learner.values());
            self.write_model(&network, &self.learner.values())?;
        }
        let seconds = self.state.time.as_secs_f64();
        let classes = self.settings.unet.classes;
        let line = ValidationLine::new(network.steps, seconds, &network.result, classes);
        self.log.validations.push(line);
        observer.validated(network.steps, &network.result, best);
        Ok(())
    }

    fn validated_network(&self) -> Result<ValidatedNetwork, RunError> {
        self.check()?;
        let unet = &self.settings.unet;
        let mut scorer = Scorer::new(*unet, self.learner.values(), &self.device);
        Ok(ValidatedNetwork {
            steps: self.state.steps,
            result: validate(unet, &mut scorer, &self.validation, self.measure)?,
        })
    }

    /// Refuses a network with weights that are not finite, which it may have though its last loss was.
    fn check(&self) -> Result<(), RunError> {
        if weights::are_finite(&self.learner.values()) {
            Ok(())
        } else {
            Err(self.diverged(Symptom::Weights(self.state.steps)))
        }
    }

    /// The error that ends a diverged run. Log and report are written, for they show what has gone wrong.
    fn diverged(&self, symptom: Symptom) -> RunError {
        let written = self.write_tables().map_err(RunError::from);
        let written = written.and_then(|()| self.report(&[]));
        RunError::Diverged(Diverged {
            symptom,
            kept: KeptModel::of(&self.state, &self.settings.output),
            unwritten: written.err().map(|error| error.to_string()),
        })
    }

    /// Writes a model if the run stops before its first validation. That validation isn't part of the checkpoint, so a
    /// resumed run is the same as an uninterrupted one. Random weights are no model, and would replace one.
    fn write_first_model(&self) -> Result<(), RunError> {
        match self.state.best {
            None if self.state.steps > 0 => {
                self.write_model(&self.validated_network()?, &self.learner.values())
            }
            _ => Ok(()),
        }
    }

    /// Writes the best network of a resumed run if its file is gone: no later network may be better.
    fn restore_model(&self) -> Result<(), RunError> {
        match (&self.state.best, &self.best) {
            (Some(network), Some(values)) if !self.settings.output.exists() => {
                self.write_model(network, values)
            }
            _ => Ok(()),
        }
    }

    /// Writes a network with these values as the model.
    fn write_model(
        &self,
        network: &ValidatedNetwork,
        values: &[Parameters],
    ) -> Result<(), RunError> {
        let progress = Progress::validated(&self.state, network);
        let bytes = trained_model::onnx(self.settings, values, &progress)?;
        replace(&self.settings.output, &bytes)?;
        Ok(())
    }

    /// Writes everything needed to resume; the tables first, so that they are never shorter than the run.
    fn save(&self) -> Result<(), RunError> {
        self.check()?;
        self.write_tables()?;
        let checkpoint = self.checkpoint()?.bytes()?;
        replace(&self.folder.checkpoint(), &checkpoint)?;
        Ok(())
    }

    fn write_tables(&self) -> Result<(), WriteError> {
        let folder = &self.folder;
        replace(&folder.steps(), self.log.steps_table().as_bytes())?;
        let validations = self.log.validations_table();
        replace(&folder.validations(), validations.as_bytes())
    }

    /// Writes curves and page; with samples at the end only, since these take a while.
    fn report(&self, samples: &[report::Sample]) -> Result<(), RunError> {
        let model = (&self.settings.name[..], self.settings.unet.classes);
        report::write(&self.folder, model, &self.state, &self.log, samples)?;
        Ok(())
    }

    /// The predictions of the best network for some of the images held back.
    fn samples(&self) -> Result<Vec<report::Sample>, RunError> {
        let (Some(best), Some(network)) = (&self.best, self.state.best) else {
            return Ok(Vec::new());
        };
        let unet = &self.settings.unet;
        let mut scorer = Scorer::new(*unet, best.clone(), &self.device);
        let mut draw = |Sample {
                            name, image, truth, ..
                        }: &Sample| {
            let found = segment(unet, &mut scorer, image)?;
            let objects = truth.judged(found.objects(network.result.limits));
            Ok(report::Sample {
                name: name.clone(),
                picture: draw_outlines(image, &truth.objects(), &objects),
            })
        };
        spread(&self.validation, SAMPLES).map(&mut draw).collect()
    }

    fn checkpoint(&self) -> Result<Checkpoint, CheckpointError> {
        Ok(Checkpoint {
            state: self.state.clone(),
            network: weights::bytes(&self.learner.values()),
            optimizer: self.learner.optimizer_state()?,
            best: self.best.as_deref().map(weights::bytes),
        })
    }
}
