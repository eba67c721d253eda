//! A frame in, a mask out: what the element and `unet-train` call.

mod averaging;
mod batch;
mod giving_up;
mod planning;
mod task;
mod whole;

use std::collections::TryReserveError;
use std::path::Path;
use std::time::Duration;

use crate::contract::{Contract, Normalization};
use crate::inference::{Model, ModelError, Options};
use crate::picture::{Frame, Normalizer, Scaling};
use crate::reuse::Reuse;
use crate::tiling::{Blend, Decision, PlanError, Size};
use giving_up::GivenUp;
pub(crate) use planning::leave_room;
use planning::{Batches, Prepared, Shortage};
use task::Task;

/// How frames are cut into tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tiles {
    /// What happens where tiles meet.
    pub blend: Blend,
    /// Side of the part that one tile answers for, in pixels; 0: planned by cost under `memory`.
    pub size: usize,
    /// Bytes that running the network on one planned tile, or on one batch of them, may take.
    pub memory: u64,
    /// Tiles that the network sees in one run; 0: as many as take the least time, measured on the provider.
    pub batch: usize,
    /// Which tiles need not be inferred again.
    pub reuse: Reuse,
}

impl Default for Tiles {
    fn default() -> Self {
        Tiles {
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
    /// The model can't be opened, or a run of it has failed.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Frames of this size can't be cut into tiles for this network.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Memory is short for maps and tiles.
    #[error("there is not enough memory for the tiles of a frame of this size: {0}")]
    Space(#[from] TryReserveError),
    /// A frame came whose size was not [prepared](Segmenter::prepare).
    #[error("no tiles are planned for frames of this size")]
    Unprepared,
    /// The caller's memory for the result has not the size of the frame.
    #[error("{what} has {found} pixels, and the frame has {expected}")]
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
    /// Whether memory is short.
    pub fn is_out_of_memory(&self) -> bool {
        match self {
            Self::Space(_) => true,
            Self::Model(error) => error.is_out_of_memory(),
            Self::Plan(_) | Self::Unprepared | Self::Size { .. } => false,
        }
    }
}

/// A model with everything it needs for frames of one size.
pub struct Segmenter {
    model: Model,
    tiles: Tiles,
    normalizer: Normalizer,
    threshold: f32,
    prepared: Option<Prepared>,
    given_up: GivenUp,
    shortage: Option<Shortage>,
    batches: Batches,
}

/// What it took to segment a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spent {
    /// Time that the network took.
    pub inference: Duration,
    /// Runs of the network.
    pub runs: usize,
    /// Share of the frame's pixels whose answers were kept from earlier frames, `0..=1`.
    pub reused: f64,
}

impl Segmenter {
    /// Opens the model in the file `path`.
    ///
    /// # Errors
    /// As [`Model::open`], and where the model leaves no memory for anything else.
    pub fn open(path: &Path, options: &Options, tiles: Tiles) -> Result<Segmenter, ModelError> {
        let model = Model::open(path, options)?;
        let nothing = Size {
            width: 0,
            height: 0,
        };
        leave_room(nothing).map_err(|_| ModelError::Load {
            path: path.to_owned(),
            reason: "out of memory: it leaves none for anything else".into(),
        })?;
        Ok(Segmenter {
            normalizer: Normalizer::new(model.contract().normalization),
            threshold: model.contract().threshold,
            model,
            tiles,
            prepared: None,
            given_up: GivenUp::default(),
            shortage: None,
            batches: Batches::default(),
        })
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// What the model promises.
    pub fn contract(&self) -> &Contract {
        self.model.contract()
    }

    /// Probability above which a pixel is foreground where there are two classes.
    pub fn threshold(&self) -> f32 {
        self.threshold
    }

    /// Decides by another threshold than the contract's, a probability in `0..=1`.
    pub fn set_threshold(&mut self, threshold: f32) {
        self.threshold = threshold;
        let decision = self.decision();
        if let Some(prepared) = &mut self.prepared {
            prepared.stitcher.set_decision(decision);
            if let Some(kept) = &mut prepared.kept {
                kept.forget();
            }
        }
    }

    /// What makes classes of the network's scores.
    fn decision(&self) -> Decision {
        let activation = self.model.contract().activation;
        Decision::new(activation, self.model.outputs(), self.threshold)
    }

    /// Segments `frame`: writes the class of each pixel into `mask` and, where asked for, the
    /// probability that it is not background into `probability`. Both are rows of the frame's width
    /// without gaps.
    ///
    /// # Errors
    /// If `mask` or `probability` has another size than the frame, the network can't be moved over frames of that size,
    /// memory is short even for small tiles, or a run fails.
    pub fn segment(
        &mut self,
        frame: &Frame,
        normalization: Normalization,
        mask: &mut [u8],
        probability: Option<&mut [f32]>,
    ) -> Result<Spent, SegmentError> {
        let scaling = self.scaling(frame, normalization);
        self.segment_scaled(frame, scaling, mask, probability)
    }

    /// How the pixels of `frame` become the network's input.
    fn scaling(&mut self, frame: &Frame, normalization: Normalization) -> Scaling {
        if self.normalizer.normalization() != normalization {
            self.normalizer = Normalizer::new(normalization);
        }
        let channels = self.model.contract().channels;
        self.normalizer.scaling(frame, channels)
    }

    /// As [`segment`](Self::segment), for a frame of which it is known how its pixels become the network's
    /// input.
    pub fn segment_scaled(
        &mut self,
        frame: &Frame,
        scaling: Scaling,
        mask: &mut [u8],
        mut probability: Option<&mut [f32]>,
    ) -> Result<Spent, SegmentError> {
        let size = size_of(frame);
        self.prepare(size)?;
        loop {
            let probability = probability.as_deref_mut();
            match self.segment_once(frame, scaling, mask, probability) {
                Ok(spent) => return Ok(spent),
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
    ) -> Result<Spent, SegmentError> {
        let size = size_of(frame);
        fits("the mask", mask.len(), size)?;
        if let Some(probability) = &probability {
            fits("the probability", probability.len(), size)?;
        }
        self.prepare(size)?;
        let prepared = self.prepared.as_mut().ok_or(SegmentError::Unprepared)?;
        let Prepared {
            plan,
            stitcher,
            runs,
            kept,
        } = prepared;
        let mut task = Task {
            model: &mut self.model,
            frame,
            scaling,
            stitcher,
            spent: Spent::default(),
        };
        match kept {
            Some(kept) => {
                task.what_changed(plan, kept, probability.is_some())?;
                mask.copy_from_slice(&kept.maps().mask);
                if let Some(probability) = probability {
                    probability.copy_from_slice(&kept.maps().probability);
                }
            }
            None => {
                task.stitcher.begin();
                for first in (0..plan.len()).step_by(runs.batch) {
                    task.batch(plan, (first, runs.batch), mask, probability.as_deref_mut())?;
                }
                task.stitcher.finish(mask, probability);
            }
        }
        Ok(task.spent)
    }
}

fn size_of(frame: &Frame) -> Size {
    Size {
        width: frame.width(),
        height: frame.height(),
    }
}

fn fits(what: &'static str, found: usize, size: Size) -> Result<(), SegmentError> {
    let expected = size.area();
    match found == expected {
        true => Ok(()),
        false => Err(SegmentError::Size {
            what,
            found,
            expected,
        }),
    }
}
