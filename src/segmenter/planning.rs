//! How frames are cut up, and what memory that takes.

use std::collections::TryReserveError;
use std::time::Duration;

use super::batch::{self, Runs};
use super::{SegmentError, Segmenter};
use crate::inference::multiplies_8_bits;
use crate::reuse::{Kept, Reuse};
use crate::tiling::{Plan, Size, Stitcher, TileSize};

/// Memory that ONNX Runtime takes for a tile, as a multiple of the feature maps that are alive at one
/// time: it also keeps copies in the layout of its kernels, and its arena grows in powers of two.
/// Measured on the processor with a network of width 24, depth 3 and valid convolutions, tiles of 0.26 to
/// 2.4 megapixels: 2.2 to 2.7.
const RUNTIME_SHARE: f64 = 2.8;

/// The same of networks in integers, whose maps are small beside what is unfolded of them. Measured with the models of
/// this project, `tile-memory` of 128 and 512 MiB: 3.0 to 4.0 where the processor multiplies in 8 bits, 6.9 to 7.4 where
/// ONNX Runtime makes up for it.
const RUNTIME_SHARE_OF_INTEGERS: [f64; 2] = [4.0, 7.6];

/// Bytes that ONNX Runtime takes whatever the tiles: code, threads, weights. They count as memory of the network, too,
/// but never for more than this part of what it may take.
const RUNTIME_ITSELF: u64 = 48 << 20;
const MOST_FOR_ITSELF: u64 = 6;

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

/// What is there for frames of one size.
pub(super) struct Prepared {
    pub plan: Plan,
    pub stitcher: Stitcher,
    pub runs: Runs,
    /// Where tiles are reused.
    pub kept: Option<Kept>,
}

/// That memory lacks for frames of one size.
#[derive(Clone, Copy)]
pub(super) struct Shortage {
    frame: Size,
    /// Bytes that tiles may take instead of those that were asked for.
    memory: u64,
}

/// How many tiles of a plan are best seen in one run, for the last plans that this was measured of.
#[derive(Default)]
pub(super) struct Batches(Vec<(Size, usize, usize)>);

impl Batches {
    /// Most plans that are remembered.
    const MOST: usize = 64;

    fn of(&self, plan: &Plan) -> Option<usize> {
        let mut measured = self.0.iter();
        let found = measured.find(|(outer, tiles, _)| (*outer, *tiles) == (plan.outer, plan.len()));
        found.map(|(.., batch)| *batch)
    }

    fn keep(&mut self, plan: &Plan, batch: usize) {
        if self.0.len() >= Self::MOST {
            self.0.remove(0);
        }
        self.0.push((plan.outer, plan.len(), batch));
    }
}

impl Segmenter {
    /// Plans the tiles for frames of `frame` pixels and makes all memory that they need. Frames of
    /// another size do that by themselves, and take longer for it.
    ///
    /// Where memory lacks for tiles that were planned, smaller ones are tried, for frames of this size.
    pub fn prepare(&mut self, frame: Size) -> Result<&Plan, SegmentError> {
        let had = self.prepared.as_ref();
        if had.is_none_or(|prepared| prepared.plan.frame != frame) {
            // The memory of the old ones goes first, so that two sets never take it at once.
            self.prepared = None;
            self.model.forget_shapes();
            // No tiles are small enough for a frame that there is no room for.
            leave_room(frame)?;
            while let Err(error) = self.plan(frame) {
                self.shrink_for(frame, error)?;
            }
        }
        let prepared = self.prepared.as_ref().ok_or(SegmentError::Unprepared)?;
        Ok(&prepared.plan)
    }

    fn plan(&mut self, frame: Size) -> Result<(), SegmentError> {
        let geometry = self.geometry();
        let plan = Plan::new(frame, &geometry, self.blend(), self.tile_size(frame))?;
        let kept = match self.tiles.reuse {
            Reuse::Off => None,
            // Answers that are averaged with those of other tiles can't be kept.
            _ if plan.blends() => None,
            reuse => {
                let in_parts = self.takes_parts();
                Some(Kept::new(reuse, &plan, &geometry, in_parts)?)
            }
        };
        let wanted = match (&kept, self.tiles.batch) {
            // How many tiles have changed is not known before.
            (Some(_), _) => 1,
            (None, 0) => self.batches.of(&plan).unwrap_or(0),
            (None, wanted) => wanted,
        };
        let most_pixels = self.pixels_of_a_run(frame);
        let runs = batch::choose(&mut self.model, &plan, (wanted, most_pixels))?;
        if wanted == 0 {
            self.batches.keep(&plan, runs.batch);
        }
        leave_room(frame)?;
        let stitcher = Stitcher::new(&plan, self.decision())?;
        self.prepared = Some(Prepared {
            plan,
            stitcher,
            runs,
            kept,
        });
        Ok(())
    }

    /// Plans tiles of half the memory for frames of this size, if it was memory that lacked and there is something
    /// to save; otherwise the error is the caller's.
    pub(super) fn shrink_for(
        &mut self,
        frame: Size,
        error: SegmentError,
    ) -> Result<(), SegmentError> {
        let memory = self.memory_for(frame) / 2;
        if self.tiles.size != 0 || memory < LEAST_MEMORY || !error.is_out_of_memory() {
            return Err(error);
        }
        self.shortage = Some(Shortage { frame, memory });
        self.prepared = None;
        self.model.forget_shapes();
        Ok(())
    }

    /// Bytes that tiles take at most, where those that were asked for are not to be had for the current frames.
    pub fn short_of_memory(&self) -> Option<u64> {
        let frame = self.prepared.as_ref()?.plan.frame;
        let shortage = self.shortage.filter(|shortage| shortage.frame == frame)?;
        Some(shortage.memory)
    }

    /// How long a frame takes, as far as black tiles tell; 0 before [`prepare`](Self::prepare).
    pub fn expected_time(&self) -> Duration {
        let Some(Prepared { plan, runs, .. }) = &self.prepared else {
            return Duration::ZERO;
        };
        let count = u32::try_from(plan.len().div_ceil(runs.batch)).unwrap_or(u32::MAX);
        runs.trial.saturating_mul(count)
    }

    /// How large tiles of `frame` may be.
    fn tile_size(&self, frame: Size) -> TileSize {
        let room = self.pixels_of_a_run(frame);
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
        !global && !self.model.compiles_shapes()
    }

    /// Input pixels of a tile of `frame`, or of several that are seen at once: memory bounds them, and that a run can't
    /// be ended while one operator computes.
    fn pixels_of_a_run(&self, frame: Size) -> usize {
        let survey = self.model.survey();
        let share = match survey.integers {
            true => RUNTIME_SHARE_OF_INTEGERS[usize::from(!multiplies_8_bits())],
            false => RUNTIME_SHARE,
        };
        let bytes = survey.bytes_per_pixel.max(1.0) * share;
        let memory = self.memory_for(frame);
        let of_tiles = memory - RUNTIME_ITSELF.min(memory / MOST_FOR_ITSELF);
        let in_memory = (of_tiles as f64 / bytes) as usize;
        in_memory.min((WORK_AT_ONCE / survey.work_per_pixel.max(1.0)) as usize)
    }

    /// Bytes that running the network on tiles of `frame` may take.
    fn memory_for(&self, frame: Size) -> u64 {
        let shortage = self.shortage.filter(|shortage| shortage.frame == frame);
        shortage.map_or(self.tiles.memory, |shortage| shortage.memory)
    }
}

/// Makes sure that the network has left memory for frames of this size: other code that asks for memory may not be
/// prepared to get none.
pub(crate) fn leave_room(frame: Size) -> Result<(), TryReserveError> {
    let mut room: Vec<u8> = Vec::new();
    let for_frames = frame.area().saturating_mul(ROOM_PER_PIXEL);
    room.try_reserve_exact(for_frames.saturating_add(ROOM))
}
