//! The log of a run as tables: a line for each step, and one for each validation.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::average::Average;
use super::trained_model::in_file;
use super::validate::ValidationResult;

/// All steps and validations of a run so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Log {
    /// Every step, the first one first.
    pub steps: Vec<StepLine>,
    /// Every validation.
    pub validations: Vec<ValidationLine>,
}

/// A step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepLine {
    /// Its number, from 1.
    pub step: usize,
    /// Its loss.
    pub loss: f32,
    /// Its learning rate.
    pub learning_rate: f64,
    /// Seconds that learning had taken.
    pub seconds: f64,
}

/// A validation.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidationLine {
    /// Number of steps that the network had learned for.
    pub step: usize,
    /// Seconds that learning had taken.
    pub seconds: f64,
    /// The results by name: the scores, the smallest object, and the cores as in [the model's file](in_file), where the
    /// threshold is always one half.
    pub values: BTreeMap<String, f64>,
}

/// A table that can't be read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file can't be read.
    #[error("can't read {}: {error}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A line that does not belong to such a table.
    #[error("{}, line {line}: not what unet-train writes; to resume without the curves so far, move the file away", file.display())]
    Line {
        /// The file.
        file: PathBuf,
        /// Its line, from 1.
        line: usize,
    },
}

const STEPS: &str = "step,loss,learning rate,seconds";
const VALIDATIONS: &str = "step,seconds";
/// The best threshold for the network's own probabilities.
const THRESHOLD: &str = "threshold before export";

impl ValidationLine {
    /// The line for a network of so many `classes` that has learned for so many steps and seconds.
    pub fn new(step: usize, seconds: f64, result: &ValidationResult, classes: usize) -> Self {
        let mut values = result.scores.named();
        let limits = in_file(result.limits);
        let min_area = limits.min_area.unwrap_or_default();
        values.insert("min area".into(), min_area as f64);
        // In the file it is 0.5; cores are as in the file. With more classes the largest score decides.
        if classes == 2 {
            values.insert(THRESHOLD.into(), decimal(result.limits.threshold));
        }
        if let Some(core) = limits.core_threshold {
            values.insert("cores".into(), decimal(core));
        }
        ValidationLine {
            step,
            seconds,
            values,
        }
    }
}

/// The shortest decimal, not the nearest double.
fn decimal(number: f32) -> f64 {
    (f64::from(number) * 1e6).round() / 1e6
}

impl Log {
    /// The steps as CSV.
    pub fn steps_table(&self) -> String {
        let mut text = format!("{STEPS}\n");
        for line in &self.steps {
            let StepLine {
                step,
                loss,
                learning_rate,
                seconds,
            } = line;
            // Writing into a string can't fail.
            let _ = writeln!(text, "{step},{loss},{learning_rate:e},{seconds:.3}");
        }
        text
    }

    /// The validations as CSV. A score that some of them don't have is empty there.
    pub fn validations_table(&self) -> String {
        let mut names: Vec<_> = self
            .validations
            .iter()
            .flat_map(|v| v.values.keys())
            .collect();
        names.sort_unstable();
        names.dedup();
        let mut text = VALIDATIONS.to_owned();
        names.iter().for_each(|name| text.extend([",", name]));
        text.push('\n');
        for line in &self.validations {
            // Writing into a string can't fail.
            let _ = write!(text, "{},{:.3}", line.step, line.seconds);
            for name in &names {
                text.push(',');
                if let Some(value) = line.values.get(*name) {
                    let _ = write!(text, "{value}");
                }
            }
            text.push('\n');
        }
        text
    }

    /// The average of the losses so far.
    pub fn average_loss(&self) -> Average {
        let mut average = Average::default();
        for line in &self.steps {
            average.add(f64::from(line.loss));
        }
        average
    }

    /// The place of the first step that does not follow the one before or has an infinite loss; or that of step `last`
    /// if it is missing. The first steps may be: a run can be resumed without them.
    fn first_odd_step(&self, last: usize) -> Option<usize> {
        let steps = &self.steps;
        let follows = |[one, next]: &[StepLine; 2]| next.step == one.step + 1;
        let gap = steps.array_windows().position(|pair| !follows(pair));
        let infinite = steps.iter().position(|line| !line.loss.is_finite());
        let end = steps.last().map_or(0, |line| line.step);
        let missing = (end != last).then_some(steps.len());
        let gap = gap.map(|at| at + 1);
        gap.into_iter().chain(infinite).chain(missing).min()
    }

    /// Reads the tables in these files, up to step `last`. One that is missing is empty.
    pub fn read(steps: &Path, validations: &Path, last: usize) -> Result<Self, LogError> {
        let mut log = Log {
            steps: lines(steps, STEPS, |_, fields| step(fields))?,
            validations: lines(validations, VALIDATIONS, validation)?,
        };
        log.steps.retain(|line| line.step <= last);
        if let Some(at) = log.first_odd_step(last).filter(|_| steps.exists()) {
            return Err(LogError::Line {
                file: steps.into(),
                // After the names, and counted from 1.
                line: at + 2,
            });
        }
        log.validations.retain(|line| line.step <= last);
        Ok(log)
    }
}

fn step(fields: &[&str]) -> Option<StepLine> {
    let [step, loss, learning_rate, seconds] = fields else {
        return None;
    };
    Some(StepLine {
        step: step.parse().ok()?,
        loss: loss.parse().ok()?,
        learning_rate: learning_rate.parse().ok()?,
        seconds: seconds.parse().ok()?,
    })
}

fn validation(names: &[&str], fields: &[&str]) -> Option<ValidationLine> {
    let [step, seconds, values @ ..] = fields else {
        return None;
    };
    let mut named = BTreeMap::new();
    for (name, value) in names.get(2..)?.iter().zip(values) {
        if !value.is_empty() {
            named.insert((*name).to_owned(), value.parse().ok()?);
        }
    }
    Some(ValidationLine {
        step: step.parse().ok()?,
        seconds: seconds.parse().ok()?,
        values: named,
    })
}

/// The lines of a table whose first one starts with `names`, each parsed by `read` from the names and the fields.
fn lines<T>(
    file: &Path,
    names: &str,
    read: impl Fn(&[&str], &[&str]) -> Option<T>,
) -> Result<Vec<T>, LogError> {
    let text = match fs::read_to_string(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        text => text.map_err(|error| LogError::Read {
            file: file.into(),
            error,
        })?,
    };
    let wrong = |line| LogError::Line {
        file: file.into(),
        line,
    };
    if !text.starts_with(names) {
        return Err(wrong(1));
    }
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let names = lines.next().unwrap_or_default();
    let numbered = lines.zip(2..);
    let line = |(fields, line): (Vec<&str>, usize)| {
        let right = fields.len() == names.len();
        let found = right.then(|| read(&names, &fields)).flatten();
        found.ok_or_else(|| wrong(line))
    };
    numbered.map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::limits::Limits;
    use crate::train::metrics::{Scores, cells};

    #[test]
    fn limits_are_those_of_the_models_file() {
        let limits = Limits {
            threshold: 0.2,
            min_area: Some(16),
            core_threshold: Some(0.5),
        };
        let scores = Scores::Cells(cells::Scores::default());
        let line =
            |classes| ValidationLine::new(300, 0.5, &ValidationResult { limits, scores }, classes);
        assert!(!line(3).values.contains_key(THRESHOLD));
        let line = line(2);
        assert_eq!(line.values["min area"], 16.0);
        assert_eq!(line.values["cores"], 0.8);
        assert_eq!(line.values["threshold before export"], 0.2);
    }

    #[test]
    fn tables_are_read_back_up_to_a_step() {
        let line = |step: usize| StepLine {
            step,
            loss: 0.7 / step as f32,
            learning_rate: 1e-3 / 3.0,
            seconds: 0.5 * step as f64,
        };
        let validation = |step: usize, values: &[(&str, f64)]| ValidationLine {
            step,
            seconds: 0.5,
            values: values
                .iter()
                .map(|(name, value)| ((*name).into(), *value))
                .collect(),
        };
        let log = Log {
            steps: (1..=4).map(line).collect(),
            validations: vec![
                validation(2, &[("F1@0.5", 1.0 / 3.0), ("SEG", 0.5)]),
                validation(4, &[("SEG", 0.25)]),
            ],
        };
        let table = log.validations_table();
        assert!(
            table.starts_with("step,seconds,F1@0.5,SEG\n2,0.500,0.3333"),
            "{table}"
        );
        let folder = tempfile::tempdir().unwrap();
        let [steps, validations] = ["a", "b"].map(|name| folder.path().join(name));
        fs::write(&steps, log.steps_table()).unwrap();
        fs::write(&validations, table).unwrap();
        assert_eq!(Log::read(&steps, &validations, 4).unwrap(), log);
        let part = Log::read(&steps, &validations, 3).unwrap();
        assert_eq!((part.steps.len(), part.validations.len()), (3, 1));

        fs::write(
            &steps,
            "step,loss,learning rate,seconds\n1,0.5,1e-3,0.1\n2,0.5\n",
        )
        .unwrap();
        let error = Log::read(&steps, &validations, 4).unwrap_err();
        assert!(error.to_string().contains("a, line 3"), "{error}");
        for (lines, line) in [
            ("1,0.5,1e-3,0.1\n".to_owned(), "a, line 1"),
            (
                format!("{STEPS}\n7,0.5,1e-3,0.1\n9,0.5,1e-3,0.2\n"),
                "a, line 3",
            ),
            (format!("{STEPS}\n7,NaN,1e-3,0.1\n"), "a, line 2"),
        ] {
            fs::write(&steps, lines).unwrap();
            let error = Log::read(&steps, &validations, 9).unwrap_err();
            assert!(error.to_string().contains(line), "{error}");
        }
    }
}
