//! Real networks that must be accepted: shape arithmetic as exporters write it.

use prost::Message;

use super::*;

fn with(mut node: Node, attributes: &[Attribute]) -> Node {
    node.attribute.extend_from_slice(attributes);
    node
}

/// A pooling to half the size.
fn halved(input: &str, output: &str, up: bool) -> Node {
    let attributes = [
        Attribute::ints("kernel_shape", &[2, 2]),
        Attribute::ints("strides", &[2, 2]),
        Attribute::int("ceil_mode", up.into()),
    ];
    with(node("MaxPool", &[input], output), &attributes)
}

fn cast(input: &str, output: &str, to: DataType) -> Node {
    let to = Attribute::int("to", to as i64);
    with(node("Cast", &[input], output), &[to])
}

fn joined(inputs: &[&str], output: &str) -> Node {
    with(node("Concat", inputs, output), &[Attribute::int("axis", 0)])
}

#[test]
fn shapes_that_follow_from_the_picture_may_be_used() {
    let times = |factor: i64| {
        of_picture(
            vec![
                node("Shape", &["picture"], "shape"),
                node("Mul", &["shape", "factor"], "larger"),
                node("Expand", &["x", "larger"], "y"),
            ],
            vec![integers("factor", &[factor])],
        )
    };
    assert_eq!(times(2), Ok(()));
    assert!(matches!(times(1000), Err(Refusal::Unbounded { .. })));
}

/// The models of this project, and those of other programs in the folder UNETSEGMENT_MODELS.
#[test]
fn real_models_are_accepted() {
    let ours = concat!(env!("CARGO_MANIFEST_DIR"), "/models");
    let others = std::env::var("UNETSEGMENT_MODELS").ok();
    for folder in [Some(ours.to_owned()), others].into_iter().flatten() {
        let files = std::fs::read_dir(&folder).unwrap();
        let files = files.map(|entry| entry.unwrap().path());
        let mut models = 0;
        for file in files.filter(|file| file.extension().is_some_and(|end| end == "onnx")) {
            let bytes = bytes::Bytes::from(std::fs::read(&file).unwrap());
            let start = std::time::Instant::now();
            let found = scan(&Model::decode(bytes).unwrap());
            let took = start.elapsed();
            assert_eq!(found, Ok(()), "{}", file.display());
            assert!(took.as_millis() < 500, "{}: {took:?}", file.display());
            models += 1;
        }
        assert!(models > 0, "no models in {folder}");
    }
}

/// Shape arithmetic as PyTorch writes it: `interpolate` to the size of another map, `expand`, and `pad` with lists
/// that start empty.
#[test]
fn arithmetic_of_exporters_is_accepted() {
    let value = |value: i64| Attribute {
        name: "value".into(),
        t: Some(integers("", &[value])),
        ..Default::default()
    };
    let found = of_picture(
        vec![
            halved("picture", "small", false),
            node("Shape", &["picture"], "size"),
            node("Slice", &["size", "from", "to"], "sides"),
            node("Shape", &["small"], "of small"),
            node("Slice", &["of small", "zero", "from"], "front"),
            joined(&["front", "sides"], "sizes"),
            node("Resize", &["small", "", "", "sizes"], "large"),
            // expand
            with(node("ConstantOfShape", &["rank"], "ones"), &[value(1)]),
            node("Equal", &["size", "minus"], "is open"),
            node("Where", &["is open", "ones", "size"], "shape"),
            node("Expand", &["large", "shape"], "wide"),
            // pad by 1 on all sides
            with(node("ConstantOfShape", &["two"], "zeros"), &[value(0)]),
            joined(&["pads", "zeros"], "listed"),
            node("Reshape", &["listed", "pairs"], "table"),
            node(
                "Slice",
                &["table", "minus", "least", "zero", "minus"],
                "reversed",
            ),
            node("Transpose", &["reversed"], "turned"),
            node("Reshape", &["turned", "minus"], "flat"),
            node("Pad", &["wide", "flat"], "y"),
        ],
        vec![
            integers("from", &[2]),
            integers("to", &[4]),
            integers("zero", &[0]),
            integers("rank", &[4]),
            integers("minus", &[-1]),
            integers("least", &[i64::MIN]),
            integers("two", &[4]),
            integers("pads", &[1, 1, 1, 1]),
            integers("pairs", &[-1, 2]),
        ],
    );
    assert_eq!(found, Ok(()));
}

/// As exporters pad a decoder to the size of its encoder: half of the difference on one side, the rest on
/// the other, for both axes.
#[test]
fn differences_of_lengths_are_followed() {
    let mut nodes = vec![
        halved("picture", "map", false),
        node("Shape", &["picture"], "large"),
        node("Shape", &["map"], "small"),
    ];
    for axis in ["0", "1"] {
        let name = |of: &str| format!("{of}{axis}");
        let mut add = |op: &str, inputs: [&str; 2], output: &str| {
            nodes.push(node(op, &inputs, output));
        };
        add("Gather", ["large", axis], &name("long"));
        add("Gather", ["small", axis], &name("short"));
        add("Sub", [&name("long"), &name("short")], &name("missing"));
        add("Div", [&name("missing"), "two"], &name("before"));
        add("Sub", [&name("missing"), &name("before")], &name("after"));
    }
    nodes.push(node(
        "Concat",
        &["before0", "before1", "after0", "after1"],
        "pads",
    ));
    nodes.push(node("Pad", &["map", "pads"], "y"));
    let constants =
        || [("0", 0), ("1", 1), ("two", 2)].map(|(name, value)| integers(name, &[value]));
    assert_eq!(of_picture(nodes, constants().to_vec()), Ok(()));
}

/// `pad` of PyTorch, which reverses the order of its pads and swaps rows and columns.
#[test]
fn pads_in_another_order_are_followed() {
    let swapped = Attribute::ints("perm", &[1, 0]);
    let zeros = Attribute {
        name: "value".into(),
        t: Some(integers("", &[0])),
        ..Default::default()
    };
    let found = of_picture(
        vec![
            node("Shape", &["pads"], "count"),
            node("Sub", &["all", "count"], "missing"),
            with(node("ConstantOfShape", &["missing"], "zeros"), &[zeros]),
            joined(&["pads", "zeros"], "listed"),
            node("Reshape", &["listed", "pairs"], "table"),
            node(
                "Slice",
                &["table", "minus", "least", "zero", "minus"],
                "reversed",
            ),
            with(node("Transpose", &["reversed"], "turned"), &[swapped]),
            node("Reshape", &["turned", "minus"], "flat"),
            cast("flat", "whole", DataType::Int64),
            node("Pad", &["picture", "whole"], "y"),
        ],
        vec![
            integers("pads", &[1, 1, 1, 1]),
            integers("all", &[8]),
            integers("pairs", &[-1, 2]),
            integers("minus", &[-1]),
            integers("least", &[-i64::MAX]),
            integers("zero", &[0]),
        ],
    );
    assert_eq!(found, Ok(()));
}

/// Half of a length, rounded down as PyTorch divides integers that may be negative.
#[test]
fn halves_that_are_rounded_down_are_followed() {
    let found = of_picture(
        vec![
            halved("picture", "small", false),
            node("Shape", &["picture"], "large"),
            node("Gather", &["large", "three"], "width"),
            node("Div", &["width", "two"], "half"),
            node("Less", &["width", "zero"], "one is less"),
            node("Less", &["two", "zero"], "other is less"),
            node("Xor", &["one is less", "other is less"], "negative"),
            node("Mul", &["half", "two"], "whole"),
            node("Sub", &["width", "whole"], "rest"),
            node("Equal", &["rest", "zero"], "no rest"),
            node("Not", &["no rest"], "some rest"),
            node("And", &["negative", "some rest"], "too much"),
            node("Sub", &["half", "one"], "less"),
            node("Where", &["too much", "less", "half"], "rounded"),
            joined(&["one", "one", "rounded", "rounded"], "sizes"),
            node("Resize", &["small", "", "", "sizes"], "y"),
        ],
        ["zero", "one", "two", "three"]
            .iter()
            .zip(0..)
            .map(|(name, value)| integers(name, &[value]))
            .collect(),
    );
    assert_eq!(found, Ok(()));
}

/// Sizes as TensorFlow and newer versions of PyTorch compute them, the latter also in floating point.
#[test]
fn sizes_that_are_computed_are_followed() {
    let from = |start: i64, end: i64| [Attribute::int("start", start), Attribute::int("end", end)];
    let found = of_picture(
        vec![
            halved("picture", "small", true),
            with(node("Shape", &["small"], "front"), &from(0, 2)),
            with(node("Shape", &["small"], "sides"), &from(2, 4)),
            cast("sides", "short", DataType::Int32),
            cast("short", "double", DataType::Double),
            node("Mul", &["double", "twice"], "larger"),
            node("Floor", &["larger"], "floor"),
            cast("floor", "whole", DataType::Int64),
            joined(&["front", "whole"], "sizes"),
            node("Resize", &["small", "", "", "sizes"], "y"),
        ],
        vec![Tensor::new(
            "twice".into(),
            DataType::Double,
            &[],
            2.0_f64.to_le_bytes(),
        )],
    );
    assert_eq!(found, Ok(()));
}

/// Operators of older versions, with lists as attributes, and `Resize` without a region.
#[test]
fn older_operators_are_followed() {
    let list = |name: &str, value: i64| Attribute::ints(name, &[value]);
    let scales = Tensor::of_floats("scales".into(), &[4], &[1.0, 1.0, 2.0, 2.0]);
    let own = Attribute {
        name: "scales".into(),
        floats: vec![1.0, 1.0, 2.0, 2.0],
        ..Default::default()
    };
    let cut = [list("starts", 2), list("ends", 4), list("axes", 0)];
    let found = of_picture(
        vec![
            halved("picture", "small", false),
            node("Upsample", &["small", "scales"], "a"),
            with(node("Upsample", &["small"], "b"), &[own]),
            node("Resize", &["small", "scales"], "c"),
            node("Shape", &["c"], "shape"),
            with(node("Slice", &["shape"], "sides"), &cut),
            node("ConstantOfShape", &["sides"], "y"),
        ],
        vec![scales],
    );
    assert_eq!(found, Ok(()));
}

/// Parts of different sizes, which are followed separately, so that a map enlarged to one of them is known.
#[test]
fn parts_are_followed() {
    let mut split = node("Split", &["many", "lengths"], "a");
    split.output.push("b".into());
    split.attribute.push(Attribute::int("axis", 1));
    let found = of_picture(
        vec![
            node("Conv", &["picture", "kernel"], "many"),
            split,
            halved("b", "small", false),
            node("Shape", &["small"], "shape"),
            node("Slice", &["shape", "zero", "two"], "front"),
            node("Shape", &["a"], "other shape"),
            node("Slice", &["other shape", "two", "four"], "sides"),
            joined(&["front", "sides"], "sizes"),
            node("Resize", &["small", "", "", "sizes"], "y"),
        ],
        vec![
            Tensor::of_floats("kernel".into(), &[8, 3, 1, 1], &[0.0; 24]),
            integers("lengths", &[5, 3]),
            integers("zero", &[0]),
            integers("two", &[2]),
            integers("four", &[4]),
        ],
    );
    assert_eq!(found, Ok(()));
}
