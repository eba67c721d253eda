//! What of a network can be computed in 8 bits, and which of its maps that takes the range of.

use std::collections::{HashMap, HashSet};

use crate::onnx::{Graph, Node};

/// Operators that hand values on, or the largest of several, so that their result has the codes of what
/// comes in.
pub(super) const MOVING: [&str; 4] = ["MaxPool", "Slice", "Transpose", "Reshape"];

/// The names of the nodes that can be computed in 8 bits: convolutions, the one that makes the graph's output
/// only where it is of 1x1 pixels.
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

/// The names of the maps whose [`Range`](super::Range) has to be measured.
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

/// The network's maps: what comes in and what is computed of it, without shapes and weights.
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

/// The outputs of convolutions that go nowhere but through a ReLU, which is computed with them.
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

/// Whether `node` makes what goes out of the graph.
pub(super) fn is_output(graph: &Graph, node: &Node) -> bool {
    graph
        .output
        .iter()
        .any(|output| output.name == node.output[0])
}

/// The map that `name` is, before it was moved.
pub(super) fn origin<'a>(graph: &'a Graph, name: &'a str) -> &'a str {
    let mut name = name;
    while let Some(node) = graph.node.iter().find(|node| node.output[0] == name)
        && MOVING.contains(&&node.op_type[..])
    {
        name = &node.input[0];
    }
    name
}
