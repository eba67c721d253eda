//! Segments frames: the entry point for the element and `unet-train`.

mod averaging;
mod batch;
mod planning;
mod quality;
mod tile_runner;
mod whole;

use std::collections::TryReserveError;
use std::path::Path;
use std::time::Duration;

use crate::contract::{Contract, Normalization};
use crate::inference::{Model, ModelError, Options};
use crate::picture::{Frame, Normalizer, Scaling};
use crate::reuse::Reuse;
use crate::tiling::{Blend, Decision, PlanError, Size};
pub(crate) use planning::leave_room;
use planning::{BatchCache, Prepared, ReducedMemory};
use quality::QualityReduction;
use tile_runner::TileRunner;

/// How frames are cut into tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TileOptions {
    /// How neighbouring tiles are combined.
    pub blend: Blend,
    /// Side of the part that one tile outputs, in pixels; 0: planned by cost within `memory`.
    pub size: usize,
    /// Most bytes for running the network on one planned tile, or on one batch of them.
    pub memory: u64,
    /// Tiles per run of the network; 0: the fastest number, measured on the provider.
    pub batch: usize,
    /// Which results of earlier frames are reused.
    pub reuse: Reuse,
}

impl Default for TileOptions {
    fn default() -> Self {
        TileOptions {
            blend: Blend::default(),
            size: 0,
            memory: 1 << 30,
            batch: 0,
            reuse: Reuse::Off,
        }
    }
}

/// Why a frame can't be segmented.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// The model can't be opened, or a run has failed.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Frames of this size can't be cut into tiles for this network.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// There is not enough memory for maps and tiles.
    #[error(
        "there is not enough memory for the tiles of a frame of this size ({0}). Lower tile-memory, close other programs or use smaller frames"
    )]
    Space(#[from] TryReserveError),
    /// The frame has a size that was not [prepared](Segmenter::prepare).
    #[error("the segmenter is not prepared for frames of this size")]
    Unprepared,
    /// The caller's buffer for the result has another size than the frame.
    #[error("{what} has {found} pixels, but the frame has {expected}")]
    Size {
        /// Which result.
        what: &'static str,
        /// Its pixels.
        found: usize,
        /// The frame's pixels.
        expected: usize,
    },
}

impl SegmentError {
    /// Whether memory has run out.
    pub fn is_out_of_memory(&self) -> bool {
        match self {
            Self::Space(_) => true,
            Self::Model(error) => error.is_out_of_memory(),
            Self::Plan(_) | Self::Unprepared | Self::Size { .. } => false,
        }
    }
}

/// A model with everything needed for frames of one size.
pub struct Segmenter {
    model: Model,
    tiles: TileOptions,
    normalizer: Normalizer,
    threshold: f32,
    /// Threads of a run.
    threads: usize,
    prepared: Option<Prepared>,
    reduction: QualityReduction,
    reduced_memory: Option<ReducedMemory>,
    batches: BatchCache,
}

/// Statistics of segmenting a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SegmentStats {
    /// Time the network took.
    pub inference: Duration,
    /// Runs of the network.
    pub runs: usize,
    /// Share of the frame's pixels whose results were reused from earlier frames, `0..=1`.
    pub reused: f64,
}

impl Segmenter {
    /// Opens the model in the file `path`.
    ///
    /// # Errors
    /// Those of [`Model::open`], and if the model leaves no memory for anything else, or takes only one picture where
    /// `tiles` ask for batches.
    pub fn open(
        path: &Path,
        options: &Options,
        tiles: TileOptions,
    ) -> Result<Segmenter, ModelError> {
        let model = Model::open(path, options)?;
        if tiles.batch > 1 && !model.supports_batches() {
            return Err(ModelError::Options {
                reason: format!(
                    "batch-size={} can't be used with model {}, which takes one picture at a time: set batch-size to 0",
                    tiles.batch,
                    path.display()
                ),
            });
        }
        let nothing = Size {
            width: 0,
            height: 0,
        };
        leave_room(nothing).map_err(|_| ModelError::Load {
            path: path.to_owned(),
            reason: "out of memory: the model leaves none for anything else".into(),
        })?;
        Ok(Segmenter {
            normalizer: Normalizer::new(model.contract().normalization),
            threshold: model.contract().threshold,
            threads: options.threads_of_run(),
            model,
            tiles,
            prepared: None,
            reduction: QualityReduction::default(),
            reduced_memory: None,
            batches: BatchCache::default(),
        })
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The contract of the model.
    pub fn contract(&self) -> &Contract {
        self.model.contract()
    }

    /// Probability above which a pixel is foreground, with two classes.
    pub fn threshold(&self) -> f32 {
        self.threshold
    }

    /// Sets another threshold than the contract's, a probability in `0..=1`.
    pub fn set_threshold(&mut self, threshold: f32) {
        self.threshold = threshold;
        let decision = self.decision();
        if let Some(prepared) = &mut self.prepared {
            prepared.stitcher.set_decision(decision);
        }
        self.forget_results();
    }

    /// Reuses no results for earlier frames.
    pub fn forget_results(&mut self) {
        let prepared = self.prepared.as_mut();
        if let Some(cache) = prepared.and_then(|prepared| prepared.cache.as_mut()) {
            cache.invalidate();
        }
    }

    /// How the network's scores are turned into classes.
    fn decision(&self) -> Decision {
        let activation = self.model.contract().activation;
        Decision::new(activation, self.model.outputs(), self.threshold)
    }

    /// Segments `frame`: writes the class of each pixel into `mask` and, if requested, the probability that it is not
    /// background into `probability`. Both are rows of the frame's width without padding.
    ///
    /// # Errors
    /// If `mask` or `probability` has another size than the frame, frames of that size can't be tiled for the network,
    /// there is not enough memory even for small tiles, or a run fails.
    pub fn segment(
        &mut self,
        frame: &Frame,
        normalization: Normalization,
        mask: &mut [u8],
        probability: Option<&mut [f32]>,
    ) -> Result<SegmentStats, SegmentError> {
        let scaling = self.scaling(frame, normalization);
        self.segment_scaled(frame, scaling, mask, probability)
    }

    /// The scaling that normalizes `frame`.
    fn scaling(&mut self, frame: &Frame, normalization: Normalization) -> Scaling {
        if self.normalizer.normalization() != normalization {
            self.normalizer = Normalizer::new(normalization);
        }
        let channels = self.model.contract().channels;
        self.normalizer.scaling(frame, channels)
    }

    /// Like [`segment`](Self::segment), with a known scaling.
    pub fn segment_scaled(
        &mut self,
        frame: &Frame,
        scaling: Scaling,
        mask: &mut [u8],
        mut probability: Option<&mut [f32]>,
    ) -> Result<SegmentStats, SegmentError> {
        let size = size_of(frame);
        self.prepare(size)?;
        loop {
            let probability = probability.as_deref_mut();
            match self.segment_once(frame, scaling, mask, probability) {
                Ok(stats) => return Ok(stats),
                Err(error) => self.shrink_for(size, error)?,
            }
        }
    }

    fn segment_once(
        &mut self,
        frame: &Frame,
        scaling: Scaling,
        mask: &mut [u8],
        mut probability: Option<&mut [f32]>,
    ) -> Result<SegmentStats, SegmentError> {
        let size = size_of(frame);
        check_size("the mask", mask.len(), size)?;
        if let Some(probability) = &probability {
            check_size("the probability", probability.len(), size)?;
        }
        self.prepare(size)?;
        let prepared = self.prepared.as_mut().ok_or(SegmentError::Unprepared)?;
        let Prepared {
            plan,
            stitcher,
            batching,
            cache,
        } = prepared;
        let mut runner = TileRunner::new(&mut self.model, frame, scaling, stitcher);
        match cache {
            Some(cache) => {
                runner.run_changes(plan, cache, probability.is_some())?;
                mask.copy_from_slice(&cache.maps().mask);
                if let Some(probability) = probability {
                    probability.copy_from_slice(&cache.maps().probability);
                }
            }
            None => {
                runner.run_all(plan, batching.batch, mask, probability.as_deref_mut())?;
                runner.stitcher.finish(mask, probability);
            }
        }
        Ok(runner.stats)
    }
}

fn size_of(frame: &Frame) -> Size {
    Size {
        width: frame.width(),
        height: frame.height(),
    }
}

fn check_size(what: &'static str, found: usize, size: Size) -> Result<(), SegmentError> {
    let expected = size.area();
    if found == expected {
        Ok(())
    } else {
        Err(SegmentError::Size {
            what,
            found,
            expected,
        })
    }
}
