//! Writing the description of a model with a contract, in format 0.5.

mod rdf;

use serde::Serialize;

use self::rdf::{
    Arguments, Author, Axis, Cite, Config, Data, Length, Onnx, Pad, Rdf, Step, Tensor, Tests,
    Tolerance, Weights,
};
use crate::contract::{Activation, Channels, Contract, Normalization, Precision, Sizes};

/// The oldest format that has all that is written.
const FORMAT: &str = "0.5.4";

/// Names of the tensors, by which their axes refer to each other.
const INPUT: &str = "picture";
const OUTPUT: &str = "scores";

/// What a contract does not tell of a model.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// What it is called: 5 to 128 letters, digits, spaces, `_`, `+`, `-` and brackets.
    pub name: String,
    /// What it does, in a sentence.
    pub description: String,
    /// Who made it.
    pub authors: Vec<String>,
    /// Identifier of the licence of the weights, of SPDX.
    pub license: Option<String>,
    /// What to cite besides the paper of the network: a text, and its DOI.
    pub cite: Vec<(String, String)>,
}

/// A file of the package beside its description.
#[derive(Clone, Debug, Serialize)]
pub struct Source {
    /// Its name within the package.
    pub source: String,
    /// Of its bytes, in hexadecimal digits.
    pub sha256: String,
}

/// The files of a package.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The ONNX file.
    pub weights: Source,
    /// Version of the operators that it uses.
    pub opset: i64,
    /// A picture as the network's input, before the steps: float32, \[1, channels, height, width\].
    pub test_input: Source,
    /// What comes of it, after the steps: float32, \[1, outputs, height, width\].
    pub test_output: Source,
    /// A picture for people.
    pub cover: String,
    /// What is to be known, in Markdown.
    pub documentation: String,
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
            preprocessing: before(contract.normalization),
            postprocessing: Vec::new(),
        }],
        outputs: [Tensor {
            id: OUTPUT,
            axes: output_axes(contract),
            test_tensor: &files.test_output,
            data: Data { r#type: "float32" },
            pad: None,
            preprocessing: Vec::new(),
            postprocessing: after(contract.activation),
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

/// A last bit of the input may take a value of few bits to its next step.
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
            // The smallest that leaves something when what depends on the border is cut off.
            let least = 2 * contract.geometry.halo + 1;
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
    // What a convolution without padding has lost of a border need not be cut off as well.
    let halo = contract.geometry.halo - margin;
    vec![
        batch(),
        channel(names),
        space(contract, "y", of_input("y"), halo),
        space(contract, "x", of_input("x"), halo),
    ]
}

/// Over the whole picture.
const ALL: Option<[&str; 3]> = Some(["channel", "y", "x"]);

fn before(normalization: Normalization) -> Vec<Step> {
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

fn after(activation: Activation) -> Vec<Step> {
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
