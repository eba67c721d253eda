mod honest;

use super::*;
use crate::onnx::{Attribute, DataType, Graph, Model, Node, Tensor};

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
fn shapes_that_nothing_bounds_are_refused() {
    let computed = of(
        vec![
            node("Exp", &["seed"], "shape"),
            node("ConstantOfShape", &["shape"], "y"),
        ],
        vec![],
    );
    assert!(matches!(computed, Err(Refusal::Unbounded { .. })));
    // By a tensor that nothing is known of.
    let unknown = of(vec![node("ConstantOfShape", &["shape"], "y")], vec![]);
    assert!(matches!(unknown, Err(Refusal::Unbounded { .. })));
}

#[test]
fn chains_of_additions_are_bounded() {
    let mut nodes = vec![node("Shape", &["picture"], "0")];
    for n in 0..40 {
        let (from, to) = (n.to_string(), (n + 1).to_string());
        nodes.push(node("Add", &[&from, &from], &to));
    }
    nodes.push(node("ConstantOfShape", &["40"], "y"));
    let found = of(nodes, vec![]);
    let refused = matches!(
        found,
        Err(Refusal::Unbounded { .. } | Refusal::Constant { .. })
    );
    assert!(refused, "{found:?}");
}

#[test]
fn unneeded_operators_and_attributes_are_refused() {
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

/// Constants that grow by being combined, from a hundred bytes in the file.
#[test]
fn small_constants_that_grow_are_refused() {
    // A column and a row, broadcast.
    let spread = of(
        vec![
            node("ConstantOfShape", &["column"], "a"),
            node("ConstantOfShape", &["row"], "b"),
            node("Add", &["a", "b"], "y"),
        ],
        vec![
            integers("column", &[65_536, 1]),
            integers("row", &[1, 65_536]),
        ],
    );
    assert!(
        matches!(spread, Err(Refusal::Constant { .. })),
        "{spread:?}"
    );
    // Twice itself, again and again.
    let mut nodes = vec![node("ConstantOfShape", &["shape"], "0")];
    for n in 0..40 {
        let (from, to) = (n.to_string(), (n + 1).to_string());
        nodes.push(node("Concat", &[&from, &from], &to));
    }
    let joined = of(nodes, vec![integers("shape", &[1024])]);
    assert!(
        matches!(joined, Err(Refusal::Constant { .. })),
        "{joined:?}"
    );
    // A list of a list.
    let tiled = of(
        vec![
            node("Tile", &["x", "n"], "a"),
            node("Tile", &["a", "n"], "y"),
        ],
        vec![integers("x", &[1, 2]), integers("n", &[1 << 22])],
    );
    assert!(matches!(tiled, Err(Refusal::Constant { .. })), "{tiled:?}");
    // A column times a row.
    let multiplied = of(
        vec![
            node("ConstantOfShape", &["column"], "a"),
            node("ConstantOfShape", &["row"], "b"),
            node("MatMul", &["a", "b"], "y"),
        ],
        vec![
            integers("column", &[65_536, 1]),
            integers("row", &[1, 65_536]),
        ],
    );
    assert!(
        matches!(multiplied, Err(Refusal::Constant { .. })),
        "{multiplied:?}"
    );
    // Many that are not too large each.
    let many = (0..9).map(|n| node("ConstantOfShape", &["shape"], &n.to_string()));
    let many = of(many.collect(), vec![integers("shape", &[1 << 24])]);
    assert!(matches!(many, Err(Refusal::Constant { .. })), "{many:?}");
    // Numbers of 32 bits.
    let mut limit = integers("limit", &[]);
    limit.dims.clear();
    limit.data_type = DataType::Int32 as i32;
    limit.int32_data = vec![i32::MAX];
    let mut start = limit.clone();
    (start.name, start.int32_data) = ("start".into(), vec![0]);
    let mut step = limit.clone();
    (step.name, step.int32_data) = ("step".into(), vec![1]);
    let range = node("Range", &["start", "limit", "step"], "y");
    let ranged = of(vec![range], vec![start, limit, step]);
    assert!(
        matches!(ranged, Err(Refusal::Constant { .. })),
        "{ranged:?}"
    );
}

/// ONNX Runtime sorts operators itself, and takes them in any order.
#[test]
fn operators_in_disorder_are_refused() {
    let found = of(
        vec![node("Relu", &["a"], "y"), node("Relu", &["x"], "a")],
        vec![],
    );
    assert!(matches!(found, Err(Refusal::Unsorted { .. })), "{found:?}");
    let found = of(
        vec![node("Relu", &["x"], "y"), node("Relu", &["x"], "y")],
        vec![],
    );
    assert_eq!(found, Err(Refusal::Twice("y".into())));
}

/// A graph with a picture of any size as its input.
fn of_picture(nodes: Vec<Node>, tensors: Vec<Tensor>) -> Result<(), Refusal> {
    let dim = || crate::onnx::Dimension { extent: None };
    let tensor_type = crate::onnx::TensorType {
        elem_type: 1,
        shape: Some(crate::onnx::Shape {
            dim: (0..4).map(|_| dim()).collect(),
        }),
    };
    let graph = Graph {
        node: nodes,
        initializer: tensors,
        input: vec![crate::onnx::ValueInfo {
            name: "picture".into(),
            r#type: Some(crate::onnx::Type {
                tensor_type: Some(tensor_type),
            }),
        }],
        ..Default::default()
    };
    scan(&Model {
        graph: Some(graph),
        ..Default::default()
    })
}

#[test]
fn maps_that_become_too_large_are_refused() {
    let mut padded = node("MaxPool", &["picture"], "y");
    padded.attribute = vec![
        Attribute::ints("kernel_shape", &[1, 1]),
        Attribute::ints("pads", &[40_000; 4]),
    ];
    let found = of_picture(vec![padded], vec![]);
    assert!(matches!(found, Err(Refusal::Map { .. })), "{found:?}");
    // All pixels with all pixels.
    let flat = integers("flat", &[1, -1, 1]);
    let turned = integers("turned", &[1, 1, -1]);
    let found = of_picture(
        vec![
            node("Reshape", &["picture", "flat"], "a"),
            node("Reshape", &["picture", "turned"], "b"),
            node("MatMul", &["a", "b"], "y"),
        ],
        vec![flat, turned],
    );
    assert!(
        matches!(found, Err(Refusal::Map { .. } | Refusal::Work { .. })),
        "{found:?}"
    );
    // Long, but not large: a window of four billion pixels at each.
    let mut slow = node("MaxPool", &["picture"], "y");
    slow.attribute = vec![
        Attribute::ints("kernel_shape", &[60_001, 60_001]),
        Attribute::ints("pads", &[30_000; 4]),
    ];
    let found = of_picture(vec![slow], vec![]);
    assert!(matches!(found, Err(Refusal::Work { .. })), "{found:?}");
}

#[test]
fn windows_larger_than_constants_are_refused() {
    let zeros = |name: &str, dims: &[i64]| {
        let elements: i64 = dims.iter().product();
        Tensor::new(
            name.into(),
            DataType::Float,
            dims,
            (0..4 * elements).map(|_| 0),
        )
    };
    let kernel = |side| zeros("kernel", &[1, 1, side, side]);
    let data = || zeros("data", &[1, 1, 4, 4]);
    for (op, side, refused) in [
        ("Conv", 4, false),
        ("Conv", 5, true),
        ("ConvTranspose", 5, false),
    ] {
        let found = of(
            vec![node(op, &["data", "kernel"], "y")],
            vec![data(), kernel(side)],
        );
        let vanishes = matches!(found, Err(Refusal::Vanishes { .. }));
        assert_eq!(vanishes, refused, "{op} {side}: {found:?}");
    }
    let mut pool = node("MaxPool", &["data"], "y");
    pool.attribute = vec![Attribute::ints("kernel_shape", &[4, 5])];
    assert!(matches!(
        of(vec![pool], vec![data()]),
        Err(Refusal::Vanishes { .. })
    ));
}
