//! `unet-train info`: shows what a model declares about itself.

use std::borrow::Cow;
use std::fmt::{self, Write};
use std::iter::{once, repeat, successors};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::options::RuntimeOptions;
use crate::contract::{Activation, Channels, Class, Contract, Sizes, Training};
use crate::inference::{Model, ModelError};
use crate::train::terminal::say;

/// Show what a model declares about itself.
///
/// Loads it as the GStreamer element does. For a model without a contract it shows
/// what probing finds.
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Info {
    /// The model: an ONNX file of this program or of another
    #[arg(value_name = "FILE.onnx")]
    model: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    runtime: RuntimeOptions,
}

/// The output of `--json`.
#[derive(Serialize)]
struct Json<'a> {
    /// The path, lossily where it is not UTF-8.
    file: Cow<'a, str>,
    /// Whether the contract is in the file, instead of found by running the model.
    described: bool,
    contract: &'a Contract,
}

impl Info {
    /// Prints it.
    pub fn run(&self) -> Result<(), ModelError> {
        let model = Model::open(&self.model, &self.runtime.options())?;
        let text = if self.json {
            json(&self.model, &model)
        } else {
            text(&self.model, model.carries_contract(), model.contract())
        };
        say(&text);
        Ok(())
    }
}

fn json(file: &Path, model: &Model) -> String {
    let json = Json {
        file: file.to_string_lossy(),
        described: model.carries_contract(),
        contract: model.contract(),
    };
    serde_json::to_string_pretty(&json).expect("a contract has only string keys")
}

/// The contract, line by line.
pub fn text(file: &Path, described: bool, contract: &Contract) -> String {
    let mut text = String::new();
    // Writing into a string can't fail.
    let _ = write(&mut text, file, described, contract);
    text
}

fn write(text: &mut String, file: &Path, described: bool, contract: &Contract) -> fmt::Result {
    let geometry = contract.geometry;
    let source = if described {
        "the model's own"
    } else {
        "found by probing: the file carries none"
    };
    let channels = match contract.channels {
        Channels::Gray => "1, brightness",
        Channels::Rgb => "3, red, green and blue",
    };
    let output = match contract.activation {
        Activation::Softmax => "one score per class (softmax turns them into probabilities)",
        Activation::Sigmoid => "one score (its logistic function is the probability)",
        Activation::None => "probabilities",
    };
    write!(text, "{}, {}", contract.name, file.display())?;
    line(text, "contract", source)?;
    line(text, "channels", channels)?;
    line(text, "sizes", &sizes(geometry.sizes))?;
    line(text, "margin", &pixels(geometry.margin))?;
    line(text, "halo", &pixels(geometry.halo))?;
    line(
        text,
        "tiles begin",
        &format!("every {}", pixels(geometry.stride)),
    )?;
    line(text, "normalization", &contract.normalization.to_string())?;
    line(text, "output", output)?;
    line(text, "computes with", &contract.precision.to_string())?;
    write_classes(text, &contract.classes)?;
    write_limits(text, contract)?;
    if let Some(size) = contract.pixel_size {
        line(text, "pixel size", &format!("{size} micrometres"))?;
    }
    for (which, (low, high)) in contract.pictures.ranges() {
        line(
            text,
            &which.to_string(),
            &format!("{low:.2} to {high:.2} in the training pictures"),
        )?;
    }
    if let Some(training) = &contract.training {
        write_training(text, training)?;
    }
    for (name, score) in &contract.scores {
        line(text, name, &score.to_string())?;
    }
    Ok(())
}

/// The classes, by their values in the mask.
fn write_classes(text: &mut String, classes: &[Class]) -> fmt::Result {
    for (index, class) in classes.iter().enumerate() {
        let color = String::from(class.color);
        line(
            text,
            &format!("class {index}"),
            &format!("{}, {color}", class.name),
        )?;
    }
    Ok(())
}

/// The limits that decide which pixels are objects.
fn write_limits(text: &mut String, contract: &Contract) -> fmt::Result {
    if contract.classes.len() == 2 {
        line(text, "threshold", &contract.threshold.to_string())?;
    }
    if let Some(area) = contract.min_area {
        line(text, "smallest object", &pixels(area))?;
    }
    if let Some(core) = contract.core_threshold {
        line(text, "cores", &format!("above {core}"))?;
    }
    Ok(())
}

/// The origin of the weights, then that of the weights they started from, and so on.
fn write_training(text: &mut String, training: &Training) -> fmt::Result {
    let all = successors(Some(training), |training| training.before.as_deref());
    for (training, name) in all.zip(once("training").chain(repeat("began with"))) {
        let Training {
            data,
            images,
            steps,
            seed,
            command,
            before: _,
        } = training;
        if !data.is_empty() {
            line(text, "data", data)?;
        }
        let trained = format!("{steps} steps on {images} image(s), seed {seed}");
        line(text, name, &trained)?;
        line(text, "command", command)?;
    }
    Ok(())
}

fn line(text: &mut String, name: &str, value: &str) -> fmt::Result {
    write!(text, "\n  {name:16}{value}")
}

fn pixels(count: usize) -> String {
    format!("{count} pixels")
}

fn sizes(sizes: Sizes) -> String {
    match sizes {
        Sizes::Steps { min, step } => format!("{min} pixels plus any multiple of {step}"),
        Sizes::Fixed { height, width } => format!("{width}x{height} pixels only"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unet::UNet;

    #[test]
    fn a_contract_is_shown_in_full() {
        let unet = UNet {
            channels: 1,
            classes: 2,
            width: 64,
            depth: 4,
            padded: false,
        };
        let contract = Contract {
            min_area: Some(30),
            core_threshold: Some(0.75),
            pixel_size: Some(0.65),
            training: Some(Training {
                data: "drawn".into(),
                images: 7,
                steps: 400,
                seed: 3,
                command: "unet-train train --start-from begun.onnx".into(),
                before: Some(Box::new(Training {
                    data: "painted".into(),
                    images: 30,
                    steps: 9000,
                    seed: 1,
                    command: "unet-train train".into(),
                    before: None,
                })),
            }),
            scores: [("SEG".to_owned(), 0.9)].into(),
            ..unet.contract("paper")
        };
        let expected = "paper, m.onnx
  contract        the model's own
  channels        1, brightness
  sizes           188 pixels plus any multiple of 16
  margin          92 pixels
  halo            92 pixels
  tiles begin     every 16 pixels
  normalization   z-score
  output          one score per class (softmax turns them into probabilities)
  computes with   32-bit floating point
  class 0         background, #000000
  class 1         foreground, #e69f00
  threshold       0.5
  smallest object 30 pixels
  cores           above 0.75
  pixel size      0.65 micrometres
  data            drawn
  training        400 steps on 7 image(s), seed 3
  command         unet-train train --start-from begun.onnx
  data            painted
  began with      9000 steps on 30 image(s), seed 1
  command         unet-train train
  SEG             0.9";
        assert_eq!(text(Path::new("m.onnx"), true, &contract), expected);
    }
}
