//! How pixels become the network's input.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How pixels become the network's input. Statistics are always those of the whole frame.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Normalization {
    /// (x - mean) / (standard deviation + 1e-6).
    ZScore,
    /// The `low` and `high` percentile become 0 and 1. Values outside are not clipped.
    Percentile {
        /// In percent, `0..high`.
        low: f64,
        /// In percent, `low..=100`.
        high: f64,
    },
    /// The smallest and largest value become 0 and 1.
    MinMax,
    /// `low` and `high` become 0 and 1, whatever the frame contains. In camera counts.
    Fixed {
        /// The value that becomes 0.
        low: f64,
        /// The value that becomes 1.
        high: f64,
    },
}

impl Normalization {
    /// Checks its values; the error says what is wrong.
    pub(super) fn check(&self) -> Result<(), String> {
        let rising = |low: f64, high: f64| low.is_finite() && high.is_finite() && low < high;
        match *self {
            Normalization::Percentile { low, high }
                if !rising(low, high) || low < 0.0 || high > 100.0 =>
            {
                Err(format!(
                    "percentiles {low} to {high} do not rise within 0 to 100"
                ))
            }
            Normalization::Fixed { low, high } if !rising(low, high) => {
                Err(format!("fixed range {low} to {high} does not rise"))
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Normalization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Normalization::ZScore => write!(f, "z-score"),
            Normalization::Percentile { low, high } => write!(f, "percentile {low} to {high}"),
            Normalization::MinMax => write!(f, "min-max"),
            Normalization::Fixed { low, high } => write!(f, "fixed {low} to {high}"),
        }
    }
}
