//! Inferring only what changed: which parts of a frame the network has to process again, and which of its results
//! are reused from earlier frames.
//!
//! ```text
//! frame -> changes: blocks that differ from the frame they were inferred on
//!       -> patches: a few rectangles that cover everything those blocks can affect
//! ```
//!
//! The side of a block is a multiple of the network's stride, and at least 16 pixels, so that patches begin on the
//! network's pooling grid.

mod changes;
mod grid;
mod noise;
mod patches;

use std::collections::TryReserveError;
use std::ops::Range;

use self::changes::LastFrame;
use self::grid::Grid;
use self::noise::NoiseModel;
pub use self::patches::Patch;
use self::patches::PatchPlanner;
use crate::contract::{Channels, Geometry};
use crate::picture::{Frame, Scaling, channel_count, code_scale};
use crate::tiling::{Plan, Size, Span};

/// Which results of the network are reused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reuse {
    /// None.
    #[default]
    Off,
    /// Those of tiles in which neither a pixel that the network sees nor the normalization has changed: the mask equals
    /// that of [`Off`](Self::Off), bit for bit where the network's results do not depend on where a tile begins.
    Exact,
    /// Those of parts of the frame where nothing has changed by more than noise, for a limited number of frames.
    Threshold {
        /// Frames after which a result is recomputed in any case; 1: every frame.
        most_frames: u32,
    },
}

/// The parts of a frame that have to be inferred.
pub enum StaleParts<'a> {
    /// The tiles of the plan that see any of these blocks.
    Tiles(StaleBlocks<'a>),
    /// These patches.
    Patches(&'a [Patch]),
}

/// The blocks of a frame whose results are out of date.
pub struct StaleBlocks<'a>(&'a Grid<bool>);

impl StaleBlocks<'_> {
    /// Whether a tile of the plan, with network input of size `outer`, sees one of them.
    pub fn sees(&self, (rows, columns): (&Span, &Span), outer: Size) -> bool {
        let seen = |span: &Span, length: usize| -> Range<usize> {
            let end = span.outer_start + length as isize;
            span.outer_start.max(0) as usize..end.max(0) as usize
        };
        let (rows, columns) = (seen(rows, outer.height), seen(columns, outer.width));
        self.0.any_within(&rows, &columns)
    }
}

/// The cached results.
pub struct CachedMaps {
    /// Classes, rows of the frame's width.
    pub mask: Vec<u8>,
    /// Probabilities of the foreground, likewise; empty until they are requested.
    pub probability: Vec<f32>,
}

/// Results for earlier frames of one size, and the state to decide which of them are still valid.
pub struct ReuseCache {
    reuse: Reuse,
    /// Rows and columns of the frame.
    size: [usize; 2],
    maps: CachedMaps,
    /// Blocks whose results are out of date.
    stale: Grid<bool>,
    /// Frames since a block was inferred.
    ages: Grid<u32>,
    /// The last frame, for [`Reuse::Exact`].
    last: LastFrame,
    scaling: Option<Scaling>,
    noise: NoiseModel,
    patches: PatchPlanner,
    /// Whether the network accepts parts of a frame in any shape.
    takes_patches: bool,
    /// The value of code 0, the step from one code to the next, and the number of channels.
    code_scale: Option<(f64, f64, usize)>,
}

impl ReuseCache {
    /// A cache for the frames of `plan`. Unless the network accepts parts of a frame in any shape (`takes_patches`),
    /// there are no [patches](StaleParts::Patches), and [`Reuse::Threshold`] reuses all of a frame or nothing.
    pub fn new(
        reuse: Reuse,
        plan: &Plan,
        geometry: &Geometry,
        takes_patches: bool,
    ) -> Result<Self, TryReserveError> {
        let (height, width) = (plan.frame.height, plan.frame.width);
        let side = grid::MIN_SIDE.next_multiple_of(geometry.stride);
        let mut mask = Vec::new();
        mask.try_reserve_exact(height * width)?;
        mask.resize(height * width, 0);
        Ok(ReuseCache {
            reuse,
            size: [height, width],
            maps: CachedMaps {
                mask,
                probability: Vec::new(),
            },
            stale: Grid::new(height, width, side, true),
            ages: Grid::new(height, width, side, 0),
            last: LastFrame::default(),
            scaling: None,
            noise: NoiseModel::new(height, width),
            patches: PatchPlanner::new(plan, geometry, side),
            takes_patches,
            code_scale: None,
        })
    }

    /// Invalidates all results.
    pub fn invalidate(&mut self) {
        self.scaling = None;
    }

    /// Caches probabilities too, from the next frame on.
    pub fn keep_probability(&mut self) -> Result<(), TryReserveError> {
        let CachedMaps { mask, probability } = &mut self.maps;
        if probability.is_empty() {
            probability.try_reserve_exact(mask.len())?;
            probability.resize(mask.len(), 0.0);
            self.invalidate();
        }
        Ok(())
    }

    /// The cached results.
    pub fn maps(&self) -> &CachedMaps {
        &self.maps
    }

    /// Finds the parts of `frame`, normalized by `scaling`, that have to be inferred. They count as inferred from then
    /// on, and their results must be written into the maps.
    ///
    /// # Errors
    /// If there is not enough memory for the first frame.
    pub fn update(
        &mut self,
        frame: &Frame,
        channels: Channels,
        scaling: Scaling,
    ) -> Result<(StaleParts<'_>, &mut CachedMaps), TryReserveError> {
        let (zero, step) = code_scale(frame, channels);
        let scale = (zero, step, channel_count(frame, channels));
        if self.code_scale.replace(scale) != Some(scale) {
            // The same codes now mean other values.
            self.invalidate();
        }
        let before = self.scaling.replace(scaling);
        match self.reuse {
            Reuse::Off => self.stale.fill(true),
            Reuse::Exact => {
                self.last.compare(frame, channels, &mut self.stale)?;
                if before != Some(scaling) {
                    self.stale.fill(true);
                }
            }
            Reuse::Threshold { most_frames } => {
                self.noise.measure(frame, channels, scaling);
                self.ages.iter_mut().for_each(|age| *age += 1);
                let is_young = self.ages.iter().all(|age| *age < most_frames);
                if before.is_some() && is_young {
                    self.noise.compare(&mut self.stale);
                    let nothing = !self.stale.iter().any(|stale| *stale);
                    if (self.takes_patches || nothing) && self.patches.cover(&self.stale) {
                        return Ok(self.stale_patches());
                    }
                }
                self.stale.fill(true);
                self.noise
                    .mark_inferred(&(0..self.size[0]), &(0..self.size[1]));
                self.ages.fill(0);
            }
        }
        let stale = StaleParts::Tiles(StaleBlocks(&self.stale));
        Ok((stale, &mut self.maps))
    }

    fn stale_patches(&mut self) -> (StaleParts<'_>, &mut CachedMaps) {
        for Patch { rows, columns, .. } in self.patches.all() {
            self.noise.mark_inferred(&rows.target, &columns.target);
            self.ages.fill_within(&rows.target, &columns.target, 0);
        }
        (StaleParts::Patches(self.patches.all()), &mut self.maps)
    }
}
