//! What is said of a run whose numbers are no longer finite.

use std::fmt;
use std::path::{Path, PathBuf};

use super::checkpoint::State;

/// A run that can't go on as it is.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "{sign}: training has diverged. The last good checkpoint {kept}. A smaller --learning-rate may help, with another --output, or with --overwrite to begin anew in its place"
)]
pub struct Diverged {
    /// How that was seen.
    pub sign: Sign,
    /// The model that is there.
    pub kept: Kept,
}

/// How it is seen that a run has diverged.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum Sign {
    /// The loss is infinite or not a number.
    #[error("the loss of step {step} is {loss}")]
    Loss {
        /// The step.
        step: usize,
        /// Its loss.
        loss: f32,
    },
    /// Some weights are, though the last loss was a number: it is that of the weights before the step.
    #[error("the weights are not finite after step {0}")]
    Weights(usize),
}

/// The model that is there when a run ends before its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The best one of the run.
    Best,
    /// One that the run has not validated: that of an earlier run, most often.
    Before(PathBuf),
    /// None.
    Nothing,
}

impl Kept {
    /// What is there of the run at `state`, which writes `model`.
    pub fn of(state: &State, model: &Path) -> Self {
        match state.best {
            Some(_) => Kept::Best,
            None if model.exists() => Kept::Before(model.into()),
            None => Kept::Nothing,
        }
    }
}

impl fmt::Display for Kept {
    /// Goes on where a sentence has named the checkpoint.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kept::Best => write!(f, "and the best model until then are kept"),
            Kept::Before(model) => write!(
                f,
                "is kept; no network was validated yet, and {} is still the one that was there before",
                model.display()
            ),
            Kept::Nothing => write!(f, "is kept; no network was validated yet"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::checkpoint::Judged;
    use crate::train::limits::Limits;
    use crate::train::metrics::{Scores, cells};
    use crate::train::validate::Verdict;

    #[test]
    fn the_model_that_is_there_is_said_to_be_whose_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("cells.onnx");
        let mut state = State::default();
        assert_eq!(Kept::of(&state, &model), Kept::Nothing);
        std::fs::write(&model, "of an earlier run").unwrap();
        let diverged = Diverged {
            sign: Sign::Weights(3),
            kept: Kept::of(&state, &model),
        };
        let text = diverged.to_string();
        assert!(
            text.starts_with("the weights are not finite after step 3: training has diverged.")
        );
        assert!(text.contains("cells.onnx is still the one that was there before. A smaller"));

        let scores = Scores::Cells(cells::Scores::default());
        let limits = Limits::default();
        state.best = Some(Judged {
            steps: 2,
            verdict: Verdict { limits, scores },
        });
        let diverged = Diverged {
            sign: Sign::Loss {
                step: 4,
                loss: f32::NAN,
            },
            kept: Kept::of(&state, &model),
        };
        let text = diverged.to_string();
        assert!(text.starts_with("the loss of step 4 is NaN: training has diverged."));
        assert!(text.contains("checkpoint and the best model until then are kept. A smaller"));
    }
}
