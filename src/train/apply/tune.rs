//! `unet-train tune`: the threshold, the smallest object and the cores that suit a model on other images.

use std::path::PathBuf;

use clap::Args;
use prost::Message;

use super::options::{Annotations, AnnotationsError, RuntimeOptions};
use super::picture::Picture;
use super::predictor::{PagePredictError, PredictError, Predictor, Use};
use crate::contract::{Contract, METADATA_KEY};
use crate::picture::{FrameError, Gauge, Normalizer};
use crate::train::dataset::{DatasetError, Reader};
use crate::train::model_file::{self, FileError};
use crate::train::replace::{Exists, WriteError, allow, check, replace};
use crate::train::target::Truth;
use crate::train::terminal::say;
use crate::train::trained_model::rounded;
use crate::train::validate::{Found, Verdict};

/// Adapt what counts as an object, without learning anew.
///
/// Segments IMAGES and looks for the threshold, the smallest object and the cores of
/// objects (see `split=cores` of the element) with which the model does best by
/// MASKS. They become a part of the model; its weights stay as they are. Use images
/// that it did not learn from: cells of another size or another microscope, a few
/// pictures are enough. The model also remembers what they are like, so that the
/// element no longer warns of such (see its `check-pictures`).
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
    /// Leave threshold, smallest object, cores and scores as they are; only remember what the pictures are like. Masks
    /// are needed all the same: they say for which pictures somebody knows the truth
    #[arg(long)]
    pictures_only: bool,
    /// Model to write [default: the model itself is replaced]
    #[arg(long, value_name = "FILE.onnx")]
    output: Option<PathBuf>,
    /// Replace the file that --output names
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
    /// Whatever finds nothing would be best.
    #[error("none of the masks shows a cell, so that a model which finds none would suit best")]
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
    /// Finds what suits the model and writes it.
    pub fn run(&self) -> Result<(), TuneError> {
        allow(self.output.clone(), self.overwrite)?;
        // Each pixel counts here, and what touches is whole: that is what is looked for.
        let how = Use {
            min_area: Some(0),
            whole: true,
            ..Use::default()
        };
        let open = Predictor::open(&self.model, &self.runtime.options(), how);
        let mut predictor = open.map_err(TuneError::Model)?;
        let (_, mut model) = model_file::read(&self.model)?;
        let ours = model.producer_name == env!("CARGO_PKG_NAME");
        let mut entries = model.metadata_props.iter_mut();
        let entry = entries.find(|entry| ours && entry.key == METADATA_KEY);
        let entry = entry.ok_or_else(|| TuneError::Foreign(self.model.clone()))?;
        let output = self.output.as_ref().unwrap_or(&self.model);
        check(output)?;
        let contract = self.tuned(&mut predictor)?;
        entry.value = contract.to_json();
        replace(output, &model.encode_to_vec())?;
        say(&output.display().to_string());
        Ok(())
    }

    /// The contract of the model with what suits it, and its scores with that.
    fn tuned(&self, predictor: &mut Predictor) -> Result<Contract, TuneError> {
        let contract = predictor.contract().clone();
        let dataset = self.annotations.dataset(&contract)?;
        let mut truths = dataset.samples.iter().map(|sample| &sample.truth);
        if !self.pictures_only && !truths.any(Truth::shows_cells) {
            return Err(TuneError::NothingToFind);
        }
        let mut reader = Reader::default();
        let mut found = Vec::new();
        let mut known = Known::of(&contract);
        for sample in &dataset.samples {
            let picture = reader.read(&sample.image, |raster| Picture::of(raster, &contract))?;
            sample.fits(picture.size().height, picture.size().width)?;
            let failed = |error: PredictError| PagePredictError {
                page: sample.image.clone(),
                error,
            };
            known.add(&picture).map_err(|error| failed(error.into()))?;
            if self.pictures_only {
                continue;
            }
            let prediction = predictor.predict(&picture).map_err(failed)?;
            found.push(match contract.classes.len() {
                2 => Found::Foreground(prediction.probability),
                _ => Found::Classes(prediction.mask),
            });
        }
        let contract = known.contract;
        if self.pictures_only {
            say(&dataset.to_string());
            return Ok(contract);
        }
        let truths = dataset.samples.iter().map(|sample| &sample.truth);
        let answers: Vec<_> = found.into_iter().zip(truths).collect();
        let Verdict { limits, scores } = Verdict::of(&answers, dataset.kind.into());
        let words = limits.words(contract.classes.len());
        say(&format!("{dataset}\n{words}: {scores}"));
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

/// The contract of a model that gets to know pictures.
struct Known {
    contract: Contract,
    normalizer: Normalizer,
    gauge: Gauge,
}

impl Known {
    fn of(contract: &Contract) -> Self {
        Known {
            contract: contract.clone(),
            normalizer: Normalizer::new(contract.normalization),
            gauge: Gauge::default(),
        }
    }

    fn add(&mut self, picture: &Picture) -> Result<(), FrameError> {
        let frame = picture.frame()?;
        let channels = self.contract.channels;
        let scaling = self.normalizer.scaling(&frame, channels);
        if let Some(traits) = self.gauge.frame(&frame, channels, scaling) {
            self.contract.pictures.add(&traits);
        }
        Ok(())
    }
}
