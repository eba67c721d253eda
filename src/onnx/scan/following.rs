//! What the size of an output is computed from: a constant, or the size of the picture, by arithmetic that makes
//! little more of it.
//!
//! The sizes that [`sizes`](super::sizes) finds are those for some pictures. This one holds for all, so that a graph
//! can't be harmless for just those.

use std::cell::Cell;
use std::collections::HashMap;

use super::numbers::Numbers;
use super::rules::scales_at;
use super::value::Value;
use super::{LARGEST_FACTOR, LARGEST_LENGTH, Refusal, called, within};
use crate::onnx::{Graph, Node, Tensor};

/// Operators whose output is as large as some of their inputs say, with the index of the first and the last.
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

/// What a shape may be computed with: these never make more of it than they are given, but for those that are
/// counted.
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

/// Operators looked at for one size at most, and for all sizes of a graph.
const MOST_STEPS: usize = 1000;
const ALL_STEPS: usize = 200_000;

/// Where the tensors of a graph come from.
pub(super) struct Known<'a> {
    constants: HashMap<&'a str, &'a Tensor>,
    makers: HashMap<&'a str, &'a Node>,
    steps: Cell<usize>,
}

impl<'a> Known<'a> {
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
        Known {
            constants: initializers.chain(of_nodes).collect(),
            makers: outputs.collect(),
            steps: Cell::new(0),
        }
    }

    /// Checks that what says how large the output of `node` is follows from the size of the picture, unless it
    /// is a constant whose numbers are known.
    pub fn check(&self, node: &Node, inputs: &[Option<&Value>]) -> Result<(), Refusal> {
        let op = node.op_type.as_str();
        let Some((_, first, last)) = SIZED_BY_INPUT.iter().find(|(name, ..)| *name == op) else {
            return Ok(());
        };
        let (first, last) = match scales_at(node) {
            // Newer ones have sizes, too.
            2 => (2, 3),
            _ => (*first, *last),
        };
        for index in first..=last {
            let known = inputs.get(index).copied().flatten();
            let is_there = |value: &Value| value.constant && value.numbers.is_some();
            match node.input.get(index) {
                Some(name) if !name.is_empty() && !known.is_some_and(is_there) => {
                    let mut follows = Following {
                        known: self,
                        node,
                        steps: 0,
                    };
                    follows.computed(name)?;
                }
                _ => (),
            }
        }
        Ok(())
    }
}

impl Known<'_> {
    /// What a constant holds, where that is a few numbers.
    fn numbers(&self, name: &str) -> Option<Numbers> {
        if let Some(tensor) = self.constants.get(name) {
            return Numbers::of_tensor(tensor);
        }
        let maker = self.makers.get(name)?;
        (maker.op_type == "Constant").then(|| Numbers::of_constant(maker))?
    }
}

/// How the values of a shape come about.
struct Following<'a> {
    known: &'a Known<'a>,
    node: &'a Node,
    steps: usize,
}

impl Following<'_> {
    fn unbounded(&self, by: &str) -> Refusal {
        Refusal::Unbounded {
            node: called(self.node),
            by: by.to_owned(),
        }
    }

    /// How many times as large as a length of the picture what is computed may be.
    fn computed(&mut self, name: &str) -> Result<i64, Refusal> {
        self.steps += 1;
        self.known.steps.set(self.known.steps.get() + 1);
        if self.steps > MOST_STEPS || self.known.steps.get() > ALL_STEPS {
            return Err(self.unbounded("too many operators"));
        }
        if let Some(tensor) = self.known.constants.get(name) {
            self.constant(name, Numbers::of_tensor(tensor))?;
            return Ok(1);
        }
        let Some(maker) = self.known.makers.get(name).copied() else {
            // An input of the graph, or nothing that there is.
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
            _ => return Err(self.unbounded(&called(maker))),
        };
        let factors = inputs.iter().map(|input| self.computed(input));
        let factors = factors.collect::<Result<Vec<i64>, Refusal>>()?;
        let factor = self.multiplied(maker, &factors);
        match factor <= LARGEST_FACTOR {
            true => Ok(factor),
            false => Err(self.unbounded(&called(maker))),
        }
    }

    /// A constant may name what a picture may be long.
    fn constant(&self, name: &str, numbers: Option<Numbers>) -> Result<(), Refusal> {
        let Some(numbers) = numbers else {
            return Err(self.unbounded(&format!("the constant {name}, which is no shape")));
        };
        for value in numbers.values {
            // The end of a slice that goes to the end.
            let is_end = value.abs() >= f64::from(i32::MAX);
            if !is_end {
                within(self.node, value.ceil() as i64, LARGEST_LENGTH)?;
            }
        }
        Ok(())
    }

    /// How large what `maker` makes of inputs may be that are so many times as large as a length.
    fn multiplied(&self, maker: &Node, factors: &[i64]) -> i64 {
        let constants = maker
            .input
            .iter()
            .filter_map(|input| self.known.numbers(input));
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
