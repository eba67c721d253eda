//! `rdf.yaml`: the inputs, the outputs, and the file with the weights.

use serde::Deserialize;

use super::PackageError;
use super::steps::{Postprocessing, Preprocessing, Step};
use crate::contract::{Activation, Channels, Contract};

/// Largest description in bytes.
pub(super) const LARGEST: u64 = 1 << 20;

/// A package's description of its model.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// Name of the model.
    pub name: String,
    /// Path of the weights within the package.
    pub weights: String,
    /// SHA-256 of the weights in hexadecimal digits, if given.
    pub sha256: Option<String>,
    /// The steps before the network.
    pub preprocessing: Preprocessing,
    /// The steps after the network.
    pub postprocessing: Postprocessing,
    /// Names of the output's channels.
    outputs: Vec<String>,
    /// Size of a pixel in micrometres.
    pixel_size: Option<f64>,
}

#[derive(Deserialize)]
struct Rdf {
    format_version: String,
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    inputs: Vec<Tensor>,
    #[serde(default)]
    outputs: Vec<Tensor>,
    weights: Option<Weights>,
}

#[derive(Deserialize)]
struct Weights {
    onnx: Option<Onnx>,
}

#[derive(Deserialize)]
struct Onnx {
    source: String,
    sha256: Option<String>,
}

#[derive(Deserialize)]
struct Tensor {
    axes: Axes,
    #[serde(default)]
    preprocessing: Vec<Step>,
    #[serde(default)]
    postprocessing: Vec<Step>,
}

/// Letters in format 0.4, descriptions in 0.5.
#[derive(Deserialize)]
#[serde(untagged)]
enum Axes {
    Letters(String),
    List(Vec<Axis>),
}

#[derive(Deserialize)]
struct Axis {
    #[serde(rename = "type")]
    kind: String,
    id: Option<String>,
    scale: Option<f64>,
    unit: Option<String>,
    #[serde(default)]
    channel_names: serde_json::Value,
}

impl Axes {
    /// One letter for each axis: b, c, y, x, and ? for others.
    fn letters(&self) -> String {
        match self {
            Axes::Letters(letters) => letters.clone(),
            Axes::List(axes) => axes.iter().map(Axis::letter).collect(),
        }
    }

    fn list(&self) -> &[Axis] {
        match self {
            Axes::Letters(_) => &[],
            Axes::List(axes) => axes,
        }
    }
}

impl Axis {
    fn letter(&self) -> char {
        match (self.kind.as_str(), self.id.as_deref()) {
            ("batch", _) => 'b',
            ("channel", _) => 'c',
            ("space", Some("y")) => 'y',
            ("space", Some("x")) => 'x',
            _ => '?',
        }
    }

    fn channel_names(&self) -> Vec<String> {
        let names = self.channel_names.as_array().into_iter().flatten();
        names
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect()
    }
}

impl Description {
    /// Reads a description.
    pub fn parse(text: &str) -> Result<Self, PackageError> {
        // Otherwise YAML reads the axis y as true.
        let options = serde_saphyr::options! { strict_booleans: true };
        let rdf: Rdf = serde_saphyr::from_str_with_options(text, options)
            .map_err(|error| PackageError::Yaml(error.to_string()))?;
        if !rdf.kind.is_empty() && rdf.kind != "model" {
            let reason = format!("it is {:?}, and only a model can be loaded", rdf.kind);
            return Err(PackageError::field("type", reason));
        }
        if !rdf.format_version.starts_with("0.4.") && !rdf.format_version.starts_with("0.5.") {
            let reason = format!("it is {:?}, and 0.4 and 0.5 are known", rdf.format_version);
            return Err(PackageError::field("format_version", reason));
        }
        let Some(onnx) = rdf.weights.and_then(|weights| weights.onnx) else {
            let reason =
                "there are none for ONNX: convert the model, or use a package that has them";
            return Err(PackageError::field("weights", reason));
        };
        let [input] = rdf.inputs.as_slice() else {
            let reason = format!(
                "there are {}, and only one is possible, the picture",
                rdf.inputs.len()
            );
            return Err(PackageError::field("inputs", reason));
        };
        let Some(output) = rdf.outputs.first() else {
            return Err(PackageError::field("outputs", "there are none"));
        };
        for (field, tensor) in [("inputs", input), ("outputs", output)] {
            let letters = tensor.axes.letters();
            if letters != "bcyx" {
                let reason = format!(
                    "its axes are {letters}, and a picture has batch, channel, y and x in this order"
                );
                return Err(PackageError::field(field, reason));
            }
        }
        let outputs = output.axes.list().iter().find(|axis| axis.letter() == 'c');
        Ok(Description {
            name: rdf.name,
            weights: onnx.source,
            sha256: onnx.sha256,
            preprocessing: Preprocessing::of(&input.preprocessing)?,
            postprocessing: Postprocessing::of(&output.postprocessing)?,
            outputs: outputs.map(Axis::channel_names).unwrap_or_default(),
            pixel_size: pixel_size(input.axes.list()),
        })
    }

    /// Adds to a probed contract what only the description has.
    pub fn complete(&self, contract: &mut Contract) -> Result<(), PackageError> {
        if !self.name.is_empty() {
            contract.name.clone_from(&self.name);
        }
        contract.normalization = self.preprocessing.normalization;
        contract.pixel_size = self.pixel_size.or(contract.pixel_size);
        let several = contract.activation != Activation::Sigmoid && contract.classes.len() > 2;
        if let Some(activation) = self.postprocessing.activation {
            if several && activation == Activation::Sigmoid {
                return Err(PackageError::field(
                    "outputs",
                    "a sigmoid of several channels is no choice between classes: export the channel that is the foreground",
                ));
            }
            contract.activation = activation;
        }
        if let Some(threshold) = self.postprocessing.threshold {
            contract.threshold = threshold as f32;
        }
        // A single channel is the foreground.
        let skipped = contract.classes.len().saturating_sub(self.outputs.len());
        for (class, name) in contract.classes.iter_mut().skip(skipped).zip(&self.outputs) {
            class.name.clone_from(name);
        }
        if self.preprocessing.per_channel && contract.channels != Channels::Gray {
            return Err(PackageError::field(
                "preprocessing",
                "statistics are taken over all channels together, not over each alone: export the model so",
            ));
        }
        contract.check().map_err(|reason| PackageError::Field {
            field: "the result of the steps".into(),
            reason,
        })
    }
}

/// Size of a pixel in micrometres, if both axes have the same.
fn pixel_size(axes: &[Axis]) -> Option<f64> {
    let mut sides = axes.iter().filter(|axis| axis.kind == "space").map(|axis| {
        let factor = match axis.unit.as_deref()? {
            "micrometer" => 1.0,
            "nanometer" => 1e-3,
            "millimeter" => 1e3,
            _ => return None,
        };
        axis.scale.map(|scale| scale * factor)
    });
    let (one, other) = (sides.next()??, sides.next()??);
    (one == other && one > 0.0 && one.is_finite()).then_some(one)
}
