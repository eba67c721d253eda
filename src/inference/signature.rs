//! The input and output of a network, as its file declares them and as they turn out.

use ort::session::{Session, SessionOutputs};
use ort::value::{Outlet, TensorElementType, ValueType};

use crate::contract::Contract;

/// Input and output of a network, as its file declares them.
pub(super) struct Signature {
    /// Input channels, 1 (grey) or 3 (red, green, blue).
    pub channels: usize,
    /// Whether the batch size is left open, so that it takes several pictures at once.
    pub dynamic_batch: bool,
    /// Output channels, if the file fixes them.
    pub outputs: Option<usize>,
    /// Height and width in pixels, if the file fixes them.
    pub fixed: Option<(usize, usize)>,
}

impl Signature {
    /// The signature of `session`, or what is wrong if it does not map a picture to maps of classes.
    pub fn of(session: &Session) -> Result<Self, String> {
        let [input] = session.inputs() else {
            return Err(format!(
                "it has {} inputs, but only one picture is available: export it with a single input",
                session.inputs().len()
            ));
        };
        let output = session.outputs().first().ok_or("it has no output")?;
        let (input, output) = (shape_of(input, "input")?, shape_of(output, "output")?);
        if extent(input[3]).is_some_and(|last| matches!(last, 1 | 3)) && extent(input[1]).is_none()
        {
            return Err(
                "its input is [batch, height, width, channels]: export it as [batch, channels, height, width]".into(),
            );
        }
        let channels = extent(input[1]).filter(|n| matches!(n, 1 | 3)).ok_or_else(|| {
            format!(
                "its input has {} channels, but only 1 (grey) or 3 (red, green, blue) are supported",
                count(input[1])
            )
        })?;
        if extent(input[0]).is_some_and(|batch| batch != 1) {
            return Err(format!(
                "it takes only batches of {} pictures: export it with a batch size of 1",
                input[0]
            ));
        }
        let fixed = match (extent(input[2]), extent(input[3])) {
            (Some(height), Some(width)) => Some((height, width)),
            (None, None) => None,
            _ => return Err("it fixes only one of height and width: fix both or none".into()),
        };
        Ok(Signature {
            channels,
            dynamic_batch: extent(input[0]).is_none(),
            outputs: extent(output[1]),
            fixed,
        })
    }

    /// An error if the file declares other channels than `contract` promises.
    pub fn agrees_with(&self, contract: &Contract) -> Result<(), String> {
        let promised = contract.channels.count();
        if self.channels != promised {
            return Err(format!(
                "its input has {} channels, but its contract promises {promised}",
                self.channels
            ));
        }
        match self.outputs {
            Some(outputs) if !contract.outputs().contains(&outputs) => Err(format!(
                "it has {outputs} output channels, but its contract promises {}",
                promised_outputs(contract)
            )),
            _ => Ok(()),
        }
    }
}

/// The output channels that `contract` allows, in words.
pub(super) fn promised_outputs(contract: &Contract) -> String {
    let outputs = contract.outputs();
    if outputs.start() == outputs.end() {
        outputs.start().to_string()
    } else {
        format!("{} or {}", outputs.start(), outputs.end())
    }
}

/// The four declared dimensions of an input or output of floats; -1 for an open one.
fn shape_of(outlet: &Outlet, what: &str) -> Result<[i64; 4], String> {
    let ValueType::Tensor { ty, shape, .. } = outlet.dtype() else {
        return Err(format!("its {what} is not a tensor"));
    };
    if *ty != TensorElementType::Float32 {
        return Err(format!(
            "its {what} has {ty} values, but float32 is needed: convert it so that input and output are float32; values in between may have fewer bits"
        ));
    }
    <[i64; 4]>::try_from(&shape[..]).map_err(|_| {
        format!(
            "its {what} has {} dimensions, but 4 are needed: batch, channels, height, width",
            shape.len()
        )
    })
}

/// A declared dimension, unless it is left open.
fn extent(declared: i64) -> Option<usize> {
    usize::try_from(declared).ok().filter(|n| *n > 0)
}

fn count(declared: i64) -> String {
    extent(declared).map_or("an open number of".into(), |n| n.to_string())
}

/// The actual dimensions of the first output.
pub(super) fn dimensions(outputs: &SessionOutputs) -> Result<Vec<usize>, String> {
    let value = outputs.values().next();
    let value = value.ok_or("it has no output")?;
    match value.dtype() {
        ValueType::Tensor {
            ty: TensorElementType::Float32,
            shape,
            ..
        } => Ok(shape
            .iter()
            .map(|n| usize::try_from(*n).unwrap_or(0))
            .collect()),
        other => Err(format!(
            "its output is {other}, but a tensor of float32 is needed"
        )),
    }
}
