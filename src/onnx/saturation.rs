//! Whether sums of 8-bit products fit into 16 bits.

use std::collections::{HashMap, HashSet};

use super::{DataType, Graph, Node, Tensor};

/// Largest weight of models that the trainer writes in 8 bits: 2 x 64 x 255 fits into 16 bits.
pub const LARGEST_WEIGHT: u8 = 64;

/// Whether all weights of `graph` are integers of at most [`LARGEST_WEIGHT`], such that sums of two of their products
/// fit into 16 bits: processors without 8-bit dot products (AVX2) add products in pairs, and saturate there. `false`
/// also if that can't be seen, because weights are computed only when the model is loaded or runs, or lie in another
/// file.
pub fn sums_fit_16_bits(graph: &Graph) -> bool {
    let initializers = graph.initializer.iter();
    let initializers = initializers.map(|tensor| (tensor.name.as_str(), tensor));
    let constants = graph.node.iter().filter(|node| node.op_type == "Constant");
    let constants = constants.filter_map(|node| {
        let tensor = node.attribute.iter().find_map(|entry| entry.t.as_ref());
        Some((node.output.first()?.as_str(), tensor?))
    });
    let stored: HashMap<&str, &Tensor> = initializers.chain(constants).collect();
    let maps = depending_on_inputs(graph, &stored);
    let is_visible = |node: &Node| {
        let input = |at: usize| node.input.get(at).map_or("", String::as_str);
        let is_small = |name: &str| stored.get(name).is_some_and(|tensor| is_small(tensor));
        match node.op_type.as_str() {
            "QuantizeLinear" | "DynamicQuantizeLinear" => maps.contains(input(0)),
            "DequantizeLinear" => maps.contains(input(0)) || stored.contains_key(input(0)),
            "ConvInteger" | "MatMulInteger" => is_small(input(1)),
            "QLinearConv" | "QLinearMatMul" => is_small(input(3)),
            _ => true,
        }
    };
    let mut weights = stored.values().filter(|tensor| is_weight(tensor));
    weights.all(|tensor| is_small(tensor)) && graph.node.iter().all(is_visible)
}

fn is_weight(tensor: &Tensor) -> bool {
    let kinds = [DataType::Int8, DataType::Uint8].map(|kind| kind as i32);
    kinds.contains(&tensor.data_type) && tensor.dims.len() > 1
}

fn is_small(tensor: &Tensor) -> bool {
    let mut codes = tensor.raw_data.iter().map(|byte| *byte as i8);
    tensor.data_type == DataType::Int8 as i32
        && !tensor.raw_data.is_empty()
        && codes.all(|code| code.unsigned_abs() <= LARGEST_WEIGHT)
}

/// The inputs of the graph that have no `stored` value, and all that is computed from them.
fn depending_on_inputs<'a>(graph: &'a Graph, stored: &HashMap<&str, &Tensor>) -> HashSet<&'a str> {
    let inputs = graph.input.iter().map(|input| input.name.as_str());
    let mut names: HashSet<&str> = inputs.filter(|name| !stored.contains_key(name)).collect();
    for node in &graph.node {
        if node.input.iter().any(|name| names.contains(name.as_str())) {
            // An optional output that is left out has no name.
            let outputs = node.output.iter().filter(|name| !name.is_empty());
            names.extend(outputs.map(String::as_str));
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::{Attribute, ValueInfo};

    fn weights(kind: DataType, codes: [i8; 2]) -> Graph {
        let bytes = codes.map(|code| code as u8);
        Graph {
            initializer: vec![Tensor::new("w".into(), kind, &[2, 1], bytes)],
            ..Graph::default()
        }
    }

    #[test]
    fn large_and_unknown_weights_do_not_fit() {
        assert!(sums_fit_16_bits(&weights(DataType::Int8, [-64, 64])));
        assert!(!sums_fit_16_bits(&weights(DataType::Int8, [-65, 0])));
        assert!(!sums_fit_16_bits(&weights(DataType::Uint8, [1, 1])));
        let mut in_another_file = weights(DataType::Int8, [1, 1]);
        in_another_file.initializer[0].raw_data.clear();
        assert!(!sums_fit_16_bits(&in_another_file));
    }

    #[test]
    fn weights_that_are_computed_do_not_fit() {
        let with = |kind: DataType, nodes: &[Node]| {
            let graph = Graph {
                node: nodes.to_vec(),
                input: vec![ValueInfo {
                    name: "x".into(),
                    r#type: None,
                }],
                ..weights(kind, [1, 1])
            };
            sums_fit_16_bits(&graph)
        };
        let node = |op: &str, inputs: &[&str]| Node::new(op, inputs, op, Vec::new());
        let quantize = |input: &str| node("QuantizeLinear", &[input]);
        let constant = Node {
            attribute: vec![Attribute {
                name: "value".into(),
                t: weights(DataType::Float, [0, 0]).initializer.pop(),
                ..Attribute::default()
            }],
            ..node("Constant", &[])
        };
        let turn = || node("Transpose", &["w"]);
        assert!(with(DataType::Float, &[quantize("x")]));
        assert!(!with(DataType::Float, &[quantize("w")]));
        assert!(!with(DataType::Float, &[constant, quantize("Constant")]));
        assert!(!with(DataType::Float, &[turn(), quantize("Transpose")]));
        let product = |weights: &str| node("MatMulInteger", &["x", weights]);
        assert!(with(DataType::Int8, &[product("w")]));
        assert!(!with(DataType::Int8, &[turn(), product("Transpose")]));
    }
}
