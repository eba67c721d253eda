//! ONNX files.
//!
//! The types here are the part of their protobuf schema that a U-Net needs. Modules:
//!
//! - [`export`] writes the paper's network, `import` reads it back;
//! - `quantize`, with `channels_last`, converts its arithmetic to 8 bits, `half_precision` to 16;
//! - `winograd` replaces convolutions by an operator of this project;
//! - [`wire`] and [`read`] check the bytes of a file before they are parsed;
//! - [`scan`] refuses what could do harm and no segmentation network needs;
//! - [`survey`] derives from a foreign network's graph what it does to sizes, and `reach` the receptive field of each
//!   operator.
//!
//! Field numbers are those of `onnx.proto3`; fields that are not listed are skipped on reading.

#[cfg(feature = "train")]
pub mod channels_last;
pub mod export;
#[cfg(feature = "train")]
pub mod half_precision;
#[cfg(feature = "train")]
pub mod import;
#[cfg(feature = "train")]
pub mod quantize;
mod reach;
pub mod read;
pub mod saturation;
pub mod scan;
pub mod survey;
mod tensor;
#[cfg(target_arch = "x86_64")]
pub mod winograd;
pub mod wire;

use bytes::Bytes;

pub use tensor::{DataType, Tensor};

/// `ModelProto`: a whole file.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Model {
    #[prost(int64, tag = "1")]
    pub ir_version: i64,
    #[prost(string, tag = "2")]
    pub producer_name: String,
    #[prost(string, tag = "3")]
    pub producer_version: String,
    #[prost(string, tag = "6")]
    pub doc_string: String,
    #[prost(message, optional, tag = "7")]
    pub graph: Option<Graph>,
    #[prost(message, repeated, tag = "8")]
    pub opset_import: Vec<OperatorSet>,
    #[prost(message, repeated, tag = "14")]
    pub metadata_props: Vec<Entry>,
    /// `TrainingInfoProto`s, which are not read.
    #[prost(bytes = "bytes", repeated, tag = "20")]
    pub training_info: Vec<Bytes>,
    /// `FunctionProto`s, which are not read.
    #[prost(bytes = "bytes", repeated, tag = "25")]
    pub functions: Vec<Bytes>,
}

impl Model {
    /// Parses a file, without what it says of intermediate maps: that would be wrong once the graph is changed.
    ///
    /// # Errors
    /// If the bytes are no such messages.
    pub fn parse(bytes: impl bytes::Buf) -> Result<Self, prost::DecodeError> {
        let mut model: Model = prost::Message::decode(bytes)?;
        if let Some(graph) = &mut model.graph {
            graph.value_info = Vec::new();
        }
        Ok(model)
    }
}

/// `OperatorSetIdProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct OperatorSet {
    #[prost(string, tag = "1")]
    pub domain: String,
    #[prost(int64, tag = "2")]
    pub version: i64,
}

/// `StringStringEntryProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Entry {
    #[prost(string, tag = "1")]
    pub key: String,
    #[prost(string, tag = "2")]
    pub value: String,
}

/// `GraphProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Graph {
    #[prost(message, repeated, tag = "1")]
    pub node: Vec<Node>,
    #[prost(string, tag = "2")]
    pub name: String,
    #[prost(message, repeated, tag = "5")]
    pub initializer: Vec<Tensor>,
    #[prost(message, repeated, tag = "11")]
    pub input: Vec<ValueInfo>,
    #[prost(message, repeated, tag = "12")]
    pub output: Vec<ValueInfo>,
    /// What is known of other values. It is [not kept](Model::parse) from files.
    #[prost(message, repeated, tag = "13")]
    pub value_info: Vec<ValueInfo>,
    /// `SparseTensorProto`s, which are not read.
    #[prost(bytes = "bytes", repeated, tag = "15")]
    pub sparse_initializer: Vec<Bytes>,
}

/// `NodeProto`: one operator.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Node {
    #[prost(string, repeated, tag = "1")]
    pub input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub output: Vec<String>,
    #[prost(string, tag = "3")]
    pub name: String,
    #[prost(string, tag = "4")]
    pub op_type: String,
    #[prost(message, repeated, tag = "5")]
    pub attribute: Vec<Attribute>,
    /// The domain of the operator; empty for ONNX's own.
    #[prost(string, tag = "7")]
    pub domain: String,
}

impl Node {
    /// An operator of ONNX with one output, after which it is named.
    pub fn new(op: &str, inputs: &[&str], output: &str, attribute: Vec<Attribute>) -> Self {
        Node {
            input: inputs.iter().map(|name| (*name).to_owned()).collect(),
            output: vec![output.into()],
            name: format!("{op}/{output}"),
            op_type: op.into(),
            attribute,
            ..Default::default()
        }
    }

    /// The list of integers under `name`, empty where there is none.
    pub fn ints(&self, name: &str) -> &[i64] {
        self.attribute
            .iter()
            .find(|attribute| attribute.name == name)
            .map_or(&[], |attribute| &attribute.ints)
    }

    /// The integer under `name`.
    pub fn integer(&self, name: &str, otherwise: i64) -> i64 {
        self.attribute
            .iter()
            .find(|attribute| attribute.name == name)
            .map_or(otherwise, |attribute| attribute.i)
    }

    /// The text under `name`, empty where there is none.
    pub fn text(&self, name: &str) -> &str {
        self.attribute
            .iter()
            .find(|attribute| attribute.name == name)
            .and_then(|attribute| std::str::from_utf8(&attribute.s).ok())
            .unwrap_or_default()
    }
}

/// `AttributeProto`: one named setting of an operator.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Attribute {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(float, tag = "2")]
    pub f: f32,
    #[prost(int64, tag = "3")]
    pub i: i64,
    #[prost(bytes = "bytes", tag = "4")]
    pub s: Bytes,
    #[prost(message, optional, tag = "5")]
    pub t: Option<Tensor>,
    /// A `GraphProto`, which is not read.
    #[prost(bytes = "bytes", optional, tag = "6")]
    pub g: Option<Bytes>,
    #[prost(float, repeated, tag = "7")]
    pub floats: Vec<f32>,
    #[prost(int64, repeated, tag = "8")]
    pub ints: Vec<i64>,
    #[prost(message, repeated, tag = "10")]
    pub tensors: Vec<Tensor>,
    /// `GraphProto`s, which are not read.
    #[prost(bytes = "bytes", repeated, tag = "11")]
    pub graphs: Vec<Bytes>,
    #[prost(enumeration = "AttributeType", tag = "20")]
    pub r#type: i32,
    /// A `SparseTensorProto`, which is not read.
    #[prost(bytes = "bytes", optional, tag = "22")]
    pub sparse_tensor: Option<Bytes>,
    /// `SparseTensorProto`s, which are not read.
    #[prost(bytes = "bytes", repeated, tag = "23")]
    pub sparse_tensors: Vec<Bytes>,
}

impl Attribute {
    /// An integer.
    pub fn int(name: &str, value: i64) -> Self {
        Attribute {
            name: name.into(),
            i: value,
            r#type: AttributeType::Int as i32,
            ..Default::default()
        }
    }

    /// A floating-point number.
    pub fn float(name: &str, value: f32) -> Self {
        Attribute {
            name: name.into(),
            f: value,
            r#type: AttributeType::Float as i32,
            ..Default::default()
        }
    }

    /// A list of integers.
    pub fn ints(name: &str, values: &[i64]) -> Self {
        Attribute {
            name: name.into(),
            ints: values.to_vec(),
            r#type: AttributeType::Ints as i32,
            ..Default::default()
        }
    }
}

/// `AttributeProto.AttributeType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum AttributeType {
    Undefined = 0,
    Float = 1,
    Int = 2,
    Tensor = 4,
    Floats = 6,
    Ints = 7,
}

/// `ValueInfoProto`: an input or output of the graph.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ValueInfo {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(message, optional, tag = "2")]
    pub r#type: Option<Type>,
}

/// `TypeProto`, for tensors.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Type {
    #[prost(message, optional, tag = "1")]
    pub tensor_type: Option<TensorType>,
}

/// `TypeProto.Tensor`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct TensorType {
    #[prost(int32, tag = "1")]
    pub elem_type: i32,
    #[prost(message, optional, tag = "2")]
    pub shape: Option<Shape>,
}

/// `TensorShapeProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Shape {
    #[prost(message, repeated, tag = "1")]
    pub dim: Vec<Dimension>,
}

/// `TensorShapeProto.Dimension`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Dimension {
    #[prost(oneof = "Extent", tags = "1, 2")]
    pub extent: Option<Extent>,
}

/// How long a dimension is.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Extent {
    /// A number that the file fixes.
    #[prost(int64, tag = "1")]
    Value(i64),
    /// A name for a length that is known when the model runs.
    #[prost(string, tag = "2")]
    Name(String),
}
