//! Converts a network's arithmetic to 8 bits: weights with a scale for each output channel, maps with one scale
//! each, in the form that runtimes fuse (a QuantizeLinear after and a DequantizeLinear before each
//! operator). After Jacob et al.: Quantization and Training of Neural Networks for Efficient
//! Integer-Arithmetic-Only Inference, CVPR 2018.

mod choice;
mod writer;

use std::collections::{HashMap, HashSet};

use self::writer::Writer;
use super::Graph;

pub use choice::{layers, measured};

/// The range of a feature map's values, which includes 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// At most 0.
    pub min: f32,
    /// At least 0.
    pub max: f32,
}

/// Largest code of a map.
const MOST: f32 = 255.0;

impl Range {
    /// The difference between two codes.
    pub fn step(self) -> f32 {
        ((self.max - self.min) / MOST).max(f32::MIN_POSITIVE)
    }

    /// The code of 0.
    fn zero(self) -> u8 {
        (-self.min / self.step()).round().clamp(0.0, MOST) as u8
    }
}

/// The graph with the named `layers` and the operators between them in 8 bits. `ranges`: those of all [`measured`]
/// maps.
pub fn quantized(graph: &Graph, ranges: &HashMap<String, Range>, layers: &HashSet<&str>) -> Graph {
    let mut writer = Writer::new(graph, ranges);
    for node in &graph.node {
        writer.write(node, layers);
    }
    writer.written()
}
