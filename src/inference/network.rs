//! What a network takes and gives, as its file declares it and as it turns out.

use ort::session::{Session, SessionOutputs};
use ort::value::{Outlet, TensorElementType, ValueType};

use crate::contract::Contract;

/// Input and output of a network, as its file declares them.
pub(super) struct Network {
    /// Input channels, 1 (grey) or 3 (red, green, blue).
    pub channels: usize,
    /// Whether it takes several pictures at once, as far as its file declares.
    pub batches: bool,
    /// Output channels, where the file fixes them.
    pub outputs: Option<usize>,
    /// Height and width in pixels, where the file fixes them.
    pub fixed: Option<(usize, usize)>,
}

impl Network {
    /// That of `session`; says what is wrong where it is not one from a picture to maps of classes.
    pub fn of(session: &Session) -> Result<Network, String> {
        let [input] = session.inputs() else {
            return Err(format!(
                "it has {} inputs, and one picture is all there is to give: export it with one",
                session.inputs().len()
            ));
        };
        let output = session.outputs().first().ok_or("it has no output")?;
        let (input, output) = (shape_of(input, "input")?, shape_of(output, "output")?);
        if extent(input[3]).is_some_and(|last| matches!(last, 1 | 3)) && extent(input[1]).is_none()
        {
            return Err(
                "its input is [batch, height, width, channels]: export it with the channels before the height".into(),
            );
        }
        let channels = extent(input[1]).filter(|n| matches!(n, 1 | 3)).ok_or_else(|| {
            format!(
                "its input has {} channels, where 1 (grey) or 3 (red, green, blue) are possible",
                count(input[1])
            )
        })?;
        if extent(input[0]).is_some_and(|batch| batch != 1) {
            return Err(format!("it takes batches of {} pictures only", input[0]));
        }
        let fixed = match (extent(input[2]), extent(input[3])) {
            (Some(height), Some(width)) => Some((height, width)),
            (None, None) => None,
            _ => return Err("it fixes one of height and width, and leaves the other open".into()),
        };
        Ok(Network {
            channels,
            batches: extent(input[0]).is_none(),
            outputs: extent(output[1]),
            fixed,
        })
    }

    /// Says what is wrong where the file declares other channels than `contract` promises.
    pub fn agrees_with(&self, contract: &Contract) -> Result<(), String> {
        let promised = contract.channels.count();
        if self.channels != promised {
            return Err(format!(
                "its input has {} channels, and its contract promises {promised}",
                self.channels
            ));
        }
        match self.outputs {
            Some(outputs) if !contract.outputs().contains(&outputs) => Err(format!(
                "it has {outputs} output channels, and its contract promises {}",
                promised_outputs(contract)
            )),
            _ => Ok(()),
        }
    }
}

/// The output channels that `contract` allows, in words.
pub(super) fn promised_outputs(contract: &Contract) -> String {
    let outputs = contract.outputs();
    match outputs.start() == outputs.end() {
        true => outputs.start().to_string(),
        false => format!("{} or {}", outputs.start(), outputs.end()),
    }
}

/// The four declared dimensions of an input or output of floats; -1 for an open one.
fn shape_of(outlet: &Outlet, what: &str) -> Result<[i64; 4], String> {
    let ValueType::Tensor { ty, shape, .. } = outlet.dtype() else {
        return Err(format!("its {what} is not a tensor"));
    };
    if *ty != TensorElementType::Float32 {
        return Err(format!(
            "its {what} holds {ty} values, where float32 is needed: convert it so that input and output are float32; values in between may be smaller"
        ));
    }
    <[i64; 4]>::try_from(&shape[..]).map_err(|_| {
        format!(
            "its {what} has {} dimensions, where 4 are needed: batch, channels, height, width",
            shape.len()
        )
    })
}

/// A declared length, unless it is left open.
fn extent(declared: i64) -> Option<usize> {
    usize::try_from(declared).ok().filter(|n| *n > 0)
}

fn count(declared: i64) -> String {
    extent(declared).map_or("an open number of".into(), |n| n.to_string())
}

/// The real dimensions of the first output.
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
            "its output is {other}, where a tensor of float32 is needed"
        )),
    }
}
