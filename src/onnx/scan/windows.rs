//! Windows that move over a picture: convolutions and poolings, and their transposes.

use super::rules::{Inputs, Size};
use super::value::Value;
use super::{Refusal, label};
use crate::onnx::Node;

/// Whether `op` moves a window over a picture.
pub(super) fn moves(op: &str) -> bool {
    weights_at(op).is_some() || matches!(op, "MaxPool" | "AveragePool" | "LpPool" | "MaxUnpool")
}

/// Which input of `op` holds the weights of its window, if it has any.
pub(super) fn weights_at(op: &str) -> Option<usize> {
    match op {
        "Conv" | "ConvInteger" | "ConvTranspose" => Some(1),
        "QLinearConv" => Some(3),
        _ => None,
    }
}

/// Refuses a convolution whose groups do not divide its channels, which would crash.
pub(super) fn groups(node: &Node, inputs: &[Option<&Value>]) -> Result<(), Refusal> {
    let Some(weights) = weights_at(&node.op_type) else {
        return Ok(());
    };
    let group = node.integer("group", 1);
    // Its first dimension is the number of kernels of all groups, or of their input channels.
    let channels = Inputs(inputs).dims(weights).and_then(|dims| dims.first());
    let fits = channels.is_none_or(|channels| *channels % group as f64 == 0.0);
    if group >= 1 && fits {
        return Ok(());
    }
    Err(Refusal::Groups {
        node: label(node),
        group,
    })
}

/// The output size of `node`, which moves a window.
pub(super) fn size(node: &Node, inputs: &Inputs) -> Size {
    // ONNX forbids both together, so it is undefined which of them counts.
    if node.text("auto_pad") == "VALID" && node.ints("pads").iter().any(|pad| *pad != 0) {
        return Size::Unbounded("pads beside auto_pad".into());
    }
    if node.op_type == "MaxUnpool" && inputs.value(2).is_some() {
        let shape = inputs.numbers(2).map(<[f64]>::to_vec);
        return shape.map_or_else(Size::unfollowed, Size::Dims);
    }
    let Some(window) = Window::of(node, inputs) else {
        return Size::unfollowed();
    };
    let known = inputs.dims(0).and_then(|dims| window.size(dims));
    let bound = || Some(Size::Elements(inputs.elements(0).max(1.0) * window.most()?));
    known.or_else(bound).unwrap_or_else(Size::unfollowed)
}

/// A window that moves over the axes of a picture.
struct Window<'a> {
    node: &'a Node,
    /// Dimensions of its weights, if it has any.
    weights: Option<&'a [f64]>,
}

impl<'a> Window<'a> {
    /// The window of `node`, unless it has weights of unknown dimensions.
    fn of(node: &'a Node, inputs: &Inputs<'a>) -> Option<Self> {
        let weights = match weights_at(&node.op_type) {
            Some(index) => Some(inputs.dims(index)?),
            None => None,
        };
        Some(Window { node, weights })
    }

    /// Whether it is transposed.
    fn is_transposed(&self) -> bool {
        matches!(self.node.op_type.as_str(), "ConvTranspose" | "MaxUnpool")
    }

    fn axes(&self) -> usize {
        match self.weights {
            Some(dims) => dims.len().saturating_sub(2),
            None => self.node.ints("kernel_shape").len(),
        }
    }

    fn number(&self, name: &str, axis: usize, otherwise: f64) -> f64 {
        let list = self.node.ints(name);
        list.get(axis).map_or(otherwise, |n| *n as f64)
    }

    fn stride(&self, axis: usize) -> f64 {
        self.number("strides", axis, 1.0).max(1.0)
    }

    /// Whether it is padded so that strides alone determine the length of its output.
    fn is_same(&self) -> bool {
        self.node.text("auto_pad").starts_with("SAME")
    }

    /// Pixels of padding on both sides of an axis.
    fn pads(&self, axis: usize) -> f64 {
        self.number("pads", axis, 0.0) + self.number("pads", axis + self.axes(), 0.0)
    }

    /// Its length in pixels, with dilation.
    fn extent(&self, axis: usize) -> f64 {
        let kernel = match self.weights {
            Some(dims) => dims.get(axis + 2).copied().unwrap_or(1.0),
            None => self.number("kernel_shape", axis, 1.0),
        };
        self.number("dilations", axis, 1.0) * (kernel - 1.0) + 1.0
    }

    /// The output size for a picture of these dimensions.
    fn size(&self, dims: &[f64]) -> Option<Size> {
        let (front, sides) = dims.split_at_checked(2)?;
        let channels = match self.weights {
            None => front[1],
            Some(dims) if self.is_transposed() => *dims.get(1)? * self.groups(),
            Some(dims) => *dims.first()?,
        };
        let mut sure = true;
        let sides = sides.iter().enumerate().map(|(axis, from)| {
            if self.is_transposed() {
                return self.transposed(axis, *from);
            }
            let (length, is_sure) = self.moved(axis, *from);
            sure &= is_sure;
            length
        });
        let dims = [front[0], channels].into_iter().chain(sides).collect();
        Some(if sure {
            Size::Dims(dims)
        } else {
            Size::AtMost(dims)
        })
    }

    fn groups(&self) -> f64 {
        self.node.integer("group", 1).max(1) as f64
    }

    /// The output length for `from` pixels, and whether it is exact.
    fn moved(&self, axis: usize, from: f64) -> (f64, bool) {
        let stride = self.stride(axis);
        if self.is_same() {
            return ((from / stride).ceil(), true);
        }
        let steps = (from + self.pads(axis) - self.extent(axis)) / stride;
        if self.node.integer("ceil_mode", 0) == 0 {
            return (steps.floor() + 1.0, true);
        }
        // Some versions leave out a window that begins beyond the picture.
        let last = steps.ceil() * stride;
        let is_within = last < from + self.number("pads", axis, 0.0);
        (steps.ceil() + 1.0, is_within)
    }

    /// The output length of a transposed window.
    fn transposed(&self, axis: usize, from: f64) -> f64 {
        let shape = self.node.ints("output_shape");
        let shape = &shape[shape.len().saturating_sub(self.axes())..];
        if let Some(given) = shape.get(axis) {
            return *given as f64;
        }
        let stride = self.stride(axis);
        let more = self.number("output_padding", axis, 0.0);
        let all = (from - 1.0) * stride + self.extent(axis) + more;
        if self.is_same() {
            all.min(from * stride)
        } else {
            all - self.pads(axis)
        }
    }

    /// Largest factor between the elements of its input and of its output, for any picture.
    fn most(&self) -> Option<f64> {
        let channels = match self.weights {
            None => 1.0,
            Some([from, into, ..]) if self.is_transposed() => into * self.groups() / from.max(1.0),
            Some([into, from, ..]) => into / from.max(1.0),
            Some(_) => return None,
        };
        if !self.node.ints("output_shape").is_empty() {
            return None;
        }
        let sides = (0..self.axes()).map(|axis| {
            let (extent, pads) = (self.extent(axis), self.pads(axis));
            match (self.is_transposed(), self.is_same()) {
                (true, true) => self.stride(axis),
                (true, false) => {
                    let more = self.number("output_padding", axis, 0.0);
                    (extent + more - pads.min(0.0)).max(self.stride(axis))
                }
                (false, true) => 1.0,
                (false, false) => 1.0 + (pads - extent + 1.0).max(0.0),
            }
        });
        Some(channels * sides.product::<f64>())
    }
}

/// Whether the output of `node` would have a length below 1, which ONNX Runtime passes on to operators that abort.
pub(super) fn vanishes(node: &Node, inputs: &[Option<&Value>]) -> bool {
    let inputs = Inputs(inputs);
    if !moves(&node.op_type) || node.op_type == "MaxUnpool" {
        return false;
    }
    let Some(window) = Window::of(node, &inputs).filter(|window| !window.is_same()) else {
        return false;
    };
    let sides = inputs.dims(0).and_then(|dims| dims.get(2..));
    let mut sides = sides.unwrap_or(&[]).iter().enumerate();
    sides.any(|(axis, from)| {
        let (extent, pads) = (window.extent(axis), window.pads(axis));
        if window.is_transposed() {
            (from - 1.0) * window.stride(axis) + extent < pads + 1.0
        } else {
            from + pads < extent
        }
    })
}

/// Scratch memory that ONNX Runtime needs for `node`, in numbers, besides its input and `made`, its output.
pub(super) fn scratch(node: &Node, inputs: &[Option<&Value>], made: &Value) -> f64 {
    let inputs = Inputs(inputs);
    let Some(index) = weights_at(&node.op_type) else {
        return 0.0;
    };
    // Channels, and the numbers in the kernels of one of them.
    let channels = inputs.dims(index).and_then(|dims| dims.first());
    let channels = channels.map_or(1.0, |channels| channels.max(1.0));
    let kernels = inputs.elements(index) / channels;
    match node.op_type.as_str() {
        // The contributions of each pixel to those around it, before they are summed.
        "ConvTranspose" => inputs.elements(0) / channels * kernels,
        // The window of each pixel, side by side, in bytes.
        "ConvInteger" | "QLinearConv" => made.elements / channels * kernels / 4.0,
        _ => 0.0,
    }
}
