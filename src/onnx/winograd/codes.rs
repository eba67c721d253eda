//! Convolutions of 8-bit codes: between a DequantizeLinear of everything that they read and a QuantizeLinear of what they
//! make, as [`quantize`](crate::onnx::quantize) and other tools write them.

use super::values::Values;
use super::{
    CODINGS, DOMAIN, Geometry, OPERATOR_OF_CODES, OUTPUTS, PADDING, RECTIFIED, Replacement,
    geometry, has_type,
};
use crate::onnx::{
    Attribute, DataType, Dimension, Extent, Node, Shape, Tensor, TensorType, Type, ValueInfo,
};
use crate::winograd::{Codes, Coding, Convolution, MOST_INPUTS};

/// What takes the place of `node`, if it is a convolution of codes that can be replaced.
pub fn replacement(values: &Values<'_>, node: &Node) -> Option<Replacement> {
    let [input, weights, bias @ ..] = node.input.as_slice() else {
        return None;
    };
    let input = Decoded::of(values, input)?;
    let weights = Decoded::of(values, weights)?;
    let codes = values.constant(weights.codes)?;
    let geometry = geometry(node, codes)?;
    let [inputs, outputs] = geometry.channels;
    if !has_type(codes, DataType::Int8) || !weights.is_centered() || inputs > MOST_INPUTS {
        return None;
    }
    let steps = weights.steps_of(outputs)?;
    let biases = match bias {
        [] => vec![0.0; outputs],
        [bias] => biases(values, bias, outputs)?,
        _ => return None,
    };
    let relu = values.only_reader(node, "Relu");
    let last = relu.map_or(node, |relu| &values.nodes[relu]);
    let coder = values.only_reader(last, "QuantizeLinear")?;
    let output = Decoded::with_constants(values, &values.nodes[coder])?;
    let codings = [input.coding()?, output.coding()?];
    let name = &values.nodes[coder].output[0];
    let length = [outputs as i64];
    // What sums and biases are multiplied by.
    let [input_step, output_step] = codings.map(|coding| coding.step);
    let scales = steps.iter().map(|step| input_step * step / output_step);
    let added = biases.iter().map(|bias| bias / output_step);
    if !scales.chain(added).all(f32::is_finite) {
        return None;
    }
    let free = |part: &str| values.free_name(format!("{name}.{part}"));
    let constants = [("steps", &steps), ("biases", &biases)];
    let constants = constants.map(|(part, values)| Tensor::of_floats(free(part), &length, values));
    let [pixels, made] = ["pixels", "made"].map(free);
    Some(Replacement {
        nodes: nodes(
            [input.codes, weights.codes, name],
            [&pixels, &made],
            &constants,
            (&geometry, relu.is_some()),
            codings,
        ),
        constants: constants.into(),
        made: Some(channels_last(made, outputs)),
        dropped: relu.into_iter().chain([coder]).collect(),
        weights: weights.codes.into(),
        bytes: Convolution::<Codes>::weight_bytes(geometry.channels),
    })
}

/// The operator, between a Transpose that moves the channels to the end and one that moves them back. ONNX Runtime
/// leaves out those that follow each other.
fn nodes(
    [input, weights, output]: [&str; 3],
    [pixels, made]: [&str; 2],
    constants: &[Tensor],
    (geometry, is_rectified): (&Geometry, bool),
    codings: [Coding; 2],
) -> Vec<Node> {
    let moved = |from: &str, to: &str, order: [i64; 4]| {
        Node::new(
            "Transpose",
            &[from],
            to,
            vec![Attribute::ints("perm", &order)],
        )
    };
    let mut attribute = vec![
        Attribute::int(OUTPUTS, geometry.channels[1] as i64),
        Attribute::int(PADDING, geometry.padding),
        Attribute::int(RECTIFIED, i64::from(is_rectified)),
    ];
    for (coding, [step, zero]) in codings.iter().zip(CODINGS) {
        attribute.push(Attribute::float(step, coding.step));
        attribute.push(Attribute::int(zero, i64::from(coding.zero)));
    }
    let mut inputs = vec![pixels, weights];
    inputs.extend(constants.iter().map(|tensor| tensor.name.as_str()));
    let own = Node {
        domain: DOMAIN.into(),
        ..Node::new(OPERATOR_OF_CODES, &inputs, made, attribute)
    };
    vec![
        moved(input, pixels, [0, 2, 3, 1]),
        own,
        moved(made, output, [0, 3, 1, 2]),
    ]
}

/// A map of codes with so many channels last, which are the only dimension that is known. Without it ONNX Runtime does
/// not know how many there are, and keeps the operators around it from moving channels to the end.
fn channels_last(name: String, channels: usize) -> ValueInfo {
    let unknown = Dimension { extent: None };
    let last = Dimension {
        extent: Some(Extent::Value(channels as i64)),
    };
    let dim = vec![unknown.clone(), unknown.clone(), unknown, last];
    let tensor_type = TensorType {
        elem_type: DataType::Uint8 as i32,
        shape: Some(Shape { dim }),
    };
    ValueInfo {
        name,
        r#type: Some(Type {
            tensor_type: Some(tensor_type),
        }),
    }
}

/// The biases of so many output channels under this name.
fn biases(values: &Values<'_>, name: &str, outputs: usize) -> Option<Vec<f32>> {
    let has_length = |tensor: &&Tensor| elements(tensor) == outputs;
    let found = match values.constant(name) {
        Some(constant) => Some(constant).filter(has_length)?.floats(),
        None => {
            let decoded = Decoded::of(values, name)?;
            let codes = values.constant(decoded.codes).filter(has_length)?.int32s();
            let steps = decoded.is_centered().then(|| decoded.steps_of(outputs))??;
            let pairs = codes.iter().zip(&steps);
            pairs.map(|(code, step)| *code as f32 * step).collect()
        }
    };
    (found.len() == outputs).then_some(found)
}

/// The number of values that a tensor should have.
fn elements(tensor: &Tensor) -> usize {
    let lengths = tensor.dims.iter().map(|length| usize::try_from(*length));
    let product = lengths
        .into_iter()
        .try_fold(1_usize, |product, length| product.checked_mul(length.ok()?));
    product.unwrap_or(0)
}

/// Codes with the constants that say what they mean.
struct Decoded<'a> {
    codes: &'a str,
    steps: &'a Tensor,
    /// `None` where it is 0 by default.
    zero: Option<&'a Tensor>,
    /// Along which dimension steps differ.
    axis: i64,
}

impl<'a> Decoded<'a> {
    /// The codes of a value that a DequantizeLinear makes.
    fn of(values: &Values<'a>, name: &str) -> Option<Self> {
        Decoded::with_constants(values, values.maker(name, "DequantizeLinear")?)
    }

    /// What a DequantizeLinear or a QuantizeLinear reads.
    fn with_constants(values: &Values<'a>, node: &'a Node) -> Option<Self> {
        let (codes, steps, zero) = match node.input.as_slice() {
            [codes, steps] => (codes, steps, None),
            [codes, steps, zero] => (codes, steps, Some(values.constant(zero)?)),
            _ => return None,
        };
        let is_plain = node.integer("block_size", 0) == 0;
        is_plain.then_some(Decoded {
            codes,
            steps: values.constant(steps)?,
            zero,
            axis: node.integer("axis", 1),
        })
    }

    /// Whether the code 0 means 0.
    fn is_centered(&self) -> bool {
        self.zero.is_none_or(|zero| {
            zero.raw_data.iter().all(|byte| *byte == 0)
                && zero.int32_data.iter().all(|number| *number == 0)
        })
    }

    /// The steps of so many output channels.
    fn steps_of(&self, outputs: usize) -> Option<Vec<f32>> {
        // A small file could have long ones read often.
        let steps = match elements(self.steps) {
            1 => vec![*self.steps.floats().first()?; outputs],
            count if count == outputs && self.axis == 0 => self.steps.floats(),
            _ => return None,
        };
        let is_usable = steps.len() == outputs && steps.iter().all(|step| step.is_finite());
        is_usable.then_some(steps)
    }

    /// The meaning of codes without a sign, of which all have the same.
    fn coding(&self) -> Option<Coding> {
        let steps = (elements(self.steps) == 1).then(|| self.steps.floats())?;
        let &[step] = steps.as_slice() else {
            return None;
        };
        let zero = self.zero.filter(|zero| has_type(zero, DataType::Uint8))?;
        let zero = match (&zero.raw_data[..], zero.int32_data.as_slice()) {
            (&[zero], []) => zero,
            ([], &[zero]) => u8::try_from(zero).ok()?,
            _ => return None,
        };
        (step.is_normal() && step > 0.0).then_some(Coding { step, zero })
    }
}
