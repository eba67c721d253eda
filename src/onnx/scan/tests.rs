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
