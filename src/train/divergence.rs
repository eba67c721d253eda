//! The error of a run whose numbers are no longer finite.

use std::fmt;
use std::path::{Path, PathBuf};

use super::checkpoint::State;

/// A run that can't continue as it is.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "{symptom}: training has diverged. The last good checkpoint {kept}. A smaller --learning-rate may help, with another --output, or with --overwrite to start again in its place{}",
    unwritten.iter().map(|why| format!(". Its curves end earlier: {why}")).collect::<String>()
)]
pub struct Diverged {
    /// How it was noticed.
    pub symptom: Symptom,
    /// The model that remains.
    pub kept: KeptModel,
    /// Why the last curves could not be written, if they couldn't.
    pub unwritten: Option<String>,
}

/// How it was noticed that a run has diverged.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum Symptom {
    /// The loss is infinite or not a number.
    #[error("the loss of step {step} is {loss}")]
    Loss {
        /// The step.
        step: usize,
        /// Its loss.
        loss: f32,
    },
    /// Some weights are infinite or not a number. The loss can still be finite: it is that before the step.
    #[error("the weights are not finite after step {0}")]
    Weights(usize),
}

/// The model that remains when a run ends early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeptModel {
    /// The best one of the run.
    Best,
    /// One that the run has not validated, usually that of an earlier run.
    Earlier(PathBuf),
    /// None.
    None,
}

impl KeptModel {
    /// The model that remains of the run at `state`, which writes `model`.
    pub fn of(state: &State, model: &Path) -> Self {
        match state.best {
            Some(_) => KeptModel::Best,
            None if model.exists() => KeptModel::Earlier(model.into()),
            None => KeptModel::None,
        }
    }
}

impl fmt::Display for KeptModel {
    /// Completes a sentence that starts with the checkpoint.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeptModel::Best => write!(f, "and the best model so far are kept"),
            KeptModel::Earlier(model) => write!(
                f,
                "is kept; no network was validated yet, and {} is still the earlier one",
                model.display()
            ),
            KeptModel::None => write!(f, "is kept; no network was validated yet"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::checkpoint::ValidatedNetwork;
    use crate::train::limits::Limits;
    use crate::train::metrics::{Scores, cells};
    use crate::train::validate::ValidationResult;

    #[test]
    fn the_message_says_which_model_remains() {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("cells.onnx");
        let mut state = State::default();
        assert_eq!(KeptModel::of(&state, &model), KeptModel::None);
        std::fs::write(&model, "of an earlier run").unwrap();
        let diverged = Diverged {
            symptom: Symptom::Weights(3),
            kept: KeptModel::of(&state, &model),
            unwritten: None,
        };
        let text = diverged.to_string();
        assert!(
            text.starts_with("the weights are not finite after step 3: training has diverged.")
        );
        assert!(text.contains("cells.onnx is still the earlier one. A smaller"));

        let scores = Scores::Cells(cells::Scores::default());
        let limits = Limits::default();
        state.best = Some(ValidatedNetwork {
            steps: 2,
            result: ValidationResult { limits, scores },
        });
        let diverged = Diverged {
            symptom: Symptom::Loss {
                step: 4,
                loss: f32::NAN,
            },
            kept: KeptModel::of(&state, &model),
            unwritten: Some("can't write log.csv: no space".into()),
        };
        let text = diverged.to_string();
        assert!(text.ends_with("Its curves end earlier: can't write log.csv: no space"));
        assert!(text.starts_with("the loss of step 4 is NaN: training has diverged."));
        assert!(text.contains("checkpoint and the best model so far are kept. A smaller"));
    }
}
