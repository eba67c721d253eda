//! `unet-train evaluate`: scores a model.

use std::path::PathBuf;

use clap::Args;

use super::options::{Annotations, AnnotationsError, RuntimeOptions, UseOptions};
use super::picture::Picture;
use super::predictor::{PagePredictError, PredictError, Predictor};
use super::report::{Report, Row};
use crate::train::components::with_classes;
use crate::train::dataset::{Annotated, DatasetError, Reader};
use crate::train::metrics::cells::drop_border;
use crate::train::metrics::{Measure, Tally};
use crate::train::plane::Plane;
use crate::train::replace::{WriteError, check, replace};
use crate::train::terminal::say;

/// Score a model on images with masks.
///
/// Segments IMAGES as the GStreamer element would and compares the result with MASKS, in any layout
/// that `train` reads. For a publication, use images that were not trained on.
///
/// Cells: a mask holds one number for each cell; if no mask has more than one, each connected
/// component is a cell.
///   SEG     mean over true cells of the intersection over union with the cell that covers more than
///           half of it (Cell Tracking Challenge)
///   F1, AP  cells found, at intersections over union above 0.5, 0.75, 0.9: 2 TP / (2 TP + FP + FN),
///           TP / (TP + FP + FN)
///   merged  true cells of which more than half lies in a found cell that also holds another
///   IoU, Dice, pixel error   foreground pixels, whichever cell they belong to
/// Membranes (--kind membranes, or the first of two classes is named membrane); means over images.
///   V_rand, V_info   how well cells are separated, after thinning (ISBI 2012)
///   pixel error, warping error   wrong pixels: all, and those that change the topology
///
///   unet-train evaluate --model cells.onnx --images test/images --masks test/masks --per-image
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Evaluate {
    /// The model: an ONNX file of this program or of another
    #[arg(long, value_name = "FILE.onnx")]
    model: PathBuf,
    #[command(flatten)]
    annotations: Annotations,
    /// Leave out cells that lie entirely within this many pixels of the edge (the Cell Tracking
    /// Challenge's field of interest)
    #[arg(long, value_name = "PIXELS", default_value_t = 0)]
    border: usize,
    /// Show the scores of each image
    #[arg(long)]
    per_image: bool,
    /// Also score at this many thresholds, and show the best of each score (the ISBI 2012 challenge: 10)
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 0,
        hide_default_value = true
    )]
    levels: u8,
    /// Also write all scores to this file, replacing one that exists
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(flatten)]
    how: UseOptions,
    #[command(flatten)]
    runtime: RuntimeOptions,
}

/// Why a model can't be scored.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
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
    /// An option that has no meaning for membranes.
    #[error("--border leaves out cells at the edge; it has no meaning for membranes")]
    Border,
    /// No cell is left to score by.
    #[error("--border {0} leaves out every cell of the masks: set fewer pixels")]
    NothingCounts(usize),
    /// An option that has no meaning for a model of more classes.
    #[error(
        "--levels sets thresholds for the probability of foreground; the model has {0} classes, of which the most likely counts"
    )]
    Levels(usize),
    /// The JSON file can't be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl Evaluate {
    /// Scores the model, prints the table and writes the JSON file.
    pub fn run(&self) -> Result<(), EvaluateError> {
        self.json.as_deref().map_or(Ok(()), check)?;
        let report = self.report()?;
        // Printed first, as that can't fail.
        say(report.table(self.per_image).trim_end());
        if let Some(file) = &self.json {
            let json = serde_json::to_vec_pretty(&report).map_err(|error| WriteError {
                file: file.clone(),
                error: error.into(),
            })?;
            replace(file, &json)?;
        }
        Ok(())
    }

    /// Scores the model.
    pub fn report(&self) -> Result<Report, EvaluateError> {
        let mut predictor = self
            .how
            .predictor(&self.model, &self.runtime)
            .map_err(EvaluateError::Model)?;
        let dataset = self.annotations.dataset(predictor.contract())?;
        let measure = dataset.kind.into();
        if measure == Measure::Membranes && self.border > 0 {
            return Err(EvaluateError::Border);
        }
        let classes = predictor.contract().classes.len();
        if self.levels > 0 && classes > 2 {
            return Err(EvaluateError::Levels(classes));
        }
        let mut tallies = Tallies::new(measure, self.thresholds());
        let mut reader = Reader::default();
        for sample in &dataset.samples {
            self.add(sample, &mut reader, &mut predictor, &mut tallies)?;
        }
        let total = &tallies.total;
        if self.border > 0 && total.cells().is_some_and(|[truth, _]| truth == 0) {
            return Err(EvaluateError::NothingCounts(self.border));
        }
        Ok(Report {
            model: self.model.to_string_lossy().into_owned(),
            data: dataset.to_string(),
            kind: measure,
            threshold: (classes == 2).then(|| predictor.threshold()),
            min_area: predictor.min_area(),
            core_threshold: predictor.core_threshold(),
            border: self.border,
            versions: predictor.versions(),
            total: Row::new("total", total),
            best: Row::best(&tallies.levels),
            per_image: tallies.per_image,
        })
    }

    /// Segments an image and adds its scores.
    fn add(
        &self,
        sample: &Annotated,
        reader: &mut Reader,
        predictor: &mut Predictor,
        tallies: &mut Tallies,
    ) -> Result<(), EvaluateError> {
        let failed = |error| PagePredictError {
            page: sample.image.clone(),
            error,
        };
        let contract = predictor.contract();
        let picture = reader.read(&sample.image, |raster| Picture::of(raster, contract))?;
        sample.fits(picture.size().height, picture.size().width)?;
        let prediction = predictor.predict(&picture).map_err(failed)?;
        let truth = self.counted(sample.truth.objects());
        let ignored = sample.truth.ignored_pixels();
        for (level, tally) in &mut tallies.levels {
            let mask = prediction.probability.map(|p| u8::from(p > *level));
            let objects = predictor.objects(&mask, &prediction.probability);
            let objects = objects.map_err(|error| failed(error.into()))?;
            let found = self.counted(sample.truth.judged(objects));
            tally.add(&truth, &found, ignored);
        }
        let objects = with_classes(prediction.objects, &prediction.mask);
        let found = self.counted(sample.truth.judged(objects));
        tallies.total.add(&truth, &found, ignored);
        let mut alone = Tally::new(tallies.measure);
        alone.add(&truth, &found, ignored);
        tallies.per_image.push(Row::new(&sample.name, &alone));
        Ok(())
    }

    /// The thresholds of [`levels`](Self::levels), evenly spaced between 0 and 1.
    fn thresholds(&self) -> impl Iterator<Item = f32> {
        let steps = f32::from(self.levels) + 1.0;
        (1..=self.levels).map(move |level| f32::from(level) / steps)
    }

    /// The objects that count.
    fn counted(&self, mut objects: Plane<u32>) -> Plane<u32> {
        drop_border(&mut objects, self.border);
        objects
    }
}

/// The scores of the images so far.
struct Tallies {
    measure: Measure,
    total: Tally,
    /// The same at other thresholds.
    levels: Vec<(f32, Tally)>,
    per_image: Vec<Row>,
}

impl Tallies {
    fn new(measure: Measure, thresholds: impl Iterator<Item = f32>) -> Self {
        let tally = |level| (level, Tally::new(measure));
        Tallies {
            measure,
            total: Tally::new(measure),
            levels: thresholds.map(tally).collect(),
            per_image: Vec::new(),
        }
    }
}
