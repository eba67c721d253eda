//! How large the output is of operators that move elements about, or make fewer of them.

use super::rules::{Size, length, spread, spreads};
use super::sizes::Value;
use crate::onnx::Node;

/// How large the output of `node` is. One that is not named here makes as much as it is first given.
pub(super) fn size(op: &str, node: &Node, inputs: &[Option<&Value>]) -> Size {
    let value = |index: usize| inputs.get(index).copied().flatten();
    let dims = |index: usize| value(index)?.dims.as_deref();
    let elements = |index: usize| value(index).map_or(1.0, |value| value.elements);
    let numbers = |index: usize| Some(value(index)?.numbers.as_ref()?.values.as_slice());
    let axes = |index: usize| match numbers(index) {
        Some(numbers) => Some(numbers.iter().map(|n| *n as i64).collect()),
        None if value(index).is_some() => None,
        None => Some(node.ints("axes").to_vec()),
    };
    let known = match op {
        "Shape" => Some(vec![dims(0).map_or(8.0, |dims| dims.len() as f64)]),
        "Size" => Some(Vec::new()),
        "Reshape" => numbers(1).and_then(|shape| reshaped(value(0)?, shape)),
        "Flatten" => dims(0).and_then(|dims| flattened(dims, node.integer("axis", 1))),
        "Squeeze" => dims(0).and_then(|dims| squeezed(dims, &axes(1)?)),
        "Unsqueeze" => dims(0).and_then(|dims| unsqueezed(dims, &axes(1)?)),
        "Transpose" => dims(0).and_then(|dims| transposed(dims, node.ints("perm"))),
        "Split" => dims(0).and_then(|dims| split(dims, node, value(1))),
        // What is cut out is no larger than the whole.
        "Slice" => dims(0).map(|dims| {
            let ends = numbers(1).zip(numbers(2));
            let cut = ends.and_then(|ends| sliced(dims, ends, numbers(3), numbers(4)));
            cut.unwrap_or_else(|| dims.to_vec())
        }),
        "Gather" => gathered(dims(0), dims(1), node.integer("axis", 0)),
        "GatherElements" => dims(1).map(<[f64]>::to_vec),
        "GatherND" => return Size::Elements(elements(0) * elements(1)),
        "GlobalAveragePool" | "GlobalMaxPool" | "GlobalLpPool" => dims(0).map(|dims| {
            let kept = |(axis, dim): (usize, &f64)| if axis < 2 { *dim } else { 1.0 };
            dims.iter().enumerate().map(kept).collect()
        }),
        _ if op.starts_with("Reduce") || matches!(op, "ArgMax" | "ArgMin") => {
            let own = match op.starts_with("Reduce") {
                true => axes(1),
                false => Some(vec![node.integer("axis", 0)]),
            };
            dims(0).and_then(|dims| reduced(dims, own?, node.integer("keepdims", 1) != 0))
        }
        "DepthToSpace" => dims(0).and_then(|dims| blocks(dims, node, true)),
        "SpaceToDepth" => dims(0).and_then(|dims| blocks(dims, node, false)),
        "GridSample" => sampled(dims(0), dims(1)),
        "NonZero" => Some(vec![
            dims(0).map_or(64.0, |dims| dims.len() as f64),
            elements(0),
        ]),
        // All that its letters could count.
        "Einsum" => return Size::Elements(product(inputs)),
        _ if spreads(op) => return spread_out(inputs),
        _ => dims(0).map(<[f64]>::to_vec),
    };
    match known {
        Some(dims) => Size::Dims(dims),
        None => Size::Elements(elements(0).max(1.0)),
    }
}

fn product(inputs: &[Option<&Value>]) -> f64 {
    inputs
        .iter()
        .flatten()
        .map(|value| value.elements.max(1.0))
        .product()
}

fn spread_out(inputs: &[Option<&Value>]) -> Size {
    let all: Option<Vec<&[f64]>> = inputs
        .iter()
        .flatten()
        .map(|value| value.dims.as_deref())
        .collect();
    match all {
        Some(all) => Size::Dims(spread(&all)),
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

/// 0 keeps a dimension, and -1 takes what is left.
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
        *dim = length(value.elements / rest);
    }
    // ONNX Runtime refuses another number of elements, when it runs; ours are those of one picture.
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
    let is_kept = |(at, dim): &(usize, &f64)| match gone.is_empty() {
        true => **dim != 1.0,
        false => !gone.contains(at),
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

fn split(dims: &[f64], node: &Node, lengths: Option<&Value>) -> Option<Vec<f64>> {
    let mut dims = dims.to_vec();
    let at = axis(node.integer("axis", 0), dims.len())?;
    if lengths.is_none() && node.ints("split").is_empty() {
        dims[at] = (dims[at] / node.output.len().max(1) as f64).ceil();
    }
    Some(dims)
}

fn sliced(
    dims: &[f64],
    (starts, ends): (&[f64], &[f64]),
    axes: Option<&[f64]>,
    steps: Option<&[f64]>,
) -> Option<Vec<f64>> {
    let mut dims = dims.to_vec();
    for (index, (start, end)) in starts.iter().zip(ends).enumerate() {
        let at = axes.map_or(Some(index as f64), |axes| axes.get(index).copied())?;
        let at = axis(at as i64, dims.len())?;
        let step = steps.map_or(Some(1.0), |steps| steps.get(index).copied())?;
        if step >= 1.0 {
            let of_end = |n: f64| if n < 0.0 { n + dims[at] } else { n };
            let (start, end) = (of_end(*start).max(0.0), of_end(*end).min(dims[at]));
            dims[at] = length(((end - start) / step).ceil());
        }
    }
    Some(dims)
}

fn gathered(data: Option<&[f64]>, indices: Option<&[f64]>, at: i64) -> Option<Vec<f64>> {
    let (data, indices) = (data?, indices?);
    let at = axis(at, data.len())?;
    Some([&data[..at], indices, &data[at + 1..]].concat())
}

fn reduced(dims: &[f64], axes: Vec<i64>, keeps: bool) -> Option<Vec<f64>> {
    let gone = match axes.is_empty() {
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
    let side = length(node.integer("blocksize", 1) as f64);
    let [batch, channels, rows, columns] = dims else {
        return None;
    };
    Some(match into_space {
        true => vec![
            *batch,
            channels / (side * side),
            rows * side,
            columns * side,
        ],
        false => vec![*batch, channels * side * side, rows / side, columns / side],
    })
}

fn sampled(dims: Option<&[f64]>, grid: Option<&[f64]>) -> Option<Vec<f64>> {
    let (dims, grid) = (dims?.get(..2)?, grid?);
    let (_, sides) = grid.split_last()?;
    Some([dims, sides.get(1..)?].concat())
}
