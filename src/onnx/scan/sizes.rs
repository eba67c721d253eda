//! Sizes of all tensors that a graph computes, found without computing them.

use std::collections::{HashMap, HashSet};

use super::bounds::TensorSources;
use super::empty::{has_empty_input, makes_empty};
use super::integers;
use super::numbers;
use super::rules::{Size, scale, size};
use super::value::{Value, fixes_a_side, is_fixed};
use super::windows::{groups, scratch, vanishes};
use super::{LARGEST_CONSTANT, LARGEST_SCALE, MOST_DIMS, Refusal, label, work};
use crate::onnx::{Graph, Node};

/// Sides of the pictures that sizes are computed for, where the file leaves them open: several, so that a graph
/// can't be tailored to one.
const SIDES: [[f64; 2]; 3] = [[512.0, 512.0], [203.0, 331.0], [1360.0, 1024.0]];

/// Largest feature map in numbers for each pixel of the picture: a network of the paper's kind has 128.
const MOST_OF_A_MAP: f64 = 1024.0;

/// Largest sum of the feature maps that are alive at one time, in numbers for each pixel of the picture.
const MOST_AT_ONCE: f64 = 4096.0;

/// Elements of all computed constants together.
const ALL_CONSTANTS: f64 = 4.0 * LARGEST_CONSTANT as f64;

/// Largest number of multiplications of a run; half an hour on one core. A large network has 2^40 for such a picture,
/// and a run can only be stopped between its operators.
const MOST_WORK: f64 = (1_u64 << 44) as f64;

/// Largest number of multiplications of one operator, for each pixel of the picture: the paper's network has 2^16, the
/// largest ones 2^20.
pub(super) const MOST_OF_ONE: f64 = (1_u64 << 21) as f64;

/// Smaller pictures count as this many pixels.
const LEAST_PIXELS: f64 = 65_536.0;

/// Refuses a graph that makes something too large, or takes too long. Returns the multiplications of the most expensive
/// operator, for each pixel.
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
    sources: TensorSources<'a>,
    values: HashMap<&'a str, Value>,
    /// Outputs of the nodes that are still to come.
    later: HashSet<&'a str>,
    /// Whether the file fixes the size of the pictures.
    fixed: bool,
    /// Whether it fixes a side, so that shapes may be known while the model is loaded.
    fixes_a_side: bool,
    pixels: f64,
    at_once: f64,
    constants: f64,
    work: f64,
    /// Largest work of one operator, for each pixel.
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
            sources: TensorSources::of(graph),
            values,
            later,
            fixed: graph.input.iter().all(is_fixed),
            fixes_a_side: graph.input.iter().any(fixes_a_side),
            pixels,
            at_once: 0.0,
            constants: 0.0,
            work: 0.0,
            heaviest: 0.0,
        })
    }

    /// Adds the outputs of `node`.
    fn node(&mut self, node: &'a Node) -> Result<(), Refusal> {
        if let Some(name) = node
            .input
            .iter()
            .find(|name| !name.is_empty() && self.later.contains(name.as_str()))
        {
            return Err(Refusal::Unsorted {
                node: label(node),
                tensor: name.clone(),
            });
        }
        self.check(node)?;
        let first = self.made(node, 0)?;
        let inputs = self.inputs(node);
        let (work, scratch) = (
            work::of(node, &inputs, &first),
            scratch(node, &inputs, &first),
        );
        self.work += work;
        self.count(node, scratch, first.at_load)?;
        for (index, name) in node.output.iter().enumerate() {
            if name.is_empty() {
                continue;
            }
            let made = match index {
                0 => first.clone(),
                _ => self.made(node, index)?,
            };
            self.later.remove(name.as_str());
            if node.op_type != "Constant" {
                self.count(node, made.elements, made.at_load)?;
            }
            self.values.insert(name, made);
        }
        if !first.at_load {
            self.at_once = (self.at_once - scratch).max(0.0);
        }
        if self.work <= MOST_WORK {
            self.alone(node, work)
        } else {
            // Also where it is not a number.
            Err(Refusal::Work { node: label(node) })
        }
    }

    fn inputs(&self, node: &Node) -> Vec<Option<&Value>> {
        let names = node.input.iter();
        names.map(|name| self.values.get(name.as_str())).collect()
    }

    /// Checks `node` by its inputs.
    fn check(&self, node: &Node) -> Result<(), Refusal> {
        let inputs = self.inputs(node);
        if let Some(scale) =
            scale(node, &inputs).filter(|scale| scale.is_nan() || *scale > LARGEST_SCALE)
        {
            return Err(Refusal::Scale {
                node: label(node),
                scale,
            });
        }
        self.sources.check(node, &inputs)?;
        integers::check(node, &inputs)?;
        groups(node, &inputs)?;
        if has_empty_input(node, &inputs) || makes_empty(node, &inputs) {
            return Err(Refusal::Empty { node: label(node) });
        }
        let constant = inputs.iter().flatten().all(|value| value.constant);
        // Otherwise it depends on the picture, and shows when the model runs.
        if (constant || self.fixed) && vanishes(node, &inputs) {
            return Err(Refusal::Vanishes { node: label(node) });
        }
        Ok(())
    }

    /// Output number `output` of `node`.
    fn made(&self, node: &Node, output: usize) -> Result<Value, Refusal> {
        if node.op_type == "Constant" {
            let tensor = node.attribute.iter().find_map(|entry| entry.t.as_ref());
            return Ok(match tensor {
                Some(tensor) => Value::of_tensor(tensor),
                None => Value::of_list(node),
            });
        }
        let inputs = self.inputs(node);
        let all = |is: fn(&Value) -> bool| inputs.iter().flatten().all(|value| is(value));
        let shows_lengths = matches!(node.op_type.as_str(), "Shape" | "Size");
        let at_load = all(|value| value.at_load) || shows_lengths && self.fixes_a_side;
        let (dims, elements, sure) = match size(node, &inputs, output) {
            Size::Dims(dims) => (Some(dims), f64::INFINITY, all(|value| value.sure)),
            Size::AtMost(dims) => (Some(dims), f64::INFINITY, false),
            Size::Elements(elements) => (None, elements, false),
            Size::Unbounded(by) => {
                return Err(Refusal::Unbounded {
                    node: label(node),
                    by,
                });
            }
        };
        let mut value = Value {
            at_load,
            whole: integers::makes_whole(node, &inputs),
            plain: integers::makes_plain(node, &inputs),
            ..Value::new(None, elements, all(|value| value.constant))
        };
        if let Some(dims) = dims.filter(|dims| dims.len() <= MOST_DIMS) {
            let numbers = numbers::computed(node, &inputs).filter(|_| sure && output == 0);
            value.set_shape(dims, sure, numbers);
        }
        Ok(value)
    }

    /// Checks the work of `node` alone. For small pictures any size passes that passes for [`LEAST_PIXELS`].
    fn alone(&mut self, node: &Node, work: f64) -> Result<(), Refusal> {
        let each = work / self.pixels.max(LEAST_PIXELS);
        self.heaviest = self.heaviest.max(each);
        if each <= MOST_OF_ONE {
            Ok(())
        } else {
            // Also where it is not a number.
            Err(Refusal::Heavy {
                node: label(node),
                work: each as i64,
            })
        }
    }

    /// Adds the elements of an output or of the scratch memory of `node`, and checks them and their sum.
    fn count(&mut self, node: &Node, elements: f64, at_load: bool) -> Result<(), Refusal> {
        let whole = |elements: f64| elements as i64;
        if at_load {
            self.constants += elements;
            let (found, limit) = if elements <= LARGEST_CONSTANT as f64 {
                (self.constants, ALL_CONSTANTS)
            } else {
                (elements, LARGEST_CONSTANT as f64)
            };
            // Not `found > limit`, which NaN would pass.
            return if found <= limit {
                Ok(())
            } else {
                Err(Refusal::Constant {
                    node: label(node),
                    elements: whole(found),
                })
            };
        }
        self.at_once += elements;
        let limit = |each: f64| (each * self.pixels).max(LARGEST_CONSTANT as f64);
        if elements <= limit(MOST_OF_A_MAP) && self.at_once <= limit(MOST_AT_ONCE) {
            Ok(())
        } else {
            Err(Refusal::Map {
                node: label(node),
                elements: whole(self.at_once),
                pixels: whole(self.pixels),
            })
        }
    }

    /// Removes `name`, which no further node reads.
    fn forget(&mut self, name: &str) {
        match self.values.get(name) {
            Some(value) if !value.at_load => {
                self.at_once = (self.at_once - value.elements).max(0.0);
            }
            _ => (),
        }
    }
}
