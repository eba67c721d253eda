//! Integer divisions, which ONNX Runtime leaves to the processor: the smallest integer by -1 ends the process.

use super::numbers::Numbers;
use super::value::Value;
use super::{Refusal, label};
use crate::onnx::{DataType, Node};

/// No size of a picture comes near it, and the smallest integer is far beyond it.
const FAR: f64 = (1_u64 << 30) as f64;

/// Whether tensors of this type of ONNX are divided as integers.
pub(super) fn is_whole(data_type: i32) -> bool {
    let floats = [DataType::Float as i32, DataType::Float16 as i32, 11, 16];
    !floats.contains(&data_type)
}

/// Whether the output of `node` may be integers.
pub(super) fn makes_whole(node: &Node, inputs: &[Option<&Value>]) -> bool {
    let of_input = |index: usize| {
        let input = inputs.get(index).copied().flatten();
        input.is_some_and(|value| value.whole)
    };
    match node.op_type.as_str() {
        "Shape" | "Size" | "NonZero" | "ArgMax" | "ArgMin" | "EyeLike" => true,
        "Equal" | "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual" | "Not" => true,
        "ConvInteger" | "MatMulInteger" | "QuantizeLinear" | "DynamicQuantizeLinear" => true,
        // Their second output holds indices.
        "MaxPool" | "TopK" if node.output.len() > 1 => true,
        "Cast" => is_whole(node.integer("to", DataType::Float as i64) as i32),
        "ConstantOfShape" => {
            let mut tensors = node.attribute.iter().filter_map(|entry| entry.t.as_ref());
            tensors.any(|tensor| is_whole(tensor.data_type))
        }
        "DequantizeLinear" => false,
        "CastLike" | "Where" => of_input(1),
        "OneHot" => of_input(2),
        _ => of_input(0),
    }
}

/// Whether none of them is near the smallest integer.
pub(super) fn are_small(numbers: &Numbers) -> bool {
    numbers.values.iter().all(|number| number.abs() < FAR)
}

/// Whether the output of `node` consists of lengths of the picture, or small numbers of the file, unchanged. Numbers
/// computed from them may differ from those found here, for another picture or by an overflow.
pub(super) fn makes_plain(node: &Node, inputs: &[Option<&Value>]) -> bool {
    let is_plain = |input: &Option<&Value>| input.is_some_and(|value| value.plain);
    match node.op_type.as_str() {
        "Shape" | "Size" => true,
        "Concat" => inputs.iter().all(is_plain),
        "Flatten" | "Gather" | "Identity" | "Reshape" | "Slice" | "Squeeze" | "Unsqueeze" => {
            inputs.first().is_some_and(is_plain)
        }
        "Cast" => matches!(node.integer("to", 1), 6 | 7) && inputs.first().is_some_and(is_plain),
        _ => false,
    }
}

/// Refuses an integer division that may be the smallest integer by -1.
pub(super) fn check(node: &Node, inputs: &[Option<&Value>]) -> Result<(), Refusal> {
    let input = |index: usize| inputs.get(index).copied().flatten();
    let is_whole = [0, 1]
        .into_iter()
        .any(|index| input(index).is_none_or(|value| value.whole));
    if !matches!(node.op_type.as_str(), "Div" | "Mod") || !is_whole {
        return Ok(());
    }
    let is_plain = |index: usize| input(index).is_some_and(|value| value.plain);
    let by_constant = input(1).filter(|value| value.constant && value.plain);
    let by = by_constant.and_then(|value| value.numbers.as_ref());
    let harmless = by.is_some_and(|by| by.values.iter().all(|by| *by != 0.0 && *by != -1.0));
    if harmless || is_plain(0) {
        Ok(())
    } else {
        Err(Refusal::Divides { node: label(node) })
    }
}
