//! Origin of the weights of a model.

use serde::{Deserialize, Serialize};

/// Origin of the weights of a model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// The data set, its licence and citation.
    pub data: String,
    /// Number of training pictures.
    pub images: usize,
    /// Number of optimizer steps.
    pub steps: usize,
    /// Seed of every random choice.
    pub seed: u64,
    /// The command that reproduces the weights.
    pub command: String,
    /// Origin of the weights it started from; none for random ones. The terms of that data still apply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Box<Training>>,
}
