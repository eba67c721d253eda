//! The layers of a network that can be computed in 8 bits, and the maps whose ranges that takes.

use std::collections::{HashMap, HashSet};

use crate::onnx::{Graph, Node};

/// Operators that pass values on, or the largest of several, so that their output has the codes of their input.
pub(super) const MOVING: [&str; 4] = ["MaxPool", "Slice", "Transpose", "Reshape"];

/// The names of the nodes that can be computed in 8 bits: convolutions, the last one only if it is 1x1.
pub fn layers(graph: &Graph) -> Vec<&str> {
    let constants: HashSet<&str> = graph.initializer.iter().map(|t| &t.name[..]).collect();
    let layers = graph.node.iter().filter(|node| {
        node.op_type == "Conv"
            && (!is_output(graph, node) || node.ints("kernel_shape") == [1, 1])
            && node.input[1..]
                .iter()
                .all(|name| constants.contains(&name[..]))
    });
    layers.map(|node| &node.name[..]).collect()
}

/// The names of the maps whose [`Range`](super::Range) must be measured.
pub fn measured(graph: &Graph) -> Vec<&str> {
    let maps = maps(graph);
    let relu = followed_by_relu(graph);
    let inputs = graph.input.iter().map(|input| &input.name[..]);
    let computed = graph
        .node
        .iter()
        .filter(|node| !MOVING.contains(&&node.op_type[..]) && !relu.contains(&node.output[0][..]));
    let computed = computed.map(|node| &node.output[0][..]);
    inputs
        .chain(computed.filter(|name| maps.contains(name)))
        .collect()
}

/// The feature maps of the network: its inputs and what is computed from them, except shapes and weights.
pub(super) fn maps(graph: &Graph) -> HashSet<&str> {
    const COMPUTING: [&str; 4] = ["Conv", "ConvTranspose", "Relu", "Concat"];
    let mut maps: HashSet<&str> = graph.input.iter().map(|input| &input.name[..]).collect();
    for node in &graph.node {
        let is_map = node
            .input
            .first()
            .is_some_and(|name| maps.contains(&name[..]));
        let op = &node.op_type[..];
        if is_map && (COMPUTING.contains(&op) || MOVING.contains(&op)) {
            maps.extend(node.output.iter().map(String::as_str));
        }
    }
    maps
}

/// The outputs of convolutions that only a ReLU reads, which is fused with them.
pub(super) fn followed_by_relu(graph: &Graph) -> HashSet<&str> {
    let mut readers: HashMap<&str, Vec<&str>> = HashMap::new();
    for node in &graph.node {
        for name in &node.input {
            readers.entry(name).or_default().push(&node.op_type);
        }
    }
    let outputs = graph.node.iter().map(|node| &node.output[0][..]);
    outputs
        .filter(|name| {
            readers
                .get(name)
                .is_some_and(|readers| readers[..] == ["Relu"])
        })
        .collect()
}

/// Whether `node` makes an output of the graph.
pub(super) fn is_output(graph: &Graph, node: &Node) -> bool {
    graph
        .output
        .iter()
        .any(|output| output.name == node.output[0])
}

/// The map that `name` was before operators moved it.
pub(super) fn origin<'a>(graph: &'a Graph, name: &'a str) -> &'a str {
    let mut name = name;
    while let Some(node) = graph.node.iter().find(|node| node.output[0] == name)
        && MOVING.contains(&&node.op_type[..])
    {
        name = &node.input[0];
    }
    name
}
