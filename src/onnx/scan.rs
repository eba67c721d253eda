//! Refuses models that could do harm before ONNX Runtime sees them: a model is a program that somebody else wrote.
//!
//! A segmentation network needs none of what is refused. What it could do: run without end (control flow), run
//! code of others (operators of other domains), or take all memory while it is loaded, from a file of a hundred
//! bytes (constants that are computed, sizes that nothing bounds).

use std::collections::HashMap;

use super::{Attribute, Graph, Model, Node, Tensor};

/// Operators at most; large segmentation networks have a few thousand.
const MOST_NODES: usize = 20_000;

/// Elements of a computed constant at most, which is 64 MiB of floats.
const LARGEST_CONSTANT: i64 = 1 << 24;

/// Largest length or shift, in pixels, that an operator may name.
const LARGEST_LENGTH: i64 = 1 << 16;

/// How much an operator may enlarge a picture along one axis.
const LARGEST_SCALE: f64 = 16.0;

/// How much the lengths that a shape is computed from may be multiplied in all.
const LARGEST_FACTOR: i64 = 64;

/// Operators whose output is as large as one of their inputs says, with the index of that.
const SIZED_BY_INPUT: [(&str, usize); 6] = [
    ("ConstantOfShape", 0),
    ("Expand", 1),
    ("Tile", 1),
    ("Pad", 1),
    ("OneHot", 1),
    ("Reshape", 1),
];

/// Operators that make something of nothing but what they name.
const GENERATORS: [&str; 4] = ["RandomNormal", "RandomUniform", "Range", "EyeLike"];

/// What a shape may be computed with: these never make more of it than they are given.
const SHAPE_ARITHMETIC: [&str; 20] = [
    "Shape",
    "Size",
    "Gather",
    "Concat",
    "Unsqueeze",
    "Squeeze",
    "Slice",
    "Cast",
    "Identity",
    "Reshape",
    "Sub",
    "Div",
    "Mod",
    "Floor",
    "Ceil",
    "Min",
    "Constant",
    "ConstantOfShape",
    "Add",
    "Mul",
];

/// Why a model is refused.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    #[error("it has {0} operators, and {MOST_NODES} are possible")]
    Nodes(usize),
    #[error(
        "{node} has a graph of its own (control flow), which may run without end: export the network without it"
    )]
    ControlFlow { node: String },
    #[error(
        "{node} is of the domain {domain}, whose operators are not ONNX's: export the network with standard operators"
    )]
    Domain { node: String, domain: String },
    #[error("it defines operators of its own (functions): export it with them inlined")]
    Functions,
    #[error("it holds sparse tensors, whose size nothing bounds: export it with dense ones")]
    Sparse,
    #[error(
        "the tensor {tensor} has the dimensions {dims:?}, and {bytes} bytes of data, which do not go together"
    )]
    Tensor {
        tensor: String,
        dims: Vec<i64>,
        bytes: usize,
    },
    #[error("{node} names {value}, which no picture needs: {limit} is the most")]
    Length {
        node: String,
        value: i64,
        limit: i64,
    },
    #[error("{node} enlarges by {scale}, and {LARGEST_SCALE} is the most")]
    Scale { node: String, scale: f64 },
    #[error(
        "{node} makes a constant of {elements} elements, and {LARGEST_CONSTANT} is the most: store it as an initializer"
    )]
    Constant { node: String, elements: i64 },
    #[error(
        "{node} has a size that is computed by {by}, so that nothing bounds it: export the network with constants folded"
    )]
    Unbounded { node: String, by: String },
}

/// Refuses `model`, or finds nothing wrong.
pub fn scan(model: &Model) -> Result<(), Refusal> {
    if !model.functions.is_empty() {
        return Err(Refusal::Functions);
    }
    let Some(graph) = &model.graph else {
        return Ok(());
    };
    if graph.node.len() > MOST_NODES {
        return Err(Refusal::Nodes(graph.node.len()));
    }
    if !graph.sparse_initializer.is_empty() {
        return Err(Refusal::Sparse);
    }
    graph.initializer.iter().try_for_each(tensor)?;
    let known = Known::of(graph);
    graph.node.iter().try_for_each(|node| {
        domain(node)?;
        node.attribute
            .iter()
            .try_for_each(|entry| attribute(node, entry))?;
        known.size(node)
    })
}

/// How a node is called in a message.
fn called(node: &Node) -> String {
    match node.name.is_empty() {
        true => format!("an operator {}", node.op_type),
        false => format!("the operator {} ({})", node.name, node.op_type),
    }
}

fn domain(node: &Node) -> Result<(), Refusal> {
    match node.domain.as_str() {
        "" | "ai.onnx" => Ok(()),
        other => Err(Refusal::Domain {
            node: called(node),
            domain: other.to_owned(),
        }),
    }
}

fn attribute(node: &Node, entry: &Attribute) -> Result<(), Refusal> {
    let control = matches!(
        node.op_type.as_str(),
        "If" | "Loop" | "Scan" | "SequenceMap"
    );
    if control || entry.g.is_some() || !entry.graphs.is_empty() {
        return Err(Refusal::ControlFlow { node: called(node) });
    }
    if entry.sparse_tensor.is_some() {
        return Err(Refusal::Sparse);
    }
    entry.t.iter().chain(&entry.tensors).try_for_each(tensor)?;
    // These count pixels, but for the ends of slices, where the largest number means all.
    let spatial = [
        "pads",
        "strides",
        "dilations",
        "kernel_shape",
        "output_padding",
        "output_shape",
        "blocksize",
        "shape",
        "repeats",
        "group",
    ];
    if !spatial.contains(&entry.name.as_str()) {
        return Ok(());
    }
    let values = entry.ints.iter().chain([&entry.i]);
    for &value in values {
        within(node, value, LARGEST_LENGTH)?;
    }
    Ok(())
}

fn within(node: &Node, value: i64, limit: i64) -> Result<(), Refusal> {
    match value.unsigned_abs() <= limit.unsigned_abs() {
        true => Ok(()),
        false => Err(Refusal::Length {
            node: called(node),
            value,
            limit,
        }),
    }
}

/// Checks that a tensor has the values that its dimensions promise.
fn tensor(tensor: &Tensor) -> Result<(), Refusal> {
    let listed = [
        tensor.float_data.len(),
        tensor.int32_data.len(),
        tensor.int64_data.len(),
    ];
    let listed = listed.into_iter().max().unwrap_or(0);
    let wrong = || Refusal::Tensor {
        tensor: tensor.name.clone(),
        dims: tensor.dims.clone(),
        bytes: tensor.raw_data.len().max(listed),
    };
    let elements = elements(&tensor.dims).ok_or_else(wrong)?;
    let fits = match bytes_of(tensor.data_type) {
        // A type that is not known here: every value takes half a byte at least.
        None => elements / 2 <= (tensor.raw_data.len() + 8 * listed) as u64,
        Some(_) if tensor.raw_data.is_empty() => elements <= 2 * listed as u64,
        Some(bytes) => elements.checked_mul(bytes) == Some(tensor.raw_data.len() as u64),
    };
    // Tensors of strings and of doubles in lists are no weights, and small.
    let is_other = tensor.raw_data.is_empty() && listed == 0 && elements <= 64;
    match fits || is_other {
        true => Ok(()),
        false => Err(wrong()),
    }
}

/// Bytes of a value of the data type `code` of ONNX.
fn bytes_of(code: i32) -> Option<u64> {
    match code {
        2 | 3 | 9 => Some(1),
        4 | 5 | 10 | 16 => Some(2),
        1 | 6 | 12 => Some(4),
        7 | 11 | 13 => Some(8),
        _ => None,
    }
}

/// Elements of a tensor; none where a dimension is negative or there are more than can be counted.
fn elements(dims: &[i64]) -> Option<u64> {
    dims.iter().try_fold(1_u64, |product, dim| {
        product.checked_mul(u64::try_from(*dim).ok()?)
    })
}

/// What is known of a graph before it runs.
struct Known<'a> {
    constants: HashMap<&'a str, &'a Tensor>,
    makers: HashMap<&'a str, &'a Node>,
}

impl<'a> Known<'a> {
    fn of(graph: &'a Graph) -> Self {
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
        }
    }

    /// Checks that the output of `node` is bounded.
    fn size(&self, node: &Node) -> Result<(), Refusal> {
        let op = node.op_type.as_str();
        if GENERATORS.contains(&op) && op != "EyeLike" {
            return self.generator(node);
        }
        if matches!(op, "Resize" | "Upsample") {
            return self.resize(node);
        }
        let Some((_, index)) = SIZED_BY_INPUT.iter().find(|(name, _)| *name == op) else {
            return Ok(());
        };
        match node.input.get(*index) {
            Some(shape) if !shape.is_empty() => self.shape(node, shape),
            _ => Ok(()),
        }
    }

    /// What is made of numbers alone: its size has to be there to be seen.
    fn generator(&self, node: &Node) -> Result<(), Refusal> {
        let by_attribute = self.product(node, node.ints("shape"));
        if node.op_type != "Range" {
            return by_attribute;
        }
        for input in &node.input {
            self.shape(node, input)?;
        }
        Ok(())
    }

    fn product(&self, node: &Node, dims: &[i64]) -> Result<(), Refusal> {
        let elements = dims
            .iter()
            .fold(1_i64, |product, dim| product.saturating_mul((*dim).max(1)));
        match elements <= LARGEST_CONSTANT {
            true => Ok(()),
            false => Err(Refusal::Constant {
                node: called(node),
                elements,
            }),
        }
    }

    /// Checks the enlargement of a node by its scales, or its sizes.
    fn resize(&self, node: &Node) -> Result<(), Refusal> {
        let by_attribute = node.attribute.iter();
        let by_attribute = by_attribute.filter(|entry| entry.name == "scales");
        let mut scales: Vec<f32> = by_attribute
            .flat_map(|entry| entry.floats.clone())
            .collect();
        for input in node.input.iter().skip(1) {
            match self.constants.get(input.as_str()) {
                Some(tensor) => {
                    scales.extend(tensor.floats());
                    for value in tensor.integers() {
                        within(node, value, LARGEST_LENGTH)?;
                    }
                }
                None if input.is_empty() => (),
                None => self.shape(node, input)?,
            }
        }
        match scales
            .into_iter()
            .find(|scale| f64::from(*scale) > LARGEST_SCALE || scale.is_nan())
        {
            Some(scale) => Err(Refusal::Scale {
                node: called(node),
                scale: scale.into(),
            }),
            None => Ok(()),
        }
    }

    /// Checks that the shape called `name`, which says how large the output of `node` is, is a constant of a
    /// sane size or follows from the size of the picture.
    fn shape(&self, node: &Node, name: &str) -> Result<(), Refusal> {
        if let Some(tensor) = self.constants.get(name) {
            return self.product(node, &tensor.integers());
        }
        let mut follows = Following {
            known: self,
            node,
            factor: 1,
            steps: 0,
        };
        follows.computed(name)
    }
}

/// How the values of a shape come about.
struct Following<'a> {
    known: &'a Known<'a>,
    node: &'a Node,
    /// By how much all multiplications on the way enlarge.
    factor: i64,
    steps: usize,
}

impl Following<'_> {
    fn unbounded(&self, by: &str) -> Refusal {
        Refusal::Unbounded {
            node: called(self.node),
            by: by.to_owned(),
        }
    }

    fn computed(&mut self, name: &str) -> Result<(), Refusal> {
        self.steps += 1;
        if self.steps > 1000 {
            return Err(self.unbounded("too many operators"));
        }
        if let Some(tensor) = self.known.constants.get(name) {
            for value in tensor.integers() {
                // The end of a slice that goes to the end.
                if !matches!(value, i64::MAX | i64::MIN) && value != i64::from(i32::MAX) {
                    within(self.node, value, LARGEST_LENGTH)?;
                }
            }
            return Ok(());
        }
        let Some(maker) = self.known.makers.get(name).copied() else {
            // An input of the graph, or nothing that there is.
            return Ok(());
        };
        let op = maker.op_type.as_str();
        if !SHAPE_ARITHMETIC.contains(&op) {
            return Err(self.unbounded(&called(maker)));
        }
        if matches!(op, "Shape" | "Size") {
            return Ok(());
        }
        if matches!(op, "Mul" | "Add") {
            self.multiplied(maker)?;
        }
        maker
            .input
            .iter()
            .try_for_each(|input| self.computed(input))
    }

    /// Counts how much `maker` makes of what it is given.
    fn multiplied(&mut self, maker: &Node) -> Result<(), Refusal> {
        let constants = maker
            .input
            .iter()
            .filter_map(|input| self.known.constants.get(input.as_str()));
        let values = constants.flat_map(|tensor| {
            let floats = tensor.floats().into_iter().map(|value| value.ceil() as i64);
            tensor.integers().into_iter().chain(floats)
        });
        let largest = values.map(i64::saturating_abs).max();
        let by = match (maker.op_type.as_str(), largest) {
            ("Mul", Some(value)) => value.max(1),
            // Two computed lengths: an area, or a length twice.
            ("Mul", None) => LARGEST_FACTOR,
            (_, Some(_)) => 1,
            (_, None) => 2,
        };
        self.factor = self.factor.saturating_mul(by);
        match self.factor <= LARGEST_FACTOR {
            true => Ok(()),
            false => Err(self.unbounded(&called(maker))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::DataType;
    use super::*;

    fn node(op: &str, input: &[&str], output: &str) -> Node {
        Node {
            input: input.iter().map(|name| (*name).to_owned()).collect(),
            output: vec![output.into()],
            op_type: op.into(),
            ..Default::default()
        }
    }

    fn integers(name: &str, values: &[i64]) -> Tensor {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        Tensor::new(name.into(), DataType::Int64, &[values.len() as i64], bytes)
    }

    fn of(nodes: Vec<Node>, tensors: Vec<Tensor>) -> Result<(), Refusal> {
        let graph = Graph {
            node: nodes,
            initializer: tensors,
            ..Default::default()
        };
        scan(&Model {
            graph: Some(graph),
            ..Default::default()
        })
    }

    #[test]
    fn constants_that_take_all_memory_are_refused() {
        let large = || integers("shape", &[1 << 10, 1 << 10, 1 << 10]);
        for (op, inputs) in [
            ("ConstantOfShape", vec!["shape"]),
            ("Expand", vec!["x", "shape"]),
            ("Tile", vec!["x", "shape"]),
        ] {
            let found = of(vec![node(op, &inputs, "y")], vec![large()]);
            assert!(
                matches!(
                    found,
                    Err(Refusal::Constant {
                        elements: 0x4000_0000,
                        ..
                    })
                ),
                "{op}: {found:?}"
            );
            let small = of(
                vec![node(op, &inputs, "y")],
                vec![integers("shape", &[2, 3])],
            );
            assert_eq!(small, Ok(()), "{op}");
        }
        let mut random = node("RandomNormal", &[], "y");
        random.attribute = vec![Attribute::ints("shape", &[65_536, 65_536])];
        assert!(matches!(
            of(vec![random], vec![]),
            Err(Refusal::Constant { .. })
        ));
    }

    #[test]
    fn shapes_that_follow_from_the_picture_may_be_used() {
        let half = |factor: i64| {
            of(
                vec![
                    node("Shape", &["picture"], "shape"),
                    node("Mul", &["shape", "factor"], "larger"),
                    node("Expand", &["x", "larger"], "y"),
                ],
                vec![integers("factor", &[factor])],
            )
        };
        assert_eq!(half(2), Ok(()));
        assert!(matches!(half(1000), Err(Refusal::Unbounded { .. })));
        let computed = of(
            vec![
                node("Exp", &["seed"], "shape"),
                node("ConstantOfShape", &["shape"], "y"),
            ],
            vec![],
        );
        assert!(matches!(computed, Err(Refusal::Unbounded { .. })));
    }

    #[test]
    fn chains_of_additions_are_bounded() {
        let mut nodes = vec![node("Shape", &["picture"], "0")];
        for n in 0..40 {
            let (from, to) = (n.to_string(), (n + 1).to_string());
            nodes.push(node("Add", &[&from, &from], &to));
        }
        nodes.push(node("ConstantOfShape", &["40"], "y"));
        assert!(matches!(of(nodes, vec![]), Err(Refusal::Unbounded { .. })));
    }

    #[test]
    fn what_is_not_needed_is_refused() {
        let mut looping = node("Loop", &["n", "go"], "y");
        looping.attribute = vec![Attribute {
            name: "body".into(),
            g: Some(Default::default()),
            ..Default::default()
        }];
        assert!(matches!(
            of(vec![looping], vec![]),
            Err(Refusal::ControlFlow { .. })
        ));
        let mut foreign = node("Steal", &[], "y");
        foreign.domain = "com.example".into();
        assert!(matches!(
            of(vec![foreign], vec![]),
            Err(Refusal::Domain { .. })
        ));
        let functions = Model {
            functions: vec![Default::default()],
            ..Default::default()
        };
        assert_eq!(scan(&functions), Err(Refusal::Functions));
        let mut padded = node("Conv", &["x", "w"], "y");
        padded.attribute = vec![Attribute::ints("pads", &[1, 1, 1 << 40, 1])];
        assert!(matches!(
            of(vec![padded], vec![]),
            Err(Refusal::Length { .. })
        ));
        let scales = Tensor::of_floats("s".into(), &[4], &[1.0, 1.0, 1e6, 1.0]);
        let resize = of(vec![node("Resize", &["x", "", "s"], "y")], vec![scales]);
        assert!(matches!(resize, Err(Refusal::Scale { .. })));
    }

    #[test]
    fn tensors_hold_what_their_dimensions_say() {
        let lying = |dims: &[i64]| {
            let tensor = Tensor::new("w".into(), DataType::Float, dims, [0; 16]);
            of(vec![], vec![tensor])
        };
        assert_eq!(lying(&[2, 2]), Ok(()));
        for dims in [&[2, 3][..], &[-1, 4], &[1 << 40, 1 << 40], &[0x4000_0000]] {
            assert!(
                matches!(lying(dims), Err(Refusal::Tensor { .. })),
                "{dims:?}"
            );
        }
    }
}
