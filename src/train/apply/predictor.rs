//! Segmenting pictures from files with a model.

use std::path::Path;

use super::picture::Picture;
use super::turn::Turn;
use crate::contract::Contract;
use crate::inference::{ModelError, Options};
use crate::labels::LabelError;
use crate::picture::{FrameError, Normalizer};
use crate::segmenter::{SegmentError, Segmenter, TileOptions};
use crate::train::components::{grown_from_cores, objects};
use crate::train::dataset::Page;
use crate::train::plane::Plane;
use crate::train::weight_map::separated;

/// How a model is applied, where its contract does not decide.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PredictorOptions {
    /// Average over so many rotations of a picture by equal angles; 0 and 1: it is not turned.
    pub rotations: usize,
    /// Average over a picture and its mirror image, or over all rotations and theirs.
    pub mirrors: bool,
    /// Probability above which a pixel is foreground, instead of the contract's.
    pub threshold: Option<f32>,
    /// Pixels of the smallest object that counts, instead of the contract's.
    pub min_area: Option<usize>,
    /// Take each connected component as one object, whatever the contract says about cores.
    pub whole: bool,
}

/// Why a picture can't be segmented.
#[derive(Debug, thiserror::Error)]
pub enum PredictError {
    /// The model can't be used.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The segmenter failed.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// The picture can't be used.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The objects can't be numbered.
    #[error(transparent)]
    Labels(#[from] LabelError),
    /// A threshold where there is more than one probability a pixel.
    #[error(
        "--threshold applies to the probability of foreground; the model has {0} classes, of which the most likely counts"
    )]
    Threshold(usize),
}

/// A picture that can't be segmented.
#[derive(Debug, thiserror::Error)]
#[error("can't segment {page}: {error}")]
pub struct PagePredictError {
    /// The picture.
    pub page: Page,
    /// Why.
    pub error: PredictError,
}

/// The result for a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The class of each pixel; objects that are too small, and gaps between separated ones, are background.
    pub mask: Plane<u8>,
    /// The 4-connected components of each class except background, or objects grown from cores where the
    /// model says so: 1, 2, 3 and so on.
    pub objects: Plane<u32>,
    /// Probability that a pixel is not background.
    pub probability: Plane<f32>,
}

/// Segments pictures with the [`Segmenter`] that the element uses, turned and mirrored if asked for,
/// and leaves out small objects.
pub struct Predictor {
    segmenter: Segmenter,
    turns: Vec<Turn>,
    min_area: usize,
    core_threshold: Option<f32>,
}

impl Predictor {
    /// Opens the model in the file `path`.
    pub fn open(
        path: &Path,
        options: &Options,
        how: PredictorOptions,
    ) -> Result<Self, PredictError> {
        let mut segmenter = Segmenter::open(path, options, TileOptions::default())?;
        let contract = segmenter.contract();
        let classes = contract.classes.len();
        if classes > 2 && how.threshold.is_some() {
            return Err(PredictError::Threshold(classes));
        }
        let min_area = how.min_area.or(contract.min_area).unwrap_or(0);
        let core_threshold = contract.core_threshold.filter(|_| !how.whole);
        if let Some(threshold) = how.threshold {
            segmenter.set_threshold(threshold);
        }
        Ok(Predictor {
            segmenter,
            turns: Turn::all(how.rotations, how.mirrors),
            min_area,
            core_threshold,
        })
    }

    /// The contract of the model.
    pub fn contract(&self) -> &Contract {
        self.segmenter.contract()
    }

    /// Probability above which a pixel is foreground.
    pub fn threshold(&self) -> f32 {
        self.segmenter.threshold()
    }

    /// Pixels of the smallest object that counts.
    pub fn min_area(&self) -> usize {
        self.min_area
    }

    /// Probability above which a pixel belongs to an object's core, where objects grow from cores.
    pub fn core_threshold(&self) -> Option<f32> {
        self.core_threshold
    }

    /// Number of versions of a picture that are averaged.
    pub fn versions(&self) -> usize {
        self.turns.len()
    }

    /// Segments a picture. Without averaging the mask is the segmenter's, pixel by pixel; otherwise mean
    /// probabilities decide: with two classes the foreground's against the threshold, with more the largest.
    pub fn predict(&mut self, picture: &Picture) -> Result<Prediction, PredictError> {
        let size = picture.size();
        let mut mask = Plane::filled(size.height, size.width, 0);
        let mut probability = Plane::filled(size.height, size.width, 0.0);
        match self.turns[..] {
            [_] => self.segment(picture, &mut mask.data, &mut probability.data)?,
            _ => {
                let mean = self.average(picture)?;
                let segmenter = &self.segmenter;
                segmenter.decide(&mean, &mut mask.data, &mut probability.data);
            }
        }
        let objects = self.objects(&mask, &probability)?;
        // Separated objects should be separate in the mask too, with the gap that networks learn to leave.
        let shown = match self.core_threshold {
            Some(_) => &separated(&objects),
            None => &objects,
        };
        for (class, object) in mask.data.iter_mut().zip(&shown.data) {
            *class = if *object == 0 { 0 } else { *class };
        }
        Ok(Prediction {
            mask,
            objects,
            probability,
        })
    }

    /// The objects of a mask, by the limits of the model and the options.
    pub fn objects(
        &self,
        mask: &Plane<u8>,
        probability: &Plane<f32>,
    ) -> Result<Plane<u32>, LabelError> {
        match self.core_threshold {
            Some(core) => grown_from_cores(mask, probability, (self.min_area, core)),
            None => Ok(objects(mask, self.min_area)),
        }
    }

    fn segment(
        &mut self,
        picture: &Picture,
        mask: &mut [u8],
        probability: &mut [f32],
    ) -> Result<(), PredictError> {
        let normalization = self.contract().normalization;
        let frame = picture.frame()?;
        self.segmenter
            .segment(&frame, normalization, mask, Some(probability))?;
        Ok(())
    }

    /// The mean of [`Segmenter::probabilities`] over all turns, each turned back.
    fn average(&mut self, picture: &Picture) -> Result<Vec<f32>, PredictError> {
        let size = picture.size();
        let share = 1.0 / self.turns.len() as f32;
        // All have the statistics of the original: a turned picture shows parts of it twice, and interpolation smooths
        // its noise.
        let contract = self.segmenter.contract();
        let mut normalizer = Normalizer::new(contract.normalization);
        let scaling = normalizer.scaling(&picture.frame()?, contract.channels);
        let mut mean: Vec<f32> = Vec::new();
        for turn in &self.turns {
            let turned = picture.turned(*turn);
            let found = self.segmenter.probabilities(&turned.frame()?, scaling)?;
            let planes = found.chunks_exact(turned.size().area());
            mean.resize(planes.len() * size.area(), 0.0);
            for (mean, found) in mean.chunks_exact_mut(size.area()).zip(planes) {
                for (mean, p) in mean.iter_mut().zip(turn.turned_back(found, size)) {
                    *mean += share * p;
                }
            }
        }
        Ok(mean)
    }
}
