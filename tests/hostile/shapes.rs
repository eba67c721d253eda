//! Shapes that are not known, `Resize` by other means than scales and sizes, and windows.

use gstunetsegment::onnx::{self, Attribute, DataType, Extent, Node, Tensor};

use crate::arithmetic::added;
use crate::models::{Case, file, integer, integers, joined, node, with};

/// Words of the refusal of a shape that is not known, and of one that is known to be too large.
const UNKNOWN: &str = "not followed here";
const LARGE: &str = "constant of";

/// Numbers as a list `s` that is hidden: a row of a table, which the scan does not follow.
fn hidden(values: &[i64]) -> (Vec<Node>, Vec<Tensor>) {
    let nodes = vec![
        node("Reshape", &["values", "row"], "table"),
        node("Gather", &["table", "zero"], "s"),
    ];
    let tensors = vec![
        integers("values", values),
        integers("row", &[1, values.len() as i64]),
        integer("zero", 0),
    ];
    (nodes, tensors)
}

/// `op` on one pixel, `x`, and the hidden `values`, `s`.
fn of_hidden(op: &str, inputs: &[&str], values: &[i64]) -> onnx::Model {
    let (mut nodes, mut tensors) = hidden(values);
    nodes.push(node(op, inputs, "big"));
    tensors.push(Tensor::of_floats("x".into(), &[1, 1], &[1.0]));
    added(nodes, tensors)
}

/// Operators whose outputs are as large as the values of some of their inputs.
pub fn computed() -> Vec<Case> {
    let spread = [
        node("Expand", &["n", "two"], "s"),
        node("ConstantOfShape", &["s"], "big"),
    ];
    let float = Attribute::int("to", DataType::Float as i64);
    let (mut steps, mut numbers) = hidden(&[4000]);
    steps.extend([
        node("Squeeze", &["s"], "whole"),
        with(node("Cast", &["whole"], "limit"), &[float]),
        node("Range", &["start", "limit", "step"], "big"),
    ]);
    let number = |name: &str, value: f32| Tensor::of_floats(name.into(), &[], &[value]);
    numbers.extend([number("start", 0.0), number("step", 1e-5)]);
    let sides = [
        node("Shape", &["image"], "shape"),
        node("Slice", &["shape", "from", "to"], "side"),
        joined(&["side", "side"], "s"),
        node("ConstantOfShape", &["s"], "big"),
    ];
    let ends = vec![integers("from", &[3]), integers("to", &[4])];
    vec![
        (
            "a number that is spread",
            LARGE,
            added(
                spread.to_vec(),
                vec![integers("n", &[6000]), integers("two", &[2])],
            ),
        ),
        (
            "a hidden shape",
            UNKNOWN,
            of_hidden("ConstantOfShape", &["s"], &[6000; 2]),
        ),
        (
            "spread by a hidden shape",
            UNKNOWN,
            of_hidden("Expand", &["x", "s"], &[6000; 2]),
        ),
        (
            "repeated by hidden numbers",
            UNKNOWN,
            of_hidden("Tile", &["x", "s"], &[6000; 2]),
        ),
        (
            "hidden pads",
            UNKNOWN,
            of_hidden("Pad", &["x", "s"], &[0, 0, 6000, 6000]),
        ),
        ("a range of small steps", UNKNOWN, added(steps, numbers)),
        ("a picture of one size", LARGE, of_one_size(sides, ends)),
    ]
}

/// The same in a file that declares the size of the picture.
fn of_one_size(nodes: [Node; 4], tensors: Vec<Tensor>) -> onnx::Model {
    let mut model = added(nodes.to_vec(), tensors);
    let input = &mut model.graph.as_mut().unwrap().input[0];
    let kind = input.r#type.as_mut().unwrap();
    let shape = kind.tensor_type.as_mut().unwrap().shape.as_mut().unwrap();
    for (dim, length) in shape.dim.iter_mut().zip([1, 1, 8192, 8192]) {
        dim.extent = Some(Extent::Value(length));
    }
    model
}

/// Enlarged by neither scales nor sizes, or by both.
pub fn resized() -> Vec<Case> {
    let resize = |inputs: &[&str], attributes: &[Attribute]| {
        with(node("Resize", inputs, "scores"), attributes)
    };
    let sides = || Attribute::ints("axes", &[2, 3]);
    let policy = Attribute {
        name: "keep_aspect_ratio_policy".into(),
        s: "not_smaller".into(),
        r#type: 3,
        ..Default::default()
    };
    let aspect = resize(&["image", "", "", "sizes"], &[sides(), policy]);
    // Sizes that are 50 times as large as the picture, beside a region that looks as scales of 1.
    let region = vec![
        node("Shape", &["image"], "shape"),
        node("Slice", &["shape", "from", "to"], "list"),
        node("Reshape", &["list", "row"], "table"),
        node("Gather", &["table", "zero"], "small"),
        node("Mul", &["small", "times"], "sizes"),
        resize(&["image", "region", "", "sizes"], &[sides()]),
    ];
    let both = resize(&["image", "", "scales", "sizes"], &[]);
    vec![
        (
            "a side that follows from the other",
            "keep_aspect_ratio_policy not_smaller",
            file(vec![aspect], vec![integers("sizes", &[1, 6000])]),
        ),
        (
            "a region for scales",
            UNKNOWN,
            file(
                region,
                vec![
                    integers("from", &[2]),
                    integers("to", &[4]),
                    integers("row", &[1, 2]),
                    integer("zero", 0),
                    integers("times", &[50, 50]),
                    Tensor::of_floats("region".into(), &[2], &[1.0; 2]),
                ],
            ),
        ),
        (
            "scales and sizes",
            UNKNOWN,
            file(
                vec![both],
                vec![
                    Tensor::of_floats("scales".into(), &[4], &[1.0; 4]),
                    integers("sizes", &[1, 1, 60_000, 60_000]),
                ],
            ),
        ),
    ]
}

/// A kernel of one channel.
fn kernel(side: i64) -> Tensor {
    let values = vec![0.0; (side * side) as usize];
    Tensor::of_floats("kernel".into(), &[1, 1, side, side], &values)
}

fn auto_pad(value: &'static str) -> Attribute {
    Attribute {
        name: "auto_pad".into(),
        s: value.into(),
        r#type: 3,
        ..Default::default()
    }
}

/// Windows for which ONNX Runtime needs much memory.
pub fn rooms() -> Vec<Case> {
    let side = 128;
    let bytes = Tensor::new(
        "kernel".into(),
        DataType::Uint8,
        &[1, 1, side, side],
        vec![0; (side * side) as usize],
    );
    let around = [Attribute::ints("pads", &[64, 64, 63, 63])];
    let byte = Attribute::int("to", DataType::Uint8 as i64);
    let up = node("ConvTranspose", &["image", "kernel"], "scores");
    let convolution = node("ConvInteger", &["bytes", "kernel"], "scores");
    vec![
        (
            "an up-convolution of a large kernel",
            "no network of this kind needs",
            file(vec![with(up, &around)], vec![kernel(side)]),
        ),
        (
            "a convolution of bytes with a large kernel",
            "no network of this kind needs",
            file(
                vec![
                    with(node("Cast", &["image"], "bytes"), &[byte]),
                    with(convolution, &around),
                ],
                vec![bytes],
            ),
        ),
    ]
}

/// Windows with outputs much larger than their inputs.
pub fn windows() -> Vec<Case> {
    let apart = || Attribute::ints("strides", &[6000; 2]);
    let pads = |pad: i64| Attribute::ints("pads", &[pad; 4]);
    // Of one pixel in a layout that is not known.
    let moved = |op: &str, inputs: &[&str], attributes: &[Attribute]| {
        let (mut nodes, mut tensors) = hidden(&[1; 4]);
        nodes.push(node("Reshape", &["pixel", "s"], "map"));
        nodes.push(with(node(op, inputs, "big"), attributes));
        tensors.push(Tensor::of_floats("pixel".into(), &[1], &[1.0]));
        tensors.push(kernel(1));
        added(nodes, tensors)
    };
    let up = |attributes: &[Attribute], side: i64| {
        let up = with(node("ConvTranspose", &["map", "kernel"], "big"), attributes);
        let map = Tensor::of_floats("map".into(), &[1, 1, 2, 2], &[1.0; 4]);
        added(vec![up], vec![map, kernel(side)])
    };
    let large = Attribute::ints("kernel_shape", &[6000; 2]);
    let more = Attribute::ints("output_padding", &[5999; 2]);
    vec![
        (
            "a pooling of unknown sides",
            LARGE,
            moved("MaxPool", &["map"], &[large, pads(5999)]),
        ),
        (
            "a convolution of unknown sides",
            LARGE,
            moved("Conv", &["map", "kernel"], &[pads(6000)]),
        ),
        (
            "an up-convolution of unknown sides",
            LARGE,
            moved("ConvTranspose", &["map", "kernel"], &[apart(), more]),
        ),
        ("indices of unknown sides", LARGE, of_indices()),
        (
            "large steps",
            LARGE,
            up(&[auto_pad("SAME_UPPER"), apart()], 1),
        ),
        (
            "pads beside auto_pad",
            "pads beside auto_pad",
            up(&[auto_pad("VALID"), apart(), pads(1)], 2),
        ),
    ]
}

/// A pixel in a layout that is not known, taken as often as there are indices, along both axes.
fn of_indices() -> onnx::Model {
    let (mut nodes, mut tensors) = hidden(&[1; 2]);
    let whole = Attribute::int("to", DataType::Int64 as i64);
    let across = Attribute::int("axis", 1);
    nodes.extend([
        node("Reshape", &["pixel", "s"], "map"),
        node("ConstantOfShape", &["n"], "many"),
        with(node("Cast", &["many"], "indices"), &[whole]),
        node("Gather", &["map", "indices"], "rows"),
        with(node("Gather", &["rows", "indices"], "big"), &[across]),
    ]);
    tensors.push(Tensor::of_floats("pixel".into(), &[1], &[1.0]));
    tensors.push(integers("n", &[6000]));
    added(nodes, tensors)
}
