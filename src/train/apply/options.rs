//! Options shared by the commands that use a model.

use std::env;
use std::path::{Path, PathBuf};

use clap::Args;

use super::predictor::{PredictError, Predictor, PredictorOptions};
use crate::contract::{Channels, Contract};
use crate::inference::library::Search;
use crate::inference::{ConvolutionMethod, Options, Provider};
use crate::train::arguments::number;
use crate::train::dataset::{
    Annotated, Dataset, DatasetError, InputChannels, MaskKind, Source, Standard, annotations,
    without_effect,
};

/// Where and how a model runs.
#[derive(Args, Debug)]
#[command(next_help_heading = "Running the model")]
pub struct RuntimeOptions {
    /// ONNX Runtime's shared library [default: ORT_DYLIB_PATH, else beside this program, else where
    /// make puts it, else the system's]
    #[arg(long, value_name = "FILE")]
    runtime_library: Option<PathBuf>,
    /// Execution provider: auto, cpu, cuda, tensorrt, migraphx, openvino, coreml, directml, webgpu
    #[arg(long, value_name = "NAME", default_value = "auto", value_parser = provider)]
    execution_provider: Provider,
    /// Processor threads; 0: one for each core
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    threads: usize,
    /// How 3x3 convolutions are computed on a processor with AVX2: direct, or winograd, which is faster
    /// (docs/tuning.md)
    #[arg(long, value_name = "METHOD", default_value = "direct", value_parser = convolutions)]
    convolution: ConvolutionMethod,
}

/// How a model is applied to images.
#[derive(Args, Debug)]
#[command(next_help_heading = "Using the model")]
pub struct UseOptions {
    /// Average over this many rotations of each image, 2 to 16, by equal angles. Without a number
    /// these are the four quarter turns, which need no interpolation; --rotations=7 is the average of
    /// the paper
    #[arg(
        long,
        value_name = "COUNT",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "4",
        value_parser = number(2_usize..=16)
    )]
    rotations: Option<usize>,
    /// Average over each image and its mirror image; with --rotations over twice as many versions
    #[arg(long)]
    mirrors: bool,
    /// Probability above which a pixel is foreground, for models of two classes [default: the model's]
    #[arg(long, value_name = "0..1", value_parser = number(0.0_f32..=1.0))]
    threshold: Option<f32>,
    /// Leave out objects of fewer pixels [default: the model's, else none]
    #[arg(long, value_name = "PIXELS")]
    min_area: Option<usize>,
    /// Take each connected component as one object, where the model would let objects grow from cores
    #[arg(long)]
    whole: bool,
}

impl RuntimeOptions {
    /// How to open a model.
    pub fn options(&self) -> Options {
        let program = env::current_exe().ok();
        Options {
            library: Search {
                explicit: self.runtime_library.clone(),
                beside: program.and_then(|program| Some(program.parent()?.to_owned())),
                log: None,
            },
            provider: self.execution_provider,
            threads: self.threads,
            convolutions: self.convolution,
            ..Options::default()
        }
    }
}

impl UseOptions {
    /// Opens the model in the file `path`.
    pub fn predictor(
        &self,
        path: &Path,
        runtime: &RuntimeOptions,
    ) -> Result<Predictor, PredictError> {
        let how = PredictorOptions {
            rotations: self.rotations.unwrap_or(1),
            mirrors: self.mirrors,
            threshold: self.threshold,
            min_area: self.min_area,
            whole: self.whole,
        };
        Predictor::open(path, &runtime.options(), how)
    }
}

/// Images and masks to judge a model by.
#[derive(Args, Debug)]
#[command(
    // The model decides these.
    mut_arg("classes", |arg| arg.hide(true)),
    mut_arg("channels", |arg| arg.hide(true)),
)]
pub struct Annotations {
    #[command(flatten)]
    source: Source,
    /// Use only the images whose names this file lists, one per line
    #[arg(long, value_name = "FILE")]
    only: Option<PathBuf>,
}

/// Why images and masks can't be used to judge a model.
#[derive(Debug, thiserror::Error)]
pub enum AnnotationsError {
    /// They can't be read.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// An option that is the model's to decide.
    #[error("--classes and --channels are for training: the model says what they are")]
    ModelDecides,
    /// An option that has no effect on these files.
    #[error("--{option} has no effect {why}")]
    NoEffect {
        /// The option.
        option: &'static str,
        /// Why.
        why: &'static str,
    },
}

impl Annotations {
    /// Reads them as input and truth for the model of `contract`.
    pub fn dataset(&self, contract: &Contract) -> Result<Dataset<Annotated>, AnnotationsError> {
        let source = for_model(&self.source, contract)?;
        let is_given = |option: &str| option != "truth" || source.truth != Standard::default();
        if let Some((option, why)) = without_effect(&source, is_given) {
            return Err(AnnotationsError::NoEffect { option, why });
        }
        let dataset = annotations(&source)?;
        Ok(match &self.only {
            Some(list) => dataset.only(list)?,
            None => dataset,
        })
    }
}

/// `source` with what the contract says about classes and channels.
fn for_model(source: &Source, contract: &Contract) -> Result<Source, AnnotationsError> {
    let mut source = source.clone();
    if !source.classes.is_empty() || source.channels != InputChannels::default() {
        return Err(AnnotationsError::ModelDecides);
    }
    // As training names them.
    let is_membranes = matches!(&contract.classes[..], [first, _] if first.name == "membrane");
    if source.kind.is_none() && is_membranes {
        source.kind = Some(MaskKind::Membranes);
    }
    let has_many = contract.classes.len() > 2 && source.kind.is_none();
    if has_many || source.kind == Some(MaskKind::Classes) {
        let names = contract.classes.iter().map(|class| class.name.clone());
        source.classes = names.collect();
    }
    source.channels = match contract.channels {
        Channels::Gray => InputChannels::Gray,
        Channels::Rgb => InputChannels::Rgb,
    };
    Ok(source)
}

fn convolutions(name: &str) -> Result<ConvolutionMethod, String> {
    match name {
        "direct" => Ok(ConvolutionMethod::Direct),
        "winograd" => Ok(ConvolutionMethod::Winograd),
        _ => Err("there is no such method".into()),
    }
}

fn provider(name: &str) -> Result<Provider, String> {
    let all = Provider::AUTO.into_iter();
    all.chain([Provider::Auto, Provider::TensorRt])
        .find(|provider| provider.name() == name)
        .ok_or_else(|| "there is no such execution provider".into())
}
