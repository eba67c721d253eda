//! Output sizes of operators that move elements, or reduce their number.

use super::rules::{Inputs, Size, broadcast, broadcasts};
use super::value::Value;
use crate::onnx::Node;

/// The size of output number `output` of `node`. Operators that are not named here have outputs as large as their first
/// input.
pub(super) fn size(node: &Node, inputs: &Inputs, output: usize) -> Size {
    let op = node.op_type.as_str();
    let dims = |index: usize| inputs.dims(index);
    let axes = |index: usize| {
        let axes = inputs.list(index, node, "axes")?;
        Some(axes.iter().map(|n| *n as i64).collect::<Vec<i64>>())
    };
    let known = match op {
        "Shape" => match dims(0) {
            Some(dims) => Some(vec![shown(node, dims).len() as f64]),
            None => return Size::Elements(super::MOST_DIMS as f64),
        },
        "Size" => Some(Vec::new()),
        "Reshape" => inputs
            .numbers(1)
            .and_then(|shape| reshaped(inputs.value(0)?, shape)),
        "Flatten" => dims(0).and_then(|dims| flattened(dims, node.integer("axis", 1))),
        "Squeeze" => dims(0).and_then(|dims| {
            // Without axes it must be known which dimensions are 1.
            let axes = axes(1).filter(|axes| !axes.is_empty() || inputs.sure(0).is_some());
            squeezed(dims, &axes?)
        }),
        "Unsqueeze" => dims(0).and_then(|dims| unsqueezed(dims, &axes(1)?)),
        "Transpose" => dims(0).and_then(|dims| transposed(dims, node.ints("perm"))),
        "Split" => match dims(0) {
            Some(dims) => return part(dims, node, inputs, output),
            None => None,
        },
        // A slice is no larger than the whole.
        "Slice" => match dims(0) {
            Some(dims) => return cut_out(dims, node, inputs),
            None => None,
        },
        "Gather" => gathered(dims(0), dims(1), node.integer("axis", 0)),
        "GatherElements" => dims(1).map(<[f64]>::to_vec),
        "GlobalAveragePool" | "GlobalMaxPool" | "GlobalLpPool" => dims(0).map(|dims| {
            let kept = |(axis, dim): (usize, &f64)| if axis < 2 { *dim } else { 1.0 };
            dims.iter().enumerate().map(kept).collect()
        }),
        _ if op.starts_with("Reduce") || matches!(op, "ArgMax" | "ArgMin") => {
            let own = if op.starts_with("Reduce") {
                axes(1)
            } else {
                Some(vec![node.integer("axis", 0)])
            };
            dims(0).and_then(|dims| reduced(dims, own?, node))
        }
        "DepthToSpace" => dims(0).and_then(|dims| blocks(dims, node, true)),
        "SpaceToDepth" => dims(0).and_then(|dims| blocks(dims, node, false)),
        "GridSample" => sampled(dims(0), dims(1)),
        "NonZero" => {
            let rank = dims(0).map_or(super::MOST_DIMS as f64, |dims| dims.len() as f64);
            return Size::AtMost(vec![rank, inputs.elements(0)]);
        }
        "TopK" => match dims(0) {
            Some(dims) => return Size::AtMost(dims.to_vec()),
            None => None,
        },
        "Compress" | "Det" | "Einsum" | "GatherND" => None,
        _ if broadcasts(op) => return broadcast_inputs(inputs),
        _ => dims(0).map(<[f64]>::to_vec),
    };
    match known {
        Some(dims) => Size::Dims(dims),
        // A part of the data for each index; at most the product of all dimensions.
        None if op.starts_with("Gather") || matches!(op, "Einsum" | "GridSample") => {
            Size::Elements(product(inputs))
        }
        None => Size::Elements(inputs.elements(0).max(1.0)),
    }
}

/// The dimensions of its input that a `Shape` returns.
pub(super) fn shown<'a>(node: &Node, dims: &'a [f64]) -> &'a [f64] {
    let end = node.attribute.iter().find(|entry| entry.name == "end");
    let start = index(node.integer("start", 0), dims.len());
    let end = end.map_or(dims.len(), |end| index(end.i, dims.len()));
    dims.get(start..end).unwrap_or(&[])
}

/// An index that may count from the end, clamped to a list.
fn index(at: i64, length: usize) -> usize {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let at = if at < 0 {
        at.saturating_add(length)
    } else {
        at
    };
    usize::try_from(at.clamp(0, length)).unwrap_or(0)
}

fn product(inputs: &Inputs) -> f64 {
    inputs
        .0
        .iter()
        .flatten()
        .map(|value| value.elements.max(1.0))
        .product()
}

fn broadcast_inputs(inputs: &Inputs) -> Size {
    let all: Option<Vec<&[f64]>> = inputs
        .0
        .iter()
        .flatten()
        .map(|value| value.dims.as_deref())
        .collect();
    match all {
        Some(all) => Size::Dims(broadcast(&all)),
        None => Size::Elements(product(inputs)),
    }
}

/// An axis that may count from the end.
pub(super) fn axis(axis: i64, rank: usize) -> Option<usize> {
    let rank = i64::try_from(rank).ok()?;
    let axis = if axis < 0 { axis + rank } else { axis };
    (0..rank)
        .contains(&axis)
        .then(|| usize::try_from(axis).ok())?
}

/// 0 keeps a dimension, and -1 stands for the rest.
fn reshaped(value: &Value, shape: &[f64]) -> Option<Vec<f64>> {
    let own = value.dims.as_deref();
    let mut dims = Vec::with_capacity(shape.len());
    for (at, n) in shape.iter().enumerate() {
        dims.push(match *n {
            0.0 => *own?.get(at)?,
            n => n,
        });
    }
    let rest: f64 = dims.iter().filter(|n| **n > 0.0).product();
    for dim in dims.iter_mut().filter(|dim| dim.is_nan() || **dim <= 0.0) {
        *dim = value.elements / rest;
    }
    // When it runs, ONNX Runtime refuses another number of elements; this one is only that of one picture.
    let elements: f64 = dims.iter().product();
    (elements <= value.elements * 2.0).then_some(dims)
}

fn flattened(dims: &[f64], at: i64) -> Option<Vec<f64>> {
    let at = if at == dims.len() as i64 {
        dims.len()
    } else {
        axis(at, dims.len())?
    };
    let (front, behind) = dims.split_at(at);
    Some(vec![front.iter().product(), behind.iter().product()])
}

fn all(axes: &[i64], rank: usize) -> Option<Vec<usize>> {
    axes.iter().map(|at| axis(*at, rank)).collect()
}

fn squeezed(dims: &[f64], axes: &[i64]) -> Option<Vec<f64>> {
    let gone = all(axes, dims.len())?;
    let is_kept = |(at, dim): &(usize, &f64)| {
        if gone.is_empty() {
            **dim != 1.0
        } else {
            !gone.contains(at)
        }
    };
    Some(
        dims.iter()
            .enumerate()
            .filter(is_kept)
            .map(|(_, dim)| *dim)
            .collect(),
    )
}

fn unsqueezed(dims: &[f64], axes: &[i64]) -> Option<Vec<f64>> {
    let rank = dims.len() + axes.len();
    if rank > super::MOST_DIMS {
        return None;
    }
    let new = all(axes, rank)?;
    let mut old = dims.iter();
    (0..rank)
        .map(|at| {
            if new.contains(&at) {
                Some(1.0)
            } else {
                old.next().copied()
            }
        })
        .collect()
}

fn transposed(dims: &[f64], perm: &[i64]) -> Option<Vec<f64>> {
    if perm.is_empty() {
        return Some(dims.iter().rev().copied().collect());
    }
    let perm = all(perm, dims.len())?;
    (perm.len() == dims.len()).then(|| perm.iter().map(|at| dims[*at]).collect())
}

/// The part of a `Split` that is its output number `output`.
fn part(dims: &[f64], node: &Node, inputs: &Inputs, output: usize) -> Size {
    let own = || {
        let at = axis(node.integer("axis", 0), dims.len())?;
        let lengths = inputs.list(1, node, "split")?;
        let each = (dims[at] / node.output.len().max(1) as f64).ceil();
        let own = if lengths.is_empty() {
            // The last one may be smaller.
            each.min(dims[at] - each * output as f64)
        } else {
            *lengths.get(output)?
        };
        let mut dims = dims.to_vec();
        dims[at] = own;
        Some(dims)
    };
    own().map_or_else(|| Size::AtMost(dims.to_vec()), Size::Dims)
}

/// The part of an axis that a `Slice` takes.
pub(super) struct Cut {
    pub axis: usize,
    pub start: f64,
    pub count: f64,
    pub step: f64,
}

impl Cut {
    /// From `start` to `end` of `length`, either of which may count from the end or lie beyond it.
    fn new(axis: usize, length: f64, [start, end]: [f64; 2], step: f64) -> Option<Self> {
        let from_end = |at: f64| if at < 0.0 { at + length } else { at };
        let within = |at: f64, least: f64, most: f64| from_end(at).min(most).max(least);
        let (start, end) = match step {
            step if step > 0.0 => (within(start, 0.0, length), within(end, 0.0, length)),
            // In some versions the largest number means the beginning here.
            step if step < 0.0 && end < f64::from(i32::MAX) => {
                let last = length - 1.0;
                (within(start, 0.0, last), within(end, -1.0, last))
            }
            _ => return None,
        };
        let count = ((end - start) / step).ceil().max(0.0);
        Some(Cut {
            axis,
            start,
            count,
            step,
        })
    }
}

/// The parts that a `Slice` takes of a tensor of these dimensions, if known.
pub(super) fn cuts(node: &Node, inputs: &Inputs, dims: &[f64]) -> Option<Vec<Cut>> {
    // Older versions of the operator have them as attributes.
    let starts = inputs.list(1, node, "starts")?;
    let ends = inputs.list(2, node, "ends")?;
    let axes = inputs.list(3, node, "axes")?;
    let steps = inputs.list(4, node, "steps")?;
    let cut = |(index, ends): (usize, [f64; 2])| {
        let at = if axes.is_empty() {
            index as i64
        } else {
            *axes.get(index)? as i64
        };
        let axis = axis(at, dims.len())?;
        let step = if steps.is_empty() {
            1.0
        } else {
            *steps.get(index)?
        };
        Cut::new(axis, dims[axis], ends, step)
    };
    let pairs = starts.iter().zip(&ends).map(|(start, end)| [*start, *end]);
    pairs.enumerate().map(cut).collect()
}

fn cut_out(dims: &[f64], node: &Node, inputs: &Inputs) -> Size {
    let mut rest = dims.to_vec();
    // Indices that count from the end need exact dimensions.
    match cuts(node, inputs, dims).filter(|_| inputs.sure(0).is_some()) {
        Some(cuts) => {
            for cut in cuts {
                rest[cut.axis] = cut.count;
            }
            Size::Dims(rest)
        }
        None => Size::AtMost(rest),
    }
}

fn gathered(data: Option<&[f64]>, indices: Option<&[f64]>, at: i64) -> Option<Vec<f64>> {
    let (data, indices) = (data?, indices?);
    let at = axis(at, data.len())?;
    Some([&data[..at], indices, &data[at + 1..]].concat())
}

fn reduced(dims: &[f64], axes: Vec<i64>, node: &Node) -> Option<Vec<f64>> {
    let keeps = node.integer("keepdims", 1) != 0;
    let gone = match axes.is_empty() {
        true if node.integer("noop_with_empty_axes", 0) != 0 => return Some(dims.to_vec()),
        true => (0..dims.len()).collect(),
        false => all(&axes, dims.len())?,
    };
    let one_by_one =
        dims.iter()
            .enumerate()
            .filter_map(|(at, dim)| match (gone.contains(&at), keeps) {
                (true, true) => Some(1.0),
                (true, false) => None,
                (false, _) => Some(*dim),
            });
    Some(one_by_one.collect())
}

fn blocks(dims: &[f64], node: &Node, into_space: bool) -> Option<Vec<f64>> {
    let side = node.integer("blocksize", 1).max(1) as f64;
    let [batch, channels, rows, columns] = dims else {
        return None;
    };
    Some(if into_space {
        vec![
            *batch,
            channels / (side * side),
            rows * side,
            columns * side,
        ]
    } else {
        vec![*batch, channels * side * side, rows / side, columns / side]
    })
}

fn sampled(dims: Option<&[f64]>, grid: Option<&[f64]>) -> Option<Vec<f64>> {
    let (dims, grid) = (dims?.get(..2)?, grid?);
    let (_, sides) = grid.split_last()?;
    Some([dims, sides.get(1..)?].concat())
}
