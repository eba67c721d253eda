//! Writes the nodes of a network whose layers are in 8 bits.

use std::collections::{HashMap, HashSet};

use super::Range;
use super::choice::{MOVING, followed_by_relu, is_output, maps, origin};
use crate::onnx::saturation::LARGEST_WEIGHT;
use crate::onnx::{Attribute, DataType, Graph, Node, Tensor};

/// A graph while it is written.
pub(super) struct Writer<'a> {
    graph: &'a Graph,
    maps: HashSet<&'a str>,
    relu: HashSet<&'a str>,
    constants: HashMap<&'a str, &'a Tensor>,
    ranges: &'a HashMap<String, Range>,
    codes: HashMap<String, Code>,
    nodes: Vec<Node>,
    initializers: Vec<Tensor>,
}

/// A map in 8 bits.
#[derive(Clone)]
struct Code {
    /// Names of the codes, of the step between two of them, and of the code of 0.
    names: [String; 3],
    range: Range,
    /// Whether a DequantizeLinear of the codes exists.
    decoded: bool,
}

impl<'a> Writer<'a> {
    /// A writer for `graph`; `ranges`: those of all its measured maps.
    pub fn new(graph: &'a Graph, ranges: &'a HashMap<String, Range>) -> Self {
        Writer {
            graph,
            maps: maps(graph),
            relu: followed_by_relu(graph),
            constants: graph.initializer.iter().map(|t| (&t.name[..], t)).collect(),
            ranges,
            codes: HashMap::new(),
            nodes: Vec::new(),
            initializers: Vec::new(),
        }
    }

    /// The written graph, with the constants that it still needs.
    pub fn written(self) -> Graph {
        let Writer {
            graph,
            nodes,
            mut initializers,
            ..
        } = self;
        let used: HashSet<&str> = nodes
            .iter()
            .flat_map(|n| &n.input)
            .map(|s| &s[..])
            .collect();
        let kept = graph
            .initializer
            .iter()
            .filter(|t| used.contains(&t.name[..]));
        initializers.extend(kept.cloned());
        Graph {
            node: nodes,
            initializer: initializers,
            ..graph.clone()
        }
    }

    /// Writes the replacement of `node`, in 8 bits if it is one of `layers`.
    pub fn write(&mut self, node: &'a Node, layers: &HashSet<&str>) {
        let input = &node.input[0][..];
        let output = &node.output[0][..];
        let is_coded = |name: &String| self.codes.contains_key(name);
        match &node.op_type[..] {
            "Conv" if layers.contains(&node.name[..]) && is_output(self.graph, node) => {
                self.scores(node);
            }
            "Conv" if layers.contains(&node.name[..]) => {
                self.convolution(node);
                if !self.relu.contains(output) {
                    self.code(output, None);
                }
            }
            "Relu" if self.nodes.last().is_some_and(is_in_8_bits) => {
                self.nodes.push(node.clone());
                self.code(output, None);
            }
            op if MOVING.contains(&op) && is_coded(&node.input[0]) => {
                let code = self.codes[input].clone();
                self.with_decoded(node);
                self.code(output, Some(code));
            }
            "Concat" if self.maps.contains(input) && node.input.iter().any(is_coded) => {
                for name in &node.input {
                    self.code(name, None);
                }
                self.with_decoded(node);
                self.code(output, None);
            }
            // The codes have the shape of the map, which then need not be dequantized.
            "Shape" if is_coded(&node.input[0]) => {
                let codes = self.codes[input].names[0].clone();
                self.nodes.push(Node {
                    input: vec![codes],
                    ..node.clone()
                });
            }
            _ => self.with_decoded(node),
        }
    }

    /// Writes `node`, with dequantized inputs where they are coded.
    fn with_decoded(&mut self, node: &Node) {
        let input = node.input.iter().map(|name| self.decoded(name)).collect();
        self.nodes.push(Node {
            input,
            ..node.clone()
        });
    }

    /// Writes a convolution of codes with 8-bit weights.
    fn convolution(&mut self, node: &Node) {
        self.code(&node.input[0], None);
        let mut inputs = vec![self.decoded(&node.input[0])];
        let step = self.codes[&node.input[0]].range.step();
        let (weights, steps) = self.weights(&node.input[1]);
        inputs.push(weights);
        if let Some(bias) = node.input.get(2) {
            inputs.push(self.bias(bias, step, &steps));
        }
        self.nodes.push(Node {
            input: inputs,
            ..node.clone()
        });
    }

    /// Writes a 1x1 convolution of codes with an output in floating point: a matrix product of integers for each
    /// pixel, scaled afterwards.
    fn scores(&mut self, node: &Node) {
        self.code(&node.input[0], None);
        let Code {
            names: [codes, _, zero],
            range,
            ..
        } = self.codes[&node.input[0]].clone();
        let output = &node.output[0];
        let weights = self.constants[&node.input[1][..]];
        let bias = node.input.get(2).map(|name| self.constants[&name[..]]);
        let (rows, steps) = in_8_bits(weights);
        let (outputs, inputs) = (steps.len(), rows.len() / steps.len());
        let columns = (0..inputs).flat_map(|input| {
            let rows = &rows;
            (0..outputs).map(move |output| rows[output * inputs + input])
        });
        let named = |part: &str| format!("{output}.{part}");
        let dims = [inputs as i64, outputs as i64];
        let units: Vec<f32> = steps.iter().map(|step| step * range.step()).collect();
        self.initializers.extend([
            Tensor::new(named("columns"), DataType::Int8, &dims, columns),
            Tensor::of_floats(named("units"), &[outputs as i64, 1, 1], &units),
        ]);
        let mut add = |op: &str, inputs: &[&str], result: &str, attribute: Vec<Attribute>| {
            self.nodes.push(Node::new(op, inputs, result, attribute));
        };
        let perm = |order: &[i64]| vec![Attribute::ints("perm", order)];
        let float = vec![Attribute::int("to", DataType::Float as i64)];
        let [last, sums, numbers, planes, products] =
            ["last", "sums", "numbers", "planes", "products"].map(named);
        add("Transpose", &[&codes], &last, perm(&[0, 2, 3, 1]));
        let factors = [&last[..], &named("columns"), &zero];
        add("MatMulInteger", &factors, &sums, Vec::new());
        add("Cast", &[&sums], &numbers, float);
        add("Transpose", &[&numbers], &planes, perm(&[0, 3, 1, 2]));
        match bias {
            Some(_) => {
                add("Mul", &[&planes, &named("units")], &products, Vec::new());
                add("Add", &[&products, &named("bias")], output, Vec::new());
            }
            None => add("Mul", &[&planes, &named("units")], output, Vec::new()),
        }
        if let Some(bias) = bias {
            let dims = [outputs as i64, 1, 1];
            let bias = Tensor::of_floats(named("bias"), &dims, &bias.floats());
            self.initializers.push(bias);
        }
    }

    /// Writes 8-bit weights; returns the name of the dequantized weights, and their steps.
    fn weights(&mut self, name: &str) -> (String, Vec<f32>) {
        let tensor = self.constants[name];
        let (codes, steps) = in_8_bits(tensor);
        let codes = Tensor::new(format!("{name}.int8"), DataType::Int8, &tensor.dims, codes);
        (self.constant(name, codes, &steps), steps)
    }

    /// Writes a bias in units of the sum that it is added to.
    fn bias(&mut self, name: &str, step: f32, weight_steps: &[f32]) -> String {
        let tensor = self.constants[name];
        let steps: Vec<f32> = weight_steps.iter().map(|weight| weight * step).collect();
        let values = tensor.floats();
        let codes = values.iter().zip(&steps);
        let codes = codes.flat_map(|(bias, step)| ((bias / step).round() as i32).to_le_bytes());
        let codes = Tensor::new(
            format!("{name}.int32"),
            DataType::Int32,
            &tensor.dims,
            codes,
        );
        self.constant(name, codes, &steps)
    }

    /// Writes the dequantization of weights or biases; returns the name of the result.
    fn constant(&mut self, name: &str, codes: Tensor, steps: &[f32]) -> String {
        let step = Tensor::of_floats(format!("{name}.step"), &[steps.len() as i64], steps);
        let output = format!("{name}.decoded");
        self.nodes.push(Node {
            input: vec![codes.name.clone(), step.name.clone()],
            output: vec![output.clone()],
            name: format!("DequantizeLinear/{name}"),
            op_type: "DequantizeLinear".into(),
            attribute: vec![Attribute::int("axis", 0)],
            ..Default::default()
        });
        self.initializers.extend([codes, step]);
        output
    }

    /// Quantizes the map `name`, unless it is coded; with the step and the zero of `like`, if given.
    fn code(&mut self, name: &str, like: Option<Code>) {
        if self.codes.contains_key(name) {
            return;
        }
        let codes = format!("{name}.codes");
        let code = match like {
            Some(Code {
                names: [_, step, zero],
                range,
                ..
            }) => Code {
                names: [codes, step, zero],
                range,
                decoded: false,
            },
            None => {
                let range = self.ranges[origin(self.graph, name)];
                let step = Tensor::of_floats(format!("{name}.step"), &[], &[range.step()]);
                let zero =
                    Tensor::new(format!("{name}.zero"), DataType::Uint8, &[], [range.zero()]);
                let names = [codes, step.name.clone(), zero.name.clone()];
                self.initializers.extend([step, zero]);
                Code {
                    names,
                    range,
                    decoded: false,
                }
            }
        };
        let [codes, step, zero] = code.names.clone();
        self.nodes.push(Node {
            input: vec![name.into(), step, zero],
            output: vec![codes],
            name: format!("QuantizeLinear/{name}"),
            op_type: "QuantizeLinear".into(),
            attribute: Vec::new(),
            ..Default::default()
        });
        self.codes.insert(name.into(), code);
    }

    /// The name of the dequantized `name`; `name` itself if it is not coded.
    fn decoded(&mut self, name: &str) -> String {
        let Some(code) = self.codes.get_mut(name) else {
            return name.into();
        };
        let output = format!("{name}.decoded");
        if !code.decoded {
            code.decoded = true;
            self.nodes.push(Node {
                input: code.names.to_vec(),
                output: vec![output.clone()],
                name: format!("DequantizeLinear/{name}"),
                op_type: "DequantizeLinear".into(),
                attribute: Vec::new(),
                ..Default::default()
            });
        }
        output
    }
}

/// Weights as -64 to 64, with a step for each output channel.
fn in_8_bits(weights: &Tensor) -> (Vec<u8>, Vec<f32>) {
    let values = weights.floats();
    let each = values.len() / weights.dims[0].max(1) as usize;
    let channels = values.chunks(each.max(1));
    let most = f32::from(LARGEST_WEIGHT);
    let largest = |values: &[f32]| values.iter().fold(0.0_f32, |most, w| most.max(w.abs()));
    let steps = channels
        .clone()
        .map(|channel| match largest(channel) / most {
            0.0 => 1.0,
            step => step,
        });
    let steps: Vec<f32> = steps.collect();
    let codes = channels.zip(&steps).flat_map(|(channel, step)| {
        let code = move |w: &f32| (w / step).round().clamp(-most, most) as i8 as u8;
        channel.iter().map(code)
    });
    (codes.collect(), steps)
}

/// Whether [`Writer::convolution`] wrote this node.
fn is_in_8_bits(node: &Node) -> bool {
    node.op_type == "Conv"
        && node.input[0].ends_with(".decoded")
        && node.input[1].ends_with(".decoded")
}
