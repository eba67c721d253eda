//! The work of an operator.

use super::value::Value;
use crate::onnx::Node;

/// Approximate number of multiplications of `node`, whose output is `made`.
pub(super) fn of(node: &Node, inputs: &[Option<&Value>], made: &Value) -> f64 {
    let input = |index: usize| inputs.get(index).copied().flatten();
    let dims = |index: usize| input(index)?.dims.as_ref();
    let elements = |index: usize| input(index).map_or(1.0, |value| value.elements);
    let dim = |index: usize, axis: usize| {
        dims(index)
            .and_then(|dims| dims.get(axis))
            .map_or(1.0, |n| n.max(1.0))
    };
    match node.op_type.as_str() {
        "Conv" | "ConvInteger" => made.elements * elements(1) / dim(1, 0),
        "QLinearConv" => made.elements * elements(3) / dim(3, 0),
        "ConvTranspose" => elements(0) * elements(1) / dim(1, 0),
        "MaxPool" | "AveragePool" | "LpPool" => {
            let kernel = node.ints("kernel_shape").iter();
            made.elements
                * kernel
                    .map(|side| side.unsigned_abs() as f64)
                    .product::<f64>()
        }
        "MatMul" | "MatMulInteger" | "QLinearMatMul" | "Gemm" => {
            // Of [.., rows, inner]; the longer one if it may be transposed.
            let inner = dims(0).map(|dims| dims.iter().rev().take(2).copied());
            let inner = inner.map(|inner| match node.op_type.as_str() {
                "Gemm" => inner.fold(1.0, f64::max),
                _ => inner.take(1).product(),
            });
            made.elements * inner.unwrap_or_else(|| elements(0))
        }
        "Einsum" => elements(0) * elements(1),
        "LRN" => made.elements * node.integer("size", 1).unsigned_abs() as f64,
        _ => made.elements + elements(0),
    }
}
