//! Reads from the graph of a foreign network what no run of it can tell for sure: on which grid it
//! pools, how far it sees, and how much memory its feature maps take.

use std::collections::HashMap;

use super::reach::{Map, follow};
use super::{Attribute, Graph, Node, Tensor, scan};
use crate::contract::{Activation, Contract};

/// Farthest that an operator may see for its reach to count, in pixels.
const FARTHEST: f64 = 65_536.0;

/// What a graph does to a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Survey {
    /// Product of the strides down to the smallest feature map.
    pub stride: usize,
    /// How many pixels around a pixel can reach it, when the grid of the pooling is aligned with
    /// the picture. `None` where an operator sees the whole picture (a mean over it, attention), or
    /// one that is not known here.
    pub halo: Option<usize>,
    /// The first operator that sees the whole picture, or is not known here.
    pub global: Option<String>,
    /// Whether any operator pads its input, so that a tile's border can be felt inside its output.
    pub padded: bool,
    /// Bytes of the feature maps that are alive at one time, at most, for each input pixel.
    pub bytes_per_pixel: f64,
    /// Multiplications for each input pixel of the operator that computes longest.
    pub work_per_pixel: f64,
    /// Whether the last operator makes probabilities.
    pub activation: Option<Activation>,
}

impl Survey {
    /// Whether a contract promises nothing that the graph contradicts; else what.
    pub fn agrees_with(&self, contract: &Contract) -> Result<(), String> {
        let stride = contract.geometry.stride;
        if !stride.is_multiple_of(self.stride) {
            return Err(format!(
                "its contract promises a stride of {stride} pixels, and it pools by {}",
                self.stride
            ));
        }
        let promised = contract.activation == Activation::None;
        match self.activation {
            Some(found) if (found == Activation::None) != promised => Err(format!(
                "its contract promises {}, and its last operator makes {}",
                if promised { "probabilities" } else { "scores" },
                if promised { "scores" } else { "probabilities" },
            )),
            _ => Ok(()),
        }
    }
}

/// Surveys the graph whose picture comes in as its first input that is no initializer. `channels`:
/// of that picture.
pub fn survey(graph: &Graph, channels: usize) -> Survey {
    let constants = constants(graph);
    let mut maps: HashMap<&str, Map> = HashMap::new();
    let picture = graph
        .input
        .iter()
        .find(|input| !constants.contains_key(input.name.as_str()));
    if let Some(picture) = picture {
        let map = Map {
            scale: 1.0,
            reach: 0.0,
            bounded: true,
            channels: channels as f64,
            bytes: size_of::<f32>() as f64,
            in_pairs: false,
        };
        maps.insert(&picture.name, map);
    }
    let mut stride: f64 = 1.0;
    let mut global = None;
    for node in &graph.node {
        let inputs: Vec<Map> = node
            .input
            .iter()
            .filter_map(|name| maps.get(name.as_str()).copied())
            .collect();
        let (Some(map), Some(output)) = (follow(node, &inputs, &constants), node.output.first())
        else {
            continue;
        };
        stride = stride.max(map.scale);
        if !map.bounded && inputs.iter().all(|input| input.bounded) {
            global.get_or_insert_with(|| node.op_type.clone());
        }
        maps.insert(output, map);
    }
    let stride = stride.round().clamp(1.0, 65_536.0) as usize;
    let output = graph
        .output
        .first()
        .and_then(|value| maps.get(value.name.as_str()));
    // A `Resize` to a size that is computed when the network runs is taken for a step of a U-Net, which
    // doubles. An answer of another size than the picture shows that one was not.
    let is_whole = |map: &Map| (map.scale - 1.0).abs() < 1e-3;
    if output.is_some_and(|map| !is_whole(map)) {
        global.get_or_insert_with(|| "Resize".to_owned());
    }
    let halo = output
        .filter(|map| map.bounded && is_whole(map) && map.reach * map.scale <= FARTHEST)
        .map(|map| ((map.reach * map.scale).ceil() as usize).div_ceil(stride) * stride);
    Survey {
        stride,
        halo,
        global: global.filter(|_| halo.is_none()),
        padded: graph.node.iter().any(pads),
        bytes_per_pixel: peak(graph, &maps),
        work_per_pixel: scan::heaviest(graph),
        activation: last_activation(graph),
    }
}

/// The tensors that a graph holds by their names: initializers and what `Constant` nodes give.
fn constants(graph: &Graph) -> HashMap<&str, &Tensor> {
    let initializers = graph.initializer.iter();
    let of_nodes = graph.node.iter().filter(|node| node.op_type == "Constant");
    let of_nodes = of_nodes.filter_map(|node| {
        let tensor = node.attribute.iter().find_map(|a| a.t.as_ref())?;
        Some((node.output.first()?.as_str(), tensor))
    });
    let mut constants: HashMap<&str, &Tensor> = initializers
        .map(|tensor| (tensor.name.as_str(), tensor))
        .chain(of_nodes)
        .collect();
    // Numbers made of codes have the dimensions of the codes.
    for node in graph
        .node
        .iter()
        .filter(|n| n.op_type == "DequantizeLinear")
    {
        let codes = node.input.first().and_then(|name| constants.get(&name[..]));
        if let (Some(codes), Some(output)) = (codes.copied(), node.output.first()) {
            constants.insert(output, codes);
        }
    }
    constants
}

/// Whether `node` adds pixels around its input.
fn pads(node: &Node) -> bool {
    let same =
        |attribute: &Attribute| attribute.name == "auto_pad" && attribute.s.starts_with(b"SAME");
    node.op_type == "Pad"
        || node.ints("pads").iter().any(|pad| *pad > 0)
        || node.attribute.iter().any(same)
}

/// Most bytes a pixel that are alive at one time: each map from the node that makes it to the last
/// one that reads it.
fn peak(graph: &Graph, maps: &HashMap<&str, Map>) -> f64 {
    let mut last_use: HashMap<&str, usize> = HashMap::new();
    for (index, node) in graph.node.iter().enumerate() {
        for name in &node.input {
            last_use.insert(name, index);
        }
    }
    let bytes = |name: &str| maps.get(name).map_or(0.0, Map::bytes_per_pixel);
    let mut alive: f64 = graph.input.iter().map(|input| bytes(&input.name)).sum();
    let mut peak = alive;
    for (index, node) in graph.node.iter().enumerate() {
        let made: f64 = node.output.iter().map(|name| bytes(name)).sum();
        // Runtimes compute these into their input's memory.
        let in_place = matches!(
            node.op_type.as_str(),
            "Relu" | "Identity" | "Dropout" | "Sigmoid"
        );
        peak = peak.max(alive + if in_place { 0.0 } else { made });
        let mut done: Vec<&str> = node.input.iter().map(String::as_str).collect();
        done.sort_unstable();
        done.dedup();
        let freed: f64 = done
            .into_iter()
            .filter(|name| last_use.get(name) == Some(&index))
            .map(bytes)
            .sum();
        alive += made - freed;
    }
    peak
}

/// What the operator that makes the first output does, or the last one before it that changes values.
fn last_activation(graph: &Graph) -> Option<Activation> {
    let outputs = graph.node.iter();
    let makers: HashMap<&str, &Node> = outputs
        .flat_map(|node| node.output.iter().map(move |name| (name.as_str(), node)))
        .collect();
    let mut name = &graph.output.first()?.name;
    // As many steps as there are nodes, should a damaged graph run in a circle.
    for _ in &graph.node {
        let node = makers.get(name.as_str())?;
        match node.op_type.as_str() {
            "Softmax" | "Sigmoid" | "HardSigmoid" => return Some(Activation::None),
            op if MOVING.contains(&op) => name = node.input.first()?,
            _ => return Some(Activation::Softmax),
        }
    }
    None
}

/// Operators that hand values on as they are, or within `0..=1` do.
const MOVING: &[&str] = &[
    "Cast",
    "Clip",
    "DequantizeLinear",
    "Dropout",
    "Identity",
    "QuantizeLinear",
    "Reshape",
    "Slice",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use prost::Message;

    use super::*;
    use crate::onnx::Model;
    use crate::onnx::export::{Parameters, export};
    use crate::unet::UNet;

    fn graph(unet: &UNet) -> Graph {
        let parameters: BTreeMap<_, _> = unet
            .layers()
            .into_iter()
            .map(|layer| {
                let parameters = Parameters {
                    weight: vec![0.0; layer.shape().iter().product()],
                    bias: vec![0.0; layer.outputs],
                };
                (layer.name, parameters)
            })
            .collect();
        let contract = unet.contract("test");
        let bytes = export(unet, &parameters, &contract).unwrap();
        Model::decode(bytes.as_slice()).unwrap().graph.unwrap()
    }

    #[test]
    fn the_papers_network_is_recognised() {
        for padded in [false, true] {
            for depth in 1..5 {
                let unet = UNet {
                    channels: 1,
                    classes: 2,
                    width: 4,
                    depth,
                    padded,
                };
                let survey = survey(&graph(&unet), 1);
                assert_eq!(survey.stride, unet.geometry().stride);
                assert_eq!(survey.padded, padded);
                let padded = UNet {
                    padded: true,
                    ..unet
                };
                assert_eq!(survey.halo, Some(padded.geometry().halo));
                assert_eq!(survey.activation, Some(Activation::Softmax));
                // At least the two widest maps of the way up: the concatenated one and its
                // convolution, 3 width channels of 4 bytes.
                assert!(survey.bytes_per_pixel >= 3.0 * 4.0 * 4.0, "{survey:?}");
                assert!(survey.bytes_per_pixel < 20.0 * 4.0 * 4.0, "{survey:?}");
            }
        }
    }

    #[test]
    fn an_operator_that_sees_the_whole_picture_has_no_halo() {
        let unet = UNet {
            channels: 1,
            classes: 2,
            width: 2,
            depth: 1,
            padded: true,
        };
        let mut graph = graph(&unet);
        for op in ["InstanceNormalization", "GlobalAveragePool", "SomethingNew"] {
            graph.node[1].op_type = op.into();
            let survey = survey(&graph, 1);
            assert_eq!((survey.halo, survey.global.as_deref()), (None, Some(op)));
        }
    }

    /// A picture that is made smaller by pooling and enlarged by `scales` in a node of its own.
    #[test]
    fn an_answer_of_another_size_than_the_picture_has_no_halo() {
        let halo = |scales: [f32; 4]| {
            let node = |op: &str, input: &[&str], output: &str, attribute| Node {
                input: input.iter().map(|name| name.to_string()).collect(),
                output: vec![output.into()],
                op_type: op.into(),
                attribute,
                ..Default::default()
            };
            let ints = |name: &str| Attribute {
                name: name.into(),
                ints: vec![4, 4],
                ..Default::default()
            };
            let constant = Attribute {
                t: Some(Tensor {
                    dims: vec![4],
                    data_type: crate::onnx::DataType::Float as i32,
                    float_data: scales.into(),
                    ..Default::default()
                }),
                ..Default::default()
            };
            let value = |name: &str| crate::onnx::ValueInfo {
                name: name.into(),
                ..Default::default()
            };
            let pool = vec![ints("kernel_shape"), ints("strides")];
            let graph = Graph {
                node: vec![
                    node("MaxPool", &["x"], "small", pool),
                    node("Constant", &[], "scales", vec![constant]),
                    node("Resize", &["small", "", "scales"], "y", vec![]),
                ],
                input: vec![value("x")],
                output: vec![value("y")],
                ..Default::default()
            };
            survey(&graph, 1).halo
        };
        assert!(halo([1.0, 1.0, 4.0, 4.0]).is_some());
        assert_eq!(halo([1.0, 1.0, 2.0, 2.0]), None);
    }

    /// Maps that meet have one grid, so that a size which is computed when the network runs is known.
    #[test]
    fn a_map_that_is_enlarged_to_meet_another_keeps_its_reach() {
        let node = |op: &str, input: &[&str], output: &str, sides: Option<i64>| Node {
            input: input.iter().map(|name| name.to_string()).collect(),
            output: vec![output.into()],
            op_type: op.into(),
            attribute: ["kernel_shape", "strides"]
                .iter()
                .filter_map(|name| {
                    let attribute = Attribute {
                        name: name.to_string(),
                        ints: vec![sides?; 2],
                        ..Default::default()
                    };
                    Some(attribute)
                })
                .collect(),
            ..Default::default()
        };
        let value = |name: &str| crate::onnx::ValueInfo {
            name: name.into(),
            ..Default::default()
        };
        let graph = Graph {
            node: vec![
                node("MaxPool", &["x"], "small", Some(8)),
                node("Shape", &["x"], "size", None),
                node("Resize", &["small", "", "", "size"], "large", None),
                node("Add", &["x", "large"], "y", None),
            ],
            input: vec![value("x")],
            output: vec![value("y")],
            ..Default::default()
        };
        // A neighbour in the map of one in eight.
        assert_eq!(survey(&graph, 1).halo, Some(8));
        let mut wider = graph.clone();
        let convolution = node("AveragePool", &["small"], "wide", None);
        wider.node.insert(1, convolution);
        wider.node[1].attribute.push(Attribute {
            name: "kernel_shape".into(),
            ints: vec![3, 3],
            ..Default::default()
        });
        wider.node[3].input[0] = "wide".into();
        assert_eq!(survey(&wider, 1).halo, Some(16));
    }

    #[test]
    fn the_longer_side_of_a_kernel_counts() {
        let unet = UNet {
            channels: 1,
            classes: 2,
            width: 2,
            depth: 1,
            padded: true,
        };
        let halo = |change: fn(&mut Node)| {
            let mut graph = graph(&unet);
            let convolutions = graph.node.iter_mut().filter(|node| node.op_type == "Conv");
            convolutions.take(1).for_each(change);
            survey(&graph, 1).halo.unwrap()
        };
        fn set(node: &mut Node, name: &str, sides: [i64; 2]) {
            node.attribute.retain(|attribute| attribute.name != name);
            node.attribute.push(Attribute {
                name: name.into(),
                ints: sides.into(),
                ..Default::default()
            });
        }
        let square = halo(|_| ());
        assert!(halo(|node| set(node, "kernel_shape", [3, 9])) >= square + 3);
        assert_eq!(
            halo(|node| set(node, "kernel_shape", [3, 9])),
            halo(|node| set(node, "kernel_shape", [9, 3]))
        );
        assert!(halo(|node| set(node, "dilations", [1, 4])) >= square + 3);
    }
}
