//! The receptive field of each operator of a graph, and the grid of its output.

use std::collections::HashMap;

use super::{Node, Tensor};

/// A feature map in relation to the input.
#[derive(Clone, Copy)]
pub(super) struct Map {
    /// Input pixels between two cells.
    pub scale: f64,
    /// Distance from the border, in cells, up to which the border can change a cell, for a border on the grid of
    /// the pooling.
    pub reach: f64,
    /// Whether `reach` is known.
    pub bounded: bool,
    pub channels: f64,
    /// How many channels a runtime keeps together: it has room for whole blocks of them.
    pub block: f64,
    /// Bytes of a number.
    pub bytes: f64,
    /// Whether channels have become pairs of pixels that are not in their rows yet, see `channels_last`.
    pub in_pairs: bool,
}

/// Channels that ONNX Runtime keeps together in the maps of convolutions in floating point, if the processor has
/// AVX-512; with smaller vectors fewer.
const BLOCK: f64 = 16.0;

impl Map {
    /// The picture itself, in floating point.
    pub fn of_picture(channels: usize) -> Self {
        Map {
            scale: 1.0,
            reach: 0.0,
            bounded: true,
            channels: channels as f64,
            block: 1.0,
            bytes: size_of::<f32>() as f64,
            in_pairs: false,
        }
    }

    /// Bytes for each pixel of the picture.
    pub fn bytes_per_pixel(&self) -> f64 {
        let channels = (self.channels / self.block).ceil() * self.block;
        channels * self.bytes / (self.scale * self.scale)
    }
}

/// The output map of `node` for the maps among its inputs; `None` for a node without maps, such as arithmetic on
/// shapes.
pub(super) fn follow(
    node: &Node,
    inputs: &[Map],
    constants: &HashMap<&str, &Tensor>,
) -> Option<Map> {
    let first = *inputs.first()?;
    let map = match node.op_type.as_str() {
        "Shape" | "Size" => return None,
        "Conv" | "QLinearConv" | "MaxPool" | "AveragePool" | "LpPool" => {
            convolved(&Window::of(node, constants), first)
        }
        "ConvTranspose" => spread(&Window::of(node, constants), first),
        "Resize" | "Upsample" => resized(node, first, constants),
        "QuantizeLinear" => Map {
            bytes: 1.0,
            ..first
        },
        // The operator that reads it computes it on the fly.
        "DequantizeLinear" => Map {
            bytes: 0.0,
            ..first
        },
        "MatMulInteger" => multiplied(node, first, constants),
        "Reshape" => reshaped(node, first, constants),
        "Concat" => Map {
            channels: inputs.iter().map(|map| map.channels).sum(),
            block: 1.0,
            ..widest(inputs)
        },
        op if POINTWISE.contains(&op) => widest(inputs),
        _ => Map {
            bounded: false,
            ..widest(inputs)
        },
    };
    Some(map)
}

/// The window of a convolution or a pooling, by the larger of its sides, as tiles have the same halo on both axes.
struct Window<'a> {
    stride: f64,
    kernel: f64,
    dilation: f64,
    /// Dimensions of the weights, where there are any.
    dims: &'a [i64],
}

impl<'a> Window<'a> {
    fn of(node: &Node, constants: &HashMap<&str, &'a Tensor>) -> Self {
        let weights = node.input.get(1);
        let weights = weights.and_then(|name| constants.get(name.as_str()));
        let dims = weights.map_or(&[] as &[i64], |tensor| &tensor.dims);
        let side = dims.iter().skip(2).copied().max().unwrap_or(1);
        let attribute = |name: &str, otherwise: i64| {
            let value = node.ints(name).iter().copied().max().unwrap_or(otherwise);
            value.clamp(1, 65_536) as f64
        };
        Window {
            stride: attribute("strides", 1),
            kernel: attribute("kernel_shape", side),
            dilation: attribute("dilations", 1),
            dims,
        }
    }
}

/// The output map of a window that moves over `map`.
fn convolved(window: &Window, map: Map) -> Map {
    // A window with an even side extends one cell further in one direction. On the grid, a pooling window
    // beyond the border never contains a cell within it.
    let sideways = if window.kernel == window.stride {
        0.0
    } else {
        ((window.kernel - 1.0) * window.dilation / 2.0).ceil()
    };
    Map {
        scale: map.scale * window.stride,
        reach: ((map.reach + sideways) / window.stride).ceil(),
        channels: window.dims.first().map_or(map.channels, |n| *n as f64),
        // Pooling keeps the type, also that of one byte.
        block: match window.dims {
            [] => map.block,
            _ if map.bytes < 4.0 => 1.0,
            _ => BLOCK,
        },
        bytes: if window.dims.is_empty() {
            map.bytes
        } else {
            4.0
        },
        ..map
    }
}

/// The output map of a window that each cell of `map` is spread over.
fn spread(window: &Window, map: Map) -> Map {
    let Window {
        stride,
        kernel,
        dims,
        ..
    } = *window;
    Map {
        scale: map.scale / stride,
        reach: map.reach * stride + (kernel - stride).max(0.0),
        channels: dims.get(1).map_or(map.channels, |n| *n as f64),
        block: 1.0,
        bytes: 4.0,
        ..map
    }
}

/// The map that `node` enlarges or reduces `map` to.
fn resized(node: &Node, map: Map, constants: &HashMap<&str, &Tensor>) -> Map {
    let factor = resize_factor(node, constants);
    // Linear interpolation mixes neighbours, cubic those beyond them too.
    let neighbours = match node.text("mode") {
        "cubic" => 2.0,
        _ => 1.0,
    };
    Map {
        scale: map.scale / factor,
        reach: ((map.reach + neighbours) * factor).ceil(),
        ..map
    }
}

/// The output map of `node`, a matrix product over the channels of each cell.
fn multiplied(node: &Node, map: Map, constants: &HashMap<&str, &Tensor>) -> Map {
    let factor = node.input.get(1);
    let factor = factor.and_then(|name| constants.get(name.as_str()));
    let channels = factor.and_then(|tensor| tensor.dims.get(1));
    Map {
        channels: channels.map_or(map.channels, |n| *n as f64),
        bytes: 4.0,
        bounded: map.bounded && factor.is_some(),
        ..map
    }
}

/// The output map of `node`, which reorders cells: channels become pairs of pixels, or these move into their rows.
fn reshaped(node: &Node, map: Map, constants: &HashMap<&str, &Tensor>) -> Map {
    let shape = node.input.get(1);
    let shape = shape.and_then(|name| constants.get(name.as_str()));
    let into_pairs = shape.is_some_and(|shape| shape.integers().starts_with(&[0, 0, 0, 2]));
    if into_pairs {
        Map {
            scale: map.scale / 2.0,
            reach: map.reach * 2.0,
            channels: map.channels / 4.0,
            in_pairs: true,
            ..map
        }
    } else {
        Map {
            bounded: map.bounded && map.in_pairs,
            in_pairs: false,
            ..map
        }
    }
}

/// Operators that compute each pixel from that pixel alone, or move pixels without mixing them.
const POINTWISE: &[&str] = &[
    "Abs",
    "Add",
    "BatchNormalization",
    "Cast",
    "Ceil",
    "Celu",
    "Clip",
    "Constant",
    "Div",
    "Dropout",
    "Elu",
    "Erf",
    "Exp",
    "Floor",
    "Gelu",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "LeakyRelu",
    "Log",
    "LogSoftmax",
    "Max",
    "Min",
    "Mish",
    "Mul",
    "Neg",
    "PRelu",
    "Pad",
    "Pow",
    "Reciprocal",
    "Relu",
    "Selu",
    "Sigmoid",
    "Slice",
    "Softmax",
    "Softplus",
    "Sqrt",
    "Sub",
    "Sum",
    "Tanh",
    "ThresholdedRelu",
    "Transpose",
];

/// The map of several inputs of one operator: the finest grid, the longest reach.
///
/// Inputs of one operator have the same grid. One that seems to have a coarser grid was enlarged to a size that is
/// computed when the network runs; its reach in pixels of the picture is still known.
fn widest(inputs: &[Map]) -> Map {
    let mut widest = inputs[0];
    widest.scale = inputs
        .iter()
        .map(|map| map.scale)
        .fold(f64::INFINITY, f64::min);
    widest.reach = 0.0;
    for map in inputs {
        let reach = (map.reach * map.scale / widest.scale).ceil();
        widest.reach = widest.reach.max(reach);
        widest.bounded &= map.bounded;
        widest.channels = widest.channels.max(map.channels);
    }
    widest
}

/// The scale of a `Resize`, less than 1 where it reduces. Exporters write the scales as a constant, or compute the
/// size from that of another map: then it is assumed to be a step of a U-Net, which doubles.
fn resize_factor(node: &Node, constants: &HashMap<&str, &Tensor>) -> f64 {
    let scales = node.input.iter().rev().find_map(|name| {
        let scales = constants.get(name.as_str())?.floats();
        scales.get(2).copied().zip(scales.get(3).copied())
    });
    let factor = scales.map_or(2.0, |(rows, columns)| f64::from(rows.min(columns)));
    if factor > 0.0 { factor } else { 2.0 }
}
