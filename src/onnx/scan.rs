//! Refuses harmful models before ONNX Runtime sees them: a model is a program that somebody else wrote.
//!
//! No segmentation network needs what is refused, which could run forever (control flow), run foreign code (operators
//! of other domains), or take all memory while a file of a hundred bytes is loaded (computed constants, unbounded
//! sizes).

mod bounds;
mod empty;
mod integers;
mod numbers;
mod rules;
mod shapes;
mod sizes;
pub(crate) mod tensor;
mod value;
mod windows;
mod work;

use std::collections::HashSet;

use super::{Attribute, AttributeType, Graph, Model, Node, wire};

/// Largest number of operators; large segmentation networks have a few thousand.
pub(super) const MOST_NODES: usize = 20_000;

/// Largest number of outputs of one operator, and of all of them: few have more than one.
const MOST_OUTPUTS: usize = 256;
const ALL_OUTPUTS: usize = 2 * MOST_NODES;

/// Largest computed constant in elements; 64 MiB of floats.
const LARGEST_CONSTANT: i64 = 1 << 24;

/// Largest length or shift of an operator in pixels.
const LARGEST_LENGTH: i64 = 1 << 16;

/// Largest factor by which an operator may enlarge a picture along one axis.
const LARGEST_SCALE: f64 = 16.0;

/// Largest factor between a length of the picture and a computed shape.
const LARGEST_FACTOR: i64 = 64;

/// Largest number of dimensions of a tensor.
const MOST_DIMS: usize = 64;

/// Operators that run a subgraph.
const CONTROL_FLOW: [&str; 4] = ["If", "Loop", "Scan", "SequenceMap"];

/// Operators whose output size is not known here, and that no network of the U-Net kind needs: strings, lists, sound,
/// boxes, and attention.
const NOT_FOR_PICTURES: [&str; 37] = [
    "Attention",
    "BlackmanWindow",
    "CausalConvWithState",
    "CenterCropPad",
    "Col2Im",
    "ConcatFromSequence",
    "DFT",
    "DeformConv",
    "GRU",
    "HammingWindow",
    "HannWindow",
    "ImageDecoder",
    "LSTM",
    "LinearAttention",
    "MaxRoiPool",
    "MelWeightMatrix",
    "Multinomial",
    "NonMaxSuppression",
    "Optional",
    "OptionalGetElement",
    "OptionalHasElement",
    "RNN",
    "RegexFullMatch",
    "RoiAlign",
    "STFT",
    "SequenceAt",
    "SequenceConstruct",
    "SequenceEmpty",
    "SequenceErase",
    "SequenceInsert",
    "SequenceLength",
    "SplitToSequence",
    "StringConcat",
    "StringNormalizer",
    "StringSplit",
    "TfIdfVectorizer",
    "Unique",
];

/// Why a model is refused.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    #[error("it has {0} operators or more, and at most {MOST_NODES} are allowed")]
    Nodes(usize),
    #[error(
        "everything except its weights takes more than {} MiB, where networks have a tenth of that; weights stored in lists of integers are counted, too: save them as raw data",
        wire::MOST_BESIDE_WEIGHTS >> 20
    )]
    Structure,
    #[error(
        "{node} has a graph of its own (control flow), which may run without end: export the network without it"
    )]
    ControlFlow { node: String },
    #[error(
        "{node} is of the domain {domain}, whose operators are not ONNX's: export the network with standard operators"
    )]
    Domain { node: String, domain: String },
    #[error("it defines operators of its own (functions): export it with them inlined")]
    Functions,
    #[error(
        "it contains training information (training_info), which is not needed here: export it for inference"
    )]
    Training,
    #[error(
        "{node}, or the operators up to it, have {outputs} outputs: at most {MOST_OUTPUTS} are allowed for one operator, {ALL_OUTPUTS} for all"
    )]
    Outputs { node: String, outputs: usize },
    #[error("it contains sparse tensors, whose size has no bound: export it with dense ones")]
    Sparse,
    #[error(
        "the tensor {tensor} has the dimensions {dims:?}, and {bytes} bytes of data, which do not match"
    )]
    Tensor {
        tensor: String,
        dims: Vec<i64>,
        bytes: u64,
    },
    #[error("{node} has the value {value}, which no picture needs: at most {limit} is allowed")]
    Length {
        node: String,
        value: i64,
        limit: i64,
    },
    #[error("{node} has the attribute {name} twice: export the network again")]
    Doubled { node: String, name: String },
    #[error(
        "{node} holds a constant in a form that is not followed here: store it as a tensor, a number or a list of numbers"
    )]
    Form { node: String },
    #[error(
        "{node} divides integers by a value that may be -1, which can crash the process: divide by a constant, or in floating point"
    )]
    Divides { node: String },
    #[error("{node} has {group} groups, which do not divide its channels: the file is damaged")]
    Groups { node: String, group: i64 },
    #[error(
        "{node} has an input or output of no elements, on which some operators crash: the file is damaged"
    )]
    Empty { node: String },
    #[error("{node} enlarges by {scale}, but at most {LARGEST_SCALE} is allowed")]
    Scale { node: String, scale: f64 },
    #[error(
        "{node} makes a constant of {elements} elements, but at most {LARGEST_CONSTANT} are allowed: store it as an initializer"
    )]
    Constant { node: String, elements: i64 },
    #[error(
        "{node} brings the numbers in memory to {elements} for a picture of {pixels} pixels, which no network of this kind needs"
    )]
    Map {
        node: String,
        elements: i64,
        pixels: i64,
    },
    #[error(
        "the window of {node} is larger than its input: the file is damaged, or made for larger pictures"
    )]
    Vanishes { node: String },
    #[error(
        "{node} alone multiplies {work} times for each pixel of the picture, but at most {} are allowed, because an operator can't be interrupted",
        sizes::MOST_OF_ONE
    )]
    Heavy { node: String, work: i64 },
    #[error("the operators up to {node} take too long for any picture")]
    Work { node: String },
    #[error(
        "{node} comes before the operator that computes its input {tensor}: sort the operators, as ONNX demands, and save it again"
    )]
    Unsorted { node: String, tensor: String },
    #[error("two operators or constants have an output named {0}")]
    Twice(String),
    #[error(
        "{node} processes strings, sequences, sound, boxes or the like, and its output has no size limit: export the network without it"
    )]
    NotForPictures { node: String },
    #[error(
        "{node} has a size that is computed by {by}, so that nothing bounds it: export the network with constants folded"
    )]
    Unbounded { node: String, by: String },
}

/// Refuses `model` if it is harmful.
pub fn scan(model: &Model) -> Result<(), Refusal> {
    if !model.functions.is_empty() {
        return Err(Refusal::Functions);
    }
    if !model.training_info.is_empty() {
        return Err(Refusal::Training);
    }
    let Some(graph) = &model.graph else {
        return Ok(());
    };
    if graph.node.len() > MOST_NODES {
        return Err(Refusal::Nodes(graph.node.len()));
    }
    if !graph.sparse_initializer.is_empty() {
        return Err(Refusal::Sparse);
    }
    graph.initializer.iter().try_for_each(tensor::check)?;
    outputs(graph)?;
    graph.node.iter().try_for_each(operator)?;
    sizes::check(graph).map(drop)
}

/// Approximate number of multiplications of the most expensive operator, for each pixel of the picture. A run can't be
/// stopped within an operator.
pub fn heaviest(graph: &Graph) -> f64 {
    sizes::check(graph).unwrap_or(0.0)
}

/// A node in a message.
fn label(node: &Node) -> String {
    if node.name.is_empty() {
        format!("an operator {}", node.op_type)
    } else {
        format!("the operator {} ({})", node.name, node.op_type)
    }
}

fn domain(node: &Node) -> Result<(), Refusal> {
    match node.domain.as_str() {
        "" | "ai.onnx" => Ok(()),
        other => Err(Refusal::Domain {
            node: label(node),
            domain: other.to_owned(),
        }),
    }
}

/// Checks the number of outputs: each takes memory here while it is needed, even if it takes only a byte in the file.
fn outputs(graph: &Graph) -> Result<(), Refusal> {
    let mut all = 0;
    graph.node.iter().try_for_each(|node| {
        let own = node.output.len();
        all += own;
        let refused = |outputs: usize| Refusal::Outputs {
            node: label(node),
            outputs,
        };
        match (own <= MOST_OUTPUTS, all <= ALL_OUTPUTS) {
            (true, true) => Ok(()),
            (false, _) => Err(refused(own)),
            (true, false) => Err(refused(all)),
        }
    })
}

/// Checks an operator by itself.
fn operator(node: &Node) -> Result<(), Refusal> {
    domain(node)?;
    let op = node.op_type.as_str();
    if CONTROL_FLOW.contains(&op) {
        return Err(Refusal::ControlFlow { node: label(node) });
    }
    if NOT_FOR_PICTURES.contains(&op) {
        return Err(Refusal::NotForPictures { node: label(node) });
    }
    let mut names = HashSet::new();
    if let Some(twice) = node
        .attribute
        .iter()
        .find(|entry| !names.insert(entry.name.as_str()))
    {
        return Err(Refusal::Doubled {
            node: label(node),
            name: twice.name.clone(),
        });
    }
    if op == "Constant" && !is_plain(node) {
        return Err(Refusal::Form { node: label(node) });
    }
    let mut attributes = node.attribute.iter();
    attributes.try_for_each(|entry| attribute(node, entry))
}

/// Whether a constant holds a value of the type that its single attribute declares, which ONNX Runtime uses, and nothing
/// else.
fn is_plain(node: &Node) -> bool {
    let [entry] = node.attribute.as_slice() else {
        return false;
    };
    let (no_tensor, no_list) = (
        entry.t.is_none(),
        entry.ints.is_empty() && entry.floats.is_empty(),
    );
    match (AttributeType::try_from(entry.r#type), entry.name.as_str()) {
        (Ok(AttributeType::Tensor), "value") => !no_tensor && no_list,
        (Ok(AttributeType::Int), "value_int") | (Ok(AttributeType::Float), "value_float") => {
            no_tensor && no_list
        }
        (Ok(AttributeType::Ints), "value_ints") => no_tensor && entry.floats.is_empty(),
        (Ok(AttributeType::Floats), "value_floats") => no_tensor && entry.ints.is_empty(),
        _ => false,
    }
}

fn attribute(node: &Node, entry: &Attribute) -> Result<(), Refusal> {
    if entry.g.is_some() || !entry.graphs.is_empty() {
        return Err(Refusal::ControlFlow { node: label(node) });
    }
    if entry.sparse_tensor.is_some() || !entry.sparse_tensors.is_empty() {
        return Err(Refusal::Sparse);
    }
    let mut tensors = entry.t.iter().chain(&entry.tensors);
    tensors.try_for_each(tensor::check)?;
    // Lengths in pixels, except the ends of slices, where the largest number means all.
    let spatial = [
        "pads",
        "strides",
        "dilations",
        "kernel_shape",
        "output_padding",
        "output_shape",
        "blocksize",
        "shape",
        "repeats",
        "group",
    ];
    if !spatial.contains(&entry.name.as_str()) {
        return Ok(());
    }
    let values = entry.ints.iter().chain([&entry.i]);
    for &value in values {
        within(node, value, LARGEST_LENGTH)?;
    }
    Ok(())
}

fn within(node: &Node, value: i64, limit: i64) -> Result<(), Refusal> {
    if value.unsigned_abs() <= limit.unsigned_abs() {
        return Ok(());
    }
    Err(Refusal::Length {
        node: label(node),
        value,
        limit,
    })
}

#[cfg(test)]
mod tests;
