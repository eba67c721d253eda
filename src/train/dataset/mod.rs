//! Data sets: files in one of several layouts, masks of several kinds.
//!
//! ```text
//! Source -> layout (folders | challenge | stacks) -> pairs of pages -> masks -> images -> split
//! ```

mod arrangement;
mod background;
mod challenge;
mod error;
mod files;
mod fingerprint;
mod folders;
mod masks;
mod natural;
mod numbers;
mod overwriting;
mod page;
mod source;
mod split;
mod stacks;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

pub use arrangement::{Arrangement, arrangement, without_effect};
pub use error::DatasetError;
pub use fingerprint::fingerprint;
pub use overwriting::{holds_data, is_taken};
pub use page::{Page, Reader};
pub use source::{InputChannels, Layout, MaskKind, Source, Standard};
pub use split::{Holdout, Order, Split};
pub use stacks::in_order;

use super::memory::check_images;
use super::plane::Plane;
use super::target::Truth;
use crate::contract::FeatureRanges;
use crate::inference::memory::available;
use crate::picture::{FeatureExtractor, Scaling};
use page::Pair;

/// One image with the truth about it. All planes have one size.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Name of the image: that of its file without ending, after its sequence and before its page, if it has
    /// these; `01/t007`, `stack-007`.
    pub name: String,
    /// The sequence that the image is part of; empty if there is only one.
    pub sequence: String,
    /// The input of the network, normalised as [`crate::contract::Normalization::ZScore`] has it: a plane
    /// of brightness, or one each of red, green and blue.
    pub image: Vec<Plane<f32>>,
    /// The truth about it.
    pub truth: Truth,
}

/// Samples, and facts about all of them.
#[derive(Clone, Debug)]
pub struct Dataset<S = Sample> {
    /// The samples in the order of sequences and frames; at least one.
    pub samples: Vec<S>,
    /// How the files are arranged.
    pub layout: Layout,
    /// The meaning of the numbers in the masks.
    pub kind: MaskKind,
    /// Number of images that were left out because they have no mask.
    pub without_mask: usize,
    /// The number to ignore, if no mask holds it.
    pub nowhere_ignored: Option<u32>,
    /// What is odd about the masks, but may be meant, each as a sentence.
    pub notes: Vec<String>,
}

impl<S> Dataset<S> {
    /// The same with other samples.
    fn try_map<T, E>(self, change: impl FnMut(S) -> Result<T, E>) -> Result<Dataset<T>, E> {
        Ok(Dataset {
            samples: self
                .samples
                .into_iter()
                .map(change)
                .collect::<Result<_, _>>()?,
            layout: self.layout,
            kind: self.kind,
            without_mask: self.without_mask,
            nowhere_ignored: self.nowhere_ignored,
            notes: self.notes,
        })
    }
}

impl<S: AsRef<Truth>> Dataset<S> {
    /// How many cells the masks show, unless they show classes.
    fn cells(&self) -> Option<usize> {
        let of_one = |sample: &S| {
            let runs = sample.as_ref().cells.data.chunk_by(|a, b| a == b);
            let numbers = runs.map(|run| run[0]).filter(|number| *number != 0);
            numbers.collect::<BTreeSet<_>>().len()
        };
        (self.kind != MaskKind::Classes).then(|| self.samples.iter().map(of_one).sum())
    }
}

impl AsRef<Truth> for Sample {
    fn as_ref(&self) -> &Truth {
        &self.truth
    }
}

impl AsRef<Truth> for Annotated {
    fn as_ref(&self) -> &Truth {
        &self.truth
    }
}

impl Dataset {
    /// Whether neighbours follow each other in time or depth, or may do so, if their names are one word with different
    /// numbers.
    pub fn has_sequences(&self) -> bool {
        let in_sequence = |sample: &Sample| !sample.sequence.is_empty();
        let word = |sample: &Sample| {
            let name = sample.name.trim_end_matches(|c: char| c.is_ascii_digit());
            (name.len() < sample.name.len() && !name.is_empty()).then(|| name.to_owned())
        };
        let first = self.samples.first().and_then(word);
        self.layout != Layout::Folders
            || self.samples.iter().any(in_sequence)
            || first.is_some() && self.samples.iter().all(|sample| word(sample) == first)
    }
}

/// The files of a data set.
#[derive(Debug)]
struct DatasetFiles {
    layout: Layout,
    pairs: Vec<Pair>,
    without_mask: usize,
    /// The folder of the masks, for messages.
    masks: PathBuf,
}

impl DatasetFiles {
    fn new(layout: Layout, masks: &Path) -> Self {
        DatasetFiles {
            layout,
            pairs: Vec::new(),
            without_mask: 0,
            masks: masks.into(),
        }
    }
}

/// An image that has not been read, and the truth about it.
#[derive(Clone, Debug)]
pub struct Annotated {
    /// As [`Sample::name`].
    pub name: String,
    /// As [`Sample::sequence`].
    pub sequence: String,
    /// The page that the image is.
    pub image: Page,
    /// The page that the mask is.
    pub mask: Page,
    /// The truth in the mask.
    pub truth: Truth,
}

impl Annotated {
    /// Refuses an image of `height` x `width` pixels whose mask has another size.
    pub fn fits(&self, height: usize, width: usize) -> Result<(), DatasetError> {
        let Plane {
            height: rows,
            width: columns,
            ..
        } = self.truth.cells;
        if (height, width) == (rows, columns) {
            return Ok(());
        }
        Err(DatasetError::Sizes {
            image: self.image.clone(),
            image_size: (height, width),
            mask: self.mask.clone(),
            mask_size: (rows, columns),
        })
    }
}

/// Finds the images, and reads their masks, which need not show everything that is to be learned.
pub fn annotations(source: &Source) -> Result<Dataset<Annotated>, DatasetError> {
    read(source).map(|(dataset, _)| dataset)
}

/// Finds, reads and checks all images and masks to learn from.
pub fn load(source: &Source) -> Result<Dataset, DatasetError> {
    let (dataset, meaning) = read(source)?;
    meaning.check(dataset.samples.iter().map(|annotated| &annotated.truth))?;
    let pixels = |annotated: &Annotated| annotated.truth.cells.data.len();
    let pixels = dataset.samples.iter().map(pixels).sum();
    check_images(pixels, source.channels().count(), available()).map_err(DatasetError::Memory)?;
    let mut images = Reader::default();
    dataset.try_map(|annotated| {
        let image = images.read(&annotated.image, |raster| raster.shown(source.channels()))?;
        annotated.fits(image[0].height, image[0].width)?;
        Ok(Sample {
            name: annotated.name,
            sequence: annotated.sequence,
            image: standardised(image),
            truth: annotated.truth,
        })
    })
}

/// The ranges of the features of images, for the contract of a model that learns from them.
pub fn feature_ranges(samples: &[Sample]) -> FeatureRanges {
    let mut extractor = FeatureExtractor::default();
    let mut ranges = FeatureRanges::default();
    for Sample { image, .. } in samples {
        let width = image.first().map_or(0, |plane| plane.width);
        let planes = image.iter().map(|plane| &plane.data[..]);
        if let Some(features) = extractor.of_planes(planes, width) {
            ranges.add(&features);
        }
    }
    ranges
}

/// Some of many: `count` of them, or all where there are fewer, spread evenly.
pub fn spread<T>(all: &[T], count: usize) -> impl Iterator<Item = &T> {
    let count = count.min(all.len());
    (0..count).map(move |place| &all[place * all.len() / count])
}

fn read(source: &Source) -> Result<(Dataset<Annotated>, masks::Meaning), DatasetError> {
    let source = &source.settled();
    source.check()?;
    let found = find(source)?;
    check_names(&found.pairs)?;
    let mut reader = Reader::default();
    let read = |pair: Pair| Ok((reader.read(&pair.mask, |raster| raster.labels())?, pair));
    let masks: Vec<_> = found
        .pairs
        .into_iter()
        .map(read)
        .collect::<Result<_, _>>()?;
    let meaning = masks::Meaning::of(source, found.masks, masks.iter().map(|(mask, _)| mask));
    let numbered = || masks.iter().map(|(mask, pair)| (mask, &pair.mask));
    let is_chosen = source.kind.is_some();
    let odd = match meaning.kind {
        // Cells may fill every picture, but nobody guesses that.
        MaskKind::Instances if is_chosen => None,
        MaskKind::Classes => {
            meaning.check_first_class(masks.iter().map(|(mask, _)| mask))?;
            None
        }
        _ => background::check(numbered(), source.ignore)?,
    };
    if meaning.kind == MaskKind::Instances && !is_chosen {
        numbers::check(numbered(), source.ignore)?;
    }
    let ambiguous = meaning
        .ambiguous(numbered())
        .filter(|_| source.ignore.is_none());
    let notes = odd
        .iter()
        .map(ToString::to_string)
        .chain(ambiguous)
        .collect();
    let annotated = |(mask, pair): (Plane<u32>, Pair)| {
        Ok(Annotated {
            truth: meaning.truth(&mask, &pair.mask)?,
            name: pair.name,
            sequence: pair.sequence,
            image: pair.image,
            mask: pair.mask,
        })
    };
    let samples: Vec<_> = masks.into_iter().map(annotated).collect::<Result<_, _>>()?;
    let is_ignored = |sample: &Annotated| sample.truth.ignored.is_some();
    let dataset = Dataset {
        layout: found.layout,
        kind: meaning.kind,
        without_mask: found.without_mask,
        nowhere_ignored: source.ignore.filter(|_| !samples.iter().any(is_ignored)),
        notes,
        samples,
    };
    Ok((dataset, meaning))
}

/// Refuses two images of one name: lists would not tell them apart, and one that is learned from could be validated by.
fn check_names(pairs: &[Pair]) -> Result<(), DatasetError> {
    let mut images = BTreeMap::new();
    for Pair { name, image, .. } in pairs {
        if let Some(other) = images.insert(name, image) {
            return Err(DatasetError::SameName {
                name: name.clone(),
                pages: Box::new([other.clone(), image.clone()]),
            });
        }
    }
    Ok(())
}

/// Finds the files of a data set.
fn find(source: &Source) -> Result<DatasetFiles, DatasetError> {
    let Arrangement {
        layout,
        images,
        masks,
    } = arrangement(source)?;
    match (layout, &masks) {
        (Layout::Folders, Some(masks)) => folders::find(&images, masks, source.annotated_only),
        (Layout::Stacks, Some(masks)) => stacks::find(&images, masks),
        (_, masks) => {
            let masks = masks.as_deref();
            challenge::find(&images, masks, source.truth, source.annotated_only)
        }
    }
}

/// The z-score with the statistics of the whole image, all its channels together.
fn standardised(image: Vec<Plane<f32>>) -> Vec<Plane<f32>> {
    let values = || {
        image
            .iter()
            .flat_map(|plane| &plane.data)
            .map(|x| f64::from(*x))
    };
    let count = values().count().max(1) as f64;
    let mean = values().sum::<f64>() / count;
    let deviation = (values().map(|x| (x - mean).powi(2)).sum::<f64>() / count).sqrt();
    let scaling = Scaling::z_score(mean, deviation);
    let change = |x| scaling.apply(f64::from(x)) as f32;
    image.iter().map(|plane| plane.map(change)).collect()
}

impl<S: AsRef<Truth>> fmt::Display for Dataset<S> {
    /// A line about the files that were found and how masks were taken.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layout = match self.layout {
            Layout::Folders => "a folder of images and one of masks",
            Layout::CellTracking => "a Cell Tracking Challenge folder",
            Layout::Stacks => "stacks, page by page",
        };
        write!(
            f,
            "{} images from {layout}; masks show {}",
            self.samples.len(),
            self.kind.description()
        )?;
        match self.cells() {
            None => (),
            Some(1) => write!(f, " (1 cell)")?,
            Some(count) => write!(f, " ({count} cells)")?,
        }
        match self.without_mask {
            0 => (),
            count => write!(f, "; {count} images without a mask left out")?,
        }
        if let Some(value) = self.nowhere_ignored {
            write!(f, "; no mask holds {value}, the number to ignore")?;
        }
        self.notes
            .iter()
            .try_for_each(|note| write!(f, "\nnote: {note}"))
    }
}

#[cfg(test)]
mod tests;
