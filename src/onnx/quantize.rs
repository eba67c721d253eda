//! Writes a network's arithmetic in 8 bits: weights of one scale for each output channel, maps of one scale
//! each, in the form that runtimes fuse (a QuantizeLinear behind and a DequantizeLinear before each
//! operator). After Jacob et al.: Quantization and Training of Neural Networks for Efficient
//! Integer-Arithmetic-Only Inference, CVPR 2018.

mod choice;
mod writer;

use std::collections::{HashMap, HashSet};

use self::writer::Writer;
use super::Graph;

pub use choice::{layers, measured};

/// The values that a map takes; 0 is always one of them.
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
    /// What one step between two codes is worth.
    pub fn step(self) -> f32 {
        ((self.max - self.min) / MOST).max(f32::MIN_POSITIVE)
    }

    /// The code of 0.
    fn zero(self) -> u8 {
        (-self.min / self.step()).round().clamp(0.0, MOST) as u8
    }
}

/// The graph with the `layers` of these names in 8 bits, and what lies between them. `ranges`: those of
/// all [`measured`] maps.
pub fn quantized(graph: &Graph, ranges: &HashMap<String, Range>, layers: &HashSet<&str>) -> Graph {
    let mut writer = Writer::new(graph, ranges);
    for node in &graph.node {
        writer.write(node, layers);
    }
    writer.written()
}
