//! A frame in, a mask out: what the element and `unet-train` call.

mod batch;
mod giving_up;
mod task;
mod whole;

use std::collections::TryReserveError;
use std::path::Path;
use std::time::Duration;

use crate::contract::{Contract, Normalization};
use crate::inference::{Model, ModelError, Options};
use crate::picture::{Frame, Normalizer, Scaling};
use crate::reuse::{Kept, Reuse};
use crate::tiling::{Blend, Decision, Plan, PlanError, Size, Stitcher, TileSize};
use giving_up::GivenUp;
use task::Task;

/// Memory that ONNX Runtime takes for a tile, as a multiple of the feature maps that are alive at one
/// time: it also keeps copies in the layout of its kernels, and its arena grows in powers of two.
/// Measured on the processor with a network of width 24, depth 3 and valid convolutions, tiles of 0.26 to
/// 2.4 megapixels: 2.2 to 2.7.
const RUNTIME_SHARE: f64 = 2.8;

/// Multiplications of one operator at one time at most, where tiles are planned: a few tenths of a second on two
/// cores, for which a flush or a stop has to wait. The paper's network has room for tiles of 960 x 960 pixels.
const WORK_AT_ONCE: f64 = (1_u64 << 36) as f64;

/// Input pixels of a planned tile where unchanged ones are left out: as small as it may be before what tiles
/// see beyond their part makes them dear.
const PIXELS_OF_KEPT: usize = 448 * 448;

/// Tiles are not planned for less memory than this, in bytes.
const LEAST_MEMORY: u64 = 8 << 20;

/// Bytes that are left free whatever the frame: threads that others start need as much for their stacks, and a
/// pipeline stands still for ever where it gets none.
const ROOM: usize = 64 << 20;

/// Bytes that are left free for each pixel of a frame: some frames of four bytes a pixel, and their masks.
const ROOM_PER_PIXEL: usize = 32;

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
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error("there is not enough memory for the tiles of a frame of this size: {0}")]
    Space(#[from] TryReserveError),
    #[error("no tiles are planned for frames of this size")]
    Unprepared,
    /// The caller's memory for the result has not the size of the frame.
    #[error("{what} has {found} pixels, and the frame has {expected}")]
    Size {
        what: &'static str,
        found: usize,
        expected: usize,
    },
}

impl SegmentError {
    /// Whether it is memory that lacks.
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
}

struct Prepared {
    plan: Plan,
    stitcher: Stitcher,
    /// Tiles of one run.
    batch: usize,
    /// Where tiles are reused.
    kept: Option<Kept>,
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

    /// Plans the tiles for frames of `frame` pixels and makes all memory that they need. Frames of
    /// another size do that on their own, and take longer for it.
    ///
    /// Where memory lacks for tiles that were planned, smaller ones are tried.
    pub fn prepare(&mut self, frame: Size) -> Result<&Plan, SegmentError> {
        while let Err(error) = self.prepare_once(frame) {
            self.shrink_for(error)?;
        }
        let prepared = self.prepared.as_ref().ok_or(SegmentError::Unprepared)?;
        Ok(&prepared.plan)
    }

    fn prepare_once(&mut self, frame: Size) -> Result<(), SegmentError> {
        let fits = self
            .prepared
            .as_ref()
            .is_some_and(|prepared| prepared.plan.frame == frame);
        if !fits {
            // The memory of the old ones goes first, so that two sets never take it at once.
            self.prepared = None;
            self.model.forget_shapes();
            let geometry = self.geometry();
            let plan = Plan::new(frame, &geometry, self.blend(), self.tile_size())?;
            let kept = match self.tiles.reuse {
                Reuse::Off => None,
                // Answers that are averaged with those of other tiles can't be kept.
                _ if plan.blends() => None,
                reuse => {
                    let in_parts = self.takes_parts();
                    Some(Kept::new(reuse, &plan, &geometry, in_parts)?)
                }
            };
            self.model.shape(plan.outer.height, plan.outer.width)?;
            let batch = match kept {
                // How many tiles have changed, nobody knows before.
                Some(_) => 1,
                None => {
                    let most_pixels = self.pixels_of_a_run();
                    // As many as fit where tiles were planned for one run each.
                    let wanted = match (self.tiles.batch, self.model.survey().global.is_some()) {
                        (0, _) => 0,
                        (wanted, true) => wanted.min(most_pixels / plan.outer.area().max(1)).max(1),
                        (wanted, false) => wanted,
                    };
                    batch::choose(&mut self.model, &plan, (wanted, most_pixels))?
                }
            };
            leave_room(frame)?;
            let stitcher = Stitcher::new(&plan, self.decision())?;
            self.prepared = Some(Prepared {
                plan,
                stitcher,
                batch,
                kept,
            });
        }
        Ok(())
    }

    /// Plans tiles of half the memory from now on, if it was memory that lacked and there is something to save;
    /// otherwise the error is the caller's.
    fn shrink_for(&mut self, error: SegmentError) -> Result<(), SegmentError> {
        let less = self.tiles.memory / 2;
        if self.tiles.size != 0 || less < LEAST_MEMORY || !error.is_out_of_memory() {
            return Err(error);
        }
        self.tiles.memory = less;
        self.prepared = None;
        self.model.forget_shapes();
        Ok(())
    }

    /// How large tiles may be.
    fn tile_size(&self) -> TileSize {
        let room = self.pixels_of_a_run();
        // A network that sees the whole picture answers otherwise for each cut: there is none but for want of memory.
        let global = self.model.survey().global.is_some();
        let max_pixels = match self.tiles.reuse {
            _ if global => room,
            // What is kept is inferred tile by tile.
            Reuse::Exact => room.min(PIXELS_OF_KEPT),
            Reuse::Threshold { .. } => room,
            // All tiles of a run share what there is.
            Reuse::Off => room / self.tiles.batch.max(1),
        };
        match self.tiles.size {
            0 => TileSize::Planned { max_pixels },
            side => TileSize::Inner(side),
        }
    }

    /// Whether parts of any shape may be inferred by themselves: of a network that sees the whole picture they would
    /// be others, and some providers need minutes for each shape.
    fn takes_parts(&self) -> bool {
        let global = self.model.survey().global.is_some();
        !global && !self.model.provider().compiles_shapes()
    }

    /// Input pixels of a tile, or of several that are seen at once: memory bounds them, and that a run can't be ended
    /// while one operator computes.
    fn pixels_of_a_run(&self) -> usize {
        let work = self.model.survey().work_per_pixel.max(1.0);
        self.pixels_in_memory().min((WORK_AT_ONCE / work) as usize)
    }

    /// Input pixels of a tile that fills the memory that tiles may take.
    fn pixels_in_memory(&self) -> usize {
        let bytes = self.model.survey().bytes_per_pixel.max(1.0) * RUNTIME_SHARE;
        (self.tiles.memory as f64 / bytes) as usize
    }

    /// Segments `frame`: writes the class of each pixel into `mask` and, where asked for, the
    /// probability that it is not background into `probability`. Both are rows of the frame's width
    /// without gaps.
    pub fn segment(
        &mut self,
        frame: &Frame,
        normalization: Normalization,
        mask: &mut [u8],
        probability: Option<&mut [f32]>,
    ) -> Result<Spent, SegmentError> {
        if self.normalizer.normalization() != normalization {
            self.normalizer = Normalizer::new(normalization);
        }
        let channels = self.model.contract().channels;
        let scaling = self.normalizer.scaling(frame, channels);
        self.segment_scaled(frame, scaling, mask, probability)
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
        loop {
            let probability = probability.as_deref_mut();
            match self.segment_once(frame, scaling, mask, probability) {
                Ok(spent) => return Ok(spent),
                Err(error) => self.shrink_for(error)?,
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
        let size = Size {
            width: frame.width(),
            height: frame.height(),
        };
        fits("the mask", mask.len(), size)?;
        if let Some(probability) = &probability {
            fits("the probability", probability.len(), size)?;
        }
        self.prepare(size)?;
        let prepared = self.prepared.as_mut().ok_or(SegmentError::Unprepared)?;
        let Prepared {
            plan,
            stitcher,
            batch,
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
                for first in (0..plan.len()).step_by(*batch) {
                    task.batch(plan, (first, *batch), mask, probability.as_deref_mut())?;
                }
                task.stitcher.finish(mask, probability);
            }
        }
        Ok(task.spent)
    }
}

/// Makes sure that the network has left memory for frames of this size: whoever else asks for it may not be
/// prepared to get none.
fn leave_room(frame: Size) -> Result<(), TryReserveError> {
    let mut room: Vec<u8> = Vec::new();
    let for_frames = frame.area().saturating_mul(ROOM_PER_PIXEL);
    room.try_reserve_exact(for_frames.saturating_add(ROOM))
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
