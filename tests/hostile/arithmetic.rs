//! Shapes that come out small if they are computed by other rules than ONNX's: all of them are `[6000, 6000]`.

use gstunetsegment::onnx::{self, Attribute, DataType, Node, Tensor};

use crate::models::{Case, file, integer, integers, joined, node, with};

/// Words of the refusal of a shape that is not known, and of one that is known to be too large.
const UNKNOWN: &str = "not followed here";
const LARGE: &str = "constant of";

/// A model that adds the largest number of `big` to the picture, so that it is computed while the model is loaded.
pub fn added(mut nodes: Vec<Node>, mut tensors: Vec<Tensor>) -> onnx::Model {
    let alone = Attribute::int("keepdims", 0);
    nodes.extend([
        with(node("ReduceMax", &["big"], "largest"), &[alone]),
        node("Reshape", &["largest", "one pixel"], "most"),
        node("Add", &["image", "most"], "scores"),
    ]);
    tensors.push(integers("one pixel", &[1; 4]));
    file(nodes, tensors)
}

/// A constant of the shape `s`.
fn of_shape(mut nodes: Vec<Node>, tensors: Vec<Tensor>) -> onnx::Model {
    nodes.push(node("ConstantOfShape", &["s"], "big"));
    added(nodes, tensors)
}

fn cast(input: &str, output: &str, to: i64) -> Node {
    with(node("Cast", &[input], output), &[Attribute::int("to", to)])
}

/// Twice `value`, as a list.
fn twice(name: &str, value: i64) -> Tensor {
    integers(name, &[value; 2])
}

/// A constant of the shape `s`: 6000 times a list, `off`, of ones that seem to be zeros.
fn magnified(mut nodes: Vec<Node>, mut tensors: Vec<Tensor>) -> onnx::Model {
    nodes.push(node("Mul", &["off", "times"], "s"));
    tensors.push(twice("times", 6000));
    of_shape(nodes, tensors)
}

pub fn computed() -> Vec<Case> {
    [
        casts(),
        integers_that_wrap(),
        choices(),
        fractions(),
        slices(),
        tables(),
        lengths(),
    ]
    .concat()
}

/// Casts of numbers that have more bits.
fn casts() -> Vec<Case> {
    const UINT16: i64 = 4;
    let (int32, int64) = (DataType::Int32 as i64, DataType::Int64 as i64);
    vec![
        (
            "a cast to 16 bits",
            UNKNOWN,
            of_shape(
                vec![cast("v", "short", UINT16), cast("short", "s", int64)],
                vec![twice("v", -59_536)],
            ),
        ),
        (
            "a cast to 32 bits",
            UNKNOWN,
            of_shape(
                vec![cast("v", "short", int32), cast("short", "s", int64)],
                vec![twice("v", 6000 - (1 << 32))],
            ),
        ),
    ]
}

/// Integers that are negative, or overflow.
fn integers_that_wrap() -> Vec<Case> {
    vec![
        (
            "a remainder of a negative number",
            UNKNOWN,
            of_shape(
                vec![
                    node("Mod", &["one", "by"], "rest"),
                    node("Neg", &["rest"], "less"),
                    node("Add", &["less", "one"], "s"),
                ],
                vec![twice("one", 1), twice("by", -6000)],
            ),
        ),
        (
            "a sum that wraps",
            UNKNOWN,
            of_shape(
                vec![node("Add", &["a", "b"], "s")],
                vec![twice("a", i64::MAX), twice("b", i64::MIN + 6001)],
            ),
        ),
    ]
}

/// One of several numbers.
fn choices() -> Vec<Case> {
    vec![
        (
            "the largest of three",
            UNKNOWN,
            of_shape(
                vec![node("Max", &["a", "a", "b"], "s")],
                vec![twice("a", 1), twice("b", 6000)],
            ),
        ),
        (
            "a choice that is not known",
            UNKNOWN,
            of_shape(
                vec![
                    node("Where", &["which", "a", "b"], "c"),
                    node("Sub", &["all", "c"], "s"),
                ],
                vec![
                    Tensor::new("which".into(), DataType::Bool, &[2], [0; 2]),
                    twice("a", 6000),
                    twice("b", 1),
                    twice("all", 6001),
                ],
            ),
        ),
    ]
}

/// Fractions that ONNX Runtime rounds in its own way.
fn fractions() -> Vec<Case> {
    let (float, int64) = (DataType::Float as i64, DataType::Int64 as i64);
    vec![
        (
            "a float of more digits than there are",
            LARGE,
            magnified(
                vec![
                    cast("v", "f", float),
                    cast("f", "w", int64),
                    node("Sub", &["v", "w"], "off"),
                ],
                vec![twice("v", (1 << 24) + 1)],
            ),
        ),
        (
            "a half",
            LARGE,
            magnified(
                vec![
                    node("Round", &["half"], "f"),
                    cast("f", "w", int64),
                    node("Sub", &["three", "w"], "off"),
                ],
                vec![
                    Tensor::of_floats("half".into(), &[2], &[2.5; 2]),
                    twice("three", 3),
                ],
            ),
        ),
    ]
}

/// Parts of lists.
fn slices() -> Vec<Case> {
    vec![(
        "a slice that goes back",
        LARGE,
        of_shape(
            vec![
                node("Slice", &["v", "one", "far", "zero", "back"], "turned"),
                node("Slice", &["turned", "zero", "one"], "side"),
                joined(&["side", "side"], "s"),
            ],
            vec![
                integers("v", &[1, 6000, 1]),
                integers("one", &[1]),
                integers("far", &[-1000]),
                integers("zero", &[0]),
                integers("back", &[-1]),
            ],
        ),
    )]
}

/// Lists that become tables, and lists again.
fn tables() -> Vec<Case> {
    let first = Attribute::ints("perm", &[0, 1]);
    let beside = Attribute::int("axis", 1);
    let mut column = integers("column", &[1, 6000]);
    column.dims = vec![2, 1];
    vec![
        (
            "rows that stay rows",
            LARGE,
            of_shape(
                vec![
                    node("Reshape", &["v", "square"], "table"),
                    with(node("Transpose", &["table"], "same"), &[first]),
                    node("Reshape", &["same", "flat"], "list"),
                    node("Slice", &["list", "from", "to"], "s"),
                ],
                vec![
                    integers("v", &[1, 1, 6000, 6000]),
                    integers("square", &[2, 2]),
                    integers("flat", &[-1]),
                    integers("from", &[2]),
                    integers("to", &[4]),
                ],
            ),
        ),
        (
            "columns side by side",
            UNKNOWN,
            of_shape(
                vec![
                    with(node("Concat", &["column", "column"], "table"), &[beside]),
                    node("Reshape", &["table", "flat"], "list"),
                    node("Slice", &["list", "from", "to"], "s"),
                ],
                vec![
                    column,
                    integers("flat", &[-1]),
                    integers("from", &[2]),
                    integers("to", &[4]),
                ],
            ),
        ),
    ]
}

/// Dimensions of tensors that are computed from constants.
fn lengths() -> Vec<Case> {
    let pool = [
        Attribute::ints("kernel_shape", &[1, 1]),
        Attribute::ints("strides", &[3, 3]),
    ];
    let number = Attribute {
        name: "value_int".into(),
        ..Attribute::int("", 7)
    };
    vec![
        (
            "a last step that is not taken",
            LARGE,
            magnified(
                vec![
                    with(node("MaxPool", &["map"], "pooled"), &pool),
                    node("Shape", &["pooled"], "shape"),
                    node("Slice", &["shape", "from", "to"], "sides"),
                    node("Sub", &["three", "sides"], "off"),
                ],
                vec![
                    Tensor::of_floats("map".into(), &[1, 1, 5, 5], &[0.0; 25]),
                    integers("from", &[2]),
                    integers("to", &[4]),
                    twice("three", 3),
                ],
            ),
        ),
        (
            "a number that is no list",
            LARGE,
            magnified(
                vec![
                    with(node("Constant", &[], "number"), &[number]),
                    node("Shape", &["number"], "shape"),
                    node("Shape", &["shape"], "rank"),
                    node("Sub", &["one", "rank"], "one off"),
                    joined(&["one off", "one off"], "off"),
                ],
                vec![integers("one", &[1])],
            ),
        ),
        (
            "a row that is taken out",
            UNKNOWN,
            of_shape(
                vec![
                    node("Reshape", &["v", "row"], "table"),
                    node("Gather", &["table", "zero"], "s"),
                ],
                vec![
                    twice("v", 6000),
                    integers("row", &[1, 2]),
                    integer("zero", 0),
                ],
            ),
        ),
    ]
}
