//! Replaces convolutions by operators of this project, which compute them by [Winograd's method](crate::winograd).

mod codes;
mod floats;
mod values;

use std::collections::{HashMap, HashSet};

use self::values::Values;
use super::{DataType, Graph, Model, Node, OperatorSet, Tensor, ValueInfo};

/// The domain of the operators. A file can't name it: [`scan`](super::scan) refuses all domains but ONNX's.
pub const DOMAIN: &str = "unetsegment";
/// The operator for floats: input, weights and, if there are any, biases to output, with the attributes below.
pub const OPERATOR: &str = "WinogradConvolution";
/// The operator for 8-bit codes, with channels last: input, weights, the steps of the weights and biases, both for each
/// output channel, to output, with the attributes below.
pub const OPERATOR_OF_CODES: &str = "WinogradConvolutionOfCodes";
/// An attribute: output channels.
pub const OUTPUTS: &str = "outputs";
/// An attribute: pixels of zeros around the input.
pub const PADDING: &str = "padding";
/// An attribute: 1 if outputs below 0 become 0.
pub const RECTIFIED: &str = "rectified";
/// Attributes of the input and of the output: the difference between the values of two codes, and the code of 0.
pub const CODINGS: [[&str; 2]; 2] = [["input_step", "input_zero"], ["output_step", "output_zero"]];

/// Fewest input and output channels: with less, transforming them takes longer than what is saved.
const LEAST_CHANNELS: i64 = 8;

/// Most bytes of transformed weights; the paper's network has 0.5 GiB.
const MOST_BYTES: usize = 1 << 30;

/// What takes the place of a convolution.
struct Replacement {
    nodes: Vec<Node>,
    /// Constants that these need.
    constants: Vec<Tensor>,
    /// What they make, where ONNX Runtime has to know how many dimensions it has.
    made: Option<ValueInfo>,
    /// Other nodes whose work these do.
    dropped: Vec<usize>,
    /// The name of the weights.
    weights: String,
    /// Bytes of the transformed weights.
    bytes: usize,
}

/// The model with the operators in place of convolutions with 3 x 3 kernels, together with what comes after them: a ReLU,
/// and the conversion to 8-bit codes. `None` if there is no convolution that they can compute.
///
/// What this project's types lack is dropped: nothing that is needed to run the models that [`scan`](super::scan) accepts.
pub fn with_winograd(model: &Model) -> Option<Model> {
    let graph = model.graph.as_ref()?;
    // ONNX Runtime could not derive it: it does not know what the operators do to sizes.
    if !graph.output.iter().all(declares_shape) {
        return None;
    }
    let mut replacements = replacements(&Values::of(model, graph));
    if replacements.is_empty() {
        return None;
    }
    let dropped = replacements.values().flat_map(|own| own.dropped.clone());
    let dropped: HashSet<usize> = dropped.collect();
    let mut model = model.clone();
    let graph = model.graph.as_mut()?;
    // ONNX Runtime derives them again; of what is replaced they would be wrong.
    graph.value_info.clear();
    for (index, node) in std::mem::take(&mut graph.node).into_iter().enumerate() {
        match replacements.remove(&index) {
            Some(own) => {
                graph.node.extend(own.nodes);
                graph.initializer.extend(own.constants);
                graph.value_info.extend(own.made);
            }
            None if dropped.contains(&index) => (),
            None => graph.node.push(node),
        }
    }
    drop_unread(graph);
    model.opset_import.push(OperatorSet {
        domain: DOMAIN.into(),
        version: 1,
    });
    Some(model)
}

/// What takes the place of convolutions, by the number of their node.
fn replacements(values: &Values<'_>) -> HashMap<usize, Replacement> {
    let mut all = HashMap::new();
    // Each is transformed for each operator: a small file could take much memory by naming the same ones often.
    let mut weights = HashSet::new();
    let mut bytes = 0;
    for (index, node) in values.nodes.iter().enumerate() {
        let own = floats::replacement(values, node).or_else(|| codes::replacement(values, node));
        let Some(own) = own.filter(|own| weights.insert(own.weights.clone())) else {
            continue;
        };
        bytes += own.bytes;
        if bytes > MOST_BYTES {
            break;
        }
        all.insert(index, own);
    }
    all
}

/// Drops conversions and constants that nothing reads any more.
fn drop_unread(graph: &mut Graph) {
    let outputs = graph.output.iter().map(|output| output.name.as_str());
    let inputs = graph.node.iter().flat_map(|node| &node.input);
    let read: HashSet<String> = inputs
        .map(String::as_str)
        .chain(outputs)
        .map(str::to_owned)
        .collect();
    let is_read = |node: &Node| node.output.iter().any(|name| read.contains(name));
    graph
        .node
        .retain(|node| !is_onnx(node, "DequantizeLinear") || is_read(node));
    let inputs = graph.node.iter().flat_map(|node| &node.input);
    let read: HashSet<&String> = inputs
        .chain(graph.output.iter().map(|output| &output.name))
        .collect();
    graph
        .initializer
        .retain(|tensor| read.contains(&tensor.name));
}

/// What a convolution does.
struct Geometry {
    /// Of the input and the output.
    channels: [usize; 2],
    padding: i64,
}

/// That of a `node` with these `weights`, if it is one that can be replaced.
fn geometry(node: &Node, weights: &Tensor) -> Option<Geometry> {
    let &[outputs, inputs, 3, 3] = weights.dims.as_slice() else {
        return None;
    };
    if !is_onnx(node, "Conv") || node.output.len() != 1 || inputs.min(outputs) < LEAST_CHANNELS {
        return None;
    }
    let is_unless = |name: &str, value: [i64; 2]| {
        let found = node.ints(name);
        found.is_empty() || found == value
    };
    let is_plain = node.integer("group", 1) == 1
        && is_unless("kernel_shape", [3, 3])
        && is_unless("strides", [1, 1])
        && is_unless("dilations", [1, 1]);
    let padding = match (node.text("auto_pad"), node.ints("pads")) {
        ("VALID" | "NOTSET" | "", [] | [0, 0, 0, 0]) => 0,
        ("NOTSET" | "", [1, 1, 1, 1]) => 1,
        _ => return None,
    };
    let length = |length: i64| usize::try_from(length).ok();
    is_plain.then_some(Geometry {
        channels: [length(inputs)?, length(outputs)?],
        padding,
    })
}

/// Whether the file says how many dimensions this has.
fn declares_shape(value: &ValueInfo) -> bool {
    let tensor = value
        .r#type
        .as_ref()
        .and_then(|kind| kind.tensor_type.as_ref());
    tensor.is_some_and(|tensor| tensor.shape.is_some())
}

/// Whether `node` is this operator of ONNX.
fn is_onnx(node: &Node, op: &str) -> bool {
    node.op_type == op && ["", "ai.onnx"].contains(&node.domain.as_str())
}

/// Whether a tensor has numbers of this type.
fn has_type(tensor: &Tensor, data_type: DataType) -> bool {
    tensor.data_type == data_type as i32
}

#[cfg(test)]
mod tests;
