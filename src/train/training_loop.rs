//! The steps of a run, with what is kept of them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use burn::tensor::Device;

use super::checkpoint::{Checkpoint, CheckpointError, Judged, State};
use super::dataset::{Sample, spread};
use super::divergence::{Diverged, Kept, Sign};
use super::feeder::Feeder;
use super::learner::Learner;
use super::log::{Log, StepLine, ValidationLine};
use super::metrics::Measure;
use super::network::Scorer;
use super::random::{Purpose, number};
use super::replace::{WriteError, replace};
use super::run::{Observer, Outcome, RunError, Step};
use super::run_folder::RunFolder;
use super::schedule::learning_rate;
use super::settings::Settings;
use super::show::draw_found;
use super::trained_model::{self, Progress};
use super::validate::{segment, validate};
use super::{report, weights};
use crate::onnx::export::Parameters;

/// Images that the report shows.
const SAMPLES: usize = 4;

/// A run under way.
pub struct Learning<'a> {
    /// What it is told.
    pub settings: &'a Settings,
    /// Where its files are.
    pub folder: RunFolder,
    /// The network and what changes it.
    pub learner: Learner,
    /// Where it is.
    pub device: Device,
    /// What networks are judged by.
    pub validation: Vec<Sample>,
    /// How they are judged.
    pub measure: Measure,
    /// How far it is.
    pub state: State,
    /// The best network so far.
    pub best: Option<Vec<Parameters>>,
    /// What has happened so far.
    pub log: Log,
    /// Is set to end it after the step at hand.
    pub stop: &'a AtomicBool,
}

impl Learning<'_> {
    /// Learns until the budget is used up, no validation is better any more, or it is told to stop. What
    /// it takes to go on is in the folder from the beginning on.
    pub fn go(mut self, feeder: &Feeder, observer: &mut dyn Observer) -> Result<Outcome, RunError> {
        let start = Instant::now();
        let before = self.state.time;
        self.save()?;
        let mut saved = Instant::now();
        if self.state.best.is_none() && self.state.steps == 0 && self.settings.start_from.is_some()
        {
            // What it has learned elsewhere may be better than what it makes of it here.
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
                // Before the run is said to be at its end: one that is killed here does its last steps again.
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

    /// One step. `before` is what learning has taken before `start`.
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
            return Err(self.diverged(Sign::Loss { step, loss }));
        }
        state.time = before + start.elapsed();
        state.used = self.settings.budget.used(state.steps, state.time);
        self.log.steps.push(StepLine {
            step: state.steps,
            loss,
            learning_rate: rate,
            seconds: state.time.as_secs_f64(),
        });
        observer.step(&Step {
            number: state.steps,
            loss,
            used: state.used,
            time: state.time,
        });
        Ok(())
    }

    /// Judges the network, and writes it if it is the best so far.
    fn validate(&mut self, observer: &mut dyn Observer) -> Result<(), RunError> {
        let judged = self.judge()?;
        let rank = |judged: &Judged| judged.verdict.scores.rank();
        let better = |best: Judged| rank(&judged) > rank(&best);
        let best = self.state.best.is_none_or(better);
        self.state.last = Some(judged);
        self.state.worse += 1;
        if best {
            self.state.worse = 0;
            self.state.best = Some(judged);
            self.best = Some(self.learner.values());
            self.write_model(&judged)?;
        }
        let seconds = self.state.time.as_secs_f64();
        let line = ValidationLine::new(judged.steps, seconds, &judged.verdict);
        self.log.validations.push(line);
        observer.validated(judged.steps, &judged.verdict, best);
        Ok(())
    }

    fn judge(&self) -> Result<Judged, RunError> {
        self.check()?;
        let unet = &self.settings.unet;
        let mut scorer = Scorer::new(*unet, self.learner.values(), &self.device);
        Ok(Judged {
            steps: self.state.steps,
            verdict: validate(unet, &mut scorer, &self.validation, self.measure)?,
        })
    }

    /// Refuses a network that can't be used any more, though its last loss was a number.
    fn check(&self) -> Result<(), RunError> {
        match weights::are_finite(&self.learner.values()) {
            true => Ok(()),
            false => Err(self.diverged(Sign::Weights(self.state.steps))),
        }
    }

    /// Why the run ends here. Its course is written, for it shows what has gone wrong.
    fn diverged(&self, sign: Sign) -> RunError {
        let written = self.write_tables().map_err(RunError::from);
        match written.and_then(|()| self.report(&[])) {
            Err(error) => error,
            Ok(()) => RunError::Diverged(Diverged {
                sign,
                kept: Kept::of(&self.state, &self.settings.output),
            }),
        }
    }

    /// Writes the model, so that there is one, if the run stops before its first validation. What is not
    /// kept in the checkpoint does not change how it goes on. Random weights are no model, and would replace one.
    fn write_first_model(&self) -> Result<(), RunError> {
        match self.state.best {
            None if self.state.steps > 0 => self.write_model(&self.judge()?),
            _ => Ok(()),
        }
    }

    /// Writes the network as it is.
    fn write_model(&self, judged: &Judged) -> Result<(), RunError> {
        let progress = Progress::judged(&self.state, judged);
        let bytes = trained_model::onnx(self.settings, &self.learner.values(), &progress)?;
        replace(&self.settings.output, &bytes)?;
        Ok(())
    }

    /// Writes what it takes to go on; the tables first, so that they are never shorter than the run.
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

    /// Writes curves and page; with samples at the end only, since they take their time.
    fn report(&self, samples: &[report::Sample]) -> Result<(), RunError> {
        let model = (&self.settings.name[..], self.settings.unet.classes);
        report::write(&self.folder, model, &self.state, &self.log, samples)?;
        Ok(())
    }

    /// What the best network finds in some of the images held back.
    fn samples(&self) -> Result<Vec<report::Sample>, RunError> {
        let (Some(best), Some(judged)) = (&self.best, self.state.best) else {
            return Ok(Vec::new());
        };
        let unet = &self.settings.unet;
        let mut scorer = Scorer::new(*unet, best.clone(), &self.device);
        let mut draw = |Sample {
                            name, image, truth, ..
                        }: &Sample| {
            let found = segment(unet, &mut scorer, image)?;
            let objects = truth.judged(found.objects(judged.verdict.limits));
            Ok(report::Sample {
                name: name.clone(),
                picture: draw_found(image, &truth.objects(), &objects),
            })
        };
        spread(&self.validation, SAMPLES).map(&mut draw).collect()
    }

    fn checkpoint(&self) -> Result<Checkpoint, CheckpointError> {
        Ok(Checkpoint {
            state: self.state.clone(),
            network: weights::bytes(&self.learner.values()),
            optimizer: self.learner.memory()?,
            best: self.best.as_deref().map(weights::bytes),
        })
    }
}
