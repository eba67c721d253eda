//! Bounds for outputs whose size is computed: it must be a constant, or follow from the size of the picture by
//! arithmetic that makes it little larger.
//!
//! [`sizes`](super::sizes) finds the sizes for some pictures. This check holds for all, so that a graph can't be
//! harmless for just those.

use std::cell::Cell;
use std::collections::HashMap;

use super::numbers::Numbers;
use super::rules::scales_at;
use super::value::Value;
use super::{LARGEST_FACTOR, LARGEST_LENGTH, Refusal, label, within};
use crate::onnx::{Graph, Node, Tensor};

/// Operators whose inputs determine the size of their output, with the index of the first and the last of these.
const SIZED_BY_INPUT: [(&str, usize, usize); 10] = [
    ("AffineGrid", 1, 1),
    ("ConstantOfShape", 0, 0),
    ("Expand", 1, 1),
    ("MaxUnpool", 2, 2),
    ("OneHot", 1, 1),
    ("Pad", 1, 1),
    ("Range", 0, 2),
    ("Resize", 1, 1),
    ("Tile", 1, 1),
    ("Upsample", 1, 1),
];

/// Operators that a shape may be computed with: they never make it larger, except for those that
/// [`ShapeTracer::multiplied`] counts.
const SHAPE_ARITHMETIC: [&str; 28] = [
    "Abs",
    "Add",
    "Cast",
    "Ceil",
    "Concat",
    "Constant",
    "ConstantOfShape",
    "Div",
    "Equal",
    "Expand",
    "Flatten",
    "Floor",
    "Gather",
    "Identity",
    "Max",
    "Min",
    "Mod",
    "Mul",
    "Neg",
    "Reshape",
    "Round",
    "Shape",
    "Size",
    "Slice",
    "Squeeze",
    "Sub",
    "Transpose",
    "Unsqueeze",
];

/// Largest number of operators that are visited for one size, and for all sizes of a graph.
const MOST_STEPS: usize = 1000;
const ALL_STEPS: usize = 200_000;

/// The constants of a graph, and the nodes that make its other tensors.
pub(super) struct TensorSources<'a> {
    constants: HashMap<&'a str, &'a Tensor>,
    makers: HashMap<&'a str, &'a Node>,
    steps: Cell<usize>,
}

impl<'a> TensorSources<'a> {
    pub fn of(graph: &'a Graph) -> Self {
        let of_nodes = graph.node.iter().filter(|node| node.op_type == "Constant");
        let of_nodes = of_nodes.filter_map(|node| {
            let tensor = node.attribute.iter().find_map(|entry| entry.t.as_ref())?;
            Some((node.output.first()?.as_str(), tensor))
        });
        let initializers = graph.initializer.iter();
        let initializers = initializers.map(|tensor| (tensor.name.as_str(), tensor));
        let outputs = graph.node.iter();
        let outputs =
            outputs.flat_map(|node| node.output.iter().map(move |name| (name.as_str(), node)));
        TensorSources {
            constants: initializers.chain(of_nodes).collect(),
            makers: outputs.collect(),
            steps: Cell::new(0),
        }
    }

    /// Checks that the inputs which determine the size of `node`'s output follow from the size of the picture, unless
    /// they are constants whose numbers are known.
    pub fn check(&self, node: &Node, inputs: &[Option<&Value>]) -> Result<(), Refusal> {
        let op = node.op_type.as_str();
        let Some((_, first, last)) = SIZED_BY_INPUT.iter().find(|(name, ..)| *name == op) else {
            return Ok(());
        };
        let (first, last) = match scales_at(node) {
            // Newer versions have sizes, too.
            2 => (2, 3),
            _ => (*first, *last),
        };
        for index in first..=last {
            let known = inputs.get(index).copied().flatten();
            let is_there = |value: &Value| value.constant && value.numbers.is_some();
            match node.input.get(index) {
                Some(name) if !name.is_empty() && !known.is_some_and(is_there) => {
                    let mut tracer = ShapeTracer {
                        sources: self,
                        node,
                        steps: 0,
                    };
                    tracer.factor(name)?;
                }
                _ => (),
            }
        }
        Ok(())
    }
}

impl TensorSources<'_> {
    /// The numbers of a constant, if they are few.
    fn numbers(&self, name: &str) -> Option<Numbers> {
        if let Some(tensor) = self.constants.get(name) {
            return Numbers::of_tensor(tensor);
        }
        let maker = self.makers.get(name)?;
        (maker.op_type == "Constant").then(|| Numbers::of_constant(maker))?
    }
}

/// Traces the values of a shape back to their sources.
struct ShapeTracer<'a> {
    sources: &'a TensorSources<'a>,
    node: &'a Node,
    steps: usize,
}

impl ShapeTracer<'_> {
    fn unbounded(&self, by: &str) -> Refusal {
        Refusal::Unbounded {
            node: label(self.node),
            by: by.to_owned(),
        }
    }

    /// How many times as large as a length of the picture the values of the tensor `name` may be.
    fn factor(&mut self, name: &str) -> Result<i64, Refusal> {
        self.steps += 1;
        self.sources.steps.set(self.sources.steps.get() + 1);
        if self.steps > MOST_STEPS || self.sources.steps.get() > ALL_STEPS {
            return Err(self.unbounded("too many operators"));
        }
        if let Some(tensor) = self.sources.constants.get(name) {
            self.constant(name, Numbers::of_tensor(tensor))?;
            return Ok(1);
        }
        let Some(maker) = self.sources.makers.get(name).copied() else {
            // An input of the graph, or nothing at all.
            return Ok(1);
        };
        let inputs = match maker.op_type.as_str() {
            "Shape" | "Size" | "Equal" => return Ok(1),
            "Constant" => {
                self.constant(name, Numbers::of_constant(maker))?;
                return Ok(1);
            }
            // Either of both.
            "Where" => maker.input.get(1..).unwrap_or(&[]),
            op if SHAPE_ARITHMETIC.contains(&op) => &maker.input,
            _ => return Err(self.unbounded(&label(maker))),
        };
        let factors = inputs.iter().map(|input| self.factor(input));
        let factors = factors.collect::<Result<Vec<i64>, Refusal>>()?;
        let factor = self.multiplied(maker, &factors);
        if factor > LARGEST_FACTOR {
            return Err(self.unbounded(&label(maker)));
        }
        Ok(factor)
    }

    /// Checks that a constant holds possible lengths of a picture.
    fn constant(&self, name: &str, numbers: Option<Numbers>) -> Result<(), Refusal> {
        let Some(numbers) = numbers else {
            return Err(self.unbounded(&format!("the constant {name}, which is no shape")));
        };
        for value in numbers.values {
            // A slice that extends to the end.
            let is_end = value.abs() >= f64::from(i32::MAX);
            if !is_end {
                within(self.node, value.ceil() as i64, LARGEST_LENGTH)?;
            }
        }
        Ok(())
    }

    /// How many times as large as a length the output of `maker` may be, where its inputs may be `factors` times as
    /// large.
    fn multiplied(&self, maker: &Node, factors: &[i64]) -> i64 {
        let constants = maker
            .input
            .iter()
            .filter_map(|input| self.sources.numbers(input));
        let sizes = constants.flat_map(|numbers| numbers.values).map(f64::abs);
        let largest = sizes.clone().reduce(f64::max);
        let least = sizes.reduce(f64::min);
        let most = factors.iter().copied().max().unwrap_or(1);
        match (maker.op_type.as_str(), largest, least) {
            ("Mul", Some(value), _) => most.saturating_mul(value.max(1.0).ceil() as i64),
            // Two computed lengths: an area, or a length twice.
            ("Mul", None, _) => most.saturating_mul(LARGEST_FACTOR),
            ("Div", _, Some(value)) => most.saturating_mul((1.0 / value).max(1.0).ceil() as i64),
            ("Add" | "Sub", None, _) => factors.iter().fold(0, |sum, f| sum.saturating_add(*f)),
            _ => most,
        }
    }
}
