//! Plans how frames are tiled, within the memory available.

use std::collections::TryReserveError;
use std::time::Duration;

use super::batch::{self, Batching};
use super::{SegmentError, Segmenter};
use crate::inference::{Provider, has_int8_dot_product};
use crate::reuse::{Reuse, ReuseCache};
use crate::tiling::{Plan, Size, Stitcher, TileSize};

/// Memory that ONNX Runtime takes for a tile, as a multiple of the feature maps that are alive at the same time: it
/// also keeps copies in the layout of its kernels, and its arena grows in powers of two. Measured on the CPU with a
/// network of width 24, depth 3 and valid convolutions, tiles of 0.26 to 2.4 megapixels: 2.2 to 2.7.
const RUNTIME_SHARE: f64 = 2.8;

/// The same for integer networks, whose maps are small compared with their unfolded copies. Measured with the models of
/// this project, `tile-memory` of 128 and 512 MiB: 3.0 to 4.0 if the CPU multiplies in 8 bits, 6.9 to 7.4 if ONNX
/// Runtime has to emulate that.
const RUNTIME_SHARE_OF_INTEGERS: [f64; 2] = [4.0, 7.6];

/// Bytes that ONNX Runtime takes whatever the tiles: code, threads, weights. They count as memory of the network too,
/// but never for more than one part in `RUNTIME_PART` of its limit.
const RUNTIME_ITSELF: u64 = 48 << 20;
const RUNTIME_PART: u64 = 4;

/// Most multiplications of one operator in one run of planned tiles, for each thread and for any number of them: about a
/// third of a second on two cores, for which a flush or a stop has to wait. On four this allows the paper's network
/// tiles of 960 x 960 pixels.
const WORK_OF_THREAD: f64 = (1_u64 << 34) as f64;
const WORK_AT_ONCE: f64 = (1_u64 << 36) as f64;

/// How much faster other devices are at least, by the order of magnitude.
const TIMES_AS_FAST: f64 = 16.0;

/// How many times as many pixels as the best tiles smaller ones may have in total: then a frame takes minutes.
const MOST_WORK: usize = 20;

/// Side of the inner part of a planned tile if unchanged tiles are skipped: as small as possible before the halo makes
/// tiles expensive.
const INNER_OF_REUSED: usize = 352;

/// Least memory that tiles are planned for, in bytes.
const MIN_MEMORY: u64 = 8 << 20;

/// Bytes left free whatever the frame: threads started elsewhere need as much for their stacks, and a pipeline hangs
/// for ever without them.
const ROOM: usize = 64 << 20;

/// Bytes left free for each pixel of a frame: several frames of four bytes per pixel, and their masks.
const ROOM_PER_PIXEL: usize = 32;

/// Bytes that tiles leave free besides, for each pixel of a frame: finding objects on its mask takes about as many.
const OBJECTS_PER_PIXEL: usize = 32;

/// Address space that the first run takes besides its memory: glibc reserves as much for each thread that allocates.
const ARENAS: usize = 2 * (64 << 20);

/// Everything prepared for frames of one size.
pub(super) struct Prepared {
    pub plan: Plan,
    pub stitcher: Stitcher,
    pub batching: Batching,
    /// The cache, if results are reused.
    pub cache: Option<ReuseCache>,
}

/// A lower memory limit for frames of one size, after memory has run out.
#[derive(Clone, Copy)]
pub(super) struct ReducedMemory {
    frame: Size,
    /// Most bytes for tiles, instead of the configured limit.
    memory: u64,
}

/// The fastest batch sizes of the last plans for which they were measured.
#[derive(Default)]
pub(super) struct BatchCache(Vec<(Size, usize, usize)>);

impl BatchCache {
    /// Most plans that are kept.
    const CAPACITY: usize = 64;

    fn get(&self, plan: &Plan) -> Option<usize> {
        let mut measured = self.0.iter();
        let found = measured.find(|(outer, tiles, _)| (*outer, *tiles) == (plan.outer, plan.len()));
        found.map(|(.., batch)| *batch)
    }

    fn insert(&mut self, plan: &Plan, batch: usize) {
        if self.0.len() >= Self::CAPACITY {
            self.0.remove(0);
        }
        self.0.push((plan.outer, plan.len(), batch));
    }
}

impl Segmenter {
    /// Plans the tiles for frames of `frame` pixels and allocates all memory they need. Without this call, the first
    /// frame of a new size does so, and takes longer.
    ///
    /// If memory runs out for the planned tiles, smaller ones are used for frames of this size.
    pub fn prepare(&mut self, frame: Size) -> Result<&Plan, SegmentError> {
        let current = self.prepared.as_ref();
        if current.is_none_or(|prepared| prepared.plan.frame != frame) {
            // Free the memory of the old size first, so that both are never allocated at the same time.
            self.prepared = None;
            self.model.forget_shapes();
            // Without room for the frame itself, no tiles are small enough.
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
        let cache = match self.tiles.reuse {
            Reuse::Off => None,
            // Results that are averaged with those of other tiles can't be reused.
            _ if plan.blends() => None,
            reuse => {
                let takes_patches = self.takes_patches();
                Some(ReuseCache::new(reuse, &plan, &geometry, takes_patches)?)
            }
        };
        let wanted = match (&cache, self.tiles.batch) {
            // The number of changed tiles is not known in advance.
            (Some(_), _) => 1,
            (None, 0) => self.batches.get(&plan).unwrap_or(0),
            (None, wanted) => wanted,
        };
        let pixels = plan.outer.area().saturating_mul(wanted.max(1));
        self.leave_room_beside_run(pixels, frame)?;
        let max_pixels = self.max_pixels_per_run(frame);
        let batching = batch::choose(&mut self.model, &plan, (wanted, max_pixels))?;
        if wanted == 0 {
            self.batches.insert(&plan, batching.batch);
        }
        leave_room_and_objects(0, frame)?;
        let stitcher = Stitcher::new(&plan, self.decision())?;
        self.prepared = Some(Prepared {
            plan,
            stitcher,
            batching,
            cache,
        });
        Ok(())
    }

    /// Halves the memory for tiles of frames of this size if `error` says that memory has run out and there is
    /// something to save; otherwise returns the error.
    pub(super) fn shrink_for(
        &mut self,
        frame: Size,
        error: SegmentError,
    ) -> Result<(), SegmentError> {
        let memory = self.memory_for(frame) / 2;
        if self.tiles.size != 0 || memory < MIN_MEMORY || !error.is_out_of_memory() {
            return Err(error);
        }
        let reduced = Some(ReducedMemory { frame, memory });
        let before = std::mem::replace(&mut self.reduced_memory, reduced);
        let plan = Plan::new(frame, &self.geometry(), self.blend(), self.tile_size(frame))?;
        if self.excess(&plan).is_some() {
            self.reduced_memory = before;
            return Err(error);
        }
        self.prepared = None;
        self.model.forget_shapes();
        Ok(())
    }

    /// Most bytes for tiles of the current frames, if the configured memory was not available.
    pub fn reduced_memory(&self) -> Option<u64> {
        let frame = self.prepared.as_ref()?.plan.frame;
        let reduced = self
            .reduced_memory
            .filter(|reduced| reduced.frame == frame)?;
        Some(reduced.memory)
    }

    /// How many times as many pixels the tiles of the current frames have as they would if memory were unlimited, if
    /// that is more than twenty, and the property to raise.
    pub fn small_tiles(&self) -> Option<(usize, &'static str)> {
        let excess = self.excess(&self.prepared.as_ref()?.plan)?;
        match (self.tiles.size, self.tiles.reuse) {
            // Small tiles are meant to be reused.
            (0, Reuse::Exact) => None,
            (0, _) => Some((excess, "tile-memory")),
            _ => Some((excess, "tile-size")),
        }
    }

    /// As [`excess`], compared with the best plan for unlimited memory.
    fn excess(&self, plan: &Plan) -> Option<usize> {
        let max_pixels = usize::MAX;
        let size = TileSize::Planned { max_pixels };
        let best = Plan::new(plan.frame, &self.geometry(), self.blend(), size);
        excess(plan, &best.ok()?)
    }

    /// Time of a frame, measured on black tiles; 0 before [`prepare`](Self::prepare).
    pub fn expected_time(&self) -> Duration {
        let Some(Prepared { plan, batching, .. }) = &self.prepared else {
            return Duration::ZERO;
        };
        let runs = plan.len().div_ceil(batching.batch);
        let runs = u32::try_from(runs).unwrap_or(u32::MAX);
        batching.run_time.saturating_mul(runs)
    }

    /// How large tiles of `frame` may be.
    fn tile_size(&self, frame: Size) -> TileSize {
        let room = self.max_pixels_per_run(frame);
        // The output of a network with a global operator depends on the tiles: use more than one only for lack of
        // memory.
        let global = self.model.survey().global.is_some();
        let max_pixels = match self.tiles.reuse {
            _ if global => room,
            // Reused tiles are inferred one by one.
            Reuse::Exact => {
                let side = INNER_OF_REUSED + 2 * self.geometry().halo;
                room.min(side.saturating_mul(side))
            }
            Reuse::Threshold { .. } => room,
            // All tiles of a run share the memory.
            Reuse::Off => room / self.tiles.batch.max(1),
        };
        match self.tiles.size {
            0 => TileSize::Planned { max_pixels },
            side => TileSize::Inner(side),
        }
    }

    /// Whether patches of any shape can be inferred on their own: with a global operator the result would differ, and
    /// some providers need minutes for each shape.
    fn takes_patches(&self) -> bool {
        let global = self.model.survey().global.is_some();
        !global && !self.model.compiles_shapes()
    }

    /// About as many bytes as ONNX Runtime takes for each input pixel of a run.
    fn bytes_per_pixel_of_run(&self) -> f64 {
        let survey = self.model.survey();
        let share = if survey.integers {
            let emulated = !has_int8_dot_product() && !survey.sums_fit_16_bits;
            RUNTIME_SHARE_OF_INTEGERS[usize::from(emulated)]
        } else {
            RUNTIME_SHARE
        };
        survey.bytes_per_pixel.max(1.0) * share
    }

    /// Most input pixels of one run on tiles of `frame`: limited by memory, and by the time of one operator, which
    /// can't be interrupted.
    fn max_pixels_per_run(&self, frame: Size) -> usize {
        let memory = self.memory_for(frame);
        let for_tiles = memory - RUNTIME_ITSELF.min(memory / RUNTIME_PART);
        let in_memory = (for_tiles as f64 / self.bytes_per_pixel_of_run()) as usize;
        let at_once = match self.model.provider() {
            Provider::Cpu => WORK_AT_ONCE.min(WORK_OF_THREAD * self.threads as f64),
            _ => WORK_AT_ONCE * TIMES_AS_FAST,
        };
        in_memory.min((at_once / self.model.survey().work_per_pixel.max(1.0)) as usize)
    }

    /// As [`leave_room`], with room for objects, before a run on `pixels` input pixels: if it took the last of the
    /// memory, other threads would end the process.
    pub(super) fn leave_room_beside_run(
        &self,
        pixels: usize,
        frame: Size,
    ) -> Result<(), TryReserveError> {
        let run = (self.bytes_per_pixel_of_run() * pixels as f64) as usize;
        leave_room_and_objects(run.saturating_add(ARENAS), frame)
    }

    /// Most bytes for running the network on tiles of `frame`.
    fn memory_for(&self, frame: Size) -> u64 {
        let reduced = self.reduced_memory.filter(|reduced| reduced.frame == frame);
        reduced.map_or(self.tiles.memory, |reduced| reduced.memory)
    }
}

/// How many times as many pixels the tiles of a `plan` have as those of the `best` one, if they are so small that this is
/// more than [`MOST_WORK`].
fn excess(plan: &Plan, best: &Plan) -> Option<usize> {
    let [all, least] = [plan, best].map(|plan| plan.len().saturating_mul(plan.outer.area()));
    (all > least.saturating_mul(MOST_WORK)).then(|| all / least.max(1))
}

/// Checks that there is memory left for frames of this size: other code may not cope with failed allocations.
pub(crate) fn leave_room(frame: Size) -> Result<(), TryReserveError> {
    reserve(ROOM_PER_PIXEL, frame, 0)
}

/// As [`leave_room`], with room for objects and `more` bytes.
fn leave_room_and_objects(more: usize, frame: Size) -> Result<(), TryReserveError> {
    reserve(ROOM_PER_PIXEL + OBJECTS_PER_PIXEL, frame, more)
}

/// Checks that there is memory for [`ROOM`], for so many bytes per pixel of `frame` and for `more`.
fn reserve(per_pixel: usize, frame: Size, more: usize) -> Result<(), TryReserveError> {
    let mut room: Vec<u8> = Vec::new();
    let for_frames = frame.area().saturating_mul(per_pixel);
    room.try_reserve_exact(for_frames.saturating_add(ROOM).saturating_add(more))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{Geometry, Sizes};
    use crate::tiling::Blend;

    #[test]
    fn tiles_of_a_few_pixels_multiply_the_work() {
        let paper = Geometry {
            margin: 92,
            halo: 92,
            edge: Geometry::EDGE,
            stride: 16,
            sizes: Sizes::Steps { min: 188, step: 16 },
        };
        let multiplies = |width, height, inner| {
            let frame = Size { width, height };
            let plan = |size| Plan::new(frame, &paper, Blend::Crop, size).unwrap();
            let max_pixels = usize::MAX;
            let best = plan(TileSize::Planned { max_pixels });
            excess(&plan(TileSize::Inner(inner)), &best).is_some()
        };
        assert!(!multiplies(1392, 1040, 388));
        assert!(!multiplies(1392, 1040, 64));
        assert!(multiplies(1392, 1040, 16));
        // A frame of a few pixels needs no more than its mirrored border.
        assert!(!multiplies(16, 16, 16));
    }
}
