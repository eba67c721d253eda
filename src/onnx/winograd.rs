//! Replaces convolutions by an operator of this project, which computes them by [Winograd's method](crate::winograd).

use std::collections::{HashMap, HashSet};

use super::{Attribute, DataType, Graph, Model, Node, OperatorSet, Tensor, ValueInfo};
use crate::winograd;

/// The domain of the operator. A file can't name it: [`scan`](super::scan) refuses all domains but ONNX's.
pub const DOMAIN: &str = "unetsegment";
/// The operator: input, weights and, if there are any, biases to output, with the attributes below.
pub const OPERATOR: &str = "WinogradConvolution";
/// Its attribute: output channels.
pub const OUTPUTS: &str = "outputs";
/// Its attribute: pixels of zeros around the input.
pub const PADDING: &str = "padding";
/// Its attribute: 1 if outputs below 0 become 0.
pub const RECTIFIED: &str = "rectified";

/// Fewest input and output channels: with less, transforming them takes longer than what is saved.
const LEAST_CHANNELS: i64 = 8;

/// Most bytes of transformed weights; the paper's network has 0.5 GiB.
const MOST_BYTES: usize = 1 << 30;

/// Format of ONNX files before which every weight had to be listed as an input, too.
const IR_OF_CONSTANTS: i64 = 4;

/// The model with the operator in place of convolutions with 3 x 3 kernels, together with the ReLU after it. `None` if
/// there is no convolution that it can compute.
///
/// What this project's types lack is dropped, like the shapes of intermediate maps: nothing that is needed to run the
/// models that [`scan`](super::scan) accepts.
pub fn with_winograd(model: &Model) -> Option<Model> {
    let graph = model.graph.as_ref()?;
    // ONNX Runtime could not derive it: it does not know what the operator does to sizes.
    if !graph.output.iter().all(declares_shape) {
        return None;
    }
    let values = Values::of(model, graph);
    let (mut replaced, mut dropped) = (HashMap::new(), HashSet::new());
    // Each is transformed for each operator: a small file could take much memory by naming the same ones often.
    let mut weights = HashSet::new();
    let mut bytes = 0;
    for (index, node) in graph.node.iter().enumerate() {
        let Some(found) = values.convolution(node) else {
            continue;
        };
        if !weights.insert(node.input[1].as_str()) {
            continue;
        }
        bytes += winograd::transformed_bytes(found.channels);
        if bytes > MOST_BYTES {
            break;
        }
        let relu = values.relu_after(node);
        let output = relu.map_or(&node.output, |relu| &graph.node[relu].output);
        dropped.extend(relu);
        let own = Node {
            input: node.input.clone(),
            output: output.clone(),
            name: node.name.clone(),
            op_type: OPERATOR.into(),
            domain: DOMAIN.into(),
            attribute: vec![
                Attribute::int(OUTPUTS, found.channels[1] as i64),
                Attribute::int(PADDING, found.padding),
                Attribute::int(RECTIFIED, i64::from(relu.is_some())),
            ],
        };
        replaced.insert(index, own);
    }
    if replaced.is_empty() {
        return None;
    }
    let mut model = model.clone();
    let graph = model.graph.as_mut()?;
    let nodes = std::mem::take(&mut graph.node).into_iter().enumerate();
    graph.node = nodes
        .filter(|(index, _)| !dropped.contains(index))
        .map(|(index, node)| replaced.remove(&index).unwrap_or(node))
        .collect();
    model.opset_import.push(OperatorSet {
        domain: DOMAIN.into(),
        version: 1,
    });
    Some(model)
}

/// A convolution that can be replaced.
struct Found {
    /// Of the input and the output.
    channels: [usize; 2],
    padding: i64,
}

/// The values of a graph, by name.
struct Values<'a> {
    /// Weights whose values are in the file and can't be overridden by an input.
    constants: HashMap<&'a str, &'a Tensor>,
    /// The nodes that read a value, each as often as it does so; and the graph itself, as `None`.
    readers: HashMap<&'a str, Vec<Option<usize>>>,
    nodes: &'a [Node],
}

impl<'a> Values<'a> {
    fn of(model: &Model, graph: &'a Graph) -> Self {
        let inputs = graph.input.iter();
        let overridable: HashSet<&str> = inputs
            .filter(|_| model.ir_version >= IR_OF_CONSTANTS)
            .map(|input| input.name.as_str())
            .collect();
        let constants = graph.initializer.iter();
        let constants = constants
            .map(|tensor| (tensor.name.as_str(), tensor))
            .filter(|(name, tensor)| {
                !overridable.contains(name) && tensor.external_data.is_empty()
            });
        let mut readers: HashMap<&str, Vec<Option<usize>>> = HashMap::new();
        for (index, node) in graph.node.iter().enumerate() {
            for name in &node.input {
                readers.entry(name).or_default().push(Some(index));
            }
        }
        for output in &graph.output {
            readers.entry(&output.name).or_default().push(None);
        }
        Values {
            constants: constants.collect(),
            readers,
            nodes: &graph.node,
        }
    }

    /// The convolution of `node`, if it is one that can be replaced.
    fn convolution(&self, node: &Node) -> Option<Found> {
        if !is_onnx(node, "Conv") || node.output.len() != 1 {
            return None;
        }
        let is_float = |tensor: &Tensor| tensor.data_type == DataType::Float as i32;
        let weights = self.constants.get(node.input.get(1)?.as_str())?;
        let &[outputs, inputs, 3, 3] = weights.dims.as_slice() else {
            return None;
        };
        if !is_float(weights) || inputs.min(outputs) < LEAST_CHANNELS {
            return None;
        }
        let has_bias = match &node.input[2..] {
            [] => true,
            [bias] => {
                let bias = self.constants.get(bias.as_str());
                bias.is_some_and(|bias| is_float(bias) && bias.dims == [outputs])
            }
            _ => false,
        };
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
        (has_bias && is_plain).then_some(Found {
            channels: [
                usize::try_from(inputs).ok()?,
                usize::try_from(outputs).ok()?,
            ],
            padding,
        })
    }

    /// The ReLU that alone reads the output of `node`, if there is one.
    fn relu_after(&self, node: &Node) -> Option<usize> {
        let &[Some(reader)] = self.readers.get(node.output[0].as_str())?.as_slice() else {
            return None;
        };
        let relu = &self.nodes[reader];
        (is_onnx(relu, "Relu") && relu.output.len() == 1).then_some(reader)
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::{Shape, TensorType, Type};

    fn named(name: &str) -> ValueInfo {
        let tensor_type = TensorType {
            elem_type: DataType::Float as i32,
            shape: Some(Shape { dim: Vec::new() }),
        };
        ValueInfo {
            name: name.into(),
            r#type: Some(Type {
                tensor_type: Some(tensor_type),
            }),
        }
    }

    /// A convolution from `x` to `y` without a bias, with these weights and attributes.
    fn convolution(dims: [i64; 4], attributes: Vec<Attribute>) -> Model {
        let count = dims.iter().product::<i64>() as usize;
        Model {
            graph: Some(Graph {
                node: vec![Node::new("Conv", &["x", "w"], "y", attributes)],
                initializer: vec![Tensor::of_floats("w".into(), &dims, &vec![0.5; count])],
                input: vec![named("x")],
                output: vec![named("y")],
                ..Graph::default()
            }),
            ..Model::default()
        }
    }

    fn graph(model: &mut Model) -> &mut Graph {
        model.graph.as_mut().unwrap()
    }

    #[test]
    fn a_convolution_and_its_relu_become_one_operator() {
        let mut model = convolution([16, 8, 3, 3], vec![Attribute::ints("pads", &[1; 4])]);
        graph(&mut model)
            .node
            .push(Node::new("Relu", &["y"], "z", Vec::new()));
        graph(&mut model).output = vec![named("z")];
        let own = with_winograd(&model).unwrap().graph.unwrap();
        let [node] = own.node.as_slice() else {
            panic!("{:?}", own.node);
        };
        assert_eq!(
            (node.op_type.as_str(), node.domain.as_str()),
            (OPERATOR, DOMAIN)
        );
        assert_eq!(
            [PADDING, RECTIFIED].map(|name| node.integer(name, -1)),
            [1, 1]
        );
        assert_eq!(node.output, ["z"]);
        assert_eq!(node.integer(OUTPUTS, -1), 16);
        assert_eq!(node.input, ["x", "w"]);
    }

    #[test]
    fn a_relu_stays_if_others_need_what_it_reads() {
        let mut model = convolution([16, 8, 3, 3], Vec::new());
        graph(&mut model)
            .node
            .push(Node::new("Relu", &["y"], "z", Vec::new()));
        graph(&mut model).output.push(named("z"));
        let own = with_winograd(&model).unwrap().graph.unwrap();
        let kinds: Vec<&str> = own.node.iter().map(|node| node.op_type.as_str()).collect();
        assert_eq!(kinds, [OPERATOR, "Relu"]);
        assert_eq!(own.node[0].integer(RECTIFIED, -1), 0);
    }

    #[test]
    fn transformed_weights_take_no_more_than_their_limit() {
        let mut model = convolution([24, 9, 3, 3], Vec::new());
        let each = winograd::transformed_bytes([9, 24]);
        let graph = graph(&mut model);
        let most = MOST_BYTES / each;
        for number in 0..most {
            let [weights, output] = ["w", "y"].map(|name| format!("{name}{number}"));
            let node = Node::new("Conv", &["x", &weights], &output, Vec::new());
            graph.node.push(node);
            // These share the bytes.
            let name = weights;
            let tensor = graph.initializer[0].clone();
            graph.initializer.push(Tensor { name, ..tensor });
        }
        assert_eq!(replaced(&model), most);
    }

    #[test]
    fn weights_are_transformed_once() {
        let mut model = convolution([16, 8, 3, 3], Vec::new());
        let again = Node::new("Conv", &["x", "w"], "z", Vec::new());
        graph(&mut model).node.push(again);
        assert_eq!(replaced(&model), 1);
    }

    /// How many convolutions are replaced.
    fn replaced(model: &Model) -> usize {
        let graph = with_winograd(model).and_then(|own| own.graph).unwrap();
        let own = graph.node.iter().filter(|node| node.op_type == OPERATOR);
        own.count()
    }

    #[test]
    fn other_convolutions_stay() {
        let ints = |name, values: &[i64]| vec![Attribute::ints(name, values)];
        for (dims, attributes) in [
            ([16, 8, 1, 1], Vec::new()),
            ([16, 1, 3, 3], Vec::new()),
            ([2, 16, 3, 3], Vec::new()),
            ([16, 8, 3, 3], ints("strides", &[2, 2])),
            ([16, 8, 3, 3], ints("dilations", &[1, 2])),
            ([16, 8, 3, 3], ints("pads", &[1, 1, 0, 0])),
            ([16, 8, 3, 3], ints("pads", &[2; 4])),
            ([16, 8, 3, 3], ints("pads", &[1])),
            ([16, 8, 3, 3], ints("kernel_shape", &[5, 5])),
            ([16, 8, 3, 3], vec![Attribute::int("group", 2)]),
        ] {
            let model = convolution(dims, attributes.clone());
            assert_eq!(with_winograd(&model), None, "{dims:?} {attributes:?}");
        }
        let plain = convolution([16, 8, 3, 3], Vec::new());
        assert!(with_winograd(&plain).is_some());
        let mut overridable = plain.clone();
        graph(&mut overridable).input.push(named("w"));
        assert!(with_winograd(&overridable).is_some());
        overridable.ir_version = IR_OF_CONSTANTS;
        assert_eq!(with_winograd(&overridable), None);
        let mut undeclared = plain.clone();
        graph(&mut undeclared).output[0].r#type = None;
        assert_eq!(with_winograd(&undeclared), None);
        let mut biased = plain.clone();
        graph(&mut biased).node[0].input.push("computed".into());
        assert_eq!(with_winograd(&biased), None);
    }
}
