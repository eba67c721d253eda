//! What a graph's values are: constants, and which nodes make and read the others.

use std::collections::{HashMap, HashSet};

use super::is_onnx;
use crate::onnx::{Graph, Model, Node, Tensor};

/// Format of ONNX files before which every weight had to be listed as an input, too.
pub const IR_OF_CONSTANTS: i64 = 4;

/// The values of a graph, by name.
pub struct Values<'a> {
    /// Weights whose values are in the file and can't be overridden by an input.
    constants: HashMap<&'a str, &'a Tensor>,
    /// The nodes that read a value, each as often as it does so; and the graph itself, as `None`.
    readers: HashMap<&'a str, Vec<Option<usize>>>,
    /// The node that makes a value.
    makers: HashMap<&'a str, usize>,
    /// The names of constants and inputs.
    given: HashSet<&'a str>,
    /// The nodes of the graph.
    pub nodes: &'a [Node],
}

impl<'a> Values<'a> {
    /// Those of a graph.
    pub fn of(model: &Model, graph: &'a Graph) -> Self {
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
        let mut makers = HashMap::new();
        for (index, node) in graph.node.iter().enumerate() {
            for name in &node.input {
                readers.entry(name).or_default().push(Some(index));
            }
            makers.extend(node.output.iter().map(|name| (name.as_str(), index)));
        }
        for output in &graph.output {
            readers.entry(&output.name).or_default().push(None);
        }
        let given = graph.initializer.iter().map(|tensor| tensor.name.as_str());
        let inputs = graph.input.iter().map(|input| input.name.as_str());
        Values {
            constants: constants.collect(),
            given: given.chain(inputs).collect(),
            readers,
            makers,
            nodes: &graph.node,
        }
    }

    /// A name like `name` that no value has.
    pub fn free_name(&self, mut name: String) -> String {
        let is_taken = |name: &str| {
            let made_or_read = self.makers.contains_key(name) || self.readers.contains_key(name);
            made_or_read || self.given.contains(name)
        };
        while is_taken(&name) {
            name.push('_');
        }
        name
    }

    /// A constant.
    pub fn constant(&self, name: &str) -> Option<&'a Tensor> {
        self.constants.get(name).copied()
    }

    /// The node that makes a value, if it is this operator of ONNX.
    pub fn maker(&self, name: &str, op: &str) -> Option<&'a Node> {
        let node = &self.nodes[*self.makers.get(name)?];
        is_onnx(node, op).then_some(node)
    }

    /// The number of the node that alone reads the only output of `node`, if it is this operator of ONNX.
    pub fn only_reader(&self, node: &Node, op: &str) -> Option<usize> {
        let &[Some(reader)] = self.readers.get(node.output.first()?.as_str())?.as_slice() else {
            return None;
        };
        let found = &self.nodes[reader];
        (is_onnx(found, op) && found.output.len() == 1).then_some(reader)
    }
}
