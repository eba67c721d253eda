//! Tensors of no elements, which some operators do not survive.

use super::rules::Inputs;
use super::value::Value;
use crate::onnx::Node;

/// Operators that may have empty inputs: they compute shapes, where empty lists occur.
const ACCEPTS_EMPTY: [&str; 20] = [
    "Add",
    "Cast",
    "Concat",
    "Constant",
    "ConstantOfShape",
    "Equal",
    "Expand",
    "Gather",
    "Identity",
    "Mul",
    "ReduceProd",
    "Reshape",
    "Shape",
    "Size",
    "Slice",
    "Squeeze",
    "Sub",
    "Transpose",
    "Unsqueeze",
    "Where",
];

/// Whether the constants of `node` make its output a tensor of several dimensions and no elements for any picture.
/// Outputs that are empty for some pictures only are not found here.
pub(super) fn makes_empty(node: &Node, inputs: &[Option<&Value>]) -> bool {
    let inputs = Inputs(inputs);
    let constants = |index: usize| {
        let value = inputs.value(index).filter(|value| value.constant)?;
        Some(&value.numbers.as_ref()?.values[..])
    };
    let far = f64::from(i32::MAX);
    match node.op_type.as_str() {
        "Slice" if inputs.dims(0).is_none_or(|dims| dims.len() > 1) => {
            // Older versions of the operator have them as attributes.
            let list = |index: usize, name: &str| match inputs.value(index) {
                Some(_) => constants(index).map(<[f64]>::to_vec),
                None => Some(node.ints(name).iter().map(|n| *n as f64).collect()),
            };
            let (Some(starts), Some(ends)) = (list(1, "starts"), list(2, "ends")) else {
                return false;
            };
            let mut pairs = starts.iter().zip(&ends).enumerate();
            pairs.any(|(index, (start, end))| {
                let step = constants(4).and_then(|steps| steps.get(index));
                let one_way = (*start < 0.0) == (*end < 0.0);
                let nothing = (one_way && end <= start)
                    || (*start < 0.0 && *end == 0.0)
                    || *start >= far
                    || (*start >= 0.0 && *end <= -far);
                step.is_none_or(|step| *step > 0.0) && nothing
            })
        }
        "Split" => constants(1).is_some_and(|lengths| lengths.contains(&0.0)),
        "ConstantOfShape" => constants(0).is_some_and(|dims| dims.len() > 1 && dims.contains(&0.0)),
        "Tile" | "Expand" => constants(1).is_some_and(|dims| dims.len() > 1 && dims.contains(&0.0)),
        _ => false,
    }
}

/// Whether an input of `node` has no elements, which some operators do not survive.
pub(super) fn has_empty_input(node: &Node, inputs: &[Option<&Value>]) -> bool {
    let is_nothing = |value: &&Value| value.elements == 0.0;
    let is_list = |value: &Value| value.dims.as_ref().is_none_or(|dims| dims.len() < 2);
    let mut all = inputs.iter().copied().flatten().filter(is_nothing);
    let first = inputs.first().copied().flatten().filter(is_nothing);
    all.any(|value| !is_list(value))
        || first.is_some() && !ACCEPTS_EMPTY.contains(&node.op_type.as_str())
}
