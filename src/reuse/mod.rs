//! Inferring only what changed: which parts of a frame the network has to see again, and which of its
//! answers are kept from earlier frames.
//!
//! ```text
//! frame -> changes: which blocks differ from the frame that was answered
//!       -> patches: few rectangles that hold what those blocks can have changed
//! ```
//!
//! A block has the side of a multiple of the network's stride, 16 pixels or more, so that patches begin on
//! the grid of its pooling.

mod changes;
mod grid;
mod noise;
mod patches;

use std::collections::TryReserveError;
use std::ops::Range;

use self::changes::Last;
use self::grid::Grid;
use self::noise::Noise;
pub use self::patches::Patch;
use self::patches::Patches;
use crate::contract::{Channels, Geometry};
use crate::picture::{Frame, Scaling, seen_channels, value_of_codes};
use crate::tiling::{Plan, Size, Span};

/// Which answers of the network are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reuse {
    /// None.
    #[default]
    Off,
    /// Those of tiles of which no pixel has changed that the network sees, nor how pixels become its
    /// input: the mask is that of [`Off`](Self::Off), bit for bit.
    Exact,
    /// Those of parts of the frame where nothing has changed by more than noise, for so many frames at
    /// most.
    Threshold {
        /// Frames after which an answer is made anew in any case; 1: each frame.
        most_frames: u32,
    },
}

/// What has to be inferred of a frame.
pub enum Work<'a> {
    /// The tiles of the plan that see something of this.
    Tiles(Changed<'a>),
    /// These parts.
    Patches(&'a [Patch]),
}

/// The blocks of a frame whose answers are out of date.
pub struct Changed<'a>(&'a Grid<bool>);

impl Changed<'_> {
    /// Whether a tile of the plan, whose network's input has the size `outer`, sees one of them.
    pub fn sees(&self, (rows, columns): (&Span, &Span), outer: Size) -> bool {
        let seen = |span: &Span, length: usize| -> Range<usize> {
            let end = span.outer_start + length as isize;
            span.outer_start.max(0) as usize..end.max(0) as usize
        };
        let (rows, columns) = (seen(rows, outer.height), seen(columns, outer.width));
        self.0.any_within(&rows, &columns)
    }
}

/// The answers that are kept.
pub struct Maps {
    /// Classes, rows of the frame's width.
    pub mask: Vec<u8>,
    /// Probabilities of the foreground, the same; empty until they are asked for.
    pub probability: Vec<f32>,
}

/// The answers to earlier frames of one size, and what tells which of them still hold.
pub struct Kept {
    reuse: Reuse,
    /// Rows and columns of the frame.
    size: [usize; 2],
    maps: Maps,
    /// Blocks whose answers are out of date.
    stale: Grid<bool>,
    /// Frames since a block was answered.
    ages: Grid<u32>,
    /// What the network saw of the last frame, for [`Reuse::Exact`].
    last: Last,
    scaling: Option<Scaling>,
    noise: Noise,
    patches: Patches,
    in_parts: bool,
    /// The value of code 0, what one more adds, and how many channels have codes.
    meaning: Option<(f64, f64, usize)>,
}

impl Kept {
    /// Memory for the frames of `plan`. Only where the network may be shown parts of a frame `in_parts` of any shape
    /// there are [patches](Work::Patches); otherwise [`Reuse::Threshold`] keeps all of a frame or nothing.
    pub fn new(
        reuse: Reuse,
        plan: &Plan,
        geometry: &Geometry,
        in_parts: bool,
    ) -> Result<Self, TryReserveError> {
        let (height, width) = (plan.frame.height, plan.frame.width);
        let side = grid::LEAST_SIDE.next_multiple_of(geometry.stride);
        let mut mask = Vec::new();
        mask.try_reserve_exact(height * width)?;
        mask.resize(height * width, 0);
        Ok(Kept {
            reuse,
            size: [height, width],
            maps: Maps {
                mask,
                probability: Vec::new(),
            },
            stale: Grid::new(height, width, side, true),
            ages: Grid::new(height, width, side, 0),
            last: Last::default(),
            scaling: None,
            noise: Noise::new(height, width),
            patches: Patches::new(plan, geometry, side),
            in_parts,
            meaning: None,
        })
    }

    /// Forgets all answers.
    pub fn forget(&mut self) {
        self.scaling = None;
    }

    /// Keeps probabilities too, from now on.
    pub fn with_probability(&mut self) -> Result<(), TryReserveError> {
        let Maps { mask, probability } = &mut self.maps;
        if probability.is_empty() {
            probability.try_reserve_exact(mask.len())?;
            probability.resize(mask.len(), 0.0);
            self.forget();
        }
        Ok(())
    }

    /// The answers.
    pub fn maps(&self) -> &Maps {
        &self.maps
    }

    /// Finds out what has to be inferred of `frame`, whose pixels become the network's input by `scaling`.
    /// What it names counts as answered from then on, and is to be written into the maps.
    pub fn look(
        &mut self,
        frame: &Frame,
        channels: Channels,
        scaling: Scaling,
    ) -> (Work<'_>, &mut Maps) {
        let (zero, step) = value_of_codes(frame, channels);
        let meaning = (zero, step, seen_channels(frame, channels));
        if self.meaning.replace(meaning) != Some(meaning) {
            // The same codes are other pixels.
            self.forget();
        }
        let before = self.scaling.replace(scaling);
        match self.reuse {
            Reuse::Off => self.stale.fill(true),
            Reuse::Exact => {
                self.last.compare(frame, channels, &mut self.stale);
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
                    if (self.in_parts || nothing) && self.patches.cover(&self.stale) {
                        return self.in_patches();
                    }
                }
                self.stale.fill(true);
                self.noise.answered(&(0..self.size[0]), &(0..self.size[1]));
                self.ages.fill(0);
            }
        }
        (Work::Tiles(Changed(&self.stale)), &mut self.maps)
    }

    fn in_patches(&mut self) -> (Work<'_>, &mut Maps) {
        for Patch { rows, columns, .. } in self.patches.all() {
            self.noise.answered(&rows.target, &columns.target);
            self.ages.fill_within(&rows.target, &columns.target, 0);
        }
        (Work::Patches(self.patches.all()), &mut self.maps)
    }
}
