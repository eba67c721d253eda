//! How large everything becomes that a graph computes, found out without computing it.

use std::collections::{HashMap, HashSet};

use super::following::Known;
use super::integers;
use super::nothing::{groups, is_given_nothing, makes_nothing};
use super::numbers::{self, Numbers};
use super::rules::{Size, scale, size, vanishes};
use super::{LARGEST_CONSTANT, LARGEST_SCALE, MOST_DIMS, Refusal, called, work};
use crate::onnx::{Extent, Graph, Node, Tensor, ValueInfo};

/// Sides of the pictures that sizes are found out for, where the file leaves them open: several, so that a graph
/// can't be made for one.
const SIDES: [[f64; 2]; 3] = [[512.0, 512.0], [203.0, 331.0], [1360.0, 1024.0]];

/// Channels of it, where the file leaves them open.
const CHANNELS: f64 = 3.0;

/// Numbers of one feature map at most, for each pixel of the picture: a network of the paper's kind has 128.
const MOST_OF_A_MAP: f64 = 1024.0;

/// Numbers of all feature maps that are there at one time, for each pixel of the picture.
const MOST_AT_ONCE: f64 = 4096.0;

/// Elements of all computed constants together.
const ALL_CONSTANTS: f64 = 4.0 * LARGEST_CONSTANT as f64;

/// Multiplications of a run at most; half an hour on one core. A large network has 2^40 for such a picture, and
/// a run can be stopped between its operators only.
const MOST_WORK: f64 = (1_u64 << 44) as f64;

/// Multiplications of one operator at most, for each pixel of the picture: the paper's network has 2^16, the largest
/// ones 2^20.
pub(super) const MOST_OF_ONE: f64 = (1_u64 << 21) as f64;

/// What is taken for the pixels of a smaller picture.
const LEAST_PIXELS: f64 = 65_536.0;

/// What is known of a tensor before the graph runs.
#[derive(Clone, Debug)]
pub(super) struct Value {
    /// Its dimensions, none where these can't be told.
    pub dims: Option<Vec<f64>>,
    /// At most that many elements, however they lie.
    pub elements: f64,
    /// What it holds, where that is little and can be told.
    pub numbers: Option<Numbers>,
    /// Whether the file alone says what it holds.
    pub constant: bool,
    /// Whether it may hold whole numbers.
    pub whole: bool,
    /// Whether these are small ones of the file, or lengths of the picture, and nothing that was computed of such.
    pub plain: bool,
}

impl Value {
    fn new(dims: Option<Vec<f64>>, elements: f64, constant: bool) -> Self {
        Value {
            dims,
            elements,
            numbers: None,
            constant,
            whole: false,
            plain: false,
        }
    }

    /// A tensor of the file.
    pub fn of_tensor(tensor: &Tensor) -> Self {
        let dims: Vec<f64> = tensor.dims.iter().map(|dim| *dim as f64).collect();
        let elements = dims.iter().product();
        let numbers = Numbers::of_tensor(tensor);
        Value {
            plain: numbers.as_ref().is_some_and(integers::are_small),
            numbers,
            whole: integers::is_whole(tensor.data_type),
            ..Value::new(Some(dims), elements, true)
        }
    }

    /// A picture, with usual lengths where the file leaves them open.
    fn of_input(input: &ValueInfo, sides: [f64; 2]) -> Self {
        let kind = input.r#type.as_ref();
        let shape = kind
            .and_then(|kind| kind.tensor_type.as_ref())
            .and_then(|tensor| tensor.shape.as_ref());
        let dims = shape.map(|shape| shape.dim.iter());
        let dims: Vec<f64> = dims
            .into_iter()
            .flatten()
            .take(MOST_DIMS)
            .enumerate()
            .map(|(axis, dim)| match (&dim.extent, axis) {
                (Some(Extent::Value(length)), _) if *length > 0 => *length as f64,
                (_, 0) => 1.0,
                (_, 1) => CHANNELS,
                (_, axis) => sides[axis % 2],
            })
            .collect();
        let elements = dims.iter().product();
        Value::new(Some(dims), elements, false)
    }
}

/// Whether the file says how large an input is, but for how many there are.
fn is_fixed(input: &ValueInfo) -> bool {
    let kind = input.r#type.as_ref();
    let shape = kind
        .and_then(|kind| kind.tensor_type.as_ref())
        .and_then(|tensor| tensor.shape.as_ref());
    shape.is_some_and(|shape| {
        let mut dims = shape.dim.iter().skip(1);
        dims.all(|dim| matches!(dim.extent, Some(Extent::Value(length)) if length > 0))
    })
}

/// Refuses a graph of which something becomes too large, or that takes too long. Returns the multiplications of the
/// operator that computes longest, for each pixel.
pub(super) fn check(graph: &Graph) -> Result<f64, Refusal> {
    let last_use = last_use(graph);
    let mut sides = SIDES.into_iter();
    sides.try_fold(0.0, |heaviest: f64, sides| {
        Ok(heaviest.max(check_for(graph, &last_use, sides)?))
    })
}

fn check_for(
    graph: &Graph,
    last_use: &HashMap<&str, usize>,
    sides: [f64; 2],
) -> Result<f64, Refusal> {
    let mut sizes = Sizes::of(graph, sides)?;
    for (index, node) in graph.node.iter().enumerate() {
        sizes.node(node)?;
        let used: HashSet<&str> = node.input.iter().map(String::as_str).collect();
        for name in used {
            if last_use.get(name) == Some(&index) {
                sizes.forget(name);
            }
        }
    }
    Ok(sizes.heaviest)
}

/// Which node is the last to read a tensor.
fn last_use(graph: &Graph) -> HashMap<&str, usize> {
    let nodes = graph.node.iter().enumerate();
    nodes
        .flat_map(|(index, node)| node.input.iter().map(move |name| (name.as_str(), index)))
        .collect()
}

struct Sizes<'a> {
    known: Known<'a>,
    values: HashMap<&'a str, Value>,
    /// What nodes make that come later.
    later: HashSet<&'a str>,
    /// Whether the file says how large pictures are.
    fixed: bool,
    pixels: f64,
    at_once: f64,
    constants: f64,
    work: f64,
    /// Of one operator, for each pixel.
    heaviest: f64,
}

impl<'a> Sizes<'a> {
    fn of(graph: &'a Graph, sides: [f64; 2]) -> Result<Self, Refusal> {
        let mut values = HashMap::new();
        for input in &graph.input {
            values.insert(input.name.as_str(), Value::of_input(input, sides));
        }
        for tensor in &graph.initializer {
            values.insert(&tensor.name, Value::of_tensor(tensor));
        }
        let pictures = values.values().filter(|value| !value.constant);
        let pixels = pictures
            .filter_map(|value| value.dims.as_ref())
            .map(|dims| dims.iter().skip(2).product::<f64>())
            .fold(1.0, f64::max);
        let mut later = HashSet::new();
        for name in graph.node.iter().flat_map(|node| &node.output) {
            let is_first = later.insert(name.as_str()) && !values.contains_key(name.as_str());
            if !is_first && !name.is_empty() {
                return Err(Refusal::Twice(name.clone()));
            }
        }
        Ok(Sizes {
            known: Known::of(graph),
            values,
            later,
            fixed: graph.input.iter().all(is_fixed),
            pixels,
            at_once: 0.0,
            constants: 0.0,
            work: 0.0,
            heaviest: 0.0,
        })
    }

    /// Finds out what `node` makes.
    fn node(&mut self, node: &'a Node) -> Result<(), Refusal> {
        if let Some(name) = node
            .input
            .iter()
            .find(|name| !name.is_empty() && self.later.contains(name.as_str()))
        {
            return Err(Refusal::Unsorted {
                node: called(node),
                tensor: name.clone(),
            });
        }
        let before = self.work;
        let made = self.made(node)?;
        for name in node.output.iter().filter(|name| !name.is_empty()) {
            self.later.remove(name.as_str());
            if node.op_type != "Constant" {
                self.count(node, &made)?;
            }
            self.values.insert(name, made.clone());
        }
        match self.work <= MOST_WORK {
            true => self.alone(node, self.work - before),
            false => Err(Refusal::Work { node: called(node) }),
        }
    }

    fn made(&mut self, node: &'a Node) -> Result<Value, Refusal> {
        if node.op_type == "Constant" {
            let tensor = node.attribute.iter().find_map(|entry| entry.t.as_ref());
            return Ok(match tensor {
                Some(tensor) => Value::of_tensor(tensor),
                None => Value::of_list(node),
            });
        }
        let inputs: Vec<Option<&Value>> = node
            .input
            .iter()
            .map(|name| self.values.get(name.as_str()))
            .collect();
        if let Some(scale) =
            scale(node, &inputs).filter(|scale| scale.is_nan() || *scale > LARGEST_SCALE)
        {
            return Err(Refusal::Scale {
                node: called(node),
                scale,
            });
        }
        self.known.check(node, &inputs)?;
        integers::check(node, &inputs)?;
        groups(node, &inputs)?;
        if is_given_nothing(node, &inputs) || makes_nothing(node, &inputs) {
            return Err(Refusal::Empty { node: called(node) });
        }
        let constant = inputs.iter().flatten().all(|value| value.constant);
        // Otherwise it depends on the picture, and is told when it runs.
        if (constant || self.fixed) && vanishes(node, &inputs) {
            return Err(Refusal::Vanishes { node: called(node) });
        }
        let (dims, elements) = match size(node, &inputs) {
            Size::Dims(dims) if dims.len() > MOST_DIMS => (None, f64::INFINITY),
            Size::Dims(dims) => {
                let elements = dims.iter().product();
                (Some(dims), elements)
            }
            Size::Elements(elements) => (None, elements),
        };
        let numbers = numbers::computed(node, &inputs);
        let value = Value {
            numbers,
            whole: integers::makes_whole(node, &inputs),
            plain: integers::makes_plain(node, &inputs),
            ..Value::new(dims, elements, constant)
        };
        self.work += work::of(node, &inputs, &value);
        Ok(value)
    }

    /// Checks how long `node` alone computes. What is little for the smallest picture is, whatever its size.
    fn alone(&mut self, node: &Node, work: f64) -> Result<(), Refusal> {
        let each = work / self.pixels.max(LEAST_PIXELS);
        self.heaviest = self.heaviest.max(each);
        match each <= MOST_OF_ONE {
            true => Ok(()),
            // Also where it is no number.
            false => Err(Refusal::Heavy {
                node: called(node),
                work: each as i64,
            }),
        }
    }

    /// Checks what `node` makes against what all of it may be.
    fn count(&mut self, node: &Node, made: &Value) -> Result<(), Refusal> {
        let elements = made.elements;
        let whole = |elements: f64| elements as i64;
        if made.constant {
            self.constants += elements;
            let (found, limit) = match elements <= LARGEST_CONSTANT as f64 {
                true => (self.constants, ALL_CONSTANTS),
                false => (elements, LARGEST_CONSTANT as f64),
            };
            // Not the other way round: there are values that are no numbers.
            return match found <= limit {
                true => Ok(()),
                false => Err(Refusal::Constant {
                    node: called(node),
                    elements: whole(found),
                }),
            };
        }
        self.at_once += elements;
        let limit = |each: f64| (each * self.pixels).max(LARGEST_CONSTANT as f64);
        match elements <= limit(MOST_OF_A_MAP) && self.at_once <= limit(MOST_AT_ONCE) {
            true => Ok(()),
            false => Err(Refusal::Map {
                node: called(node),
                elements: whole(self.at_once),
                pixels: whole(self.pixels),
            }),
        }
    }

    /// Nothing reads `name` any more.
    fn forget(&mut self, name: &str) {
        match self.values.get(name) {
            Some(value) if !value.constant => {
                self.at_once = (self.at_once - value.elements).max(0.0);
            }
            _ => (),
        }
    }
}

impl Value {
    /// A constant that is written as a number or a list.
    fn of_list(node: &Node) -> Self {
        let lists = node.attribute.iter();
        let lengths = lists.map(|entry| entry.ints.len().max(entry.floats.len()));
        // Also where it is too long to be followed.
        let length = lengths.max().unwrap_or(0).max(1) as f64;
        let numbers = Numbers::of_constant(node);
        Value {
            whole: numbers.as_ref().is_none_or(|numbers| !numbers.float),
            plain: numbers.as_ref().is_some_and(integers::are_small),
            numbers,
            ..Value::new(Some(vec![length]), length, true)
        }
    }
}
