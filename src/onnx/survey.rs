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
    /// Whether it computes with integers, of which a runtime keeps more copies than of feature maps in floating point.
    pub integers: bool,
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
    let Way {
        maps,
        stride,
        mut global,
    } = Way::through(graph, channels, &constants);
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
        bytes_per_pixel: peak(graph, &maps, &constants),
        integers: graph.node.iter().any(|node| {
            let op = node.op_type.as_str();
            op.starts_with("QLinear")
                || ["QuantizeLinear", "ConvInteger", "MatMulInteger"].contains(&op)
        }),
        work_per_pixel: scan::heaviest(graph),
        activation: last_activation(graph),
    }
}

/// What becomes of the picture on its way through a graph.
struct Way<'a> {
    /// The maps that are made of it, by their names.
    maps: HashMap<&'a str, Map>,
    /// The coarsest grid among them.
    stride: f64,
    /// The first operator that sees all of what comes in, or is not known.
    global: Option<String>,
}

impl<'a> Way<'a> {
    /// Follows the picture from node to node.
    fn through(graph: &'a Graph, channels: usize, constants: &HashMap<&str, &Tensor>) -> Self {
        let mut way = Way {
            maps: HashMap::new(),
            stride: 1.0,
            global: None,
        };
        let picture = graph
            .input
            .iter()
            .find(|input| !constants.contains_key(input.name.as_str()));
        if let Some(picture) = picture {
            way.maps.insert(&picture.name, Map::of_picture(channels));
        }
        for node in &graph.node {
            let inputs: Vec<Map> = node
                .input
                .iter()
                .filter_map(|name| way.maps.get(name.as_str()).copied())
                .collect();
            let (Some(map), Some(output)) = (follow(node, &inputs, constants), node.output.first())
            else {
                continue;
            };
            way.stride = way.stride.max(map.scale);
            if !map.bounded && inputs.iter().all(|input| input.bounded) {
                way.global.get_or_insert_with(|| node.op_type.clone());
            }
            way.maps.insert(output, map);
        }
        way
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
fn peak(graph: &Graph, maps: &HashMap<&str, Map>, constants: &HashMap<&str, &Tensor>) -> f64 {
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
        let more = if in_place { 0.0 } else { made };
        peak = peak.max(alive + more + room(node, maps, constants));
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

/// Bytes a pixel that ONNX Runtime computes `node` in, besides its maps.
fn room(node: &Node, maps: &HashMap<&str, Map>, constants: &HashMap<&str, &Tensor>) -> f64 {
    let bytes_of_a_number = match node.op_type.as_str() {
        "ConvTranspose" => 4.0,
        "ConvInteger" => 1.0,
        _ => return 0.0,
    };
    let map = node.input.first().and_then(|name| maps.get(name.as_str()));
    let weights = node.input.get(1);
    let weights = weights.and_then(|name| constants.get(name.as_str()));
    let (Some(map), Some(weights)) = (map, weights) else {
        return 0.0;
    };
    // At each pixel the kernels of all channels that it makes, or sees.
    let kernels: f64 = weights.dims.iter().skip(1).map(|dim| *dim as f64).product();
    bytes_of_a_number * kernels / (map.scale * map.scale)
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
mod tests;
