//! `unet-train tune`: finds the best threshold, smallest object and cores of a model on other images.

use std::path::PathBuf;

use clap::Args;
use prost::Message;

use super::options::{Annotations, AnnotationsError, RuntimeOptions};
use super::picture::Picture;
use super::predictor::{PagePredictError, PredictError, Predictor, PredictorOptions};
use crate::contract::{Contract, METADATA_KEY};
use crate::picture::{FeatureExtractor, FrameError, Normalizer};
use crate::train::dataset::{DatasetError, Reader};
use crate::train::model_file::{self, FileError};
use crate::train::replace::{Exists, WriteError, allow, check, replace};
use crate::train::target::Truth;
use crate::train::terminal::say;
use crate::train::trained_model::rounded;
use crate::train::validate::{Prediction, ValidationResult};

/// Adapt what counts as an object, without training.
///
/// Segments IMAGES and finds the threshold, the smallest object and the cores of
/// objects (see `split=cores` of the element) with which the model scores best
/// against MASKS. They are stored in the model; its weights do not change. Use
/// images that it was not trained on, of cells of another size or from another
/// microscope; a few are enough. The model also stores their image features, so
/// that the element no longer warns about such pictures (see its
/// `check-pictures`).
///
///   unet-train tune --model cells.onnx --images images --masks masks --output mine.onnx
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Tune {
    /// The model: an ONNX file that this program wrote
    #[arg(long, value_name = "FILE.onnx")]
    model: PathBuf,
    #[command(flatten)]
    annotations: Annotations,
    /// Keep threshold, smallest object, cores and scores; only store the image features of the pictures. Masks are
    /// still needed: pictures without one are not used
    #[arg(long)]
    pictures_only: bool,
    /// Model to write [default: the model itself, which takes --overwrite]
    #[arg(long, value_name = "FILE.onnx")]
    output: Option<PathBuf>,
    /// Replace an existing file, such as the model
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    runtime: RuntimeOptions,
}

/// Why a model can't be tuned.
#[derive(Debug, thiserror::Error)]
pub enum TuneError {
    /// It is no model of this program, and may hold parts that this program would lose.
    #[error("{} is no model that unet-train wrote", .0.display())]
    Foreign(PathBuf),
    /// Its file can't be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file would be lost.
    #[error(transparent)]
    Exists(#[from] Exists),
    /// Limits that find nothing would be best.
    #[error("none of the masks shows a cell, so a model that finds none would score best")]
    NothingToFind,
    /// Images can't be used.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// Images or masks can't be used, or not with this model.
    #[error(transparent)]
    Annotations(#[from] AnnotationsError),
    /// The model can't be used.
    #[error(transparent)]
    Model(PredictError),
    /// A picture can't be segmented.
    #[error(transparent)]
    Predict(#[from] PagePredictError),
    /// The model can't be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl Tune {
    /// Finds the best limits and writes the model with them.
    pub fn run(&self) -> Result<(), TuneError> {
        let output = self.output.as_ref().unwrap_or(&self.model);
        allow([output.clone()], self.overwrite)?;
        // Neither a smallest object nor cores, which are to be found.
        let how = PredictorOptions {
            min_area: Some(0),
            whole: true,
            ..PredictorOptions::default()
        };
        let open = Predictor::open(&self.model, &self.runtime.options(), how);
        let mut predictor = open.map_err(TuneError::Model)?;
        let (_, mut model) = model_file::read(&self.model)?;
        let ours = model.producer_name == env!("CARGO_PKG_NAME");
        let mut entries = model.metadata_props.iter_mut();
        let entry = entries.find(|entry| ours && entry.key == METADATA_KEY);
        let entry = entry.ok_or_else(|| TuneError::Foreign(self.model.clone()))?;
        check(output)?;
        let contract = self.tuned(&mut predictor)?;
        entry.value = contract.to_json();
        replace(output, &model.encode_to_vec())?;
        say(&output.display().to_string());
        Ok(())
    }

    /// The contract of the model with the best limits, and its scores with them.
    fn tuned(&self, predictor: &mut Predictor) -> Result<Contract, TuneError> {
        let contract = predictor.contract().clone();
        let dataset = self.annotations.dataset(&contract)?;
        let mut truths = dataset.samples.iter().map(|sample| &sample.truth);
        if !self.pictures_only && !truths.any(Truth::shows_cells) {
            return Err(TuneError::NothingToFind);
        }
        let mut reader = Reader::default();
        let mut found = Vec::new();
        let mut features = FeatureCollector::new(&contract);
        for sample in &dataset.samples {
            let picture = reader.read(&sample.image, |raster| Picture::of(raster, &contract))?;
            sample.fits(picture.size().height, picture.size().width)?;
            let failed = |error: PredictError| PagePredictError {
                page: sample.image.clone(),
                error,
            };
            let added = features.add(&picture);
            added.map_err(|error| failed(error.into()))?;
            if self.pictures_only {
                continue;
            }
            let prediction = predictor.predict(&picture).map_err(failed)?;
            found.push(match contract.classes.len() {
                2 => Prediction::Foreground(prediction.probability),
                _ => Prediction::Classes(prediction.mask),
            });
        }
        let contract = features.contract;
        if self.pictures_only {
            say(&dataset.to_string());
            return Ok(contract);
        }
        let truths = dataset.samples.iter().map(|sample| &sample.truth);
        let answers: Vec<_> = found.into_iter().zip(truths).collect();
        let result = ValidationResult::of(&answers, dataset.kind.into());
        let ValidationResult { limits, scores } = result;
        let description = limits.description(contract.classes.len());
        say(&format!("{dataset}\n{description}: {scores}"));
        let contract = Contract {
            min_area: limits.min_area,
            core_threshold: limits.core_threshold,
            scores: rounded(scores.named()),
            ..contract
        };
        Ok(match contract.classes.len() {
            2 => Contract {
                threshold: limits.threshold,
                ..contract
            },
            _ => contract,
        })
    }
}

/// Adds the features of pictures to a contract.
struct FeatureCollector {
    contract: Contract,
    normalizer: Normalizer,
    extractor: FeatureExtractor,
}

impl FeatureCollector {
    fn new(contract: &Contract) -> Self {
        FeatureCollector {
            contract: contract.clone(),
            normalizer: Normalizer::new(contract.normalization),
            extractor: FeatureExtractor::default(),
        }
    }

    fn add(&mut self, picture: &Picture) -> Result<(), FrameError> {
        let frame = picture.frame()?;
        let channels = self.contract.channels;
        let scaling = self.normalizer.scaling(&frame, channels);
        if let Some(features) = self.extractor.of_frame(&frame, channels, scaling) {
            self.contract.pictures.add(&features);
        }
        Ok(())
    }
}
