//! A frame in, a mask out: what the element and `unet-train` call.

mod batch;
mod whole;

use std::collections::TryReserveError;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::contract::{Contract, Geometry, Normalization};
use crate::inference::{Model, ModelError, Options};
use crate::picture::{self, Frame, Normalizer, Scaling};
use crate::reuse::{Kept, Reuse, Work};
use crate::tiling::{Blend, Decision, Plan, PlanError, Size, Span, Stitcher, TileSize};

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

/// What is given up for speed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct GivenUp {
    averaging: bool,
    /// How often the overlap was halved, and at last left out.
    overlap: u32,
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
        self.prepared = None;
    }

    /// What happens where tiles meet now.
    pub fn blend(&self) -> Blend {
        match self.given_up.averaging {
            true => Blend::Crop,
            false => self.tiles.blend,
        }
    }

    /// How far tiles see now beyond what they answer for, in pixels.
    pub fn halo(&self) -> usize {
        self.geometry().halo
    }

    /// Gives up the next thing that makes frames quicker and masks worse: averaging where tiles meet, then half of
    /// their overlap and half of that, then all that the network can do without. Returns whether there was any.
    pub fn give_up(&mut self) -> bool {
        let tiles = self.prepared.as_ref().map_or(0, |had| had.plan.len());
        let geometry = self.geometry();
        if tiles < 2 {
            return false;
        }
        if self.blend() != Blend::Crop {
            self.given_up.averaging = true;
        } else if geometry.halo > geometry.margin {
            self.given_up.overlap += 1;
        } else {
            return false;
        }
        self.prepared = None;
        true
    }

    /// Takes back what was given up last.
    pub fn take_back(&mut self) {
        if self.given_up.overlap > 0 {
            self.given_up.overlap -= 1;
        } else {
            self.given_up.averaging = false;
        }
        self.prepared = None;
    }

    /// Takes back all that was given up.
    pub fn take_all_back(&mut self) {
        if self.given_up != GivenUp::default() {
            self.given_up = GivenUp::default();
            self.prepared = None;
        }
    }

    /// The network's, with the overlap that is left.
    fn geometry(&self) -> Geometry {
        let geometry = self.model.contract().geometry;
        let halo = match self.given_up.overlap {
            halvings @ 0..=2 => geometry.halo >> halvings,
            _ => geometry.margin,
        };
        Geometry {
            halo: halo.max(geometry.margin),
            ..geometry
        }
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
            let tile_size = match (self.tiles.size, self.tiles.reuse) {
                (0, Reuse::Exact) => TileSize::Planned {
                    max_pixels: self.pixels_of_a_run().min(PIXELS_OF_KEPT),
                },
                (0, _) => TileSize::Planned {
                    max_pixels: self.pixels_of_a_run(),
                },
                (side, _) => TileSize::Inner(side),
            };
            let plan = Plan::new(frame, &geometry, self.blend(), tile_size)?;
            let activation = self.model.contract().activation;
            let kept = match self.tiles.reuse {
                Reuse::Off => None,
                // Answers that are averaged with those of other tiles can't be kept.
                _ if plan.blends() => None,
                reuse => Some(Kept::new(reuse, &plan, &geometry)?),
            };
            self.model.shape(plan.outer.height, plan.outer.width)?;
            let batch = match kept {
                // How many tiles have changed, nobody knows before.
                Some(_) => 1,
                None => {
                    let most_pixels = self.pixels_of_a_run();
                    batch::choose(&mut self.model, &plan, (self.tiles.batch, most_pixels))?
                }
            };
            leave_room(frame)?;
            let decision = Decision::new(activation, self.model.outputs(), self.threshold);
            let stitcher = Stitcher::new(&plan, decision)?;
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

/// A frame at work.
struct Task<'a, 'f> {
    model: &'a mut Model,
    frame: &'a Frame<'f>,
    scaling: Scaling,
    stitcher: &'a mut Stitcher,
    spent: Spent,
}

impl Task<'_, '_> {
    /// Infers one tile and writes its part of both maps.
    fn tile(
        &mut self,
        tile: (&Span, &Span),
        (outer, output): (Size, Size),
        mask: &mut [u8],
        probability: Option<&mut [f32]>,
    ) -> Result<(), SegmentError> {
        self.model.shape(outer.height, outer.width)?;
        let channels = self.model.contract().channels;
        let input = self.model.input();
        picture::fill(self.frame, channels, self.scaling, tile, outer, input);
        let start = Instant::now();
        let scores = self.model.run()?;
        self.spent.inference += start.elapsed();
        self.spent.runs += 1;
        self.stitcher.add(tile, (scores, output), mask, probability);
        Ok(())
    }

    /// Infers `count` tiles of the plan in one run, or what is left from the tile `first` on.
    fn batch(
        &mut self,
        plan: &Plan,
        (first, count): (usize, usize),
        mask: &mut [u8],
        mut probability: Option<&mut [f32]>,
    ) -> Result<(), SegmentError> {
        let (outer, output) = (plan.outer, plan.output);
        let tiles = || plan.tiles().skip(first).take(count);
        self.model
            .shape_of_batch(count, outer.height, outer.width)?;
        let channels = self.model.contract().channels;
        let inputs = self.model.input();
        let inputs = inputs.chunks_exact_mut(channels.count() * outer.area());
        for (tile, input) in tiles().zip(inputs) {
            picture::fill(self.frame, channels, self.scaling, tile, outer, input);
        }
        let per_tile = self.model.outputs() * output.area();
        let start = Instant::now();
        let scores = self.model.run()?;
        self.spent.inference += start.elapsed();
        self.spent.runs += 1;
        for (tile, scores) in tiles().zip(scores.chunks_exact(per_tile)) {
            let probability = probability.as_deref_mut();
            self.stitcher.add(tile, (scores, output), mask, probability);
        }
        Ok(())
    }

    /// Infers what has changed, and writes it into what is kept.
    fn what_changed(
        &mut self,
        plan: &Plan,
        kept: &mut Kept,
        with_probability: bool,
    ) -> Result<(), SegmentError> {
        if with_probability {
            kept.with_probability()?;
        }
        let done = self.infer_into(plan, kept);
        // A run that fails leaves parts unanswered that count as answered.
        if done.is_err() {
            kept.forget();
        }
        self.spent.reused = 1.0 - done? as f64 / plan.frame.area() as f64;
        Ok(())
    }

    /// Returns how many pixels were answered.
    fn infer_into(&mut self, plan: &Plan, kept: &mut Kept) -> Result<usize, SegmentError> {
        let channels = self.model.contract().channels;
        let (work, maps) = kept.look(self.frame, channels, self.scaling);
        let probability = Some(&mut maps.probability[..]).filter(|p| !p.is_empty());
        let (mask, mut probability) = (&mut maps.mask[..], probability);
        let mut answered = 0;
        let mut infer = |tile: (&Span, &Span), sizes| {
            answered += tile.0.target.len() * tile.1.target.len();
            self.tile(tile, sizes, mask, probability.as_deref_mut())
        };
        match work {
            Work::Tiles(touched) => {
                for tile in plan.tiles().filter(|tile| touched.sees(*tile, plan.outer)) {
                    infer(tile, (plan.outer, plan.output))?;
                }
            }
            Work::Patches(patches) => {
                for patch in patches {
                    let tile = (&patch.rows, &patch.columns);
                    infer(tile, (patch.outer, patch.output))?;
                }
            }
        }
        Ok(answered)
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
