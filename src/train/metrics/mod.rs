//! How well masks agree with the truth.
//!
//! [`cells`] counts objects, as the Cell Tracking Challenge and the Data Science Bowl do;
//! [`membranes`] judges boundaries, as the ISBI 2012 challenge does. [`Tally`] is either, as the data
//! ask for.

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

/// What is judged.
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
    /// Of objects.
    Cells(cells::Scores),
    /// Of boundaries.
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

    /// The one number by which networks are compared; more is better.
    ///
    /// For cells F1@0.5 + SEG: how many are found, and how well they are outlined; IoU alone hides
    /// cells that are merged. For membranes V_rand, 0 where the truth shows no cell.
    pub fn worth(&self) -> f64 {
        match self {
            Scores::Cells(scores) => scores.f1 + scores.seg,
            Scores::Membranes(scores) => scores.separation.map_or(0.0, |s| s.v_rand),
        }
    }

    /// What orders networks, the better ones last: [`worth`](Self::worth) first. Networks that find no object yet
    /// differ in the pixels they find.
    pub fn rank(&self) -> (f64, f64) {
        let pixels = match self {
            Scores::Cells(scores) => scores.iou,
            Scores::Membranes(scores) => 1.0 - scores.pixel_error,
        };
        (self.worth(), pixels)
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

/// What scores are made of, summed over images.
#[derive(Clone, Copy, Debug)]
pub enum Tally {
    /// Of objects: cells and pixels are pooled.
    Cells(cells::Tally),
    /// Of boundaries: each image weighs the same.
    Membranes(membranes::Tally),
}

impl Tally {
    /// No image yet.
    pub fn new(measure: Measure) -> Self {
        match measure {
            Measure::Cells => Tally::Cells(cells::Tally::default()),
            Measure::Membranes => Tally::Membranes(membranes::Tally::default()),
        }
    }

    /// Counts one image: the true and the found objects, one number for each and 0 elsewhere, also in the
    /// `ignored` pixels that nobody has judged.
    pub fn add(&mut self, truth: &Plane<u32>, found: &Plane<u32>, ignored: usize) {
        match self {
            Tally::Cells(tally) => {
                let mut overlaps = cells::Overlaps::of(truth, found);
                overlaps.leave_out(ignored);
                tally.count(&overlaps);
            }
            Tally::Membranes(tally) => {
                let inside = |objects: &Plane<u32>| objects.map(|object| object != 0);
                let scores = membranes::Scores::of(&inside(truth), &inside(found), ignored);
                tally.add(&scores);
            }
        }
    }

    /// How many true and how many found cells there are so far, where these are counted.
    pub fn cells(&self) -> Option<[u64; 2]> {
        match self {
            Tally::Cells(tally) => Some(tally.cells()),
            Tally::Membranes(_) => None,
        }
    }

    /// How many true cells have run together so far, where cells are counted; see
    /// [`cells::Tally::merged`].
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
