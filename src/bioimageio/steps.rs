//! Steps before and after the network. What follows from the whole frame is the element's own normalization; what is
//! done to each pixel alone is put into the network's graph.

use serde::Deserialize;
use serde_json::Value;

use super::PackageError;
use crate::contract::{Activation, Normalization};

/// A step as the description has it.
#[derive(Deserialize)]
pub(super) struct Step {
    /// Its name in format 0.5.
    id: Option<String>,
    /// The same in 0.4.
    name: Option<String>,
    #[serde(default)]
    kwargs: Value,
}

/// What is done to the values of a pixel, whatever the others hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Pointwise {
    /// Values are multiplied, then something is added: one number for all channels, or one for each.
    Linear { gain: Vec<f32>, offset: Vec<f32> },
    /// Values below and above become these.
    Clip { low: Option<f32>, high: Option<f32> },
    /// 1 / (1 + e^-x)
    Sigmoid,
    /// Over the channels.
    Softmax,
    /// 1 above, 0 elsewhere: one threshold for all channels, or one for each.
    Binarize(Vec<f32>),
}

/// What is done to a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Before {
    /// What the element does.
    pub normalization: Normalization,
    /// Whether that is asked of each channel alone.
    pub per_channel: bool,
    /// What the graph does then.
    pub pointwise: Vec<Pointwise>,
}

/// What is done to the network's output.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct After {
    /// What makes probabilities of it, where anything is said.
    pub activation: Option<Activation>,
    /// Probability above which a pixel is foreground.
    pub threshold: Option<f64>,
    /// What the graph does before.
    pub pointwise: Vec<Pointwise>,
}

/// One step, understood.
enum Known {
    Nothing,
    /// Values become whole numbers.
    Integers,
    Whole(Normalization),
    Pixel(Pointwise),
}

/// Counts as they are.
const AS_IT_IS: Normalization = Normalization::Fixed {
    low: 0.0,
    high: 1.0,
};

/// Why whole numbers are refused where others have been made.
const ROUNDED: &str = "values would be rounded, which the element does not do: remove it";

impl Before {
    /// Those of `preprocessing`; an error where the element can't do them.
    pub(super) fn of(steps: &[Step]) -> Result<Self, PackageError> {
        let mut before = Before {
            normalization: AS_IT_IS,
            per_channel: false,
            pointwise: Vec::new(),
        };
        for step in steps {
            match step.known("preprocessing")? {
                Known::Nothing => (),
                // Counts are whole numbers.
                Known::Integers
                    if before.pointwise.is_empty() && before.normalization == AS_IT_IS => {}
                Known::Integers => return Err(step.wrong("preprocessing", ROUNDED)),
                Known::Pixel(pointwise) => before.pointwise.push(pointwise),
                Known::Whole(normalization)
                    if before.pointwise.is_empty() && before.normalization == AS_IT_IS =>
                {
                    before.normalization = normalization;
                    before.per_channel = step.is_per_channel();
                }
                Known::Whole(_) => {
                    return Err(step.wrong(
                        "preprocessing",
                        "statistics of the frame are taken before anything else is done to it: move it to the front",
                    ));
                }
            }
        }
        Ok(before)
    }
}

impl After {
    /// Those of `postprocessing`; an error where the element can't do them.
    pub(super) fn of(steps: &[Step]) -> Result<Self, PackageError> {
        let mut after = After::default();
        for step in steps {
            let wrong = |reason: &str| Err(step.wrong("postprocessing", reason));
            match step.known("postprocessing")? {
                Known::Nothing => (),
                // So are the values of a mask.
                Known::Integers if after.threshold.is_some() => (),
                Known::Integers => return wrong(ROUNDED),
                Known::Whole(_) => {
                    return wrong(
                        "a mask follows from each pixel alone, not from the whole output",
                    );
                }
                Known::Pixel(_) if after.threshold.is_some() => {
                    return wrong("nothing is done to a mask after it was made");
                }
                Known::Pixel(Pointwise::Binarize(thresholds)) => match thresholds.as_slice() {
                    [threshold] => after.threshold = Some(f64::from(*threshold)),
                    _ => return wrong("one threshold is possible"),
                },
                Known::Pixel(Pointwise::Sigmoid) if after.activation.is_none() => {
                    after.activation = Some(Activation::Sigmoid);
                }
                Known::Pixel(Pointwise::Softmax) if after.activation.is_none() => {
                    after.activation = Some(Activation::Softmax);
                }
                // Probabilities stay what they are.
                Known::Pixel(Pointwise::Clip { .. }) if after.activation.is_some() => (),
                Known::Pixel(_) if after.activation.is_some() => {
                    return wrong("probabilities are the last that can be made");
                }
                Known::Pixel(pointwise) => after.pointwise.push(pointwise),
            }
        }
        Ok(after)
    }
}

impl Step {
    fn called(&self) -> &str {
        self.id.as_deref().or(self.name.as_deref()).unwrap_or("")
    }

    fn wrong(&self, field: &str, reason: &str) -> PackageError {
        PackageError::field(field, format!("{}: {reason}", self.called()))
    }

    fn known(&self, field: &str) -> Result<Known, PackageError> {
        let wrong = |reason: &str| Err(self.wrong(field, reason));
        let mode = self.kwargs.get("mode").and_then(Value::as_str);
        Ok(match self.called() {
            "ensure_dtype" => match self.kwargs.get("dtype").and_then(Value::as_str) {
                None | Some("float32" | "float64") => Known::Nothing,
                Some(_) => Known::Integers,
            },
            "zero_mean_unit_variance" if mode == Some("fixed") => self.standardized(field)?,
            "zero_mean_unit_variance" | "scale_range" if mode == Some("per_dataset") => {
                return wrong(
                    "statistics of a whole data set are not known while frames flow: export it with fixed ones",
                );
            }
            "fixed_zero_mean_unit_variance" => self.standardized(field)?,
            "zero_mean_unit_variance" => Known::Whole(Normalization::ZScore),
            "scale_range" => {
                let percent = |name: &str, other: f64| self.number(name).unwrap_or(other);
                if self.says("reference_tensor") {
                    return wrong("the range of another tensor can't be taken");
                }
                Known::Whole(Normalization::Percentile {
                    low: percent("min_percentile", 0.0),
                    high: percent("max_percentile", 100.0),
                })
            }
            "scale_linear" => Known::Pixel(Pointwise::Linear {
                gain: self.numbers("gain").unwrap_or(vec![1.0]),
                offset: self.numbers("offset").unwrap_or(vec![0.0]),
            }),
            "clip" if self.says("min_percentile") || self.says("max_percentile") => {
                return wrong(
                    "percentiles are those of the whole frame, and it is done to each pixel alone: clip at fixed values, or take scale_range",
                );
            }
            "clip" => Known::Pixel(Pointwise::Clip {
                low: self.number("min").map(|n| n as f32),
                high: self.number("max").map(|n| n as f32),
            }),
            "sigmoid" => Known::Pixel(Pointwise::Sigmoid),
            "softmax" => Known::Pixel(Pointwise::Softmax),
            "binarize" => match self.numbers("threshold") {
                Some(thresholds) => Known::Pixel(Pointwise::Binarize(thresholds)),
                None => return wrong("it has no threshold"),
            },
            _ => {
                return wrong(
                    "this step is not supported; docs/bioimageio.md lists those that are",
                );
            }
        })
    }

    /// Minus a given mean, through a given standard deviation.
    fn standardized(&self, field: &str) -> Result<Known, PackageError> {
        let (Some(mean), Some(std)) = (self.numbers("mean"), self.numbers("std")) else {
            return Err(self.wrong(field, "mean and std have to be given"));
        };
        if mean.len() != std.len() || std.iter().any(|std| *std <= 0.0) {
            return Err(self.wrong(field, "one std above 0 has to be given for each mean"));
        }
        Ok(Known::Pixel(Pointwise::Linear {
            gain: std.iter().map(|std| 1.0 / std).collect(),
            offset: mean
                .iter()
                .zip(&std)
                .map(|(mean, std)| -mean / std)
                .collect(),
        }))
    }

    /// Whether its statistics are those of each channel: it names the axes that they are taken over, `yx` or
    /// `[y, x]`, and no channel among them.
    fn is_per_channel(&self) -> bool {
        match self.kwargs.get("axes") {
            Some(Value::String(letters)) => !letters.contains('c'),
            Some(Value::Array(names)) => !names.iter().any(|name| name == "channel" || name == "c"),
            _ => false,
        }
    }

    /// Whether it has a value of this name.
    fn says(&self, name: &str) -> bool {
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
