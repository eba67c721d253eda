//! Windows that move over a picture: convolutions and poolings, and the reverse of both.

use super::rules::{Inputs, Size};
use super::value::Value;
use super::{Refusal, called};
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

/// Refuses a convolution whose groups do not go into its channels, which does not survive that.
pub(super) fn groups(node: &Node, inputs: &[Option<&Value>]) -> Result<(), Refusal> {
    let Some(weights) = weights_at(&node.op_type) else {
        return Ok(());
    };
    let group = node.integer("group", 1);
    // Its first dimension counts the kernels of all groups, or the channels that they are given.
    let channels = Inputs(inputs).dims(weights).and_then(|dims| dims.first());
    let fits = channels.is_none_or(|channels| *channels % group as f64 == 0.0);
    match group >= 1 && fits {
        true => Ok(()),
        false => Err(Refusal::Groups {
            node: called(node),
            group,
        }),
    }
}

/// How large the output of `node` is, which moves a window.
pub(super) fn size(node: &Node, inputs: &Inputs) -> Size {
    // ONNX forbids both together, so that nobody can tell which of them counts.
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
    /// The window of `node`, unless it has weights whose dimensions can't be told.
    fn of(node: &'a Node, inputs: &Inputs<'a>) -> Option<Self> {
        let weights = match weights_at(&node.op_type) {
            Some(index) => Some(inputs.dims(index)?),
            None => None,
        };
        Some(Window { node, weights })
    }

    /// Whether it makes a picture of what it would be moved over.
    fn is_reverse(&self) -> bool {
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

    /// Whether it is padded so that strides alone say how long its output is.
    fn is_same(&self) -> bool {
        self.node.text("auto_pad").starts_with("SAME")
    }

    /// Pixels of padding on both sides of an axis.
    fn pads(&self, axis: usize) -> f64 {
        self.number("pads", axis, 0.0) + self.number("pads", axis + self.axes(), 0.0)
    }

    /// Pixels that it sees at once.
    fn seen(&self, axis: usize) -> f64 {
        let kernel = match self.weights {
            Some(dims) => dims.get(axis + 2).copied().unwrap_or(1.0),
            None => self.number("kernel_shape", axis, 1.0),
        };
        self.number("dilations", axis, 1.0) * (kernel - 1.0) + 1.0
    }

    /// What it makes of a picture of these dimensions.
    fn size(&self, dims: &[f64]) -> Option<Size> {
        let (front, sides) = dims.split_at_checked(2)?;
        let channels = match self.weights {
            None => front[1],
            Some(dims) if self.is_reverse() => *dims.get(1)? * self.groups(),
            Some(dims) => *dims.first()?,
        };
        let mut sure = true;
        let sides = sides.iter().enumerate().map(|(axis, from)| {
            if self.is_reverse() {
                return self.unfolded(axis, *from);
            }
            let (length, is_sure) = self.moved(axis, *from);
            sure &= is_sure;
            length
        });
        let dims = [front[0], channels].into_iter().chain(sides).collect();
        Some(match sure {
            true => Size::Dims(dims),
            false => Size::AtMost(dims),
        })
    }

    fn groups(&self) -> f64 {
        self.node.integer("group", 1).max(1) as f64
    }

    /// Length of what it makes of `from` pixels, and whether that is sure.
    fn moved(&self, axis: usize, from: f64) -> (f64, bool) {
        let stride = self.stride(axis);
        if self.is_same() {
            return ((from / stride).ceil(), true);
        }
        let steps = (from + self.pads(axis) - self.seen(axis)) / stride;
        if self.node.integer("ceil_mode", 0) == 0 {
            return (steps.floor() + 1.0, true);
        }
        // One that begins behind the picture is left out by some versions.
        let last = steps.ceil() * stride;
        let is_within = last < from + self.number("pads", axis, 0.0);
        (steps.ceil() + 1.0, is_within)
    }

    /// The reverse.
    fn unfolded(&self, axis: usize, from: f64) -> f64 {
        let shape = self.node.ints("output_shape");
        let shape = &shape[shape.len().saturating_sub(self.axes())..];
        if let Some(given) = shape.get(axis) {
            return *given as f64;
        }
        let stride = self.stride(axis);
        let more = self.number("output_padding", axis, 0.0);
        let all = (from - 1.0) * stride + self.seen(axis) + more;
        match self.is_same() {
            true => all.min(from * stride),
            false => all - self.pads(axis),
        }
    }

    /// How many times as many elements it makes at most, however long the picture is.
    fn most(&self) -> Option<f64> {
        let channels = match self.weights {
            None => 1.0,
            Some([from, into, ..]) if self.is_reverse() => into * self.groups() / from.max(1.0),
            Some([into, from, ..]) => into / from.max(1.0),
            Some(_) => return None,
        };
        if !self.node.ints("output_shape").is_empty() {
            return None;
        }
        let sides = (0..self.axes()).map(|axis| {
            let (seen, pads) = (self.seen(axis), self.pads(axis));
            match (self.is_reverse(), self.is_same()) {
                (true, true) => self.stride(axis),
                (true, false) => {
                    let more = self.number("output_padding", axis, 0.0);
                    (seen + more - pads.min(0.0)).max(self.stride(axis))
                }
                (false, true) => 1.0,
                (false, false) => 1.0 + (pads - seen + 1.0).max(0.0),
            }
        });
        Some(channels * sides.product::<f64>())
    }
}

/// Whether `node` leaves less than nothing of what it is given, which ONNX Runtime carries on to operators that abort.
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
        let (seen, pads) = (window.seen(axis), window.pads(axis));
        match window.is_reverse() {
            true => (from - 1.0) * window.stride(axis) + seen < pads + 1.0,
            false => from + pads < seen,
        }
    })
}

/// Numbers of the room that ONNX Runtime computes `node` in, besides its input and `made`, its output.
pub(super) fn scratch(node: &Node, inputs: &[Option<&Value>], made: &Value) -> f64 {
    let inputs = Inputs(inputs);
    let Some(index) = weights_at(&node.op_type) else {
        return 0.0;
    };
    // Channels, and what the kernels of one of them hold.
    let channels = inputs.dims(index).and_then(|dims| dims.first());
    let channels = channels.map_or(1.0, |channels| channels.max(1.0));
    let kernels = inputs.elements(index) / channels;
    match node.op_type.as_str() {
        // All that each pixel adds to those around it, before it is added up.
        "ConvTranspose" => inputs.elements(0) / channels * kernels,
        // All that is seen from each pixel, side by side, in bytes.
        "ConvInteger" | "QLinearConv" => made.elements / channels * kernels / 4.0,
        _ => 0.0,
    }
}
