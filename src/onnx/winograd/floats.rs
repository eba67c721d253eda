//! Convolutions of floats.

use super::values::Values;
use super::{DOMAIN, OPERATOR, OUTPUTS, PADDING, RECTIFIED, Replacement, geometry, has_type};
use crate::onnx::{Attribute, DataType, Node};
use crate::winograd::{Convolution, Floats};

/// What takes the place of `node`, if it is a convolution of floats that can be replaced.
pub fn replacement(values: &Values<'_>, node: &Node) -> Option<Replacement> {
    let name = node.input.get(1)?;
    let weights = values.constant(name)?;
    let geometry = geometry(node, weights)?;
    let has_bias = match &node.input[2..] {
        [] => true,
        [bias] => values
            .constant(bias)
            .is_some_and(|bias| has_type(bias, DataType::Float) && bias.dims == weights.dims[..1]),
        _ => false,
    };
    if !has_type(weights, DataType::Float) || !has_bias {
        return None;
    }
    let relu = values.only_reader(node, "Relu");
    let output = relu.map_or(&node.output, |relu| &values.nodes[relu].output);
    let own = Node {
        input: node.input.clone(),
        output: output.clone(),
        name: node.name.clone(),
        op_type: OPERATOR.into(),
        domain: DOMAIN.into(),
        attribute: vec![
            Attribute::int(OUTPUTS, geometry.channels[1] as i64),
            Attribute::int(PADDING, geometry.padding),
            Attribute::int(RECTIFIED, i64::from(relu.is_some())),
        ],
    };
    Some(Replacement {
        nodes: vec![own],
        constants: Vec::new(),
        made: None,
        dropped: relu.into_iter().collect(),
        weights: name.clone(),
        bytes: Convolution::<Floats>::weight_bytes(geometry.channels),
    })
}
