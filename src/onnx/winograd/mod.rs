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
/// and the conversion to 8-bit codes. `None` if there is no convolution that they can compute; some stay once `stopped`
/// says that the model is no longer wanted.
///
/// What this project's types lack is dropped: nothing that is needed to run the models that [`scan`](super::scan) accepts.
pub fn with_winograd(model: &Model, stopped: &dyn Fn() -> bool) -> Option<Model> {
    let graph = model.graph.as_ref()?;
    // ONNX Runtime could not derive it: it does not know what the operators do to sizes.
    if !graph.output.iter().all(declares_shape) {
        return None;
    }
    let mut replacements = replacements(&Values::of(model, graph), stopped);
    if replacements.is_empty() {
        return None;
    }
    let read_before = read_names(graph);
    let dropped = replacements.values().flat_map(|own| own.dropped.clone());
    let dropped: HashSet<usize> = dropped.collect();
    let mut model = model.clone();
    let graph = model.graph.as_mut()?;
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
    drop_unread(graph, &read_before);
    model.opset_import.push(OperatorSet {
        domain: DOMAIN.into(),
        version: 1,
    });
    Some(model)
}

/// What takes the place of convolutions, by the number of their node; of some of them only if `stopped` says so.
fn replacements(values: &Values<'_>, stopped: &dyn Fn() -> bool) -> HashMap<usize, Replacement> {
    let mut all = HashMap::new();
    // Each is transformed for each operator: a small file could take much memory by naming the same ones often.
    let mut weights = HashSet::new();
    let mut bytes = 0;
    let convolutions = values.nodes.iter().enumerate();
    for (index, node) in convolutions.filter(|(_, node)| is_onnx(node, "Conv")) {
        let own = floats::replacement(values, node).or_else(|| codes::replacement(values, node));
        let Some(own) = own.filter(|own| weights.insert(own.weights.clone())) else {
            continue;
        };
        bytes += own.bytes;
        if bytes > MOST_BYTES || stopped() {
            break;
        }
        all.insert(index, own);
    }
    all
}

/// The values that the nodes of a graph read, and its outputs.
fn read_names(graph: &Graph) -> HashSet<String> {
    let inputs = graph
        .node
        .iter()
        .flat_map(|node| node.input.iter().cloned());
    let outputs = graph.output.iter().map(|output| output.name.clone());
    inputs.chain(outputs).collect()
}

/// Drops conversions and constants that were read before and are no longer. Those that are inputs, too, stay: they would
/// have to be given a value.
fn drop_unread(graph: &mut Graph, read_before: &HashSet<String>) {
    let read = read_names(graph);
    let is_lost = |name: &String| read_before.contains(name) && !read.contains(name);
    graph
        .node
        .retain(|node| !is_onnx(node, "DequantizeLinear") || !node.output.iter().all(is_lost));
    let read = read_names(graph);
    let inputs: HashSet<&String> = graph.input.iter().map(|input| &input.name).collect();
    graph.initializer.retain(|tensor| {
        let name = &tensor.name;
        read.contains(name) || !read_before.contains(name) || inputs.contains(name)
    });
}

/// What a convolution does.
struct Geometry {
    /// Of the input and the output.
    channels: [usize; 2],
    padding: i64,
}

/// That of a Conv `node` with these `weights`, if it is one that can be replaced.
fn geometry(node: &Node, weights: &Tensor) -> Option<Geometry> {
    let &[outputs, inputs, 3, 3] = weights.dims.as_slice() else {
        return None;
    };
    if node.output.len() != 1 || inputs.min(outputs) < LEAST_CHANNELS {
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
