//! Replaces convolutions by an operator of this project, which computes them by [Winograd's method](crate::winograd).

use std::collections::{HashMap, HashSet};

use super::{Attribute, DataType, Graph, Model, Node, OperatorSet, Tensor};

/// The domain of the operator. A file can't name it: [`scan`](super::scan) refuses all domains but ONNX's.
pub const DOMAIN: &str = "unetsegment";
/// The operator: input, weights and biases to output, with the attributes [`PADDING`] and [`RECTIFIED`].
pub const OPERATOR: &str = "WinogradConvolution";
/// Its attribute: pixels of zeros around the input.
pub const PADDING: &str = "padding";
/// Its attribute: 1 if outputs below 0 become 0.
pub const RECTIFIED: &str = "rectified";

/// Fewest input and output channels: with less, transforming them takes longer than what is saved.
const LEAST_CHANNELS: i64 = 8;

/// Most weights that are replaced: transformed, they take four times their memory besides. The paper's network has 2^25.
const MOST_WEIGHTS: i64 = 1 << 26;

/// The model with its own operator where that can compute a convolution with 3 x 3 kernels, together with the ReLU
/// after it. `None` if there is no such convolution.
pub fn with_own_convolutions(model: &Model) -> Option<Model> {
    let graph = model.graph.as_ref()?;
    let values = Values::of(graph);
    let mut replaced = HashMap::new();
    let mut dropped = HashSet::new();
    let mut biases = Vec::new();
    let mut left = MOST_WEIGHTS;
    for (index, node) in graph.node.iter().enumerate() {
        let Some(found) = values
            .convolution(node)
            .filter(|found| found.weights <= left)
        else {
            continue;
        };
        left -= found.weights;
        let relu = values.relu_after(node);
        let output = relu.map_or(&node.output, |relu| &graph.node[relu].output);
        dropped.extend(relu);
        let bias = match node.input.get(2).filter(|name| !name.is_empty()) {
            Some(name) => name.clone(),
            None => {
                let name = format!("{}/no bias", node.output[0]);
                let zeros = vec![0.0; found.outputs];
                biases.push(Tensor::of_floats(
                    name.clone(),
                    &[found.outputs as i64],
                    &zeros,
                ));
                name
            }
        };
        let own = Node {
            input: vec![node.input[0].clone(), node.input[1].clone(), bias],
            output: output.clone(),
            name: node.name.clone(),
            op_type: OPERATOR.into(),
            domain: DOMAIN.into(),
            attribute: vec![
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
    graph.initializer.extend(biases);
    model.opset_import.push(OperatorSet {
        domain: DOMAIN.into(),
        version: 1,
    });
    Some(model)
}

/// A convolution that can be replaced.
struct Found {
    outputs: usize,
    weights: i64,
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
    fn of(graph: &'a Graph) -> Self {
        let overridable: HashSet<&str> = graph
            .input
            .iter()
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
        if node.op_type != "Conv" || !node.domain.is_empty() || node.output.len() != 1 {
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
        let bias = node.input.get(2).filter(|name| !name.is_empty());
        let has_bias = bias.is_none_or(|name| {
            let tensor = self.constants.get(name.as_str());
            tensor.is_some_and(|tensor| is_float(tensor) && tensor.dims == [outputs])
        });
        let is_plain = node.integer("group", 1) == 1
            && ["strides", "dilations"]
                .iter()
                .all(|name| node.ints(name).iter().all(|by| *by == 1))
            && ["", "NOTSET", "VALID"].contains(&node.text("auto_pad"));
        let padding = match (node.text("auto_pad"), node.ints("pads")) {
            ("VALID", _) | (_, []) => 0,
            (_, &[padding, ref others @ ..]) if others.iter().all(|pad| *pad == padding) => padding,
            _ => return None,
        };
        (has_bias && is_plain && (0..=1).contains(&padding)).then_some(Found {
            outputs: usize::try_from(outputs).ok()?,
            weights: weights
                .dims
                .iter()
                .try_fold(1_i64, |all, length| all.checked_mul(*length))?,
            padding,
        })
    }

    /// The ReLU that alone reads the output of `node`, if there is one.
    fn relu_after(&self, node: &Node) -> Option<usize> {
        let &[Some(reader)] = self.readers.get(node.output[0].as_str())?.as_slice() else {
            return None;
        };
        let relu = &self.nodes[reader];
        (relu.op_type == "Relu" && relu.domain.is_empty() && relu.output.len() == 1)
            .then_some(reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::ValueInfo;

    fn named(name: &str) -> ValueInfo {
        ValueInfo {
            name: name.into(),
            r#type: None,
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
        let own = with_own_convolutions(&model).unwrap().graph.unwrap();
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
        let bias = own
            .initializer
            .iter()
            .find(|tensor| tensor.name == node.input[2]);
        assert_eq!(bias.unwrap().floats(), [0.0; 16]);
    }

    #[test]
    fn a_relu_stays_if_others_need_what_it_reads() {
        let mut model = convolution([16, 8, 3, 3], Vec::new());
        graph(&mut model)
            .node
            .push(Node::new("Relu", &["y"], "z", Vec::new()));
        graph(&mut model).output.push(named("z"));
        let own = with_own_convolutions(&model).unwrap().graph.unwrap();
        let kinds: Vec<&str> = own.node.iter().map(|node| node.op_type.as_str()).collect();
        assert_eq!(kinds, [OPERATOR, "Relu"]);
        assert_eq!(own.node[0].integer(RECTIFIED, -1), 0);
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
            ([16, 8, 3, 3], vec![Attribute::int("group", 2)]),
        ] {
            let model = convolution(dims, attributes.clone());
            assert_eq!(
                with_own_convolutions(&model),
                None,
                "{dims:?} {attributes:?}"
            );
        }
        let plain = convolution([16, 8, 3, 3], Vec::new());
        assert!(with_own_convolutions(&plain).is_some());
        let mut overridable = plain.clone();
        graph(&mut overridable).input.push(named("w"));
        assert_eq!(with_own_convolutions(&overridable), None);
        let mut biased = plain.clone();
        graph(&mut biased).node[0].input.push("computed".into());
        assert_eq!(with_own_convolutions(&biased), None);
    }
}
