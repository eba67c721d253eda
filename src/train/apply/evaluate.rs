//! `unet-train evaluate`: how good a model is.

use std::fs;
use std::io;
use std::path::PathBuf;

use clap::Args;

use super::files::{self, FileError, Page};
use super::options::{RuntimeOptions, UseOptions};
use super::picture::Picture;
use super::predictor::{PredictError, Prediction, Predictor};
use super::report::{Kind, Report, Row};
use crate::contract::Contract;
use crate::train::components::cells;
use crate::train::metrics::cells::drop_border;
use crate::train::metrics::{self, membranes};
use crate::train::plane::Plane;

/// Score a model on images with masks.
///
/// Segments IMAGES as the GStreamer element would and compares with MASKS. Masks and images belong
/// together by their names, or by the number that these end in (t007.tif, man_seg007.tif); images
/// without a mask are left out. For the scores of a paper use images that were not trained on.
///
/// Cells: a mask holds one number for each cell; in one of two values each connected component is one.
///   SEG     mean over true cells of the intersection over union with the cell that covers more than
///           half of it (Cell Tracking Challenge)
///   F1, AP  cells found, at intersections over union above 0.5, 0.75, 0.9: 2 TP / (2 TP + FP + FN),
///           TP / (TP + FP + FN)
///   IoU, Dice, pixel error   foreground pixels, whichever cell they belong to
/// Membranes: 0 is membrane, any other number the inside of a cell; means over the images.
///   V_rand, V_info   how well cells are told apart, after thinning (ISBI 2012)
///   pixel error, warping error   wrong pixels: all, and those that are wrong in topology
///
///   unet-train evaluate --model cells.onnx --images test/images --masks test/masks --per-image
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Evaluate {
    /// The model: an ONNX file of this program or of another
    #[arg(long, value_name = "FILE.onnx")]
    model: PathBuf,
    /// Images: a folder of PNG and TIFF files, or a TIFF stack
    #[arg(long, value_name = "PATH")]
    images: PathBuf,
    /// Masks: a folder of PNG and TIFF files, or a TIFF stack
    #[arg(long, value_name = "PATH")]
    masks: PathBuf,
    /// What the masks show [default: membranes if that is the name of the model's class 0, else cells]
    #[arg(long, value_enum)]
    kind: Option<Kind>,
    /// Leave out cells that lie within so many pixels of the edge (the Cell Tracking Challenge's field
    /// of interest)
    #[arg(long, value_name = "PIXELS", default_value_t = 0)]
    border: usize,
    /// Show the scores of each image
    #[arg(long)]
    per_image: bool,
    /// Write all scores into this file
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
    /// Images or masks can't be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The model can't be used.
    #[error(transparent)]
    Model(PredictError),
    /// A picture can't be segmented.
    #[error("can't segment {page}: {error}")]
    Predict {
        /// The picture.
        page: Page,
        /// Why.
        error: PredictError,
    },
    /// A mask of another size than its image.
    #[error("{image} is {}x{} pixels, but its mask {mask} is {}x{}", image_size[0], image_size[1], mask_size[0], mask_size[1])]
    Sizes {
        /// The image.
        image: Box<Page>,
        /// Width and height of the image.
        image_size: [usize; 2],
        /// The mask.
        mask: Box<Page>,
        /// Width and height of the mask.
        mask_size: [usize; 2],
    },
    /// An option that has no meaning for membranes.
    #[error("--border leaves out cells at the edge; it has no meaning for membranes")]
    Border,
    /// The JSON file can't be written.
    #[error("can't write {}: {error}", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
}

impl Evaluate {
    /// Scores the model, prints the table and writes the JSON file.
    pub fn run(&self) -> Result<(), EvaluateError> {
        let report = self.report()?;
        if let Some(file) = &self.json {
            let write = |error| EvaluateError::Write {
                file: file.clone(),
                error,
            };
            let json = serde_json::to_vec_pretty(&report).map_err(|error| write(error.into()))?;
            fs::write(file, json).map_err(write)?;
        }
        print!("{}", report.table(self.per_image));
        Ok(())
    }

    /// Scores the model.
    pub fn report(&self) -> Result<Report, EvaluateError> {
        let pairs = files::pairs(&self.images, &self.masks)?;
        let mut predictor = self
            .how
            .predictor(&self.model, &self.runtime)
            .map_err(EvaluateError::Model)?;
        let kind = self.kind.unwrap_or_else(|| kind(predictor.contract()));
        if kind == Kind::Membranes && self.border > 0 {
            return Err(EvaluateError::Border);
        }
        let mut scorer = Scorer::new(kind, self.border);
        let mut per_image = Vec::with_capacity(pairs.len());
        for (image, mask) in pairs {
            let (prediction, truth) = compared(&mut predictor, &image, mask)?;
            per_image.push(scorer.add(image.name, prediction, truth));
        }
        Ok(Report {
            model: self.model.clone(),
            kind,
            threshold: predictor.threshold(),
            min_area: predictor.min_area(),
            border: self.border,
            versions: predictor.versions(),
            total: scorer.total(),
            per_image,
        })
    }
}

/// What masks show that a model was made for.
fn kind(contract: &Contract) -> Kind {
    match contract.classes.first() {
        Some(class) if class.name == "membrane" => Kind::Membranes,
        _ => Kind::Cells,
    }
}

/// What the model finds in an image, and the truth of the same size.
fn compared(
    predictor: &mut Predictor,
    image: &Page,
    mask: Page,
) -> Result<(Prediction, Plane<u32>), EvaluateError> {
    let picture = Picture::read(image, predictor.contract().channels)?;
    let truth = files::labels(&mask)?;
    let size = picture.size();
    if [size.width, size.height] != [truth.width, truth.height] {
        return Err(EvaluateError::Sizes {
            image: Box::new(image.clone()),
            image_size: [size.width, size.height],
            mask: Box::new(mask),
            mask_size: [truth.width, truth.height],
        });
    }
    match predictor.predict(&picture) {
        Ok(prediction) => Ok((prediction, truth)),
        Err(error) => Err(EvaluateError::Predict {
            page: image.clone(),
            error,
        }),
    }
}

/// Scores image after image, and all together.
enum Scorer {
    Cells {
        tally: metrics::Tally,
        border: usize,
    },
    Membranes(membranes::Tally),
}

impl Scorer {
    fn new(kind: Kind, border: usize) -> Self {
        match kind {
            Kind::Cells => Scorer::Cells {
                tally: metrics::Tally::default(),
                border,
            },
            Kind::Membranes => Scorer::Membranes(membranes::Tally::default()),
        }
    }

    fn add(&mut self, name: String, prediction: Prediction, truth: Plane<u32>) -> Row {
        match self {
            Scorer::Cells { tally, border } => {
                let mut truth = cells(truth);
                let mut found = prediction.objects;
                drop_border(&mut truth, *border);
                drop_border(&mut found, *border);
                tally.add(&truth, &found);
                let mut alone = metrics::Tally::default();
                alone.add(&truth, &found);
                of_cells(name, &alone)
            }
            Scorer::Membranes(tally) => {
                let truth = truth.map(|number| number != 0);
                let found = prediction.mask.map(|class| class != 0);
                let scores = membranes::Scores::of(&truth, &found);
                tally.add(&scores);
                of_membranes(name, &scores)
            }
        }
    }

    fn total(&self) -> Row {
        let name = "total".to_owned();
        match self {
            Scorer::Cells { tally, .. } => of_cells(name, tally),
            Scorer::Membranes(tally) => of_membranes(name, &tally.scores()),
        }
    }
}

fn of_cells(name: String, tally: &metrics::Tally) -> Row {
    Row {
        name,
        cells: Some(tally.cells()),
        scores: tally.scores().named(),
    }
}

fn of_membranes(name: String, scores: &membranes::Scores) -> Row {
    Row {
        name,
        cells: None,
        scores: scores.named(),
    }
}
