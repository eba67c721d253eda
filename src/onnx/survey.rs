//! Derives from the graph of a foreign network what no run of it shows for certain: the grid of its
//! pooling, its receptive field, and the memory that its feature maps take.

use std::collections::HashMap;

use super::reach::{Map, follow};
use super::{Attribute, Graph, Node, Tensor, saturation, scan};
use crate::contract::{Activation, Contract};

/// Largest reach that is taken into account, in pixels.
const FARTHEST: f64 = 65_536.0;

/// Properties of a graph that no run shows for certain.
#[derive(Clone, Debug, PartialEq)]
pub struct Survey {
    /// Product of the strides down to the smallest feature map.
    pub stride: usize,
    /// Radius in pixels around an output pixel that can change it, when the grid of the pooling is aligned with
    /// the picture. `None` where an operator sees the whole picture (a mean over it, attention), or is
    /// unknown.
    pub halo: Option<usize>,
    /// The first operator that sees the whole picture, or is unknown.
    pub global: Option<String>,
    /// Whether any operator pads its input, so that a tile's border can affect its output.
    pub padded: bool,
    /// Largest size of the feature maps that are alive at one time, in bytes for each input pixel.
    pub bytes_per_pixel: f64,
    /// Whether it computes with integers, of which a runtime keeps more copies than of feature maps in floating point.
    pub integers: bool,
    /// Whether sums of two products of these integers fit into 16 bits, see [`saturation::sums_fit_16_bits`].
    pub sums_fit_16_bits: bool,
    /// Multiplications of the most expensive operator, for each input pixel.
    pub work_per_pixel: f64,
    /// The activation that the output still needs; `None` where the graph doesn't show it.
    pub activation: Option<Activation>,
}

impl Survey {
    /// Checks that the graph does not contradict a contract; the error says where it does.
    pub fn agrees_with(&self, contract: &Contract) -> Result<(), String> {
        let stride = contract.geometry.stride;
        if !stride.is_multiple_of(self.stride) {
            return Err(format!(
                "its contract promises a stride of {stride} pixels, but it pools by {}",
                self.stride
            ));
        }
        let promised = contract.activation == Activation::None;
        match self.activation {
            Some(found) if (found == Activation::None) != promised => Err(format!(
                "its contract promises {}, but its last operator makes {}",
                if promised { "probabilities" } else { "scores" },
                if promised { "scores" } else { "probabilities" },
            )),
            _ => Ok(()),
        }
    }
}

/// Surveys the graph whose first input that is no initializer is a picture of `channels`.
pub fn survey(graph: &Graph, channels: usize) -> Survey {
    let constants = constants(graph);
    let FeatureMaps {
        maps,
        stride,
        mut global,
    } = FeatureMaps::of(graph, channels, &constants);
    let stride = stride.round().clamp(1.0, 65_536.0) as usize;
    let output = graph
        .output
        .first()
        .and_then(|value| maps.get(value.name.as_str()));
    // A `Resize` to a size that is computed when the network runs is assumed to be a step of a U-Net, which
    // doubles. An output of another size than the picture shows that one was not.
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
        sums_fit_16_bits: saturation::sums_fit_16_bits(graph),
        work_per_pixel: scan::heaviest(graph),
        activation: last_activation(graph),
    }
}

/// The feature maps that a graph makes of a picture.
struct FeatureMaps<'a> {
    /// The maps by name.
    maps: HashMap<&'a str, Map>,
    /// The coarsest grid among them.
    stride: f64,
    /// The first operator that sees its whole input, or is unknown.
    global: Option<String>,
}

impl<'a> FeatureMaps<'a> {
    /// Follows the picture from node to node.
    fn of(graph: &'a Graph, channels: usize, constants: &HashMap<&str, &Tensor>) -> Self {
        let mut found = FeatureMaps {
            maps: HashMap::new(),
            stride: 1.0,
            global: None,
        };
        let picture = graph
            .input
            .iter()
            .find(|input| !constants.contains_key(input.name.as_str()));
        if let Some(picture) = picture {
            found.maps.insert(&picture.name, Map::of_picture(channels));
        }
        for node in &graph.node {
            let inputs: Vec<Map> = node
                .input
                .iter()
                .filter_map(|name| found.maps.get(name.as_str()).copied())
                .collect();
            let (Some(map), Some(output)) = (follow(node, &inputs, constants), node.output.first())
            else {
                continue;
            };
            found.stride = found.stride.max(map.scale);
            if !map.bounded && inputs.iter().all(|input| input.bounded) {
                found.global.get_or_insert_with(|| node.op_type.clone());
            }
            found.maps.insert(output, map);
        }
        found
    }
}

/// The constant tensors of a graph by name: initializers and the outputs of `Constant` nodes.
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
    // Dequantized numbers have the dimensions of their codes.
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

/// Largest number of bytes per pixel that are alive at one time: each map lives from the node that makes it to the
/// last one that reads it.
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
        // Runtimes compute these in place.
        let in_place = matches!(
            node.op_type.as_str(),
            "Relu" | "Identity" | "Dropout" | "Sigmoid"
        );
        let more = if in_place { 0.0 } else { made };
        peak = peak.max(alive + more + scratch(node, maps, constants));
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

/// Bytes of scratch memory per pixel that ONNX Runtime needs for `node`, besides its maps.
fn scratch(node: &Node, maps: &HashMap<&str, Map>, constants: &HashMap<&str, &Tensor>) -> f64 {
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
    // For each pixel the kernels of all its output channels, or of its input channels.
    let kernels: f64 = weights.dims.iter().skip(1).map(|dim| *dim as f64).product();
    bytes_of_a_number * kernels / (map.scale * map.scale)
}

/// The activation that the first output still needs, by the last operator that changes its values.
fn last_activation(graph: &Graph) -> Option<Activation> {
    let outputs = graph.node.iter();
    let makers: HashMap<&str, &Node> = outputs
        .flat_map(|node| node.output.iter().map(move |name| (name.as_str(), node)))
        .collect();
    let mut name = &graph.output.first()?.name;
    // At most as many steps as there are nodes, in case a damaged graph has a cycle.
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

/// Operators that pass values on unchanged, at least those within `0..=1`.
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
