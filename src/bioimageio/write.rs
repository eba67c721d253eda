//! Writing the description of a model with a contract, in format 0.5.

mod rdf;

use serde::Serialize;

use self::rdf::{
    Arguments, Author, Axis, Cite, Config, Data, Length, Onnx, Pad, Rdf, Step, Tensor, Tests,
    Tolerance, Weights,
};
use crate::contract::{Activation, Channels, Contract, Geometry, Normalization, Precision, Sizes};

/// The oldest version of the format with all fields that are written.
const FORMAT: &str = "0.5.4";

/// Names of the tensors, by which their axes refer to each other.
const INPUT: &str = "picture";
const OUTPUT: &str = "scores";

/// The parts of a description that a contract does not have.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// Its name: 5 to 128 letters, digits, spaces, `_`, `+`, `-` and brackets.
    pub name: String,
    /// Its purpose, in a sentence.
    pub description: String,
    /// Who made it.
    pub authors: Vec<String>,
    /// SPDX identifier of the licence of the weights.
    pub license: Option<String>,
    /// Citations besides the paper of the network: a text, and its DOI.
    pub cite: Vec<(String, String)>,
}

/// A file of the package beside its description.
#[derive(Clone, Debug, Serialize)]
pub struct Source {
    /// Its name within the package.
    pub source: String,
    /// SHA-256 of its bytes, in hexadecimal digits.
    pub sha256: String,
}

/// The files of a package.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The ONNX file.
    pub weights: Source,
    /// Version of ONNX's operator set that it uses.
    pub opset: i64,
    /// A picture before preprocessing: float32, \[1, channels, height, width\].
    pub test_input: Source,
    /// The output for it, after postprocessing: float32, \[1, outputs, height, width\].
    pub test_output: Source,
    /// A picture for people.
    pub cover: String,
    /// The documentation, in Markdown.
    pub documentation: String,
}

/// The smallest side of an input, of any size that the network accepts, of which something is left once the part that
/// depends on the border is cut off.
pub fn least_side(geometry: &Geometry) -> usize {
    2 * geometry.halo + 1
}

/// The description of a package of the model of `contract` in YAML.
pub fn describe(contract: &Contract, about: &About, files: &Sources) -> Result<String, String> {
    let mut cite = vec![Cite {
        text: "Ronneberger O., Fischer P., Brox T.: U-Net: Convolutional Networks for Biomedical Image Segmentation. MICCAI 2015",
        doi: "10.1007/978-3-319-24574-4_28",
    }];
    cite.extend(about.cite.iter().map(|(text, doi)| Cite { text, doi }));
    let rdf = Rdf {
        format_version: FORMAT,
        r#type: "model",
        name: &about.name,
        description: &about.description,
        authors: about.authors.iter().map(|name| Author { name }).collect(),
        cite,
        license: about.license.as_deref(),
        tags: ["unet", "semantic-segmentation", "2d", "microscopy"],
        documentation: &files.documentation,
        covers: [&files.cover],
        inputs: [Tensor {
            id: INPUT,
            axes: input_axes(contract),
            test_tensor: &files.test_input,
            data: Data { r#type: "float32" },
            pad: Some(Pad { mode: "reflect" }),
            preprocessing: preprocessing(contract.normalization),
            postprocessing: Vec::new(),
        }],
        outputs: [Tensor {
            id: OUTPUT,
            axes: output_axes(contract),
            test_tensor: &files.test_output,
            data: Data { r#type: "float32" },
            pad: None,
            preprocessing: Vec::new(),
            postprocessing: postprocessing(contract.activation),
        }],
        weights: Weights {
            onnx: Onnx {
                file: &files.weights,
                opset_version: files.opset,
            },
        },
        config: Config {
            bioimageio: Tests {
                reproducibility_tolerance: tolerance(contract.precision).into_iter().collect(),
            },
            unetsegment: contract,
        },
    };
    serde_saphyr::to_string(&rdf).map_err(|error| error.to_string())
}

/// A change in the last bit of the input may move a quantized value to the next step.
fn tolerance(precision: Precision) -> Option<Tolerance> {
    (precision == Precision::Int8).then_some(Tolerance {
        relative_tolerance: 1e-3,
        absolute_tolerance: 5e-3,
        mismatched_elements_per_million: 5000,
    })
}

fn batch() -> Axis {
    Axis {
        r#type: "batch",
        size: Some(Length::Fixed(1)),
        ..Axis::default()
    }
}

fn channel(names: Vec<String>) -> Axis {
    Axis {
        r#type: "channel",
        id: Some("channel"),
        channel_names: names,
        ..Axis::default()
    }
}

fn space(contract: &Contract, id: &'static str, size: Length, halo: usize) -> Axis {
    Axis {
        r#type: "space",
        id: Some(id),
        size: Some(size),
        halo: (halo > 0).then_some(halo),
        scale: contract.pixel_size,
        unit: contract.pixel_size.map(|_| "micrometer"),
        ..Axis::default()
    }
}

fn input_axes(contract: &Contract) -> Vec<Axis> {
    let names: &[&str] = match contract.channels {
        Channels::Gray => &["gray"],
        Channels::Rgb => &["red", "green", "blue"],
    };
    let [height, width] = match contract.geometry.sizes {
        Sizes::Steps { min, step } => {
            let least = least_side(&contract.geometry);
            let min = min + least.saturating_sub(min).div_ceil(step) * step;
            [(); 2].map(|()| Length::Steps { min, step })
        }
        Sizes::Fixed { height, width } => [height, width].map(Length::Fixed),
    };
    vec![
        batch(),
        channel(names.iter().map(|name| (*name).to_owned()).collect()),
        space(contract, "y", height, 0),
        space(contract, "x", width, 0),
    ]
}

fn output_axes(contract: &Contract) -> Vec<Axis> {
    let names = contract.classes.iter().map(|class| class.name.clone());
    let names = match contract.activation {
        Activation::Sigmoid => names.skip(1).collect(),
        Activation::Softmax | Activation::None => names.collect(),
    };
    let margin = contract.geometry.margin;
    let of_input = |id| Length::Of {
        tensor_id: INPUT,
        axis_id: id,
        offset: -2 * i64::try_from(margin).unwrap_or(0),
    };
    // The border that convolutions without padding have removed need not be cut off again.
    let halo = contract.geometry.halo - margin;
    vec![
        batch(),
        channel(names),
        space(contract, "y", of_input("y"), halo),
        space(contract, "x", of_input("x"), halo),
    ]
}

/// Axes of statistics over the whole picture.
const ALL: Option<[&str; 3]> = Some(["channel", "y", "x"]);

fn preprocessing(normalization: Normalization) -> Vec<Step> {
    let range = |low, high| Step {
        id: "scale_range",
        kwargs: Arguments {
            axes: ALL,
            min_percentile: Some(low),
            max_percentile: Some(high),
            ..Arguments::default()
        },
    };
    let step = match normalization {
        Normalization::ZScore => Step {
            id: "zero_mean_unit_variance",
            kwargs: Arguments {
                axes: ALL,
                eps: Some(1e-6),
                ..Arguments::default()
            },
        },
        Normalization::Percentile { low, high } => range(low, high),
        Normalization::MinMax => range(0.0, 100.0),
        Normalization::Fixed { low, high } => Step {
            id: "scale_linear",
            kwargs: Arguments {
                gain: Some(1.0 / (high - low)),
                offset: Some(-low / (high - low)),
                ..Arguments::default()
            },
        },
    };
    let float = Step {
        id: "ensure_dtype",
        kwargs: Arguments {
            dtype: Some("float32"),
            ..Arguments::default()
        },
    };
    vec![float, step]
}

fn postprocessing(activation: Activation) -> Vec<Step> {
    match activation {
        Activation::Softmax => vec![Step {
            id: "softmax",
            kwargs: Arguments {
                axis: Some("channel"),
                ..Arguments::default()
            },
        }],
        Activation::Sigmoid => vec![Step {
            id: "sigmoid",
            kwargs: Arguments::default(),
        }],
        Activation::None => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
