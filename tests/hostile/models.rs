//! Hand-made models that do harm, each with its name and words of its refusal.

use std::sync::OnceLock;

use gstunetsegment::onnx::{self, Attribute, DataType, Graph, Node, OperatorSet, Tensor};
use prost::Message;

use crate::common::{self, SMALL};
use crate::{arithmetic, shapes};

/// A name, words of the refusal, and the model.
pub type Case = (&'static str, &'static str, onnx::Model);

/// All of them.
pub fn hostile() -> Vec<Case> {
    [
        forms(),
        operators(),
        constants(),
        unfollowed(),
        divisions(),
        nothing(),
        arithmetic::computed(),
        shapes::computed(),
        shapes::resized(),
        shapes::rooms(),
        shapes::windows(),
    ]
    .concat()
}

pub fn node(op: &str, input: &[&str], output: &str) -> Node {
    Node {
        input: input.iter().map(|name| (*name).to_owned()).collect(),
        output: vec![output.into()],
        op_type: op.into(),
        ..Default::default()
    }
}

pub fn with(mut node: Node, attributes: &[Attribute]) -> Node {
    node.attribute.extend_from_slice(attributes);
    node
}

/// Lists in a row.
pub fn joined(input: &[&str], output: &str) -> Node {
    with(node("Concat", input, output), &[Attribute::int("axis", 0)])
}

/// A file of one graph, with the input `image` and the output `scores` of a network of this project.
pub fn file(nodes: Vec<Node>, initializer: Vec<Tensor>) -> onnx::Model {
    static OURS: OnceLock<Graph> = OnceLock::new();
    let ours = OURS.get_or_init(|| {
        let model = onnx::Model::decode(common::model(&SMALL).as_slice());
        model.unwrap().graph.unwrap()
    });
    onnx::Model {
        ir_version: 8,
        opset_import: vec![OperatorSet {
            domain: String::new(),
            version: 18,
        }],
        graph: Some(Graph {
            node: nodes,
            initializer,
            input: ours.input.clone(),
            output: ours.output.clone(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

pub fn integers(name: &str, values: &[i64]) -> Tensor {
    let bytes = values.iter().flat_map(|value| value.to_le_bytes());
    Tensor::new(name.into(), DataType::Int64, &[values.len() as i64], bytes)
}

/// A scalar.
pub fn integer(name: &str, value: i64) -> Tensor {
    Tensor::new(name.into(), DataType::Int64, &[], value.to_le_bytes())
}

/// Forms that no file of a network has.
fn forms() -> Vec<Case> {
    let mut functions = file(vec![], vec![]);
    functions.functions.push(Default::default());
    let mut training = file(vec![], vec![]);
    training.training_info.push(Default::default());
    let mut sparse = file(vec![], vec![]);
    let graph = sparse.graph.as_mut().unwrap();
    graph.sparse_initializer.push(Default::default());
    let sparse_lists = Attribute {
        name: "value".into(),
        sparse_tensors: vec![Default::default()],
        ..Default::default()
    };
    let sparse_lists = with(node("Relu", &["image"], "scores"), &[sparse_lists]);
    let mut outside = file(vec![], vec![integers("a", &[1])]);
    outside.graph.as_mut().unwrap().initializer[0].data_location = 1;
    let lying = Tensor::new("a".into(), DataType::Float, &[1 << 20, 1 << 20], [0; 4]);
    let two_values = Attribute {
        t: Some(integers("", &[1])),
        ..Attribute::ints("value_ints", &[1 << 29])
    };
    let two_values = with(node("Constant", &[], "a"), &[two_values]);
    let two_shapes = [[1, 1], [1 << 16, 1 << 16]].map(|shape| Attribute::ints("shape", &shape));
    let two_shapes = with(node("RandomNormal", &[], "scores"), &two_shapes);
    let mut parts = node("Split", &["image"], "scores");
    parts.output = (0..80_000).map(|part| part.to_string()).collect();
    vec![
        ("functions", "functions", functions),
        ("training", "training_info", training),
        ("sparse", "sparse", sparse),
        ("sparse lists", "sparse", file(vec![sparse_lists], vec![])),
        ("outside", "another file", outside),
        ("lying", "do not match", file(vec![], vec![lying])),
        (
            "a constant of two values",
            "a form that is not followed",
            file(
                vec![two_values, node("ConstantOfShape", &["a"], "scores")],
                vec![],
            ),
        ),
        (
            "an attribute twice",
            "the attribute shape twice",
            file(vec![two_shapes], vec![]),
        ),
        ("many outputs", "80000 outputs", file(vec![parts], vec![])),
        (
            "disorder",
            "sort the operators",
            file(
                vec![
                    node("Relu", &["later"], "scores"),
                    node("Relu", &["image"], "later"),
                ],
                vec![],
            ),
        ),
    ]
}

/// Operators that no network of this kind needs.
fn operators() -> Vec<Case> {
    let body = |op: &str, name: &str| {
        let body = Attribute {
            name: name.into(),
            g: Some(Default::default()),
            ..Default::default()
        };
        file(vec![with(node(op, &["image"], "scores"), &[body])], vec![])
    };
    let mut of_others = node("Steal", &["image"], "scores");
    of_others.domain = "com.example".into();
    let alone = |op: &str, inputs: &[&str]| {
        let nodes = vec![node(op, inputs, "scores")];
        file(nodes, vec![integers("a", &[1])])
    };
    let groups = with(
        node("ConvTranspose", &["image", "a"], "scores"),
        &[Attribute::int("group", 0)],
    );
    let pads = with(
        node("Conv", &["image", "a"], "scores"),
        &[Attribute::ints("pads", &[1 << 40; 4])],
    );
    let kernel = Tensor::of_floats("a".into(), &[1, 1, 1, 1], &[0.0]);
    vec![
        ("endless", "control flow", body("Loop", "body")),
        ("branches", "control flow", body("If", "then_branch")),
        ("others", "com.example", file(vec![of_others], vec![])),
        (
            "deformed",
            "no size limit",
            alone("DeformConv", &["image", "a", "image"]),
        ),
        (
            "attention",
            "no size limit",
            alone("Attention", &["image", "image", "image"]),
        ),
        ("boxes", "no size limit", alone("RoiAlign", &["image"])),
        (
            "no groups",
            "has 0 groups",
            file(vec![groups], vec![kernel]),
        ),
        ("pads", "no picture needs", file(vec![pads], vec![])),
    ]
}

/// A constant list of `length` times `value`.
fn list(length: usize, value: i64, output: &str) -> Node {
    let values = Attribute::ints("value_ints", &vec![value; length]);
    with(node("Constant", &[], output), &[values])
}

/// Constants that take all memory while a model is loaded.
fn constants() -> Vec<Case> {
    vec![
        (
            "three gibibytes",
            "constant of",
            file(
                vec![node("ConstantOfShape", &["a"], "scores")],
                vec![integers("a", &[3 << 28])],
            ),
        ),
        (
            "long lists",
            "constant of",
            file(
                vec![
                    list(50_000, 1, "a"),
                    list(50_000, 1, "b"),
                    node("Unsqueeze", &["a", "axis"], "column"),
                    node("Add", &["column", "b"], "scores"),
                ],
                vec![integers("axis", &[1])],
            ),
        ),
        (
            "spread",
            "constant of",
            file(
                vec![
                    node("ConstantOfShape", &["a"], "column"),
                    node("ConstantOfShape", &["b"], "row"),
                    node("Add", &["column", "row"], "scores"),
                ],
                vec![integers("a", &[65_536, 1]), integers("b", &[1, 65_536])],
            ),
        ),
        (
            "a sum over nothing",
            "constant of",
            file(
                vec![
                    node("ConstantOfShape", &["a"], "row"),
                    with(
                        node("ReduceSum", &["row"], "all of it"),
                        &[Attribute::int("noop_with_empty_axes", 1)],
                    ),
                    node("Unsqueeze", &["all of it", "axis"], "column"),
                    node("Add", &["column", "row"], "scores"),
                ],
                vec![integers("a", &[20_000]), integers("axis", &[1])],
            ),
        ),
    ]
}

/// Sizes without a known limit for some picture.
fn unfollowed() -> Vec<Case> {
    vec![
        (
            "a list that shapes are multiplied by",
            "nothing bounds it",
            file(
                vec![
                    node("Shape", &["image"], "b"),
                    list(4, 10_000, "a"),
                    node("Mul", &["b", "a"], "c"),
                    node("ConstantOfShape", &["c"], "scores"),
                ],
                vec![],
            ),
        ),
        (
            "computed",
            "nothing bounds it",
            file(
                vec![
                    node("Exp", &["a"], "b"),
                    node("ConstantOfShape", &["b"], "scores"),
                ],
                vec![integers("a", &[30])],
            ),
        ),
        (
            "multiplied",
            "nothing bounds it",
            file(
                vec![
                    node("Shape", &["image"], "b"),
                    node("Mul", &["b", "a"], "c"),
                    node("ConstantOfShape", &["c"], "scores"),
                ],
                vec![integers("a", &[10_000])],
            ),
        ),
    ]
}

/// Divisions that crash the process.
fn divisions() -> Vec<Case> {
    let least = || integers("least", &[i64::MIN]);
    let minus = || integers("minus", &[-1]);
    let cast = with(
        node("Cast", &["image"], "whole"),
        &[Attribute::int("to", DataType::Int64 as i64)],
    );
    vec![
        (
            "least by -1",
            "divides integers",
            file(
                vec![
                    node("Shape", &["image"], "b"),
                    node("Div", &["least", "minus"], "c"),
                    node("Add", &["b", "c"], "d"),
                    node("ConstantOfShape", &["d"], "scores"),
                ],
                vec![least(), minus()],
            ),
        ),
        (
            "least by what comes of the picture",
            "divides integers",
            file(
                vec![cast, node("Mod", &["least", "whole"], "d")],
                vec![least()],
            ),
        ),
        (
            "the least, computed",
            "divides integers",
            file(
                vec![
                    node("Neg", &["least"], "a"),
                    node("Div", &["a", "minus"], "c"),
                    node("ConstantOfShape", &["c"], "scores"),
                ],
                vec![least(), minus()],
            ),
        ),
    ]
}

/// Tensors without elements, which crash some operators.
fn nothing() -> Vec<Case> {
    let between = |start: i64, end: i64| {
        file(
            vec![
                node("Slice", &["image", "a", "b", "axis"], "d"),
                node("InstanceNormalization", &["d", "c", "c"], "scores"),
            ],
            vec![
                integers("a", &[start]),
                integers("b", &[end]),
                integers("axis", &[3]),
            ],
        )
    };
    vec![
        ("a slice before nothing", "no elements", between(-1, 0)),
        ("a slice of nothing", "no elements", between(0, 0)),
    ]
}
