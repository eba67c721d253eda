//! Steps before and after the network. Those that depend on the whole frame become the element's normalization; those
//! that act on each pixel alone are added to the network's graph.

use serde::Deserialize;
use serde_json::Value;

use super::PackageError;
use crate::contract::{Activation, Normalization};

/// A step as in the description.
#[derive(Deserialize)]
pub(super) struct Step {
    /// Its name in format 0.5.
    id: Option<String>,
    /// Its name in format 0.4.
    name: Option<String>,
    #[serde(default)]
    kwargs: Value,
}

/// An operation on the values of a pixel that does not depend on other pixels.
#[derive(Clone, Debug, PartialEq)]
pub enum Pointwise {
    /// `gain` x + `offset`: one number for all channels, or one for each.
    Linear { gain: Vec<f32>, offset: Vec<f32> },
    /// Values below and above are replaced by these limits.
    Clip { low: Option<f32>, high: Option<f32> },
    /// 1 / (1 + e^-x)
    Sigmoid,
    /// Over the channels.
    Softmax,
    /// 1 above, 0 elsewhere: one threshold for all channels, or one for each.
    Binarize(Vec<f32>),
}

/// The operations on a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Preprocessing {
    /// The element's normalization.
    pub normalization: Normalization,
    /// Whether the description normalizes each channel alone.
    pub per_channel: bool,
    /// Operations of the graph that follow.
    pub pointwise: Vec<Pointwise>,
}

/// The operations on the network's output.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Postprocessing {
    /// The activation that turns it into probabilities, if the description has one.
    pub activation: Option<Activation>,
    /// Probability above which a pixel is foreground.
    pub threshold: Option<f64>,
    /// Operations of the graph that precede.
    pub pointwise: Vec<Pointwise>,
}

/// The meaning of a step.
enum Operation {
    Nothing,
    /// Conversion to integers.
    Integers,
    /// Depends on the whole frame.
    Whole(Normalization),
    /// Acts on each pixel alone.
    Pixel(Pointwise),
}

/// Counts as they are.
const AS_IT_IS: Normalization = Normalization::Fixed {
    low: 0.0,
    high: 1.0,
};

/// Why conversion to integers is refused after other steps.
const ROUNDED: &str = "values would be rounded, which the element does not do: remove it";

impl Preprocessing {
    /// Reads `preprocessing`; an error where the element can't do a step.
    pub(super) fn of(steps: &[Step]) -> Result<Self, PackageError> {
        let mut before = Preprocessing {
            normalization: AS_IT_IS,
            per_channel: false,
            pointwise: Vec::new(),
        };
        for step in steps {
            match step.operation("preprocessing")? {
                Operation::Nothing => (),
                // Raw counts are integers already.
                Operation::Integers
                    if before.pointwise.is_empty() && before.normalization == AS_IT_IS => {}
                Operation::Integers => return Err(step.wrong("preprocessing", ROUNDED)),
                Operation::Pixel(pointwise) => before.pointwise.push(pointwise),
                Operation::Whole(normalization)
                    if before.pointwise.is_empty() && before.normalization == AS_IT_IS =>
                {
                    before.normalization = normalization;
                    before.per_channel = step.is_per_channel();
                }
                Operation::Whole(_) => {
                    return Err(step.wrong(
                        "preprocessing",
                        "statistics of the frame are taken before any other step: move it to the front",
                    ));
                }
            }
        }
        Ok(before)
    }
}

impl Postprocessing {
    /// Reads `postprocessing`; an error where the element can't do a step.
    pub(super) fn of(steps: &[Step]) -> Result<Self, PackageError> {
        let mut after = Postprocessing::default();
        for step in steps {
            let wrong = |reason: &str| Err(step.wrong("postprocessing", reason));
            match step.operation("postprocessing")? {
                Operation::Nothing => (),
                // The values of a mask are integers already.
                Operation::Integers if after.threshold.is_some() => (),
                Operation::Integers => return wrong(ROUNDED),
                Operation::Whole(_) => {
                    return wrong(
                        "steps after the network act on each pixel alone, not on the whole output",
                    );
                }
                Operation::Pixel(_) if after.threshold.is_some() => {
                    return wrong("no step can follow the one that makes the mask");
                }
                Operation::Pixel(Pointwise::Binarize(thresholds)) => match thresholds.as_slice() {
                    [threshold] => after.threshold = Some(f64::from(*threshold)),
                    _ => return wrong("only one threshold is possible"),
                },
                Operation::Pixel(Pointwise::Sigmoid) if after.activation.is_none() => {
                    after.activation = Some(Activation::Sigmoid);
                }
                Operation::Pixel(Pointwise::Softmax) if after.activation.is_none() => {
                    after.activation = Some(Activation::Softmax);
                }
                // Probabilities remain probabilities.
                Operation::Pixel(Pointwise::Clip { .. }) if after.activation.is_some() => (),
                Operation::Pixel(_) if after.activation.is_some() => {
                    return wrong("only a threshold can follow the activation");
                }
                Operation::Pixel(pointwise) => after.pointwise.push(pointwise),
            }
        }
        Ok(after)
    }
}

impl Step {
    /// Its name in messages.
    fn label(&self) -> &str {
        self.id.as_deref().or(self.name.as_deref()).unwrap_or("")
    }

    fn wrong(&self, field: &str, reason: &str) -> PackageError {
        PackageError::field(field, format!("{}: {reason}", self.label()))
    }

    fn operation(&self, field: &str) -> Result<Operation, PackageError> {
        let wrong = |reason: &str| Err(self.wrong(field, reason));
        let mode = self.kwargs.get("mode").and_then(Value::as_str);
        Ok(match self.label() {
            "ensure_dtype" => match self.kwargs.get("dtype").and_then(Value::as_str) {
                None | Some("float32" | "float64") => Operation::Nothing,
                Some(_) => Operation::Integers,
            },
            "zero_mean_unit_variance" if mode == Some("fixed") => self.standardized(field)?,
            "zero_mean_unit_variance" | "scale_range" if mode == Some("per_dataset") => {
                return wrong(
                    "statistics of a whole data set are not known while frames flow: export the model with fixed ones",
                );
            }
            "fixed_zero_mean_unit_variance" => self.standardized(field)?,
            "zero_mean_unit_variance" => Operation::Whole(Normalization::ZScore),
            "scale_range" => {
                let percent = |name: &str, other: f64| self.number(name).unwrap_or(other);
                if self.has("reference_tensor") {
                    return wrong("the range of another tensor can't be used");
                }
                Operation::Whole(Normalization::Percentile {
                    low: percent("min_percentile", 0.0),
                    high: percent("max_percentile", 100.0),
                })
            }
            "scale_linear" => Operation::Pixel(Pointwise::Linear {
                gain: self.numbers("gain").unwrap_or(vec![1.0]),
                offset: self.numbers("offset").unwrap_or(vec![0.0]),
            }),
            "clip" if self.has("min_percentile") || self.has("max_percentile") => {
                return wrong(
                    "percentiles depend on the whole frame, and this step acts on each pixel alone: clip at fixed values, or use scale_range",
                );
            }
            "clip" => Operation::Pixel(Pointwise::Clip {
                low: self.number("min").map(|n| n as f32),
                high: self.number("max").map(|n| n as f32),
            }),
            "sigmoid" => Operation::Pixel(Pointwise::Sigmoid),
            "softmax" => Operation::Pixel(Pointwise::Softmax),
            "binarize" => match self.numbers("threshold") {
                Some(thresholds) => Operation::Pixel(Pointwise::Binarize(thresholds)),
                None => return wrong("its threshold is missing"),
            },
            _ => {
                return wrong(
                    "this step is not supported; docs/bioimageio.md lists those that are",
                );
            }
        })
    }

    /// Subtracts a given mean and divides by a given standard deviation.
    fn standardized(&self, field: &str) -> Result<Operation, PackageError> {
        let (Some(mean), Some(std)) = (self.numbers("mean"), self.numbers("std")) else {
            return Err(self.wrong(field, "mean and std are required"));
        };
        if mean.len() != std.len() || std.iter().any(|std| *std <= 0.0) {
            return Err(self.wrong(field, "each mean needs one std above 0"));
        }
        Ok(Operation::Pixel(Pointwise::Linear {
            gain: std.iter().map(|std| 1.0 / std).collect(),
            offset: mean
                .iter()
                .zip(&std)
                .map(|(mean, std)| -mean / std)
                .collect(),
        }))
    }

    /// Whether its statistics are taken over each channel alone: its axes are given, `yx` or `[y, x]`, without the
    /// channel.
    fn is_per_channel(&self) -> bool {
        match self.kwargs.get("axes") {
            Some(Value::String(letters)) => !letters.contains('c'),
            Some(Value::Array(names)) => !names.iter().any(|name| name == "channel" || name == "c"),
            _ => false,
        }
    }

    /// Whether it has an argument of this name.
    fn has(&self, name: &str) -> bool {
        self.kwargs.get(name).is_some_and(|value| !value.is_null())
    }

    fn number(&self, name: &str) -> Option<f64> {
        let number = self.kwargs.get(name)?.as_f64()?;
        number.is_finite().then_some(number)
    }

    /// One number, or a list of them.
    fn numbers(&self, name: &str) -> Option<Vec<f32>> {
        let value = self.kwargs.get(name)?;
        let numbers: Option<Vec<f32>> = match value {
            Value::Array(list) => list
                .iter()
                .map(|number| number.as_f64().map(|n| n as f32))
                .collect(),
            number => number.as_f64().map(|n| vec![n as f32]),
        };
        numbers.filter(|list| !list.is_empty() && list.iter().all(|n| n.is_finite()))
    }
}
