//! How large the output of each operator is.

use super::sizes::Value;
use crate::onnx::Node;

/// How large an output is.
pub(super) enum Size {
    Dims(Vec<f64>),
    /// At most that many elements, in dimensions that can't be told.
    Elements(f64),
}

/// What an operator may make of its input whose size it computes by arithmetic that is not followed here, but is
/// known to be bounded.
const MOST_COMPUTED: f64 = 4096.0;

/// Operators whose output is as large as all of their inputs spread over each other.
const SPREADING: [&str; 26] = [
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

/// What is given to a node.
pub(super) struct Inputs<'a>(pub &'a [Option<&'a Value>]);

impl<'a> Inputs<'a> {
    pub fn value(&self, index: usize) -> Option<&'a Value> {
        self.0.get(index).copied().flatten()
    }

    pub fn dims(&self, index: usize) -> Option<&'a [f64]> {
        self.value(index)?.dims.as_deref()
    }

    fn elements(&self, index: usize) -> f64 {
        self.value(index).map_or(1.0, |value| value.elements)
    }

    fn numbers(&self, index: usize) -> Option<&'a [f64]> {
        Some(&self.value(index)?.numbers.as_ref()?.values)
    }

    /// Numbers of an input or, of older versions of an operator, of an attribute.
    fn list(&self, index: usize, node: &Node, name: &str) -> Option<Vec<f64>> {
        let attribute = node.ints(name);
        match self.numbers(index) {
            Some(numbers) => Some(numbers.to_vec()),
            None if self.value(index).is_some() => None,
            None => Some(attribute.iter().map(|n| *n as f64).collect()),
        }
    }
}

/// How large the output of `node` is.
pub(super) fn size(node: &Node, inputs: &[Option<&Value>]) -> Size {
    let inputs = Inputs(inputs);
    let known = match node.op_type.as_str() {
        "ConstantOfShape" => inputs.numbers(0).map(lengths),
        "Expand" => expanded(&inputs),
        "AffineGrid" => inputs.numbers(1).map(lengths),
        "Tile" => tiled(&inputs),
        "Range" => ranged(&inputs),
        "RandomNormal" | "RandomUniform" => Some(lengths_of(node.ints("shape"))),
        "OneHot" => one_hot(&inputs),
        "Pad" => padded(node, &inputs),
        "Resize" | "Upsample" => resized(node, &inputs),
        "MaxUnpool" => unpooled(node, &inputs),
        "Conv" | "ConvInteger" => convolved(node, &inputs, 1),
        "QLinearConv" => convolved(node, &inputs, 3),
        "ConvTranspose" => unfolded(node, &inputs),
        "MaxPool" | "AveragePool" | "LpPool" => pooled(node, &inputs),
        "Concat" => concatenated(node, &inputs),
        "MatMul" | "MatMulInteger" => multiplied(inputs.dims(0), inputs.dims(1)),
        "QLinearMatMul" => multiplied(inputs.dims(0), inputs.dims(3)),
        "Gemm" => gemm(node, &inputs),
        op => return super::shapes::size(op, node, inputs.0),
    };
    match known {
        Some(dims) => Size::Dims(dims),
        None => unknown(node, &inputs),
    }
}

/// What is left to say where a dimension is not known.
fn unknown(node: &Node, inputs: &Inputs) -> Size {
    let all = || {
        inputs
            .0
            .iter()
            .flatten()
            .map(|value| value.elements.max(1.0))
    };
    // So many channels of each place become so many others, and there are no more places than before.
    let weights = |index: usize, [into, from]: [usize; 2]| {
        let dims = inputs.dims(index)?;
        let is_larger = (0..dims.len().saturating_sub(2)).any(|axis| {
            let window = Window(node);
            window.pads(axis, dims.len() - 2) > window.seen(axis, dims[axis + 2]) - 1.0
        });
        let factor = dims.get(into)? / dims.get(from)?.max(1.0);
        (!is_larger).then_some(inputs.elements(0) * factor)
    };
    let elements = match node.op_type.as_str() {
        "Concat" => Some(all().sum()),
        "Conv" | "ConvInteger" => weights(1, [0, 1]),
        "QLinearConv" => weights(3, [0, 1]),
        "MatMul" | "MatMulInteger" if inputs.dims(1).is_some_and(|dims| dims.len() == 2) => {
            weights(1, [1, 0])
        }
        "MaxPool" | "AveragePool" | "LpPool" | "Gemm" | "MatMul" | "MatMulInteger"
        | "QLinearMatMul" | "ConvTranspose" => None,
        // Not followed, but bounded: see `following`.
        _ => Some(inputs.elements(0).max(1.0) * MOST_COMPUTED),
    };
    Size::Elements(elements.unwrap_or_else(|| all().product()))
}

/// Lengths that a shape holds; one that is no number has no end.
fn lengths(numbers: &[f64]) -> Vec<f64> {
    numbers.iter().map(|n| length(*n)).collect()
}

pub(super) fn length(n: f64) -> f64 {
    match n.is_nan() {
        true => f64::INFINITY,
        // Not 0: what is nothing for this picture may be something for another.
        false => n.max(1.0),
    }
}

fn lengths_of(numbers: &[i64]) -> Vec<f64> {
    numbers.iter().map(|n| length(*n as f64)).collect()
}

/// The dimensions of all, spread over each other.
pub(super) fn spread(all: &[&[f64]]) -> Vec<f64> {
    let rank = all.iter().map(|dims| dims.len()).max().unwrap_or(0);
    let at = |dims: &[f64], from_end: usize| {
        dims.len()
            .checked_sub(from_end + 1)
            .map_or(1.0, |axis| dims[axis])
    };
    let mut dims: Vec<f64> = (0..rank)
        .map(|from_end| {
            all.iter()
                .map(|dims| at(dims, from_end))
                .fold(0.0, f64::max)
        })
        .collect();
    dims.reverse();
    dims
}

pub(super) fn spreads(op: &str) -> bool {
    SPREADING.contains(&op)
}

fn expanded(inputs: &Inputs) -> Option<Vec<f64>> {
    let shape = lengths(inputs.numbers(1)?);
    Some(match inputs.value(0) {
        Some(value) => spread(&[value.dims.as_deref()?, &shape]),
        None => shape,
    })
}

fn tiled(inputs: &Inputs) -> Option<Vec<f64>> {
    let repeats = lengths(inputs.numbers(1)?);
    let dims = match inputs.value(0) {
        Some(value) => value.dims.as_deref()?,
        None => &[],
    };
    let dims = dims.iter().chain(std::iter::repeat(&1.0));
    Some(repeats.iter().zip(dims).map(|(n, dim)| n * dim).collect())
}

fn ranged(inputs: &Inputs) -> Option<Vec<f64>> {
    let number = |index| inputs.numbers(index)?.first().copied();
    let (start, end, step) = (number(0)?, number(1)?, number(2)?);
    Some(vec![length(((end - start) / step).ceil())])
}

fn one_hot(inputs: &Inputs) -> Option<Vec<f64>> {
    let depth = length(*inputs.numbers(1)?.first()?);
    Some([inputs.dims(0)?, &[depth]].concat())
}

/// Pads that are called or, without names, those of all axes: first all in front, then all behind.
fn padded(node: &Node, inputs: &Inputs) -> Option<Vec<f64>> {
    let pads = inputs.list(1, node, "pads")?;
    let mut dims = inputs.dims(0)?.to_vec();
    let axes = match inputs.value(3) {
        Some(_) => inputs.numbers(3)?.to_vec(),
        None => (0..dims.len()).map(|axis| axis as f64).collect(),
    };
    let (front, behind) = pads.split_at_checked(axes.len())?;
    for ((axis, front), behind) in axes.iter().zip(front).zip(behind) {
        let axis = super::shapes::axis(*axis as i64, dims.len())?;
        dims[axis] = length(dims[axis] + front + behind);
    }
    Some(dims)
}

/// The largest factor by which `node` enlarges, as it stands in the file.
pub(super) fn scale(node: &Node, inputs: &[Option<&Value>]) -> Option<f64> {
    if !matches!(node.op_type.as_str(), "Resize" | "Upsample") {
        return None;
    }
    let attribute = node.attribute.iter().filter(|entry| entry.name == "scales");
    let own = attribute.flat_map(|entry| entry.floats.iter().map(|scale| f64::from(*scale)));
    let given = inputs
        .iter()
        .skip(1)
        .flatten()
        .filter(|value| value.constant);
    let given = given.filter_map(|value| value.numbers.as_ref().filter(|numbers| numbers.float));
    let all = own.chain(given.flat_map(|numbers| numbers.values.iter().copied()));
    all.reduce(|a, b| if a >= b { a } else { b })
}

/// By scales or sizes, whichever there are: an exporter gives one number for each axis.
fn resized(node: &Node, inputs: &Inputs) -> Option<Vec<f64>> {
    let mut dims = inputs.dims(0)?.to_vec();
    let axes: Vec<usize> = match node.ints("axes") {
        [] => (0..dims.len()).collect(),
        axes => axes
            .iter()
            .map(|at| super::shapes::axis(*at, dims.len()))
            .collect::<Option<_>>()?,
    };
    let attribute = node.attribute.iter().find(|entry| entry.name == "scales");
    if let Some(entry) = attribute {
        for (dim, scale) in dims.iter_mut().zip(&entry.floats) {
            *dim = length((*dim * f64::from(*scale)).floor());
        }
        return Some(dims);
    }
    // From the last on: sizes, scales, and the region that nobody uses.
    let numbers = (1..inputs.0.len()).rev().filter_map(|index| {
        let numbers = inputs.value(index)?.numbers.as_ref()?;
        (numbers.values.len() == axes.len()).then_some(numbers)
    });
    let numbers = numbers.into_iter().next()?;
    for (axis, number) in axes.into_iter().zip(&numbers.values) {
        dims[axis] = match numbers.float {
            true => length((dims[axis] * number).floor()),
            false => length(*number),
        };
    }
    Some(dims)
}

/// A window that moves over the axes of a picture.
struct Window<'a>(&'a Node);

impl Window<'_> {
    fn number(&self, name: &str, axis: usize, otherwise: f64) -> f64 {
        let list = self.0.ints(name);
        list.get(axis).map_or(otherwise, |n| *n as f64)
    }

    /// Pixels of padding on both sides of an axis.
    fn pads(&self, axis: usize, axes: usize) -> f64 {
        self.number("pads", axis, 0.0) + self.number("pads", axis + axes, 0.0)
    }

    /// Pixels that a window of `kernel` pixels sees at once.
    fn seen(&self, axis: usize, kernel: f64) -> f64 {
        self.number("dilations", axis, 1.0) * (kernel - 1.0) + 1.0
    }

    /// Length of what a window of `kernel` pixels makes of `length` pixels.
    fn moved(&self, axis: usize, axes: usize, from: f64, kernel: f64) -> f64 {
        let stride = self.number("strides", axis, 1.0).max(1.0);
        if self.0.text("auto_pad").starts_with("SAME") {
            return length((from / stride).ceil());
        }
        let seen = self.seen(axis, kernel);
        length(((from + self.pads(axis, axes) - seen) / stride).ceil() + 1.0)
    }

    /// The reverse.
    fn unfolded(&self, axis: usize, axes: usize, from: f64, kernel: f64) -> f64 {
        let shape = self.0.ints("output_shape");
        let shape = &shape[shape.len().saturating_sub(axes)..];
        if let Some(given) = shape.get(axis) {
            return length(*given as f64);
        }
        let stride = self.number("strides", axis, 1.0);
        let seen = self.seen(axis, kernel);
        let more = self.number("output_padding", axis, 0.0);
        length((from - 1.0) * stride + seen + more - self.pads(axis, axes))
    }
}

/// Whether `node` leaves less than nothing of what it is given, which ONNX Runtime carries on to operators that abort.
pub(super) fn vanishes(node: &Node, inputs: &[Option<&Value>]) -> bool {
    let inputs = Inputs(inputs);
    let weights = match node.op_type.as_str() {
        "Conv" | "ConvInteger" | "ConvTranspose" => Some(1),
        "QLinearConv" => Some(3),
        "MaxPool" | "AveragePool" | "LpPool" => None,
        _ => return false,
    };
    if node.text("auto_pad").starts_with("SAME") {
        return false;
    }
    let dims = inputs.dims(0).unwrap_or(&[]);
    let axes = dims.len().saturating_sub(2);
    let window = Window(node);
    (0..axes).any(|axis| {
        let kernel = match weights {
            Some(index) => inputs
                .dims(index)
                .and_then(|dims| dims.get(axis + 2))
                .copied()
                .unwrap_or(1.0),
            None => window.number("kernel_shape", axis, 1.0),
        };
        let (from, seen) = (dims[axis + 2], window.seen(axis, kernel));
        let pads = window.pads(axis, axes);
        match node.op_type.as_str() {
            "ConvTranspose" => {
                (from - 1.0) * window.number("strides", axis, 1.0) + seen < pads + 1.0
            }
            _ => from + pads < seen,
        }
    })
}

fn convolved(node: &Node, inputs: &Inputs, weights: usize) -> Option<Vec<f64>> {
    let (dims, weights) = (inputs.dims(0)?, inputs.dims(weights)?);
    let axes = dims.len().checked_sub(2)?;
    let window = Window(node);
    let sides = (0..axes).map(|axis| {
        let kernel = weights.get(axis + 2).copied().unwrap_or(1.0);
        window.moved(axis, axes, dims[axis + 2], kernel)
    });
    Some(
        [dims[0], *weights.first()?]
            .into_iter()
            .chain(sides)
            .collect(),
    )
}

fn unfolded(node: &Node, inputs: &Inputs) -> Option<Vec<f64>> {
    let (dims, weights) = (inputs.dims(0)?, inputs.dims(1)?);
    let axes = dims.len().checked_sub(2)?;
    let channels = weights.get(1)? * length(node.integer("group", 1) as f64);
    let window = Window(node);
    let sides = (0..axes).map(|axis| {
        let kernel = weights.get(axis + 2).copied().unwrap_or(1.0);
        window.unfolded(axis, axes, dims[axis + 2], kernel)
    });
    Some([dims[0], channels].into_iter().chain(sides).collect())
}

fn pooled(node: &Node, inputs: &Inputs) -> Option<Vec<f64>> {
    let dims = inputs.dims(0)?;
    let axes = dims.len().checked_sub(2)?;
    let window = Window(node);
    let sides = (0..axes).map(|axis| {
        let kernel = window.number("kernel_shape", axis, 1.0);
        window.moved(axis, axes, dims[axis + 2], kernel)
    });
    Some(dims[..2].iter().copied().chain(sides).collect())
}

fn unpooled(node: &Node, inputs: &Inputs) -> Option<Vec<f64>> {
    if inputs.value(2).is_some() {
        return inputs.numbers(2).map(lengths);
    }
    let dims = inputs.dims(0)?;
    let axes = dims.len().checked_sub(2)?;
    let window = Window(node);
    let sides = (0..axes).map(|axis| {
        let kernel = window.number("kernel_shape", axis, 1.0);
        window.unfolded(axis, axes, dims[axis + 2], kernel)
    });
    Some(dims[..2].iter().copied().chain(sides).collect())
}

fn concatenated(node: &Node, inputs: &Inputs) -> Option<Vec<f64>> {
    let all: Option<Vec<&[f64]>> = (0..inputs.0.len())
        .map(|index| inputs.dims(index))
        .collect();
    let all = all?;
    let mut dims = spread(&all);
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
            Some([spread(&[outer, other]), vec![*rows, *columns]].concat())
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
