//! Up-convolutions as matrix products in channels-last order.
//!
//! No kernel of ONNX Runtime computes a ConvTranspose in 8 bits. One of 2x2 pixels and stride 2 turns each
//! pixel into four that don't depend on its neighbours: a 1x1 convolution with four times as many channels, which
//! are then moved to their places. Moving whole rows of channels is several times as fast as
//! DepthToSpace, which moves numbers one by one (`docs/training.md`).

use super::{Attribute, DataType, Graph, Node, Tensor};

/// The graph with the ConvTranspose nodes of 2x2 pixels and stride 2 in that form; others are kept.
pub fn up_convolutions(graph: &Graph) -> Graph {
    let mut written = Graph {
        node: Vec::new(),
        ..graph.clone()
    };
    for node in &graph.node {
        match weights(graph, node) {
            Some((weights, bias)) => write(&mut written, node, weights, bias),
            None => written.node.push(node.clone()),
        }
    }
    let is_used = |name: &String| written.node.iter().any(|node| node.input.contains(name));
    let mut initializer = written.initializer.clone();
    initializer.retain(|tensor| is_used(&tensor.name));
    Graph {
        initializer,
        ..written
    }
}

/// Weights and biases of a node that can be rewritten.
fn weights<'a>(graph: &'a Graph, node: &Node) -> Option<(&'a Tensor, &'a Tensor)> {
    let [_, weights, bias] = &node.input[..] else {
        return None;
    };
    let constant = |name: &String| graph.initializer.iter().find(|t| t.name == *name);
    let (weights, bias) = (constant(weights)?, constant(bias)?);
    let known = ["kernel_shape", "strides"];
    let fits = node.op_type == "ConvTranspose"
        && node.attribute.iter().all(|a| known.contains(&&a.name[..]))
        && node.ints("strides") == [2, 2]
        && weights.dims.len() == 4
        && weights.dims[2..] == [2, 2];
    fits.then_some((weights, bias))
}

fn write(graph: &mut Graph, node: &Node, weights: &Tensor, bias: &Tensor) {
    let output = &node.output[0];
    let (inputs, outputs) = (weights.dims[0], weights.dims[1]);
    let named = |part: &str| format!("{output}.{part}");
    let matrix = matrix(&weights.floats(), outputs as usize);
    let integers = |part: &str, values: &[i64]| {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        let dims = [values.len() as i64];
        Tensor::new(named(part), DataType::Int64, &dims, bytes)
    };
    graph.initializer.extend([
        Tensor::of_floats(named("matrix"), &[4 * outputs, inputs, 1, 1], &matrix),
        Tensor::of_floats(named("bias4"), &[4 * outputs], &bias.floats().repeat(4)),
        // 0 keeps a dimension.
        integers("pairs", &[0, 0, 0, 2, 2 * outputs]),
        integers("twice", &[1, 2, 2]),
        integers("channels", &[outputs]),
    ]);
    let mut add = |op: &str, inputs: &[&str], result: &str, attribute: Vec<Attribute>| {
        graph.node.push(Node::new(op, inputs, result, attribute));
    };
    let perm = |order: &[i64]| vec![Attribute::ints("perm", order)];
    // [batch, 4 channels, height, width]
    let four = named("four");
    let kernel = vec![Attribute::ints("kernel_shape", &[1, 1])];
    add(
        "Conv",
        &[&node.input[0], &named("matrix"), &named("bias4")],
        &four,
        kernel,
    );
    // [batch, height, width, 4 channels], those of the upper two pixels first.
    let last = named("last");
    add("Transpose", &[&four], &last, perm(&[0, 2, 3, 1]));
    // [batch, height, width, 2, 2 channels]
    let pairs = named("in_pairs");
    add("Reshape", &[&last, &named("pairs")], &pairs, Vec::new());
    // [batch, height, 2, width, 2 channels]: rows of pixels.
    let rows = named("rows");
    add("Transpose", &[&pairs], &rows, perm(&[0, 1, 3, 2, 4]));
    // [batch, 2 height, 2 width, channels]
    let (shape, sides, whole) = (named("shape"), named("sides"), named("whole"));
    let up_to_width = vec![Attribute::int("end", 3)];
    add("Shape", &[&last], &shape, up_to_width);
    add("Mul", &[&shape, &named("twice")], &sides, Vec::new());
    let first = vec![Attribute::int("axis", 0)];
    add("Concat", &[&sides, &named("channels")], &whole, first);
    let pixels = named("pixels");
    add("Reshape", &[&rows, &whole], &pixels, Vec::new());
    add("Transpose", &[&pixels], output, perm(&[0, 3, 1, 2]));
}

/// \[inputs\]\[outputs\]\[2\]\[2\] as \[2\]\[2\]\[outputs\]\[inputs\].
fn matrix(weights: &[f32], outputs: usize) -> Vec<f32> {
    let inputs = weights.len() / (4 * outputs);
    let at =
        |place: usize, output: usize, input: usize| weights[(input * outputs + output) * 4 + place];
    let rows = (0..4).flat_map(|place| (0..outputs).map(move |output| (place, output)));
    rows.flat_map(|(place, output)| (0..inputs).map(move |input| at(place, output, input)))
        .collect()
}
