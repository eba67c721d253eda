use super::values::IR_OF_CONSTANTS;
use super::*;
use crate::onnx::{Attribute, Shape, TensorType, Type};
use crate::winograd::{Convolution, Floats};

fn named(name: &str) -> ValueInfo {
    let tensor_type = TensorType {
        elem_type: DataType::Float as i32,
        shape: Some(Shape { dim: Vec::new() }),
    };
    ValueInfo {
        name: name.into(),
        r#type: Some(Type {
            tensor_type: Some(tensor_type),
        }),
    }
}

/// A convolution from `x` to `y` without a bias, with these weights and attributes.
fn convolution(dims: [i64; 4], attributes: Vec<Attribute>) -> Model {
    let count = dims.iter().product::<i64>() as usize;
    Model {
        graph: Some(Graph {
            node: vec![Node::new("Conv", &["x", "w"], "y", attributes)],
            initializer: vec![Tensor::of_floats("w".into(), &dims, &vec![0.5; count])],
            input: vec![named("x")],
            output: vec![named("y")],
            ..Graph::default()
        }),
        ..Model::default()
    }
}

fn own(model: &Model) -> Option<Model> {
    with_winograd(model, &|| false)
}

fn graph(model: &mut Model) -> &mut Graph {
    model.graph.as_mut().unwrap()
}

#[test]
fn a_convolution_and_its_relu_become_one_operator() {
    let mut model = convolution([16, 8, 3, 3], vec![Attribute::ints("pads", &[1; 4])]);
    graph(&mut model)
        .node
        .push(Node::new("Relu", &["y"], "z", Vec::new()));
    graph(&mut model).output = vec![named("z")];
    let own = self::own(&model).unwrap().graph.unwrap();
    let [node] = own.node.as_slice() else {
        panic!("{:?}", own.node);
    };
    assert_eq!(
        (node.op_type.as_str(), node.domain.as_str()),
        (OPERATOR, DOMAIN)
    );
    assert_eq!(
        [PADDING, RECTIFIED].map(|name| node.integer(name, -1)),
        [1, 1]
    );
    assert_eq!(node.output, ["z"]);
    assert_eq!(node.integer(OUTPUTS, -1), 16);
    assert_eq!(node.input, ["x", "w"]);
}

#[test]
fn a_relu_stays_if_others_need_what_it_reads() {
    let mut model = convolution([16, 8, 3, 3], Vec::new());
    graph(&mut model)
        .node
        .push(Node::new("Relu", &["y"], "z", Vec::new()));
    graph(&mut model).output.push(named("z"));
    let own = self::own(&model).unwrap().graph.unwrap();
    let kinds: Vec<&str> = own.node.iter().map(|node| node.op_type.as_str()).collect();
    assert_eq!(kinds, [OPERATOR, "Relu"]);
    assert_eq!(own.node[0].integer(RECTIFIED, -1), 0);
}

#[test]
fn transformed_weights_take_no_more_than_their_limit() {
    let mut model = convolution([24, 9, 3, 3], Vec::new());
    let each = Convolution::<Floats>::weight_bytes([9, 24]);
    let graph = graph(&mut model);
    let most = MOST_BYTES / each;
    for number in 0..most {
        let [weights, output] = ["w", "y"].map(|name| format!("{name}{number}"));
        let node = Node::new("Conv", &["x", &weights], &output, Vec::new());
        graph.node.push(node);
        // These share the bytes.
        let name = weights;
        let tensor = graph.initializer[0].clone();
        graph.initializer.push(Tensor { name, ..tensor });
    }
    assert_eq!(replaced(&model), most);
}

#[test]
fn weights_are_transformed_once() {
    let mut model = convolution([16, 8, 3, 3], Vec::new());
    let again = Node::new("Conv", &["x", "w"], "z", Vec::new());
    graph(&mut model).node.push(again);
    assert_eq!(replaced(&model), 1);
}

/// How many convolutions are replaced.
fn replaced(model: &Model) -> usize {
    let graph = own(model).and_then(|own| own.graph).unwrap();
    let own = graph.node.iter().filter(|node| node.op_type == OPERATOR);
    own.count()
}

#[test]
fn other_convolutions_stay() {
    let ints = |name, values: &[i64]| vec![Attribute::ints(name, values)];
    for (dims, attributes) in [
        ([16, 8, 1, 1], Vec::new()),
        ([16, 1, 3, 3], Vec::new()),
        ([2, 16, 3, 3], Vec::new()),
        ([16, 8, 3, 3], ints("strides", &[2, 2])),
        ([16, 8, 3, 3], ints("dilations", &[1, 2])),
        ([16, 8, 3, 3], ints("pads", &[1, 1, 0, 0])),
        ([16, 8, 3, 3], ints("pads", &[2; 4])),
        ([16, 8, 3, 3], ints("pads", &[1])),
        ([16, 8, 3, 3], ints("kernel_shape", &[5, 5])),
        ([16, 8, 3, 3], vec![Attribute::int("group", 2)]),
    ] {
        let model = convolution(dims, attributes.clone());
        assert_eq!(own(&model), None, "{dims:?} {attributes:?}");
    }
    let plain = convolution([16, 8, 3, 3], Vec::new());
    assert!(own(&plain).is_some());
    let mut overridable = plain.clone();
    graph(&mut overridable).input.push(named("w"));
    assert!(own(&overridable).is_some());
    overridable.ir_version = IR_OF_CONSTANTS;
    assert_eq!(own(&overridable), None);
    let mut undeclared = plain.clone();
    graph(&mut undeclared).output[0].r#type = None;
    assert_eq!(own(&undeclared), None);
    let mut biased = plain.clone();
    graph(&mut biased).node[0].input.push("computed".into());
    assert_eq!(own(&biased), None);
}

/// A tensor of one byte.
fn byte(name: &str, data_type: DataType, value: u8) -> Tensor {
    Tensor::new(name.into(), data_type, &[], [value])
}

/// A convolution of codes, with a bias and a ReLU, from `x` to `y`.
fn coded() -> Model {
    let node = |op: &str, inputs: &[&str], output: &str| Node::new(op, inputs, output, Vec::new());
    let mut first = [node("DequantizeLinear", &["w", "w.steps"], "w.decoded")];
    first[0].attribute.push(Attribute::int("axis", 0));
    let mut bias = first[0].clone();
    bias.input = vec!["b".into(), "b.steps".into()];
    bias.output = vec!["b.decoded".into()];
    let nodes = [
        node("DequantizeLinear", &["x", "x.step", "x.zero"], "x.decoded"),
        first[0].clone(),
        bias,
        node("Conv", &["x.decoded", "w.decoded", "b.decoded"], "c"),
        node("Relu", &["c"], "r"),
        node("QuantizeLinear", &["r", "y.step", "y.zero"], "y"),
    ];
    let steps: Vec<f32> = (1..=16).map(|step| step as f32).collect();
    let tensors = [
        Tensor::of_floats("x.step".into(), &[], &[0.5]),
        byte("x.zero", DataType::Uint8, 7),
        Tensor::new("w".into(), DataType::Int8, &[16, 8, 3, 3], vec![1; 16 * 72]),
        Tensor::of_floats("w.steps".into(), &[16], &steps),
        Tensor::new("b".into(), DataType::Int32, &[16], [2, 0, 0, 0].repeat(16)),
        Tensor::of_floats("b.steps".into(), &[16], &steps),
        Tensor::of_floats("y.step".into(), &[], &[0.25]),
        byte("y.zero", DataType::Uint8, 9),
    ];
    Model {
        graph: Some(Graph {
            node: nodes.into(),
            initializer: tensors.into(),
            input: vec![named("x")],
            output: vec![named("y")],
            ..Graph::default()
        }),
        ..Model::default()
    }
}

#[test]
fn a_convolution_between_codes_becomes_one_operator() {
    let own = self::own(&coded()).unwrap().graph.unwrap();
    let [first, node, last] = own.node.as_slice() else {
        panic!("{:?}", own.node);
    };
    assert_eq!(
        (&first.input, &last.output),
        (&vec!["x".into()], &vec!["y".into()])
    );
    assert_eq!(
        (&first.output[0], &node.output[0]),
        (&node.input[0], &last.input[0])
    );
    let order = [first, last].map(|node| node.ints("perm"));
    assert_eq!(order, [[0, 2, 3, 1], [0, 3, 1, 2]]);
    assert_eq!(
        (node.op_type.as_str(), node.domain.as_str()),
        (OPERATOR_OF_CODES, DOMAIN)
    );
    let zeros = CODINGS.map(|[_, zero]| zero);
    let numbers = [OUTPUTS, PADDING, RECTIFIED, zeros[0], zeros[1]];
    assert_eq!(numbers.map(|name| node.integer(name, -1)), [16, 0, 1, 7, 9]);
    let step = |[name, _]: [&str; 2]| {
        let found = node
            .attribute
            .iter()
            .find(|attribute| attribute.name == name);
        found.unwrap().f
    };
    assert_eq!(CODINGS.map(step), [0.5, 0.25]);
    // The operator's own, and nothing that it does not read.
    let names: Vec<&String> = own.initializer.iter().map(|tensor| &tensor.name).collect();
    assert_eq!(names, node.input[1..].iter().collect::<Vec<_>>());
    let floats = |at: usize| own.initializer[at].floats();
    assert_eq!(floats(1)[..3], [1.0, 2.0, 3.0]);
    assert_eq!(floats(2)[..3], [2.0, 4.0, 6.0]);
}

#[test]
fn conversions_stay_if_others_need_them() {
    let mut model = coded();
    let other = Node::new("Relu", &["x.decoded"], "z", Vec::new());
    graph(&mut model).node.push(other);
    graph(&mut model).output.push(named("z"));
    let own = self::own(&model).unwrap().graph.unwrap();
    let kinds = own.node.iter().map(|node| node.op_type.as_str());
    assert_eq!(kinds.filter(|kind| *kind == "DequantizeLinear").count(), 1);
}

#[test]
fn other_convolutions_of_codes_stay() {
    type Change = fn(&mut Graph);
    let changes: [(&str, Change); 11] = [
        ("x.zero", |graph| {
            graph.initializer[1].raw_data = vec![0, 0].into()
        }),
        ("signed", |graph| {
            graph.initializer[1].data_type = DataType::Int8 as i32
        }),
        ("no zero", |graph| graph.node[0].input.truncate(2)),
        ("step 0", |graph| {
            graph.initializer[0] = Tensor::of_floats("x.step".into(), &[], &[0.0])
        }),
        ("too large", |graph| {
            graph.initializer[6] = Tensor::of_floats("y.step".into(), &[], &[1e-38]);
            graph.initializer[0] = Tensor::of_floats("x.step".into(), &[], &[1e38]);
        }),
        ("NaN", |graph| {
            graph.initializer[6] = Tensor::of_floats("y.step".into(), &[], &[f32::NAN]);
        }),
        ("axis", |graph| graph.node[1].attribute.clear()),
        ("blocks", |graph| {
            graph.node[1]
                .attribute
                .push(Attribute::int("block_size", 2))
        }),
        ("w.zero", |graph| {
            graph.initializer.push(byte("w.zero", DataType::Int8, 1));
            graph.node[1].input.push("w.zero".into());
        }),
        ("two readers", |graph| {
            graph.node.push(Node::new("Relu", &["c"], "z", Vec::new()));
            graph.output.push(named("z"));
        }),
        ("floats", |graph| {
            graph.node.pop();
            graph.output = vec![named("r")];
        }),
    ];
    assert!(own(&coded()).is_some());
    for (what, change) in changes {
        let mut model = coded();
        change(graph(&mut model));
        assert_eq!(own(&model), None, "{what}");
    }
}

/// Without a value they would be inputs that nobody gives.
#[test]
fn constants_that_are_inputs_stay() {
    let mut model = coded();
    let unread = Tensor::of_floats("unread".into(), &[], &[1.0]);
    graph(&mut model).initializer.push(unread);
    for name in ["unread", "w.steps", "b"] {
        graph(&mut model).input.push(named(name));
    }
    let own = self::own(&model).unwrap().graph.unwrap();
    let has = |name: &str| own.initializer.iter().any(|tensor| tensor.name == name);
    assert_eq!(
        ["unread", "w.steps", "b", "b.steps"].map(has),
        [true, true, true, false]
    );
}

#[test]
fn new_names_are_free() {
    let mut model = coded();
    let taken = ["y.steps", "y.biases", "y.pixels", "y.made", "y.made_"];
    for name in taken {
        let node = Node::new("Relu", &["x.decoded"], name, Vec::new());
        graph(&mut model).node.push(node);
    }
    let own = self::own(&model).unwrap().graph.unwrap();
    let made = own.node.iter().flat_map(|node| &node.output);
    let constants = own.initializer.iter().map(|tensor| &tensor.name);
    let all: Vec<&String> = made.chain(constants).collect();
    let different: HashSet<&&String> = all.iter().collect();
    assert_eq!(different.len(), all.len(), "{all:?}");
}

#[test]
fn nothing_is_replaced_once_it_is_not_wanted() {
    assert_eq!(with_winograd(&coded(), &|| true), None);
}
