//! How well masks agree with the truth.
//!
//! [`cells`] scores objects, as the Cell Tracking Challenge and the Data Science Bowl do;
//! [`membranes`] scores boundaries, as the ISBI 2012 challenge does. [`Tally`] is either, depending on the
//! data.

pub mod cells;
mod contingency;
pub mod membranes;
mod thin;
mod warping;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use thin::thin;
pub use warping::{warped, warping_error};

use super::dataset::MaskKind;
use super::plane::Plane;

/// What is scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// Objects: SEG, F1, AP, IoU, Dice.
    Cells,
    /// Boundaries, with cells between them (ISBI 2012): V_rand, V_info, pixel and warping error.
    Membranes,
}

impl From<MaskKind> for Measure {
    fn from(kind: MaskKind) -> Self {
        match kind {
            MaskKind::Membranes => Measure::Membranes,
            MaskKind::Instances | MaskKind::Binary | MaskKind::Classes => Measure::Cells,
        }
    }
}

/// Scores of an image, or of several.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scores {
    /// Scores of objects.
    Cells(cells::Scores),
    /// Scores of boundaries.
    Membranes(membranes::Scores),
}

impl Scores {
    /// The scores by name.
    pub fn named(&self) -> BTreeMap<String, f64> {
        match self {
            Scores::Cells(scores) => scores.named(),
            Scores::Membranes(scores) => scores.named(),
        }
    }

    /// The number by which networks are compared; more is better.
    ///
    /// For cells F1@0.5 + SEG: how many are found, and how well they are outlined; IoU alone hides
    /// cells that are merged. For membranes V_rand, or 0 if the truth shows no cell.
    pub fn selection_score(&self) -> f64 {
        match self {
            Scores::Cells(scores) => scores.f1 + scores.seg,
            Scores::Membranes(scores) => scores.separation.map_or(0.0, |s| s.v_rand),
        }
    }

    /// Sorts networks, the better ones last: by [`selection_score`](Self::selection_score), then by pixels, in which
    /// networks differ that find no object yet.
    pub fn rank(&self) -> (f64, f64) {
        let pixels = match self {
            Scores::Cells(scores) => scores.iou,
            Scores::Membranes(scores) => 1.0 - scores.pixel_error,
        };
        (self.selection_score(), pixels)
    }
}

impl fmt::Display for Scores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scores::Cells(scores) => scores.fmt(f),
            Scores::Membranes(scores) => scores.fmt(f),
        }
    }
}

/// The sums over images from which scores are computed.
#[derive(Clone, Copy, Debug)]
pub enum Tally {
    /// Sums of objects: cells and pixels are pooled.
    Cells(cells::Tally),
    /// Sums of boundaries: each image has the same weight.
    Membranes(membranes::Tally),
}

impl Tally {
    /// A tally without images.
    pub fn new(measure: Measure) -> Self {
        match measure {
            Measure::Cells => Tally::Cells(cells::Tally::default()),
            Measure::Membranes => Tally::Membranes(membranes::Tally::default()),
        }
    }

    /// Adds an image: its true and found objects, one number for each and 0 elsewhere. So many of its pixels
    /// are `ignored`: nobody has annotated them, and they are 0, too.
    pub fn add(&mut self, truth: &Plane<u32>, found: &Plane<u32>, ignored: usize) {
        match self {
            Tally::Cells(tally) => {
                let mut overlaps = cells::Overlaps::of(truth, found);
                overlaps.exclude(ignored);
                tally.count(&overlaps);
            }
            Tally::Membranes(tally) => {
                let inside = |objects: &Plane<u32>| objects.map(|object| object != 0);
                let scores = membranes::Scores::of(&inside(truth), &inside(found), ignored);
                tally.add(&scores);
            }
        }
    }

    /// How many true and how many found cells there are so far, if cells are scored.
    pub fn cells(&self) -> Option<[u64; 2]> {
        match self {
            Tally::Cells(tally) => Some(tally.cells()),
            Tally::Membranes(_) => None,
        }
    }

    /// How many true cells are merged so far, if cells are scored; see [`cells::Tally::merged`].
    pub fn merged(&self) -> Option<u64> {
        match self {
            Tally::Cells(tally) => Some(tally.merged()),
            Tally::Membranes(_) => None,
        }
    }

    /// The scores of all images so far.
    pub fn scores(&self) -> Scores {
        match self {
            Tally::Cells(tally) => Scores::Cells(tally.scores()),
            Tally::Membranes(tally) => Scores::Membranes(tally.scores()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_that_find_nothing_yet_are_ordered_by_their_pixels() {
        let cells = |f1, iou| {
            Scores::Cells(cells::Scores {
                f1,
                iou,
                ..Default::default()
            })
        };
        assert!(cells(0.0, 0.2).rank() > cells(0.0, 0.1).rank());
        assert!(cells(0.1, 0.0).rank() > cells(0.0, 0.9).rank());
        let membranes = |pixel_error| {
            Scores::Membranes(membranes::Scores {
                pixel_error,
                ..Default::default()
            })
        };
        assert!(membranes(0.1).rank() > membranes(0.2).rank());
    }
}
