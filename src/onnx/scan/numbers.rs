//! Shapes that a graph computes: arithmetic on a few numbers, as exporters write it.
//!
//! A result that can't be computed exactly as ONNX defines it counts as unknown: a shape that is wrongly believed to be
//! small takes all memory.

use super::rules::Inputs;
use super::shapes;
use super::value::Value;
use crate::onnx::{DataType, Node, Tensor};

/// Longest list of numbers that is followed: a shape has a handful.
const MOST: usize = 64;

/// Integers from here on are not all exact in the floating point that is used here.
const INEXACT: f64 = (1_u64 << 53) as f64;

/// The types that shapes are computed in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Bool,
    Int32,
    Int64,
    Float,
    Double,
}

impl Kind {
    /// The kind of a data type of ONNX; `None` for those that are not followed.
    fn of(data_type: i64) -> Option<Self> {
        match DataType::try_from(i32::try_from(data_type).ok()?).ok()? {
            DataType::Bool => Some(Kind::Bool),
            DataType::Int32 => Some(Kind::Int32),
            DataType::Int64 => Some(Kind::Int64),
            DataType::Float => Some(Kind::Float),
            DataType::Double => Some(Kind::Double),
            _ => None,
        }
    }

    /// Whether a division leaves a fraction.
    pub fn is_float(self) -> bool {
        matches!(self, Kind::Float | Kind::Double)
    }

    /// `number` in this kind, unless it overflows or is not exact.
    pub fn held(self, number: f64) -> Option<f64> {
        let (number, limit) = match self {
            Kind::Float => (f64::from(number as f32), INEXACT),
            Kind::Int32 => (number, f64::from(i32::MAX) + 1.0),
            _ => (number, INEXACT),
        };
        // Also `None` for NaN.
        (number.abs() < limit).then_some(number)
    }
}

/// A few numbers.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Numbers {
    pub values: Vec<f64>,
    pub kind: Kind,
}

impl Numbers {
    fn new(values: Vec<f64>, kind: Kind) -> Option<Self> {
        (values.len() <= MOST).then_some(Numbers { values, kind })
    }

    /// Computed numbers, if all of them are known.
    fn all(values: impl Iterator<Item = Option<f64>>, kind: Kind) -> Option<Self> {
        let values = values.take(MOST + 1).collect::<Option<Vec<f64>>>()?;
        Numbers::new(values, kind)
    }

    /// The elements of a tensor of the file.
    pub fn of_tensor(tensor: &Tensor) -> Option<Self> {
        // Not copied where there are too many.
        let count = tensor.dims.iter().try_fold(1_i64, |n, d| n.checked_mul(*d));
        let count = count.filter(|count| (0..=MOST as i64).contains(count))?;
        let kind = Kind::of(tensor.data_type.into());
        if count == 0 {
            return Numbers::new(Vec::new(), kind.unwrap_or(Kind::Int64));
        }
        let whole = |values: Vec<i64>| values.into_iter().map(|n| n as f64).collect::<Vec<_>>();
        let values: Vec<f64> = match kind? {
            Kind::Float => tensor.floats().into_iter().map(f64::from).collect(),
            Kind::Double => {
                let (raw, _) = tensor.raw_data.as_chunks();
                let raw = raw.iter().map(|bytes| f64::from_le_bytes(*bytes));
                raw.chain(tensor.double_data.iter().copied()).collect()
            }
            Kind::Int32 => {
                let (raw, _) = tensor.raw_data.as_chunks();
                let raw = raw.iter().map(|bytes| i32::from_le_bytes(*bytes));
                let all = raw.chain(tensor.int32_data.iter().copied());
                whole(all.map(i64::from).collect())
            }
            Kind::Int64 => whole(tensor.integers()),
            Kind::Bool => return None,
        };
        // Those in another file are missing.
        (values.len() as i64 == count).then(|| Numbers::new(values, kind?))?
    }

    /// The number or the list of a `Constant`.
    pub fn of_constant(node: &Node) -> Option<Self> {
        let entry = node.attribute.first()?;
        let floats = entry.floats.iter().map(|n| f64::from(*n));
        match entry.name.as_str() {
            "value_int" => Numbers::new(vec![entry.i as f64], Kind::Int64),
            "value_float" => Numbers::new(vec![f64::from(entry.f)], Kind::Float),
            "value_ints" => {
                let whole = entry.ints.iter().map(|n| *n as f64);
                Numbers::new(whole.collect(), Kind::Int64)
            }
            "value_floats" => Numbers::new(floats.collect(), Kind::Float),
            _ => None,
        }
    }

    /// The number at `index`; a single one is broadcast.
    fn at(&self, index: usize) -> Option<f64> {
        let number = match self.values.as_slice() {
            [one] => one,
            values => values.get(index)?,
        };
        self.kind.held(*number)
    }

    /// Applies `operation` to each number, with results of `kind`.
    fn each(&self, kind: Kind, operation: fn(f64) -> f64) -> Option<Self> {
        let values = self.values.iter();
        let changed = values.map(|n| kind.held(operation(self.kind.held(*n)?)));
        Numbers::all(changed, kind)
    }
}

/// The output of `node`, if it is known.
pub(super) fn computed(node: &Node, inputs: &[Option<&Value>]) -> Option<Numbers> {
    let inputs = Inputs(inputs);
    let numbers = |index: usize| inputs.value(index)?.numbers.as_ref();
    match node.op_type.as_str() {
        "Shape" => {
            let lengths = shapes::shown(node, inputs.sure(0)?).iter();
            Numbers::all(lengths.map(|n| Kind::Int64.held(*n)), Kind::Int64)
        }
        "Size" => {
            let size: f64 = inputs.sure(0)?.iter().product();
            Numbers::all([Kind::Int64.held(size)].into_iter(), Kind::Int64)
        }
        "Identity" | "Unsqueeze" | "Squeeze" | "Reshape" | "Flatten" => numbers(0).cloned(),
        "Cast" => cast(node, numbers(0)?),
        "Concat" => joined(node, &inputs),
        "Gather" => gather(numbers(0)?, numbers(1)?, inputs.sure(0)?.len()),
        "Slice" => slice(node, &inputs),
        "Transpose" => turned(numbers(0)?, inputs.sure(0)?, node.ints("perm")),
        "Expand" => expanded(numbers(0)?, numbers(1)?),
        "ConstantOfShape" => repeated(node, numbers(0)?),
        "Where" => chosen(numbers(0)?, numbers(1)?, numbers(2)?),
        op => match inputs.0.len() {
            1 => single(op, numbers(0)?),
            2 => both(op, numbers(0)?, numbers(1)?),
            _ => None,
        },
    }
}

fn cast(node: &Node, from: &Numbers) -> Option<Numbers> {
    let kind = Kind::of(node.integer("to", 0))?;
    let operation: fn(f64) -> f64 = match kind {
        Kind::Bool => |n| f64::from(n != 0.0),
        Kind::Int32 | Kind::Int64 => f64::trunc,
        Kind::Float | Kind::Double => |n| n,
    };
    from.each(kind, operation)
}

fn single(op: &str, numbers: &Numbers) -> Option<Numbers> {
    let operation: fn(f64) -> f64 = match op {
        "Floor" => f64::floor,
        "Ceil" => f64::ceil,
        "Round" => f64::round_ties_even,
        "Neg" => |n| -n,
        "Abs" => f64::abs,
        "Not" => |n| 1.0 - n,
        _ => return None,
    };
    numbers.each(numbers.kind, operation)
}

fn both(op: &str, a: &Numbers, b: &Numbers) -> Option<Numbers> {
    let whole = !a.kind.is_float();
    let operation: fn(f64, f64) -> f64 = match op {
        "Add" => |a, b| a + b,
        "Sub" => |a, b| a - b,
        "Mul" => |a, b| a * b,
        "Div" if whole => |a, b| (a / b).trunc(),
        "Div" => |a, b| a / b,
        "Mod" if whole => remainder,
        "Min" | "And" => f64::min,
        "Max" | "Or" => f64::max,
        "Xor" => |a, b| f64::from(a != b),
        "Equal" => |a, b| f64::from(a == b),
        "Greater" => |a, b| f64::from(a > b),
        "GreaterOrEqual" => |a, b| f64::from(a >= b),
        "Less" => |a, b| f64::from(a < b),
        "LessOrEqual" => |a, b| f64::from(a <= b),
        _ => return None,
    };
    let kind = match op {
        "Equal" | "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual" => Kind::Bool,
        _ => a.kind,
    };
    let values = (0..count(&[a, b])?).map(|at| kind.held(operation(a.at(at)?, b.at(at)?)));
    (a.kind == b.kind).then(|| Numbers::all(values, kind))?
}

/// For negative numbers, which no shape has, it depends on an attribute.
fn remainder(a: f64, b: f64) -> f64 {
    if a >= 0.0 && b > 0.0 { a % b } else { f64::NAN }
}

/// The length of broadcast lists, which have the same length or one number.
fn count(lists: &[&Numbers]) -> Option<usize> {
    lists
        .iter()
        .try_fold(1, |count, list| match (count, list.values.len()) {
            (count, 1) => Some(count),
            (1, length) => Some(length),
            (count, length) => (count == length).then_some(count),
        })
}

fn chosen(condition: &Numbers, a: &Numbers, b: &Numbers) -> Option<Numbers> {
    let values = (0..count(&[condition, a, b])?).map(|at| {
        if condition.at(at)? == 0.0 {
            b.at(at)
        } else {
            a.at(at)
        }
    });
    (a.kind == b.kind).then(|| Numbers::all(values, a.kind))?
}

/// Along the first axis only: along others the numbers would be interleaved.
fn joined(node: &Node, inputs: &Inputs) -> Option<Numbers> {
    let parts = (0..inputs.0.len()).map(|index| inputs.value(index)?.numbers.as_ref());
    let parts = parts.collect::<Option<Vec<&Numbers>>>()?;
    let kind = parts.first()?.kind;
    let axis = shapes::axis(node.integer("axis", 0), inputs.sure(0)?.len())?;
    let fits = axis == 0 && parts.iter().all(|part| part.kind == kind);
    let values = parts.iter().flat_map(|part| &part.values);
    fits.then(|| Numbers::all(values.map(|n| Some(*n)), kind))?
}

fn gather(data: &Numbers, indices: &Numbers, rank: usize) -> Option<Numbers> {
    let length = data.values.len() as f64;
    let values = indices.values.iter().map(|at| {
        let at = if *at < 0.0 { at + length } else { *at };
        (at >= 0.0).then(|| data.values.get(at as usize).copied())?
    });
    (rank == 1).then(|| Numbers::all(values, data.kind))?
}

/// Swaps rows and columns if the order of the axes says so.
fn turned(data: &Numbers, dims: &[f64], perm: &[i64]) -> Option<Numbers> {
    let columns = match (dims, perm) {
        ([] | [_], _) | ([_, _], [0, 1]) => return Some(data.clone()),
        ([_, columns], [] | [1, 0]) => (*columns as usize).max(1),
        _ => return None,
    };
    let rows = data.values.chunks_exact(columns);
    let values = (0..columns).flat_map(|column| rows.clone().map(move |row| row[column]));
    Numbers::new(values.collect(), data.kind)
}

/// Along the first axis only.
fn slice(node: &Node, inputs: &Inputs) -> Option<Numbers> {
    let data = inputs.value(0)?.numbers.as_ref()?;
    let dims = inputs.sure(0)?;
    let cuts = shapes::cuts(node, inputs, dims)?;
    let [cut] = cuts.as_slice() else {
        return None;
    };
    let row = dims.get(1..)?.iter().product::<f64>() as usize;
    let rows: Vec<&[f64]> = data.values.chunks(row.max(1)).collect();
    let row_at = |n: usize| {
        let at = cut.start + n as f64 * cut.step;
        rows.get(at as usize).copied()
    };
    let taken = (0..cut.count as usize).map(row_at);
    let taken = taken.collect::<Option<Vec<&[f64]>>>()?;
    (cut.axis == 0).then(|| Numbers::new(taken.concat(), data.kind))?
}

/// One number repeated to a shape, or numbers that are not changed.
fn expanded(data: &Numbers, shape: &Numbers) -> Option<Numbers> {
    let times: f64 = shape.values.iter().map(|n| n.max(1.0)).product();
    match data.values.as_slice() {
        [one] if times <= MOST as f64 => Numbers::new(vec![*one; times as usize], data.kind),
        _ if times == 1.0 => Some(data.clone()),
        _ => None,
    }
}

fn repeated(node: &Node, shape: &Numbers) -> Option<Numbers> {
    let times: f64 = shape.values.iter().product();
    let tensor = node.attribute.iter().find_map(|entry| entry.t.as_ref());
    let one = match tensor {
        Some(tensor) => Numbers::of_tensor(tensor)?,
        None => Numbers::new(vec![0.0], Kind::Float)?,
    };
    let [value] = one.values[..] else {
        return None;
    };
    let is_few = (0.0..=MOST as f64).contains(&times);
    is_few.then(|| Numbers::new(vec![value; times as usize], one.kind))?
}
