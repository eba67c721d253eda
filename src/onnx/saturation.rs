//! Whether sums of 8-bit products fit into 16 bits.

use super::{DataType, Graph, Tensor};

/// Largest weight of models that the trainer writes in 8 bits: 2 x 64 x 255 fits into 16 bits.
pub const LARGEST_WEIGHT: u8 = 64;

/// Whether all weights of `graph` are integers of at most [`LARGEST_WEIGHT`], such that sums of two of their products
/// fit into 16 bits: processors without 8-bit dot products (AVX2) add products in pairs, and saturate there. `false`
/// also if that can't be seen, because weights are rounded only when the model is loaded, or lie in another file.
pub fn sums_fit_16_bits(graph: &Graph) -> bool {
    let is = |tensor: &Tensor, kind: DataType| tensor.data_type == kind as i32;
    let is_weight = |tensor: &&Tensor| {
        (is(tensor, DataType::Int8) || is(tensor, DataType::Uint8)) && tensor.dims.len() > 1
    };
    let is_small = |tensor: &Tensor| {
        is(tensor, DataType::Int8)
            && !tensor.raw_data.is_empty()
            && tensor
                .raw_data
                .iter()
                .all(|byte| (*byte as i8).unsigned_abs() <= LARGEST_WEIGHT)
    };
    let constants = || graph.initializer.iter();
    let rounds_weights = graph.node.iter().any(|node| {
        let input = node.input.first().map_or("", String::as_str);
        let is_constant = constants().any(|tensor| tensor.name == input);
        node.op_type == "Constant"
            && node
                .attribute
                .iter()
                .any(|a| a.t.as_ref().is_some_and(|t| is_weight(&t)))
            || node.op_type == "QuantizeLinear" && is_constant
    });
    !rounds_weights && constants().filter(is_weight).all(is_small)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::Node;

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
        let mut rounded = weights(DataType::Float, [0, 0]);
        rounded.node.push(Node {
            op_type: "QuantizeLinear".into(),
            input: vec!["w".into()],
            ..Node::default()
        });
        assert!(!sums_fit_16_bits(&rounded));
    }
}
