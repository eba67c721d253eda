//! Shapes that a graph computes: arithmetic on a few numbers, as exporters write it.

use super::sizes::Value;
use crate::onnx::{DataType, Node, Tensor};

/// Numbers that are followed at most: a shape has a handful.
const MOST: usize = 64;

/// A few numbers.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Numbers {
    pub values: Vec<f64>,
    /// Whether they are floating point: then a division leaves a fraction.
    pub float: bool,
}

impl Numbers {
    fn new(values: Vec<f64>, float: bool) -> Option<Self> {
        (values.len() <= MOST).then_some(Numbers { values, float })
    }

    /// What a tensor of the file holds.
    pub fn of_tensor(tensor: &Tensor) -> Option<Self> {
        // More than is followed isn't copied first.
        let count = tensor.dims.iter().try_fold(1_i64, |n, d| n.checked_mul(*d));
        if !count.is_some_and(|count| (0..=MOST as i64).contains(&count)) {
            return None;
        }
        let floats = tensor.floats();
        if !floats.is_empty() {
            return Numbers::new(floats.into_iter().map(f64::from).collect(), true);
        }
        let integers = match tensor.data_type == DataType::Int32 as i32 {
            true => {
                let (raw, _) = tensor.raw_data.as_chunks();
                let raw = raw.iter().map(|bytes| i32::from_le_bytes(*bytes));
                raw.chain(tensor.int32_data.iter().copied())
                    .map(i64::from)
                    .collect()
            }
            false => tensor.integers(),
        };
        // Whatever else it is, it is no shape.
        let is_all = count == Some(integers.len() as i64);
        let values = integers.into_iter().map(|n| n as f64).collect();
        is_all.then(|| Numbers::new(values, false))?
    }

    /// What a `Constant` holds that is no tensor.
    pub fn of_constant(node: &Node) -> Option<Self> {
        let entry = node.attribute.first()?;
        match entry.name.as_str() {
            "value_int" => Numbers::new(vec![entry.i as f64], false),
            "value_float" => Numbers::new(vec![f64::from(entry.f)], true),
            "value_ints" => Numbers::new(entry.ints.iter().map(|n| *n as f64).collect(), false),
            "value_floats" => {
                Numbers::new(entry.floats.iter().map(|n| f64::from(*n)).collect(), true)
            }
            _ => None,
        }
    }
}

/// What `node` computes, where that can be told.
pub(super) fn computed(node: &Node, inputs: &[Option<&Value>]) -> Option<Numbers> {
    let numbers = |index: usize| inputs.get(index).copied().flatten()?.numbers.as_ref();
    let dims = |index: usize| inputs.get(index).copied().flatten()?.dims.as_ref();
    match node.op_type.as_str() {
        "Shape" => {
            let dims = dims(0)?;
            let end = node.attribute.iter().find(|entry| entry.name == "end");
            let start = index(node.integer("start", 0), dims.len());
            let end = end.map_or(dims.len(), |end| index(end.i, dims.len()));
            Numbers::new(dims.get(start..end).unwrap_or(&[]).to_vec(), false)
        }
        "Size" => Numbers::new(vec![dims(0)?.iter().product()], false),
        "Identity" | "Unsqueeze" | "Squeeze" | "Reshape" | "Flatten" => numbers(0).cloned(),
        "Cast" => {
            let from = numbers(0)?;
            let float = matches!(node.integer("to", 1), 1 | 10 | 11 | 16);
            let cast = |n: &f64| if float { *n } else { n.trunc() };
            Numbers::new(from.values.iter().map(cast).collect(), float)
        }
        "Floor" | "Ceil" | "Round" | "Neg" | "Abs" => {
            let from = numbers(0)?;
            let values = from.values.iter().map(|n| match node.op_type.as_str() {
                "Floor" => n.floor(),
                "Ceil" => n.ceil(),
                "Round" => n.round(),
                "Neg" => -n,
                _ => n.abs(),
            });
            Numbers::new(values.collect(), from.float)
        }
        "Concat" => {
            let parts: Option<Vec<&Numbers>> = (0..inputs.len()).map(numbers).collect();
            let parts = parts?;
            let float = parts.iter().any(|part| part.float);
            let values = parts.iter().flat_map(|part| part.values.iter().copied());
            Numbers::new(values.take(MOST + 1).collect(), float)
        }
        "Gather" => gather(numbers(0)?, numbers(1)?, dims(0)?.len()),
        "Slice" => slice(
            numbers(0)?,
            dims(0)?,
            [numbers(1)?, numbers(2)?],
            numbers(4),
        ),
        "Transpose" => turned(numbers(0)?, dims(0)?),
        "ConstantOfShape" => {
            let count = numbers(0)?.values.iter().product::<f64>();
            let tensor = node.attribute.iter().find_map(|entry| entry.t.as_ref());
            let value = tensor.and_then(Numbers::of_tensor);
            let float = value.as_ref().is_none_or(|value| value.float);
            let value = value.and_then(|value| value.values.first().copied());
            let is_few = (0.0..=MOST as f64).contains(&count);
            is_few.then(|| Numbers {
                values: vec![value.unwrap_or(0.0); count as usize],
                float,
            })
        }
        // Which one it is may depend on the picture: whatever is larger.
        "Where" => pairs(numbers(1)?, numbers(2)?, |a, b| {
            if a.abs() >= b.abs() { a } else { b }
        }),
        "Equal" | "Greater" | "Less" | "GreaterOrEqual" | "LessOrEqual" => {
            pairs(numbers(0)?, numbers(1)?, |_, _| 1.0)
        }
        op => arithmetic(op, numbers(0)?, numbers(1)?),
    }
}

fn arithmetic(op: &str, a: &Numbers, b: &Numbers) -> Option<Numbers> {
    let whole = !a.float && !b.float;
    let operation: fn(f64, f64) -> f64 = match op {
        "Add" => |a, b| a + b,
        "Sub" => |a, b| a - b,
        "Mul" => |a, b| a * b,
        "Div" if whole => |a, b| (a / b).trunc(),
        "Div" => |a, b| a / b,
        "Mod" => |a, b| a.rem_euclid(b),
        "Min" => f64::min,
        "Max" => f64::max,
        _ => return None,
    };
    pairs(a, b, operation)
}

/// Two lists of one length, or a list and a number.
fn pairs(a: &Numbers, b: &Numbers, operation: fn(f64, f64) -> f64) -> Option<Numbers> {
    let (count, other) = (a.values.len(), b.values.len());
    if count != other && count != 1 && other != 1 {
        return None;
    }
    let of = |numbers: &Numbers, index: usize| match numbers.values.as_slice() {
        [one] => Some(*one),
        values => values.get(index).copied(),
    };
    let values = (0..if count == 1 { other } else { count })
        .map(|index| Some(operation(of(a, index)?, of(b, index)?)));
    Numbers::new(values.collect::<Option<_>>()?, a.float || b.float)
}

fn gather(data: &Numbers, indices: &Numbers, rank: usize) -> Option<Numbers> {
    if rank > 1 {
        return None;
    }
    let length = data.values.len();
    let values = indices.values.iter().map(|at| {
        let at = if *at < 0.0 { at + length as f64 } else { *at };
        (at >= 0.0).then(|| data.values.get(at as usize).copied())?
    });
    Numbers::new(values.collect::<Option<_>>()?, data.float)
}

/// Rows become columns.
fn turned(data: &Numbers, dims: &[f64]) -> Option<Numbers> {
    let columns = match dims {
        [] | [_] => return Some(data.clone()),
        [_, columns] => (*columns as usize).max(1),
        _ => return None,
    };
    let rows = data.values.chunks_exact(columns);
    let values = (0..columns).flat_map(|column| rows.clone().map(move |row| row[column]));
    Numbers::new(values.collect(), data.float)
}

fn slice(
    data: &Numbers,
    dims: &[f64],
    ends: [&Numbers; 2],
    steps: Option<&Numbers>,
) -> Option<Numbers> {
    let row = match dims {
        [_] => 1,
        [_, columns] => (*columns as usize).max(1),
        _ => return None,
    };
    let [start, end] = ends.map(|list| list.values.first().copied());
    let length = data.values.len();
    let (start, end) = (index(start? as i64, length), index(end? as i64, length));
    match steps.and_then(|steps| steps.values.first().copied()) {
        None | Some(1.0) if row == 1 => {
            let values = data.values.get(start..end.max(start))?;
            Numbers::new(values.to_vec(), data.float)
        }
        // Exporters turn the pads of a picture round so, all of them.
        Some(-1.0) => {
            let rows = data.values.chunks_exact(row).rev();
            Numbers::new(rows.flatten().copied().collect(), data.float)
        }
        _ => None,
    }
}

/// An index that may count from the end, held within a list.
fn index(at: i64, length: usize) -> usize {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let at = if at < 0 {
        at.saturating_add(length)
    } else {
        at
    };
    usize::try_from(at.clamp(0, length)).unwrap_or(0)
}
