//! `unet-train segment`: masks, labels, probabilities and overlays of many pictures.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use image::ImageError;

use super::options::{RuntimeOptions, UseOptions};
use super::picture::Picture;
use super::png::{self, DrawError, Png};
use super::predictor::{PagePredictError, PredictError, Prediction};
use crate::contract::Contract;
use crate::picture::{Color, DisplayRange};
use crate::train::arguments::number;
use crate::train::dataset::{DatasetError, Page, Reader, in_order, is_taken};
use crate::train::plane::Plane;
use crate::train::replace::{Exists, WriteError, allow, check_in, replace};
use crate::train::terminal::say;

/// Segment images.
///
/// Writes a PNG file of the same name for each of IMAGES into the folder OUTPUT;
/// if --what lists several outputs, each goes into its own folder, OUTPUT/mask,
/// OUTPUT/labels and so on. Pages of a stack are numbered: stack-000.png,
/// stack-001.png.
///
///   unet-train segment --model cells.onnx --images stack.tif --output found --what labels,overlay
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Segment {
    /// The model: an ONNX file of this program or of another
    #[arg(long, value_name = "FILE.onnx")]
    model: PathBuf,
    /// Images: a folder of PNG and TIFF files, or a TIFF stack
    #[arg(long, value_name = "PATH")]
    images: PathBuf,
    /// Folder for the results
    #[arg(long, alias = "out", value_name = "FOLDER")]
    output: PathBuf,
    /// Replace existing files
    #[arg(long)]
    overwrite: bool,
    /// Outputs to write, separated by commas
    #[arg(long, value_enum, value_delimiter = ',', default_value = "mask")]
    what: Vec<OutputKind>,
    #[command(flatten)]
    how: UseOptions,
    #[command(flatten)]
    drawing: DrawingOptions,
    #[command(flatten)]
    runtime: RuntimeOptions,
}

/// An output for an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputKind {
    /// 8 bits: 0 and 255 for models of two classes, else the number of the class; only of objects that are large enough
    Mask,
    /// 16 bits: 0, and one number for each object
    Labels,
    /// 16 bits: 0 to 65535 for probabilities of 0 to 1 that a pixel is not background
    Probability,
    /// The image with the classes drawn over it, as the element draws them
    Overlay,
}

impl OutputKind {
    fn folder(self) -> &'static str {
        match self {
            OutputKind::Mask => "mask",
            OutputKind::Labels => "labels",
            OutputKind::Probability => "probability",
            OutputKind::Overlay => "overlay",
        }
    }
}

/// How overlays look.
#[derive(Args, Debug)]
#[command(next_help_heading = "Overlays")]
struct DrawingOptions {
    /// How strongly classes are filled, 0 to 1; 0: outlines only [default: 0.35]
    #[arg(long, value_name = "0..1", value_parser = number(0.0_f32..=1.0))]
    opacity: Option<f32>,
    /// Grey values shown as black and white in images of more than 8 bits: auto, for each image by
    /// itself, or LOW,HIGH [default: auto]
    #[arg(long, value_name = "RANGE")]
    display_range: Option<DisplayRange>,
}

/// Default of --opacity.
const OPACITY: f32 = 0.35;

impl DrawingOptions {
    /// One that was given.
    fn given(&self) -> Option<&'static str> {
        match (self.opacity, self.display_range) {
            (Some(_), _) => Some("opacity"),
            (_, Some(_)) => Some("display-range"),
            (None, None) => None,
        }
    }
}

/// Why pictures can't be segmented.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// An option that only overlays have.
    #[error("--{0} has no effect without --what overlay")]
    NoEffect(&'static str),
    /// Pictures can't be read.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// The model can't be used.
    #[error(transparent)]
    Model(PredictError),
    /// A picture can't be segmented.
    #[error(transparent)]
    Predict(#[from] PagePredictError),
    /// The images would be replaced.
    #[error("--output names the folder of the images, {}, where results would take their names: name another", .0.display())]
    Same(PathBuf),
    /// A file would be lost.
    #[error(transparent)]
    Exists(#[from] Exists),
    /// Two results would have one name.
    #[error("{} and {} would both be written as {name}.png: rename one", pages[0], pages[1])]
    Twice {
        /// The name.
        name: String,
        /// The pictures.
        pages: Box<[Page; 2]>,
    },
    /// More objects than 16 bits can number.
    #[error(
        "{page} has {count} objects, and 16 bits can number {}: --min-area leaves out small ones",
        u16::MAX
    )]
    TooMany {
        /// The picture.
        page: Page,
        /// Objects found.
        count: u32,
    },
    /// A result can't be encoded as PNG.
    #[error("can't encode {}: {error}", file.display())]
    Encode {
        /// The file.
        file: PathBuf,
        /// Why.
        error: ImageError,
    },
    /// A result can't be drawn.
    #[error("can't draw {page}: {error}")]
    Draw {
        /// The picture.
        page: Page,
        /// Why.
        error: DrawError,
    },
    /// A result or its folder can't be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl Segment {
    /// Segments the images and writes the results.
    pub fn run(&self) -> Result<(), SegmentError> {
        if let Some(option) = self.drawing.given()
            && !self.what.contains(&OutputKind::Overlay)
        {
            return Err(SegmentError::NoEffect(option));
        }
        let mut predictor = self
            .how
            .predictor(&self.model, &self.runtime)
            .map_err(SegmentError::Model)?;
        let pages = in_order(&self.images)?;
        let mut names = BTreeMap::new();
        for (name, page) in &pages {
            if let Some(other) = names.insert(name, page) {
                return Err(SegmentError::Twice {
                    name: name.clone(),
                    pages: Box::new([other.clone(), page.clone()]),
                });
            }
        }
        let mut reader = Reader::default();
        let folders = self.folders()?;
        let files = folders.iter().flat_map(|(_, folder)| {
            let names = pages.iter().map(|(name, _)| name);
            names.map(move |name| folder.join(format!("{name}.png")))
        });
        allow(files, self.overwrite)?;
        for (_, folder) in &folders {
            // If any name is too long, the longest is.
            if let Some((name, _)) = pages.iter().max_by_key(|(name, _)| name.len()) {
                check_in(folder, &format!("{name}.png"))?;
            }
            fs::create_dir_all(folder).map_err(|error| WriteError {
                file: folder.clone(),
                error,
            })?;
        }
        let mut found = 0;
        for (name, page) in &pages {
            let contract = predictor.contract();
            let picture = reader.read(page, |raster| Picture::of(raster, contract))?;
            let failed = |error| PagePredictError {
                page: page.clone(),
                error,
            };
            let prediction = predictor.predict(&picture).map_err(failed)?;
            found += largest(&prediction.objects);
            for (what, folder) in &folders {
                let png = self.png(*what, page, &picture, &prediction, predictor.contract())?;
                write(&folder.join(format!("{name}.png")), &png)?;
            }
        }
        say(&format!(
            "{} image(s), {found} object(s), written to {}",
            pages.len(),
            self.output.display()
        ));
        Ok(())
    }

    /// The folder of each output.
    fn folders(&self) -> Result<Vec<(OutputKind, PathBuf)>, SegmentError> {
        let folder = |what: &OutputKind| match self.what.len() {
            1 => self.output.clone(),
            _ => self.output.join(what.folder()),
        };
        let folders: Vec<_> = self.what.iter().map(|what| (*what, folder(what))).collect();
        let mut paths = folders.iter().map(|(_, folder)| folder);
        match paths.find(|folder| is_taken(folder, &self.images)) {
            Some(folder) => Err(SegmentError::Same(folder.clone())),
            None => Ok(folders),
        }
    }

    fn png(
        &self,
        what: OutputKind,
        page: &Page,
        picture: &Picture,
        prediction: &Prediction,
        contract: &Contract,
    ) -> Result<Png, SegmentError> {
        let drawn = |png: Result<Png, DrawError>| {
            png.map_err(|error| SegmentError::Draw {
                page: page.clone(),
                error,
            })
        };
        match what {
            OutputKind::Mask => Ok(png::mask(&prediction.mask, contract.classes.len())),
            OutputKind::Labels => {
                let labels = png::labels(&prediction.objects);
                labels.ok_or_else(|| SegmentError::TooMany {
                    page: page.clone(),
                    count: largest(&prediction.objects),
                })
            }
            OutputKind::Probability => drawn(png::probability(&prediction.probability, picture)),
            OutputKind::Overlay => {
                let classes = contract.classes.iter();
                let colors: Vec<Color> = classes.map(|class| class.color).collect();
                let opacity = self.drawing.opacity.unwrap_or(OPACITY);
                let range = self.drawing.display_range.unwrap_or_default();
                let mask = &prediction.mask;
                drawn(png::overlay(picture, mask, &colors, opacity, range))
            }
        }
    }
}

/// The largest number, which is the number of objects.
fn largest(objects: &Plane<u32>) -> u32 {
    objects.data.iter().copied().max().unwrap_or(0)
}

fn write(file: &Path, png: &Png) -> Result<(), SegmentError> {
    let bytes = png.encode().map_err(|error| SegmentError::Encode {
        file: file.into(),
        error,
    })?;
    Ok(replace(file, &bytes)?)
}
