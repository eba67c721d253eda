//! The fields of a description in format 0.5 that are written.

use serde::Serialize;

use super::Source;
use crate::contract::Contract;

#[derive(Serialize)]
pub(super) struct Rdf<'a> {
    pub format_version: &'static str,
    pub r#type: &'static str,
    pub name: &'a str,
    pub description: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub authors: Vec<Author<'a>>,
    pub cite: Vec<Cite<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub license: Option<&'a str>,
    pub tags: [&'static str; 4],
    pub documentation: &'a str,
    pub covers: [&'a str; 1],
    pub inputs: [Tensor<'a>; 1],
    pub outputs: [Tensor<'a>; 1],
    pub weights: Weights<'a>,
    pub config: Config<'a>,
}

#[derive(Serialize)]
pub(super) struct Author<'a> {
    pub name: &'a str,
}

#[derive(Serialize)]
pub(super) struct Cite<'a> {
    pub text: &'a str,
    pub doi: &'a str,
}

#[derive(Serialize)]
pub(super) struct Tensor<'a> {
    pub id: &'static str,
    pub axes: Vec<Axis>,
    pub test_tensor: &'a Source,
    pub data: Data,
    /// How a picture is extended beyond its borders.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pad: Option<Pad>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub preprocessing: Vec<Step>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub postprocessing: Vec<Step>,
}

#[derive(Serialize)]
pub(super) struct Data {
    pub r#type: &'static str,
}

#[derive(Serialize)]
pub(super) struct Pad {
    pub mode: &'static str,
}

#[derive(Default, Serialize)]
pub(super) struct Axis {
    pub r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<Length>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub halo: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub channel_names: Vec<String>,
}

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Length {
    Fixed(usize),
    Steps {
        min: usize,
        step: usize,
    },
    /// As long as an axis of the input plus an offset.
    Of {
        tensor_id: &'static str,
        axis_id: &'static str,
        offset: i64,
    },
}

#[derive(Serialize)]
pub(super) struct Step {
    pub id: &'static str,
    pub kwargs: Arguments,
}

#[derive(Default, Serialize)]
pub(super) struct Arguments {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dtype: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub axis: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub axes: Option<[&'static str; 3]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eps: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_percentile: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_percentile: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gain: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<f64>,
}

#[derive(Serialize)]
pub(super) struct Weights<'a> {
    pub onnx: Onnx<'a>,
}

#[derive(Serialize)]
pub(super) struct Onnx<'a> {
    #[serde(flatten)]
    pub file: &'a Source,
    pub opset_version: i64,
}

#[derive(Serialize)]
pub(super) struct Config<'a> {
    pub bioimageio: Tests,
    /// Read by this project only.
    pub unetsegment: &'a Contract,
}

#[derive(Serialize)]
pub(super) struct Tests {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reproducibility_tolerance: Vec<Tolerance>,
}

/// How far the output of a test may differ.
#[derive(Serialize)]
pub(super) struct Tolerance {
    pub relative_tolerance: f64,
    pub absolute_tolerance: f64,
    pub mismatched_elements_per_million: u32,
}
