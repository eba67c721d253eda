//! Where the weights of a model come from.

use serde::{Deserialize, Serialize};

/// Where the weights of a model come from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// The data set, its licence and citation.
    pub data: String,
    /// How many pictures were trained on.
    pub images: usize,
    /// How many optimizer steps.
    pub steps: usize,
    /// Seed of every random choice.
    pub seed: u64,
    /// The command that makes the weights again.
    pub command: String,
    /// Where the weights come from that it began with; none for random ones. Terms of these data hold on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Box<Training>>,
}
