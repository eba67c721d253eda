//! `unet-train quantize`.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use prost::Message;

use super::calibrate::{NetworkInput, ranges};
use super::options::RuntimeOptions;
use super::picture::Picture;
use crate::contract::{Contract, METADATA_KEY, Precision};
use crate::inference::trace::Trace;
use crate::inference::{Model as OpenModel, ModelError, Options, Provider};
use crate::onnx::quantize::{Range, layers, measured, quantized};
use crate::onnx::{DataType, Graph, Model, TensorType, Type, ValueInfo};
use crate::onnx::{channels_last, half_precision};
use crate::picture::{FrameError, Normalizer, fill_tile_input};
use crate::tiling::{Blend, Decision, Plan, PlanError, TileSize};
use crate::train::arguments::number;
use crate::train::dataset::{DatasetError, Page, Reader, in_order, spread};
use crate::train::model_file::{self, FileError};
use crate::train::replace::{Exists, WriteError, allow, check, replace};
use crate::train::terminal::say;

/// Prefix of a layer's name in the graph.
const PREFIX: &str = "Conv/";

/// Side of the part of a picture that is used, in pixels.
const PART: usize = 256;

/// Default number of pictures.
const COUNT: usize = 32;

/// Default of the mean change of a pixel's probability that a layer may cause.
const TOLERANCE: f64 = 0.002;

/// Pictures that layers are judged on, spread evenly: finding the sensitive layers takes fewer than finding all ranges.
const JUDGED: usize = 8;

/// Write a model that computes in fewer bits.
///
/// `--to int8` writes one that takes about half the time on the processor, or less. The
/// ranges of its feature maps are measured on some of IMAGES, ideally those it was
/// trained on. Each layer is first computed in 8 bits alone; one that changes the
/// probabilities by more than --tolerance stays in floating point. All of this runs on
/// the processor, whatever --execution-provider says. `--to fp16` writes one of half
/// the size, for graphics cards; it needs no images.
///
///   unet-train quantize --model cells.onnx --images images --output cells.int8.onnx
///
/// Score the result before you trust it:
///
///   unet-train evaluate --model cells.int8.onnx --images test/images --masks test/masks
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Quantize {
    /// The model: an ONNX file that this program wrote
    #[arg(long, value_name = "FILE.onnx")]
    model: PathBuf,
    /// Numbers to compute with
    #[arg(long, value_enum, default_value_t)]
    to: TargetPrecision,
    /// Images: a folder of PNG and TIFF files, or a TIFF stack; only with --to int8, like --count and --tolerance
    #[arg(
        long,
        value_name = "PATH",
        required_unless_present("to"),
        required_if_eq("to", "int8")
    )]
    images: Option<PathBuf>,
    /// Model to write [default: beside the model, NAME.int8.onnx or NAME.fp16.onnx]
    #[arg(long, value_name = "FILE.onnx")]
    output: Option<PathBuf>,
    /// Replace the file that would be written
    #[arg(long)]
    overwrite: bool,
    /// How many of the images to use, spread evenly over all of them [default: 32]
    #[arg(long, value_name = "COUNT", value_parser = number(1_usize..))]
    count: Option<usize>,
    /// Mean change of a pixel's probability that a layer may cause [default: 0.002]
    #[arg(long, value_name = "0..1", value_parser = number(0.0..=1.0))]
    tolerance: Option<f64>,
    #[command(flatten)]
    runtime: RuntimeOptions,
}

/// The numbers that the new model computes with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum TargetPrecision {
    /// Integers of 8 bits
    #[default]
    Int8,
    /// Floating point of 16 bits
    Fp16,
}

/// Why a model can't be quantized.
#[derive(Debug, thiserror::Error)]
pub enum QuantizeError {
    /// An option that only integers have.
    #[error("--{0} has no effect with --to fp16, which uses no images")]
    NoEffect(&'static str),
    /// The model can't be used, or not run.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// It is no model of this program, and may hold parts that this program would lose.
    #[error("{} is no model that unet-train wrote, with numbers of 32 bits", .0.display())]
    Foreign(PathBuf),
    /// Its file can't be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The original, from which lighter models are made, would be lost.
    #[error("--output is the model itself, {}, and its weights of 32 bits would be lost: name another file", .0.display())]
    Same(PathBuf),
    /// A file would be lost.
    #[error(transparent)]
    Exists(#[from] Exists),
    /// The images can't be used.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// A picture can't be used.
    #[error("can't use {page}: {error}")]
    Frame {
        /// The picture.
        page: Page,
        /// Why.
        error: FrameError,
    },
    /// A picture can't be cut.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The model can't be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Whether both paths lead to the same existing file.
fn same_file(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

impl Quantize {
    /// Writes the model.
    pub fn run(&self) -> Result<(), QuantizeError> {
        if let (TargetPrecision::Fp16, Some(option)) = (self.to, self.image_option()) {
            return Err(QuantizeError::NoEffect(option));
        }
        // CUDA refuses some operators on integers, and `auto` would compare networks of two providers.
        let options = Options {
            provider: Provider::Cpu,
            ..self.runtime.options()
        };
        // First, because its errors are the more precise ones.
        let opened = OpenModel::open(&self.model, &options)?;
        let foreign = || QuantizeError::Foreign(self.model.clone());
        let (_, mut model) = model_file::read(&self.model)?;
        let graph = model.graph.take().ok_or_else(foreign)?;
        let contract = opened.contract();
        let is_ours = model.producer_name == env!("CARGO_PKG_NAME") && opened.carries_contract();
        if !is_ours || contract.precision != Precision::F32 {
            return Err(foreign());
        }
        let output = self.output()?;
        check(&output)?;
        let (graph, precision) = match (self.to, &self.images) {
            (TargetPrecision::Int8, Some(images)) => {
                let inputs = self.inputs(images, contract)?;
                let outputs = *contract.outputs().end();
                let decision = Decision::new(contract.activation, outputs, contract.threshold);
                let file = ExactModel {
                    path: &self.model,
                    model: &model,
                    options: &options,
                };
                let calibration = Calibration::new(file, &graph, &inputs, decision)?;
                let tolerance = self.tolerance.unwrap_or(TOLERANCE);
                (calibration.int8(tolerance)?, Precision::Int8)
            }
            _ => (half_precision::halved(&graph), Precision::F16),
        };
        let contract = Contract {
            precision,
            // These are the original's.
            scores: Default::default(),
            ..contract.clone()
        };
        model.graph = Some(graph);
        for entry in &mut model.metadata_props {
            if entry.key == METADATA_KEY {
                entry.value = contract.to_json();
            }
        }
        let bytes = model.encode_to_vec();
        replace(&output, &bytes)?;
        let size = bytes.len() as f64 / 1e6;
        say(&format!(
            "{} of {size:.1} MB, {precision}",
            output.display()
        ));
        Ok(())
    }

    /// A given option that only has an effect with images.
    fn image_option(&self) -> Option<&'static str> {
        let given = [
            ("images", self.images.is_some()),
            ("count", self.count.is_some()),
            ("tolerance", self.tolerance.is_some()),
        ];
        let (option, _) = given.into_iter().find(|(_, is_given)| *is_given)?;
        Some(option)
    }

    /// The file to write, unless something would be lost by that.
    fn output(&self) -> Result<PathBuf, QuantizeError> {
        let ending = match self.to {
            TargetPrecision::Int8 => "int8.onnx",
            TargetPrecision::Fp16 => "fp16.onnx",
        };
        let output = self.output.clone();
        let output = output.unwrap_or_else(|| self.model.with_extension(ending));
        if same_file(&output, &self.model) {
            return Err(QuantizeError::Same(output));
        }
        allow([output.clone()], self.overwrite)?;
        Ok(output)
    }

    /// The network's input for the middle of some images.
    fn inputs(
        &self,
        images: &Path,
        contract: &Contract,
    ) -> Result<Vec<NetworkInput>, QuantizeError> {
        let pages = in_order(images)?;
        let mut reader = Reader::default();
        let mut normalizer = Normalizer::new(contract.normalization);
        let mut inputs = Vec::new();
        for (_, page) in spread(&pages, self.count.unwrap_or(COUNT)) {
            let picture = reader.read(page, |raster| Picture::of(raster, contract))?;
            let frame = picture.frame().map_err(|error| QuantizeError::Frame {
                page: page.clone(),
                error,
            })?;
            let size = TileSize::Inner(PART);
            let plan = Plan::new(picture.size(), &contract.geometry, Blend::Crop, size)?;
            let Some(tile) = plan.tiles().nth(plan.len() / 2) else {
                continue;
            };
            let channels = contract.channels;
            let scaling = normalizer.scaling(&frame, channels);
            let mut pixels = vec![0.0; channels.count() * plan.outer.area()];
            fill_tile_input(&frame, channels, scaling, tile, plan.outer, &mut pixels);
            let shape = [channels.count(), plan.outer.height, plan.outer.width];
            inputs.push(NetworkInput { pixels, shape });
        }
        Ok(inputs)
    }
}

/// The model that is quantized, without its graph.
#[derive(Clone, Copy)]
struct ExactModel<'a> {
    path: &'a Path,
    model: &'a Model,
    options: &'a Options,
}

impl ExactModel<'_> {
    /// Opens the model with `graph`, with the same options for all graphs, so that they compute alike.
    fn open(&self, graph: &Graph) -> Result<Trace, ModelError> {
        let model = Model {
            graph: Some(graph.clone()),
            ..self.model.clone()
        };
        Trace::open(self.path, model, self.options)
    }
}

/// A network with the ranges of its feature maps.
struct Calibration<'a> {
    file: ExactModel<'a>,
    graph: Graph,
    ranges: HashMap<String, Range>,
    inputs: &'a [NetworkInput],
    /// Turns scores into probabilities.
    decision: Decision,
    /// Probabilities of the original network.
    exact: Vec<Vec<f32>>,
}

impl<'a> Calibration<'a> {
    fn new(
        file: ExactModel<'a>,
        graph: &Graph,
        inputs: &'a [NetworkInput],
        decision: Decision,
    ) -> Result<Self, QuantizeError> {
        let graph = channels_last::up_convolutions(graph);
        let names = measured(&graph).into_iter();
        let inner = names.filter(|name| graph.input.iter().all(|input| input.name != *name));
        let inner = inner.map(|name| ValueInfo {
            name: name.into(),
            r#type: Some(Type {
                tensor_type: Some(TensorType {
                    elem_type: DataType::Float as i32,
                    shape: None,
                }),
            }),
        });
        let mut traced = graph.clone();
        let outputs: HashSet<String> = graph.output.iter().map(|o| o.name.clone()).collect();
        traced
            .output
            .extend(inner.filter(|value| !outputs.contains(&value.name)));
        let mut ranges = ranges(&mut file.open(&traced)?, inputs)?;
        let extended = |range: Range, value: &f32| Range {
            min: range.min.min(*value),
            max: range.max.max(*value),
        };
        let none = Range { min: 0.0, max: 0.0 };
        let pixels = inputs.iter().flat_map(|input| &input.pixels);
        let of_input = pixels.fold(none, extended);
        ranges.extend(graph.input.iter().map(|i| (i.name.clone(), of_input)));
        let mut calibration = Calibration {
            file,
            graph,
            ranges,
            inputs,
            decision,
            exact: Vec::new(),
        };
        calibration.exact = calibration.probabilities(&calibration.graph)?;
        Ok(calibration)
    }

    /// The graph in 8 bits, except for the layers that change the probabilities by more than `tolerance`. Prints
    /// for each layer how much it changes them.
    fn int8(&self, tolerance: f64) -> Result<Graph, QuantizeError> {
        let mut light = HashSet::new();
        for layer in layers(&self.graph) {
            let change = self.change(&HashSet::from([layer]))?;
            let name = layer.trim_start_matches(PREFIX).trim_end_matches(".four");
            let note = if change <= tolerance {
                light.insert(layer);
                ""
            } else {
                "  stays in floating point"
            };
            say(&format!("{name:16} {change:.5}{note}"));
        }
        let graph = quantized(&self.graph, &self.ranges, &light);
        say(&format!("all together     {:.5}", self.change(&light)?));
        Ok(graph)
    }

    /// The mean change of a pixel's probabilities when these layers are computed in 8 bits: how much of them moves
    /// between classes.
    fn change(&self, layers: &HashSet<&str>) -> Result<f64, QuantizeError> {
        let found = self.probabilities(&quantized(&self.graph, &self.ranges, layers))?;
        let pairs = self.exact.iter().flatten().zip(found.iter().flatten());
        let (sum, count) = pairs.fold((0.0, 0_usize), |(sum, count), (exact, found)| {
            (sum + f64::from((exact - found).abs()), count + 1)
        });
        // One class gains what another loses, so the sum counts everything twice.
        let pixels = count as f64 / self.decision.outputs() as f64;
        Ok(sum / 2.0 / pixels.max(1.0))
    }

    /// The probabilities of all classes that a graph gives for [`JUDGED`] of the inputs.
    fn probabilities(&self, graph: &Graph) -> Result<Vec<Vec<f32>>, QuantizeError> {
        let mut trace = self.file.open(graph)?;
        let mut all = Vec::new();
        for NetworkInput { pixels, shape } in spread(self.inputs, JUDGED) {
            trace.run(pixels, *shape, |_, scores| {
                all.push(self.decision.probabilities(scores))
            })?;
        }
        Ok(all)
    }
}
