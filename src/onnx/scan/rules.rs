//! The output size of each operator.

use super::LARGEST_LENGTH;
use super::value::Value;
use super::windows;
use crate::onnx::Node;

/// The size of an output.
pub(super) enum Size {
    /// Exactly these dimensions.
    Dims(Vec<f64>),
    /// No dimension is larger.
    AtMost(Vec<f64>),
    /// At most this many elements, in unknown dimensions.
    Elements(f64),
    /// Determined by this, which is unknown.
    Unbounded(String),
}

impl Size {
    /// A size that is computed in a way that is not followed.
    pub fn unfollowed() -> Self {
        Size::Unbounded("what is not followed here".into())
    }
}

/// Operators that broadcast their inputs.
const BROADCASTING: [&str; 26] = [
    "Add",
    "And",
    "BitShift",
    "BitwiseAnd",
    "BitwiseOr",
    "BitwiseXor",
    "Div",
    "Equal",
    "Greater",
    "GreaterOrEqual",
    "Less",
    "LessOrEqual",
    "Max",
    "Mean",
    "Min",
    "Mod",
    "Mul",
    "Or",
    "PRelu",
    "Pow",
    "Sub",
    "Sum",
    "Where",
    "Xor",
    "QLinearAdd",
    "QLinearMul",
];

/// The inputs of a node.
pub(super) struct Inputs<'a>(pub &'a [Option<&'a Value>]);

impl<'a> Inputs<'a> {
    pub fn value(&self, index: usize) -> Option<&'a Value> {
        self.0.get(index).copied().flatten()
    }

    pub fn dims(&self, index: usize) -> Option<&'a [f64]> {
        self.value(index)?.dims.as_deref()
    }

    /// Dimensions that are exact for the pictures that are tried.
    pub fn sure(&self, index: usize) -> Option<&'a [f64]> {
        let value = self.value(index).filter(|value| value.sure)?;
        value.dims.as_deref()
    }

    pub fn elements(&self, index: usize) -> f64 {
        self.value(index).map_or(1.0, |value| value.elements)
    }

    pub fn numbers(&self, index: usize) -> Option<&'a [f64]> {
        Some(&self.value(index)?.numbers.as_ref()?.values)
    }

    /// Numbers of an input or, in older versions of an operator, of an attribute.
    pub fn list(&self, index: usize, node: &Node, name: &str) -> Option<Vec<f64>> {
        let attribute = node.ints(name);
        match self.numbers(index) {
            Some(numbers) => Some(numbers.to_vec()),
            None if self.value(index).is_some() => None,
            None => Some(attribute.iter().map(|n| *n as f64).collect()),
        }
    }
}

/// The size of output number `output` of `node`.
pub(super) fn size(node: &Node, inputs: &[Option<&Value>], output: usize) -> Size {
    let inputs = Inputs(inputs);
    let known = match node.op_type.as_str() {
        "ConstantOfShape" => inputs.numbers(0).map(<[f64]>::to_vec),
        "Expand" => expanded(&inputs),
        "AffineGrid" => grid(&inputs),
        "Tile" => tiled(&inputs),
        "Range" => ranged(&inputs),
        "RandomNormal" | "RandomUniform" => {
            Some(node.ints("shape").iter().map(|n| *n as f64).collect())
        }
        "OneHot" => one_hot(node, &inputs),
        "Pad" => padded(node, &inputs),
        "Resize" | "Upsample" => match node.text("keep_aspect_ratio_policy") {
            "" | "stretch" => resized(node, &inputs),
            policy => return Size::Unbounded(format!("its keep_aspect_ratio_policy {policy}")),
        },
        "Concat" => concatenated(node, &inputs),
        "MatMul" | "MatMulInteger" => multiplied(inputs.dims(0), inputs.dims(1)),
        "QLinearMatMul" => multiplied(inputs.dims(0), inputs.dims(3)),
        "Gemm" => gemm(node, &inputs),
        op if windows::moves(op) => return windows::size(node, &inputs),
        _ => return super::shapes::size(node, &inputs, output),
    };
    match known {
        Some(dims) => Size::Dims(dims),
        None => unknown(node, &inputs),
    }
}

/// The size where a dimension is unknown.
fn unknown(node: &Node, inputs: &Inputs) -> Size {
    let all = inputs.0.iter().flatten();
    let all = all.map(|value| value.elements.max(1.0));
    match (node.op_type.as_str(), inputs.dims(1)) {
        ("Concat", _) => Size::Elements(all.sum()),
        // Each row of `from` numbers becomes one of `into`.
        ("MatMul" | "MatMulInteger", Some([from, into])) => {
            Size::Elements(inputs.elements(0) * into / from.max(1.0))
        }
        ("Gemm" | "MatMul" | "MatMulInteger" | "QLinearMatMul", _) => Size::Elements(all.product()),
        _ => enlarged(node, inputs).map_or_else(Size::unfollowed, Size::Elements),
    }
}

/// Upper bound of the elements where only the factor of an enlargement is known.
fn enlarged(node: &Node, inputs: &Inputs) -> Option<f64> {
    let times = |numbers: &[f64]| numbers.iter().map(|n| n.max(1.0)).product::<f64>();
    let factor = match node.op_type.as_str() {
        "Expand" | "Tile" => times(inputs.numbers(1)?),
        "OneHot" => times(inputs.numbers(1)?.get(..1)?),
        // No axis grows by more than a factor of 1 plus its padding.
        "Pad" => {
            let pads = inputs.list(1, node, "pads")?;
            pads.iter().map(|pad| 1.0 + pad.max(0.0)).product()
        }
        "Resize" | "Upsample" => match target(node, inputs)? {
            (scales, true) => times(&scales),
            (_, false) => return None,
        },
        _ => return None,
    };
    Some(inputs.elements(0).max(1.0) * factor)
}

/// The dimensions of broadcast tensors.
pub(super) fn broadcast(all: &[&[f64]]) -> Vec<f64> {
    let rank = all.iter().map(|dims| dims.len()).max().unwrap_or(0);
    let at = |dims: &[f64], from_end: usize| {
        dims.len()
            .checked_sub(from_end + 1)
            .map_or(1.0, |axis| dims[axis])
    };
    let longest = |from_end: usize| {
        let lengths = all.iter().map(|dims| at(dims, from_end));
        // A dimension of 0 stays 0.
        if lengths.clone().any(|length| length == 0.0) {
            0.0
        } else {
            lengths.fold(0.0, f64::max)
        }
    };
    let mut dims: Vec<f64> = (0..rank).map(longest).collect();
    dims.reverse();
    dims
}

pub(super) fn broadcasts(op: &str) -> bool {
    BROADCASTING.contains(&op)
}

fn expanded(inputs: &Inputs) -> Option<Vec<f64>> {
    let shape = inputs.numbers(1).filter(|shape| !shape.contains(&0.0))?;
    let shape: Vec<f64> = shape.iter().map(|n| n.max(1.0)).collect();
    Some(match inputs.value(0) {
        Some(value) => broadcast(&[value.dims.as_deref()?, &shape]),
        None => shape,
    })
}

/// Coordinates, two or three numbers, for each pixel of a shape with channels.
fn grid(inputs: &Inputs) -> Option<Vec<f64>> {
    let [batch, _, sides @ ..] = inputs.numbers(1)? else {
        return None;
    };
    let mut dims = vec![*batch];
    dims.extend_from_slice(sides);
    dims.push(sides.len() as f64);
    Some(dims)
}

fn tiled(inputs: &Inputs) -> Option<Vec<f64>> {
    let repeats = inputs.numbers(1)?;
    let dims = match inputs.value(0) {
        Some(value) => value.dims.as_deref()?,
        None => &[],
    };
    let dims = dims.iter().chain(std::iter::repeat(&1.0));
    Some(repeats.iter().zip(dims).map(|(n, dim)| n * dim).collect())
}

fn ranged(inputs: &Inputs) -> Option<Vec<f64>> {
    let number = |index: usize| {
        let numbers = inputs.value(index)?.numbers.as_ref()?;
        let number = numbers.kind.held(*numbers.values.first()?)?;
        Some((numbers.kind, number))
    };
    let ((kind, start), (_, end), (_, step)) = (number(0)?, number(1)?, number(2)?);
    Some(vec![(kind.held(end - start)? / step).ceil().max(0.0)])
}

fn one_hot(node: &Node, inputs: &Inputs) -> Option<Vec<f64>> {
    let depth = *inputs.numbers(1)?.first()?;
    let dims = inputs.dims(0)?;
    let at = super::shapes::axis(node.integer("axis", -1), dims.len() + 1)?;
    let (front, behind) = dims.split_at(at);
    Some([front, &[depth], behind].concat())
}

/// Padding of the given axes, or of all: first all starts, then all ends.
fn padded(node: &Node, inputs: &Inputs) -> Option<Vec<f64>> {
    let pads = inputs.list(1, node, "pads")?;
    // No picture needs longer ones, whose sum might not be exact.
    if pads.iter().any(|pad| pad.abs() > LARGEST_LENGTH as f64) {
        return None;
    }
    let mut dims = inputs.dims(0)?.to_vec();
    let axes = match inputs.value(3) {
        Some(_) => inputs.numbers(3)?.to_vec(),
        None => (0..dims.len()).map(|axis| axis as f64).collect(),
    };
    let (front, behind) = pads.split_at_checked(axes.len())?;
    for ((axis, front), behind) in axes.iter().zip(front).zip(behind) {
        let axis = super::shapes::axis(*axis as i64, dims.len())?;
        dims[axis] += front + behind;
    }
    Some(dims)
}

/// Which input of a `Resize` or `Upsample` holds its scales. A newer one has a region before them.
pub(super) fn scales_at(node: &Node) -> usize {
    if node.op_type == "Resize" && node.input.len() > 2 {
        2
    } else {
        1
    }
}

/// The scales that an old `Upsample` has as an attribute.
fn own_scales(node: &Node) -> Option<Vec<f64>> {
    let entry = node.attribute.iter().find(|entry| entry.name == "scales")?;
    Some(entry.floats.iter().map(|scale| f64::from(*scale)).collect())
}

/// The largest factor by which `node` enlarges, if the file contains it.
pub(super) fn scale(node: &Node, inputs: &[Option<&Value>]) -> Option<f64> {
    if !matches!(node.op_type.as_str(), "Resize" | "Upsample") {
        return None;
    }
    let given = Inputs(inputs).value(scales_at(node));
    let given = given.filter(|value| value.constant);
    let given = given.and_then(|value| Some(value.numbers.as_ref()?.values.clone()));
    let all = own_scales(node).into_iter().chain(given).flatten();
    all.reduce(|a, b| if a >= b { a } else { b })
}

/// The scales or sizes of a `Resize`, of which only one may be given, and whether they are scales.
fn target(node: &Node, inputs: &Inputs) -> Option<(Vec<f64>, bool)> {
    if let Some(scales) = own_scales(node) {
        return Some((scales, true));
    }
    let given = |index: usize| inputs.value(index).filter(|value| value.elements > 0.0);
    let (value, are_scales) = match (given(scales_at(node)), given(3)) {
        (Some(scales), None) => (scales, true),
        (None, Some(sizes)) => (sizes, false),
        _ => return None,
    };
    let numbers = value.numbers.as_ref()?;
    (numbers.kind.is_float() == are_scales).then(|| (numbers.values.clone(), are_scales))
}

fn resized(node: &Node, inputs: &Inputs) -> Option<Vec<f64>> {
    let (numbers, are_scales) = target(node, inputs)?;
    let axes = node.ints("axes");
    if axes.is_empty() && !are_scales {
        return Some(numbers);
    }
    let mut dims = inputs.dims(0)?.to_vec();
    let axes: Vec<usize> = match axes {
        [] => (0..dims.len()).collect(),
        axes => axes
            .iter()
            .map(|at| super::shapes::axis(*at, dims.len()))
            .collect::<Option<_>>()?,
    };
    for (axis, number) in axes.iter().zip(&numbers) {
        dims[*axis] = if are_scales {
            // With the rounding of ONNX Runtime.
            f64::from((dims[*axis] as f32 * *number as f32).floor())
        } else {
            *number
        };
    }
    (axes.len() == numbers.len()).then_some(dims)
}

fn concatenated(node: &Node, inputs: &Inputs) -> Option<Vec<f64>> {
    let all: Option<Vec<&[f64]>> = (0..inputs.0.len())
        .map(|index| inputs.dims(index))
        .collect();
    let all = all?;
    let mut dims = broadcast(&all);
    let axis = super::shapes::axis(node.integer("axis", 0), dims.len())?;
    dims[axis] = all
        .iter()
        .map(|dims| dims.get(axis).copied().unwrap_or(1.0))
        .sum();
    Some(dims)
}

fn multiplied(a: Option<&[f64]>, b: Option<&[f64]>) -> Option<Vec<f64>> {
    match (a?, b?) {
        ([], _) | (_, []) => None,
        ([_], [rest @ .., _, columns]) => Some([rest, &[*columns]].concat()),
        ([rows @ .., _], [_]) => Some(rows.to_vec()),
        ([outer @ .., rows, _], [other @ .., _, columns]) => {
            Some([broadcast(&[outer, other]), vec![*rows, *columns]].concat())
        }
    }
}

fn gemm(node: &Node, inputs: &Inputs) -> Option<Vec<f64>> {
    let side = |index: usize, name: &str, otherwise: usize| {
        let is_turned = node.integer(name, 0) != 0;
        inputs
            .dims(index)?
            .get(if is_turned { 1 - otherwise } else { otherwise })
            .copied()
    };
    Some(vec![side(0, "transA", 0)?, side(1, "transB", 1)?])
}
