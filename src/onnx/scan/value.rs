//! Tensors, as far as they are known before the graph runs.

use super::MOST_DIMS;
use super::integers;
use super::numbers::Numbers;
use crate::onnx::{Dimension, Extent, Node, Shape, Tensor, ValueInfo};

/// Channels of a picture, where the file leaves them open.
const CHANNELS: f64 = 3.0;

/// A tensor, as far as it is known before the graph runs.
#[derive(Clone, Debug)]
pub(super) struct Value {
    /// Its dimensions, if known.
    pub dims: Option<Vec<f64>>,
    /// Whether these are exact, and not only an upper bound.
    pub sure: bool,
    /// Upper bound of its number of elements, whatever its dimensions.
    pub elements: f64,
    /// Its elements, if they are few and known.
    pub numbers: Option<Numbers>,
    /// Whether it depends on the file alone.
    pub constant: bool,
    /// Whether it may be computed while the model is loaded: constants, and lengths of a picture that the file fixes.
    pub at_load: bool,
    /// Whether it may hold integers.
    pub whole: bool,
    /// Whether these are small ones of the file, or lengths of the picture, and not computed from such.
    pub plain: bool,
}

impl Value {
    pub fn new(dims: Option<Vec<f64>>, elements: f64, constant: bool) -> Self {
        Value {
            sure: dims.is_some(),
            dims,
            elements,
            numbers: None,
            constant,
            at_load: constant,
            whole: false,
            plain: false,
        }
    }

    fn of_dims(dims: Vec<f64>, constant: bool) -> Self {
        let elements = dims.iter().product();
        Value::new(Some(dims), elements, constant)
    }

    /// A tensor of the file.
    pub fn of_tensor(tensor: &Tensor) -> Self {
        let numbers = Numbers::of_tensor(tensor);
        Value {
            plain: numbers.as_ref().is_some_and(integers::are_small),
            numbers,
            whole: integers::is_whole(tensor.data_type),
            ..Value::of_dims(tensor.dims.iter().map(|dim| *dim as f64).collect(), true)
        }
    }

    /// A constant that is written as a number or a list.
    pub fn of_list(node: &Node) -> Self {
        let entry = node.attribute.first();
        let dims = entry.and_then(|entry| match entry.name.as_str() {
            "value_ints" => Some(vec![entry.ints.len() as f64]),
            "value_floats" => Some(vec![entry.floats.len() as f64]),
            _ => None,
        });
        let numbers = Numbers::of_constant(node);
        Value {
            whole: numbers
                .as_ref()
                .is_none_or(|numbers| !numbers.kind.is_float()),
            plain: numbers.as_ref().is_some_and(integers::are_small),
            numbers,
            ..Value::of_dims(dims.unwrap_or_default(), true)
        }
    }

    /// A picture, with usual lengths where the file leaves them open.
    pub fn of_input(input: &ValueInfo, sides: [f64; 2]) -> Self {
        let dims: Vec<Option<f64>> = match declared(input) {
            Some(shape) => shape.dim.iter().map(length_of).take(MOST_DIMS).collect(),
            None => vec![None; 4],
        };
        let dims = dims.into_iter().enumerate();
        let dims = dims.map(|(axis, length)| match (length, axis) {
            (Some(length), _) => length,
            (None, 0) => 1.0,
            (None, 1) => CHANNELS,
            (None, axis) => sides[axis % 2],
        });
        Value::of_dims(dims.collect(), false)
    }

    /// Sets its dimensions, which may be 0 for some pictures, and its elements.
    pub fn set_shape(&mut self, dims: Vec<f64>, sure: bool, numbers: Option<Numbers>) {
        let is_empty_list = dims == [0.0]
            && numbers
                .as_ref()
                .is_some_and(|numbers| numbers.values.is_empty());
        let is_something = dims.iter().all(|dim| *dim >= 1.0);
        // A dimension of 0 for this picture may be larger for another.
        let dims: Vec<f64> = if is_empty_list {
            dims
        } else {
            dims.into_iter().map(length).collect()
        };
        self.elements = dims.iter().product();
        self.sure = sure && (is_something || is_empty_list || !self.at_load);
        self.numbers = numbers.filter(|numbers| numbers.values.len() as f64 == self.elements);
        self.dims = Some(dims);
    }
}

/// The shape of an input as the file declares it.
fn declared(input: &ValueInfo) -> Option<&Shape> {
    let kind = input.r#type.as_ref()?.tensor_type.as_ref()?;
    kind.shape.as_ref()
}

/// A length that the file fixes.
fn length_of(dim: &Dimension) -> Option<f64> {
    match dim.extent {
        Some(Extent::Value(length)) if length > 0 => Some(length as f64),
        _ => None,
    }
}

/// Whether the file fixes the size of an input, except for the batch.
pub(super) fn is_fixed(input: &ValueInfo) -> bool {
    declared(input).is_some_and(|shape| {
        let mut dims = shape.dim.iter().skip(1);
        dims.all(|dim| length_of(dim).is_some())
    })
}

/// Whether the file fixes a side of an input.
pub(super) fn fixes_a_side(input: &ValueInfo) -> bool {
    declared(input).is_some_and(|shape| {
        let mut sides = shape.dim.iter().skip(2);
        sides.any(|dim| length_of(dim).is_some())
    })
}

/// At least 1; NaN counts as infinite.
fn length(n: f64) -> f64 {
    if n.is_nan() {
        f64::INFINITY
    } else {
        n.max(1.0)
    }
}
