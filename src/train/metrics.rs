//! How well predicted cells match the true ones.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use super::plane::Plane;

/// Scores over a set of images, each in `0..=1`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Scores {
    /// Foreground pixels found by both, of those found by either.
    pub iou: f64,
    /// F1 of cells; a predicted and a true cell match where their intersection over union is above
    /// one half.
    pub f1: f64,
    /// The Cell Tracking Challenge's SEG: the mean over true cells of the intersection over union with
    /// the predicted cell that covers more than half of it, 0 where none does.
    pub seg: f64,
}

impl Scores {
    /// The scores by name.
    pub fn named(&self) -> BTreeMap<String, f64> {
        [("IoU", self.iou), ("F1@0.5", self.f1), ("SEG", self.seg)]
            .map(|(name, score)| (name.to_owned(), score))
            .into()
    }
}

impl fmt::Display for Scores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Scores { iou, f1, seg } = self;
        write!(f, "F1@0.5 {f1:.4}  SEG {seg:.4}  IoU {iou:.4}")
    }
}

/// Counts that scores are made of, summed over images.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    intersection: u64,
    union: u64,
    true_cells: u64,
    predicted_cells: u64,
    matches: u64,
    seg: f64,
}

impl Tally {
    /// Counts one image. Both planes hold one number for each cell and 0 for the background.
    pub fn add(&mut self, truth: &Plane<u32>, predicted: &Plane<u32>) {
        let overlaps = Overlaps::of(truth, predicted);
        self.true_cells += overlaps.truth.len() as u64;
        self.predicted_cells += overlaps.predicted.len() as u64;
        for ((true_cell, predicted_cell), shared) in &overlaps.both {
            let area = overlaps.truth[true_cell];
            let union = area + overlaps.predicted[predicted_cell] - shared;
            let iou = *shared as f64 / union as f64;
            // No two can match one cell, since each would cover more than half of what they share.
            self.matches += u64::from(2 * shared > union);
            self.seg += if 2 * shared > area { iou } else { 0.0 };
            self.intersection += shared;
        }
        self.union += overlaps.union;
    }

    /// The scores of all images so far. Where there was nothing to find and nothing was found, they
    /// are 1.
    pub fn scores(&self) -> Scores {
        let ratio = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 1.0 };
        let cells = self.true_cells + self.predicted_cells;
        Scores {
            iou: ratio(self.intersection as f64, self.union as f64),
            f1: ratio(2.0 * self.matches as f64, cells as f64),
            seg: ratio(self.seg, self.true_cells as f64),
        }
    }
}

/// Areas in pixels.
#[derive(Default)]
struct Overlaps {
    truth: HashMap<u32, u64>,
    predicted: HashMap<u32, u64>,
    /// What a true and a predicted cell share; in order, so that sums always come out the same.
    both: BTreeMap<(u32, u32), u64>,
    /// Pixels that are foreground in either.
    union: u64,
}

impl Overlaps {
    fn of(truth: &Plane<u32>, predicted: &Plane<u32>) -> Self {
        let mut overlaps = Overlaps::default();
        for pair in truth
            .data
            .iter()
            .copied()
            .zip(predicted.data.iter().copied())
        {
            let (true_cell, predicted_cell) = pair;
            if true_cell != 0 {
                *overlaps.truth.entry(true_cell).or_default() += 1;
            }
            if predicted_cell != 0 {
                *overlaps.predicted.entry(predicted_cell).or_default() += 1;
            }
            if true_cell != 0 && predicted_cell != 0 {
                *overlaps.both.entry(pair).or_default() += 1;
            }
            overlaps.union += u64::from(pair != (0, 0));
        }
        overlaps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(labels: &[u32]) -> Plane<u32> {
        Plane {
            height: 1,
            width: labels.len(),
            data: labels.to_vec(),
        }
    }

    fn score(pairs: &[(&[u32], &[u32])]) -> Scores {
        let mut tally = Tally::default();
        for (truth, predicted) in pairs {
            tally.add(&line(truth), &line(predicted));
        }
        tally.scores()
    }

    #[test]
    fn cells_are_matched_as_by_hand() {
        // Cell 1: 3 of 4 pixels, and one too many: IoU 3/5, a match. Cell 2: merged with cell 3, 2 of
        // 6 pixels shared with each. Cell 4 is missed, cell 9 is invented.
        let truth = [1, 1, 1, 1, 0, 2, 2, 0, 3, 3, 0, 4, 0, 0];
        let found = [0, 5, 5, 5, 5, 7, 7, 7, 7, 7, 7, 0, 0, 9];
        let scores = score(&[(&truth, &found)]);
        assert_eq!(scores.f1, 2.0 / (4.0 + 3.0));
        // The cell found for 2 and 3 covers both in full: IoU 2/6 each.
        assert!((scores.seg - (3.0 / 5.0 + 2.0 / 6.0 + 2.0 / 6.0) / 4.0).abs() < 1e-12);
        assert_eq!(scores.iou, 7.0 / 13.0);
    }

    #[test]
    fn exactly_half_is_no_match() {
        let scores = score(&[(&[1, 1, 0], &[0, 1, 0])]);
        assert_eq!((scores.f1, scores.seg, scores.iou), (0.0, 0.0, 0.5));
    }

    #[test]
    fn images_are_pooled() {
        let scores = score(&[(&[1, 0], &[1, 0]), (&[0, 0], &[0, 1]), (&[2, 3], &[2, 0])]);
        assert_eq!(scores.f1, 4.0 / 6.0);
        assert_eq!(scores.seg, 2.0 / 3.0);
        assert_eq!(scores.iou, 2.0 / 4.0);
    }

    #[test]
    fn nothing_to_find_and_nothing_found_is_right() {
        let scores = score(&[(&[0, 0], &[0, 0])]);
        assert_eq!((scores.f1, scores.seg, scores.iou), (1.0, 1.0, 1.0));
    }
}
